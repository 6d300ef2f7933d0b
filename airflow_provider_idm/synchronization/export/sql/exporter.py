"""The SQL exporter: the results of queries become source files, each read in parts, all in one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.exporter import Exported, ExportedFile
from airflow_provider_idm.synchronization.export.sql.cookie import Position, later, read_cookie, write_cookie
from airflow_provider_idm.synchronization.export.sql.queries import COOKIE, SETTINGS, Query, read_queries
from airflow_provider_idm.synchronization.export.sql.stream import Result, begin, isolation_level, run
from airflow_provider_idm.synchronization.export.sql.url import UrlDatabase
from airflow_provider_idm.synchronization.export.sql.writing import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_idm.synchronization.export.exporter import ExportJob
    from airflow_provider_idm.synchronization.export.sql.database import Database, Session

logger = logging.getLogger(__name__)

_EVERYTHING: Final = (
    "Export everything once (IgnoreCookieFile, or idm export without --incremental), "
    "and prepare that as a Complete"
)
_WHOLE: Final = ""
"""The position of the whole connection, by ``CookieSql``, among those of datasets."""


def export_sql(job: ExportJob) -> Exported:
    """Export a database: ``<connection>.csv``, or ``<connection>_<dataset>.csv`` for each query or table.

    :raises ExportError: if the settings are not complete, or the database refuses a query.
    :raises DatabaseUnavailableError: if the database does not answer.
    """
    settings = job.settings
    if settings.is_set("ConnectionId", "ConnectionString"):
        settings.warn_of_unknown(SETTINGS)
    queries = read_queries(job)
    level = None
    if (written := settings.text("IsolationLevel")) is not None:
        try:
            level = isolation_level(written)
        except ValueError as error:
            raise settings.error("IsolationLevel", str(error)) from None
    knows_changes = any(query.incremental for query in queries)
    incremental = job.incremental and knows_changes
    what = f"connection {job.connection.identifier}"
    former = _former(job, queries, what) if incremental else {}
    database = find_database(job)
    logger.info("%s: exporting %s of %s", what, "changes" if incremental else "everything", database.name)
    with database.open() as session:
        begin(session, level, what)
        export = _Export(job, session, what, former if incremental else None)
        export.ask_position()
        files = [export.query(query) for query in queries]
        cookie = export.cookie(queries) if knows_changes else None
    return Exported(files, cookie, incremental)


def find_database(job: ExportJob) -> Database:
    """Return the database that a connection's settings lead to.

    :raises ExportError: if they lead to none.
    """
    settings = job.settings
    name = job.connection.identifier
    conn_id, url = settings.text("ConnectionId"), settings.text("ConnectionString")
    if url is not None:
        if conn_id is not None:
            raise settings.error("ConnectionString", "expected this or ConnectionId, found both")
        return UrlDatabase(url, f"connection {name}: {settings.place('ConnectionString')}")
    if job.databases is None:
        raise ExportError(
            f"connection {name}: "
            + (f"the Airflow connection {conn_id} " if conn_id else "an Airflow connection ")
            + "cannot be used outside of Airflow; set ConnectionString, an SQLAlchemy URL, for the command line"
        )
    return job.databases(conn_id or name)


def _former(job: ExportJob, queries: Sequence[Query], what: str) -> dict[str, Position]:
    """Return how far the former exports got.

    :raises ExportError: if there is nothing that an incremental export could start from.
    """
    if job.cookie is None:
        raise ExportError(
            f"{what}: no export has told yet from where an incremental one can start, or the batch made from it was not "
            f"published. {_EVERYTHING}"
        )
    positions = read_cookie(job.cookie, what)
    for query in queries:
        by = _by(job, query)
        position = positions.get(_key(query))
        if position is None or position.by != by:
            raise ExportError(
                f"{what}{_of(query)}: the cookie of the former export is not for {by!r}, for the settings have "
                f"changed. {_EVERYTHING}"
            )
        if position.value is None and query.cookie_start is None:
            raise ExportError(
                f"{what}{_of(query)}: the former export held no {by}, so that an incremental one cannot start. Set "
                f"CookieStart, a value before all others. Or: {_EVERYTHING}"
            )
    return positions


@dataclass(slots=True)
class _Export:
    """One export, within an open session.

    :param former: how far the former exports got; None to export everything.
    """

    job: ExportJob
    session: Session
    what: str
    former: dict[str, Position] | None
    _reached: dict[str, Any] = field(default_factory=dict)

    def ask_position(self) -> None:
        """Ask how far this export will have got, before any of its queries: what changes meanwhile comes next time."""
        statement = self.job.settings.text("CookieSql")
        if statement is None:
            return
        what = f"{self.what}, CookieSql"
        with run(self.session, statement, what=what, timeout=self._timeout) as result:
            rows = [row for part in result.parts for row in part] if result else []
        if len(rows) != 1 or len(rows[0]) != 1 or rows[0][0] is None:
            raise ExportError(f"{what}: expected one row with one value")
        self._reached[_WHOLE] = rows[0][0]

    def query(self, query: Query) -> ExportedFile:
        """Write what a query gives."""
        what = f"{self.what}{_of(query)}"
        former = self.former
        if former is None or query.incremental is None:
            statement, parameters, position = query.statement, {}, None
        else:
            position = former[_key(query)].value
            statement = query.incremental
            parameters = {COOKIE: query.cookie_start if position is None else position}
        with run(self.session, statement, parameters, what=what, timeout=self._timeout) as result:
            if result is None:
                raise ExportError(f"{what}: the statement gives no rows; expected a query")
            return write_result(
                result,
                self.job.target(query.dataset),
                what=what,
                first=self._command(result) if former is not None else None,
                look=self._look(query, result, position, what),
            )

    def cookie(self, queries: Sequence[Query]) -> str:
        """Return from where the next export can start."""
        positions = {
            _key(query): Position(_by(self.job, query), self._reached.get(_key(query))) for query in queries
        }
        return write_cookie(positions, self.what)

    @property
    def _timeout(self) -> int:
        return self.job.settings.count("Timeout")

    def _command(self, result: Result) -> tuple[str, str] | None:
        """Return the command column, if the changes have none of their own: each row is a whole resource or link."""
        name = self.job.settings.text("CommandColumn") or "command"
        has_one = any(column.casefold() == name.casefold() for column in result.columns)
        return None if has_one else (name, "INSERT")

    def _look(self, query: Query, result: Result, position: Any, what: str) -> Any:
        """Return what looks for the greatest value of the cookie column; None if nothing is to be looked for."""
        name, key = query.cookie_column, _key(query)
        if name is None:
            return None
        wanted = [n for n, column in enumerate(result.columns) if column == name] or [
            n for n, column in enumerate(result.columns) if column.casefold() == name.casefold()
        ]
        if len(wanted) != 1:
            raise ExportError(
                f"{what}: the result has no column {name}, which CookieColumn names; it has {', '.join(result.columns)}"
            )
        index = wanted[0]
        self._reached[key] = position

        def look(rows: Sequence[Sequence[Any]]) -> None:
            reached = self._reached[key]
            for row in rows:
                reached = later(reached, row[index])
            self._reached[key] = reached

        return look


def _key(query: Query) -> str:
    return _WHOLE if query.cookie_column is None else query.dataset or "."


def _by(job: ExportJob, query: Query) -> str:
    return query.cookie_column or job.settings.text("CookieSql") or ""


def _of(query: Query) -> str:
    return "" if query.dataset is None else f", dataset {query.dataset}"
