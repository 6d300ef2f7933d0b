"""Many random scenarios at once: each has keys of its own, so that one connector takes them all without their meeting.

A plan and a synchronization cost much the same for one small scenario as for fifty. What they share is how their batches
come (modes, which wait, what is decided, the thresholds); what is in them is drawn for each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.oracle.guarded import Scenario
from tests.oracle.sequences import Edit, column_values, edits, puts, raw_commands
from tests.oracle.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Drawn = TypeVar("Drawn")
Content = tuple[tuple[Any, ...], ...]
"""What is in the batches of one scenario: edits, or raw commands, step by step."""


def draw(strategy: st.SearchStrategy[Drawn], count: int, number: int) -> list[Drawn]:
    """Have hypothesis draw so many examples; the same ones for the same number."""
    found: list[Drawn] = []

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], database=None)
    @given(strategy)
    def collect(example: Drawn) -> None:
        found.append(example)

    collect()
    assert len(found) >= count, f"{len(found)} examples are all there are"
    return found[:count]


def contents(shape: Shape, scenario: Scenario) -> st.SearchStrategy[Content]:
    """Draw other contents for the batches of a scenario; the first one stores a resource at least."""
    many = st.lists(edits(shape), min_size=2, max_size=12)
    first = st.builds(lambda drawn, last: (*drawn, last), many, puts(shape))
    some = st.lists(edits(shape), max_size=5).map(tuple)
    raw = raw_commands(shape)
    rest = (some if turn.step.raw is None else raw for turn in scenario.turns[1:])
    return st.tuples(first, *rest)


def together(shape: Shape, scenario: Scenario, drawn: Sequence[Content]) -> Scenario:
    """Return one scenario of many: its batches hold those contents side by side."""
    turns = []
    for number, turn in enumerate(scenario.turns):
        parts = [_with_own_keys(shape, content[number], place) for place, content in enumerate(drawn)]
        merged = tuple(item for part in parts for item in part)
        raw = turn.step.raw is not None
        step = replace(turn.step, edits=() if raw else merged, raw=merged if raw else None)
        turns.append(replace(turn, step=step))
    return replace(scenario, turns=tuple(turns))


def _with_own_keys(shape: Shape, items: Iterable[Any], place: int) -> list[Any]:
    """Return edits, or raw commands, whose keys are those of one scenario alone."""
    return [
        replace(item, row=_renamed(shape, item.table, item.row, place))
        if isinstance(item, Edit)
        else (item[0], item[1], _renamed(shape, item[0], item[2], place))
        for item in items
    ]


def _renamed(
    shape: Shape, table: str, row: tuple[tuple[str, str], ...], place: int
) -> tuple[tuple[str, str], ...]:
    # Where a key can be left out the alphabet has no empty value; free texts have.
    keys = {column for column, values in column_values(shape, table).items() if "" not in values}
    return tuple((c, f"{place:02}{value}" if value and c in keys else value) for c, value in row)
