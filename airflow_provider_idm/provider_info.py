"""What Airflow is told of this provider: its modules, its connection type, its options, its commands.

Airflow reads this in every process, so nothing is imported here. The plugin is not named: its entry point
(``airflow.plugins``) is what loads it always, and it must not be loaded twice.
"""

from __future__ import annotations

from typing import Any, Final

_INTEGRATION: Final = "Identity Management"
CONFIG_SECTION: Final = "idm"


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
                    "airflow_provider_idm.operators.create_database_views",
                    "airflow_provider_idm.operators.deploy_configuration",
                    "airflow_provider_idm.operators.export",
                    "airflow_provider_idm.operators.invoke_sql_command",
                    "airflow_provider_idm.operators.placeholder",
                    "airflow_provider_idm.operators.prepare_synchronization",
                    "airflow_provider_idm.operators.set_recently_modified_flag",
                    "airflow_provider_idm.operators.synchronize",
                ],
            },
        ],
        "connection-types": [CONNECTION_TYPE],
        "extra-links": [
            "airflow_provider_idm.operators.links.BatchLink",
            "airflow_provider_idm.operators.links.ReportLink",
        ],
        "asset-uris": [
            {
                "schemes": ["idm"],
                "handler": "airflow_provider_idm.assets.uri.sanitize_uri",
                "factory": "airflow_provider_idm.assets.uri.create_asset",
                "to_openlineage_converter": "airflow_provider_idm.assets.uri.convert_asset_to_openlineage",
            }
        ],
        "config": {
            CONFIG_SECTION: {
                "description": "Defaults of the operators of airflow-provider-idm; what an operator is given wins.",
                "options": CONFIG_OPTIONS,
            }
        },
        "cli": ["airflow_provider_idm.airflow_cli.get_cli_commands"],
    }


def _option(description: str, type_: str, default: str, example: str) -> dict[str, Any]:
    return {
        "description": f"{description}\n",
        "version_added": "0.1.0",
        "type": type_,
        "example": example,
        "default": default,
    }


CONFIG_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "memory_limit": _option(
        "Memory that a task may take for its data; what does not fit goes to its work folder.",
        "string",
        "1.4GB",
        "512MiB",
    ),
    "lock_timeout": _option(
        "Seconds that a prepare or a synchronize waits for another one of its connector, before it is up for retry.",
        "float",
        "600",
        "60",
    ),
    "poll_interval": _option(
        "Seconds between two looks of a task that waits for a person's decision, whether it was decided elsewhere "
        "(idm resume, idm reject, a later Complete); 10 or more.",
        "float",
        "60",
        "300",
    ),
    "history": _option(
        "Whether synchronizations keep former versions of resources and links.",
        "boolean",
        "True",
        "False",
    ),
}
"""The section ``[idm]`` of Airflow's configuration."""


def _field(label: str, description: str, **schema: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


CONNECTION_TYPE: Final[dict[str, Any]] = {
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
"""The form of a connection; of Airflow 3.1, which does not read this, the hook tells it."""
