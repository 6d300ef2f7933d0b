"""What a person decides about a blocked batch: what was reviewed is applied, or nothing is, and never twice."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import (
    BatchRejectedError,
    ExchangeError,
    IdmError,
    NotBlockedError,
    SynchronizeError,
)
from airflow_provider_idm.synchronization.synchronize import find_block, read_decision
from tests.oracle.changes import kept_changes
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import difference
from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS, column_of
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
from tests.safeguards.sources import COMPANY, SMALL, as_batch, changed, content, limits, model_of
from tests.synchronize.processes import start_together

if TYPE_CHECKING:
    from pathlib import Path

    from tests.safeguards.conftest import MakeFilled

MODES = ("Complete", "Incremental")
LAST_NAME = column_of(COMPANY.type("Person").property("LastName").index)


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    return make_filled(LIMITS)


def sql(harness: Harness, statement: str) -> None:
    """Let somebody else change the repository."""
    with harness.connect() as connection:
        connection.exec_driver_sql(statement)
        connection.commit()


def batch_row(harness: Harness, batch: str) -> dict[str, object]:
    return next(row for row in harness.table("UJ_Batches") if row["Id"] == batch)


# ------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize("mode", MODES)
def test_resume_applies_exactly_what_was_reviewed(harness: Harness, mode: str) -> None:
    """With orphans and do_not_delete_changes as the blocked task was asked to, by nobody said again."""
    batch = block(harness, mode, orphans=True, do_not_delete_changes=True)
    reviewed, task = kept_changes(harness), state_row(harness)["StateTask_Id"]
    outcome = model_of(SMALL).apply(mode, as_batch(SMALL, too_much(), mode))
    begun = datetime.now(UTC)

    result = harness.resume(by="Ada Lovelace")

    assert (result.state, result.blocked_by, result.already_applied) == ("completed", None, False)
    assert [(b.id, b.state) for b in result.batches] == [(batch, "applied")]
    assert harness.snapshot() == expected_snapshot(model_after(mode))
    assert kept_changes(harness) == kept_changes(harness, task) == reviewed
    check_ready(harness)
    row = task_row(harness, task)
    assert row["State"] in {"completed", "warning"}
    assert row["DecidedBy"] == "Ada Lovelace"
    assert row["DecidedAt"] is not None
    assert batch_row(harness, batch)["Consent"] == "resumed"
    decision = read_decision(harness.repository, "HR", batch)
    assert decision is not None
    assert (decision.state, decision.consent, decision.decided_by) == ("applied", "resumed", "Ada Lovelace")
    assert decision.decided_at is not None
    assert begun <= decision.decided_at <= datetime.now(UTC)
    assert harness.channel.finished()[batch].state == "applied"
    orphans = harness.work / "HR" / "Synchronize" / "Person_Organization.orphans.csv"
    with orphans.open(encoding="utf-8", newline="") as file:
        keys = {(r["key1"], r["key2"]) for r in csv.DictReader(file)}
    assert ("p00101", "nowhere") in keys
    assert harness.repository.set_recently_modified_flag() == len(outcome.touched)
    assert harness.dirty() == outcome.touched


@pytest.mark.parametrize("decision", ["resume", "reject"])
@pytest.mark.parametrize("hours", [-3, 3])
def test_who_decided_earlier_is_on_record_with_that_moment(
    harness: Harness, decision: str, hours: int
) -> None:
    """What was answered while no scheduler ran is done later. A clock that is ahead decides nothing in the future."""
    batch = block(harness)
    at = datetime.now(UTC) + timedelta(hours=hours)

    if decision == "resume":
        harness.resume(by="Ada", at=at)
    else:
        harness.reject(by="Ada", at=at)

    record = read_decision(harness.repository, "HR", batch)
    assert record is not None
    assert record.decided_by == "Ada"
    assert record.decided_at == (at if hours < 0 else record.finished_at)
    assert record.finished_at > datetime.now(UTC) - timedelta(hours=1)
    if decision == "reject":
        told = f"by Ada at {record.decided_at:%Y-%m-%d %H:%M:%S} UTC"
        assert told in state_row(harness)["Message"]
        with pytest.raises(BatchRejectedError, match=told):
            harness.synchronize(batch=batch)


def test_resume_keeps_no_change_rows_where_the_task_did_not_ask_for_them(harness: Harness) -> None:
    block(harness)
    harness.resume()
    assert kept_changes(harness) == []
    assert harness.repository.set_recently_modified_flag() == 0


def test_resume_twice_applies_once(harness: Harness) -> None:
    batch = block(harness)
    first = harness.resume(by="Ada", batch=batch)
    before = everything(harness)

    with pytest.raises(NotBlockedError, match="not blocked"):
        harness.resume(by="Grace")
    again = harness.resume(by="Grace", batch=batch)

    assert again.already_applied
    assert not again.has_effect
    assert again.entity_types == first.entity_types
    assert everything(harness) == before
    assert harness.synchronize(batch=batch).already_applied
    decision = read_decision(harness.repository, "HR", batch)
    assert decision is not None
    assert decision.decided_by == "Ada"


def test_resume_handles_the_blocked_batch_alone(harness: Harness) -> None:
    batch = block(harness)
    behind = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    with pytest.raises(NotBlockedError, match=batch):
        harness.resume(batch=behind)
    with pytest.raises(NotBlockedError, match=batch):
        harness.reject(batch=behind)
    check_blocked(harness, batch)
    assert [b.id for b in harness.resume().batches] == [batch]
    with pytest.raises(NotBlockedError):
        harness.resume(batch=behind)


def test_an_approval_of_other_changes_asks_again(harness: Harness) -> None:
    batch = block(harness)
    reviewed = state_row(harness)["ChangeSet"]

    result = harness.resume(by="Ada", change_set="0" * 64)

    assert (result.state, result.blocked_by) == ("blocked", batch)
    assert result.review is not None
    assert result.review.change_set == reviewed
    check_blocked(harness, batch)
    assert harness.resume(by="Ada", change_set=reviewed).state == "completed"


# ------------------------------------------------------------------------------ the repository changed in between


@pytest.mark.parametrize("mode", MODES)
def test_another_difference_that_exceeds_is_asked_about_again(harness: Harness, mode: str) -> None:
    batch = block(harness, mode)
    shown = state_row(harness)["ChangeSet"]
    sql(harness, f'UPDATE "UR_Resources" SET "{LAST_NAME}" = \'Else\' WHERE "PrimaryKey" = \'p00005\'')
    before = stored(harness)

    result = harness.resume(by="Ada")

    assert (result.state, result.blocked_by) == ("blocked", batch)
    assert result.review is not None
    assert result.review.change_set == state_row(harness)["ChangeSet"] != shown
    assert stored(harness) == before
    model = model_of(SMALL)
    model.resources["Person"]["p00005"]["LastName"] = "Else"
    check_blocked(harness, batch, model)
    again = harness.resume(by="Ada", change_set=shown)
    assert again.state == "blocked"
    assert stored(harness) == before

    harness.resume(by="Ada", change_set=result.review.change_set)

    assert harness.snapshot() == expected_snapshot(model_after(mode))
    check_ready(harness)


def test_a_new_resource_makes_another_difference(harness: Harness) -> None:
    """A person whom nobody reviewed would be deleted along."""
    batch = block(harness)
    columns = '"Type", "PrimaryKey", "U0", "Dirty", "WhenCreated", "WhenChanged", "ValidFrom"'
    keys = ", ".join(column_of(p.index) for p in COMPANY.type("Person").properties if p.primary)
    sql(
        harness,
        f'INSERT INTO "UR_Resources" ("Id", {columns}, "{keys}") SELECT 99999, "Type", \'zz\', \'zz\', "Dirty", '
        f'"WhenCreated", "WhenChanged", "ValidFrom", \'zz\' FROM "UR_Resources" WHERE "PrimaryKey" = \'p00000\'',
    )
    result = harness.resume()
    assert (result.state, result.blocked_by) == ("blocked", batch)
    assert [t.actual for t in result.thresholds] == [6]
    assert harness.resume().state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())


def test_another_difference_within_the_limits_is_applied(make_filled: MakeFilled) -> None:
    harness = make_filled(limits("Person", {"MaximumUpdatedLines": "3"}))
    files = changed(SMALL, "Updated", {"Person": 4})
    batch = harness.publish(files, "Complete")
    assert harness.synchronize(batch=batch).state == "blocked"
    new = files["Person"].lines[0][2]
    sql(harness, f'UPDATE "UR_Resources" SET "{LAST_NAME}" = \'{new}\' WHERE "PrimaryKey" = \'p00000\'')

    result = harness.resume(by="Ada")

    assert (result.state, result.entity_types["Person"].updated) == ("completed", 3)
    assert harness.snapshot() == expected_snapshot(model_after(files=files))
    check_ready(harness)


def test_what_is_not_compared_makes_no_other_difference(harness: Harness) -> None:
    block(harness)
    sql(harness, 'UPDATE "UR_Resources" SET "Dirty" = true')
    assert harness.resume().state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())


def test_an_incremental_is_compared_anew_too(harness: Harness) -> None:
    """What it would have deleted is gone already: nothing is left to ask about."""
    block(harness, "Incremental")
    with harness.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT \"Id\" FROM \"UR_Resources\" WHERE \"PrimaryKey\" IN ('p00007', 'p00008', 'p00009')"
        ).all()
    ids = ", ".join(str(row[0]) for row in rows)
    sql(harness, f'DELETE FROM "UR_Resources" WHERE "Id" IN ({ids})')
    result = harness.resume()
    assert (result.state, result.entity_types["Person"].deleted) == ("completed", 2)
    assert harness.snapshot().resources == expected_snapshot(model_after("Incremental")).resources


# --------------------------------------------------------------------------- limits and mappings changed meanwhile


@pytest.mark.parametrize("limit", ["1", "4", "5", "0"])
def test_what_was_reviewed_is_applied_whatever_the_limits_are_now(harness: Harness, limit: str) -> None:
    block(harness)
    everything_else = {CONNECTOR: dict.fromkeys(CONNECTOR_THRESHOLDS, "1" if limit == "1" else "0")}
    harness.limit(limits("Person", {"MaximumDeletedLines": limit}, everything_else))
    assert harness.resume().state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())
    check_ready(harness)


@pytest.mark.parametrize("mode", MODES)
def test_other_mappings_are_refused(harness: Harness, mode: str) -> None:
    from dataclasses import replace

    batch = block(harness, mode)
    person = COMPANY.type("Person")
    fewer = replace(person, properties=person.properties[:2])
    other = replace(COMPANY, types=(fewer, COMPANY.type("Organization")))
    mappings = other.with_thresholds(LIMITS).mappings(harness.folder / "other")
    before = stored(harness)

    with pytest.raises(SynchronizeError, match="other mappings"):
        harness.resume(mappings=mappings)

    assert stored(harness) == before
    check_blocked(harness, batch)
    assert harness.resume().state == "completed"


# ------------------------------------------------------------------------------------------ the batch was altered


def clean_file(harness: Harness, batch: str) -> Path:
    return harness.exchange_folder / "HR" / batch / "Person.sorted.csv"


@pytest.mark.parametrize("damage", ["altered", "shortened", "gone", "no manifest", "folder gone"])
def test_an_altered_batch_is_refused_and_stays_blocked(harness: Harness, damage: str, tmp_path: Path) -> None:
    batch = block(harness)
    folder = harness.exchange_folder / "HR" / batch
    shutil.copytree(folder, tmp_path / "kept")
    file = next(folder.glob("Person.sorted.csv*"))
    match damage:
        case "altered":
            data = file.read_bytes()
            file.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        case "shortened":
            file.write_bytes(file.read_bytes()[:-10])
        case "gone":
            file.unlink()
        case "no manifest":
            (folder / "manifest.json").unlink()
        case _:
            shutil.rmtree(folder)
    before = everything(harness)

    for _ in range(2):
        with pytest.raises(ExchangeError):
            harness.resume(by="Ada")

    assert everything(harness) == before
    assert state_row(harness)["State"] == "blocked"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tmp_path / "kept", folder)
    check_blocked(harness, batch)
    assert harness.resume().state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())


@pytest.mark.parametrize("damage", ["gone", "folder gone"])
def test_a_lost_batch_may_be_rejected(harness: Harness, damage: str) -> None:
    batch = block(harness)
    folder = harness.exchange_folder / "HR" / batch
    if damage == "gone":
        next(folder.glob("Person.sorted.csv*")).unlink()
    else:
        shutil.rmtree(folder)
    assert harness.reject().state == "rejected"
    check_ready(harness, "needs_complete")
    assert batch_row(harness, batch)["State"] == "rejected"
    assert harness.snapshot() == expected_snapshot(model_of(SMALL))


# ------------------------------------------------------------------------------------------------------- reject


@pytest.mark.parametrize("mode", MODES)
def test_reject_discards_everything(harness: Harness, mode: str) -> None:
    before = stored(harness)
    batch = block(harness, mode, do_not_delete_changes=True)
    task = state_row(harness)["StateTask_Id"]

    outcome = harness.reject(by="Grace Hopper", message="half the file is missing")

    assert (outcome.id, outcome.mode, outcome.state) == (batch, mode, "rejected")
    after = dict(stored(harness))
    assert {n: rows for n, rows in after.items() if n != "UJ_Batches"} == {
        n: rows for n, rows in before.items() if n != "UJ_Batches"
    }
    assert kept_changes(harness) == []
    check_ready(harness, "needs_complete")
    assert harness.channel.state().batch == batch
    assert harness.channel.finished()[batch].state == "rejected"
    row = task_row(harness, task)
    assert (row["State"], row["DecidedBy"]) == ("rejected", "Grace Hopper")
    assert row["DecidedAt"] is not None
    assert "half the file is missing" in row["Message"]
    decision = read_decision(harness.repository, "HR", batch)
    assert decision is not None
    assert (decision.state, decision.decided_by, decision.mode) == ("rejected", "Grace Hopper", mode)
    assert find_block(harness.repository, "HR") is None
    with pytest.raises(BatchRejectedError, match="Grace Hopper") as raised:
        harness.synchronize(batch=batch)
    assert raised.value.batch == batch


def test_what_was_rejected_is_not_resumed(harness: Harness) -> None:
    batch = block(harness)
    harness.reject(by="Grace")
    before = everything(harness)
    with pytest.raises(BatchRejectedError, match="Grace"):
        harness.resume(batch=batch)
    with pytest.raises(NotBlockedError):
        harness.resume()
    with pytest.raises(NotBlockedError):
        harness.reject()
    assert harness.reject(by="Ada", batch=batch).state == "rejected"
    assert everything(harness) == before
    assert harness.synchronize().state == "nothing"
    decision = read_decision(harness.repository, "HR", batch)
    assert decision is not None
    assert decision.decided_by == "Grace"


def test_what_was_resumed_is_not_rejected(harness: Harness) -> None:
    batch = block(harness)
    harness.resume()
    before = everything(harness)
    with pytest.raises(NotBlockedError, match="applied"):
        harness.reject(batch=batch)
    with pytest.raises(NotBlockedError, match="not blocked"):
        harness.reject()
    assert everything(harness) == before


# ----------------------------------------------------------------------------------------------------- together


@pytest.mark.parametrize("batch_named", [True, False])
def test_two_processes_resume_at_once(harness: Harness, tmp_path: Path, batch_named: bool) -> None:
    batch = block(harness)
    told = {"action": "resume", "thresholds": harness.shape.thresholds, "keep": True}
    told |= {"batch": batch} if batch_named else {}

    said = start_together(tmp_path, [(harness, "company", told)] * 2)

    assert [status for status, _ in said] == [0, 0]
    done = [s["result"]["already_applied"] for _, s in said if "result" in s]
    assert sorted(done) == ([False, True] if batch_named else [False])
    assert {s["error"] for _, s in said if "error" in s} == (set() if batch_named else {"NotBlockedError"})
    assert harness.snapshot() == expected_snapshot(model_after())
    assert [b["State"] for b in harness.table("UJ_Batches") if b["Id"] == batch] == ["applied"]
    check_ready(harness)


def test_one_resumes_while_another_rejects(harness: Harness, tmp_path: Path) -> None:
    batch = block(harness)
    told = {"thresholds": harness.shape.thresholds, "batch": batch}

    said = start_together(
        tmp_path,
        [(harness, "company", {"action": action, **told}) for action in ("resume", "reject")],
    )

    (_, resumed), (_, rejected) = said
    assert ("result" in resumed) != ("result" in rejected), said
    if "result" in resumed:
        assert rejected["error"] == "NotBlockedError"
        assert harness.snapshot() == expected_snapshot(model_after())
        check_ready(harness)
    else:
        assert resumed["error"] == "BatchRejectedError"
        assert harness.snapshot() == expected_snapshot(model_of(SMALL))
        check_ready(harness, "needs_complete")


def test_a_person_decides_while_the_task_is_retried(harness: Harness, tmp_path: Path) -> None:
    """The retry finds the batch applied, or blocks it once more just before it is applied."""
    batch = block(harness)
    told = {"thresholds": harness.shape.thresholds, "batch": batch}

    said = start_together(
        tmp_path,
        [(harness, "company", {"action": action, **told}) for action in ("resume", "synchronize")],
    )

    assert all("result" in s for _, s in said), said
    assert said[0][1]["result"]["state"] == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())
    check_ready(harness)


def test_within_is_not_asked_about(harness: Harness) -> None:
    assert harness.synchronize(batch=harness.publish(within(), "Complete")).state == "completed"
    with pytest.raises(NotBlockedError):
        harness.resume()


# --------------------------------------------------------------------------------------- what waits before it


@pytest.mark.parametrize("decision", ["resume", "force", "reject"])
def test_incrementals_before_a_blocked_complete_go_with_it(harness: Harness, decision: str) -> None:
    """A Complete that blocks cancels nothing yet; once it is applied, what was pending before it is superfluous."""
    before = harness.publish(difference(COMPANY, content(SMALL), within()), "Incremental")
    batch = harness.publish(too_much(), "Complete")
    assert harness.synchronize(batch=batch).state == "blocked"
    check_blocked(harness, batch)
    assert harness.channel.finished() == {}

    if decision == "reject":
        harness.reject()
        assert set(harness.channel.finished()) == {batch}
        complete = harness.publish(within(), "Complete")
        result = harness.synchronize(batch=complete)
        assert {b.id: b.state for b in result.batches} == {before: "cancelled", complete: "applied"}
        return
    result = harness.resume() if decision == "resume" else harness.synchronize(batch=batch, force=True)

    assert {b.id: b.state for b in result.batches} == {before: "cancelled", batch: "applied"}
    note = harness.channel.finished()[before]
    assert (note.state, note.replaced_by) == ("cancelled", batch)
    assert harness.synchronize().state == "nothing"
    assert harness.snapshot() == expected_snapshot(model_after())


def test_nothing_passes_by_a_block_whose_batch_is_gone_from_the_exchange(harness: Harness) -> None:
    """Somebody removed the folder: an Incremental based on what is stored must not slip by what awaits a decision."""
    batch = block(harness)
    shutil.rmtree(harness.exchange_folder / "HR" / batch)
    own = harness.publish(
        difference(COMPANY, content(SMALL), within()),
        "Incremental",
        based_on=state_row(harness)["LastBatch_Id"],
    )
    before = everything(harness)
    try:
        result = harness.synchronize(batch=own)
    except IdmError as error:
        assert batch in str(error)  # noqa: PT017 - either way is a refusal
    else:
        assert (result.state, result.blocked_by) == ("blocked", batch)
    assert everything(harness) == before
    complete = harness.publish(within(), "Complete")
    assert harness.synchronize(batch=complete).state == "completed"
    check_ready(harness)
    assert kept_changes(harness) == []
