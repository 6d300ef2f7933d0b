"""From checked elements to the model: jobs, tasks and scaffoldings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.model import (
    Job,
    JobChild,
    Scaffolding,
    ScaffoldingArgument,
    Step,
    TaskElement,
    TaskOverride,
)

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.nodes import Node
    from airflow_provider_idm.configuration.problems import Problems

_OVERRIDE = "Override"


def build_job(node: Node, _: Problems) -> Job:
    """Build a job with its tasks, steps and overrides in reading order."""
    values = node.values
    return Job(
        node.identifier,
        node.location,
        node.display_names,
        values["Agent"],
        values["CronTabExpression"],
        values["CronTimeZone"],
        values["IsIncremental"],
        values["IsInitializationJob"],
        values["IsConnectorJob"],
        values["LogLevel"],
        values["UserStartDenied"],
        _children(node),
        node.xml,
    )


def build_task(node: Node, identifier: str | None = None) -> TaskElement:
    """Build a task.

    :param identifier: the one to use where it has none of its own.
    """
    values = node.values
    return TaskElement(
        node.name,
        node.identifier or identifier or "",
        node.location,
        node.display_names,
        values["Level"],
        values["Agent"],
        values["ContinueOnError"],
        node.written,
        _parents(node),
        node.xml,
    )


def build_scaffolding(node: Node) -> Scaffolding:
    """Build a scaffolding with its arguments in file order."""
    arguments = tuple(
        ScaffoldingArgument(child.name, child.location, child.written, child.values)
        for child in node.children
    )
    return Scaffolding(node.name, node.location, node.display_names, node.written, arguments, node.xml)


def _parents(node: Node) -> tuple[str, ...]:
    return tuple(child.values["ParentTask"] for child in node.children if child.values["ParentTask"])


def _children(job: Node) -> tuple[JobChild, ...]:
    taken = {child.identifier.casefold() for child in job.children}
    children: list[JobChild] = []
    for node in job.children:
        if node.name == "Step":
            children.append(Step(node.identifier, node.location, node.values["Level"], _parents(node)))
        elif node.name.endswith(_OVERRIDE):
            element = node.name.removesuffix(_OVERRIDE)
            children.append(
                TaskOverride(element, node.identifier, node.location, node.written, _parents(node))
            )
        else:
            children.append(build_task(node, None if node.identifier else _made_identifier(node, taken)))
    return tuple(children)


def _made_identifier(node: Node, taken: set[str]) -> str:
    """Make an identifier of a task that has none, from its element and what it works on."""
    subject = node.written.get("Connection") or node.written.get("Connector")
    stem = f"{node.name}_{subject.strip()}" if subject else node.name
    identifier, number = stem, 1
    while identifier.casefold() in taken:
        number += 1
        identifier = f"{stem}_{number}"
    taken.add(identifier.casefold())
    return identifier
