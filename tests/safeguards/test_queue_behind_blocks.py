"""What else is in the queue of a connector that is blocked, and what becomes of it with the decision."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import BatchCancelledError, ConcurrentChangeError, ConnectorBlockedError
from airflow_provider_idm.synchronization.synchronize import SynchronizeResult, read_decision
from airflow_provider_idm.synchronization.synchronize.batch import BatchRun
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import difference
from tests.safeguards.blocks import (
    LIMITS,
    block,
    check_blocked,
    check_ready,
    model_after,
    state_row,
    stored,
    too_much,
    within,
)
from tests.safeguards.sources import COMPANY, SMALL, as_batch, changed

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled

AFTER = changed(SMALL, "Updated", {"Person": 1})
"""What some Incremental of a person's name makes of the source."""


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    return make_filled(LIMITS)


# --------------------------------------------------------------------------------- batches that are superfluous


@pytest.mark.parametrize("by", ["resume", "retry"])
def test_a_resumed_complete_cancels_what_it_makes_superfluous(harness: Harness, by: str) -> None:
    """As it would have without a block: nothing is left that holds up the Incrementals to come."""
    older = [harness.publish(as_batch(SMALL, AFTER, "Incremental"), "Incremental") for _ in range(2)]
    complete = block(harness)

    result = harness.resume() if by == "resume" else harness.synchronize(batch=complete, force=True)

    assert [(b.id, b.state) for b in result.batches] == [
        *((batch, "cancelled") for batch in older),
        (complete, "applied"),
    ]
    for batch in older:
        record = read_decision(harness.repository, "HR", batch)
        assert record is not None
        assert (record.state, record.replaced_by, record.decided_by) == ("cancelled", complete, None)
        assert harness.channel.finished()[batch].state == "cancelled"
        with pytest.raises(BatchCancelledError, match=complete):
            harness.synchronize(batch=batch)
    assert harness.snapshot() == expected_snapshot(model_after())

    following = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    assert [(b.id, b.state) for b in harness.synchronize(batch=following).batches] == [(following, "applied")]
    check_ready(harness)


def test_a_block_that_passes_on_leaves_superfluous_batches_to_the_resumed_one(harness: Harness) -> None:
    first = block(harness, "Incremental")
    behind = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    complete = harness.publish(too_much(2), "Complete")
    passed = harness.synchronize(batch=complete)
    assert [(b.id, b.state) for b in passed.batches] == [(first, "cancelled"), (complete, "blocked")]

    result = harness.resume(batch=complete)

    assert [(b.id, b.state) for b in result.batches] == [(behind, "cancelled"), (complete, "applied")]
    assert harness.snapshot() == expected_snapshot(model_after(files=too_much(2)))
    check_ready(harness)


def test_a_resumed_incremental_cancels_nothing(harness: Harness) -> None:
    batch = block(harness, "Incremental")
    behind = harness.publish(difference(COMPANY, too_much(), within()), "Incremental")

    assert [b.id for b in harness.resume().batches] == [batch]
    assert read_decision(harness.repository, "HR", behind) is None


# ----------------------------------------------------------------------------- a blocked batch that is gone


def test_no_incremental_passes_a_blocked_batch_whose_folder_is_gone(harness: Harness) -> None:
    """One that leads on from what was applied last would fit: its exchange was lost and begun anew, say."""
    applied = state_row(harness)["LastBatch_Id"]
    batch = block(harness, "Incremental")
    shutil.rmtree(harness.exchange_folder / "HR" / batch)
    following = harness.publish(as_batch(SMALL, AFTER, "Incremental"), "Incremental", based_on=applied)
    before = stored(harness)

    for own in (following, None):
        with pytest.raises(ConnectorBlockedError, match=f"batch {batch} awaits a decision") as caught:
            harness.synchronize(batch=own, force=True)
        assert (caught.value.connector, caught.value.batch) == ("HR", batch)
        with pytest.raises(ConnectorBlockedError, match=batch):
            harness.plan(own)
    assert stored(harness) == before
    assert (state_row(harness)["State"], state_row(harness)["StateBatch_Id"]) == ("blocked", batch)

    harness.reject()
    complete = harness.publish(within(), "Complete")
    assert harness.synchronize(batch=complete).state == "completed"
    check_ready(harness)


# ------------------------------------------------------------------------------------------- a lock that is lost


@pytest.mark.parametrize("meanwhile", ["block", "reject"])
def test_what_was_compared_before_a_block_or_rejection_is_not_applied_after_it(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """The connector's lock keeps them apart, but its connection may have been cut without anybody noticing."""
    batch = harness.publish(too_much(), "Complete")
    if meanwhile == "reject":
        harness.synchronize(batch=batch)
    before = stored(harness)
    monkeypatch.setattr(type(harness.repository), "lock", lambda *_: contextlib.nullcontext())
    process = BatchRun.process

    def interrupted(run: BatchRun) -> tuple[SynchronizeResult, object]:
        monkeypatch.setattr(BatchRun, "process", process)
        if meanwhile == "block":
            assert harness.synchronize(batch=batch).state == "blocked"
        else:
            harness.reject()
        return process(run)

    monkeypatch.setattr(BatchRun, "process", interrupted)
    monkeypatch.setattr(
        "airflow_provider_idm.synchronization.synchronize.run.Run._remove_leftovers", lambda _: None
    )

    with pytest.raises(ConcurrentChangeError, match=r"(?i)try again"):
        harness.synchronize(batch=batch, force=True)

    if meanwhile == "block":
        assert stored(harness) == before
        check_blocked(harness, batch)
        assert harness.resume().state == "completed"
        check_ready(harness)
    else:
        record = read_decision(harness.repository, "HR", batch)
        assert record is not None
        assert record.state == "rejected"
        assert state_row(harness)["State"] == "needs_complete"
