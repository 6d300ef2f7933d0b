"""Jobs and tasks as XML: what is written is read as the same jobs and tasks again, those of scaffoldings included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from lxml import etree

from airflow_provider_idm.configuration.definitions_jobs import DEPENDENCY, LOG_LEVELS
from airflow_provider_idm.configuration.model import Step, TaskElement, TaskOverride
from airflow_provider_idm.configuration.names import identified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_idm.configuration.model import Configuration, Job, JobChild

_INDENT: Final = "  "
_ESCAPED: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_SPECIAL: Final = re.compile('[&<>"\t\n\r]')
_START_TAG: Final = re.compile(r"<(?!/)(?:[^\s/>:]+:)?([^\s/>:]+)")


def job_xml(job: Job) -> str:
    """Return a job as XML text, a line for each task, step and override."""
    return "\n".join(_job_lines(job, ""))


def task_xml(task: TaskElement) -> str:
    """Return a task as XML text, as it would stand outside any job."""
    return "\n".join(_task_lines(task, "", {"Identifier": task.identifier, **task.attributes}))


def jobs_document(configuration: Configuration, jobs: Sequence[Job] | None = None) -> str:
    """Return jobs as a whole XML file, with the definitions of tasks that they need.

    In the place of the jobs and scaffoldings of a configuration it gives the same jobs.

    :param jobs: only these, with the tasks outside any job, or in others, that they name; all by default.
    """
    chosen = list(configuration.jobs.values()) if jobs is None else jobs
    tasks = list(configuration.tasks.values()) if jobs is None else list(needed_tasks(configuration, jobs))
    lines = ["<?xml version='1.0' encoding='utf-8'?>", "<ConfigurationFile>"]
    for job in chosen:
        lines += _job_lines(job, _INDENT)
    for task in tasks:
        lines += _task_lines(task, _INDENT, {"Identifier": task.identifier, **task.attributes})
    return "\n".join([*lines, "</ConfigurationFile>", ""])


def needed_tasks(configuration: Configuration, jobs: Iterable[Job]) -> Iterator[TaskElement]:
    """Return the tasks that jobs name and do not hold, each once."""
    children = [child for job in jobs for child in job.children]
    present = {child.identifier.casefold() for child in children if isinstance(child, TaskElement)}
    named = identified(child for child in children if not isinstance(child, TaskElement))
    for identifier in named:
        task = configuration.find_task(identifier)
        if task is not None and identifier.casefold() not in present:
            yield task


def _job_lines(job: Job, indent: str) -> list[str]:
    attributes = {"Identifier": job.identifier}
    attributes |= {f"DisplayName_L{language}": name for language, name in sorted(job.display_names.items())}
    given = {
        "Agent": job.agent,
        "CronTabExpression": job.cron,
        "CronTimeZone": "ServerTime" if job.server_time else None,
        "IsIncremental": _true(job.is_incremental),
        "IsInitializationJob": _true(job.is_initialization_job),
        "IsConnectorJob": _true(job.is_connector_job),
        "LogLevel": None if job.log_level == len(LOG_LEVELS) - 1 else LOG_LEVELS[job.log_level],
        "UserStartDenied": _true(job.user_start_denied),
    }
    attributes |= {name: value for name, value in given.items() if value is not None}
    children = [line for child in job.children for line in _child_lines(child, indent + _INDENT)]
    return _element("Job", attributes, children, indent)


def _child_lines(child: JobChild, indent: str) -> list[str]:
    if isinstance(child, TaskElement):
        return _task_lines(child, indent, child.attributes)
    if isinstance(child, TaskOverride):
        parents = _dependencies(child.depends_on, indent)
        return _element(f"{child.element}Override", child.attributes, parents, indent)
    return _step_lines(child, indent)


def _step_lines(step: Step, indent: str) -> list[str]:
    attributes = {"Identifier": step.identifier}
    if step.level >= 0:
        attributes["Level"] = str(step.level)
    return _element("Step", attributes, _dependencies(step.depends_on, indent), indent)


def _task_lines(task: TaskElement, indent: str, attributes: Mapping[str, str]) -> list[str]:
    children = _dependencies(task.depends_on, indent)
    children += [f"{indent}{_INDENT}{text}" for text in _other_children(task.xml)]
    return _element(task.element, attributes, children, indent)


def _dependencies(parents: Iterable[str], indent: str) -> list[str]:
    return [_element(DEPENDENCY, {"ParentTask": parent}, [], indent + _INDENT)[0] for parent in parents]


def _element(name: str, attributes: Mapping[str, str], children: list[str], indent: str) -> list[str]:
    written = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    if not children:
        return [f"{indent}<{name}{written}/>"]
    return [f"{indent}<{name}{written}>", *children, f"{indent}</{name}>"]


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], value)


def _true(value: bool) -> str | None:
    return "true" if value else None


def _other_children(xml: str) -> Iterator[str]:
    """Return the children of a task that only its own operator understands, as they stand in the file."""
    if all(name == DEPENDENCY for name in _START_TAG.findall(xml)[1:]):
        return
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    task = etree.fromstring(xml, parser)
    namespace = etree.QName(task).namespace
    for element in task.iter(etree.Element):
        name = etree.QName(element)
        if name.namespace == namespace:
            element.tag = name.localname
    etree.cleanup_namespaces(task)
    for child in task.iterchildren(etree.Element):
        if child.tag != DEPENDENCY:
            yield etree.tostring(child, encoding="unicode", with_tail=False)
