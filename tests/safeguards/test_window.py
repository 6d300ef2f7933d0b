"""Limits over the last days: ten runs, each just below the limit, are a wipe-out as well."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from tests.oracle.harness import Harness
from tests.oracle.shapes import CONNECTOR_THRESHOLDS
from tests.oracle.thresholds import Window, exceeded, told
from tests.safeguards.sources import (
    COMPANY,
    EMPTY,
    Files,
    Size,
    as_batch,
    changed,
    content,
    limits,
    model_of,
)

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled

STORED = Size(60, 40, 20, 0)
DAYS = 7


def window(**written: float) -> RollingWindow:
    """Make a window from attributes as the XML would write them."""
    resources, links = {}, {}
    for name, limit in written.items():
        target = links if "Link" in name else resources
        plain = name.replace("Link", "").removesuffix("Lines")
        kind = "max_percentage" if "Percentage" in plain else "maximum"
        change = plain.removeprefix("MaxPercentage").removeprefix("Maximum").lower()
        target[f"{kind}_{change}_lines"] = limit
    return RollingWindow(DAYS, Thresholds(**resources), Thresholds(**links))  # type: ignore[arg-type]


def oracle(written: dict[str, float], resources: dict[str, int], links: dict[str, int]) -> Window:
    zero = {"Inserted": 0, "Updated": 0, "Deleted": 0}
    texts = {name: repr(limit) for name, limit in written.items()}
    return Window(str(DAYS), texts, zero | resources, zero | links)


def age(harness: Harness, batch: str, days: float) -> None:
    """Pretend that a batch was applied some days ago."""
    table = harness.repository.tables.batches
    at = datetime.now(UTC) - timedelta(days=days)
    with harness.repository.writing() as connection:
        connection.execute(sa.update(table).where(table.c.Id == batch).values(FinishedAt=at))


def step(harness: Harness, files: Files, **options: Any) -> tuple[str, Any]:
    batch = harness.publish(files, "Complete")
    return batch, harness.synchronize(batch=batch, **options)


def deleted(count: int) -> Files:
    return changed(STORED, "Deleted", {"Person": count})


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    return make_filled(limits("Person", {"MaximumDeletedLines": "3"}), STORED)


def test_many_runs_each_below_the_limit_block_in_the_end(harness: Harness) -> None:
    """Two deletions a run pass the limit of three; the sixth run makes 12 of 11 in seven days."""
    rolling = window(MaximumDeletedLines=11)
    for n in range(1, 6):
        _, result = step(harness, deleted(2 * n), rolling=rolling)
        assert result.state == "completed"

    batch, result = step(harness, deleted(12), rolling=rolling)

    assert (result.state, result.blocked_by) == ("blocked", batch)
    assert told(result.thresholds) == [("Connector HR, last 7 days", "MaximumDeletedLines", 11, 12, 90)]
    assert len(harness.snapshot().resources["Person"]) == 50
    with harness.plan(batch, rolling=rolling) as plan:
        assert plan.result.thresholds == result.thresholds
    assert harness.synchronize(batch=batch, rolling=rolling).state == "blocked"
    assert harness.resume(rolling=rolling).state == "completed"


@pytest.mark.parametrize(("days", "blocks"), [(7.001, False), (6.999, True), (30, False), (0, True)])
def test_what_was_applied_earlier_does_not_count(harness: Harness, days: float, blocks: bool) -> None:
    rolling = window(MaximumDeletedLines=4)
    first, _ = step(harness, deleted(3))
    age(harness, first, days)
    _, result = step(harness, deleted(5), rolling=rolling)
    assert result.state == ("blocked" if blocks else "completed")


def test_an_effective_date_does_not_matter(harness: Harness) -> None:
    """Days are counted from when something was applied, not from when it was true."""
    first = harness.publish(deleted(3), "Complete", dated=datetime(2100, 1, 1, tzinfo=UTC))
    harness.synchronize(batch=first)
    second = harness.publish(deleted(5), "Complete", dated=datetime(2110, 1, 1, tzinfo=UTC))
    assert harness.synchronize(batch=second, rolling=window(MaximumDeletedLines=4)).state == "blocked"


def test_what_somebody_answered_for_does_not_count(harness: Harness) -> None:
    """An Initial, a forced batch, a resumed one: after each the next small change is not asked about."""
    rolling = window(MaximumDeletedLines=4, MaximumInsertedLines=4)
    assert step(harness, deleted(8), force=True, rolling=rolling)[1].state == "completed"
    batch, result = step(harness, deleted(16), rolling=rolling)
    assert result.state == "blocked"
    assert harness.resume(batch=batch).state == "completed"
    assert step(harness, deleted(18), rolling=rolling)[1].state == "completed"
    batch, result = step(harness, deleted(21), rolling=rolling)
    assert (result.state, [t.actual for t in result.thresholds]) == ("blocked", [5])


def test_an_initial_does_not_count(make_filled: MakeFilled) -> None:
    harness = make_filled(None, EMPTY)
    rolling = window(MaximumInsertedLines=4)
    initial = harness.publish(content(STORED), "Initial")
    assert harness.synchronize(batch=initial, rolling=rolling).state == "completed"
    more = changed(STORED, "Inserted", {"Person": 4})
    assert step(harness, more, rolling=rolling)[1].state == "completed"
    assert step(harness, changed(STORED, "Inserted", {"Person": 5}), rolling=rolling)[1].state == "blocked"


def test_what_is_blocked_rejected_or_cancelled_does_not_count(harness: Harness) -> None:
    rolling = window(MaximumDeletedLines=4)
    assert step(harness, deleted(4), rolling=rolling)[1].state == "blocked"
    harness.reject()
    assert step(harness, deleted(5), rolling=rolling)[1].state == "blocked"
    assert step(harness, deleted(2), rolling=rolling)[1].state == "completed"


def test_the_window_is_remembered_for_a_decision(harness: Harness) -> None:
    """Somebody who resumes need not know of it: what is asked again is asked by the same limits."""
    rolling = window(MaximumDeletedLines=4)
    step(harness, deleted(3))
    batch, result = step(harness, deleted(6), rolling=rolling)
    assert result.state == "blocked"
    again = harness.resume(batch=batch, change_set="0" * 64)
    assert (again.state, told(again.thresholds)) == ("blocked", told(result.thresholds))


def test_without_a_window_nothing_is_added_up(harness: Harness) -> None:
    for n in range(1, 8):
        assert step(harness, deleted(3 * n))[1].state == "completed"


@pytest.mark.parametrize("links", [False, True])
def test_a_percentage_is_of_what_is_stored_before_the_batch(make_filled: MakeFilled, links: bool) -> None:
    """Of 20 links, or 100 resources, 10 % go in two steps: the second is measured against what the first one left."""
    harness = make_filled(None, STORED)
    target, stored, written = (
        ("Person_Organization", 20, "MaxLinkPercentageDeletedLines")
        if links
        else ("Person", 100, "MaxPercentageDeletedLines")
    )
    half = stored // 20
    rolling = window(**{written: 10})
    half_of_it = changed(STORED, "Deleted", {target: half})
    assert step(harness, half_of_it, rolling=rolling)[1].state == "completed"

    _, result = step(harness, changed(STORED, "Deleted", {target: 2 * half}), rolling=rolling)

    expected = [("Connector HR, last 7 days", written, 10, 100 * 2 * half / (stored - half), stored - half)]
    assert told(result.thresholds) == expected
    assert 2 * half / stored == 0.1


@pytest.mark.parametrize("written", ["MaximumDeletedLines", "MaxPercentageDeletedLines"])
def test_a_batch_that_deletes_nothing_is_never_blocked_for_what_was_deleted_before(
    make_filled: MakeFilled, written: str
) -> None:
    """Ten deleted of a hundred are 10 %; of the ninety that are left they would be more."""
    harness = make_filled(None, STORED)
    rolling = window(**{written: 10})
    assert step(harness, deleted(10), rolling=rolling)[1].state == "completed"
    if "Maximum" in written:
        rolling = window(**{written: 9})  # somebody lowered it

    nothing = step(harness, deleted(10), rolling=rolling)[1]
    assert (nothing.state, nothing.thresholds) == ("completed", ())
    files = deleted(10)
    files["Person"].lines[0][2] = "King"
    assert step(harness, files, rolling=rolling)[1].state == "completed"


def test_several_pending_batches_are_planned_with_what_they_add_up_to(harness: Harness) -> None:
    from tests.oracle.model import difference

    rolling = window(MaximumDeletedLines=5)
    former, batches = content(STORED), []
    for count in (2, 4, 6, 8):
        batches.append(harness.publish(difference(COMPANY, former, deleted(count)), "Incremental"))
        former = deleted(count)

    with harness.plan(rolling=rolling) as plan:
        planned = plan.result
    result = harness.synchronize(rolling=rolling)

    assert [(b.id, b.state) for b in result.batches] == [
        (batches[0], "applied"),
        (batches[1], "applied"),
        (batches[2], "blocked"),
    ]
    assert [b.state for b in planned.batches] == ["pending", "pending", "blocked"]
    assert planned.thresholds == result.thresholds
    assert planned.state == "blocked"


@pytest.mark.parametrize("seed", range(6))
def test_random_histories(make_filled: MakeFilled, seed: int) -> None:
    """Batches of random size and age, some forced; the last one is compared with the oracle's sum."""
    draw = random.Random(seed)
    written: dict[str, float] = {
        name: draw.choice([0.5, 10.0, 25.0, 33.3]) if "Percentage" in name else draw.randint(2, 12)
        for name in draw.sample(CONNECTOR_THRESHOLDS, 5)
    }
    size = Size(60, 40, 20, 10)
    harness, model = make_filled(None, size), model_of(size)
    resources: dict[str, int] = {}
    links: dict[str, int] = {}
    files = content(size)
    for _ in range(4):
        change, target = draw.choice(
            [(c, t) for c in ("Inserted", "Updated", "Deleted") for t in ("Person", "Organization")]
            + [
                (c, t)
                for c in ("Inserted", "Deleted", "Moved")
                for t in ("Person_Organization", "Organization_Parent")
            ]
        )
        files = as_batch(size, changed(size, change, {target: draw.randint(1, 5)}), "Complete")
        outcome = model.apply("Complete", files)
        forced, days = draw.random() < 0.2, draw.choice([0, 1, 6.99, 7.01, 20])
        batch, result = step(harness, files, force=forced, rolling=window(**written) if forced else None)
        age(harness, batch, days)
        if result.state == "completed" and days < DAYS and not harness_consented(harness, batch):
            for c in outcome.entity_types.values():
                add(resources, c)
            for a in outcome.associations.values():
                add(links, a)
    last = changed(size, draw.choice(["Inserted", "Updated", "Deleted"]), {"Person": draw.randint(1, 9)})
    expected = exceeded(
        harness.shape, model.apply("Complete", last), window=oracle(written, resources, links)
    )

    _, result = step(harness, last, rolling=window(**written))

    assert told(result.thresholds) == told(expected)


def add(total: dict[str, int], counts: Any) -> None:
    for change in ("inserted", "updated", "deleted"):
        name = change.capitalize()
        total[name] = total.get(name, 0) + getattr(counts, change, 0)


def harness_consented(harness: Harness, batch: str) -> bool:
    return any(row["Consent"] for row in harness.table("UJ_Batches") if row["Id"] == batch)
