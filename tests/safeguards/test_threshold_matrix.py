"""Every threshold on every scope, one below its limit, at it, and one above: only the last one blocks.

The cases are generated, and so is what is expected of them: the model counts what a batch changes, the oracle says
which thresholds that exceeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.oracle.harness import Harness, Snapshot, expected_snapshot
from tests.oracle.model import CleanFile, Model, Outcome, difference
from tests.oracle.runner import compare_counts
from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS, DIRECTORY, Limits
from tests.oracle.thresholds import DEFAULTS, LINKS, RESOURCES, Exceeded, Unmapped, exceeded, told
from tests.safeguards.sources import (
    ASSOCIATIONS,
    COMPANY,
    EMPTY,
    SMALL,
    TYPES,
    Files,
    Size,
    as_batch,
    changed,
    content,
    limits,
    model_of,
    shared,
    without,
)

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult
    from tests.safeguards.conftest import MakeFilled

LIMIT = 3
MODES = ("Complete", "Incremental")


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


def run(
    harness: Harness, model: Model, files: Files, mode: str, **more: Unmapped
) -> tuple[SynchronizeResult, Outcome, list[Exceeded]]:
    """Synchronize a batch; check all that is told and stored against model and oracle."""
    before = expected_snapshot(model)
    outcome = model.apply(mode, files)
    expected = exceeded(harness.shape, outcome, **more)
    batch = harness.publish(files, mode)

    result = harness.synchronize(batch=batch)

    check(harness, result, batch, expected, before, expected_snapshot(model))
    compare_counts(result, outcome, mode)
    return result, outcome, expected


def check(
    harness: Harness,
    result: SynchronizeResult,
    batch: str,
    expected: list[Exceeded],
    before: Snapshot,
    after: Snapshot,
) -> None:
    """Check that a batch was applied whole, or blocked and not applied at all."""
    assert told(result.thresholds) == told(expected)
    assert result.state == ("blocked" if expected else "completed")
    assert result.blocked_by == (batch if expected else None)
    assert [(b.id, b.state) for b in result.batches] == [(batch, "blocked" if expected else "applied")]
    assert harness.snapshot() == (before if expected else after)


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


def test_0_switches_off(make_filled: MakeFilled) -> None:
    """Nothing has a limit, so that everything may go and everything else come."""
    off = dict.fromkeys(CONNECTOR_THRESHOLDS, "0")
    of_type = {name: "0" for name in CONNECTOR_THRESHOLDS if "Link" not in name}
    of_links = {name: text for name, text in of_type.items() if "Updated" not in name}
    written = {CONNECTOR: off} | dict.fromkeys(TYPES, of_type) | dict.fromkeys(ASSOCIATIONS, of_links)
    harness = make_filled(written)
    model = model_of(SMALL)

    empty = content(EMPTY)
    assert run(harness, model, empty, "Complete")[0].entity_types["Person"].deleted == 20
    assert run(harness, model, content(SMALL), "Complete")[0].entity_types["Person"].inserted == 20


# ------------------------------------------------------------------------------------------------------ several


def everything_limited(lines: str, percent: str) -> Limits:
    of_type = {f"Maximum{c}Lines": lines for c in RESOURCES} | {
        f"MaxPercentage{c}Lines": percent for c in RESOURCES
    }
    of_links = {n: t for n, t in of_type.items() if "Updated" not in n}
    own = {n: percent if "Percentage" in n else lines for n in CONNECTOR_THRESHOLDS}
    return {CONNECTOR: own} | dict.fromkeys(TYPES, of_type) | dict.fromkeys(ASSOCIATIONS, of_links)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("lines", "percent"), [("1", "1"), ("2", "7.5"), ("3", "0")])
def test_all_that_is_exceeded_is_reported(
    make_filled: MakeFilled, lines: str, percent: str, mode: str
) -> None:
    harness = make_filled(everything_limited(lines, percent))
    files = content(SMALL)
    for change, counts in (
        ("Inserted", {"Person": 2, "Organization": 3}),
        ("Updated", {"Person": 4, "Organization": 1}),
        ("Deleted", {"Person": 3, "Organization": 2}),
        ("Inserted", {"Person_Organization": 4}),
        ("Deleted", {"Organization_Parent": 3}),
    ):
        for target, file in changed(SMALL, change, counts).items():
            if target in counts:
                files[target] = merged(files[target], content(SMALL)[target], file)

    _, _, expected = run(harness, model_of(SMALL), as_batch(SMALL, files, mode), mode)

    assert len({e.scope for e in expected}) >= 3
    assert len(expected) >= 5


def merged(file: CleanFile, base: CleanFile, other: CleanFile) -> CleanFile:
    """Put another set of changes of one base into a file."""
    old = {tuple(line) for line in base.lines}
    new = {tuple(line) for line in other.lines}
    lines = ({tuple(line) for line in file.lines} - (old - new)) | (new - old)
    return CleanFile(file.columns, [list(line) for line in sorted(lines)])


# -------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [2, 1])
@pytest.mark.parametrize("association", ASSOCIATIONS)
def test_a_reference_that_moves_is_one_link_deleted_and_one_inserted(
    make_filled: MakeFilled, association: str, limit: int, mode: str
) -> None:
    on_links = {f"MaximumLink{change}Lines": str(limit) for change in LINKS}
    thresholds = limits(CONNECTOR, on_links, limits(association, on_links))
    files = as_batch(SMALL, changed(SMALL, "Moved", {association: 2}), mode)

    result, outcome, expected = run(make_filled(thresholds), model_of(SMALL), files, mode)

    moved = outcome.associations[association]
    assert (moved.inserted, moved.deleted) == (2, 2)
    assert [e.actual for e in expected] == [2] * (4 if limit == 1 else 0)
    assert result.entity_types["Person"].updated == result.entity_types["Organization"].updated == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("target", "keys", "lost"),
    [
        ("Person", ("p00001", "p00002", "p00003", "p00018"), {"Person_Organization": 3}),
        ("Organization", ("o00000", "o00019"), {"Person_Organization": 2, "Organization_Parent": 5}),
    ],
)
@pytest.mark.parametrize("below", [0, 1])
def test_links_lost_with_a_resource_count_as_deleted(
    make_filled: MakeFilled, below: int, target: str, keys: tuple[str, ...], lost: dict[str, int], mode: str
) -> None:
    """The links' own files do not change: only the resources are gone."""
    on = limits(CONNECTOR, {"MaximumLinkDeletedLines": str(sum(lost.values()) - below)})
    for association, count in lost.items():
        on = limits(association, {"MaximumDeletedLines": str(count - below)}, on)
    files = as_batch(SMALL, without(content(SMALL), target, set(keys)), mode)

    _, outcome, expected = run(make_filled(on), model_of(SMALL), files, mode)

    assert {a: c.deleted for a, c in outcome.associations.items() if c.deleted} == lost
    assert len(expected) == (1 + len(lost)) * below


UNMAPPED = "Person_Organization"


@pytest.mark.parametrize("limit", [3, 2])
def test_links_of_an_unmapped_association_lost_with_a_resource_count_for_the_connector(
    make_filled: MakeFilled, limit: int
) -> None:
    left = replace(COMPANY, associations=COMPANY.associations[1:]).with_thresholds(
        limits(CONNECTOR, {"MaximumLinkDeletedLines": str(limit)})
    )
    filled = make_filled()
    harness = Harness(left, filled.url, filled.folder / "unmapped")
    gone = {"p00005", "p00006", "p00007", "p00019"}
    files = without(content(SMALL), "Person", gone)
    del files[UNMAPPED]
    model = Model(left)
    model.apply("Initial", {t: f for t, f in content(SMALL).items() if t != UNMAPPED})
    expected = exceeded(left, model.apply("Complete", files), Unmapped(links=SMALL.members, deleted_links=3))
    assert len(expected) == (limit < 3)
    before = filled.snapshot()
    try:
        batch = harness.publish(files, "Complete")

        result = harness.synchronize(batch=batch)

        assert told(result.thresholds) == told(expected)
        assert result.state == ("blocked" if expected else "completed")
        after = filled.snapshot()
        if expected:
            assert after == before
        else:
            assert {key for key, _ in before.links[UNMAPPED] - after.links[UNMAPPED]} == gone - {"p00019"}
    finally:
        harness.close()


@pytest.mark.parametrize("limit", [50, 49])
def test_what_is_stored_without_a_mapping_counts_as_stored_for_the_connector(
    make_filled: MakeFilled, limit: int
) -> None:
    """5 of 10 links that are stored, 5 of them without a mapping."""
    size = Size(10, 10, 5, 5)
    left = replace(COMPANY, associations=COMPANY.associations[1:]).with_thresholds(
        limits(CONNECTOR, {"MaxLinkPercentageDeletedLines": str(limit)})
    )
    filled = make_filled(size=size)
    harness = Harness(left, filled.url, filled.folder / "unmapped")
    files = changed(size, "Deleted", {"Organization_Parent": 5})
    del files[UNMAPPED]
    try:
        result = harness.synchronize(batch=harness.publish(files, "Complete"))
        assert [(t.name, t.actual, t.stored) for t in result.thresholds] == [
            ("MaxLinkPercentageDeletedLines", 50, 10)
        ] * (limit < 50)
    finally:
        harness.close()


def directory(links: int) -> Files:
    return {
        "Entry": CleanFile(["Guid", "Dn", "Cn"], [[f"g{n:03}", f"cn={n}", f"Entry {n}"] for n in range(12)]),
        "Entry_Parent": CleanFile(["key1", "key2"], []),
        "Group_Members": CleanFile(
            ["key1", "key2"], sorted([f"cn={n // 4}", f"cn={n % 12}"] for n in range(links))
        ),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", LINKS)
@pytest.mark.parametrize("count", [3, 4])
def test_links_of_a_link_table(make_filled: MakeFilled, count: int, change: str, mode: str) -> None:
    """Many-to-many links, which lie in a table of their own."""
    on = {f"Maximum{change}Lines": "3", f"MaxPercentage{change}Lines": "15"}
    harness = make_filled(limits("Group_Members", on), EMPTY, DIRECTORY)
    first = directory(20)
    harness.synchronize(batch=harness.publish(first, "Initial"))
    model = Model(DIRECTORY)
    model.apply("Initial", first)
    after = directory(20 + (count if change == "Inserted" else -count))
    files = difference(DIRECTORY, first, after) if mode == "Incremental" else after

    _, _, expected = run(harness, model, files, mode)

    assert len(expected) == (2 if count > 3 else 0)


# -------------------------------------------------------------------------------------------- what ignores them


def test_an_initial_ignores_them_all(make_filled: MakeFilled) -> None:
    harness = make_filled(everything_limited("1", "1"), EMPTY)
    result = harness.synchronize(batch=harness.publish(content(SMALL), "Initial"))
    assert (result.state, result.thresholds) == ("completed", ())
    assert harness.snapshot() == expected_snapshot(model_of(SMALL))


@pytest.mark.parametrize("mode", MODES)
def test_force_ignores_them_all(make_filled: MakeFilled, mode: str) -> None:
    harness = make_filled(everything_limited("1", "1"))
    files = as_batch(SMALL, changed(SMALL, "Deleted", {"Person": 9, "Organization": 9}), mode)
    model = model_of(SMALL)
    assert exceeded(harness.shape, model.apply(mode, files))
    batch = harness.publish(files, mode)

    result = harness.synchronize(batch=batch, force=True)

    assert (result.state, result.thresholds, result.blocked_by) == ("completed", (), None)
    assert harness.snapshot() == expected_snapshot(model)


def test_force_is_for_its_own_batch_alone(make_filled: MakeFilled) -> None:
    """An earlier pending batch that exceeds blocks all the same, and the forced one waits behind it."""
    harness = make_filled(limits("Person", {"MaximumDeletedLines": "3"}))
    first = changed(SMALL, "Deleted", {"Person": 4})
    second = changed(SMALL, "Deleted", {"Person": 10})
    earlier = harness.publish(as_batch(SMALL, first, "Incremental"), "Incremental")
    own = harness.publish(difference(COMPANY, first, second), "Incremental")

    result = harness.synchronize(batch=own, force=True)

    assert (result.state, result.blocked_by) == ("blocked", earlier)
    assert [(t.name, t.actual) for t in result.thresholds] == [("MaximumDeletedLines", 4)]
    assert harness.snapshot() == expected_snapshot(model_of(SMALL))


def test_an_earlier_batch_within_the_limits_is_applied_before_a_forced_one(make_filled: MakeFilled) -> None:
    harness = make_filled(limits("Person", {"MaximumDeletedLines": "3"}))
    first = changed(SMALL, "Deleted", {"Person": 3})
    second = changed(SMALL, "Deleted", {"Person": 10})
    earlier = harness.publish(as_batch(SMALL, first, "Incremental"), "Incremental")
    own = harness.publish(difference(COMPANY, first, second), "Incremental")

    result = harness.synchronize(batch=own, force=True)

    assert [(b.id, b.state) for b in result.batches] == [(earlier, "applied"), (own, "applied")]
    assert harness.snapshot().resources["Person"].keys() == {f"p{n:05}" for n in range(10)}


def test_each_batch_has_thresholds_of_its_own(make_filled: MakeFilled) -> None:
    """Three batches of three deletions each are within a limit of three; the fourth one, of four, blocks."""
    harness = make_filled(limits("Person", {"MaximumDeletedLines": "3"}), Size(30, 0, 0, 0))
    size = Size(30, 0, 0, 0)
    former, batches = content(size), []
    for gone in (3, 6, 9, 13, 14):
        files = changed(size, "Deleted", {"Person": gone})
        batches.append(harness.publish(difference(COMPANY, former, files), "Incremental"))
        former = files

    result = harness.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [
        *((b, "applied") for b in batches[:3]),
        (batches[3], "blocked"),
    ]
    assert result.blocked_by == batches[3]
    assert len(harness.snapshot().resources["Person"]) == 21
    # What the three did is told, and what the fourth would do.
    assert result.entity_types["Person"].deleted in {9, 4, 13}
