"""The arguments of a scaffolding that change its job's tasks, applied in file order: ``AddTask``, ``LinkDependTask``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.model import Step, TaskElement
from airflow_provider_idm.configuration.names import same, suggestion
from airflow_provider_idm.configuration.scaffolding.occurrences import (
    ArgumentError,
    check_occurrence,
    named,
    occurrence,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_idm.configuration.model import JobChild, ScaffoldingArgument
    from airflow_provider_idm.configuration.problems import Problems

LevelledChild = TaskElement | Step


@dataclass(slots=True)
class Draft:
    """A job being put together.

    :param children: in the order of their levels, which all have.
    """

    identifier: str
    children: list[LevelledChild]


def apply_arguments(
    draft: Draft,
    arguments: tuple[ScaffoldingArgument, ...],
    known: Mapping[str, JobChild],
    problems: Problems,
) -> None:
    """Add and link tasks; an argument that is wrong is an error at its place and changes nothing.

    :param known: every task of the configuration, by identifier.
    """
    for argument in arguments:
        apply = {"AddTask": _add_task, "LinkDependTask": _link}.get(argument.element)
        if apply is None or _lacks_names(argument):
            continue
        try:
            apply(draft, argument, known)
        except ArgumentError as error:
            problems.error(argument.location, f"{argument.element}: {error}")


def _lacks_names(argument: ScaffoldingArgument) -> bool:
    """Return whether a required attribute is missing, which was reported already."""
    return any(argument.values.get(name) == "" for name in ("Task", "DependOn"))


def _add_task(draft: Draft, argument: ScaffoldingArgument, known: Mapping[str, JobChild]) -> None:
    task = _task_to_add(draft, argument, known)
    level = _new_level(draft, argument)
    for number, child in enumerate(draft.children):
        if child.level >= level:
            draft.children[number] = _at_level(child, child.level + 1)
    place = sum(child.level < level for child in draft.children)
    draft.children.insert(place, Step(task, argument.location, level))


def _task_to_add(draft: Draft, argument: ScaffoldingArgument, known: Mapping[str, JobChild]) -> str:
    """Return the identifier of the task that is added: any of the configuration, or one that the job has already."""
    name, wanted = argument.values["Task"], argument.values["CopyOccurence"] or 0
    if name in known:
        count = sum(same(child.identifier, name) for child in draft.children)
        check_occurrence(name, max(count, 1), wanted, "CopyOccurence")
        return known[name].identifier
    if not named(draft.children, draft.identifier, name):
        raise ArgumentError(f"there is no task {name}{suggestion(name, known)}")
    number = occurrence(draft.children, draft.identifier, name, wanted, "CopyOccurence")
    return draft.children[number].identifier


def _new_level(draft: Draft, argument: ScaffoldingArgument) -> int:
    """Return the level that is made for an added task; those from there on move up."""
    values = argument.values
    before, after, compared = values["Before"], values["After"], values["TaskToCompareWith"]
    if before and after:
        raise ArgumentError("Before and After are both set: expected one of them")
    if compared is None:
        if before:
            return 0
        return max((child.level for child in draft.children), default=-1) + 1
    if not (before or after):
        raise ArgumentError(
            f'neither Before nor After is set: expected Before="true" or After="true" of {compared}'
        )
    number = occurrence(draft.children, draft.identifier, compared, values["Occurence"] or 0, "Occurence")
    return draft.children[number].level + int(after)


def _at_level(child: LevelledChild, level: int) -> LevelledChild:
    if isinstance(child, Step):
        return replace(child, level=level)
    return replace(child, level=level, attributes={**child.attributes, "Level": str(level)})


def _link(draft: Draft, argument: ScaffoldingArgument, _: Mapping[str, JobChild]) -> None:
    values, job = argument.values, draft.identifier
    child = occurrence(draft.children, job, values["Task"], values["ChildOccurence"] or 0, "ChildOccurence")
    parent = occurrence(
        draft.children, job, values["DependOn"], values["ParentOccurence"] or 0, "ParentOccurence"
    )
    task, other = draft.children[child], draft.children[parent]
    if other.level >= task.level:
        raise ArgumentError(
            f"the task {task.identifier} (level {task.level}) cannot depend on {other.identifier} "
            f"(level {other.level}): expected one of a lower level"
        )
    if not any(same(name, other.identifier) for name in task.depends_on):
        draft.children[child] = replace(task, depends_on=(*task.depends_on, other.identifier))
