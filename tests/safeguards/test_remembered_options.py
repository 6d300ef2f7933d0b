"""How a blocked batch was asked to be applied stays known, whoever looks at it again meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from tests.oracle.changes import kept_changes
from tests.safeguards.blocks import LIMITS, block, check_ready, state_row, too_much

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
