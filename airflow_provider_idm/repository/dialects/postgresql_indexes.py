"""Filling PostgreSQL's tables without keeping up every index.

Kept up row by row, an index in whose order the rows do not come costs several times what making it at the end does. It
is dropped before, in a transaction of its own: within the one that applies, readers would be locked out until the end.
Readers never wait for an index that is made; writers of other connectors do.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg.errors
from sqlalchemy import Connection, Engine, Table, exc
from sqlalchemy.schema import CreateIndex, DropIndex

from airflow_provider_idm.repository.dialects.base import lock_key, secondary_indexes

if TYPE_CHECKING:
    from sqlalchemy import Index

log = logging.getLogger(__name__)

_PATIENCE: Final = "200ms"
"""How long readers may wait for the moment in which an index is dropped; if that is not enough, it stays."""
_KEPT: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege)
"""Why an index stays: its table is in use, or somebody else's."""


@contextmanager
def left_away(engine: Engine, tables: Sequence[Table]) -> Iterator[None]:
    """Leave the secondary indexes of tables away; they are made again whatever happens.

    If that fails, what was done without them is done all the same: ``mend`` makes them.
    """
    if not tables:
        yield
        return
    with _alone(engine, tables) as connection:
        dropped: list[Index] = []
        try:
            for index in (i for table in tables for i in secondary_indexes(table)):
                if connection and _drop(connection, index):
                    dropped.append(index)  # noqa: PERF401 - those that are gone when one fails
            yield
        finally:
            if connection:
                _make(connection, dropped)


def mend(engine: Engine, tables: Sequence[Table]) -> None:
    """Make the secondary indexes that are missing, unless a process that left them away is still at work."""
    with engine.connect() as connection:
        if not _missing(connection, tables):
            return
    with _alone(engine, tables) as alone:
        if alone is None:
            log.info("somebody else is about to make the indexes that are missing")
        elif missing := _missing(alone, tables):
            log.warning("an earlier run did not come to make %s again; doing so now", _names(missing))
            _make(alone, missing)


@contextmanager
def _alone(engine: Engine, tables: Sequence[Table]) -> Iterator[Connection | None]:
    """Give a connection that holds the lock of those who leave indexes away; None if somebody else holds it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # whatever happens, the lock goes with it
        schema = tables[0].schema or connection.exec_driver_sql("SELECT current_schema()").scalar()
        key = lock_key(f"indexes of {schema or ''}")  # no colon stands in it, as in the locks of connectors
        if not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar():
            yield None
            return
        try:
            yield connection
        finally:
            # A connection that was cut has lost it already.
            with contextlib.suppress(exc.DBAPIError):
                if not connection.invalidated:
                    connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))


def _drop(connection: Connection, index: Index) -> bool:
    """Drop an index if nobody's reading or writing is in the way, and if it is ours; tell whether it is gone."""
    connection.exec_driver_sql(f"SET lock_timeout = '{_PATIENCE}'")
    try:
        connection.execute(DropIndex(index, if_exists=True))
    except exc.DBAPIError as error:
        if not isinstance(error.orig, _KEPT):
            raise
        log.debug("%s is kept (%s)", index.name, type(error.orig).__name__)
        return False
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("SET lock_timeout = 0")
    return True


def _make(connection: Connection, indexes: Sequence[Index]) -> None:
    try:
        for index in indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    except exc.DBAPIError as error:
        log.warning(
            "not all of %s could be made again (%s); reading is slower until a later run does so",
            _names(indexes),
            type(error.orig).__name__,
        )


def _missing(connection: Connection, tables: Sequence[Table]) -> list[Index]:
    preparer = connection.dialect.identifier_preparer
    indexes = {
        preparer.format_index(index)
        if table.schema is None
        else f"{preparer.quote_schema(table.schema)}.{preparer.format_index(index)}": index
        for table in tables
        for index in secondary_indexes(table)
    }
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL"
    return [indexes[name] for (name,) in connection.exec_driver_sql(query, (list(indexes),))]


def _names(indexes: Sequence[Index]) -> str:
    return ", ".join(str(i.name) for i in indexes)
