"""Connectors whose repository was filled once and is copied for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.oracle.harness import Harness
from tests.oracle.shapes import Limits, Shape
from tests.safeguards.sources import COMPANY, SMALL, Size, filled, last_batch

MakeFilled = Callable[..., Harness]


@pytest.fixture
def make_filled(databases: Databases, tmp_path: Path) -> Iterator[MakeFilled]:
    """Give a maker of connectors that hold a first batch, each with a repository and an exchange of its own."""
    made: list[Harness] = []

    def make(thresholds: Limits | None = None, size: Size = SMALL, shape: Shape = COMPANY) -> Harness:
        url = databases.prepared(filled(size, shape))
        if thresholds is not None:
            shape = shape.with_thresholds(thresholds)
        harness = Harness(shape, url, tmp_path / f"connector{len(made)}")
        harness.last = last_batch(harness)
        made.append(harness)
        return harness

    yield make
    for harness in made:
        harness.close()
        databases.drop(harness.url)
