"""The runs of a DAG before and after a task's own, as Airflow knows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, get_args

from airflow_provider_idm.configuration.names import same
from airflow_provider_idm.errors import TransientError
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.condition import FAILED
from airflow_provider_idm.operators.order_of_runs import BACKFILL, DatedRun, DayTasks
from airflow_provider_idm.operators.run import is_templated

REFUSED_BEFORE: Final = "refused_before"
"""Key of the XCom of a task that was refused for a wrong order: the run that its own was started before."""

DRY_RUN: Final = "dry_run"
"""The param of a run that is to change nothing."""

_NOT_LOOKED: Final = frozenset({None, "scheduled", "queued", "running", "up_for_retry", "restarting"})
"""States of a task that has not told yet whether it was its turn."""

_END_OF_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)


class TurnTasks:
    """The tasks of a DAG that concern a connector, by their ids.

    :param dag: the DAG, as a worker knows it.
    """

    def __init__(self, dag: Any, connector: str) -> None:
        self.waiting: list[str] = []
        """Those that wait for their turn, of any connector."""
        self._connectors: dict[str, bool] = {}
        self.have_dated_folder = False
        """Whether one of the prepares has another folder for every date."""
        self.offer_dry_run = False
        """Whether a run may be asked to change nothing."""
        for task in dag.tasks:
            kind = getattr(task, "operator_class", type(task))
            given = _Given(task)
            step = kind.step if issubclass(kind, IdmOperator) else None
            if step in {"export", "prepare"}:
                self.waiting.append(task.task_id)
            if step not in {"prepare", "synchronize"}:
                continue
            self.offer_dry_run |= DRY_RUN in (given["run_params"] or ())
            its = given["connector"]
            if isinstance(its, str) and not is_templated(its) and not same(its, connector):
                continue
            self._connectors[task.task_id] = isinstance(given.mapped, Mapping)
            self.have_dated_folder |= bool(given["dated_folder"]) or is_templated(given["sources_directory"])

    def concern(self, name: str) -> bool:
        """Tell whether a task, by its name in a run, is one of the connector's prepares and synchronizes.

        Airflow names the instances of a mapped task ``task_0``, ``task_1`` …
        """
        base, _, index = name.rpartition("_")
        return name in self._connectors or (index.isdecimal() and self._connectors.get(base, False))


class _Given:
    """The arguments of a task, be it mapped or not."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self.mapped = getattr(task, "partial_kwargs", None)

    def __getitem__(self, name: str) -> Any:
        return self.mapped.get(name) if isinstance(self.mapped, Mapping) else getattr(self._task, name, None)


class AirflowRuns:
    """The runs of the task's DAG (``Runs``), asked for over the task's connection to Airflow."""

    def __init__(self, task: Any, tasks: TurnTasks) -> None:
        self._task = task
        self._tasks = tasks

    def before(self, run: DatedRun) -> DatedRun | None:
        """Return the run with the next earlier date, of whatever state; dry runs change nothing, and do not count."""
        date = run.date
        while date is not None:
            found = self._last_before(date)
            if found is None or not (found.is_dry and self._tasks.offer_dry_run):
                return found
            date = found.date
        return None

    def after(self, run: DatedRun) -> DatedRun | None:
        """Return the next later one; Airflow only tells the last one before a date, so the time between is halved."""
        if run.date is None:
            return None
        begin, found = run.date, self._last_begun_before(_END_OF_TIME, run.date)
        while found is not None and found.date is not None:
            nearer = self._last_begun_before(found.date, run.date)
            if nearer is None or nearer.date is None:
                break
            found, middle = nearer, begin + (nearer.date - begin) / 2
            nearer = self._last_begun_before(middle, run.date)
            begin, found = (middle, found) if nearer is None else (begin, nearer)
        return found

    def tasks(self, run: DatedRun) -> DayTasks:
        """Return what became of a run's tasks; Airflow knows those that have not begun, too."""
        found = self._task.get_task_states(dag_id=self._task.dag_id, run_ids=[run.run_id])
        states = {name: _text(state) or None for name, state in found.get(run.run_id, {}).items()}
        own = {name: state for name, state in states.items() if self._tasks.concern(name)}
        return DayTasks(
            states=own,
            others_failed=any(state in FAILED for name, state in states.items() if name not in own),
            has_looked=any(states.get(name) not in _NOT_LOOKED for name in self._tasks.waiting),
        )

    def refused(self, run: DatedRun) -> frozenset[str]:
        """Return the runs that a run named when it was refused, whatever the connector."""
        told = self._task.xcom_pull(task_ids=self._tasks.waiting, key=REFUSED_BEFORE, run_id=run.run_id)
        return frozenset(name for name in told or () if isinstance(name, str))

    def _last_begun_before(self, date: datetime, earliest: datetime) -> DatedRun | None:
        """Return the last run between two dates that was started and has not succeeded."""
        runs = (self._last_before(date, state) for state in ("running", "failed"))
        dated = [run for run in runs if run is not None and run.date is not None and run.date > earliest]
        return max(dated, key=lambda run: run.date or earliest, default=None)

    def _last_before(self, date: datetime, state: str | None = None) -> DatedRun | None:
        from airflow.sdk.api.client import ServerResponseError
        from airflow.sdk.exceptions import AirflowRuntimeError
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import GetPreviousDagRun

        question = GetPreviousDagRun(dag_id=self._task.dag_id, logical_date=date, state=state)
        try:
            answer: Any = task_runner.SUPERVISOR_COMMS.send(question)
        except (AirflowRuntimeError, ServerResponseError) as error:  # the latter in dag.test()
            if state is not None or _can_be_told_of_queued_runs():
                raise TransientError(f"Airflow does not tell which run comes before: {error}") from error
            # Airflow 3.1 fails over a run that has not been started.
            return DatedRun("", None, BACKFILL, "queued", cleared=True)
        return None if answer.dag_run is None else dated_run(answer.dag_run)


def _can_be_told_of_queued_runs() -> bool:
    """Tell whether Airflow knows how to tell of a run that has not been started."""
    from airflow.sdk.api.datamodels._generated import DagRun

    return type(None) in get_args(DagRun.model_fields["start_date"].annotation)


def dated_run(run: Any) -> DatedRun:
    """Return a run of Airflow's as the rules see it."""
    return DatedRun(
        run_id=run.run_id,
        date=run.logical_date,
        type=_text(run.run_type),
        state=_text(run.state),
        started=run.start_date,
        cleared=bool(run.clear_number),
        is_dry=(run.conf or {}).get(DRY_RUN) is True,
    )


def _text(value: Any) -> str:
    """Return as text what Airflow gives as a text or as a member of an enumeration; empty if there is none."""
    return "" if value is None else str(getattr(value, "value", value))
