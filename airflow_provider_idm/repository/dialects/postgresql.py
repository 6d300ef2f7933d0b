"""PostgreSQL: snapshot shared between the applying session and an Arrow reader, COPY for everything that is written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Column, Connection, Engine, Select, Table, create_engine, exc, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable, DropTable

from airflow_provider_idm.engine import literal, scalar
from airflow_provider_idm.errors import LockedError, TransientError
from airflow_provider_idm.repository.dialects.base import (
    BulkSession,
    DatabaseDialect,
    Gathered,
    changed_meanwhile,
    not_available,
    staged_table,
)

if TYPE_CHECKING:
    import adbc_driver_postgresql.dbapi as adbc
    import duckdb

_BLOCK = 1 << 18
_POLL_SECONDS = 0.2
_MET_ANOTHER_CHANGE = {"40001", "40P01"}
"""Serialization failure and deadlock."""


class PostgresqlDialect(DatabaseDialect):
    """PostgreSQL 14 or later, through psycopg 3 and, for bulk reads, ADBC."""

    def engine(self, url: str) -> Engine:
        """Make the engine; any ``postgresql://`` URL is taken to psycopg 3."""
        return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)

    def translate(self, error: Exception, repository: str) -> TransientError | None:
        """Tell the errors of psycopg and of the Arrow driver apart, which COPY and bulk reads raise as they are."""
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        if (
            isinstance(cause, psycopg.IntegrityError)
            or getattr(cause, "sqlstate", None) in _MET_ANOTHER_CHANGE
        ):
            return changed_meanwhile(cause or error)
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return not_available(repository, cause)
        if type(cause).__module__.startswith("adbc_driver_manager"):
            return not_available(repository, cause or error)
        return super().translate(error, repository)

    @contextmanager
    def lock(self, engine: Engine, name: str, timeout: float) -> Iterator[None]:
        """Hold a session-level advisory lock in a connection of its own."""
        key = int.from_bytes(
            hashlib.sha256(f"airflow-provider-idm:{name}".encode()).digest()[:8], signed=True
        )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            deadline = time.monotonic() + timeout
            while not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar():
                if time.monotonic() >= deadline:
                    raise LockedError(
                        f"another synchronization holds {name} for more than {timeout:g} s; try again when it has ended"
                    )
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                if not connection.invalidated:
                    connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))

    @contextmanager
    def session(
        self, engine: Engine, duck: duckdb.DuckDBPyConnection, folder: Path
    ) -> Iterator[PostgresqlBulkSession]:
        """Open the applying transaction and a reader that sees the same snapshot."""
        import adbc_driver_postgresql.dbapi as adbc  # noqa: PLC0415 - heavy

        uri = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with (
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
            connection.begin(),
        ):
            # Moments are handed over as text, in UTC.
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
            # The snapshot idles while DuckDB compares; a server's default time-out must not end it.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            with adbc.connect(uri, autocommit=True) as reader, reader.cursor() as cursor:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield PostgresqlBulkSession(duck, folder, connection, cursor)

    def analyze(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Run ANALYZE on the tables."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.exec_driver_sql(
                    f"ANALYZE {connection.dialect.identifier_preparer.format_table(table)}"
                )

    @contextmanager
    def begin(self, engine: Engine) -> Iterator[Connection]:
        """Open a plain transaction."""
        with engine.begin() as connection:
            yield connection


class PostgresqlBulkSession(BulkSession):
    """Reads by ADBC, writes by COPY; both see the snapshot taken when the session was opened."""

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, folder: Path, connection: Connection, cursor: adbc.Cursor
    ) -> None:
        super().__init__(duck, folder)
        self._connection = connection
        self._cursor = cursor

    def load(self, statement: Select[Any], target: str) -> None:
        """Stream the query's rows as Arrow into a DuckDB table."""
        self._cursor.execute(_sql(statement))
        self.duck.register("_incoming", self._cursor.fetch_record_batch())
        try:
            self.duck.execute(f'CREATE OR REPLACE TEMP TABLE "{target}" AS SELECT * FROM _incoming')
        finally:
            self.duck.unregister("_incoming")

    def push(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Create a temporary table in the reading session by binary COPY."""
        self._cursor.adbc_ingest(name, self.duck.sql(query).to_arrow_table(), mode="replace", temporary=True)
        self._cursor.execute(f'ANALYZE "{name}"')
        return staged_table(name, columns)

    def stage(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Create a temporary table in the applying session by COPY."""
        table = staged_table(name, columns, prefixes=["TEMPORARY"])
        self._connection.execute(DropTable(table, if_exists=True))
        self._connection.execute(CreateTable(table))
        self.insert(self._connection, self.gather(name, query, columns), table)
        self._connection.exec_driver_sql(f'ANALYZE "{name}"')
        return table

    def gather(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Gathered:
        """Write the rows to a CSV file."""
        path = self.folder / f"{name}.copy.csv"
        target = f"{literal(str(path))} (HEADER false, DELIMITER ',')"
        rows = int(scalar(self.duck, f"COPY ({query}) TO {target}"))
        return Gathered(str(path), tuple(c.name for c in columns), rows)

    @contextmanager
    def apply(self) -> Iterator[Connection]:
        """Go on in the transaction that holds the snapshot; the caller's block decides about commit."""
        yield self._connection
        self._connection.commit()

    def insert(self, connection: Connection, rows: Gathered, table: Table) -> None:
        """COPY the file into the table, and remove it."""
        path = Path(rows.place)
        preparer = connection.dialect.identifier_preparer
        columns = ", ".join(preparer.quote(name) for name in rows.columns)
        statement = f"COPY {preparer.format_table(table)} ({columns}) FROM STDIN (FORMAT csv)"
        cursor = connection.connection.cursor()
        try:
            with cursor.copy(statement) as copy, path.open("rb") as file:
                while block := file.read(_BLOCK):
                    copy.write(block)
        finally:
            cursor.close()
            path.unlink()


def _sql(statement: Select[Any]) -> str:
    compiled = statement.compile(
        dialect=postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    return str(compiled)
