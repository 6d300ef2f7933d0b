"""What a job runs: its children with the tasks that steps and overrides name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.definitions_jobs import MODE
from airflow_provider_idm.configuration.model import Job, Step, TaskElement, TaskOverride
from airflow_provider_idm.configuration.names import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import JobChild, Location

NO_LEVEL = -1


@dataclass(frozen=True)
class Run:
    """One task as a job runs it.

    :param task: what it runs; None if that is not known.
    :param is_written_out: the task stands in the job itself, not elsewhere.
    :param own_parents: those that the job names as the parents of this run.
    :param mode: the SynchronizationMode that an override gives it.
    """

    identifier: str
    location: Location
    level: int
    agent: str | None
    task: TaskElement | None
    is_written_out: bool
    own_parents: tuple[str, ...] = ()
    mode: str = ""

    @property
    def parents(self) -> tuple[str, ...]:
        """What it depends on: as the task does wherever it runs, and as the job says."""
        return (*(self.task.depends_on if self.task else ()), *self.own_parents)


def runs_of(context: Context, job: Job) -> Iterator[Run]:
    """Return what a job runs, in reading order; a step or override of an unknown task is an error."""
    for child in job.children:
        if isinstance(child, TaskElement):
            yield Run(child.identifier, child.location, child.level, child.agent, child, is_written_out=True)
        elif child.identifier:
            task = _named_task(context, job, child)
            level, agent = _level(child, task), task.agent if task else None
            mode = ""
            if isinstance(child, TaskOverride):
                agent = child.attributes.get("Agent", "").strip() or agent
                mode = child.attributes.get(MODE, "").strip()
            yield Run(
                child.identifier,
                child.location,
                level,
                agent,
                task,
                is_written_out=False,
                own_parents=child.depends_on,
                mode=mode,
            )


def _named_task(context: Context, job: Job, child: Step | TaskOverride) -> TaskElement | None:
    what = "Step" if isinstance(child, Step) else f"{child.element}Override"
    subject = f"Job {job.identifier}: {what} {child.identifier}"
    task = context.tasks.get(child.identifier)
    if task is None:
        hint = suggestion(child.identifier, context.tasks)
        context.problems.error(child.location, f"{subject}: there is no task {child.identifier}{hint}")
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
