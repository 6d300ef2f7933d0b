"""The LDAP exporter: a directory's entries and links become source files, as the mappings ask for them."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.exporter import Exported
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import (
    LdapSettings,
    Search,
    Server,
    read_ldap_settings,
)
from airflow_provider_idm.synchronization.export.ldap.rows import TableWriter
from airflow_provider_idm.synchronization.export.ldap.tables import ENTRIES, Table, tables_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from airflow_provider_idm.synchronization.export.exporter import ExportJob
    from airflow_provider_idm.synchronization.export.ldap.client import Directory

logger = logging.getLogger(__name__)


def export_ldap(job: ExportJob) -> Exported:
    """Export a directory: everything, whether an incremental export is asked for or not.

    :raises ExportError: if a setting is wrong, or the server refuses to give what is asked for, or gives less.
    :raises airflow_provider_idm.errors.ExportUnavailableError: if the server does not answer, or not to the end.
    """
    settings = read_ldap_settings(job.settings)
    tables = tables_asked(job)
    client = load_client(job)
    with contextlib.ExitStack() as stack:
        writers = open_writers(stack, job, settings, tables)
        for server in settings.servers:
            searches = searches_of(job, settings, server, writers)
            with client.Directory(job.connection.identifier, server, settings) as directory:
                export_server(directory, searches)
        files = [file for writer in writers for file in writer.finish()]
    return Exported(files, None, incremental=False)


def open_writers(
    stack: contextlib.ExitStack,
    job: ExportJob,
    settings: LdapSettings,
    tables: Sequence[Table],
    *,
    commands: bool = False,
) -> list[TableWriter]:
    """Begin the file of each table.

    :param stack: closes the files in the end.
    :param commands: whether they are to hold changes.
    """
    _warn_of_unread(job, settings, tables)
    return [
        stack.enter_context(
            TableWriter(
                job.connection.identifier,
                table,
                job.output,
                lower_case_dn=settings.lower_case_dn,
                commands=commands,
            )
        )
        for table in tables
    ]


def load_client(job: ExportJob) -> ModuleType:
    """Return the module that speaks LDAP.

    :raises ExportError: if its library is not installed.
    """
    try:
        from airflow_provider_idm.synchronization.export.ldap import client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ExportError(
            f"connection {job.connection.identifier}: exporting a directory needs the library ldap3, which cannot be "
            f"imported ({error}): install airflow-provider-idm[ldap]"
        ) from error
    return client


def _search_of(job: ExportJob, settings: LdapSettings, server: Server, table: Table) -> Search:
    """Return where a table's entries are searched on a server.

    :raises ExportError: if nothing says where to begin.
    """
    own = settings.searches
    wanted = next((d for d in (table.dataset, *ENTRIES) if d in own), None)
    base, filter_, scope = own[wanted] if wanted is not None else (None, settings.filter, settings.scope)
    base = base or server.base
    if base is None:
        raise job.settings.missing("BaseDN")
    return Search(base, filter_, scope)


def tables_asked(job: ExportJob) -> list[Table]:
    """Return what the mappings ask of the connection."""
    if job.configuration is None:
        raise ExportError(
            f"connection {job.connection.identifier}: a directory is exported as the mappings say, but no configuration "
            "was given"
        )
    return tables_of(job.configuration, job.connection)


def searches_of(
    job: ExportJob, settings: LdapSettings, server: Server, writers: Sequence[TableWriter]
) -> dict[Search, list[TableWriter]]:
    """Group a server's tables by search, so that the directory is passed over once, entries and links alike."""
    searches: dict[Search, list[TableWriter]] = {}
    for writer in writers:
        searches.setdefault(_search_of(job, settings, server, writer.table), []).append(writer)
    return searches


def export_server(directory: Directory, searches: dict[Search, list[TableWriter]]) -> None:
    """Write all that the searches find."""
    for search, writers in searches.items():
        attributes = sorted(set().union(*(writer.table.attributes for writer in writers)))
        count = 0
        for page in directory.pages(search, attributes):
            for entry in page:
                for writer in writers:
                    writer.add(entry)
            count += len(page)
            logger.debug("%s: %d entries below %s", directory.place, count, search.base)
        logger.info("%s: %d entries below %s", directory.place, count, search.base)


def _warn_of_unread(job: ExportJob, settings: LdapSettings, tables: Sequence[Table]) -> None:
    known = {table.dataset for table in tables}
    for dataset in settings.searches.keys() - known - set(ENTRIES):
        logger.warning(
            "connection %s: no mapping reads the table %s of the setting Tables",
            job.connection.identifier,
            dataset,
        )
