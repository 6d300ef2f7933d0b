"""A connector whose batch exceeds a threshold: what is told, what is kept, what passes by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import (
    BatchCancelledError,
    ChainError,
    NotBlockedError,
    SynchronizeError,
)
from airflow_provider_idm.synchronization.synchronize import find_block, read_decision
from tests.oracle.changes import TABLES, kept_changes
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import difference
from tests.oracle.shapes import CONNECTOR
from tests.safeguards.blocks import (
    LIMITS,
    block,
    check_blocked,
    check_ready,
    everything,
    model_after,
    state_row,
    stored,
    task_row,
    too_much,
    within,
)
from tests.safeguards.sources import COMPANY, EMPTY, SMALL, changed, content, limits, model_of
from tests.synchronize.processes import start_together

if TYPE_CHECKING:
    from pathlib import Path

    from tests.safeguards.conftest import MakeFilled

MODES = ("Complete", "Incremental")


def day(number: int) -> datetime:
    """A day after what is stored."""
    return datetime(2100, 1, number, tzinfo=UTC)


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    return make_filled(LIMITS)


# ------------------------------------------------------------------------------------------------ what is told


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_written_but_what_would_be(harness: Harness, mode: str) -> None:
    before = stored(harness)

    batch = block(harness, mode)

    assert stored(harness) == before
    check_blocked(harness, batch)


def test_the_result_tells_what_would_happen(harness: Harness) -> None:
    batch = harness.publish(too_much(), "Complete")
    outcome = model_of(SMALL).apply("Complete", too_much())

    result = harness.synchronize(batch=batch)

    assert {n: c.deleted for n, c in result.entity_types.items()} == {"Person": 5, "Organization": 0}
    assert {n: (c.inserted, c.deleted) for n, c in result.associations.items()} == {
        n: (c.inserted, c.deleted) for n, c in outcome.associations.items()
    }
    review = result.review
    assert review is not None
    assert (review.batch, review.mode) == (batch, "Complete")
    assert review.change_set == state_row(harness)["ChangeSet"]
    totals: dict[tuple[str, str, str], int] = {}
    for kind, type_, operation, *_ in kept_changes(harness):
        totals[kind, type_, operation] = totals.get((kind, type_, operation), 0) + 1
    assert {(g.kind, g.type, g.operation): g.total for g in review.groups} == totals
    assert not result.already_applied
    found = find_block(harness.repository, "HR")
    assert found is not None
    assert found.thresholds == result.thresholds
    assert found.result.entity_types == result.entity_types


def test_the_status_tells_the_thresholds(harness: Harness) -> None:
    batch = block(harness)
    told = harness.repository.status("HR").as_dict()
    assert told["state"] == "blocked"
    assert told["blocked"]["batch"] == batch
    assert told["blocked"]["thresholds"] == [
        {
            "scope": "EntityTypeMapping Person",
            "name": "MaximumDeletedLines",
            "limit": 3,
            "actual": 5,
            "stored": 20,
        }
    ]


def test_a_block_survives_that_everything_is_opened_anew(harness: Harness) -> None:
    batch = block(harness)
    before = everything(harness)
    harness.close()
    again = Harness(harness.shape, harness.url, harness.folder)
    try:
        check_blocked(again, batch)
        assert everything(again) == before
        again.resume()
        assert again.snapshot() == expected_snapshot(model_after())
    finally:
        again.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_keeps_one_set_of_change_rows(harness: Harness, mode: str) -> None:
    batch = block(harness, mode)
    before = everything(harness)
    former = state_row(harness)

    for own in (batch, None):
        result = harness.synchronize(batch=own)
        assert (result.state, result.blocked_by) == ("blocked", batch)
        assert result.review is not None

    after, row = everything(harness), state_row(harness)
    assert {n: len(rows) for n, rows in after.items()} == {n: len(rows) for n, rows in before.items()}
    assert (row["StateSince"], row["ChangeSet"]) == (former["StateSince"], former["ChangeSet"])
    assert task_row(harness, former["StateTask_Id"])["State"] == "cancelled"
    check_blocked(harness, batch)


def test_two_processes_find_the_same_block(harness: Harness, tmp_path: Path) -> None:
    batch = harness.publish(too_much(), "Complete")
    told = {"thresholds": harness.shape.thresholds, "batch": batch}

    said = start_together(tmp_path, [(harness, "company", told)] * 2)

    assert [s["result"]["state"] for _, s in said] == ["blocked", "blocked"]
    assert said[0][1]["result"]["change_set"] == said[1][1]["result"]["change_set"]
    check_blocked(harness, batch)


@pytest.mark.parametrize("damage", ["gone", "garbage", "says ready"])
def test_what_the_exchange_says_is_made_up_by_whoever_comes_next(harness: Harness, damage: str) -> None:
    """An agent reads it there; that it was lost must not let Incrementals go on."""
    batch = block(harness)
    note = next(harness.exchange_folder.rglob("state.json"))
    match damage:
        case "gone":
            note.unlink()
        case "garbage":
            note.write_text("{", encoding="utf-8")
        case _:
            note.write_text(
                note.read_text(encoding="utf-8").replace('"blocked"', '"ready"'), encoding="utf-8"
            )
    own = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")

    assert harness.synchronize(batch=own).state == "blocked"

    check_blocked(harness, batch)


# ------------------------------------------------------------------------------------------- what comes behind it


@pytest.mark.parametrize("force", [False, True])
def test_an_incremental_behind_a_block_is_not_processed(harness: Harness, force: bool) -> None:
    batch = block(harness)
    own = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    before = everything(harness)

    result = harness.synchronize(batch=own, force=force)

    assert (result.state, result.blocked_by, result.review) == ("blocked", batch, None)
    assert [(t.name, t.actual) for t in result.thresholds] == [("MaximumDeletedLines", 5)]
    assert own not in {b.id for b in result.batches}
    assert everything(harness) == before
    assert harness.channel.finished() == {}
    check_blocked(harness, batch)


def test_an_incremental_behind_a_block_is_applied_once_that_is_resumed(harness: Harness) -> None:
    batch = block(harness)
    own = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")

    resumed = harness.resume()

    assert [(b.id, b.state) for b in resumed.batches] == [(batch, "applied")]
    assert own not in harness.channel.finished()
    assert harness.synchronize(batch=own).state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after(files=too_much(1)))


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_a_later_complete_that_passes_takes_its_place(harness: Harness, mode: str, dated: bool) -> None:
    batch = block(harness, mode, dated=day(1) if dated else None)
    between = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    task = state_row(harness)["StateTask_Id"]
    complete = harness.publish(within(), "Complete", dated=day(2) if dated else None)

    result = harness.synchronize(batch=complete)

    assert result.state == "completed"
    assert {b.id: b.state for b in result.batches} == {
        batch: "cancelled",
        between: "cancelled",
        complete: "applied",
    }
    assert harness.snapshot() == expected_snapshot(model_after(files=within()))
    check_ready(harness)
    assert kept_changes(harness) == []
    assert task_row(harness, task)["State"] == "cancelled"
    records = {b["Id"]: (b["State"], b["ReplacedBy"]) for b in harness.table("UJ_Batches")}
    notes = harness.channel.finished()
    assert records[batch] == records[between] == ("cancelled", complete)
    assert (notes[batch].state, notes[batch].replaced_by) == ("cancelled", complete)
    decision = read_decision(harness.repository, "HR", batch)
    assert decision is not None
    assert (decision.state, decision.replaced_by, decision.decided_by) == ("cancelled", complete, None)
    before = everything(harness)
    for decide in (harness.resume, harness.reject):
        with pytest.raises(BatchCancelledError, match=complete):
            decide(batch=batch)
    with pytest.raises(BatchCancelledError, match=complete):
        harness.synchronize(batch=batch)
    assert everything(harness) == before


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_block_passes_to_a_later_complete_that_exceeds(harness: Harness, mode: str, dated: bool) -> None:
    batch = block(harness, mode, dated=day(1) if dated else None)
    former = state_row(harness)
    complete = harness.publish(too_much(1), "Complete", dated=day(2) if dated else None)

    result = harness.synchronize(batch=complete)

    assert (result.state, result.blocked_by) == ("blocked", complete)
    assert [(b.id, b.state) for b in result.batches] == [(batch, "cancelled"), (complete, "blocked")]
    check_passed(harness, batch, complete, former["StateTask_Id"])
    assert state_row(harness)["ChangeSet"] != former["ChangeSet"]
    harness.resume(batch=complete)
    assert harness.snapshot() == expected_snapshot(model_after(files=too_much(1)))


def check_passed(harness: Harness, batch: str, complete: str, task: int) -> None:
    records = {b["Id"]: (b["State"], b["ReplacedBy"]) for b in harness.table("UJ_Batches")}
    assert records[batch] == ("cancelled", complete)
    note = harness.channel.finished()[batch]
    assert (note.state, note.replaced_by) == ("cancelled", complete)
    assert task_row(harness, task)["State"] == "cancelled"
    check_blocked(harness, complete)
    for decide in (harness.resume, harness.reject):
        with pytest.raises(BatchCancelledError, match=complete):
            decide(batch=batch)


def test_a_later_complete_that_fails_leaves_the_block_alone(harness: Harness) -> None:
    batch = block(harness)
    complete = harness.publish(within(), "Complete", fingerprint="0" * 64)
    with pytest.raises(SynchronizeError, match="other mappings"):
        harness.synchronize(batch=complete)
    check_blocked(harness, batch)


def test_an_initial_takes_the_place_of_a_first_complete(make_filled: MakeFilled) -> None:
    harness = make_filled({}, EMPTY)
    batch = harness.publish(content(SMALL), "Complete")
    assert harness.synchronize(batch=batch).state == "blocked"
    initial = harness.publish(content(SMALL), "Initial")

    result = harness.synchronize(batch=initial)

    assert [(b.id, b.state) for b in result.batches] == [(batch, "cancelled"), (initial, "applied")]
    check_ready(harness)
    assert harness.snapshot() == expected_snapshot(model_of(SMALL))


def test_dated_batches_before_a_block_stay_applied(harness: Harness) -> None:
    """Of several dated ones the first pass, one blocks, and the later Incrementals wait."""
    first = harness.publish(within(), "Complete", dated=day(1))
    blocks = harness.publish(too_much(), "Complete", dated=day(2))
    waits = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental", dated=day(3))

    result = harness.synchronize(batch=waits)

    assert [(b.id, b.state) for b in result.batches] == [(first, "applied"), (blocks, "blocked")]
    assert result.blocked_by == blocks
    check_blocked(harness, blocks, model_after(files=within()))
    harness.resume()
    harness.synchronize(batch=waits)
    assert harness.snapshot() == expected_snapshot(model_after(files=too_much(1)))


def test_several_dated_completes_each_take_the_place_of_the_one_before(harness: Harness) -> None:
    """The newest is what a person decides about; whoever waits for another is told which replaced it."""
    batches = [harness.publish(too_much(n % 2), "Complete", dated=day(1 + n)) for n in range(3)]
    for n, batch in enumerate(batches):
        result = harness.synchronize(batch=batch)
        assert (result.state, result.blocked_by) == ("blocked", batch)
        if n:
            assert read_decision(harness.repository, "HR", batches[n - 1]).replaced_by == batch  # type: ignore[union-attr]
    check_blocked(harness, batches[-1])
    assert set(harness.channel.finished()) == set(batches[:-1])


def test_one_connector_does_not_block_another(harness: Harness, make_filled: MakeFilled) -> None:
    from tests.oracle.shapes import DIRECTORY
    from tests.safeguards.test_threshold_rules import directory

    batch = block(harness)
    other = Harness(DIRECTORY, harness.url, harness.folder / "other")
    try:
        result = other.synchronize(batch=other.publish(directory(20), "Complete"))
        assert result.state == "completed"
        assert other.repository.status("AD").state == "ready"
    finally:
        other.close()
    assert state_row(harness)["StateBatch_Id"] == batch


# --------------------------------------------------------------------------------------- its own batch once more


def test_a_retry_with_higher_limits_is_applied(harness: Harness) -> None:
    batch = block(harness)
    harness.limit(limits("Person", {"MaximumDeletedLines": "5"}))

    result = harness.synchronize(batch=batch)

    assert (result.state, result.thresholds) == ("completed", ())
    check_ready(harness)
    assert kept_changes(harness) == []
    assert harness.snapshot() == expected_snapshot(model_after())
    assert [b["Consent"] for b in harness.table("UJ_Batches") if b["Id"] == batch] == [None]


def test_force_applies_what_is_blocked(harness: Harness) -> None:
    batch = block(harness)

    result = harness.synchronize(batch=batch, force=True, do_not_delete_changes=True)

    assert (result.state, result.blocked_by) == ("completed", None)
    check_ready(harness)
    assert harness.snapshot() == expected_snapshot(model_after())
    assert [b["Consent"] for b in harness.table("UJ_Batches") if b["Id"] == batch] == ["forced"]
    assert harness.repository.set_recently_modified_flag() == len(
        model_of(SMALL).apply("Complete", too_much()).touched
    )


# ------------------------------------------------------------------------------------------------ needs Complete


def test_after_a_rejection_only_a_complete_goes_on(harness: Harness) -> None:
    batch = block(harness, "Incremental")
    behind = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    harness.reject()
    based = harness.publish(
        difference(COMPANY, content(SMALL), within()),
        "Incremental",
        based_on=state_row(harness)["LastBatch_Id"],
    )
    before = everything(harness)
    for own in (behind, based, None):
        with pytest.raises(ChainError, match=f"(?s){batch}.*Complete"):
            harness.synchronize(batch=own)
    assert everything(harness) == before
    check_ready(harness, "needs_complete")

    complete = harness.publish(within(), "Complete")
    result = harness.synchronize(batch=complete)

    assert result.state == "completed"
    check_ready(harness)
    assert harness.snapshot() == expected_snapshot(model_after(files=within()))
    further = harness.publish(
        difference(COMPANY, within(), changed(SMALL, "Deleted", {"Person": 4})), "Incremental"
    )
    assert harness.synchronize(batch=further).state == "completed"


def test_a_complete_after_a_rejection_may_block_again(harness: Harness) -> None:
    first = block(harness)
    harness.reject()
    second = block(harness)
    assert second != first
    check_blocked(harness, second)
    harness.reject()
    check_ready(harness, "needs_complete")
    third = block(harness)
    harness.resume(batch=third)
    check_ready(harness)
    assert harness.snapshot() == expected_snapshot(model_after())


def test_an_initial_after_a_rejection_goes_on(make_filled: MakeFilled) -> None:
    harness = make_filled({}, EMPTY)
    harness.synchronize(batch=harness.publish(content(SMALL), "Complete"))
    harness.reject()
    check_ready(harness, "needs_complete")
    harness.synchronize(batch=harness.publish(content(SMALL), "Initial"))
    check_ready(harness)


# ------------------------------------------------------------------------------------------------- Dirty flag


def test_the_flag_never_reads_or_clears_what_is_blocked(harness: Harness) -> None:
    first = harness.publish(changed(SMALL, "Updated", {"Person": 2}), "Complete")
    harness.synchronize(batch=first, do_not_delete_changes=True)
    batch = block(harness, do_not_delete_changes=True)
    task = state_row(harness)["StateTask_Id"]
    blocked = kept_changes(harness, task)

    assert harness.repository.set_recently_modified_flag() == 2

    assert harness.dirty() == {("Person", "p00000"), ("Person", "p00001")}
    assert kept_changes(harness) == kept_changes(harness, task) == blocked
    assert harness.repository.set_recently_modified_flag() == 0
    harness.reject()
    assert harness.repository.set_recently_modified_flag() == 0
    assert all(harness.table(name) == [] for name in TABLES)
    assert harness.dirty() == {("Person", "p00000"), ("Person", "p00001")}
    assert read_decision(harness.repository, "HR", batch).state == "rejected"  # type: ignore[union-attr]


def test_a_connector_that_nothing_blocks(make_filled: MakeFilled) -> None:
    harness = make_filled(limits(CONNECTOR, {}))
    assert find_block(harness.repository, "HR") is None
    assert find_block(harness.repository, "Unknown") is None
    assert read_decision(harness.repository, "Unknown", "x") is None
    for decide in (harness.resume, harness.reject):
        with pytest.raises(NotBlockedError, match="not blocked"):
            decide()
