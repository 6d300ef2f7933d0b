"""The exporter of Active Directory: as of any directory, but changes alone are not to be had that way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.ldap.exporter import export_everything, tables_asked
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import read_ldap_settings

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportedFile, ExportJob


def export_active_directory(job: ExportJob) -> list[ExportedFile]:
    """Export an Active Directory.

    :raises ExportError: as ``export_ldap``, and if only what changed is wanted.
    :raises airflow_provider_idm.errors.ExportUnavailableError: as ``export_ldap``.
    """
    if job.incremental:
        raise ExportError(
            f"connection {job.connection.identifier}: changes alone cannot be exported from an Active Directory. Export "
            "everything: run a Complete job; or set IgnoreCookieFile on this ExportTask and Type None on the "
            "PrepareSynchronizationTask and SynchronizeTask of its connector, which then find the changes; or register "
            "an exporter of your own"
        )
    settings = read_ldap_settings(job.settings, domain_scope=True)
    return export_everything(job, settings, tables_asked(job))
