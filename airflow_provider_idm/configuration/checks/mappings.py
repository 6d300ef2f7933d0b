"""Entity type mappings: keys, formats, and the properties they fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.checks.context import PROPERTY
from airflow_provider_idm.configuration.columns import MAX_UNIQUE_KEYS
from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.configuration.formats import INTEGER_BITS, SUITABLE
from airflow_provider_idm.configuration.model import (
    EntityProperty,
    EntityType,
    EntityTypeMapping,
    PropertyMapping,
)
from airflow_provider_idm.configuration.names import same, suggestion, table_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import Placed

COMMAND: Final = "command"
"""The first column of every ``.sorted.delta``."""


def check_entity_type_mappings(context: Context) -> None:
    """Check every entity type mapping."""
    configuration = context.configuration
    for mapping in configuration.entity_type_mappings.values():
        place, subject = mapping.location, f"EntityTypeMapping {mapping.identifier}"
        context.find(place, subject, "Connector", mapping.connector, configuration.connectors)
        entity_type = context.find(
            place, subject, "EntityType", mapping.identifier, configuration.entity_types
        )
        _check_keys(context, mapping)
        check_columns(context, subject, mapping.connection_table, _columns(mapping))
        for candidate in mapping.properties:
            _check_property(context, mapping, entity_type, candidate)


def check_columns(context: Context, subject: str, table: str, columns: Iterable[tuple[str, Placed]]) -> None:
    """Warn of columns that the table's schema hint, if there is one, does not know."""
    known = {
        column
        for hint in context.configuration.connection_tables
        if same(table_name(hint.identifier), table_name(table))
        for column in hint.columns
    }
    for column, place in columns:
        if known and column not in known:
            message = (
                f"{subject}: the ConnectionTable {table} has no column {column}{suggestion(column, known)}"
            )
            context.problems.warning(place.location, message)


def _columns(mapping: EntityTypeMapping) -> list[tuple[str, PropertyMapping]]:
    return [(p.connection_column, p) for p in mapping.properties if p.connection_column]


def _check_keys(context: Context, mapping: EntityTypeMapping) -> None:
    subject = f"EntityTypeMapping {mapping.identifier}"
    primary = [candidate for candidate in mapping.properties if candidate.is_primary_key]
    unknown = [p for p in mapping.properties if context.is_broken(p, "IsPrimaryKey")]
    unique = [p for p in mapping.properties if p.is_unique_key and p not in primary and p not in unknown]
    if not (primary or unknown or context.is_broken(mapping, PROPERTY)):
        context.problems.error(
            mapping.location, f"{subject}: no property is the primary key: exactly one must be"
        )
    for candidate in primary[1:]:
        message = f"{subject}: {candidate.identifier} is a second primary key beside {primary[0].identifier}"
        context.problems.error(candidate.location, message)
    for candidate in unique[MAX_UNIQUE_KEYS:]:
        message = (
            f"{subject}: {candidate.identifier} is one unique key too many: there may be {MAX_UNIQUE_KEYS}"
        )
        context.problems.error(candidate.location, message)


def _check_property(
    context: Context, mapping: EntityTypeMapping, entity_type: EntityType | None, candidate: PropertyMapping
) -> None:
    subject = f"EntityTypeMapping {mapping.identifier}: Property {candidate.identifier}"
    if same(candidate.identifier, COMMAND):
        context.problems.error(
            candidate.location,
            f"{subject}: {COMMAND} is the name of the column that lists of changes carry: name it otherwise",
        )
    _check_key(context, subject, candidate)
    if entity_type is None:
        return
    target = context.find_property(
        candidate.location, f"EntityTypeMapping {mapping.identifier}", entity_type, candidate.identifier
    )
    if target is None or context.is_broken(target, "Type", "TargetColumnIndex"):
        return
    if context.is_navigation(entity_type.identifier, target):
        if candidate.connection_column or candidate.format:
            message = "is a navigation property: its values come from an EntityAssociationMapping, not from a column"
            context.problems.error(candidate.location, f"{subject} {message}")
        return
    is_file = target.type is PropertyType.BINARY and target.target_column_index < 0
    if is_file and (candidate.is_primary_key or candidate.is_unique_key):
        context.problems.error(candidate.location, f"{subject} is kept as a file and cannot be a key")
    _check_format(context, subject, candidate, target)
    _check_bit(context, subject, mapping, entity_type, candidate)


def _check_key(context: Context, subject: str, candidate: PropertyMapping) -> None:
    if not (candidate.is_primary_key or candidate.is_unique_key):
        return
    kind = "primary key" if candidate.is_primary_key else "unique key"
    if candidate.format is not None and candidate.format.name is FormatName.BIT:
        context.problems.error(
            candidate.location, f"{subject} is one bit of another property and cannot be a {kind}"
        )
    elif not candidate.connection_column and not context.is_broken(candidate, "Format"):
        context.problems.error(candidate.location, f"{subject} is a {kind} and needs a ConnectionColumn")


def _check_format(context: Context, subject: str, candidate: PropertyMapping, target: EntityProperty) -> None:
    suitable = SUITABLE[target.type]
    if candidate.format is None or candidate.format.name in suitable:
        return
    allowed = ", ".join(name.value for name in suitable)
    message = (
        f"{subject}: the Format {candidate.format.name.value} does not suit its type: expected {allowed}"
    )
    context.problems.error(candidate.location, message)


def _check_bit(
    context: Context,
    subject: str,
    mapping: EntityTypeMapping,
    entity_type: EntityType,
    candidate: PropertyMapping,
) -> None:
    """Check that a ``Bit`` format names a mapped integer property that has such a bit."""
    form = candidate.format
    if form is None or form.bit_property is None or form.bit is None:
        return
    error = context.problems.error
    source = next((p for p in mapping.properties if same(p.identifier, form.bit_property or "")), None)
    if source is None:
        names = [p.identifier for p in mapping.properties if p is not candidate]
        message = f"the Format Bit names {form.bit_property}, which is not mapped{suggestion(form.bit_property, names)}"
        error(candidate.location, f"{subject}: {message}")
        return
    if source.format is not None and source.format.name is FormatName.BIT:
        error(
            candidate.location, f"{subject}: the Format Bit names {source.identifier}, which is a Bit itself"
        )
        return
    if not source.connection_column and not context.is_broken(source, "Format"):
        error(
            candidate.location,
            f"{subject}: the Format Bit names {source.identifier}, which has no ConnectionColumn",
        )
    target = next((p for p in entity_type.properties if same(p.identifier, source.identifier)), None)
    bits = (
        INTEGER_BITS.get(target.type)
        if target is not None and not context.is_broken(target, "Type")
        else form.bit + 1
    )
    if bits is None:
        error(
            candidate.location,
            f"{subject}: the Format Bit names {source.identifier}, which is no integer property",
        )
    elif form.bit >= bits:
        message = f"the Format Bit names bit {form.bit}, but {source.identifier} has bits 0 to {bits - 1}"
        error(candidate.location, f"{subject}: {message}")
    if candidate.connection_column:
        message = f"ConnectionColumn is not read: the value is a bit of {source.identifier}"
        context.problems.warning(candidate.location, f"{subject}: {message}")
