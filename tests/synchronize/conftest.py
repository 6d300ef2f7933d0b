"""Connectors to synchronize, each with a repository, an exchange and a work folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.oracle.harness import Harness
from tests.oracle.shapes import Shape

MakeHarness = Callable[..., Harness]


def make_tables(url: str) -> None:
    """Create the repository's tables in an empty database."""
    from airflow_provider_idm.repository import Repository

    Repository.open(url).close()


@pytest.fixture
def make_harness(databases: Databases, tmp_path: Path) -> Iterator[MakeHarness]:
    """Give a maker of connectors under test; those of one test share a repository and an exchange unless ``apart``."""
    made: list[Harness] = []
    urls: list[str] = []

    def make(shape: Shape, *, apart: bool = False) -> Harness:
        if apart or not urls:
            urls.append(databases.prepared(make_tables))
        harness = Harness(shape, urls[-1], tmp_path / f"repository{len(urls)}")
        made.append(harness)
        return harness

    yield make
    for harness in made:
        harness.close()
    for url in urls:
        databases.drop(url)
