"""What a job runs: its children with the tasks that steps and overrides name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.model import Job, Step, TaskElement, TaskOverride
from airflow_provider_idm.configuration.names import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import Configuration, JobChild, Location

NO_LEVEL = -1


@dataclass(frozen=True)
class Run:
    """One task as a job runs it.

    :param task: what it runs; None if that is not known, or made by a scaffolding.
    :param is_written_out: the task stands in the job itself, not elsewhere.
    """

    identifier: str
    location: Location
    level: int
    agent: str | None
    task: TaskElement | None
    is_written_out: bool


def runs_of(context: Context, job: Job) -> Iterator[Run]:
    """Return what a job runs, in reading order; a step or override of an unknown task is an error."""
    for child in job.children:
        if isinstance(child, TaskElement):
            yield Run(child.identifier, child.location, child.level, child.agent, child, is_written_out=True)
        elif child.identifier:
            task = _named_task(context, job, child)
            level, agent = _level(child, task), task.agent if task else None
            if isinstance(child, TaskOverride):
                agent = child.attributes.get("Agent", "").strip() or agent
            yield Run(child.identifier, child.location, level, agent, task, is_written_out=False)


def is_generated(configuration: Configuration, identifier: str) -> bool:
    """Return whether a task's identifier is one that a scaffolding makes."""
    wanted = identifier.casefold()
    for scaffolding in configuration.scaffoldings:
        written = scaffolding.attributes
        stem = written.get("JobIdentifier") or written.get("Connector") or written.get("Agent")
        if stem and wanted.startswith(f"{stem.strip()}_".casefold()):
            return True
    return False


def _named_task(context: Context, job: Job, child: Step | TaskOverride) -> TaskElement | None:
    configuration = context.configuration
    what = "Step" if isinstance(child, Step) else f"{child.element}Override"
    subject = f"Job {job.identifier}: {what} {child.identifier}"
    task = context.tasks.get(child.identifier)
    if task is None:
        if not is_generated(configuration, child.identifier):
            message = (
                f"{subject}: there is no task {child.identifier}{suggestion(child.identifier, context.tasks)}"
            )
            context.problems.error(child.location, message)
    elif isinstance(child, TaskOverride) and task.element != child.element:
        message = f"the task at {task.location} is a {task.element}: expected {task.element}Override"
        context.problems.error(child.location, f"{subject}: {message}")
    return task


def _level(child: JobChild, task: TaskElement | None) -> int:
    if isinstance(child, TaskOverride):
        written = child.attributes.get("Level", "").strip()
        if written.isascii() and written.removeprefix("-").isdigit():
            return int(written[:18])
        return task.level if task else NO_LEVEL
    return child.level
