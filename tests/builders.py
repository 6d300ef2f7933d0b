"""Connector mappings made by hand, for tests that need no XML."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_idm.configuration.columns import LONG_LENGTH, SCALAR_LENGTH, column_name
from airflow_provider_idm.configuration.enums import FormatName, JobUse, PropertyType
from airflow_provider_idm.configuration.mappings import (
    ConnectorMappings,
    KeyReference,
    MappedAssociation,
    MappedEntityType,
    MappedProperty,
)
from airflow_provider_idm.configuration.model import Connector, Format, Location, Thresholds

HERE = Location("test.xml", 1)
NO_THRESHOLDS = Thresholds()


def make_property(
    identifier: str,
    column: str | None = "",
    type_: PropertyType = PropertyType.STRING,
    format_: FormatName | Format | None = None,
    *,
    is_primary_key: bool = False,
    unique_key: int | None = None,
    max_length: int | None = SCALAR_LENGTH,
) -> MappedProperty:
    """Make a mapped property; it reads the source column of its own name unless ``column`` says another."""
    return MappedProperty(
        identifier=identifier,
        type=type_,
        format=Format(format_) if isinstance(format_, FormatName) else format_,
        connection_column=identifier if column == "" else column,
        column=None,
        max_length=max_length,
        is_primary_key=is_primary_key,
        unique_key=unique_key,
    )


def make_entity_type(
    identifier: str, *properties: MappedProperty, table: str | None = None
) -> MappedEntityType:
    """Make a mapped entity type that reads ``<identifier>.csv``; properties get the columns C4, C5 …"""
    stored = tuple(
        replace(p, column=column_name(4 + n) if p.max_length != LONG_LENGTH else column_name(n % 4))
        for n, p in enumerate(properties)
    )
    return MappedEntityType(identifier, HERE, table or identifier, stored, NO_THRESHOLDS)


def make_association(
    identifier: str,
    side1: tuple[MappedEntityType, str],
    side2: tuple[MappedEntityType, str],
    *,
    table: str | None = None,
    columns: tuple[str, str] = ("key1", "key2"),
    owner: int | None = None,
    mono: tuple[bool, bool] = (False, False),
) -> MappedAssociation:
    """Make a mapped association between two key properties, given as (entity type, property)."""
    key1, key2 = (KeyReference(e.identifier, e.find_property(p)) for e, p in (side1, side2))
    return MappedAssociation(
        identifier=identifier,
        location=HERE,
        table=table or identifier,
        column1=columns[0],
        column2=columns[1],
        key1=key1,
        key2=key2,
        navigation1=None,
        navigation2=None,
        mono1=mono[0],
        mono2=mono[1],
        owner=owner,
        thresholds=NO_THRESHOLDS,
    )


def make_mappings(
    *parts: MappedEntityType | MappedAssociation, connector: str = "HR", fingerprint: str = "f" * 64
) -> ConnectorMappings:
    """Make a connector's mappings."""
    return ConnectorMappings(
        connector=Connector(
            identifier=connector,
            location=HERE,
            display_names={1: connector},
            agent=None,
            is_deactivated=False,
            complete_job=JobUse.USED,
            incremental_job=JobUse.USED,
            resource_thresholds=NO_THRESHOLDS,
            link_thresholds=NO_THRESHOLDS,
        ),
        entity_types=tuple(p for p in parts if isinstance(p, MappedEntityType)),
        associations=tuple(p for p in parts if isinstance(p, MappedAssociation)),
        metadata=(),
        association_metadata=(),
        fingerprint=fingerprint,
    )
