"""Entity types: where each property is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.columns import FIRST_NAVIGATION, LAST_NAVIGATION, LAST_SCALAR
from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.model import EntityProperty, EntityType

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context


def check_entity_types(context: Context) -> None:
    """Check that every property has a place of its own that suits it."""
    for entity_type in context.configuration.entity_types.values():
        taken: dict[int, EntityProperty] = {}
        for candidate in entity_type.properties:
            if context.is_broken(candidate, "TargetColumnIndex"):
                continue
            if not context.is_broken(candidate, "Type"):
                _check_range(context, entity_type, candidate)
            _check_taken(context, entity_type, candidate, taken)


def _check_range(context: Context, entity_type: EntityType, candidate: EntityProperty) -> None:
    index = candidate.target_column_index
    if context.is_navigation(entity_type.identifier, candidate):
        expected = f"a navigation property has -1 or {FIRST_NAVIGATION} to {LAST_NAVIGATION}"
        fits = index == -1 or index >= FIRST_NAVIGATION
    elif candidate.type is PropertyType.BINARY:
        expected = f"a Binary property has -1 (a file) or 0 to {LAST_SCALAR}"
        fits = index <= LAST_SCALAR
    else:
        expected = f"a property that no EntityAssociation names has 0 to {LAST_SCALAR}"
        fits = 0 <= index <= LAST_SCALAR
    if not fits:
        subject = _subject(entity_type, candidate)
        context.problems.error(
            candidate.location, f"{subject}: TargetColumnIndex {index} is out of range: {expected}"
        )


def _check_taken(
    context: Context, entity_type: EntityType, candidate: EntityProperty, taken: dict[int, EntityProperty]
) -> None:
    index = candidate.target_column_index
    first = taken.setdefault(index, candidate)
    if index >= 0 and first is not candidate:
        context.problems.error(
            candidate.location,
            f"{_subject(entity_type, candidate)}: TargetColumnIndex {index} is already that of "
            f"{first.identifier} ({first.location})",
        )


def _subject(entity_type: EntityType, candidate: EntityProperty) -> str:
    return f"Property {entity_type.identifier}:{candidate.identifier}"
