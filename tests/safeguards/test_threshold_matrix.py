"""Every threshold on every scope, one below its limit, at it, and one above: only the last one blocks.

The cases are generated, and so is what is expected of them: the model counts what a batch changes, the oracle says
which thresholds that exceeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS
from tests.oracle.thresholds import DEFAULTS, LINKS, RESOURCES
from tests.safeguards.against_oracle import MODES, run
from tests.safeguards.sources import (
    ASSOCIATIONS,
    EMPTY,
    SMALL,
    TYPES,
    Size,
    as_batch,
    changed,
    content,
    limits,
    model_of,
    shared,
)

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled

LIMIT = 3


@dataclass(frozen=True)
class Case:
    """So many changes of a kind, where one threshold allows ``limit`` of them.

    :param written: the attribute as the XML spells it.
    :param counts: the changes, by entity type or association.
    """

    scope: str
    written: str
    limit: str
    change: str
    counts: tuple[tuple[str, int], ...]
    mode: str
    exceeds: bool
    size: Size = SMALL

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)

    def __str__(self) -> str:
        return f"{self.scope}-{self.written}={self.limit}-{self.total}-{self.mode}"


def percentage(count: int, stored: int) -> str:
    """Write which percentage a number is, exactly."""
    exact = Fraction(100 * count, stored)
    text = f"{float(exact):.6f}".rstrip("0").rstrip(".")
    assert Fraction(text) == exact, f"{count} of {stored} is no round percentage"
    return text


SCOPES = (
    ("Person", "resource", ("Person",), ["Maximum{}Lines"], ["MaxPercentage{}Lines"]),
    (CONNECTOR, "resource", TYPES, ["Maximum{}Lines"], ["MaxPercentage{}Lines"]),
    (
        "Person_Organization",
        "link",
        ("Person_Organization",),
        ["Maximum{}Lines", "MaximumLink{}Lines"],
        ["MaxPercentage{}Lines", "MaxLinkPercentage{}Lines", "MaxPercentageLink{}Lines"],
    ),
    (
        CONNECTOR,
        "link",
        ASSOCIATIONS,
        ["MaximumLink{}Lines"],
        ["MaxLinkPercentage{}Lines", "MaxPercentageLink{}Lines"],
    ),
)
"""Each scope, what it counts, and its attributes, {} standing for the change; the first spelling is the usual one."""


def matrix(usual: slice, counts: tuple[int, ...], modes: tuple[str, ...]) -> Iterator[Case]:
    """Generate every attribute on every scope.

    :param usual: which spellings to take.
    :param counts: how many changes.
    """
    for scope, kind, counted, absolute, relative in SCOPES:
        stored = sum(SMALL.stored[name] for name in counted)
        for change in RESOURCES if kind == "resource" else LINKS:
            written = [(name, str(LIMIT)) for name in absolute[usual]]
            written += [(name, percentage(LIMIT, stored)) for name in relative[usual]]
            for name, limit in written:
                for count in counts:
                    shares = tuple(shared(count, counted).items())
                    for mode in modes:
                        yield Case(
                            scope, name.format(change), limit, change, shares, mode, exceeds=count > LIMIT
                        )


def synchronize_case(make_filled: MakeFilled, case: Case) -> None:
    harness = make_filled(limits(case.scope, {case.written: case.limit}), case.size)
    files = as_batch(case.size, changed(case.size, case.change, dict(case.counts)), case.mode)
    _, _, expected = run(harness, model_of(case.size), files, case.mode)
    assert len(expected) == case.exceeds, "the case is not what it says it is"


@pytest.mark.parametrize("case", list(matrix(slice(1), (LIMIT - 1, LIMIT, LIMIT + 1), MODES)), ids=str)
def test_every_threshold_below_at_and_above_its_limit(make_filled: MakeFilled, case: Case) -> None:
    synchronize_case(make_filled, case)


@pytest.mark.parametrize("case", list(matrix(slice(1, None), (LIMIT, LIMIT + 1), MODES[:1])), ids=str)
def test_every_other_spelling_means_the_same(make_filled: MakeFilled, case: Case) -> None:
    synchronize_case(make_filled, case)


# ----------------------------------------------------------------------------------------------- more percentages


def percentages() -> Iterator[Case]:
    """Generate percentages at and around which a calculation in floats goes wrong."""
    rounded = [
        ("0.1", 1000, 1),  # exactly the limit
        ("0.1", 1001, 1),  # a little below it
        ("0.1", 999, 1),  # a little above it
        ("33.3", 10, 3),
        ("33.3", 10, 4),
        ("33.3", 1000, 333),
        ("33.3", 1000, 334),
        ("55", 20, 11),  # 11 / 20 * 100 > 55
        ("29", 100, 29),  # 29 > 100 * (29 / 100)
        ("18.4", 375, 69),  # 69 * 100 > 18.4 * 375
        ("5.6", 125, 7),  # 7 / 125 > 5.6 / 100
        ("99.9", 1000, 999),
        ("99.99", 1000, 1000),
        ("100", 30, 30),
        ("150", 20, 30),
        ("150", 20, 31),
        ("0.0001", 1000, 1),
        (".5", 200, 1),
        ("0.5", 199, 1),
    ]
    for n, (limit, stored, count) in enumerate(rounded):
        change = "Inserted" if count > stored else "Updated"
        yield Case(
            ("Person", CONNECTOR)[n % 2],
            f"MaxPercentage{change}Lines",
            limit,
            change,
            (("Person", count),),
            MODES[n % 2],
            exceeds=Fraction(100 * count, stored) > Fraction(limit),
            size=Size(stored, 0, 0, 0),
        )


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize("case", list(percentages()), ids=str)
def test_percentages_are_exact(make_filled: MakeFilled, case: Case) -> None:
    synchronize_case(make_filled, case)


def of_nothing() -> Iterator[Case]:
    """Generate percentages of nothing: of all that is stored, of one entity type or association."""
    no_links = Size(5, 5, 0, 0)
    for size, scope, written, counts in (
        (EMPTY, CONNECTOR, "MaxPercentageInsertedLines", {"Person": 1}),
        (EMPTY, "Person", "MaxPercentageInsertedLines", {"Person": 1}),
        (EMPTY, "Person", "MaxPercentageInsertedLines", {"Organization": 1}),
        (Size(0, 5, 0, 0), "Person", "MaxPercentageInsertedLines", {"Person": 1}),
        (Size(0, 5, 0, 0), CONNECTOR, "MaxPercentageInsertedLines", {"Person": 2}),
        (no_links, CONNECTOR, "MaxLinkPercentageInsertedLines", {"Organization_Parent": 1}),
        (no_links, "Organization_Parent", "MaxPercentageInsertedLines", {"Organization_Parent": 1}),
        (no_links, "Organization_Parent", "MaxPercentageInsertedLines", {"Person_Organization": 1}),
        (
            Size(5, 5, 1, 0),
            "Organization_Parent",
            "MaxPercentageInsertedLines",
            {"Organization_Parent": 1},
        ),
        (Size(5, 5, 1, 0), CONNECTOR, "MaxLinkPercentageInsertedLines", {"Organization_Parent": 1}),
    ):
        counted = [scope] if scope != CONNECTOR else ASSOCIATIONS if "Link" in written else TYPES
        stored = sum(size.stored[name] for name in counted)
        count = sum(counts.get(name, 0) for name in counted)
        for mode in MODES if size != EMPTY else MODES[:1]:
            yield Case(
                scope,
                written,
                "100000",
                "Inserted",
                tuple(counts.items()),
                mode,
                exceeds=not stored and count > 0,
                size=size,
            )


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("case", list(of_nothing()), ids=str)
def test_any_change_exceeds_a_percentage_of_nothing(make_filled: MakeFilled, case: Case) -> None:
    synchronize_case(make_filled, case)


# ------------------------------------------------------------------------------------------------------ defaults

MANY = Size(persons=2200, organizations=0, members=0, parents=0)
LINKED = Size(persons=2200, organizations=5, members=1050, parents=0)


def defaults() -> Iterator[tuple[str, Size, str, int]]:
    """Generate each attribute of a connector that has a default, the others being off."""
    for written in CONNECTOR_THRESHOLDS:
        change = next(c for c in RESOURCES if c in written)
        links = "Link" in written
        if "Percentage" in written:
            size = Size(100, 20, 60, 0) if links else Size(100, 0, 0, 0)
            stored = size.members if links else size.persons
            at_limit = stored * int(DEFAULTS[written]) // 100
        else:
            size = LINKED if links else MANY
            at_limit = int(DEFAULTS[written])
        for count in (at_limit, at_limit + 1):
            yield written, size, change, count


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("written", "size", "change", "count"), list(defaults()))
def test_defaults_of_a_connector(
    make_filled: MakeFilled, written: str, size: Size, change: str, count: int
) -> None:
    others = {name: "0" for name in CONNECTOR_THRESHOLDS if name != written}
    harness = make_filled({CONNECTOR: others}, size)
    target = "Person_Organization" if "Link" in written else "Person"
    files = changed(size, change, {target: count})

    result, _, expected = run(harness, model_of(size), files, "Complete")

    assert [e.name for e in expected] == [written] * (result.state == "blocked")
    assert bool(expected) == (count in {6, 4, 101, 1001})


@pytest.mark.parametrize(
    ("persons", "count", "names"),
    [
        (2000, 100, []),
        (2001, 101, ["MaxPercentageUpdatedLines", "MaximumUpdatedLines"]),
        (2200, 101, ["MaximumUpdatedLines"]),
        (100, 6, ["MaxPercentageUpdatedLines"]),
    ],
)
def test_with_nothing_written_the_defaults_hold(
    make_filled: MakeFilled, persons: int, count: int, names: list[str]
) -> None:
    size = Size(persons, 0, 0, 0)
    harness = make_filled({}, size)
    _, _, expected = run(harness, model_of(size), changed(size, "Updated", {"Person": count}), "Complete")
    assert [e.name for e in expected] == names[::-1]


def test_with_nothing_written_a_first_complete_is_reviewed(make_filled: MakeFilled) -> None:
    """5 % of nothing: nobody knows yet whether these are the right files."""
    harness = make_filled({}, EMPTY)
    result, _, _ = run(harness, model_of(EMPTY), content(SMALL), "Complete")
    assert {(t.name, t.actual, t.stored) for t in result.thresholds} == {
        ("MaxPercentageInsertedLines", None, 0),
        ("MaxLinkPercentageInsertedLines", None, 0),
    }
