"""From checked elements to the model: connectors, mappings and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.definitions import (
    LINK_CHANGES,
    LINK_MAXIMUM,
    LINK_PERCENTAGES,
    MAXIMUM,
    PERCENTAGE,
    RESOURCE_CHANGES,
)
from airflow_provider_idm.configuration.model import (
    Agent,
    Connection,
    ConnectionTable,
    Connector,
    EntityAssociation,
    EntityAssociationMapping,
    EntityProperty,
    EntityType,
    EntityTypeMapping,
    PropertyMapping,
    PropertyReference,
    Thresholds,
    Transformation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_idm.configuration.nodes import Node
    from airflow_provider_idm.configuration.problems import Problems

_RESOURCES_OF_CONNECTOR = Thresholds(100, 100, 100, 5, 5, 5)
_LINKS_OF_CONNECTOR = Thresholds(1000, 0, 1000, 5, 0, 5)
_OFF = Thresholds()
_NOWHERE = PropertyReference("", "")
"""Stands for a reference that is missing or bad, for which an error was noted."""


def build_agent(node: Node, _: Problems) -> Agent:
    """Build an agent."""
    return Agent(node.identifier, node.location, node.display_names, node.values["URI"])


def build_connector(node: Node, problems: Problems) -> Connector:
    """Build a connector, with the default thresholds where it has none of its own."""
    values = node.values
    return Connector(
        node.identifier,
        node.location,
        node.display_names,
        values["Agent"],
        values["IsDeactivated"],
        values["CompleteJob"],
        values["IncrementalJob"],
        _thresholds(
            node, problems, (MAXIMUM,), (PERCENTAGE,), RESOURCE_CHANGES, default=_RESOURCES_OF_CONNECTOR
        ),
        _thresholds(
            node, problems, (LINK_MAXIMUM,), LINK_PERCENTAGES, LINK_CHANGES, default=_LINKS_OF_CONNECTOR
        ),
    )


def build_connection(node: Node, _: Problems) -> Connection:
    """Build a connection with its transformations in file order."""
    values = node.values
    transformations = (
        Transformation(child.location, child.values["Type"], child.values["Table"], child.written)
        for child in node.children
    )
    return Connection(
        node.identifier,
        node.location,
        node.display_names,
        values["Connector"],
        values["Package"],
        values["DeactivationExportFulfill"],
        tuple(transformations),
    )


def build_connection_table(node: Node) -> ConnectionTable:
    """Build a connection table."""
    columns = tuple(child.values["Identifier"] for child in node.children if child.values["Identifier"])
    return ConnectionTable(node.identifier, node.location, node.values["Connection"], columns)


def build_entity_type_mapping(node: Node, problems: Problems) -> EntityTypeMapping:
    """Build an entity type mapping."""
    properties = (
        PropertyMapping(
            child.identifier,
            child.location,
            child.values["ConnectionColumn"],
            child.values["Format"],
            child.values["IsPrimaryKey"],
            child.values["IsUniqueKey"],
        )
        for child in unique_children(node, problems)
    )
    return EntityTypeMapping(
        node.identifier,
        node.location,
        node.values["Connector"],
        node.values["ConnectionTable"],
        tuple(properties),
        _thresholds(node, problems, (MAXIMUM,), (PERCENTAGE,), RESOURCE_CHANGES, default=_OFF),
    )


def build_entity_association_mapping(node: Node, problems: Problems) -> EntityAssociationMapping:
    """Build an entity association mapping."""
    values = node.values
    return EntityAssociationMapping(
        node.identifier,
        node.location,
        values["Connector"],
        values["ConnectionTable"],
        values["Column1"],
        values["Column2"],
        values["EntityPropertyMapping1"] or _NOWHERE,
        values["EntityPropertyMapping2"] or _NOWHERE,
        _thresholds(
            node,
            problems,
            (MAXIMUM, LINK_MAXIMUM),
            (PERCENTAGE, *LINK_PERCENTAGES),
            LINK_CHANGES,
            default=_OFF,
        ),
    )


def build_entity_type(node: Node, problems: Problems) -> EntityType:
    """Build an entity type with its properties in file order."""
    properties = (
        EntityProperty(
            child.identifier,
            child.location,
            child.display_names,
            child.values["Type"],
            child.values["TargetColumnIndex"],
            child.values["IsKey"],
        )
        for child in unique_children(node, problems)
    )
    return EntityType(
        node.identifier, node.location, node.display_names, node.values["TableName"], tuple(properties)
    )


def build_entity_association(node: Node, _: Problems) -> EntityAssociation:
    """Build an entity association."""
    values = node.values
    return EntityAssociation(
        node.identifier,
        node.location,
        node.display_names,
        values["Property1"] or _NOWHERE,
        values["Property2"] or _NOWHERE,
        values["IsProperty1Collection"],
        values["IsProperty2Collection"],
    )


def unique_children(node: Node, problems: Problems) -> list[Node]:
    """Return the children that have an identifier; a second of the same identifier is an error and left out."""
    first: dict[str, Node] = {}
    for child in node.children:
        if not child.identifier:
            continue
        known = first.setdefault(child.identifier.casefold(), child)
        if known is not child:
            message = f"{node.subject}: {child.subject} was already defined at {known.location}"
            problems.error(child.location, message)
    return list(first.values())


def _thresholds(
    node: Node,
    problems: Problems,
    maximum: tuple[str, ...],
    percentage: tuple[str, ...],
    changes: Iterable[str],
    *,
    default: Thresholds,
) -> Thresholds:
    """Read limits, each of which may have several names."""
    limits = {}
    for prefixes, field in ((maximum, "maximum"), (percentage, "max_percentage")):
        for change in changes:
            target = f"{field}_{change.lower()}_lines"
            names = [f"{prefix}{change}Lines" for prefix in prefixes]
            given = [name for name in names if node.values[name] is not None]
            if len(given) > 1:
                problems.error(
                    node.location, f"{node.subject}: {' and '.join(given)} are the same limit: keep one"
                )
            limits[target] = node.values[given[0]] if given else getattr(default, target)
    return Thresholds(**limits)
