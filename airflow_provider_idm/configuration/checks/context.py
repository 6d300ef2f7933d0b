"""What every check works on: the model, the problems, and the questions that several checks ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_idm.configuration.columns import FIRST_NAVIGATION
from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.model import TaskElement
from airflow_provider_idm.configuration.names import Identifiers, identified, suggestion

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import (
        Configuration,
        EntityProperty,
        EntityType,
        Location,
        Placed,
        PropertyReference,
    )
    from airflow_provider_idm.configuration.problems import Problems

Found = TypeVar("Found")

PROPERTY: Final = "Property"
"""What ``Context.broken`` says of an element that lacks a property."""


@dataclass(frozen=True)
class Context:
    """A configuration being checked.

    :param broken: by (location, identifier) of an element, the attributes that are missing or bad, which was reported
        already; and ``Property`` where a property had to be left out for want of an identifier.
    :param dependency_places: where ``TaskDependsOnTask`` stands, by the task's location and the parent in lower case.
    """

    configuration: Configuration
    problems: Problems
    broken: Mapping[tuple[Location, str], frozenset[str]]
    dependency_places: Mapping[tuple[Location, str], Location]

    def is_broken(self, element: Placed, *attributes: str) -> bool:
        """Return whether one of these attributes of an element is wrong: what follows from it is not worth reporting."""
        return not self.broken.get((element.location, element.identifier), frozenset()).isdisjoint(attributes)

    def find(
        self, location: Location, subject: str, kind: str, name: str | None, among: Mapping[str, Found]
    ) -> Found | None:
        """Follow a reference; one that leads nowhere is an error with the nearest name.

        :param subject: the element that refers, for the message.
        :param kind: what it refers to, for the message.
        :param name: None or empty if the reference is absent, or was reported already.
        """
        if not name:
            return None
        if name in among:
            return among[name]
        message = f"{subject}: there is no {kind} {name}{suggestion(name, among)}"
        self.problems.error(location, message)
        return None

    def find_property(
        self, location: Location, subject: str, entity_type: EntityType, name: str
    ) -> EntityProperty | None:
        """Find a property of an entity type; an unknown one is an error with the nearest name."""
        known = self._properties.get(entity_type.identifier) or identified(entity_type.properties)
        if name in known:
            return known[name]
        if self.is_broken(entity_type, PROPERTY):
            return None
        message = f"{subject}: the entity type {entity_type.identifier} has no property {name}{suggestion(name, known)}"
        self.problems.error(location, message)
        return None

    def is_navigation(self, entity_type: str, candidate: EntityProperty) -> bool:
        """Return whether a property holds resources: an association names it, or its type says so."""
        key = (entity_type.casefold(), candidate.identifier.casefold())
        return candidate.type is PropertyType.FOREIGN_KEY or key in self._navigation

    @cached_property
    def tasks(self) -> Identifiers[TaskElement]:
        """Every task, those outside any job first."""
        configuration = self.configuration
        inside = (child for job in configuration.jobs.values() for child in job.children)
        tasks = [
            *configuration.tasks.values(),
            *(child for child in inside if isinstance(child, TaskElement)),
        ]
        return identified(tasks)

    @cached_property
    def _properties(self) -> Identifiers[Identifiers[EntityProperty]]:
        types = self.configuration.entity_types.values()
        return Identifiers((e.identifier, identified(e.properties)) for e in types)

    @cached_property
    def _navigation(self) -> frozenset[tuple[str, str]]:
        associations = self.configuration.entity_associations.values()
        references = [r for a in associations for r in (a.property1, a.property2)]
        return frozenset(key_of(reference) for reference in references)


def key_of(reference: PropertyReference) -> tuple[str, str]:
    """Return a reference as something to compare."""
    return (reference.entity_type.casefold(), reference.property.casefold())


def is_stored_navigation(candidate: EntityProperty) -> bool:
    """Return whether a navigation property has a column in the resource's row."""
    return candidate.target_column_index >= FIRST_NAVIGATION
