"""Export one connection: find its exporter and its settings, run it, say what was written."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.configuration.enums import Deactivation
from airflow_provider_idm.configuration.model import Connection
from airflow_provider_idm.configuration.names import suggestion
from airflow_provider_idm.configuration.problems import configuration_error, errors_of
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.file_lock import locked
from airflow_provider_idm.synchronization.cookies import CookieStore
from airflow_provider_idm.synchronization.exchange import folder_name
from airflow_provider_idm.synchronization.export.exporter import Exported, ExportJob, ExportResult
from airflow_provider_idm.synchronization.export.leftover import warn_of_leftovers
from airflow_provider_idm.synchronization.export.registry import require_exporter
from airflow_provider_idm.synchronization.export.settings import read_settings
from airflow_provider_idm.synchronization.export.staging import publish, staging_folder
from airflow_provider_idm.synchronization.export.transform import transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airflow_provider_idm.configuration.model import Configuration
    from airflow_provider_idm.synchronization.export.exporter import Exporter
    from airflow_provider_idm.synchronization.export.settings import Settings
    from airflow_provider_idm.synchronization.export.sql.database import Database

_LOCK_SECONDS: Final = 600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export.

    :param connection: identifier of the connection, in any case.
    :param output: the folder that the source files go to; made if it does not exist.
    :param settings: settings from elsewhere (an Airflow connection's extra); each wins over the one of the same
        name in ``appsettings.agent.json``. Names ignore case and underscores.
    :param incremental: only what changed, where the connection can tell; else everything, as
        ``IgnoreCookieFile`` and ``InitMode`` ask for.
    :param work: the work folder, which keeps how far the exports have got; None to keep nothing, so that no
        incremental export can start from this one.
    :param databases: opens the database of an Airflow connection, by its id; None without Airflow.
    """

    configuration: Configuration
    connection: str
    output: Path
    settings: Mapping[str, Any] | None = None
    incremental: bool = False
    work: Path | None = None
    databases: Callable[[str], Database] | None = None


def export_connection(request: ExportRequest) -> ExportResult:
    """Write the source files of one connection, transformed, into the export folder; a failure leaves the former ones.

    :raises airflow_provider_idm.errors.ConfigurationError: if the connection is unknown and the configuration has
        errors, for it may stand where they are.
    :raises ExportError: if the connection is unknown, has no exporter, lacks a setting or its source.
    :raises CookieError: if what is kept of the connection's former exports cannot be read.
    :raises airflow_provider_idm.errors.SourceFileError: if its source cannot be read as what it should be.
    """
    connection = _find(request)
    name = connection.identifier
    if connection.deactivation is Deactivation.EXPORT:
        place = connection.location
        note = f"connection {name} is not exported: its DeactivationExportFulfill is Export ({place})"
        logger.info("%s", note)
        return ExportResult(connection=name, files=(), incremental=request.incremental, skipped=note)
    exporter = require_exporter(connection.package, name)
    settings = read_settings(name, request.configuration.folder, request.settings)
    with _alone(request.work, connection):
        result = _export(request, connection, exporter, settings)
    if not result.incremental:
        warn_of_leftovers(request.configuration, connection, result.files, request.output)
    for file in result.files:
        logger.info("connection %s: %d rows written to %s", name, file.rows, file.path)
    return result


def _export(
    request: ExportRequest, connection: Connection, exporter: Exporter, settings: Settings
) -> ExportResult:
    name = connection.identifier
    cookies = CookieStore(request.work, connection.connector) if request.work is not None else None
    cookie = cookies.current(name) if cookies and request.incremental else None
    if cookie and cookie.text is None and cookie.why:
        logger.warning("connection %s: no incremental export can start: %s", name, cookie.why)
    with staging_folder(request.output, name) as folder:
        job = ExportJob(
            connection=connection,
            settings=settings,
            output=folder,
            incremental=request.incremental,
            configuration=request.configuration,
            destination=request.output,
            cookie=cookie.text if cookie else None,
            databases=request.databases,
        )
        done = exporter(job)
        # a mere list of files holds everything, whatever was asked for
        exported = done if isinstance(done, Exported) else Exported(done, cookie=None, incremental=False)
        asked = exported.incremental if isinstance(done, Exported) else request.incremental
        files = transform(connection, exported.files, incremental=asked)
        kept = None
        if cookies and (exported.cookie is not None or exported.incremental or cookies.knows(name)):
            written = {file.path.name: file.path for file in files}
            kept = cookies.keep(name, exported.cookie, written, incremental=exported.incremental)
        result = ExportResult(connection=name, files=publish(files, request.output), incremental=asked)
        if cookies and kept:
            cookies.forget_former(kept)
    return result


@contextmanager
def _alone(work: Path | None, connection: Connection) -> Iterator[None]:
    """Let one export of a connection write its files and keep its cookie at a time.

    :param work: where the lock lies; without a work folder there is no cookie to keep either.
    :raises LockedError: if another export of the connection does not end.
    """
    if work is None:
        yield
        return
    folder = work / folder_name(connection.connector) / "export"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f".{connection.identifier}.lock"
    with locked(lock, f"export of connection {connection.identifier}", _LOCK_SECONDS):
        yield


def _find(request: ExportRequest) -> Connection:
    connections = request.configuration.connections
    try:
        return connections[request.connection]
    except KeyError:
        if errors := errors_of(request.configuration.problems):
            raise configuration_error(errors) from None
        known = ", ".join(connections) or "none"
        raise ExportError(
            f"the configuration in {request.configuration.folder} has no connection {request.connection}"
            f"{suggestion(request.connection, connections) or f'; it has {known}'}"
        ) from None
