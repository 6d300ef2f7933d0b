"""What is told of a block, and what is made after a rejection: nobody is to decide by numbers of something else."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration import SynchronizationMode
from airflow_provider_idm.configuration.model import Thresholds
from airflow_provider_idm.synchronization.exchange import Origin
from airflow_provider_idm.synchronization.prepare import PrepareRequest, PrepareResult, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, reject
from airflow_provider_idm.synchronization.synchronize.markdown import as_markdown
from tests.oracle.harness import Harness
from tests.oracle.shapes import HR
from tests.synchronize.conftest import make_harness
from tests.synchronize.scenario import delta, full

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

__all__ = ["make_harness"]

PEOPLE = "1/ada/Lovelace 2/alan/Turing 3/grace/Hopper 4/edsger/Dijkstra"


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    """A connector of four people that may lose one at a time."""
    made = make_harness(HR)
    connector = replace(made.mappings.connector, resource_thresholds=Thresholds(maximum_deleted_lines=1))
    made.mappings = replace(made.mappings, connector=connector)
    made.synchronize(batch=made.publish(full(PEOPLE), "Initial"))
    return made


def request(harness: Harness) -> SynchronizeRequest:
    return SynchronizeRequest(
        mappings=harness.mappings, exchange=harness.exchange, repository=harness.repository, work=harness.work
    )


def test_the_counts_of_a_block_are_those_of_the_blocked_batch(harness: Harness) -> None:
    harness.publish(delta("update/1/ada/King update/2/alan/T."), "Incremental")
    blocked = harness.publish(delta("delete/3// delete/4//"), "Incremental")

    result = harness.synchronize()

    assert [b.state for b in result.batches] == ["applied", "blocked"]
    persons = result.entity_types["Person"]
    assert (persons.updated, persons.deleted, persons.unchanged) == (0, 2, 2)
    assert result.before is not None
    assert (result.before.entity_types["Person"].updated, result.has_effect) == (2, True)
    told = result.as_dict()
    assert told["blocked_by"] == blocked
    assert told["before"]["entity_types"]["Person"]["updated"] == 2
    text = as_markdown(result, result.review)
    assert "those of the blocked batch alone" in text
    assert "| `Person` | 0 | 0 | 2 (50 %) |" in text


def test_a_block_alone_has_no_effect(harness: Harness) -> None:
    harness.publish(delta("delete/3// delete/4//"), "Incremental")

    result = harness.synchronize()

    assert (result.state, result.before, result.has_effect) == ("blocked", None, False)


def test_a_task_that_runs_again_after_a_rejection_prepares_anew(harness: Harness) -> None:
    sources = harness.folder / "ExportOutput"
    sources.mkdir()

    def run(persons: list[str]) -> PrepareResult:
        for table, columns in {
            "HR_Person": "id,login,name,org",
            "HR_Organization": "code,label,parent,manager",
        }.items():
            rows = persons if table == "HR_Person" else []
            (sources / f"{table}.csv").write_text("\n".join([columns, *rows, ""]), encoding="utf-8")
        return prepare(
            PrepareRequest(
                mappings=harness.mappings,
                mode=SynchronizationMode.COMPLETE,
                sources=sources,
                exchange=harness.exchange,
                work=harness.work,
                origin=Origin(job="hr", run="scheduled__1", task="prepare"),
            )
        )

    broken = run([])
    assert run([]).manifest.batch == broken.manifest.batch  # a retry
    assert harness.synchronize(batch=broken.manifest.batch).state == "blocked"
    assert run([]).manifest.batch == broken.manifest.batch
    reject(request(harness), by="Grace")

    mended = run(["1,ada,Lovelace,", "2,alan,Turing,", "3,grace,Hopper,", "4,edsger,Dijkstra,"])

    assert (mended.reused, mended.manifest.batch != broken.manifest.batch) == (False, True)
    assert harness.synchronize(batch=mended.manifest.batch).state == "completed"
    assert harness.repository.status("HR").state == "ready"


def test_what_a_killed_plan_left_is_removed_the_day_after(harness: Harness) -> None:
    folder = harness.work / "HR" / "Synchronize"
    old, fresh = folder / "plan-old", folder / "plan-fresh"
    for left in (old, fresh):
        left.mkdir()
        (left / "spilled").touch()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))

    harness.synchronize()

    assert (old.exists(), fresh.exists()) == (False, True)
