"""What a dated task does when it is not its turn: what it waits for, what it fails with, what it leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_idm.errors import ConnectorBlockedError, ExchangeError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException, AirflowRescheduleException
from airflow_provider_idm.operators import turn
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.operators.turn import wait_for_decision, wait_for_turn

pytestmark = pytest.mark.airflow

START = datetime(2026, 3, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DONE = {"prepare": "success", "synchronize": "success"}
BROKEN = {"prepare": "failed", "synchronize": "upstream_failed"}
OPEN = {"prepare": "running", "synchronize": None}


def a_run(
    day: int,
    state: str,
    *,
    started: int | None = None,
    type_: str = "backfill",
    cleared: int = 0,
    **conf: Any,
) -> Any:
    """Return a run of a day of March as Airflow tells of it, started so many seconds after noon."""
    return SimpleNamespace(
        run_id=f"backfill__2026-03-{day:02}",
        logical_date=START + timedelta(days=day - 1),
        run_type=type_,
        state=state,
        start_date=None if state == "queued" else NOON + timedelta(seconds=started or day),
        clear_number=cleared,
        conf=conf or None,
    )


class Airflow:
    """What a task can ask of Airflow, and what it told."""

    dag_id = "hr"

    def __init__(self, *runs: tuple[Any, dict[str, str | None]]) -> None:
        self.runs = [run for run, _ in runs]
        self.tasks = {run.run_id: tasks for run, tasks in runs}
        self.pushed: dict[str, Any] = {}

    def send(self, question: Any) -> Any:
        found = (run for run in self.runs if run.logical_date < question.logical_date)
        found = (run for run in found if question.state in (None, run.state))
        return SimpleNamespace(dag_run=max(found, key=lambda run: run.logical_date, default=None))

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, Any]:
        assert dag_id == self.dag_id
        return {run: self.tasks[run] for run in run_ids if run in self.tasks}

    def xcom_pull(self, **_: Any) -> list[Any]:
        return [None]

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask whether it is the turn of a run, other runs being there."""
    from airflow.sdk import DAG
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(turn, "PATIENCE", 0.2)
    monkeypatch.setattr(turn, "_PAUSE", 0.05)

    def ask(
        mine: Any,
        *others: tuple[Any, dict[str, str | None]],
        folder: str = "/data/{{ ds }}",
        run_params: frozenset[str] | None = None,
    ) -> Airflow:
        airflow = Airflow((mine, {"prepare": "running", "synchronize": None}), *others)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", airflow, raising=False)
        with DAG("hr", schedule=None) as dag:
            PrepareSynchronizationTaskOperator(
                task_id="prepare", connector="HR", synchronization_mode="Complete", sources_directory=folder
            ).run_params = run_params
            SynchronizeTaskOperator(task_id="synchronize", connector="HR")
        context: Any = {"dag_run": mine, "dag": dag, "ti": airflow}
        wait_for_turn(context, "HR")
        return airflow

    return ask


def test_a_day_waits_without_a_worker_and_says_what_for(ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    with pytest.raises(AirflowRescheduleException) as waits:
        ask(a_run(5, "running"), (a_run(4, "running"), OPEN))

    assert timedelta(0) < waits.value.reschedule_date - datetime.now(UTC) <= timedelta(seconds=10)
    assert (
        "Waiting: the run of 2026-03-04 (backfill__2026-03-04) comes first and has not ended" in caplog.text
    )


def test_a_day_goes_on_when_the_one_before_is_done(ask) -> None:
    assert ask(a_run(5, "running"), (a_run(4, "success"), DONE)).pushed == {}


def test_a_dry_run_between_two_days_says_nothing_of_the_days_before_it(ask) -> None:
    days = (a_run(1, "running"), OPEN), (a_run(2, "success", type_="manual", dry_run=True), DONE)

    with pytest.raises(AirflowRescheduleException):
        ask(a_run(3, "running", type_="scheduled"), *days, run_params=frozenset({"dry_run"}))
    # a param of that name which its author's DAG has may mean anything
    ask(a_run(3, "running", type_="scheduled"), *days)


@pytest.mark.parametrize(("folder", "type_"), [("/data", "scheduled"), ("/data", "manual")])
def test_undated_runs_ask_nothing(ask, folder: str, type_: str) -> None:
    ask(a_run(5, "running", type_=type_), (a_run(4, "running"), OPEN), folder=folder)


def test_a_run_without_logical_date_asks_nothing(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Airflow, "send", lambda _, question: pytest.fail(f"{question} was asked"))
    mine = a_run(5, "running", type_="manual")
    mine.logical_date = None

    assert ask(mine, (a_run(4, "running"), OPEN)).pushed == {}
    with pytest.raises(pytest.fail.Exception):
        ask(a_run(5, "running", type_="manual"), (a_run(4, "running"), OPEN))


def test_a_failure_says_what_to_mend_and_how_to_go_on(ask) -> None:
    with pytest.raises(AirflowFailException) as failure:
        ask(a_run(5, "running"), (a_run(4, "failed"), BROKEN), (a_run(3, "failed"), BROKEN))

    told = str(failure.value)
    assert told.startswith("the run of 2026-03-03 (backfill__2026-03-03), which comes first, failed")
    dates = "--from-date 2026-03-03T00:00:00+00:00 --to-date 2026-03-05T00:00:00+00:00"
    assert f"airflow backfill create --dag-id hr {dates} --reprocess-behavior failed" in told


def test_who_is_refused_names_the_run_that_was_to_come_first(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(Airflow, "xcom_push", lambda _, key, value: told.update({key: value}))

    with pytest.raises(AirflowFailException, match=r"this backfill runs backwards.*without --run-backwards"):
        ask(a_run(5, "running"), (a_run(4, "queued"), OPEN))

    assert told == {"refused_before": "backfill__2026-03-04"}


def test_patience_ends_where_a_cleared_day_is_not_started(ask) -> None:
    with pytest.raises(
        AirflowFailException, match="comes first and has not been started, although the run of"
    ):
        ask(a_run(5, "running"), (a_run(4, "queued", cleared=1), OPEN))


def test_a_backfill_waits_for_the_decision_about_another_runs_batch() -> None:
    def channel(job: str, run: str) -> Any:
        return SimpleNamespace(manifest=lambda _: SimpleNamespace(origin=SimpleNamespace(job=job, run=run)))

    def missing(batch: str) -> Any:
        raise ExchangeError(f"there is no batch {batch}")

    error = ConnectorBlockedError("HR awaits a decision.", connector="HR", batch="1")
    ti = SimpleNamespace(dag_id="hr", run_id="backfill__2026-03-05")
    backfill: Any = {"dag_run": a_run(5, "running"), "ti": ti}
    nightly: Any = {"dag_run": a_run(5, "running", type_="scheduled"), "ti": ti}

    with pytest.raises(AirflowRescheduleException):
        wait_for_decision(error, channel("nightly", "scheduled__1"), backfill)
    wait_for_decision(error, channel("nightly", "scheduled__1"), nightly)
    wait_for_decision(error, channel("hr", "backfill__2026-03-05"), backfill)
    wait_for_decision(error, SimpleNamespace(manifest=missing), backfill)  # type: ignore[arg-type]
