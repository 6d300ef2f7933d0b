"""The tasks of a job, steps and overrides resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.definitions_jobs import SQL_SOURCES
from airflow_provider_idm.configuration.model import Step, TaskElement, TaskOverride

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Configuration, Job, JobChild

_DISPLAY_NAME = re.compile(r"DisplayName_L([0-9]+)", re.IGNORECASE)
_LEVEL = re.compile(r"-?[0-9]{1,18}")
_SQL_SOURCES = frozenset(name.casefold() for name in SQL_SOURCES)


def job_tasks(configuration: Configuration, job: Job) -> list[TaskElement]:
    """Return a job's tasks in reading order, steps and overrides resolved; those that don't exist are left out."""
    found = (_resolve(configuration, child) for child in job.children)
    return [task for task in found if task is not None]


def unknown_steps(configuration: Configuration, job: Job) -> list[str]:
    """Return what is wrong with steps and overrides whose task does not exist, as ``file:line: message``."""
    return [
        f"{child.location}: there is no task {child.identifier!r}"
        for child in job.children
        if not isinstance(child, TaskElement) and configuration.find_task(child.identifier) is None
    ]


def task_connector(configuration: Configuration, task: TaskElement) -> str | None:
    """Return the connector that a task works on; an export's is that of its connection."""
    if named := task.get("Connector"):
        return named
    connection = task.get("Connection")
    if connection is not None and connection in configuration.connections:
        return configuration.connections[connection].connector
    return None


def _resolve(configuration: Configuration, child: JobChild) -> TaskElement | None:
    if isinstance(child, TaskElement):
        return child
    task = configuration.find_task(child.identifier)
    if task is None:
        return None
    task = replace(task, location=child.location, depends_on=(*task.depends_on, *child.depends_on))
    return replace(task, level=child.level) if isinstance(child, Step) else _override(task, child)


def _override(task: TaskElement, override: TaskOverride) -> TaskElement:
    given = {name.casefold(): value.strip() for name, value in override.attributes.items()}
    replaced = given.keys() | (_SQL_SOURCES if _names_sql_source(given) else frozenset())
    kept = {name: value for name, value in task.attributes.items() if name.casefold() not in replaced}
    merged = replace(
        task,
        attributes=kept | dict(override.attributes),
        display_names=dict(task.display_names) | _display_names(override.attributes),
    )
    return replace(
        merged,
        level=_level(given, default=task.level),
        agent=given.get("agent") or task.agent,
        continue_on_error=merged.get_bool("ContinueOnError", default=task.continue_on_error),
    )


def _names_sql_source(given: Mapping[str, str]) -> bool:
    """Tell whether an override names a command or a file: each takes the place of the other."""
    return any(given.get(name) for name in _SQL_SOURCES)


def _level(given: Mapping[str, str], *, default: int) -> int:
    """Return the level that an override gives; a wrong one, reported where it stands, counts as none."""
    written = given.get("level", "")
    return int(written) if _LEVEL.fullmatch(written) else default


def _display_names(attributes: Mapping[str, str]) -> dict[int, str]:
    matches = ((_DISPLAY_NAME.fullmatch(name), value) for name, value in attributes.items())
    return {int(match[1]): value for match, value in matches if match is not None}
