"""What indexes the repository's two great tables have, as anybody else sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.synchronization.synchronize import batch
from airflow_provider_idm.synchronization.synchronize.apply import Applier

OF_RESOURCES = {"UR_Resources_U0", "UR_Resources_U1", "UR_Resources_U2"}
OF_LINKS = {"UR_ResourceLinks_R2"}
SECONDARY = OF_RESOURCES | OF_LINKS
"""Those that guarantee nothing."""

_POSTGRESQL = """
    SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    WHERE t.relname IN ('UR_Resources', 'UR_ResourceLinks') AND i.indisvalid AND i.indisready AND i.indislive
"""
_SQLITE = """
    SELECT name, sql FROM sqlite_master
    WHERE type = 'index' AND tbl_name IN ('UR_Resources', 'UR_ResourceLinks') AND sql IS NOT NULL
"""


def indexes_of(connection: sa.Connection) -> dict[str, str]:
    """Return the definitions of all valid indexes of the tables, by name."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    return {row[0]: row[1] for row in connection.exec_driver_sql(query)}


def indexes(url: str) -> dict[str, str]:
    """Return what ``indexes_of`` does, of what is committed."""
    with connect(url) as connection:
        return indexes_of(connection)


def missing(url: str) -> set[str]:
    """Name the secondary indexes that are not there."""
    return SECONDARY - indexes(url).keys()


@contextmanager
def connect(url: str) -> Iterator[sa.Connection]:
    """Open a connection of somebody else."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def left_away(
    patch: pytest.MonkeyPatch, url: str, many: int | None = 2, then: Callable[[], None] | None = None
) -> list[set[str]]:
    """Record which secondary indexes are missing while rows come in, a set for each batch that is applied.

    :param many: how many rows count as many from now on; None leaves that.
    :param then: what else to do, once a batch's rows have come.
    """
    found: list[set[str]] = []
    apply = Applier.apply

    def watched(applier: Any, *arguments: Any) -> None:
        connection = applier._connection
        # Dropped before the transaction began, PostgreSQL's do not show in its snapshot; SQLite's show nowhere else.
        there = indexes_of(connection) if connection.dialect.name == "sqlite" else indexes(url)
        found.append(SECONDARY - there.keys())
        apply(applier, *arguments)
        if then:
            then()

    if many is not None:
        patch.setattr(batch, "MANY", many)
    patch.setattr(Applier, "apply", watched)
    return found
