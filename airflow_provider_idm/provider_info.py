"""What Airflow is told of this provider: its name, its modules and its connection type."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Identity Management"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata (the entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "airflow-provider-idm",
        "name": "Identity Management",
        "description": "Upward data synchronization of identity repositories.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "tags": ["software"],
            }
        ],
        "hooks": [
            {"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_idm.hooks.idm"]},
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_idm.operators.export",
                    "airflow_provider_idm.operators.prepare_synchronization",
                    "airflow_provider_idm.operators.set_recently_modified_flag",
                    "airflow_provider_idm.operators.synchronize",
                ],
            },
        ],
        "connection-types": [_CONNECTION_TYPE],
        "extra-links": [
            "airflow_provider_idm.operators.links.BatchLink",
            "airflow_provider_idm.operators.links.ReportLink",
        ],
    }


def _field(label: str, description: str, **schema: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


_CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "idm",
    "hook-class-name": "airflow_provider_idm.hooks.idm.IdmHook",
    "hook-name": "Identity Repository",
    "ui-field-behaviour": {
        "hidden-fields": [],
        "relabeling": {"schema": "Database"},
        "placeholders": {"host": "database server", "port": "5432", "schema": "idm"},
    },
    "conn-fields": {
        "driver": _field(
            "Driver", "SQLAlchemy driver of the repository's database; postgresql+psycopg if left empty."
        ),
        "repository": _field(
            "Repository URL",
            "A whole SQLAlchemy URL, used instead of host, port, login, password and database.",
            format="password",
        ),
        "database_schema": _field(
            "Database schema", "Schema that holds the repository's tables (PostgreSQL)."
        ),
        "exchange": _field(
            "Exchange", "Folder or object storage URL (s3://connection@bucket/folder) of the batches."
        ),
        "work": _field(
            "Work folder", "Local folder for source files and what prepare and synchronize write."
        ),
        "configuration": _field("Configuration", "Folder of the XML configuration."),
        "rolling_thresholds": _field(
            "Rolling thresholds",
            "Limits over the last days by connector, as JSON, with the names of the XML: "
            '{"HR": {"days": 7, "MaximumDeletedLines": 500, "MaxPercentageDeletedLines": 5}}',
            format="multiline",
        ),
    },
}
