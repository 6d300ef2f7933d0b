"""The interface that each database implements.

A synchronization reads what is stored in bulk into DuckDB, compares there, and writes only the changes back. A
``BulkSession`` is the repository's end of that: ``push`` and ``load`` read under one view of the data, ``stage`` brings
rows over, ``gather`` has rows ready for ``insert``, and ``apply`` is the one transaction that changes anything.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Column, Connection, Engine, Index, Integer, MetaData, Select, Table, exc

from airflow_provider_idm.errors import ConcurrentChangeError, IdmError, RepositoryUnavailableError
from airflow_provider_idm.repository.dialects.views import ViewDialect
from airflow_provider_idm.repository.schema import LARGE

if TYPE_CHECKING:
    import duckdb


_ROWS_A_BATCH: Final = 100_000
_FILES_A_BATCH: Final = 2048
INCOMING: Final = "incoming"
"""What a query over the rows on their way from the repository calls them."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows on their way into a table: where they are, and which columns they fill, in order.

    :param place: the DuckDB query that gives them (PostgreSQL) or the name of a staged table (SQLite).
    """

    place: str
    columns: tuple[str, ...]


class BulkSession(ABC):
    """One synchronization's bulk traffic between DuckDB and the repository.

    :param duck: the DuckDB connection that compares.
    :param folder: a work folder for files in transit.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.duck = duck
        self.folder = folder

    @abstractmethod
    def load(self, statement: Select[Any], target: str, query: str = f"SELECT * FROM {INCOMING}") -> None:
        """Run a query in the repository and make its rows the DuckDB table ``target``.

        :param query: what to make of the rows on their way: a DuckDB query over ``INCOMING``, which it may read once.
        """

    @abstractmethod
    def push(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Make the rows of a DuckDB query a temporary table that the following ``load`` may join.

        An earlier table of that name is replaced.
        """

    @abstractmethod
    def stage(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Table:
        """Make the rows of a DuckDB query a temporary table that ``apply`` may join."""

    @abstractmethod
    def gather(self, name: str, query: str, columns: Sequence[Column[Any]]) -> Gathered:
        """Have the rows of a DuckDB query ready for ``insert``: text, whole numbers, truth values and moments.

        What the query reads stays as it is until then.
        """

    @abstractmethod
    def apply(self, filled: Sequence[Table] = ()) -> AbstractContextManager[Connection]:
        """Open the transaction that changes the repository; commit at the end, roll back on any error.

        :param filled: tables that many rows come into, and that hold few: their indexes (``secondary_indexes``) are
            better made anew than kept up row by row.
        """

    @abstractmethod
    def insert(self, connection: Connection, rows: Gathered, table: Table) -> None:
        """Insert gathered rows into a table, inside ``apply``."""


class DatabaseDialect(ABC):
    """One kind of database.

    :param views: its way with views.
    :param snapshot_options: execution options of a transaction all of whose statements see the same.
    """

    views: ViewDialect
    snapshot_options: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def engine(self, url: str) -> Engine:
        """Make the SQLAlchemy engine for a URL."""

    def translate(self, error: Exception, repository: str) -> IdmError | None:
        """Return the error of this provider that a driver's error stands for, or None if it is none of a driver's.

        Drivers quote whole rows in their messages, so only what cannot hold a value goes into ours.

        :param repository: what to call the repository; no password in it.
        """
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        return self.translate_driver(cause, repository) if cause is not None else None

    @abstractmethod
    def translate_driver(self, error: BaseException, repository: str) -> IdmError | None:
        """Translate an error of the database's own driver."""

    @abstractmethod
    def check(self, engine: Engine) -> None:
        """Check that the database can hold a repository.

        :raises RepositoryError: if it cannot.
        """

    @abstractmethod
    def lock(self, engine: Engine, name: str, timeout: float) -> AbstractContextManager[None]:
        """Hold a lock that no two processes hold at once, and that goes when its holder dies.

        :param timeout: seconds to wait for it.
        :raises LockedError: if somebody else held it all the time.
        """

    @abstractmethod
    def session(
        self, engine: Engine, duck: duckdb.DuckDBPyConnection, folder: Path
    ) -> AbstractContextManager[BulkSession]:
        """Open a bulk session."""

    @abstractmethod
    def mend_indexes(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Make the ``secondary_indexes`` that a process left away and, being killed, did not make again."""

    @abstractmethod
    def analyze(self, engine: Engine, tables: Sequence[Table]) -> None:
        """Bring the statistics that the query planner uses up to date."""

    @abstractmethod
    def begin(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Open a small writing transaction."""


def changed_meanwhile(error: BaseException) -> ConcurrentChangeError:
    """Return the error for a change that met another one."""
    return ConcurrentChangeError(
        "the repository changed while it was compared, and nothing was applied; try again, and look for another program "
        f"that writes to it ({type(error).__name__})"
    )


def not_available(repository: str, error: BaseException) -> RepositoryUnavailableError:
    """Return the error for a database that does not answer now."""
    return RepositoryUnavailableError(f"the repository {repository} does not answer: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def staged_table(name: str, columns: Sequence[Column[Any]], **options: Any) -> Table:
    """Describe a temporary table with copies of the given columns, free of keys and constraints."""
    plain = (Column(c.name, c.type, nullable=True) for c in columns)
    return Table(name, MetaData(), *plain, **options)


def rows_a_batch(columns: Sequence[Column[Any]]) -> int:
    """Return how many rows may be on their way in memory at once: few, if they hold whole files."""
    return _FILES_A_BATCH if any(column.info.get(LARGE) for column in columns) else _ROWS_A_BATCH


def lock_key(name: str) -> int:
    """Return the 64-bit number that stands for a name among a database's advisory locks."""
    return int.from_bytes(
        hashlib.sha256(f"airflow-provider-idm:{name}".encode()).digest()[:8], "big", signed=True
    )


def secondary_indexes(table: Table) -> list[Index]:
    """Return the indexes of a table that make reading fast and guarantee nothing."""
    return sorted((i for i in table.indexes if not i.unique), key=lambda index: str(index.name))


def duck_cast(column: Column[Any]) -> str:
    """Return the DuckDB type for a column of the repository that travels: numbers or text."""
    return "BIGINT" if isinstance(column.type, (Integer, BigInteger)) else "VARCHAR"
