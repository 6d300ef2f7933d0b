"""What a dated task asks Airflow about: which tasks of its DAG, and which runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_idm.errors import TransientError
from airflow_provider_idm.operators import earlier_runs
from airflow_provider_idm.operators.earlier_runs import AirflowRuns, TurnTasks
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.order_of_runs import DatedRun
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

pytestmark = pytest.mark.airflow

START = datetime(2026, 3, 1, tzinfo=UTC)


def a_dag() -> Any:
    """Return a DAG of two connectors, one of which is prepared by a mapped task."""
    from airflow.sdk import DAG

    with DAG("two", schedule=None) as dag:
        ExportTaskOperator(task_id="export", connection="HR-Persons")
        PrepareSynchronizationTaskOperator(
            task_id="hr", connector="HR", synchronization_mode="Complete", sources_directory="/data/{{ ds }}"
        )
        SynchronizeTaskOperator(task_id="hr_in", connector="hr")
        PrepareSynchronizationTaskOperator(task_id="ad", connector="AD", synchronization_mode="Complete")
        SynchronizeTaskOperator.partial(task_id="ad_in", connector="AD").expand(batch=["1", "2"])
        SynchronizeTaskOperator(task_id="any", connector="{{ params.connector }}")
    return dag


def test_the_tasks_of_a_connector_are_waited_for() -> None:
    tasks = TurnTasks(a_dag(), "HR")

    assert tasks.have_dated_folder
    assert tasks.waiting == ["export", "hr", "ad"]
    concerned = {"hr", "hr_in", "any"}
    assert {
        name for name in ("export", "hr", "hr_in", "ad", "ad_in_0", "any") if tasks.concern(name)
    } == concerned


def test_mapped_tasks_are_waited_for_by_each_of_their_instances() -> None:
    tasks = TurnTasks(a_dag(), "AD")

    assert not tasks.have_dated_folder
    names = ("ad", "ad_in_0", "ad_in_12", "ad_in_", "ad_0", "hr_in")
    assert [name for name in names if tasks.concern(name)] == ["ad", "ad_in_0", "ad_in_12"]


class Airflow:
    """Answers which run lies before a date, and counts the questions."""

    def __init__(self, states: dict[int, str]) -> None:
        self.runs = [
            SimpleNamespace(
                run_id=f"r{number}",
                logical_date=START + timedelta(hours=number),
                run_type="backfill",
                state=state,
                start_date=None,
                clear_number=0,
                conf=None,
            )
            for number, state in sorted(states.items())
        ]
        self.asked = 0

    def send(self, question: Any) -> Any:
        self.asked += 1
        found = (run for run in self.runs if run.logical_date < question.logical_date)
        found = (run for run in found if question.state in (None, run.state))
        return SimpleNamespace(dag_run=max(found, key=lambda run: run.logical_date, default=None))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.dictionaries(st.integers(0, 5000), st.sampled_from(["queued", "running", "success", "failed"])),
    number=st.integers(0, 5000),
)
def test_the_next_run_that_was_started_is_found(
    states: dict[int, str], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time import task_runner

    airflow = Airflow(states | {number: "running"})
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", airflow, raising=False)
    mine = DatedRun(f"r{number}", START + timedelta(hours=number), "backfill", "running")

    found = AirflowRuns(SimpleNamespace(dag_id="two"), SimpleNamespace()).after(mine)  # type: ignore[arg-type]

    later = [n for n, state in states.items() if n > number and state in {"running", "failed"}]
    assert (found and found.run_id) == (f"r{min(later)}" if later else None)
    assert airflow.asked <= 60


def an_airflow_that_fails(monkeypatch: pytest.MonkeyPatch) -> AirflowRuns:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    class Failing:
        def send(self, question: Any) -> Any:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Failing(), raising=False)
    return AirflowRuns(SimpleNamespace(dag_id="two"), SimpleNamespace())  # type: ignore[arg-type]


def test_airflow_3_1_fails_where_a_run_has_not_been_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_runs, "_can_be_told_of_queued_runs", lambda: False)

    before = an_airflow_that_fails(monkeypatch).before(DatedRun("mine", START, "backfill", "running"))

    assert before is not None
    assert (before.state, before.is_backfill, before.is_fresh) == ("queued", True, False)


def test_an_airflow_that_does_not_answer_is_asked_again_by_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_runs, "_can_be_told_of_queued_runs", lambda: True)

    with pytest.raises(
        TransientError, match="Airflow does not tell which run comes before: API_SERVER_ERROR"
    ):
        an_airflow_that_fails(monkeypatch).before(DatedRun("mine", START, "scheduled", "running"))


def test_only_airflow_3_1_fails_so() -> None:
    can = earlier_runs._can_be_told_of_queued_runs()

    assert can == (not version("apache-airflow-core").startswith("3.1."))
