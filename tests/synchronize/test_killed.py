"""A synchronize killed at any instant and run again ends where an undisturbed one does, and its batch counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.synchronize.processes import end, start
from tests.synchronize.scenario import FIRST, SECOND, model_of

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

INSTANTS: dict[str, int] = {}
"""How many instants an undisturbed synchronize passes, by kind of database."""


def two_batches(harness: Harness) -> str:
    """Apply the first batch; leave the second pending."""
    first = harness.publish(FIRST, "Initial")
    harness.synchronize(batch=first)
    return harness.publish(SECOND, "Incremental")


def instants(databases: Databases, make_harness: MakeHarness) -> int:
    if databases.kind not in INSTANTS:
        harness = make_harness(HR, apart=True)
        batch = two_batches(harness)
        status, said = end(start(harness, "hr", batch=batch, keep=True))
        assert status == 0, said
        assert "result" in said, said
        INSTANTS[databases.kind] = said["instants"]
    return INSTANTS[databases.kind]


@pytest.mark.parametrize(
    "when",
    [0.0, 0.3, 0.5, 0.7, 0.85, 0.95, "before_commit", "after_commit", "before_note", "after_note"],
)
def test_killed_and_run_again(databases: Databases, make_harness: MakeHarness, when: float | str) -> None:
    kill = when if isinstance(when, str) else 1 + int(when * (instants(databases, make_harness) - 1))
    harness = make_harness(HR, apart=True)
    batch = two_batches(harness)

    status, said = end(start(harness, "hr", batch=batch, keep=True, kill=kill))

    assert status == -9, f"it was not killed: {said}"
    committed = when in {"after_commit", "before_note", "after_note"}
    before = model_of(FIRST)
    after = model_of(FIRST, SECOND)
    if not isinstance(when, str):
        assert harness.snapshot() in (expected_snapshot(before), expected_snapshot(after))
    else:
        assert harness.snapshot() == expected_snapshot(after if committed else before)

    result = harness.synchronize(batch=batch, do_not_delete_changes=True)

    assert harness.snapshot() == expected_snapshot(after)
    if isinstance(when, str):
        assert result.already_applied == committed
    assert result.entity_types["Person"].inserted == 1
    assert result.entity_types["Person"].anomalies == 1
    applied = [b for b in harness.table("UJ_Batches") if b["Id"] == batch]
    assert [b["State"] for b in applied] == ["applied"]
    note = harness.channel.finished()[batch]
    assert (note.batch, note.state) == (batch, "applied")

    again = harness.synchronize(batch=batch)
    assert again.already_applied
    assert not again.has_effect
    assert harness.snapshot() == expected_snapshot(after)

    outcome = model_of(FIRST).apply("Incremental", SECOND)
    assert harness.repository.set_recently_modified_flag() == len(outcome.touched)
    assert harness.dirty() == outcome.touched
    assert harness.repository.set_recently_modified_flag() == 0


def test_killed_while_another_waits(databases: Databases, make_harness: MakeHarness) -> None:
    """A lock does not outlive its holder."""
    harness = make_harness(HR, apart=True)
    batch = two_batches(harness)
    status, _ = end(start(harness, "hr", batch=batch, kill="before_commit"))
    assert status == -9
    result = harness.synchronize(batch=batch, lock_timeout=5.0)
    assert not result.already_applied
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
