"""Which source column ends in which column of the repository, as the mappings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import PropertyType

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.configuration.mappings import (
        MappedAssociation,
        MappedEntityType,
        MappedProperty,
    )

RESOURCES: Final = "UR_Resources"
LINKS: Final = "UR_ResourceLinks"
FILES: Final = "UR_ResourceFiles"


@dataclass(frozen=True, slots=True)
class Flow:
    """The way of one column.

    :param target: the entity type or association, and ``column`` in its clean file; ``kind`` is its type.
    :param table: the source's table, and ``source`` the column there.
    :param text: what it is: ``Person.Name``, or the association.
    :param is_copied: whether the clean file has the source's very values.
    :param stored: tables of the repository and the columns there.
    """

    target: str
    column: str
    kind: str
    table: str
    source: str
    text: str
    is_copied: bool
    stored: tuple[tuple[str, str], ...]


def flows(mappings: ConnectorMappings) -> tuple[Flow, ...]:
    """Return the way of every column of a connector."""
    return (
        *(flow for entity_type in mappings.entity_types for flow in _of_entity_type(entity_type)),
        *(flow for association in mappings.associations for flow in _of_association(association)),
    )


def _of_entity_type(entity_type: MappedEntityType) -> Iterator[Flow]:
    for mapped in entity_type.properties:
        yield Flow(
            target=entity_type.identifier,
            column=mapped.identifier,
            kind=mapped.type.name,
            table=entity_type.table,
            source=_source_column(entity_type, mapped),
            text=f"{entity_type.identifier}.{mapped.identifier}",
            is_copied=mapped.type is PropertyType.STRING and mapped.format is None,
            stored=tuple(_stored(mapped)),
        )


def _source_column(entity_type: MappedEntityType, mapped: MappedProperty) -> str:
    if mapped.connection_column is None and mapped.format is not None and mapped.format.bit_property:
        mapped = entity_type.find_property(mapped.format.bit_property)
    return mapped.connection_column or ""


def _stored(mapped: MappedProperty) -> Iterator[tuple[str, str]]:
    yield (RESOURCES, mapped.column) if mapped.column else (FILES, "Content")
    if mapped.is_primary_key:
        yield RESOURCES, "PrimaryKey"
    if mapped.unique_key is not None:
        yield RESOURCES, f"U{mapped.unique_key}"
    if mapped.identifier.casefold() == "displayname" and mapped.column:
        yield RESOURCES, "DisplayName"


def _of_association(association: MappedAssociation) -> Iterator[Flow]:
    sides = (
        ("key1", association.column1, association.key1, association.navigation2, "R1_Id"),
        ("key2", association.column2, association.key2, association.navigation1, "R2_Id"),
    )
    for column, source, reference, navigation, link in sides:
        # a side that holds one link at most keeps the other's id in its own row
        stored = (LINKS, link) if association.has_link_table else (RESOURCES, navigation)
        yield Flow(
            target=association.identifier,
            column=column,
            kind=reference.key.type.name,
            table=association.table,
            source=source,
            text=f"{association.identifier}, by {reference.entity_type}.{reference.key.identifier}",
            is_copied=reference.key.type is PropertyType.STRING and reference.key.format is None,
            stored=((stored[0], stored[1]),) if stored[1] else (),
        )
