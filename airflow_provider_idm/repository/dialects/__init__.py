"""What differs between the databases, behind one interface: engine, lock, bulk read and write."""

from airflow_provider_idm.repository.dialects.base import INCOMING, BulkSession, DatabaseDialect, Gathered
from airflow_provider_idm.repository.dialects.postgresql import PostgresqlDialect
from airflow_provider_idm.repository.dialects.sqlite import SqliteDialect

__all__ = ["INCOMING", "BulkSession", "DatabaseDialect", "Gathered", "PostgresqlDialect", "SqliteDialect"]
