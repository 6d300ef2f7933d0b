"""A thousand random scenarios, many in one connector: what a plan says is what is then applied, row for row.

``test_plan_is_exact`` plays some of them alone, where one that fails is made smaller; here they are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.guarded import scenarios
from tests.oracle.shapes import SHAPES
from tests.oracle.side_by_side import contents, draw, together
from tests.safeguards.test_plan_is_exact import THOROUGH, play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Databases

CONNECTORS = 3
"""With each of the four shapes; of the three one has thresholds, and the files of another one go through prepare."""
SIDE_BY_SIDE = 84


@pytest.mark.parametrize(
    "databases", ["sqlite", "postgresql"] if THOROUGH else ["sqlite"], indirect=True, ids=str
)
@pytest.mark.parametrize("number", range(CONNECTORS))
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_plans_are_what_is_applied(databases: Databases, tmp_path: Path, name: str, number: int) -> None:
    """No scenario is an empty one: each has changes that are planned and applied."""
    shape = SHAPES[name]
    scenario = draw(scenarios(shape, limited=number == 1), 40, number)[-1]
    drawn = draw(contents(shape, scenario), SIDE_BY_SIDE, number)

    merged = together(shape, scenario, drawn)
    played = play(databases, tmp_path, shape, merged, prepared=number == 2, plans=1)

    assert len({key[:2] for key in played.keys_seen}) == SIDE_BY_SIDE


def test_there_are_a_thousand() -> None:
    assert len(SHAPES) * CONNECTORS * SIDE_BY_SIDE >= 1000
