"""How one connector's mappings lie in the repository, and what their tables are called inside DuckDB.

Per entity type (``n`` its number in mapping order): ``new_n`` the batch's rows, ``stored_n`` what the repository
holds (all of it, or as much as an Incremental needs), ``change_n`` the difference. Every one has the columns ``id``,
``pk`` and those of ``EntityLayout.columns``, named as in ``UR_Resources``; a file property stands there as the hash of
its value.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation, MappedEntityType
from airflow_provider_idm.engine import identifier
from airflow_provider_idm.repository.catalogue import Catalogue

DISPLAY_NAME = "DisplayName"
PRIMARY_KEY = "PrimaryKey"


@dataclass(frozen=True, slots=True)
class FileProperty:
    """A Binary property kept in ``UR_ResourceFiles``: its number, its name, and its hash's column in DuckDB."""

    id: int
    property: str
    column: str


@dataclass(frozen=True, slots=True)
class EntityLayout:
    """Where one entity type's properties are.

    :param columns: (column of ``UR_Resources``, property whose value it holds), the keys' columns included.
    :param navigations: reference columns of its resources.
    :param keys: columns other than the primary key by which associations name its resources.
    """

    index: int
    type: int
    mapped: MappedEntityType
    columns: tuple[tuple[str, str], ...]
    files: tuple[FileProperty, ...]
    navigations: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def new(self) -> str:
        """The batch's rows."""
        return f"new_{self.index}"

    @property
    def stored(self) -> str:
        """What the repository holds; in a Complete, what stays the same has ``keys`` and ``navigations`` alone."""
        return f"stored_{self.index}"

    @property
    def change(self) -> str:
        """The difference: ``op`` (insert, update, delete), ``command``, ``id`` (negative if not yet given), values."""
        return f"change_{self.index}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of ``UR_Resources`` that properties fill."""
        return tuple(name for name, _ in self.columns)

    @property
    def compared(self) -> tuple[str, ...]:
        """Every DuckDB column that two rows are compared by."""
        return self.column_names + tuple(f.column for f in self.files)

    def list_columns(self, alias: str = "") -> str:
        """Return all compared columns as a SELECT list."""
        return "".join(f", {alias}{identifier(c)}" for c in self.compared)


@dataclass(frozen=True, slots=True)
class AssociationLayout:
    """Where one association's links are, and the entity types at its ends."""

    index: int
    type: int
    mapped: MappedAssociation
    side1: EntityLayout
    side2: EntityLayout

    def side(self, number: int) -> EntityLayout:
        """Return the entity type of side 1 or 2."""
        return self.side1 if number == 1 else self.side2

    def key_column(self, number: int) -> str:
        """Return the key column (``PrimaryKey``, ``U0`` …) by which side 1 or 2 is named."""
        return (self.mapped.key1 if number == 1 else self.mapped.key2).column

    def duck_key(self, number: int) -> str:
        """Return that column's name inside DuckDB."""
        column = self.key_column(number)
        return "pk" if column == PRIMARY_KEY else column

    def mono(self, number: int) -> bool:
        """Return whether a resource of side 1 or 2 has at most one link."""
        return self.mapped.mono1 if number == 1 else self.mapped.mono2

    def table(self, what: str) -> str:
        """Return the DuckDB table ``what`` of this association."""
        return f"{what}_{self.index}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole connector."""

    catalogue: Catalogue
    entity_types: tuple[EntityLayout, ...]
    associations: tuple[AssociationLayout, ...]


def lay_out(mappings: ConnectorMappings, catalogue: Catalogue) -> Layout:
    """Resolve mappings and numbers into a layout."""
    entity_types = tuple(
        _entity_layout(n, e, mappings, catalogue) for n, e in enumerate(mappings.entity_types)
    )
    by_name = {e.mapped.identifier.casefold(): e for e in entity_types}
    associations = tuple(
        AssociationLayout(
            n,
            catalogue.association(a.identifier),
            a,
            by_name[a.key1.entity_type.casefold()],
            by_name[a.key2.entity_type.casefold()],
        )
        for n, a in enumerate(mappings.associations)
    )
    return Layout(catalogue, entity_types, associations)


def _entity_layout(
    index: int, mapped: MappedEntityType, mappings: ConnectorMappings, catalogue: Catalogue
) -> EntityLayout:
    columns: list[tuple[str, str]] = []
    files: list[FileProperty] = []
    for item in mapped.properties:
        if item.column is None:
            number = catalogue.property(mapped.identifier, item.identifier)
            files.append(FileProperty(number, item.identifier, f"F{len(files)}"))
        else:
            columns.append((item.column, item.identifier))
        if item.unique_key is not None:
            columns.append((f"U{item.unique_key}", item.identifier))
        if item.identifier.casefold() == DISPLAY_NAME.casefold() and item.column is not None:
            columns.append((DISPLAY_NAME, item.identifier))
    own = mapped.identifier.casefold()
    navigations = {
        column
        for a in mappings.associations
        for column, key in ((a.navigation1, a.key1), (a.navigation2, a.key2))
        if column and key.entity_type.casefold() == own
    }
    keys = {
        key.column
        for a in mappings.associations
        for key in (a.key1, a.key2)
        if key.entity_type.casefold() == own
    }
    return EntityLayout(
        index,
        catalogue.entity_type(mapped.identifier),
        mapped,
        tuple(columns),
        tuple(files),
        tuple(sorted(navigations)),
        tuple(sorted(keys - {PRIMARY_KEY})),
    )


def is_incremental(mode: SynchronizationMode) -> bool:
    """Return whether a batch holds commands instead of everything."""
    return mode is SynchronizationMode.INCREMENTAL


def brings_owner(association: MappedAssociation, mode: SynchronizationMode, kind: SourceType) -> bool:
    """Return whether an association's file has the commands of the entity whose row each one is."""
    return association.owner is not None and is_incremental(mode) and kind is not SourceType.NONE
