"""The database of a connection string, without Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.sql.database import DatabaseUnavailableError, Session


class UrlDatabase:
    """A database that an SQLAlchemy URL leads to.

    :param url: e.g. ``postgresql://user:password@host/database``, ``mssql+pyodbc://…`` or ``sqlite:////data/hr.db``.
    :param what: connection and setting, for messages.
    :raises ExportError: if it is no such URL.
    """

    def __init__(self, url: str, what: str) -> None:
        self._what = what
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise ExportError(
                f"{what}: expected an SQLAlchemy URL such as postgresql://user:password@host/database; a connection "
                "string of another kind cannot be used. Or name the Airflow connection of the database in ConnectionId"
            ) from None
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        self._url: URL = parsed

    @property
    def name(self) -> str:
        """What messages call it; neither user nor password nor options."""
        url = self._url
        host = f" on {url.host}" if url.host else ""
        return f"{url.get_backend_name()} database {url.database or ''}{host}"

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Open a connection by the URL's driver, and close it at the end.

        :raises ExportError: if the driver is missing, or there is no such SQLite file.
        :raises DatabaseUnavailableError: if the database does not answer.
        """
        engine = self._engine()
        try:
            try:
                pooled = engine.raw_connection()
            except Exception as error:  # noqa: BLE001 - whatever the driver raises
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise DatabaseUnavailableError(
                    f"{self._what}: the {self.name} cannot be reached: {reason}"
                ) from None
            try:
                connection = pooled.driver_connection
                driver = type(connection).__module__.partition(".")[0]
                yield Session(connection, engine.dialect.paramstyle, driver)
            finally:
                with suppress(Exception):  # what was read is read
                    pooled.close()
        finally:
            engine.dispose()

    def _engine(self) -> Engine:
        url = self._url
        if url.get_backend_name() == "sqlite" and url.database and not url.query.get("uri"):
            file = Path(url.database)
            if not file.is_file():
                raise ExportError(f"{self._what}: there is no SQLite database {file}")
        try:
            return create_engine(url, poolclass=NullPool)
        except (ImportError, NoSuchModuleError) as error:
            raise ExportError(
                f"{self._what}: the driver of {url.drivername} is not installed ({error}); install it"
            ) from error
