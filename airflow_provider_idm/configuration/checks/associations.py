"""Associations and their mappings: both sides exist, are stored in one place, and are found by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.checks.context import is_stored_navigation, key_of
from airflow_provider_idm.configuration.checks.mappings import check_columns
from airflow_provider_idm.configuration.names import same, suggestion

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import (
        EntityAssociation,
        EntityAssociationMapping,
        PropertyReference,
    )


def check_associations(context: Context) -> None:
    """Check every association."""
    stored: dict[tuple[str, str], EntityAssociation] = {}
    for association in context.configuration.entity_associations.values():
        sides = (
            ("Property1", association.property1, association.is_property1_collection),
            ("Property2", association.property2, association.is_property2_collection),
        )
        for name, reference, is_collection in sides:
            _check_side(context, association, name, reference, is_collection=is_collection, stored=stored)


def check_association_mappings(context: Context) -> None:
    """Check every association mapping."""
    configuration = context.configuration
    for mapping in configuration.entity_association_mappings.values():
        place, subject = mapping.location, f"EntityAssociationMapping {mapping.identifier}"
        context.find(place, subject, "Connector", mapping.connector, configuration.connectors)
        association = context.find(
            place, subject, "EntityAssociation", mapping.identifier, configuration.entity_associations
        )
        _check_file_name(context, mapping)
        columns = [(column, mapping) for column in (mapping.column1, mapping.column2) if column]
        check_columns(context, subject, mapping.connection_table, columns)
        sides = (
            ("EntityPropertyMapping1", mapping.entity_property_mapping1, "Property1", "property1"),
            ("EntityPropertyMapping2", mapping.entity_property_mapping2, "Property2", "property2"),
        )
        for name, reference, side, attribute in sides:
            if reference.entity_type:
                _check_key(context, mapping, name, reference)
                expected = getattr(association, attribute).entity_type if association else ""
                if expected in configuration.entity_types and not same(expected, reference.entity_type):
                    message = f"{subject}: {name} is of {reference.entity_type}, but {side} of {expected}"
                    context.problems.error(place, message)


def _check_side(
    context: Context,
    association: EntityAssociation,
    name: str,
    reference: PropertyReference,
    *,
    is_collection: bool,
    stored: dict[tuple[str, str], EntityAssociation],
) -> None:
    if not reference.entity_type:
        return
    place, subject = association.location, f"EntityAssociation {association.identifier}"
    entity_types = context.configuration.entity_types
    entity_type = context.find(place, f"{subject}: {name}", "EntityType", reference.entity_type, entity_types)
    if entity_type is None:
        return
    found = context.find_property(place, f"{subject}: {name}", entity_type, reference.property)
    if found is None or context.is_broken(found, "TargetColumnIndex") or not is_stored_navigation(found):
        return
    if is_collection:
        context.problems.error(
            place,
            f"{subject}: {name} {reference} is a collection and cannot be kept in one column "
            f"(TargetColumnIndex {found.target_column_index}): expected -1",
        )
    key = key_of(reference)
    if key in stored:
        first = stored[key]
        other = (
            "its other side"
            if first is association
            else f"EntityAssociation {first.identifier} ({first.location})"
        )
        context.problems.error(
            place, f"{subject}: {name} {reference} is already where {other} keeps its links"
        )
    stored.setdefault(key, association)


def _check_key(
    context: Context, mapping: EntityAssociationMapping, name: str, reference: PropertyReference
) -> None:
    """Check that one side of an association mapping is a key of a mapping of the same connector."""
    place, subject = mapping.location, f"EntityAssociationMapping {mapping.identifier}"
    mappings = context.configuration.entity_type_mappings
    target = context.find(place, f"{subject}: {name}", "EntityTypeMapping", reference.entity_type, mappings)
    if target is None:
        return
    connectors = context.configuration.connectors
    is_other = not same(mapping.connector, target.connector)
    if is_other and mapping.connector in connectors and target.connector in connectors:
        message = f"{name} is of the connector {target.connector}, expected one of {mapping.connector}"
        context.problems.error(place, f"{subject}: {message}")
    key = next((p for p in target.properties if same(p.identifier, reference.property)), None)
    if key is None:
        names = [p.identifier for p in target.properties]
        message = f"{subject}: {name}: the EntityTypeMapping {target.identifier} has no property {reference.property}"
        context.problems.error(place, f"{message}{suggestion(reference.property, names)}")
    elif not (
        key.is_primary_key or key.is_unique_key or context.is_broken(key, "IsPrimaryKey", "IsUniqueKey")
    ):
        message = f"{subject}: {name} {reference} is neither the primary key nor a unique key of its mapping"
        context.problems.error(place, message)


def _check_file_name(context: Context, mapping: EntityAssociationMapping) -> None:
    """Both kinds of mappings name their clean files: within a connector no name may serve twice."""
    other = context.configuration.entity_type_mappings.get(mapping.identifier)
    if other is not None and same(other.connector, mapping.connector):
        message = f"has the name of the EntityTypeMapping at {other.location}: their files would be the same"
        context.problems.error(mapping.location, f"EntityAssociationMapping {mapping.identifier} {message}")
