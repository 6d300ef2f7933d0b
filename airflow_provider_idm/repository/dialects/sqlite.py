"""SQLite: everything in bulk travels through a staging file beside the repository.

The Arrow driver brings an SQLite library of its own. Two libraries that have the same file open in one process break its
locks (closing one's handle drops the other's), so the driver only ever opens the staging file, never the repository:
the repository's own connection attaches it and copies rows in or out with plain SQL.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, DropIndex

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
    duck_cast,
    first_line,
    not_available,
    rows_a_batch,
    secondary_indexes,
    staged_table,
)
from airflow_provider_idm.repository.dialects.views_sqlite import SqliteViews

if TYPE_CHECKING:
    import duckdb

_STAGE: Final = "stage"
_WRITES: Final = "idm_writes"
_POLL_SECONDS = 0.1
_ROWS_A_BATCH = 100_000
_BUSY_SECONDS = 600
_LONGEST_NAME = 40
_LASTING_WORDS = (
    "unable to open",
    "readonly database",
    "not a database",
    "malformed",
    "no such table",
    "no such column",
)


class SqliteDialect(DatabaseDialect):
    """An SQLite file in WAL mode: readers are never blocked, every commit is durable."""

    views = SqliteViews()

    def engine(self, url: str) -> Engine:
        """Make the engine.

        :raises RepositoryError: if the URL names no file.
        """
        parsed = make_url(url)
        if parsed.database in {None, "", ":memory:"}:
            raise RepositoryError(
                f"{url}: an identity repository on SQLite needs a file, e.g. sqlite:////var/lib/idm/idm.sqlite"
            )
        engine = create_engine(
            parsed, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        return engine

    def check(self, engine: Engine) -> None:
        """Make the folder that the file goes to."""
        folder = Path(str(engine.url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RepositoryError(
                f"the folder {folder} for the repository cannot be made: {error.strerror}"
            ) from None

    def translate_driver(self, error: BaseException, repository: str) -> IdmError | None:
        """Tell the errors of SQLite apart by what they say."""
        if type(error).__module__.startswith("adbc_driver_manager"):
            return RepositoryUnavailableError(
                f"the staging file of {repository} failed ({type(error).__name__}); is there room in the work folder?"
            )
        if not isinstance(error, sqlite3.Error):
            return None
        if isinstance(error, sqlite3.IntegrityError):
            return changed_meanwhile(error)
        message = first_line(error)
        if any(words in message for words in _LASTING_WORDS):
            return RepositoryError(f"the repository {repository} cannot be used: {message}")
        if isinstance(error, sqlite3.OperationalError):
            return not_available(repository, error)
        return RepositoryRefusedError(
            f"the repository {repository} refused a statement ({type(error).__name__}); nothing was applied"
        )

    @contextmanager
    def lock(self, engine: Engine, name: str, timeout: float) -> Iterator[None]:
        """Hold an advisory lock on a file beside the database."""
        safe = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)[:_LONGEST_NAME]
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        path = Path(f"{Path(str(engine.url.database)).resolve()}.{safe}.lock")
        with path.open("a") as file:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise LockedError(
                            f"another synchronization holds {path} for more than {timeout:g} s; "
                            "try again when it has ended"
                        ) from None
                    time.sleep(_POLL_SECONDS)
            yield

    @contextmanager
    def session(
        self, engine: Engine, duck: duckdb.DuckDBPyConnection, folder: Path
    ) -> Iterator[SqliteBulkSession]:
        """Open a session with a fresh staging file."""
        session = SqliteBulkSession(duck, folder, engine)
        try:
            yield session
        finally:
            session.close()

    def mend_indexes(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Nothing can be missing: indexes are left away and made again in one transaction."""

    def analyze(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Run ANALYZE on the tables, looking at a sample of each index."""
        with self.begin(engine) as connection:
            connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
            for table in tables:
                connection.exec_driver_sql(f'ANALYZE "{table.name}"')

    @contextmanager
    def begin(self, engine: Engine) -> Iterator[Connection]:
        """Open a transaction that takes SQLite's one write lock at once, instead of failing half way."""
        with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
            yield connection


class SqliteBulkSession(BulkSession):
    """Reads and writes through a staging file.

    There is no snapshot across several ``load`` calls: the connector's lock keeps its data still, and the revision
    that the apply checks tells if it did not.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection, folder: Path, engine: Engine) -> None:
        super().__init__(duck, folder)
        self._engine = engine
        self._file = folder / "stage.sqlite"
        self.close()

    def close(self) -> None:
        """Remove the staging file."""
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)

    def load(self, statement: Select[Any], target: str, query: str = f"SELECT * FROM {INCOMING}") -> None:
        """Copy the query's rows into the staging file, and from there into a DuckDB query."""
        columns = list(statement.selected_columns)
        with self._attached(writes=False) as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_STAGE}.outgoing")
            connection.exec_driver_sql(f"CREATE TABLE {_STAGE}.outgoing AS {_sql(statement)}")
        # The driver types a column by its first rows, so none may begin with NULLs; stored values are never
        # empty and ids never 0.
        masked, unmasked = [], []
        for column in columns:
            kind = duck_cast(column)  # type: ignore[arg-type]
            name, nothing = f'"{column.name}"', "0" if kind == "BIGINT" else "''"
            masked.append(f"coalesce({name}, {nothing}) AS {name}")
            unmasked.append(f"nullif(CAST({name} AS {kind}), {nothing}) AS {name}")
        with self._driver() as cursor:
            cursor.execute(f"SELECT {', '.join(masked)} FROM outgoing")
            self.duck.register("masked", cursor.fetch_record_batch())
            try:
                self.duck.execute(
                    f'CREATE OR REPLACE TEMP TABLE "{target}" AS '
                    f"WITH {INCOMING} AS NOT MATERIALIZED (SELECT {', '.join(unmasked)} FROM masked) {query}"
                )
            finally:
                self.duck.unregister("masked")

    def push(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Put the rows into the staging file."""
        return self.stage(name, query, columns)

    def stage(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Put the rows into the staging file."""
        # Not knowing how few they are, SQLite would read all that they are joined with.
        self._ingest(name, query, columns, f'ANALYZE "{name}"')
        return staged_table(name, columns, schema=_STAGE)

    def gather(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Gathered:
        """Put the rows into the staging file."""
        self._ingest(name, query, columns)
        return Gathered(name, tuple(c.name for c in columns))

    @contextmanager
    def apply(self, filled: Sequence[Table] = ()) -> Iterator[Connection]:
        """Open the writing transaction with the staging file attached."""
        with self._attached(writes=True) as connection:
            indexes = [index for table in filled for index in secondary_indexes(table)]
            for index in indexes:
                connection.execute(DropIndex(index, if_exists=True))
            yield connection
            for index in indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))

    def insert(self, connection: Connection, rows: Gathered, table: Table) -> None:
        """Insert the staged rows by one statement."""
        source = staged_table(rows.place, [table.c[name] for name in rows.columns], schema=_STAGE)
        statement = select(*(source.c[name] for name in rows.columns))
        connection.execute(insert(table).from_select(list(rows.columns), statement, include_defaults=False))

    def _ingest(self, name: str, query: str, columns: Sequence[Column[Any]], *more: str) -> None:
        """Put the rows into a table of the staging file; then run more statements there."""
        casts = ", ".join(f'CAST("{c.name}" AS {duck_cast(c)}) AS "{c.name}"' for c in columns)
        rows = self.duck.sql(f"SELECT {casts} FROM ({query})").to_arrow_reader(rows_a_batch(columns))
        with self._driver() as cursor:
            cursor.adbc_ingest(name, rows, mode="replace")
            for statement in more:
                cursor.execute(statement)
                cursor.fetchall()

    @contextmanager
    def _driver(self) -> Iterator[Any]:
        import adbc_driver_sqlite.dbapi as adbc  # noqa: PLC0415 - heavy

        with (
            adbc.connect(f"file:{quote(str(self._file))}", autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):
                cursor.execute(f"PRAGMA {pragma}")
                cursor.fetchall()
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_ROWS_A_BATCH)})
            yield cursor

    @contextmanager
    def _attached(self, *, writes: bool) -> Iterator[Connection]:
        with self._engine.connect().execution_options(**{_WRITES: writes}) as connection:
            # Outside any transaction: SQLite attaches nothing inside one.
            raw = connection.connection.driver_connection
            raw.execute(f"ATTACH DATABASE ? AS {_STAGE}", (str(self._file),))  # type: ignore[union-attr]
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):
                raw.execute(f"PRAGMA {_STAGE}.{pragma}")  # type: ignore[union-attr]
            with connection.begin():
                yield connection


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`, not by the driver
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sql(statement: Select[Any]) -> str:
    return str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
