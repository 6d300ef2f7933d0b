"""The order of a job's tasks: levels, and what ``TaskDependsOnTask`` asks for."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.checks.runs import NO_LEVEL
from airflow_provider_idm.configuration.names import suggestion

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.checks.runs import Run
    from airflow_provider_idm.configuration.model import Job, Location, TaskElement


def check_order(context: Context, job: Job, runs: list[Run]) -> None:
    """Check that a job's tasks all have a level or none has, and that parents run before their children."""
    levelled = [run for run in runs if run.level != NO_LEVEL]
    plain = [run for run in runs if run.level == NO_LEVEL]
    if levelled and plain:
        message = (
            f"Job {job.identifier} mixes tasks with a Level ({levelled[0].identifier}, {levelled[0].location}) "
            f"and without ({plain[0].identifier}, {plain[0].location}): give one to all or to none"
        )
        context.problems.error(job.location, message)
        return
    ranks = [run.level if levelled else number for number, run in enumerate(runs)]
    numbers: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        numbers.setdefault(run.identifier.casefold(), []).append(number)
    for number, run in enumerate(runs):
        for parent in run.parents:
            place = _place_in_job(context, run, parent)
            subject = f"Job {job.identifier}: the task {run.identifier} depends on {parent}"
            found = numbers.get(parent.casefold())
            if found is None:
                _report_absent(context, run, parent, place, [r.identifier for r in runs])
            elif number in found and parent not in run.own_parents:
                continue  # on itself: reported as a cycle
            elif all(ranks[other] >= ranks[number] for other in found):
                first = min(ranks[other] for other in found)
                message = (
                    f"which runs at the level {first}: expected one lower than {run.level}"
                    if levelled
                    else "which comes later: put it first"
                )
                context.problems.error(place, f"{subject}, {message}")


def check_cycles(context: Context) -> None:
    """Check that no task depends on itself, directly or through others; and that parents of definitions exist."""
    tasks = context.tasks
    for task in context.configuration.tasks.values():
        for parent in task.depends_on:
            if parent not in tasks:
                message = (
                    f"{task.element} {task.identifier}: there is no task {parent}{suggestion(parent, tasks)}"
                )
                context.problems.error(_place(context, task, parent), message)
    graph = {name.casefold(): [p.casefold() for p in task.depends_on] for name, task in tasks.items()}
    while (cycle := _cycle(graph)) is not None:
        members = [tasks[name] for name in cycle]
        first = min(range(len(members)), key=lambda n: members[n].location)
        chain = [*members[first:], *members[:first], members[first]]
        message = f"tasks depend on one another: {' → '.join(member.identifier for member in chain)}"
        context.problems.error(_place(context, chain[0], chain[1].identifier), message)
        for name in cycle:
            graph[name] = [parent for parent in graph[name] if parent not in cycle]


def _cycle(graph: dict[str, list[str]]) -> list[str] | None:
    """Return the tasks of a cycle, each depending on the next, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        backwards: list[str] = error.args[1]
        return list(reversed(backwards[1:]))
    return None


def _place(context: Context, task: TaskElement, parent: str) -> Location:
    return context.dependency_places.get((task.location, parent.casefold()), task.location)


def _place_in_job(context: Context, run: Run, parent: str) -> Location:
    """Return where a job says that a run depends on a parent: in the task, if that stands in the job itself."""
    if run.is_written_out and run.task:
        return _place(context, run.task, parent)
    return context.dependency_places.get((run.location, parent.casefold()), run.location)


def _report_absent(context: Context, run: Run, parent: str, place: Location, names: list[str]) -> None:
    is_known = parent in context.tasks
    if not is_known and not run.is_written_out and parent not in run.own_parents:
        return  # reported where the task is defined
    why = "is not run by this job" if is_known else "does not exist"
    message = f"the task {run.identifier} depends on {parent}, which {why}{suggestion(parent, names)}"
    context.problems.error(place, message)
