"""The exporter of a SQL Server's principals: logins and users, roles, and who is in which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.sql.exporter import find_database
from airflow_provider_idm.synchronization.export.sql.stream import Result, begin, run
from airflow_provider_idm.synchronization.export.sql.writing import write_result

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportedFile, ExportJob
    from airflow_provider_idm.synchronization.export.sql.database import Session

SETTINGS: Final = ("ConnectionId", "ConnectionString", "Databases", "Timeout")
"""Every setting of such a connection."""

_OF_SERVER: Final = {"serverPrincipals": "server_principals", "serverRoleMembers": "server_role_members"}
_OF_DATABASE: Final = {
    "databasePrincipals": "database_principals",
    "databaseRoleMembers": "database_role_members",
}
_DATABASE: Final = "database_name"
_READABLE: Final = "SELECT name FROM sys.databases WHERE state = 0 AND HAS_DBACCESS(name) = 1 ORDER BY name"


def export_entitlements(job: ExportJob) -> list[ExportedFile]:
    """Export the catalogue views of principals and of members of roles: a file for each, with all databases in it.

    :raises ExportError: if the settings lead to no database, or it refuses a query.
    :raises DatabaseUnavailableError: if the database does not answer.
    """
    settings = job.settings
    if settings.is_set("ConnectionId", "ConnectionString"):
        settings.warn_of_unknown(SETTINGS)
    what = f"connection {job.connection.identifier}"
    with find_database(job).open() as session:
        begin(session, None, what, snapshot=False)
        export = _Export(job, session, what)
        databases = settings.texts("Databases") or export.databases()
        files = [export.of_server(dataset, view) for dataset, view in _OF_SERVER.items()]
        return files + [
            export.of_databases(dataset, view, databases) for dataset, view in _OF_DATABASE.items()
        ]


class _Export:
    """One export, within an open session."""

    def __init__(self, job: ExportJob, session: Session, what: str) -> None:
        self._job = job
        self._session = session
        self._what = what
        self._timeout = job.settings.count("Timeout")

    def databases(self) -> tuple[str, ...]:
        """Return the databases that are online and may be read."""
        with self._run(_READABLE, f"{self._what}, databases") as result:
            found = tuple(str(row[0]) for part in result.parts for row in part)
        if not found:
            raise ExportError(f"{self._what}: there is no database that this login may read; give it access")
        return found

    def of_server(self, dataset: str, view: str) -> ExportedFile:
        """Write a view of the server."""
        what = f"{self._what}, dataset {dataset}"
        with self._run(f"SELECT * FROM sys.{view}", what) as result:
            return write_result(result, self._job.target(dataset), what=what)

    def of_databases(self, dataset: str, view: str, databases: Sequence[str]) -> ExportedFile:
        """Write a view that each database has, one after the other."""
        what = f"{self._what}, dataset {dataset}"
        stream = self._each(view, databases, what)
        columns, _ = next(stream)

        def parts() -> Iterator[list[tuple[Any, ...]]]:
            for found, rows in stream:
                if found != columns:
                    raise ExportError(
                        f"{what}: sys.{view} has not the same columns in all of {', '.join(databases)}"
                    )
                yield rows

        result = Result((_DATABASE, *columns), parts())
        return write_result(result, self._job.target(dataset), what=what)

    def _each(
        self, view: str, databases: Sequence[str], what: str
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Give the columns and rows of each database in parts, the first of which has none."""
        for database in databases:
            with self._run(self._query(view, database), f"{what}, database {database}") as result:
                yield result.columns, []
                for part in result.parts:
                    yield result.columns, [(database, *row) for row in part]

    @staticmethod
    def _query(view: str, database: str) -> str:
        quoted = database.replace('"', '""')
        return f'SELECT * FROM "{quoted}".sys.{view}'

    def _run(self, statement: str, what: str) -> Any:
        return run(self._session, statement, what=what, timeout=self._timeout)
