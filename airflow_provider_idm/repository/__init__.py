"""The identity repository: tables, bulk traffic, queries; SQLite and PostgreSQL alike."""

from airflow_provider_idm.repository.repository import Repository
from airflow_provider_idm.repository.state import BatchRecord, ConnectorStatus
from airflow_provider_idm.repository.views import ViewsResult

__all__ = ["BatchRecord", "ConnectorStatus", "Repository", "ViewsResult"]
