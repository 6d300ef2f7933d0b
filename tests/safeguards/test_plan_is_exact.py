"""What a plan says of any batches is what is then applied, or kept for review: the same set, row for row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.guarded import GuardedRunner, Scenario, scenarios
from tests.oracle.harness import Harness
from tests.oracle.shapes import SHAPES, Shape
from tests.synchronize.conftest import make_tables

if TYPE_CHECKING:
    from tests.conftest import Databases

EXAMPLES = settings.default.max_examples  # type: ignore[union-attr]
SHORT = EXAMPLES <= 10
"""Whether only a few examples are wanted."""


def play(
    databases: Databases, folder: Path, shape: Shape, scenario: Scenario, *, prepared: bool
) -> list[str]:
    """Play a scenario in a repository of its own; return the hash of every change set."""
    url = databases.prepared(make_tables)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        harness = Harness(shape.with_thresholds(scenario.limits), url, Path(place))
        try:
            runner = GuardedRunner(harness, prepared=prepared)
            runner.play(scenario)
        finally:
            harness.close()
            databases.drop(url)
    return runner.hashes_seen


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_plan_is_what_is_applied_row_for_row(databases: Databases, tmp_path: Path, name: str) -> None:
    """Two of three scenarios have thresholds; every fourth goes through the real prepare."""
    shape = SHAPES[name]
    drawn = st.one_of(*(scenarios(shape, limited=limited) for limited in (False, True, True)))

    @settings(max_examples=3 if SHORT else EXAMPLES)
    @given(drawn, st.sampled_from([False, False, False, True]))
    def plays(scenario: Scenario, prepared: bool) -> None:
        play(databases, tmp_path, shape, scenario, prepared=prepared)

    plays()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_both_databases_say_the_same(
    sqlite_databases: Databases, postgresql_databases: Databases, tmp_path: Path, name: str
) -> None:
    """The hash that an approval is bound to does not depend on the database."""
    shape = SHAPES[name]

    @settings(max_examples=1 if SHORT else EXAMPLES // 10)
    @given(scenarios(shape, limited=True))
    def plays(scenario: Scenario) -> None:
        hashes = [
            play(databases, tmp_path, shape, scenario, prepared=False)
            for databases in (sqlite_databases, postgresql_databases)
        ]
        assert hashes[0] == hashes[1] != []

    plays()
