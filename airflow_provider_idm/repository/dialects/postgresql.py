"""PostgreSQL: snapshot shared between the applying session and an Arrow reader, COPY for everything that is written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg.conninfo
from sqlalchemy import URL, Column, Connection, Engine, Integer, Select, Table, create_engine, exc, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, DropTable

from airflow_provider_idm.errors import (
    IdmError,
    LockedError,
    RepositoryError,
    RepositoryRefusedError,
    RepositoryUnavailableError,
)
from airflow_provider_idm.repository.dialects.base import (
    INCOMING,
    BulkSession,
    DatabaseDialect,
    Gathered,
    changed_meanwhile,
    first_line,
    lock_key,
    not_available,
    rows_a_batch,
    staged_table,
)
from airflow_provider_idm.repository.dialects.postgresql_binary import copy_data
from airflow_provider_idm.repository.dialects.postgresql_indexes import left_away, mend
from airflow_provider_idm.repository.dialects.views_postgresql import PostgresqlViews

if TYPE_CHECKING:
    import adbc_driver_postgresql.dbapi as adbc
    import duckdb
    import pyarrow as pa

_BLOCK = 1 << 18
_CONNECTIONS = 20
"""Connections that one process may have open at once, beside the one that is kept for the next small statement."""
_POLL_SECONDS = 0.2
_TEMPORARY = "pg_temp"
_SETTINGS = {
    # What a server or database may have set otherwise, and what values and moments pass through.
    "datestyle": "ISO",
    "timezone": "UTC",
    # A synchronization takes the time it takes.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Of every connection, by either driver."""
_MET_ANOTHER_CHANGE = {"40001", "40P01"}
"""Serialization failure and deadlock."""
_NOT_NOW = {"25006", "25P03", "25P04"}
"""No writing here, as on a standby after a failover; a transaction ended for its time was over. Both are no refusal."""
_LASTING = ("28", "3D", "3F")
"""Classes of errors that do not pass by themselves: who one is, which database, which schema."""
_LASTING_WORDS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")
"""The same when connecting, where there is no SQLSTATE."""


class PostgresqlDialect(DatabaseDialect):
    """PostgreSQL 14 or later, through psycopg 3 and, for bulk reads, ADBC."""

    views = PostgresqlViews()
    snapshot_options = MappingProxyType({"isolation_level": "REPEATABLE READ"})

    def engine(self, url: str) -> Engine:
        """Make the engine; any ``postgresql://`` URL is taken to psycopg 3."""
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        return create_engine(
            parsed,
            pool_size=1,
            max_overflow=_CONNECTIONS,
            pool_pre_ping=True,
            connect_args=_settings(parsed),
            hide_parameters=True,
        )

    def check(self, engine: Engine) -> None:
        """Check that the database holds all of Unicode."""
        with engine.connect() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise RepositoryError(
                f"the database of {engine.url!r} has the encoding {encoding}, which does not hold all characters: use "
                "one created with ENCODING 'UTF8'"
            )

    def translate_driver(self, error: BaseException, repository: str) -> IdmError | None:
        """Tell the errors of psycopg and of the Arrow driver apart."""
        if type(error).__module__.startswith("adbc_driver_manager"):
            # Its messages may quote the connection's text, password and all.
            return RepositoryUnavailableError(
                f"reading from the repository {repository} in bulk failed ({type(error).__name__})"
            )
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate or ""
        if isinstance(error, psycopg.IntegrityError) or state in _MET_ANOTHER_CHANGE:
            return changed_meanwhile(error)
        message = first_line(error)
        if state.startswith(_LASTING) or any(words in message for words in _LASTING_WORDS):
            return RepositoryError(f"the repository {repository} cannot be opened: {message}")
        if state in _NOT_NOW or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return not_available(repository, error)
        told = error.diag.message_primary if state.startswith("42") else None  # these name objects, no values
        place = ".".join(n for n in (error.diag.table_name, error.diag.column_name) if n)
        return RepositoryRefusedError(
            f"the repository {repository} refused a statement ({type(error).__name__}, SQLSTATE {state or 'unknown'}"
            f"{', ' + place if place else ''}){': ' + told if told else ''}; nothing was applied"
        )

    @contextmanager
    def lock(self, engine: Engine, name: str, timeout: float) -> Iterator[None]:
        """Hold a session-level advisory lock in a connection of its own."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()  # whatever happens, the lock goes with it
            schema, _, what = name.partition(":")
            if not schema:  # the same tables, whether their schema is named or is the default one
                schema = connection.exec_driver_sql("SELECT current_schema()").scalar() or ""
            key = lock_key(f"{schema}:{what}")
            deadline = time.monotonic() + timeout
            while not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar():
                if time.monotonic() >= deadline:
                    raise LockedError(
                        f"another synchronization holds the lock of {what or 'the schema'} for more than {timeout:g} s; "
                        "try again when it has ended"
                    )
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                # A connection that was cut has lost the lock already; what was done under it is done.
                with contextlib.suppress(exc.DBAPIError):
                    connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))

    @contextmanager
    def session(
        self, engine: Engine, duck: duckdb.DuckDBPyConnection, folder: Path
    ) -> Iterator[PostgresqlBulkSession]:
        """Open the applying transaction and a reader that sees the same snapshot."""
        with (
            _connecting(_conninfo(engine)) as connecting,
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        ):
            connection.detach()  # temporary tables go with it
            with connection.begin():
                snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
                with connecting.result().cursor() as cursor:
                    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                    cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                    yield PostgresqlBulkSession(duck, folder, connection, cursor)

    def mend_indexes(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Make the indexes that are missing, unless somebody is about to."""
        mend(engine, tables)

    def analyze(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Run ANALYZE on the columns by which rows are found."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            preparer = connection.dialect.identifier_preparer
            for table in tables:
                sought = {c.name for index in table.indexes for c in index.columns}
                sought |= {c.name for c in table.columns if c.primary_key or isinstance(c.type, Integer)}
                columns = ", ".join(preparer.quote(c.name) for c in table.columns if c.name in sought)
                connection.exec_driver_sql(f"ANALYZE {preparer.format_table(table)} ({columns})")

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

    def load(self, statement: Select[Any], target: str, query: str = f"SELECT * FROM {INCOMING}") -> None:
        """Stream the query's rows as Arrow into a DuckDB query."""
        self._cursor.execute(_sql(statement))
        failures: list[Exception] = []
        self.duck.register(INCOMING, _noting(self._cursor.fetch_record_batch(), failures))
        try:
            self.duck.execute(f'CREATE OR REPLACE TEMP TABLE "{target}" AS {query}')
        except Exception:
            if failures:  # DuckDB would say that its input is wrong
                raise RepositoryUnavailableError(
                    f"the connection to the repository broke while it was read ({type(failures[0]).__name__})"
                ) from None
            raise
        finally:
            self.duck.unregister(INCOMING)

    def push(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Create a temporary table in the reading session by binary COPY."""
        rows = self.duck.sql(query).to_arrow_reader(rows_a_batch(columns))
        self._cursor.adbc_ingest(name, rows, mode="replace", temporary=True)
        self._cursor.execute(f'ANALYZE {_TEMPORARY}."{name}"')
        return staged_table(name, columns, schema=_TEMPORARY)

    def stage(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Create a temporary table in the applying session by COPY."""
        # Named with its schema: a table of that name elsewhere is somebody else's.
        table = staged_table(name, columns, schema=_TEMPORARY)
        self._connection.execute(DropTable(table, if_exists=True))
        self._connection.execute(CreateTable(table))
        self.insert(self._connection, self.gather(name, query, columns), table)
        self._connection.exec_driver_sql(f'ANALYZE {_TEMPORARY}."{name}"')
        return table

    def gather(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Gathered:  # noqa: ARG002
        """Remember the query."""
        return Gathered(query, tuple(c.name for c in columns))

    @contextmanager
    def apply(self, filled: Sequence[Table] = ()) -> Iterator[Connection]:
        """Go on in the transaction that holds the snapshot; the caller's block decides about commit.

        Nothing is loaded any more.
        """
        if filled:
            self._cursor.execute("ROLLBACK")  # its locks, too, would be in the way of dropping indexes
        with left_away(self._connection.engine, filled):
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                self._connection.rollback()  # else its locks would be in the way of the indexes
                raise

    def insert(self, connection: Connection, rows: Gathered, table: Table) -> None:
        """COPY the query's rows into the table while DuckDB works them out."""
        preparer = connection.dialect.identifier_preparer
        columns = ", ".join(preparer.quote(name) for name in rows.columns)
        statement = f"COPY {preparer.format_table(table)} ({columns}) FROM STDIN (FORMAT binary)"
        pieces = copy_data(self.duck, rows.place, [table.c[name] for name in rows.columns])
        with (
            contextlib.closing(connection.connection.cursor()) as cursor,
            cursor.copy(statement) as copy,
            contextlib.closing(pieces),
        ):
            for piece in pieces:
                for start in range(0, len(piece), _BLOCK):
                    copy.write(piece[start : start + _BLOCK])


@contextmanager
def _connecting(conninfo: str) -> Iterator[Future[adbc.Connection]]:
    """Connect the Arrow driver, which takes its time, while something else is done; close the connection at the end."""
    import adbc_driver_postgresql.dbapi as adbc  # noqa: PLC0415 - heavy

    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(adbc.connect, conninfo, autocommit=True)
        try:
            yield connecting
        finally:
            if connecting.exception() is None:
                connecting.result().close()


def _noting(reader: pa.RecordBatchReader, failures: list[Exception]) -> pa.RecordBatchReader:
    """Return a reader of the same batches that notes what goes wrong in reading them."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except Exception as error:
            failures.append(error)
            raise

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _settings(url: URL) -> dict[str, Any]:
    """Return the connection parameters that set what ``_SETTINGS`` says, behind the URL's own options."""
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    given = url.query.get("options")
    return {"options": f"{given} {options}" if given else options, "client_encoding": "UTF8"}


def _conninfo(engine: Engine) -> str:
    """Return what psycopg connects with, as libpq reads it: the Arrow driver then connects to the same."""
    _, arguments = engine.dialect.create_connect_args(engine.url)
    known = {name: value for name, value in arguments.items() if name != "context"}
    return psycopg.conninfo.make_conninfo(**known | _settings(engine.url))


def _sql(statement: Select[Any]) -> str:
    compiled = statement.compile(
        dialect=postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    return str(compiled)
