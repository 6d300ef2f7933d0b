"""What a prepare makes: one clean file per mapped entity type and association, from columns of source files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.synchronization.prepare.convert import Conversion, conversion_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_idm.configuration.mappings import (
        ConnectorMappings,
        MappedAssociation,
        MappedEntityType,
        MappedProperty,
    )

ENTITY_TYPE = "entity_type"
ASSOCIATION = "association"
SUFFIXES = (".sorted.csv", ".sorted.delta", ".nullpk.csv", ".duplicates.csv", ".invalid.csv")
"""Ends of the names of all files that a prepare writes."""


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column of a clean file.

    :param name: in the clean file.
    :param source: the source column that it is read from.
    :param conversion: to its canonical value.
    :param likeness: columns of one source with equal likeness hold equal values.
    :param is_key: whether it is (part of) what rows are told apart by.
    """

    name: str
    source: str
    conversion: Conversion
    likeness: tuple[object, ...]
    is_key: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One clean file.

    :param identifier: of the entity type or association.
    :param kind: ``entity_type`` or ``association``.
    :param table: the source file's name without ``.csv``.
    :param owner: for an association that reads an entity type's own table: that entity type's primary key.
    :param owner_side: 1 or 2, the side of the owner.
    """

    identifier: str
    kind: str
    table: str
    columns: tuple[TargetColumn, ...]
    owner: TargetColumn | None = None
    owner_side: int | None = None

    @property
    def keys(self) -> tuple[TargetColumn, ...]:
        """The columns that rows are told apart by."""
        return tuple(c for c in self.columns if c.is_key)

    @property
    def read_columns(self) -> tuple[TargetColumn, ...]:
        """All columns that are read for it."""
        return self.columns if self.owner is None else (*self.columns, self.owner)


def targets_of(mappings: ConnectorMappings) -> tuple[Target, ...]:
    """Return all targets of a connector, entity types first.

    :raises PrepareError: if two of them would write the same files.
    """
    entity_types = {e.identifier.casefold(): e for e in mappings.entity_types}
    targets = (
        *(_entity_type(e) for e in mappings.entity_types),
        *(_association(a, entity_types) for a in mappings.associations),
    )
    _check_names(targets)
    return targets


def _entity_type(entity_type: MappedEntityType) -> Target:
    columns = tuple(
        _column(p.identifier, p, entity_type, None, is_key=p.is_primary_key) for p in entity_type.properties
    )
    return Target(entity_type.identifier, ENTITY_TYPE, entity_type.table, columns)


def _association(association: MappedAssociation, entity_types: dict[str, MappedEntityType]) -> Target:
    sides = (
        ("key1", association.column1, association.key1),
        ("key2", association.column2, association.key2),
    )
    columns = tuple(
        _column(name, side.key, entity_types[side.entity_type.casefold()], column, is_key=True)
        for name, column, side in sides
    )
    owner = None
    if association.owner is not None:
        entity_type = entity_types[sides[association.owner - 1][2].entity_type.casefold()]
        owner = _column("owner", entity_type.primary_key, entity_type, None, is_key=True)
    return Target(association.identifier, ASSOCIATION, association.table, columns, owner, association.owner)


def _column(
    name: str, mapped: MappedProperty, of: MappedEntityType, source: str | None, *, is_key: bool
) -> TargetColumn:
    conversion, column = conversion_of(mapped, of.find_property)
    likeness = (
        mapped.type,
        mapped.format,
        mapped.max_length,
        of.identifier if mapped.connection_column is None else "",
    )
    return TargetColumn(name, source or column or "", conversion, likeness, is_key)


def _check_names(targets: Iterable[Target]) -> None:
    seen: dict[str, str] = {}
    for target in targets:
        name = target.identifier
        if not name or set(name) & set("/\\:\0") or name in {".", ".."}:
            raise PrepareError(
                f"{name!r} cannot be the name of files; rename the {target.kind.replace('_', ' ')}"
            )
        if name.casefold() in seen:
            raise PrepareError(
                f"the entity type and the association {name} have one name and would write the "
                f"same files; rename one of them"
            )
        seen[name.casefold()] = name
