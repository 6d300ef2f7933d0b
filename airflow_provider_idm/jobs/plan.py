"""What a job runs: its tasks with steps and overrides resolved, their order, and which batch each synchronize takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.arguments import parse_mode
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.configuration.model import Step, TaskElement, TaskOverride
from airflow_provider_idm.configuration.names import dag_id, same
from airflow_provider_idm.jobs.order import Place, upstream

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Configuration, Job, JobChild

_PREPARE = "PrepareSynchronizationTask"
SYNCHRONIZE = "SynchronizeTask"
SUPPORTED = ("ExportTask", _PREPARE, SYNCHRONIZE, "SetRecentlyModifiedFlagTask")
_DISPLAY_NAME = re.compile(r"DisplayName_L([0-9]+)", re.IGNORECASE)


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
    :param batch_from: task id of the prepare whose batch a synchronize takes; None for all that is pending.
    :param skips_if_blocked: whether it is skipped while a batch of its connector awaits a decision.
    :param exports_changes: whether an export may leave out what did not change: an Incremental prepare alone can use
        that, a Complete would take what is left out for deleted.
    """

    task_id: str
    task: TaskElement
    connector: str | None
    upstream: tuple[str, ...]
    batch_from: str | None
    skips_if_blocked: bool
    exports_changes: bool


def job_tasks(configuration: Configuration, job: Job) -> list[TaskElement]:
    """Return a job's tasks in reading order, steps and overrides resolved; those that don't exist are left out."""
    found = (_resolve(configuration, child) for child in job.children)
    return [task for task in found if task is not None]


def task_connector(configuration: Configuration, task: TaskElement) -> str | None:
    """Return the connector that a task works on; an export's is that of its connection."""
    if named := task.get("Connector"):
        return named
    connection = task.get("Connection")
    if connection is not None and connection in configuration.connections:
        return configuration.connections[connection].connector
    return None


def plan_job(configuration: Configuration, job: Job) -> list[PlannedTask]:
    """Return a job's tasks, each after those it waits for.

    :raises JobError: if something in the job is wrong, or not supported.
    """
    tasks = job_tasks(configuration, job)
    reasons = [
        *_unknown_steps(configuration, job),
        *_unsupported(tasks),
        *_modes_missing(tasks),
        *_mixed_levels(job, tasks),
    ]
    if reasons:
        raise JobError(reasons)

    ranks = [number if task.level < 0 else task.level for number, task in enumerate(tasks)]
    connectors = [task_connector(configuration, task) for task in tasks]
    parents = _parents(tasks, ranks)
    before = upstream([Place(*place) for place in zip(ranks, connectors, parents, strict=True)])
    ids = _task_ids(tasks)
    planned = []
    for number in sorted(range(len(tasks)), key=lambda n: ranks[n]):
        prepare = _prepare_of(tasks, ranks, connectors, number)
        planned.append(
            PlannedTask(
                task_id=ids[number],
                task=tasks[number],
                connector=connectors[number],
                upstream=tuple(ids[other] for other in sorted(before[number])),
                batch_from=None if prepare is None else ids[prepare],
                skips_if_blocked=job.is_incremental,
                exports_changes=_exports_changes(job, tasks, connectors, number),
            )
        )
    return planned


# ------------------------------------------------------------------------------------------- steps and overrides


def _resolve(configuration: Configuration, child: JobChild) -> TaskElement | None:
    if isinstance(child, TaskElement):
        return child
    task = configuration.find_task(child.identifier)
    if task is None:
        return None
    if isinstance(child, Step):
        return replace(task, level=child.level, location=child.location)
    return _override(task, child)


def _override(task: TaskElement, override: TaskOverride) -> TaskElement:
    given = {name.casefold(): value for name, value in override.attributes.items()}
    kept = {name: value for name, value in task.attributes.items() if name.casefold() not in given}
    merged = replace(
        task,
        location=override.location,
        attributes=kept | dict(override.attributes),
        display_names=dict(task.display_names) | _display_names(override.attributes),
    )
    return replace(
        merged,
        level=int(given["level"]) if given.get("level") else task.level,
        agent=given.get("agent") or task.agent,
        continue_on_error=merged.get_bool("ContinueOnError", default=task.continue_on_error),
    )


def _display_names(attributes: Mapping[str, str]) -> dict[int, str]:
    matches = ((_DISPLAY_NAME.fullmatch(name), value) for name, value in attributes.items())
    return {int(match[1]): value for match, value in matches if match is not None}


# ------------------------------------------------------------------------------------------------------ reasons


def _unknown_steps(configuration: Configuration, job: Job) -> list[str]:
    return [
        f"{child.location}: there is no task {child.identifier!r}"
        for child in job.children
        if not isinstance(child, TaskElement) and configuration.find_task(child.identifier) is None
    ]


def _unsupported(tasks: Sequence[TaskElement]) -> list[str]:
    reasons = []
    for task in tasks:
        if task.element not in SUPPORTED:
            what = (
                f"{task.element} {task.identifier!r} cannot be run; this version runs {', '.join(SUPPORTED)}"
            )
            reasons.append(f"{task.location}: {what}")
        elif task.continue_on_error:
            what = f"ContinueOnError of {task.element} {task.identifier!r} is not supported by this version"
            reasons.append(f"{task.location}: {what}; without it, the tasks after a failed one do not run")
    return reasons


def _modes_missing(tasks: Sequence[TaskElement]) -> list[str]:
    return [
        f"{task.location}: {task.element} {task.identifier!r} has no SynchronizationMode, expected Initial, Complete or "
        "Incremental"
        for task in tasks
        if task.element == _PREPARE and not task.get("SynchronizationMode")
    ]


def _mixed_levels(job: Job, tasks: Sequence[TaskElement]) -> list[str]:
    with_level = [task for task in tasks if task.level >= 0]
    if not with_level or len(with_level) == len(tasks):
        return []
    without = next(task for task in tasks if task.level < 0)
    what = f"task {without.identifier!r} of job {job.identifier!r} has no Level, others have one"
    return [f"{without.location}: {what}; give every task of a job a Level, or none"]


# -------------------------------------------------------------------------------------------------------- order


def _parents(tasks: Sequence[TaskElement], ranks: Sequence[int]) -> list[frozenset[int]]:
    """Return the explicit parents of each task, by number.

    :raises JobError: if a parent is not in the job, or not before its child.
    """
    reasons: list[str] = []
    result = []
    for number, task in enumerate(tasks):
        parents = set()
        for name in task.depends_on:
            candidates = [
                n for n, other in enumerate(tasks) if other.identifier.casefold() == name.casefold()
            ]
            earlier = [n for n in candidates if ranks[n] < ranks[number]]
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


def _prepare_of(
    tasks: Sequence[TaskElement], ranks: Sequence[int], connectors: Sequence[str | None], number: int
) -> int | None:
    """Return the last prepare of the same connector before a synchronize."""
    if tasks[number].element != SYNCHRONIZE:
        return None
    prepares = [
        other
        for other, task in enumerate(tasks)
        if task.element == _PREPARE
        and same(connectors[other] or "", connectors[number] or "")
        and ranks[other] < ranks[number]
    ]
    return max(prepares, key=lambda other: (ranks[other], other), default=None)


def _exports_changes(
    job: Job, tasks: Sequence[TaskElement], connectors: Sequence[str | None], number: int
) -> bool:
    modes = {
        parse_mode(task.get("SynchronizationMode") or "")
        for task, connector in zip(tasks, connectors, strict=True)
        if task.element == _PREPARE and same(connector or "", connectors[number] or "")
    }
    return modes == {SynchronizationMode.INCREMENTAL} if modes else job.is_incremental


def _task_ids(tasks: Sequence[TaskElement]) -> list[str]:
    """Return a task id for each task: its identifier, numbered from the second on."""
    used: set[str] = set()
    ids = []
    for task in tasks:
        name = dag_id(task.identifier)
        candidates = (name, *(f"{name}_{number}" for number in range(2, len(tasks) + 2)))
        free = next(candidate for candidate in candidates if candidate.casefold() not in used)
        used.add(free.casefold())
        ids.append(free)
    return ids
