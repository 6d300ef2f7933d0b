"""What a job runs: its tasks in order, what each waits for and depends on, and which batch each synchronize takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_idm.configuration.arguments import parse_mode, parse_source_type
from airflow_provider_idm.configuration.definitions_jobs import MODE, PREPARE
from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.names import MAX_ID_LENGTH, dag_id, same
from airflow_provider_idm.jobs.order import Arrangement, Place, arrange
from airflow_provider_idm.jobs.steps import job_tasks, task_connector, unknown_steps
from airflow_provider_idm.operators.condition import Condition, Watched

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Configuration, Job, TaskElement

SYNCHRONIZE: Final = "SynchronizeTask"
SET_FLAG: Final = "SetRecentlyModifiedFlagTask"
SERVER_TASKS: Final = frozenset({SYNCHRONIZE, SET_FLAG, "CreateDatabaseViewsTask", "DeployConfigurationTask"})
"""Elements that work on the repository, which an agent may not reach."""


def works_on_repository(task: TaskElement) -> bool:
    """Tell whether a task is one for the server: it works on the repository; so does SQL that names no database."""
    is_sql = task.element == "InvokeSqlCommandTask"
    return task.element in SERVER_TASKS or (is_sql and not task.get("DatabaseIdentifier"))


TriggerRule = Literal["none_failed", "all_done"]


class JobError(Exception):
    """A job cannot become a DAG.

    :param reasons: everything that stands against it, each as ``file:line: message``.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a job.

    :param task_id: unique in the job.
    :param task: the element, with the attributes of an override.
    :param connector: the connector it works on, or None.
    :param upstream: task ids of those that must have ended before.
    :param after_end: task ids of those that it only waits for, through the node for their end.
    :param trigger_rule: Airflow's, of the tasks before: whether a failure among them stops it.
    :param condition: what else decides whether it runs; None if nothing does.
    :param batch_from: task id of the prepare whose batch a synchronize takes; None for all that is pending.
    :param skips_if_blocked: whether it is skipped while a batch of its connector awaits a decision.
    :param is_incremental: whether all prepares of its connector are, in the job; the job itself if it has none.
    :param exports_changes: whether an export may leave out what did not change: only an Incremental prepare of lists of
        changes (a Type other than None) can use that; others would take what is left out for deleted.
    """

    task_id: str
    task: TaskElement
    connector: str | None
    upstream: tuple[str, ...]
    after_end: tuple[str, ...]
    trigger_rule: TriggerRule
    condition: Condition | None
    batch_from: str | None
    skips_if_blocked: bool
    is_incremental: bool
    exports_changes: bool


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job's tasks, each after those it waits for.

    :param ended: the tasks that need a node which succeeds when they have ended, however they did.
    :param guarded: the tasks whose failure must fail the run through a node of its own.
    """

    tasks: tuple[PlannedTask, ...]
    ended: tuple[str, ...]
    guarded: tuple[str, ...]


def plan_job(configuration: Configuration, job: Job) -> JobPlan:
    """Return what a job runs.

    :raises JobError: if something in the job is wrong.
    """
    tasks = job_tasks(configuration, job)
    reasons = [*unknown_steps(configuration, job), *_modes_missing(tasks), *_mixed_levels(job, tasks)]
    if reasons:
        raise JobError(reasons)
    connectors = [task_connector(configuration, task) for task in tasks]
    return _Planning(job, tasks, connectors).run()


class _Planning:
    """A job's tasks in reading order, and what is known of each, by its number."""

    def __init__(self, job: Job, tasks: Sequence[TaskElement], connectors: Sequence[str | None]) -> None:
        self.job = job
        self.tasks = tasks
        self.connectors = connectors
        self.ranks = [number if task.level < 0 else task.level for number, task in enumerate(tasks)]
        self.parents = _parents(tasks, self.ranks)
        self.ids = _task_ids(tasks)
        self.modes: dict[str, set[SynchronizationMode]] = {}
        self.types: dict[str, set[SourceType]] = {}
        for task, connector in zip(tasks, connectors, strict=True):
            if task.element == PREPARE:
                mode = parse_mode(task.get(MODE) or "")
                key = (connector or "").casefold()
                self.modes.setdefault(key, set()).add(mode)
                self.types.setdefault(key, set()).add(parse_source_type(task.get("Type")))

    def run(self) -> JobPlan:
        arrangement = arrange([self._place(number) for number in range(len(self.tasks))])
        order = sorted(range(len(self.tasks)), key=lambda number: self.ranks[number])
        return JobPlan(
            tuple(self._plan(number, arrangement) for number in order),
            self._names(arrangement.ended),
            self._names(arrangement.guarded),
        )

    def _place(self, number: int) -> Place:
        task = self.tasks[number]
        return Place(
            self.ranks[number],
            self.connectors[number],
            self.parents[number],
            may_fail=task.continue_on_error,
            goes_on=self._goes_on(number),
        )

    def _plan(self, number: int, arrangement: Arrangement) -> PlannedTask:
        links = arrangement.links[number]
        prepare = self._prepare_of(number)
        return PlannedTask(
            task_id=self.ids[number],
            task=self.tasks[number],
            connector=self.connectors[number],
            upstream=self._names(links.strict if links.needs_nodes else links.strict | links.lenient),
            after_end=self._names(links.lenient) if links.needs_nodes else (),
            trigger_rule="none_failed" if links.strict or not links.lenient else "all_done",
            condition=self._condition(number, links.watched),
            batch_from=None if prepare is None else self.ids[prepare],
            skips_if_blocked=self.job.is_incremental,
            is_incremental=self._is_incremental(number),
            exports_changes=self._exports_changes(number),
        )

    def _goes_on(self, number: int) -> bool:
        return self.tasks[number].element == SET_FLAG and bool(self.parents[number])

    def _condition(self, number: int, watched: Iterable[int]) -> Condition | None:
        condition = Condition(
            parents=self._names(self.parents[number]),
            any_effect=self._goes_on(number),
            watched=tuple(self._watched(number, other) for other in sorted(watched)),
        )
        return condition if condition.parents or condition.watched else None

    def _watched(self, number: int, other: int) -> Watched:
        """Return a task to be waited for, with the synchronizes of other connectors that may hold it up."""
        own = self.connectors[number] or ""
        holders = (
            before
            for before, task in enumerate(self.tasks)
            if task.element == SYNCHRONIZE
            and self.ranks[before] < self.ranks[other]
            and not same(self.connectors[before] or "", own)
        )
        return Watched(self.ids[other], self._names(holders), may_fail=self.tasks[other].continue_on_error)

    def _prepare_of(self, number: int) -> int | None:
        """Return the last prepare of the same connector before a synchronize."""
        if self.tasks[number].element != SYNCHRONIZE:
            return None
        prepares = [
            other
            for other, task in enumerate(self.tasks)
            if task.element == PREPARE
            and self._same_connector(number, other)
            and self.ranks[other] < self.ranks[number]
        ]
        return max(prepares, key=lambda other: (self.ranks[other], other), default=None)

    def _is_incremental(self, number: int) -> bool:
        modes = self.modes.get((self.connectors[number] or "").casefold())
        return modes == {SynchronizationMode.INCREMENTAL} if modes else self.job.is_incremental

    def _exports_changes(self, number: int) -> bool:
        types = self.types.get((self.connectors[number] or "").casefold(), set())
        return self._is_incremental(number) and SourceType.NONE not in types

    def _same_connector(self, number: int, other: int) -> bool:
        return same(self.connectors[number] or "", self.connectors[other] or "")

    def _names(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.ids[number] for number in sorted(numbers))


def _modes_missing(tasks: Sequence[TaskElement]) -> list[str]:
    return [
        f"{task.location}: {task.element} {task.identifier!r} has no {MODE}, expected Initial, Complete or "
        "Incremental"
        for task in tasks
        if task.element == PREPARE and not task.get(MODE)
    ]


def _mixed_levels(job: Job, tasks: Sequence[TaskElement]) -> list[str]:
    with_level = [task for task in tasks if task.level >= 0]
    if not with_level or len(with_level) == len(tasks):
        return []
    without = next(task for task in tasks if task.level < 0)
    what = f"task {without.identifier!r} of job {job.identifier!r} has no Level, others have one"
    return [f"{without.location}: {what}; give every task of a job a Level, or none"]


def _parents(tasks: Sequence[TaskElement], ranks: Sequence[int]) -> list[frozenset[int]]:
    """Return the explicit parents of each task, by number: of a task that is run several times, those before.

    :raises JobError: if a parent is not in the job, or not before its child.
    """
    known: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        known.setdefault(task.identifier.casefold(), []).append(number)
    reasons: list[str] = []
    result = []
    for number, task in enumerate(tasks):
        parents: set[int] = set()
        for name in task.depends_on:
            candidates = known.get(name.casefold(), [])
            earlier = [other for other in candidates if ranks[other] < ranks[number]]
            parents.update(earlier)
            if not candidates:
                reasons.append(f"{task.location}: the parent task {name!r} is not in this job")
            elif not earlier:
                reasons.append(
                    f"{task.location}: the parent task {name!r} must come before {task.identifier!r}"
                )
        result.append(frozenset(parents))
    if reasons:
        raise JobError(reasons)
    return result


def _task_ids(tasks: Sequence[TaskElement]) -> list[str]:
    """Return a task id for each task: its identifier, numbered from the second on.

    :raises JobError: if Airflow would not take one.
    """
    names = [dag_id(task.identifier) for task in tasks]
    used = {name.casefold() for name in names}  # X, X, X_2: the second is not X_2
    seen: set[str] = set()
    ids, reasons = [], []
    for task, name in zip(tasks, names, strict=True):
        free = name
        if name.casefold() in seen:
            numbered = (f"{name}_{number}" for number in count(2))
            free = next(candidate for candidate in numbered if candidate.casefold() not in used)
        used.add(free.casefold())
        seen.add(name.casefold())
        ids.append(free)
        if len(free) > MAX_ID_LENGTH:
            what = f"the id of {task.element} {free} has {len(free)} characters"
            reasons.append(f"{task.location}: {what}, expected {MAX_ID_LENGTH} at most")
    if reasons:
        raise JobError(reasons)
    return ids
