"""The rules of the queue: what is applied, in which order, how often, and what is refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration import SourceType
from airflow_provider_idm.errors import (
    BatchCancelledError,
    ChainError,
    ExchangeError,
    SynchronizeError,
    TerminalError,
)
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.synchronize.scenario import FIRST, SECOND, THIRD, delta, full, model_of

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

NOTHING_APPLIED = ("UJ_TaskInstances", "UJ_JobInstances", "UJ_Counters")
"""Tables that record an attempt whatever became of it; ids set aside for one that failed are never used."""


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def content(harness: Harness) -> dict[str, list]:
    return {name: rows for name, rows in harness.dump().items() if name not in NOTHING_APPLIED}


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


@pytest.fixture
def filled(harness: Harness) -> Harness:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    return harness


# -------------------------------------------------------------------------------------------------------- order


def test_dated_batches_are_applied_in_the_order_of_their_dates(harness: Harness) -> None:
    later = harness.publish(full("1/a/Later"), "Complete", dated=day(3))
    earlier = harness.publish(full("1/a/Earlier 2/b/Gone"), "Complete", dated=day(2))

    result = harness.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [(earlier, "applied"), (later, "applied")]
    assert harness.snapshot() == expected_snapshot(model_of(full("1/a/Later")))


def test_batches_of_one_date_are_applied_in_the_order_of_their_ids(harness: Harness) -> None:
    batches = [harness.publish(full(f"1/a/{n}"), "Complete", dated=day(2)) for n in range(4)]

    result = harness.synchronize()

    assert [b.id for b in result.batches] == sorted(batches) == batches
    assert harness.snapshot() == expected_snapshot(model_of(full("1/a/3")))


def test_a_task_processes_what_is_pending_up_to_its_own_batch(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    third = filled.publish(THIRD, "Incremental")
    last = filled.publish(delta("delete/1//"), "Incremental")

    result = filled.synchronize(batch=third)

    assert [(b.id, b.mode, b.state) for b in result.batches] == [
        (second, "Incremental", "applied"),
        (third, "Incremental", "applied"),
    ]
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND, THIRD))
    assert set(filled.channel.finished()) >= {second, third}
    assert last not in filled.channel.finished()


def test_nothing_pending_is_nothing_to_do(filled: Harness) -> None:
    before = content(filled)

    result = filled.synchronize()

    assert result.state == "nothing"
    assert result.batches == ()
    assert not result.has_effect
    assert content(filled) == before


def test_a_connector_that_never_had_a_batch(harness: Harness) -> None:
    assert harness.synchronize().state == "nothing"


# ------------------------------------------------------------------------------------------------- cancellation


def test_an_undated_complete_cancels_what_is_pending_before_it(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    third = filled.publish(THIRD, "Incremental")
    complete = filled.publish(full("7/z/Only"), "Complete")

    result = filled.synchronize(batch=complete)

    assert {b.id: b.state for b in result.batches}[complete] == "applied"
    assert filled.snapshot() == expected_snapshot(model_of(full("7/z/Only")))
    notes = filled.channel.finished()
    assert [(notes[b].state, notes[b].replaced_by) for b in (second, third)] == [("cancelled", complete)] * 2
    stored = {b["Id"]: (b["State"], b["ReplacedBy"]) for b in filled.table("UJ_Batches")}
    assert stored[second] == stored[third] == ("cancelled", complete)


def test_the_task_of_a_cancelled_batch_names_the_one_that_replaced_it(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    complete = filled.publish(full("7/z/Only"), "Complete")
    filled.synchronize(batch=complete)
    before = content(filled)

    with pytest.raises(BatchCancelledError, match=complete) as raised:
        filled.synchronize(batch=second)

    assert (raised.value.batch, raised.value.replaced_by) == (second, complete)
    assert content(filled) == before


def test_a_complete_that_fails_cancels_nothing(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    complete = filled.publish(full("7/z/Only"), "Complete", fingerprint="0" * 64)

    with pytest.raises(SynchronizeError):
        filled.synchronize(batch=complete)

    assert second not in filled.channel.finished() or filled.channel.finished()[second].state == "applied"
    filled.synchronize(batch=second)
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


def test_dated_batches_are_not_cancelled_by_later_ones(harness: Harness) -> None:
    first = harness.publish(full("1/a/One"), "Complete", dated=day(2))
    second = harness.publish(full("1/a/Two"), "Complete", dated=day(3))
    undated = harness.publish(full("1/a/Now"), "Complete")

    result = harness.synchronize(batch=undated)

    assert [(b.id, b.state) for b in result.batches] == [(b, "applied") for b in (first, second, undated)]
    assert harness.snapshot() == expected_snapshot(model_of(full("1/a/Now")))


def test_a_dated_complete_cancels_nothing(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    complete = filled.publish(full("7/z/Only"), "Complete", dated=datetime.now(UTC))

    result = filled.synchronize(batch=complete)

    assert [(b.id, b.state) for b in result.batches] == [(second, "applied"), (complete, "applied")]


def test_a_batch_with_a_complete_behind_it_is_still_applied_by_its_own_task(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    complete = filled.publish(full("7/z/Only"), "Complete")

    filled.synchronize(batch=second)
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    filled.synchronize(batch=complete)

    assert filled.channel.finished()[second].state == "applied"
    assert filled.snapshot() == expected_snapshot(model_of(full("7/z/Only")))


# ------------------------------------------------------------------------------------------------- exactly once


@pytest.mark.parametrize("damaged", [b"", b'{"batch": "', b"[]"])
def test_a_note_that_cannot_be_read_stops_nothing_and_is_written_anew(
    filled: Harness, damaged: bytes
) -> None:
    (first,) = (manifest.batch for manifest in filled.channel.manifests())
    note = filled.channel.finished()[first]
    second = filled.publish(SECOND, "Incremental")
    (path,) = filled.exchange_folder.rglob("finished.json")
    path.write_bytes(damaged)

    result = filled.synchronize(batch=second)

    assert [(b.id, b.state) for b in result.batches] == [(second, "applied")]
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    anew = filled.channel.finished()[first]
    assert (anew.state, anew.at, anew.replaced_by) == (note.state, note.at, None)


@pytest.mark.parametrize("mode", ["Initial", "Complete"])
def test_a_batch_is_applied_once(harness: Harness, mode: str) -> None:
    batch = harness.publish(FIRST, mode)
    first = harness.synchronize(batch=batch)
    before = content(harness)

    second = harness.synchronize(batch=batch)

    assert not first.already_applied
    assert second.already_applied
    assert not second.has_effect
    assert second.entity_types == first.entity_types
    assert second.associations == first.associations
    assert content(harness) == before


def test_an_applied_incremental_is_not_repeated_after_later_batches(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    filled.synchronize(batch=second)
    filled.synchronize(batch=filled.publish(THIRD, "Incremental"))
    before = content(filled)

    assert filled.synchronize(batch=second).already_applied
    assert content(filled) == before


def test_a_lost_note_is_written_again_and_nothing_is_repeated(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    filled.synchronize(batch=second)
    note = next(filled.exchange_folder.glob(f"*/{second}/finished.json"))
    note.unlink()

    filled.synchronize()

    assert filled.channel.finished()[second].state == "applied"
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


# ----------------------------------------------------------------------------------------------------- refusals


def test_a_batch_of_other_mappings_is_refused(filled: Harness) -> None:
    batch = filled.publish(SECOND, "Incremental", fingerprint="f" * 64)
    before = content(filled)

    with pytest.raises(SynchronizeError, match=r"(?i)configuration|mapping"):
        filled.synchronize(batch=batch)

    assert content(filled) == before


def test_an_incremental_onto_a_lost_batch_asks_for_a_complete(filled: Harness) -> None:
    lost = filled.publish(SECOND, "Incremental")
    third = filled.publish(THIRD, "Incremental")
    for file in next(filled.exchange_folder.glob(f"*/{lost}")).iterdir():
        file.unlink()
    before = content(filled)

    with pytest.raises(ChainError, match="Complete"):
        filled.synchronize(batch=third)

    assert content(filled) == before
    filled.synchronize(batch=filled.publish(FIRST, "Complete"))
    assert filled.snapshot() == expected_snapshot(model_of(FIRST))


def test_an_incremental_beside_an_applied_one_asks_for_a_complete(filled: Harness) -> None:
    base = filled.last
    filled.synchronize(batch=filled.publish(SECOND, "Incremental"))
    before = content(filled)

    with pytest.raises(ChainError, match="Complete"):
        filled.synchronize(batch=filled.publish(THIRD, "Incremental", based_on=base))

    assert content(filled) == before


@pytest.mark.parametrize("based_on", [None, "0190a6d0-7f4a-7c3e-8b0a-0123456789ab"])
def test_an_incremental_as_the_first_batch_asks_for_a_complete(
    harness: Harness, based_on: str | None
) -> None:
    batch = harness.publish(SECOND, "Incremental", based_on=based_on)
    with pytest.raises(ChainError, match="Complete"):
        harness.synchronize(batch=batch)
    assert harness.table("UR_Resources") == []


def test_an_incremental_onto_a_cancelled_batch_asks_for_a_complete(filled: Harness) -> None:
    cancelled = filled.publish(SECOND, "Incremental")
    filled.synchronize(batch=filled.publish(FIRST, "Complete"))
    late = filled.publish(THIRD, "Incremental", based_on=cancelled)

    with pytest.raises(ChainError, match="Complete"):
        filled.synchronize(batch=late)

    assert filled.snapshot() == expected_snapshot(model_of(FIRST))


def test_a_date_before_the_last_applied_one_is_refused(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full("1/a/Second"), "Complete", dated=day(20)))
    batch = harness.publish(full("1/a/First"), "Complete", dated=day(10))
    before = content(harness)

    with pytest.raises(SynchronizeError, match="2026-01-10") as raised:
        harness.synchronize(batch=batch)

    assert "2026-01-20" in str(raised.value)
    assert content(harness) == before
    with pytest.raises(SynchronizeError):
        harness.synchronize(batch=batch, force=True)

    harness.synchronize(batch=batch, allow_backwards=True)

    assert harness.snapshot() == expected_snapshot(model_of(full("1/a/First")))


def test_after_a_backwards_batch_the_last_date_stands(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full("1/a/Second"), "Complete", dated=day(20)))
    harness.synchronize(
        batch=harness.publish(full("1/a/First"), "Complete", dated=day(10)), allow_backwards=True
    )
    dates = {row["PrimaryKey"]: str(row["ValidFrom"])[:10] for row in harness.table("UR_Resources")}
    assert dates == {"1": "2026-01-20"}
    with pytest.raises(SynchronizeError, match="2026-01-15"):
        harness.synchronize(batch=harness.publish(full("1/a/Third"), "Complete", dated=day(15)))


def test_the_same_date_again_is_not_backwards(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full("1/a/Second"), "Complete", dated=day(20)))
    harness.synchronize(batch=harness.publish(full("1/a/Third"), "Complete", dated=day(20)))
    assert harness.snapshot() == expected_snapshot(model_of(full("1/a/Third")))


def test_an_initial_onto_resources_is_refused(filled: Harness) -> None:
    batch = filled.publish(FIRST, "Initial")
    before = content(filled)

    with pytest.raises(SynchronizeError, match="Complete") as raised:
        filled.synchronize(batch=batch)

    assert "7" in str(raised.value)  # four persons and three organizations
    assert content(filled) == before


def test_an_initial_onto_a_connector_emptied_is_accepted(filled: Harness) -> None:
    filled.synchronize(batch=filled.publish(full(), "Complete"))
    filled.synchronize(batch=filled.publish(FIRST, "Initial"))
    assert filled.snapshot() == expected_snapshot(model_of(FIRST))


@pytest.mark.parametrize("damage", ["altered", "shortened", "missing"])
@pytest.mark.parametrize("target", ["Person", "Organization_Manager"])
def test_a_tampered_file_is_refused(filled: Harness, target: str, damage: str) -> None:
    batch = filled.publish(SECOND, "Incremental")
    file = next(filled.exchange_folder.glob(f"*/{batch}/{target}.sorted.delta"))
    before = content(filled)
    text = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(text[:-3] if damage == "shortened" else text[:-3] + b"zz\n")

    with pytest.raises(ExchangeError, match=file.name):
        filled.synchronize(batch=batch)

    assert content(filled) == before
    file.write_bytes(text)
    filled.synchronize(batch=batch)
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


def test_a_batch_that_does_not_exist(filled: Harness) -> None:
    before = content(filled)
    with pytest.raises(TerminalError, match="0190a6d0-7f4a-7c3e-8b0a-0123456789ab"):
        filled.synchronize(batch="0190a6d0-7f4a-7c3e-8b0a-0123456789ab")
    assert content(filled) == before


@pytest.mark.parametrize("prepared", ["None", "Changes", "ActiveDirectory"])
@pytest.mark.parametrize("said", ["None", "Changes", "ActiveDirectory"])
def test_the_type_must_be_that_of_the_prepare(filled: Harness, prepared: str, said: str) -> None:
    files = delta("insert/8/h/Kay", owned=prepared != "None")
    batch = filled.publish(files, "Incremental", prepared)
    before = content(filled)
    if prepared == said:
        assert filled.synchronize(batch=batch, type=SourceType(said)).entity_types["Person"].inserted == 1
        return
    with pytest.raises(SynchronizeError, match=prepared) as raised:
        filled.synchronize(batch=batch, type=SourceType(said))
    assert said in str(raised.value)
    assert content(filled) == before


def test_earlier_batches_go_by_the_type_of_their_manifest(filled: Harness) -> None:
    changes = delta("merge/8/h/Kay", owned=True)
    filled.publish(changes, "Incremental", "Changes")
    own = filled.publish(delta("insert/9/i/Liskov"), "Incremental")

    filled.synchronize(batch=own)

    assert set(filled.snapshot().resources["Person"]) == {"1", "2", "3", "4", "8", "9"}


def test_a_planned_batch_never_enters_the_queue(filled: Harness) -> None:
    planned = filled.publish(full("1/a/Planned"), "Complete", plan_only=True)
    before = content(filled)

    assert filled.synchronize().state == "nothing"
    with pytest.raises(TerminalError):
        filled.synchronize(batch=planned)

    assert content(filled) == before


# ------------------------------------------------------------------------------------------- all or nothing


def test_it_stops_at_the_first_batch_that_fails(filled: Harness) -> None:
    second = filled.publish(SECOND, "Incremental")
    broken = filled.publish(THIRD, "Incremental")
    behind = filled.publish(delta("delete/1//"), "Incremental")
    next(filled.exchange_folder.glob(f"*/{broken}/Person.sorted.delta")).write_bytes(b"command\n")

    with pytest.raises(ExchangeError, match=r"Person\.sorted\.delta"):
        filled.synchronize(batch=behind)

    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    assert filled.channel.finished()[second].state == "applied"
    assert behind not in filled.channel.finished()


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 1.0])
def test_a_failure_leaves_the_repository_as_it_was(filled: Harness, part: float) -> None:
    """Whatever statement of it the database refuses."""
    counted = _count_statements(filled, FIRST)
    filled.synchronize(batch=filled.publish(FIRST, "Complete"))
    batch = filled.publish(SECOND, "Incremental")
    before = content(filled)
    fail_at = max(1, round(part * counted))

    seen = 0

    def refuse(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal seen
        seen += _is_write(statement)
        if seen == fail_at and _is_write(statement):
            raise sa.exc.OperationalError(statement, None, Exception("disk full"))

    sa.event.listen(sa.Engine, "before_cursor_execute", refuse)
    try:
        with pytest.raises(Exception, match="disk full"):
            filled.synchronize(batch=batch)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", refuse)

    assert content(filled) == before
    filled.synchronize(batch=batch)
    assert filled.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


def _is_write(statement: str) -> bool:
    words = statement.lstrip().upper()
    return words.startswith(("INSERT", "UPDATE", "DELETE")) and ("UR_" in words or "UJ_BATCHES" in words)


def _count_statements(harness: Harness, back: dict) -> int:
    seen = 0

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal seen
        seen += _is_write(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        harness.synchronize(batch=harness.publish(SECOND, "Incremental"))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    return seen


def test_the_work_folder_is_left_tidy(filled: Harness) -> None:
    """Nothing that a run needed for itself alone outlives it."""
    filled.synchronize(batch=filled.publish(SECOND, "Incremental"), orphans=True)
    left = sorted(
        os.path.relpath(p, filled.work) for p in filled.work.rglob("*") if p.is_file() and p.suffix != ".lock"
    )
    assert all(name.endswith((".orphans.csv", ".conflicts.csv", ".anomalies.csv")) for name in left), left
