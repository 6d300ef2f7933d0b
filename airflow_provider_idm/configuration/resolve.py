"""From a checked configuration to what one connector's synchronization needs of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.columns import (
    FIRST_NAVIGATION,
    SCALAR_LENGTH,
    column_length,
    column_name,
)
from airflow_provider_idm.configuration.enums import FormatName
from airflow_provider_idm.configuration.fingerprint import fingerprint
from airflow_provider_idm.configuration.mappings import (
    ConnectorMappings,
    KeyReference,
    MappedAssociation,
    MappedEntityType,
    MappedProperty,
)
from airflow_provider_idm.configuration.model import (
    Configuration,
    EntityProperty,
    EntityType,
    EntityTypeMapping,
    Format,
    PropertyMapping,
    PropertyReference,
)
from airflow_provider_idm.configuration.names import same, suggestion, table_name
from airflow_provider_idm.configuration.problems import configuration_error, errors_of
from airflow_provider_idm.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import EntityAssociationMapping, Placed


def connector_mappings(configuration: Configuration, identifier: str) -> ConnectorMappings:
    """Resolve the mappings of one connector, in the order of their identifiers.

    :param identifier: the connector, in any case.
    :raises ConfigurationError: if there is no such connector, or its mappings cannot be resolved because something
        is wrong with them (which ``read_configuration`` would have refused).
    """
    if identifier not in configuration.connectors:
        message = f"there is no connector {identifier}{suggestion(identifier, configuration.connectors)}"
        raise ConfigurationError(f"{configuration.folder}: {message}")
    connector = configuration.connectors[identifier]
    try:
        return _Resolver(configuration, connector.identifier).resolve()
    except (LookupError, ValueError, StopIteration) as error:
        errors = errors_of(configuration.problems)
        if not errors:
            raise
        raise configuration_error(errors, configuration.problems) from error


class _Resolver:
    """Resolves one connector."""

    def __init__(self, configuration: Configuration, connector: str) -> None:
        self._configuration = configuration
        self._connector = connector
        self._entity_types: dict[str, MappedEntityType] = {}

    def resolve(self) -> ConnectorMappings:
        """Return the connector's mappings."""
        configuration = self._configuration
        own = [m for m in configuration.entity_type_mappings.values() if same(m.connector, self._connector)]
        associations = [
            m
            for m in configuration.entity_association_mappings.values()
            if same(m.connector, self._connector)
        ]
        self._refuse_errors(own, associations)
        entity_types = tuple(sorted(map(self._entity_type, own), key=lambda e: e.identifier))
        self._entity_types = {mapped.identifier.casefold(): mapped for mapped in entity_types}
        mapped_associations = tuple(sorted(map(self._association, associations), key=lambda a: a.identifier))
        association_metadata = tuple(
            configuration.entity_associations[a.identifier] for a in mapped_associations
        )
        return ConnectorMappings(
            connector=configuration.connectors[self._connector],
            entity_types=entity_types,
            associations=mapped_associations,
            metadata=tuple(configuration.entity_types[mapped.identifier] for mapped in entity_types),
            association_metadata=association_metadata,
            fingerprint=fingerprint(self._connector, entity_types, mapped_associations),
        )

    def _refuse_errors(
        self, mappings: list[EntityTypeMapping], associations: list[EntityAssociationMapping]
    ) -> None:
        """Refuse to go on if an element that is to be used is wrong."""
        configuration = self._configuration
        entity_types = [configuration.entity_types[mapping.identifier] for mapping in mappings]
        used: list[Placed] = [
            configuration.connectors[self._connector],
            *mappings,
            *entity_types,
            *associations,
        ]
        used += [configuration.entity_associations[mapping.identifier] for mapping in associations]
        for mapping in mappings:
            used += mapping.properties
        for entity_type in entity_types:
            used += entity_type.properties
        places = {element.location for element in used}
        errors = tuple(error for error in errors_of(configuration.problems) if error.location in places)
        if errors:
            raise configuration_error(errors)

    def _entity_type(self, mapping: EntityTypeMapping) -> MappedEntityType:
        entity_type = self._configuration.entity_types[mapping.identifier]
        properties: list[MappedProperty] = []
        unique_keys = 0
        for candidate in mapping.properties:
            if not is_read(candidate):
                continue
            is_unique = candidate.is_unique_key and not candidate.is_primary_key
            target = _property(entity_type, candidate.identifier)
            form = _with_property_as_defined(candidate.format, entity_type)
            properties.append(_mapped_property(candidate, target, form, unique_keys if is_unique else None))
            unique_keys += is_unique
        mapped = MappedEntityType(
            entity_type.identifier,
            mapping.location,
            table_name(mapping.connection_table),
            tuple(properties),
            mapping.thresholds,
        )
        if sum(p.is_primary_key for p in properties) != 1:
            raise ValueError(f"{mapping.identifier} has no primary key of its own")
        return mapped

    def _association(self, mapping: EntityAssociationMapping) -> MappedAssociation:
        association = self._configuration.entity_associations[mapping.identifier]
        key1 = self._key(mapping.entity_property_mapping1)
        key2 = self._key(mapping.entity_property_mapping2)
        return MappedAssociation(
            association.identifier,
            mapping.location,
            table_name(mapping.connection_table),
            mapping.column1,
            mapping.column2,
            key1,
            key2,
            self._navigation(association.property1),
            self._navigation(association.property2),
            not association.is_property1_collection,
            not association.is_property2_collection,
            self._owner(mapping, key1, key2),
            mapping.thresholds,
        )

    def _key(self, reference: PropertyReference) -> KeyReference:
        entity_type = self._entity_types[reference.entity_type.casefold()]
        return KeyReference(entity_type.identifier, entity_type.find_property(reference.property))

    def _navigation(self, reference: PropertyReference) -> str | None:
        target = _property(self._configuration.entity_types[reference.entity_type], reference.property)
        index = target.target_column_index
        return column_name(index) if index >= FIRST_NAVIGATION else None

    def _owner(self, mapping: EntityAssociationMapping, key1: KeyReference, key2: KeyReference) -> int | None:
        table = table_name(mapping.connection_table)
        for side, column, key in ((1, mapping.column1, key1), (2, mapping.column2, key2)):
            entity_type = self._entity_types[key.entity_type.casefold()]
            if entity_type.table == table and key.key.connection_column == column:
                return side
        return None


def is_read(candidate: PropertyMapping) -> bool:
    """Return whether a mapped property has values: from a column, or as a bit of another property."""
    return candidate.connection_column is not None or _is_bit(candidate)


def _is_bit(candidate: PropertyMapping) -> bool:
    return candidate.format is not None and candidate.format.name is FormatName.BIT


def _property(entity_type: EntityType, identifier: str) -> EntityProperty:
    wanted = identifier.casefold()
    return next(p for p in entity_type.properties if p.identifier.casefold() == wanted)


def _with_property_as_defined(form: Format | None, entity_type: EntityType) -> Format | None:
    """Write the property that a ``Bit`` names as the entity type does."""
    if form is None or form.bit_property is None:
        return form
    return replace(form, bit_property=_property(entity_type, form.bit_property).identifier)


def _mapped_property(
    candidate: PropertyMapping, target: EntityProperty, form: Format | None, unique_key: int | None
) -> MappedProperty:
    index = target.target_column_index
    if index >= FIRST_NAVIGATION:
        raise ValueError(f"{target.identifier} is a navigation property")
    length = None if index < 0 else column_length(index)
    is_key = candidate.is_primary_key or unique_key is not None
    return MappedProperty(
        target.identifier,
        target.type,
        form,
        None if _is_bit(candidate) else candidate.connection_column,
        None if index < 0 else column_name(index),
        SCALAR_LENGTH if is_key else length,
        candidate.is_primary_key,
        unique_key,
    )
