"""What goes wrong after a block is recorded changes nothing about it: it is told, and can be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.safeguards.blocks import LIMITS, check_blocked, check_ready, too_much

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled


def test_a_block_is_told_although_its_reports_cannot_be_placed(
    make_filled: MakeFilled, caplog: pytest.LogCaptureFixture
) -> None:
    harness = make_filled(LIMITS)
    in_the_way = harness.work / "HR" / "Synchronize" / "Person_Organization.orphans.csv"
    (in_the_way / "folder").mkdir(parents=True)

    batch = harness.publish(too_much(), "Complete")
    result = harness.synchronize(batch=batch, orphans=True)

    assert (result.state, result.blocked_by, result.review is not None) == ("blocked", batch, True)
    check_blocked(harness, batch)
    assert f"batch {batch} is blocked, but not everything after it was done" in caplog.text
    assert harness.resume().state == "completed"
    check_ready(harness)
