"""How a blocked batch was asked to be applied stays known, whoever looks at it again meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from tests.oracle.changes import kept_changes
from tests.oracle.thresholds import told
from tests.safeguards.blocks import (
    LIMITS,
    block,
    check_blocked,
    check_ready,
    state_row,
    stored,
    too_much,
)

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled

WINDOW = RollingWindow(
    days=7, resource_thresholds=Thresholds(maximum_deleted_lines=3), link_thresholds=Thresholds()
)


@pytest.mark.parametrize("same_batch", [True, False])
def test_comparing_again_without_options_does_not_undo_them(
    make_filled: MakeFilled, *, same_batch: bool
) -> None:
    """A task keeps its change rows for the one after it; somebody runs a plain ``idm synchronize`` to look again.

    Another Complete that the block passes to goes by its own options.
    """
    harness = make_filled(LIMITS)
    batch = block(harness, orphans=True, do_not_delete_changes=True, rolling=WINDOW)
    asked = json.loads(state_row(harness)["Options"])
    assert asked["do_not_delete_changes"] is asked["orphans"] is True

    again = harness.synchronize(batch=batch if same_batch else harness.publish(too_much(), "Complete"))

    assert again.state == "blocked"
    options = json.loads(state_row(harness)["Options"])
    assert (options == asked) is same_batch
    assert (options["do_not_delete_changes"], options["rolling"] is not None) == (same_batch, same_batch)
    assert harness.resume().state == "completed"
    assert bool(kept_changes(harness)) is same_batch
    check_ready(harness)


@pytest.mark.parametrize("named", [True, False])
def test_limits_over_days_hold_until_somebody_decides(make_filled: MakeFilled, *, named: bool) -> None:
    """A task whose connection has the limits found the block; a plain ``idm plan`` or ``idm synchronize`` has none."""
    harness = make_filled()
    batch = block(harness, rolling=WINDOW)
    own, before = batch if named else None, stored(harness)

    with harness.plan(own) as plan:
        planned = plan.result
    result = harness.synchronize(batch=own)

    exceeded = [("Connector HR, last 7 days", "MaximumDeletedLines", 3, 5, 40)]
    assert (planned.state, told(planned.thresholds)) == ("blocked", exceeded)
    assert (result.state, told(result.thresholds)) == ("blocked", exceeded)
    assert stored(harness) == before
    check_blocked(harness, batch)
    assert harness.resume().state == "completed"
    check_ready(harness)


def test_other_limits_over_days_take_the_place_of_those_that_blocked(make_filled: MakeFilled) -> None:
    harness = make_filled()
    batch = block(harness, rolling=WINDOW)
    wider = replace(WINDOW, resource_thresholds=Thresholds(maximum_deleted_lines=5))

    with harness.plan(batch, rolling=wider) as plan:
        assert plan.result.state == "completed"
    assert harness.synchronize(batch=batch, rolling=wider).state == "completed"
    check_ready(harness)


def test_what_was_to_be_applied_backwards_is_planned_so(make_filled: MakeFilled) -> None:
    """The command that shows what is blocked need not be told how it was asked for."""
    harness = make_filled(LIMITS)
    batch = block(harness, dated=datetime(2000, 1, 1, tzinfo=UTC), allow_backwards=True)

    with harness.plan(batch) as plan:
        assert plan.result.state == "blocked"
    check_blocked(harness, batch)
