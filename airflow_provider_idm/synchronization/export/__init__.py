"""From a managed system to CSV source files, one connection at a time.

``export_connection(ExportRequest(configuration, connection, output))`` exports;
``register_exporter(package, exporter)`` adds a kind of connection.
"""

from __future__ import annotations

from airflow_provider_idm.synchronization.export.connection import ExportRequest, export_connection
from airflow_provider_idm.synchronization.export.exporter import (
    Exported,
    ExportedFile,
    Exporter,
    ExportJob,
    ExportResult,
)
from airflow_provider_idm.synchronization.export.registry import (
    exporter_for,
    register_exporter,
    registered_packages,
)
from airflow_provider_idm.synchronization.export.settings import APPSETTINGS, Settings, read_settings

__all__ = [
    "APPSETTINGS",
    "ExportJob",
    "ExportRequest",
    "ExportResult",
    "Exported",
    "ExportedFile",
    "Exporter",
    "Settings",
    "export_connection",
    "exporter_for",
    "read_settings",
    "register_exporter",
    "registered_packages",
]
