"""What happens around the commit: nothing after it undoes it, nothing before it that failed leaves a trace."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.errors import RepositoryUnavailableError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Origin
from airflow_provider_idm.synchronization.synchronize import SynchronizeResult, batch, record
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile
from tests.oracle.shapes import DIRECTORY, HR
from tests.synchronize.scenario import FIRST, delta, full, model_of

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

TRY = Origin(job="nightly", run="2026-01-01", task="synchronize_hr", map_index=-1)
ENTRIES = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [["g", "x", "Group"]]),
    "Entry_Parent": CleanFile(["key1", "key2"], []),
    "Group_Members": CleanFile(["key1", "key2"], [["x", "x"]]),
}


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


def raising(error: Exception) -> Any:
    def call(*_arguments: object, **_options: object) -> None:
        raise error

    return call


# ------------------------------------------------------------------------------------------------ after the commit

UNAVAILABLE = RepositoryUnavailableError("the repository does not answer")


@pytest.mark.parametrize(
    ("step", "error"), [("analyze", UNAVAILABLE), ("place_reports", OSError("no space left on device"))]
)
def test_what_fails_after_the_commit_leaves_the_batch_applied(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    monkeypatch.setattr(batch, "WORTH_ANALYZING", 0)
    where: object = Repository if step == "analyze" else batch
    monkeypatch.setattr(where, step, raising(error))
    published = harness.publish(full("1/ada/Lovelace 2/alan/Turing", "A/R", members="1/A"), "Complete")

    result = harness.synchronize(batch=published, do_not_delete_changes=True)

    assert (result.state, result.has_effect) == ("completed", True)
    assert [(b["Id"], b["State"]) for b in harness.table("UJ_Batches")] == [(published, "applied")]
    assert harness.channel.finished()[published].state == "applied"
    (task,) = harness.table("UJ_TaskInstances")
    assert (task["State"], task["Message"]) == ("completed", None)
    assert harness.repository.set_recently_modified_flag() == 3
    assert harness.dirty() == {("Person", "1"), ("Person", "2"), ("Organization", "A")}
    assert harness.table("UR_ResourceChanges") == harness.table("UR_ResourceLinkChanges") == []


def test_a_task_that_ended_stays_as_it_ended(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if what comes after its batch fails in a way that nobody foresaw."""
    monkeypatch.setattr(batch, "place_reports", raising(KeyError("unforeseen")))
    published = harness.publish(FIRST, "Complete")

    with pytest.raises(KeyError):
        harness.synchronize(batch=published, do_not_delete_changes=True)

    (task,) = harness.table("UJ_TaskInstances")
    assert (task["State"], task["Message"]) == ("completed", None)
    assert harness.synchronize(batch=published).already_applied
    assert harness.repository.set_recently_modified_flag() == 7


# ---------------------------------------------------------------------------------------------- tries of one task


def test_a_later_try_of_the_task_that_applied_a_batch_has_its_effect(harness: Harness) -> None:
    published = harness.publish(FIRST, "Complete")
    first = harness.synchronize(batch=published, origin=TRY)

    again = harness.synchronize(batch=published, origin=TRY)

    assert (first.already_applied, first.has_effect) == (False, True)
    assert (again.already_applied, again.has_effect) == (True, True)
    assert again.entity_types == first.entity_types


def test_another_task_that_finds_a_batch_applied_has_no_effect(harness: Harness) -> None:
    published = harness.publish(FIRST, "Complete")
    harness.synchronize(batch=published, origin=TRY)

    for other in (
        replace(TRY, job="other"),
        replace(TRY, run="2026-01-02"),
        replace(TRY, task="other"),
        replace(TRY, map_index=1),
        Origin(),
    ):
        found = harness.synchronize(batch=published, origin=other)
        assert (found.already_applied, found.has_effect) == (True, False), other


def test_two_commands_without_a_run_are_not_one_task(harness: Harness) -> None:
    published = harness.publish(FIRST, "Complete")
    harness.synchronize(batch=published)
    assert not harness.synchronize(batch=published).has_effect


def test_a_try_that_changed_nothing_has_no_effect_later_either(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"), origin=TRY)
    published = harness.publish(FIRST, "Complete")
    assert not harness.synchronize(batch=published, origin=TRY).has_effect
    assert not harness.synchronize(batch=published, origin=TRY).has_effect


def test_two_connectors_of_one_run_start_at_once(make_harness: MakeHarness) -> None:
    persons, directory = make_harness(HR), make_harness(DIRECTORY)
    pending = {"hr": persons.publish(FIRST, "Complete"), "ad": directory.publish(ENTRIES, "Complete")}
    barrier = threading.Barrier(2, timeout=20)
    results: list[SynchronizeResult] = []

    def run(harness: Harness, task: str) -> None:
        barrier.wait()
        origin = Origin(job="nightly", run="2026-01-01", task=task)
        results.append(harness.synchronize(batch=pending[task], origin=origin))

    threads = [threading.Thread(target=run, args=pair) for pair in ((persons, "hr"), (directory, "ad"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(result.connector for result in results) == ["AD", "HR"]
    (job,) = persons.table("UJ_JobInstances")
    tasks = persons.table("UJ_TaskInstances")
    assert sorted((t["JobInstance_Id"], t["Task"]) for t in tasks) == [(job["Id"], "ad"), (job["Id"], "hr")]


# -------------------------------------------------------------------------------------------------------- files


def test_reports_of_a_failed_synchronization_do_not_replace_those_of_the_last_good_one(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    files = delta("update/9/x/Nobody", members="insert/1/B insert/1/Z")
    harness.synchronize(batch=harness.publish(files, "Incremental"), orphans=True)
    place = harness.work / "HR" / "Synchronize"
    good = {path.name: path.read_text() for path in place.iterdir()}
    assert good["Person.anomalies.csv"] == "command,PersonId\nupdate,9\n"
    assert good["Person_Organization.conflicts.csv"] == "key1,key2\n1,B\n"
    assert good["Person_Organization.orphans.csv"] == "key1,key2,missing\n1,Z,2\n"
    monkeypatch.setattr(record.Record, "finish", raising(UNAVAILABLE))

    with pytest.raises(RepositoryUnavailableError):
        harness.synchronize(batch=harness.publish(full("1/a/b", members="1/Q"), "Complete"), orphans=True)

    assert {path.name: path.read_text() for path in place.iterdir()} == good


def test_reports_of_a_good_synchronization_replace_those_of_the_one_before(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full("1/a/b", "A/R B/S", members="1/A 1/B 1/Z"), "Complete"))
    harness.synchronize(
        batch=harness.publish(full("1/a/b", "A/R B/S", members="1/A 1/Z"), "Complete"), orphans=True
    )
    place = harness.work / "HR" / "Synchronize"
    assert not (place / "Person_Organization.conflicts.csv").exists()
    assert (place / "Person_Organization.orphans.csv").read_text() == "key1,key2,missing\n1,Z,2\n"


def test_what_a_killed_synchronization_left_is_removed_by_the_next(harness: Harness) -> None:
    left = harness.work / "HR" / "Synchronize" / "run-xyz"
    left.mkdir(parents=True)
    (left / "inserted_0.copy.csv").write_text("1,ada,Lovelace\n")

    harness.synchronize(batch=harness.publish(FIRST, "Complete"))

    assert not left.exists()
    assert harness.snapshot() == expected_snapshot(model_of(FIRST))
    left.mkdir()
    harness.synchronize()  # though there is nothing to do
    assert not left.exists()
