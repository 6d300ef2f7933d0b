"""Identifiers and their numbers: the ``UC_`` and ``UM_`` tables, filled from the configuration."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    RowMapping,
    Table,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.schema import CreateIndex, Index

from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityAssociation
from airflow_provider_idm.repository.schema import Tables

_FAR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The numbers that stand for one connector's identifiers; look-ups ignore case.

    :param others: associations that are stored for the connector but have no mapping any more; a column that another one
        keeps its links in by now is not theirs.
    """

    connector: int
    entity_types: Mapping[str, int]
    associations: Mapping[str, int]
    properties: Mapping[tuple[str, str], int]
    others: tuple[StoredAssociation, ...]
    unmapped_entity_types: tuple[str, ...]

    def entity_type(self, identifier: str) -> int:
        """Return an entity type's number."""
        return self.entity_types[identifier.casefold()]

    def association(self, identifier: str) -> int:
        """Return an association's number."""
        return self.associations[identifier.casefold()]

    def property(self, entity_type: str, identifier: str) -> int:
        """Return a property's number."""
        return self.properties[entity_type.casefold(), identifier.casefold()]


@dataclass(frozen=True, slots=True)
class StoredAssociation:
    """An association as the repository knows it."""

    id: int
    identifier: str
    entity_type1: int
    entity_type2: int
    navigation1: str | None
    navigation2: str | None
    links: int

    @property
    def columns(self) -> tuple[tuple[int, str], ...]:
        """The reference columns that keep its links, each with the entity type whose it is; the first one counts."""
        both = ((self.entity_type1, self.navigation1), (self.entity_type2, self.navigation2))
        return tuple((entity_type, column) for entity_type, column in both if column)


def connector_id(connection: Connection, tables: Tables, identifier: str) -> int | None:
    """Return a connector's number, or None if nothing was ever stored for it."""
    for row in connection.execute(select(tables.connectors.c.Id, tables.connectors.c.Identifier)):
        if row.Identifier.casefold() == identifier.casefold():
            return int(row.Id)
    return None


def find(connection: Connection, tables: Tables, mappings: ConnectorMappings) -> Catalogue | None:
    """Return a connector's numbers, or None if anything of it is not stored as the mappings have it; writes nothing."""
    try:
        return _catalogue(_Writer(connection, tables, writes=False), mappings)
    except _NotStoredError:
        return None


def preview(connection: Connection, tables: Tables, mappings: ConnectorMappings) -> Catalogue:
    """Give a connector's identifiers numbers as ``register`` would, and write nothing: reading is all it needs."""
    return _catalogue(_Pretender(connection, tables), mappings)


def register(connection: Connection, tables: Tables, mappings: ConnectorMappings) -> Catalogue:
    """Store a connector's identifiers and metadata, and return their numbers; call it inside a transaction."""
    _count_alone(connection, tables)
    writer = _Writer(connection, tables, writes=True)
    catalogue = _catalogue(writer, mappings)
    states = tables.connector_states
    own = states.c.Connector_Id == catalogue.connector
    if not connection.scalar(select(func.count()).select_from(states).where(own)):
        connection.execute(insert(states).values(Connector_Id=catalogue.connector, Revision=0))
    writer.index_navigations(mappings.associations)
    return catalogue


def _count_alone(connection: Connection, tables: Tables) -> None:
    """Make sure that nobody else numbers identifiers at the same time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(tables.connectors)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _catalogue(writer: _Writer, mappings: ConnectorMappings) -> Catalogue:
    connection, tables = writer.connection, writer.tables
    connector = writer.put_connector(mappings.connector.identifier)
    entity_types, properties = writer.put_entity_types(mappings, connector)
    associations = writer.put_associations(mappings, connector, entity_types)
    mapped = {associations[a.identifier.casefold()] for a in mappings.associations}
    taken = {
        (entity_types[key.entity_type.casefold()], column)
        for a in mappings.associations
        for key, column in ((a.key1, a.navigation1), (a.key2, a.navigation2))
        if column
    }
    mapped_types = {e.identifier.casefold() for e in mappings.entity_types}
    types = tables.entity_types
    return Catalogue(
        connector=connector,
        entity_types=entity_types,
        associations=associations,
        properties=properties,
        others=_others(stored_associations(connection, tables, connector), mapped, taken),
        unmapped_entity_types=tuple(
            row.Identifier
            for row in connection.execute(select(types.c.Identifier).where(types.c.Connector_Id == connector))
            if row.Identifier.casefold() not in mapped_types
        ),
    )


def _others(
    stored: Iterable[StoredAssociation], mapped: set[int], taken: set[tuple[int, str]]
) -> tuple[StoredAssociation, ...]:
    """Return the associations without a mapping that still have their links.

    :param taken: columns that the mapped ones keep theirs in.
    """
    found = []
    for association in sorted(stored, key=lambda a: (-a.links, -a.id)):
        columns = association.columns
        if association.id in mapped or (columns and columns[0] in taken):
            continue
        second_taken = columns and columns[-1] in taken
        found.append(replace(association, navigation2=None) if second_taken else association)
        taken = taken.union(columns)
    return tuple(found)


def stored_associations(
    connection: Connection, tables: Tables, connector: int
) -> Iterable[StoredAssociation]:
    """Return every association that the repository knows of a connector, mapped or not."""
    table = tables.entity_associations
    for row in connection.execute(select(table).where(table.c.Connector_Id == connector)):
        yield StoredAssociation(
            row.Id,
            row.Identifier,
            row.EntityType1_Id,
            row.EntityType2_Id,
            row.Navigation1,
            row.Navigation2,
            row.Links,
        )


def release_columns(connection: Connection, tables: Tables, catalogue: Catalogue) -> None:
    """Note that associations without a mapping lost a column to another one, in the transaction that gives it away."""
    table = tables.entity_associations
    mapped, others = set(catalogue.associations.values()), {a.id: a for a in catalogue.others}
    for stored in list(stored_associations(connection, tables, catalogue.connector)):
        left = others.get(stored.id)
        if stored.id in mapped or (left.columns == stored.columns if left else not stored.links):
            continue
        values = {"Navigation2": None} if left else {"Links": 0}
        connection.execute(update(table).where(table.c.Id == stored.id).values(values))


class _NotStoredError(Exception):
    """Something would have to be written."""


_Key = tuple[int | None, str]


def _key(row: Mapping[str, Any] | RowMapping) -> _Key:
    """Return what a row is found by: its identifier in any case, and of a property its entity type."""
    return row.get("EntityType_Id"), row["Identifier"].casefold()


class _Writer:
    """Writes identifiers; an unchanged row is not written again.

    :param writes: if False, what would have to be written raises ``_NotStoredError`` instead.
    """

    def __init__(self, connection: Connection, tables: Tables, *, writes: bool) -> None:
        self.connection = connection
        self.tables = tables
        self._writes = writes

    def put(
        self, table: Table, rows: Iterable[Mapping[str, Any]], *among: ColumnElement[bool]
    ) -> dict[_Key, int]:
        """Insert or update rows, and return their numbers.

        :param among: where to look for them; in the whole table by default.
        """
        wanted = {_key(row): row for row in rows}
        found = self.connection.execute(select(table).where(*among)).mappings()
        stored = {key: row for row in found if (key := _key(row)) in wanted}
        changed = {
            row["Id"]: wanted[key]
            for key, row in stored.items()
            if any(row[name] != value for name, value in wanted[key].items())
        }
        numbers = {key: int(row["Id"]) for key, row in stored.items()}
        missing = [key for key in wanted if key not in stored]
        if missing:
            numbers |= zip(missing, itertools.count(self.highest(table) + 1))
        self.write(table, changed, [{"Id": numbers[key], **wanted[key]} for key in missing])
        return numbers

    def write(
        self, table: Table, changed: Mapping[int, Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write rows, those that are there already by their number."""
        if not self._writes and (changed or new):
            raise _NotStoredError
        for number, values in changed.items():
            self.connection.execute(update(table).where(table.c.Id == number).values(**values))
        if new:
            self.connection.execute(insert(table), new)

    def highest(self, table: Table) -> int:
        """Return the highest number that was given."""
        return int(self.connection.scalar(select(func.max(table.c.Id))) or 0)

    def put_connector(self, identifier: str) -> int:
        """Store a connector."""
        return self.put(self.tables.connectors, [{"Identifier": identifier}])[None, identifier.casefold()]

    def put_entity_types(
        self, mappings: ConnectorMappings, connector: int
    ) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Store entity types and their properties."""
        types = ({"Identifier": e.identifier, "Connector_Id": connector} for e in mappings.metadata)
        entity_types = {key: number for (_, key), number in self.put(self.tables.entity_types, types).items()}
        properties = (
            {
                "EntityType_Id": entity_types[entity_type.identifier.casefold()],
                "Identifier": item.identifier,
                "Type": int(item.type),
                "TargetColumnIndex": item.target_column_index,
            }
            for entity_type in mappings.metadata
            for item in entity_type.properties
        )
        table = self.tables.entity_properties
        numbers = self.put(table, properties, table.c.EntityType_Id.in_(entity_types.values()))
        names = {number: key for key, number in entity_types.items()}
        return entity_types, {
            (names[entity_type], key): number
            for (entity_type, key), number in numbers.items()
            if entity_type is not None
        }

    def put_associations(
        self, mappings: ConnectorMappings, connector: int, entity_types: Mapping[str, int]
    ) -> dict[str, int]:
        """Store associations."""
        by_identifier = {a.identifier.casefold(): a for a in mappings.association_metadata}
        rows = (
            _association_row(by_identifier[mapped.identifier.casefold()], mapped, connector, entity_types)
            for mapped in mappings.associations
        )
        numbers = self.put(self.tables.entity_associations, rows)
        return {key: number for (_, key), number in numbers.items()}

    def index_navigations(self, associations: Iterable[MappedAssociation]) -> None:
        """Index the reference columns in use, so that what points at a resource is found at once."""
        resources = self.tables.resources
        wanted = {n for a in associations for n in (a.navigation1, a.navigation2) if n}
        there = {
            i["name"] for i in inspect(self.connection).get_indexes(resources.name, schema=resources.schema)
        }
        for name in sorted(n for n in wanted if f"{resources.name}_{n}" not in there):
            column = resources.c[name]
            table = Table(resources.name, MetaData(schema=resources.schema), Column(column.name, column.type))
            copied = table.c[name]
            index = Index(
                f"{resources.name}_{name}",
                copied,
                postgresql_where=copied.is_not(None),
                sqlite_where=copied.is_not(None),
            )
            self.connection.execute(CreateIndex(index, if_not_exists=True))


class _Pretender(_Writer):
    """Gives numbers that nothing stored has, and writes none of them."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        super().__init__(connection, tables, writes=False)

    def write(
        self, table: Table, changed: Mapping[int, Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write nothing."""

    def highest(self, table: Table) -> int:
        """Return a number far from what others may be given before the plan is done."""
        return super().highest(table) + _FAR


def _association_row(
    association: EntityAssociation, mapped: MappedAssociation, connector: int, entity_types: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "Identifier": association.identifier,
        "Connector_Id": connector,
        "EntityType1_Id": entity_types[association.property1.entity_type.casefold()],
        "EntityType2_Id": entity_types[association.property2.entity_type.casefold()],
        "Property1": association.property1.property,
        "Property2": association.property2.property,
        "IsProperty1Collection": association.is_property1_collection,
        "IsProperty2Collection": association.is_property2_collection,
        "Navigation1": mapped.navigation1,
        "Navigation2": mapped.navigation2,
    }
