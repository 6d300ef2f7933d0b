"""What counts against a threshold, and what ignores them all: several at once, every kind of link, Initial and force."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile, Model, difference
from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS, DIRECTORY, Limits
from tests.oracle.thresholds import LINKS, RESOURCES, Unmapped, exceeded, told
from tests.safeguards.against_oracle import MODES, run
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
    without,
)

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled


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
    # What the fourth would do is told, and apart from it what the three did.
    assert result.entity_types["Person"].deleted == 4
    assert result.before is not None
    assert result.before.entity_types["Person"].deleted == 9
