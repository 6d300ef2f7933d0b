"""Plans of connectors that are blocked, or need a Complete, say what a synchronization would do there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import ChainError
from tests.oracle.changes import kept_changes, planned_changes
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import difference
from tests.oracle.thresholds import told
from tests.safeguards.blocks import LIMITS, block, everything, model_after, state_row, too_much, within
from tests.safeguards.sources import COMPANY, SMALL, content, limits

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    return make_filled(LIMITS)


@pytest.mark.parametrize("raised", [False, True])
def test_what_waits_behind_a_block_is_not_planned(harness: Harness, raised: bool) -> None:
    """Not even if its batch would keep the limits of today: whoever synchronizes the later one does not compare it."""
    batch = block(harness)
    behind = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    if raised:
        harness.limit(limits("Person", {"MaximumDeletedLines": "5"}))
    before = everything(harness)

    with harness.plan(behind) as plan:
        planned = plan.result

    assert everything(harness) == before
    result = harness.synchronize(batch=behind)
    assert (result.state, result.blocked_by) == ("blocked", batch)
    assert (planned.state, planned.blocked_by) == ("blocked", batch)
    assert told(planned.thresholds) == told(result.thresholds)
    assert behind not in {b.id for b in planned.batches}
    assert any(behind in w for w in planned.warnings)


@pytest.mark.parametrize("named", [True, False])
def test_what_is_blocked_is_planned_anew(harness: Harness, named: bool) -> None:
    batch = block(harness)
    harness.limit(limits("Person", {"MaximumDeletedLines": "5"}))
    with harness.plan(batch if named else None) as plan:
        assert plan.result.state == "completed"
        changes = planned_changes(plan.to_frame())
    harness.synchronize(batch=batch if named else None, do_not_delete_changes=True)
    assert kept_changes(harness) == changes


@pytest.mark.parametrize("files", [within(), too_much(1)], ids=["passes", "exceeds"])
def test_a_complete_behind_a_block_is_planned_alone(harness: Harness, files: dict) -> None:
    batch = block(harness)
    complete = harness.publish(files, "Complete")
    with harness.plan(complete) as plan:
        planned, changes = plan.result, planned_changes(plan.to_frame())
    result = harness.synchronize(batch=complete, do_not_delete_changes=True)
    assert planned.state == result.state
    assert [(b.id, b.state) for b in planned.batches] == [
        (batch, "cancelled"),
        (complete, "pending" if result.state == "completed" else "blocked"),
    ]
    assert kept_changes(harness) == changes


def test_a_dated_batch_that_is_given_up_is_told(harness: Harness) -> None:
    batch = block(harness, dated=datetime(2100, 1, 1, tzinfo=UTC))
    complete = harness.publish(within(), "Complete", dated=datetime(2101, 1, 1, tzinfo=UTC))
    with harness.plan(complete) as plan:
        planned = plan.result
    assert planned.warnings == harness.synchronize(batch=complete).warnings
    assert planned.warnings == (
        f"batch {batch} of 2100-01-01 00:00:00 UTC awaited a decision and is cancelled",
    )


def test_a_forced_plan_has_no_thresholds(harness: Harness) -> None:
    batch = harness.publish(too_much(), "Complete")
    with harness.plan(batch, force=True) as plan:
        planned = plan.result
        changes = planned_changes(plan.to_frame())
    result = harness.synchronize(batch=batch, force=True, do_not_delete_changes=True)
    assert (planned.state, planned.thresholds) == ("completed", ())
    assert kept_changes(harness) == changes
    [warning] = planned.warnings
    assert warning == "forced: EntityTypeMapping Person: MaximumDeletedLines 3 exceeded: 5 of 20 stored"
    assert warning in result.warnings


def test_an_incremental_is_not_planned_where_a_complete_is_needed(harness: Harness) -> None:
    block(harness)
    behind = harness.publish(difference(COMPANY, too_much(), too_much(1)), "Incremental")
    harness.reject()
    for own in (behind, None):
        with pytest.raises(ChainError, match="Complete"):
            harness.plan(own)
    complete = harness.publish(within(), "Complete")
    with harness.plan(complete) as plan:
        assert plan.result.state == "completed"


def test_a_plan_for_a_plan_only_batch_counts_against_the_limits(harness: Harness) -> None:
    batch = harness.publish(too_much(), "Complete", plan_only=True)
    before = everything(harness)
    with harness.plan(batch) as plan:
        assert (plan.result.state, plan.result.blocked_by) == ("blocked", batch)
        assert [t.actual for t in plan.result.thresholds] == [5]
    assert everything(harness) == before


def test_backwards_is_remembered_for_the_decision(harness: Harness) -> None:
    batch = harness.publish(too_much(), "Complete", dated=datetime(2000, 1, 1, tzinfo=UTC))
    assert harness.synchronize(batch=batch, allow_backwards=True).state == "blocked"
    assert harness.resume().state == "completed"
    assert harness.snapshot() == expected_snapshot(model_after())


def test_content_is_what_is_planned_against(harness: Harness) -> None:
    """A plan of what is stored already has no changes at all."""
    harness.publish(content(SMALL), "Complete")
    with harness.plan() as plan:
        assert plan.to_frame().empty
        assert plan.review is not None
        assert plan.review.groups == ()
    assert state_row(harness)["State"] == "ready"
