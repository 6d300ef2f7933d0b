"""Optional dependencies: which extra brings what is missing."""

from __future__ import annotations

from airflow_provider_idm.errors import ExportError


def missing_extra(connection: str, extra: str, error: ImportError) -> ExportError:
    """Return the error that a connection needs an extra of this provider that is not installed."""
    return ExportError(
        f"connection {connection} needs the extra {extra!r}, which is not installed here ({error.name or error}): "
        f"pip install 'airflow-provider-idm[{extra}]'"
    )
