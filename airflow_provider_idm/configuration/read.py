"""Reading a configuration folder: every file, every element, every check, all problems at once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.configuration import build, build_jobs
from airflow_provider_idm.configuration.checks import check
from airflow_provider_idm.configuration.checks.context import Context
from airflow_provider_idm.configuration.collector import without_garbage_collection
from airflow_provider_idm.configuration.definitions import root_definition
from airflow_provider_idm.configuration.definitions_jobs import DEPENDENCY, JOB, SCAFFOLDINGS, task_definition
from airflow_provider_idm.configuration.model import Configuration, Location
from airflow_provider_idm.configuration.names import Identifiers
from airflow_provider_idm.configuration.nodes import Node, NodeReader
from airflow_provider_idm.configuration.problems import Problems, configuration_error, errors_of
from airflow_provider_idm.configuration.scaffolding import expand
from airflow_provider_idm.configuration.xmlfile import find_files, read_file

if TYPE_CHECKING:
    import os

logger = logging.getLogger(__name__)

_BUILDERS: Final[dict[str, Callable[[Node, Problems], Any]]] = {
    "Agent": build.build_agent,
    "Connector": build.build_connector,
    "Connection": build.build_connection,
    "EntityType": build.build_entity_type,
    "EntityAssociation": build.build_entity_association,
    "EntityTypeMapping": build.build_entity_type_mapping,
    "EntityAssociationMapping": build.build_entity_association_mapping,
    "Job": build_jobs.build_job,
}


def read_configuration(folder: str | os.PathLike[str]) -> Configuration:
    """Read and check a configuration.

    :param folder: its ``*.xml`` files are found in any depth.
    :raises ConfigurationError: if anything is wrong; it lists every error as ``file:line: message``, and its
        ``problems`` hold the warnings too.
    """
    configuration = check_configuration(folder)
    errors = errors_of(configuration.problems)
    if errors:
        raise configuration_error(errors, configuration.problems)
    return configuration


@without_garbage_collection()
def check_configuration(folder: str | os.PathLike[str]) -> Configuration:
    """Read and check a configuration without raising: whatever is wrong is in the result's ``problems``.

    Elements that are wrong are kept as far as they can be, those without an identifier are left out.
    """
    path = Path(folder)
    problems = Problems()
    nodes = _read_nodes(path, problems)
    configuration = _build(path, nodes, problems)
    check(_context(configuration, nodes, problems))
    _check_repeated(path, nodes, problems)
    return replace(configuration, problems=problems.all())


def _read_nodes(folder: Path, problems: Problems) -> list[Node]:
    unknown: Counter[str] = Counter()
    reader = NodeReader(problems, unknown)
    files = find_files(folder, problems)
    if not files and not problems.all():
        problems.error(Location(str(folder), 1), "the folder holds no *.xml file")
    nodes: list[Node] = []
    for path in files:
        file = read_file(path, folder, problems)
        if file is not None:
            nodes += reader.read_children(file, file.root, root_definition)
    for name, count in sorted(unknown.items()):
        logger.debug("%s: %d unknown %s elements ignored", folder, count, name)
    return nodes


def _is_task(node: Node) -> bool:
    return task_definition(node.name) is not None


def _build(folder: Path, nodes: list[Node], problems: Problems) -> Configuration:
    def unique(element: str) -> Identifiers[Any]:
        found = _first_of_each((node for node in nodes if node.name == element), problems)
        return Identifiers((node.identifier, _BUILDERS[element](node, problems)) for node in found)

    tasks = [node for node in nodes if _is_task(node)]
    _report_repeated_tasks(nodes, problems)
    configuration = Configuration(
        folder=str(folder),
        agents=unique("Agent"),
        connectors=unique("Connector"),
        connections=unique("Connection"),
        connection_tables=tuple(
            build.build_connection_table(node) for node in nodes if node.name == "ConnectionTable"
        ),
        entity_types=unique("EntityType"),
        entity_associations=unique("EntityAssociation"),
        entity_type_mappings=unique("EntityTypeMapping"),
        entity_association_mappings=unique("EntityAssociationMapping"),
        jobs=unique("Job"),
        tasks=Identifiers(
            (task.identifier, build_jobs.build_task(task)) for task in tasks if task.identifier
        ),
        scaffoldings=tuple(build_jobs.build_scaffolding(node) for node in nodes if node.name in SCAFFOLDINGS),
        problems=(),
    )
    return expand(configuration, problems)


def _check_repeated(folder: Path, nodes: list[Node], problems: Problems) -> None:
    """Check elements whose identifier was seen before, each as if it stood instead of the first one.

    Otherwise what is wrong inside them would come to light only once the double is gone.
    """
    groups: dict[tuple[str, str], list[Node]] = {}
    for node in nodes:
        if node.identifier and (node.name in _BUILDERS or _is_task(node)):
            kind = "" if _is_task(node) else node.name
            groups.setdefault((kind, node.identifier.casefold()), []).append(node)
    for turn in range(1, max(map(len, groups.values()), default=0)):
        chosen = [group[turn] for group in groups.values() if turn < len(group)]
        left_out = {
            id(node)
            for group in groups.values()
            for node in group
            if node is not group[turn if turn < len(group) else 0]
        }
        kept = [node for node in nodes if id(node) not in left_out]
        found = Problems()
        check(_context(_build(folder, kept, found), kept, found))
        problems.take(found, {node.location for node in _flat(chosen)})


def _first_of_each(nodes: Iterable[Node], problems: Problems) -> list[Node]:
    """Leave out elements without an identifier and those whose identifier was seen before; report the latter."""
    first: dict[str, Node] = {}
    for node in nodes:
        known = first.setdefault(node.identifier.casefold(), node) if node.identifier else node
        if known is not node:
            problems.error(node.location, f"{node.subject} was already defined at {known.location}")
    return list(first.values())


def _report_repeated_tasks(nodes: list[Node], problems: Problems) -> None:
    """Report tasks, in jobs or outside, that have an identifier twice, and definitions that have none."""
    tasks: list[Node] = []
    for node in nodes:
        if _is_task(node):
            tasks.append(node)
            if not node.identifier:
                message = (
                    "the required attribute Identifier is missing (a task outside any job is run by a Step)"
                )
                problems.error(node.location, f"{node.subject}: {message}")
        elif node.name == JOB.name:
            tasks += [child for child in node.children if _is_task(child)]
    _first_of_each(tasks, problems)


def _context(configuration: Configuration, nodes: list[Node], problems: Problems) -> Context:
    everything = list(_flat(nodes))
    dependencies = (
        (node.location, child) for node in everything for child in node.children if child.name == DEPENDENCY
    )
    return Context(
        configuration,
        problems,
        broken={(node.location, node.identifier): bad for node in everything if (bad := _broken(node))},
        dependency_places={
            (place, child.values["ParentTask"].casefold()): child.location for place, child in dependencies
        },
    )


def _broken(node: Node) -> frozenset[str]:
    """Return the bad attributes of an element, and the names of children that had to be left out."""
    return node.broken | {child.name for child in node.children if child.broken and not child.identifier}


def _flat(nodes: Iterable[Node]) -> Iterable[Node]:
    for node in nodes:
        yield node
        yield from _flat(node.children)
