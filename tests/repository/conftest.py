"""Repositories beside which somebody else uses the database, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Databases
from tests.synchronize.conftest import make_harness

__all__ = ["make_harness"]


@pytest.fixture
def postgresql_url(postgresql_databases: Databases) -> Iterator[str]:
    """Give the URL of a new, empty database on PostgreSQL."""
    url = postgresql_databases.empty()
    yield url
    postgresql_databases.drop(url)
