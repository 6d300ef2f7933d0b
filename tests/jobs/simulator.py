"""A run of a real DAG, scheduled as Airflow does it: trigger rules, failures handed on at once, the state of the run.

What a task would do is given; whether it gets to do it, the DAG's edges and trigger rules and the tasks' own conditions
decide, the latter asked as a worker asks them, with a task instance that knows the simulated states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.hooks.airflow_exceptions import AirflowRescheduleException, AirflowSkipException
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.predecessors import EFFECT, STOPPED, check_condition
from tests.jobs.oracle import Outcome

if TYPE_CHECKING:
    from airflow.sdk import DAG

RUN_ID = "run"
RUNNING = "running"
AWAITING = "awaiting_input"
LATER = "up_for_reschedule"
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed"})
_FAILED = frozenset({"failed", "upstream_failed"})

Choose = Callable[[Sequence[str]], str]
"""Chooses, of the tasks that can do a step now, the one that does it."""


class SimulatedRun:
    """One run of a DAG.

    :param outcomes: what would happen to each task, by task id; helper nodes succeed.
    :param choose: who goes on next; the first, if not given.
    """

    def __init__(
        self, dag: DAG, outcomes: Mapping[str, Outcome], choose: Choose = lambda ready: ready[0]
    ) -> None:
        self._tasks: dict[str, Any] = dict(dag.task_dict)
        self._outcomes = outcomes
        self._choose = choose
        self._leaves = [task.task_id for task in dag.leaves]
        self.states: dict[str, str | None] = dict.fromkeys(self._tasks)
        self.xcoms: dict[tuple[str, str], object] = {}
        self.reasons: dict[str, str] = {}
        self.began: dict[str, dict[str, str | None]] = {}
        """The states of all when a task began its work."""
        self._dag_id = dag.dag_id

    # ---------------------------------------------------------------------------------------------- the scheduler

    def run(self) -> str:
        """Go on until nothing can; return the state of the run."""
        looked: dict[str, list[str | None]] = {}
        while True:
            self._hand_failures_on()
            ready = [n for n in self._ready() if self.states[n] != LATER or looked[n] != self._told()]
            if not ready:
                return self.state
            name = self._choose(ready)
            if self.states[name] == RUNNING:
                self._end(name, self._outcomes.get(name, Outcome.UNTOLD))
            else:
                self._begin(name)
                looked[name] = self._told()

    def finish(self, name: str, outcome: Outcome) -> None:
        """Say what becomes of a task that awaits an answer."""
        if self.states[name] != AWAITING:
            raise ValueError(f"{name} is {self.states[name]}")
        self._end(name, outcome)

    @property
    def state(self) -> str:
        """The state of the run, which its last tasks decide once all have ended."""
        if any(state not in FINISHED for state in self.states.values()):
            return "running"
        return "failed" if any(self.states[leaf] in _FAILED for leaf in self._leaves) else "success"

    def _told(self) -> list[str | None]:
        """Return all states, but for who only looked: a task looks again when these have changed."""
        return [None if state == LATER else state for state in self.states.values()]

    def _hand_failures_on(self) -> None:
        changed = True
        while changed:
            changed = False
            for name, task in self._tasks.items():
                if self.states[name] is not None or task.trigger_rule == "all_done":
                    continue
                counted = self._counted(task.upstream_task_ids)
                if counted["failed"] or counted["upstream_failed"]:
                    self.states[name] = "upstream_failed"
                elif task.trigger_rule == "all_success" and counted["skipped"]:
                    self.states[name] = "skipped"
                else:
                    continue
                changed = True

    def _ready(self) -> list[str]:
        return [
            name
            for name, task in self._tasks.items()
            if self.states[name] == RUNNING or (self.states[name] in {None, LATER} and self._is_due(task))
        ]

    def _is_due(self, task: Any) -> bool:
        before = task.upstream_task_ids
        counted = self._counted(before)
        fitting = {
            "all_success": counted["success"],
            "none_failed": counted["success"] + counted["skipped"],
            "all_done": counted.total(),
        }
        rule = task.trigger_rule  # a member of an enumeration of texts, or a text
        return fitting[getattr(rule, "value", rule)] == len(before)

    def _counted(self, names: Collection[str]) -> Counter[str]:
        return Counter(state for name in names if (state := self.states[name]) in FINISHED)

    # ------------------------------------------------------------------------------------------------- the worker

    def _begin(self, name: str) -> None:
        task = self._tasks[name]
        context: Any = {"ti": _TaskInstance(self, name)}
        before = dict(self.states)
        try:
            if isinstance(task, IdmOperator):
                if task.condition is not None:
                    check_condition(task.condition, context)
            elif not task.inherits_from_empty_operator:
                task.execute(context)
        except AirflowSkipException as skip:
            self.states[name] = "skipped"
            self.reasons[name] = str(skip)
        except AirflowRescheduleException:
            self.states[name] = LATER
        else:
            self.began[name] = before
            self.states[name] = RUNNING

    def _end(self, name: str, outcome: Outcome) -> None:
        self.states[name] = {
            Outcome.FAILS: "failed",
            Outcome.BLOCKED: AWAITING,
            Outcome.HELD_BACK: "skipped",
        }.get(outcome, "success")
        if outcome in {Outcome.EFFECT, Outcome.NO_EFFECT}:
            self.xcoms[name, EFFECT] = outcome is Outcome.EFFECT
        if outcome is Outcome.HELD_BACK:
            self.xcoms[name, STOPPED] = True


class _TaskInstance:
    """What a task asks of its task instance."""

    def __init__(self, run: SimulatedRun, task_id: str) -> None:
        self._run = run
        self.task_id = task_id
        self.dag_id = run._dag_id
        self.run_id = RUN_ID
        self.map_index = -1

    def get_task_states(
        self, *, dag_id: str, task_ids: Sequence[str], run_ids: Sequence[str]
    ) -> dict[str, dict[str, str | None]]:
        return {run_id: {name: self._run.states[name] for name in task_ids} for run_id in run_ids}

    def xcom_pull(self, *, task_ids: str, key: str) -> object:
        return self._run.xcoms.get((task_ids, key))

    def xcom_push(self, *, key: str, value: object) -> None:
        self._run.xcoms[self.task_id, key] = value
