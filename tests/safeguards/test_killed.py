"""Killed at any instant of blocking, resuming or rejecting: it was done, or it was not; run again, it is done once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import NotBlockedError
from tests.oracle.changes import TABLES, kept_changes
from tests.oracle.harness import Harness, Snapshot, expected_snapshot
from tests.safeguards.blocks import (
    LIMITS,
    block,
    check_blocked,
    check_ready,
    model_after,
    state_row,
    stored,
    too_much,
)
from tests.safeguards.sources import SMALL, model_of
from tests.synchronize.processes import end, start

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.safeguards.conftest import MakeFilled

INSTANTS: dict[tuple[str, str], int] = {}
"""How many instants an undisturbed action passes, by action and kind of database."""
BEFORE: Snapshot = expected_snapshot(model_of(SMALL))
AFTER: Snapshot = expected_snapshot(model_after())


def ready_for(harness: Harness, action: str) -> str:
    """Publish the batch that is too much; let it block where a decision is to be made about it."""
    if action == "synchronize":
        return harness.publish(too_much(), "Complete")
    return block(harness, do_not_delete_changes=True)


def act(harness: Harness, action: str, batch: str, kill: int | str | None) -> tuple[int, dict]:
    told = {"action": action, "thresholds": harness.shape.thresholds, "batch": batch, "kill": kill}
    return end(start(harness, "company", keep=True, **told))


def instants(databases: Databases, make_filled: MakeFilled, action: str) -> int:
    if (databases.kind, action) not in INSTANTS:
        harness = make_filled(LIMITS)
        status, said = act(harness, action, ready_for(harness, action), None)
        assert status == 0, said
        assert "result" in said, said
        INSTANTS[databases.kind, action] = said["instants"]
    return INSTANTS[databases.kind, action]


def moments() -> list[tuple[str, float | str]]:
    decided = ["before_commit", "after_commit", "before_state", "after_state"]
    told = [("synchronize", m) for m in decided]
    for action in ("resume", "reject"):
        told += [(action, m) for m in (*decided, "before_note", "after_note")]
    told += [(a, share) for a in ("synchronize", "resume", "reject") for share in (0.2, 0.6, 0.8, 0.9, 0.97)]
    return told


@pytest.mark.parametrize(("action", "when"), moments())
def test_killed_and_run_again(
    databases: Databases, make_filled: MakeFilled, action: str, when: float | str
) -> None:
    kill = when if isinstance(when, str) else 1 + int(when * (instants(databases, make_filled, action) - 1))
    harness = make_filled(LIMITS)
    batch = ready_for(harness, action)
    before = stored(harness)
    reviewed = kept_changes(harness)

    status, said = act(harness, action, batch, kill)

    assert status == -9, f"it was not killed: {said}"
    done = check_before_or_after(harness, action, batch, reviewed, before)
    if isinstance(when, str):
        assert done == (when != "before_commit")

    run_again(harness, action, batch, done=done)


def check_before_or_after(harness: Harness, action: str, batch: str, reviewed: list, before: object) -> bool:
    """Check that the repository is as it was, or as it is to be, and nothing between; return which."""
    state, snapshot = state_row(harness)["State"], harness.snapshot()
    recorded = {b["Id"]: b["State"] for b in harness.table("UJ_Batches")}.get(batch)
    kept = kept_changes(harness)
    done = state != ("ready" if action == "synchronize" else "blocked")
    if done:
        assert (state, recorded) == {
            "synchronize": ("blocked", None),
            "resume": ("ready", "applied"),
            "reject": ("needs_complete", "rejected"),
        }[action]
        assert snapshot == (AFTER if action == "resume" else BEFORE)
        assert bool(kept) == (action != "reject")
    else:
        assert recorded is None
        assert kept == reviewed
        assert stored(harness) == before
    return done


def run_again(harness: Harness, action: str, batch: str, *, done: bool) -> None:
    """Run the same action once more; afterwards all is as if nobody had killed the first one."""
    if action == "synchronize":
        harness.synchronize(batch=batch, do_not_delete_changes=True)
        check_blocked(harness, batch)
        return
    if action == "resume":
        assert harness.resume(batch=batch).already_applied == done
        assert harness.snapshot() == AFTER
        check_ready(harness)
        assert harness.repository.set_recently_modified_flag() == len(
            model_of(SMALL).apply("Complete", too_much()).touched
        )
        assert all(harness.table(name) == [] for name in TABLES)
        assert harness.channel.finished()[batch].state == "applied"
    else:
        assert harness.reject(batch=batch).state == "rejected"
        assert harness.snapshot() == BEFORE
        check_ready(harness, "needs_complete")
        assert kept_changes(harness) == []
        assert harness.channel.finished()[batch].state == "rejected"
    with pytest.raises(NotBlockedError):
        harness.resume()
