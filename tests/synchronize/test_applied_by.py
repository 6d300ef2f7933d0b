"""What a task applied, whichever of its tries it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.synchronization.exchange import Origin
from airflow_provider_idm.synchronization.synchronize import applied_by
from tests.oracle.shapes import HR
from tests.synchronize.scenario import FIRST, SECOND, THIRD

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness


def test_a_task_is_told_what_each_of_its_tries_applied(make_harness: MakeHarness) -> None:
    # given a task that applied two batches in two tries, and others that applied one, or nothing, in between
    harness = make_harness(HR)
    nightly, other = (Origin(job=job, run="r1", task="synchronize") for job in ("nightly", "other"))
    mapped = Origin(job="nightly", run="r1", task="synchronize", map_index=3)
    first = harness.publish(FIRST, "Complete")
    harness.synchronize(batch=first, origin=nightly)
    second = harness.publish(SECOND, "Incremental")
    harness.synchronize(batch=second, origin=other)
    third = harness.publish(THIRD, "Incremental")
    harness.synchronize(batch=third, origin=nightly)
    harness.synchronize(batch=third, origin=mapped)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))

    found = {
        origin: applied_by(harness.repository, "HR", origin) for origin in (nightly, other, mapped, Origin())
    }

    assert {origin: [result.applied for result in results] for origin, results in found.items()} == {
        nightly: [(first,), (third,)],
        other: [(second,)],
        mapped: [],
        Origin(): [],
    }
    assert [result.has_effect for result in found[nightly]] == [True, True]
    assert found[nightly][0].entity_types["Person"].inserted == 4
    assert applied_by(harness.repository, "Another", nightly) == ()
