"""Plain connections to a database: what anybody else would see of it, and do to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


@contextmanager
def connect(url: str, **arguments: Any) -> Iterator[sa.Connection]:
    """Open a connection that commits every statement.

    :param arguments: for the driver.
    """
    engine = sa.create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args=arguments
    )
    with engine.connect() as connection:
        yield connection


def execute(url: str, *statements: str) -> None:
    """Execute statements."""
    with connect(url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def database_of(url: str) -> str:
    """Name the database of a URL."""
    return str(sa.make_url(url).database)


def with_parts(url: str, **parts: Any) -> str:
    """Return a URL with other parts: ``username``, ``password``, ``host``, ``database`` …"""
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)
