"""Synchronizations that begin at the same instant end as if they had run one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oracle.harness import expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import DIRECTORY, HR
from tests.synchronize.processes import end, start, start_together
from tests.synchronize.scenario import FIRST, SECOND, THIRD, model_of

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

ENTRIES = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [["g", "x", "Group"], ["h", "y", "Head"], ["m", "z", ""]]),
    "Entry_Parent": CleanFile(["key1", "key2"], [["y", "x"], ["z", "y"]]),
    "Group_Members": CleanFile(["key1", "key2"], [["x", "y"], ["x", "z"], ["x", "w"]]),
}


def test_the_same_batch_twice(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    batch = harness.publish(SECOND, "Incremental")

    said = start_together(tmp_path, [(harness, "hr", {"batch": batch})] * 2)

    assert [status for status, _ in said] == [0, 0]
    results = [s["result"] for _, s in said]
    assert sorted(r["already_applied"] for r in results) == [False, True]
    assert results[0]["entity_types"] == results[1]["entity_types"]
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    assert [b["Id"] for b in harness.table("UJ_Batches")].count(batch) == 1


def test_different_batches_of_one_connector(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    second = harness.publish(SECOND, "Incremental")
    third = harness.publish(THIRD, "Incremental")

    said = start_together(tmp_path, [(harness, "hr", {"batch": third}), (harness, "hr", {"batch": second})])

    assert [status for status, _ in said] == [0, 0]
    assert all("result" in s for _, s in said), said
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND, THIRD))
    applied = sorted(b["Id"] for b in harness.table("UJ_Batches") if b["State"] == "applied")
    assert applied[1:] == sorted([second, third])


def test_the_first_batches_of_a_new_connector(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(HR)
    first = harness.publish(FIRST, "Initial")

    said = start_together(tmp_path, [(harness, "hr", {"batch": first})] * 2)

    assert all("result" in s for _, s in said), said
    assert harness.snapshot() == expected_snapshot(model_of(FIRST))


@pytest.mark.parametrize("mode", ["Initial", "Complete"])
def test_two_connectors_do_not_disturb_each_other(
    make_harness: MakeHarness, tmp_path: Path, mode: str
) -> None:
    persons, directory = make_harness(HR), make_harness(DIRECTORY)
    first = persons.publish(FIRST, mode)
    entries = directory.publish(ENTRIES, mode)

    said = start_together(
        tmp_path, [(persons, "hr", {"batch": first}), (directory, "directory", {"batch": entries})]
    )

    assert all("result" in s for _, s in said), said
    model = Model(DIRECTORY)
    model.apply("Complete", ENTRIES)
    assert persons.snapshot() == expected_snapshot(model_of(FIRST))
    assert directory.snapshot() == expected_snapshot(model)
    ids = [row["Id"] for row in persons.table("UR_Resources")]
    assert len(ids) == len(set(ids)) == 10


def test_a_second_one_does_not_wait_for_ever(make_harness: MakeHarness, tmp_path: Path) -> None:
    """With no patience at all, one of two gives up cleanly, to be retried."""
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    batch = harness.publish(SECOND, "Incremental")

    said = start_together(tmp_path, [(harness, "hr", {"batch": batch, "lock_timeout": 0.0})] * 2)

    assert [status for status, _ in said] == [0, 0]
    assert {s["error"] for _, s in said if "error" in s} <= {"LockedError"}
    assert any("result" in s for _, s in said)
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


def test_the_flag_may_be_set_while_a_connector_is_synchronized(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    """Each change row is read once: by a run of the flag during the synchronization or by the one after it."""
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    model = model_of(FIRST)
    touched: set[tuple[str, str]] = set()
    for files in (SECOND, THIRD):
        harness.publish(files, "Incremental")
        touched |= model.apply("Incremental", files).touched

    child = start(harness, "hr", keep=True)
    while child.poll() is None:
        harness.repository.set_recently_modified_flag()
    status, said = end(child)
    harness.repository.set_recently_modified_flag()

    assert status == 0
    assert "result" in said, said
    assert harness.snapshot() == expected_snapshot(model)
    assert harness.dirty() == touched
    assert harness.table("UR_ResourceChanges") == harness.table("UR_ResourceLinkChanges") == []
