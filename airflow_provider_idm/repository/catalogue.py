"""Identifiers and their numbers: the ``UC_`` and ``UM_`` tables, filled from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Row, Table, func, insert, inspect, select, update
from sqlalchemy.schema import CreateIndex, Index

from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityAssociation
from airflow_provider_idm.repository.schema import Tables

_FAR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The numbers that stand for one connector's identifiers; look-ups ignore case.

    :param others: numbers of associations that are stored for the connector but have no mapping any more.
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
    connector = writer.put(tables.connectors, mappings.connector.identifier, {})
    entity_types, properties = writer.put_entity_types(mappings, connector)
    associations = writer.put_associations(mappings, connector, entity_types)
    mapped = {associations[a.identifier.casefold()] for a in mappings.associations}
    mapped_types = {e.identifier.casefold() for e in mappings.entity_types}
    types = tables.entity_types
    return Catalogue(
        connector=connector,
        entity_types=entity_types,
        associations=associations,
        properties=properties,
        others=tuple(a for a in stored_associations(connection, tables, connector) if a.id not in mapped),
        unmapped_entity_types=tuple(
            row.Identifier
            for row in connection.execute(select(types.c.Identifier).where(types.c.Connector_Id == connector))
            if row.Identifier.casefold() not in mapped_types
        ),
    )


def stored_associations(
    connection: Connection, tables: Tables, connector: int
) -> Iterable[StoredAssociation]:
    """Return every association that the repository knows of a connector, mapped or not."""
    table = tables.entity_associations
    for row in connection.execute(select(table).where(table.c.Connector_Id == connector)):
        yield StoredAssociation(
            row.Id, row.Identifier, row.EntityType1_Id, row.EntityType2_Id, row.Navigation1, row.Navigation2
        )


class _NotStoredError(Exception):
    """Something would have to be written."""


class _Writer:
    """Writes identifiers; an unchanged row is not written again.

    :param writes: if False, what would have to be written raises ``_NotStoredError`` instead.
    """

    def __init__(self, connection: Connection, tables: Tables, *, writes: bool) -> None:
        self.connection = connection
        self.tables = tables
        self._writes = writes

    def put(self, table: Table, identifier: str, values: Mapping[str, Any], **scope: int) -> int:
        """Insert or update the row of an identifier, and return its number."""
        row = self.stored(table, identifier, scope)
        if row is not None:
            wanted = {"Identifier": identifier, **values}
            if any(row._mapping[name] != value for name, value in wanted.items()):  # noqa: SLF001 - public API
                self._require_writing()
                self.connection.execute(update(table).where(table.c.Id == row.Id).values(**wanted))
            return int(row.Id)
        self._require_writing()
        number = self.highest(table) + 1
        self.connection.execute(insert(table).values(Id=number, Identifier=identifier, **values, **scope))
        return number

    def stored(self, table: Table, identifier: str, scope: Mapping[str, int]) -> Row[Any] | None:
        """Return the row of an identifier, or None."""
        where = [table.c[name] == value for name, value in scope.items()]
        rows = self.connection.execute(select(table).where(*where))
        return next((r for r in rows if r.Identifier.casefold() == identifier.casefold()), None)

    def highest(self, table: Table) -> int:
        """Return the highest number that was given."""
        return int(self.connection.scalar(select(func.max(table.c.Id))) or 0)

    def _require_writing(self) -> None:
        if not self._writes:
            raise _NotStoredError

    def put_entity_types(
        self, mappings: ConnectorMappings, connector: int
    ) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Store entity types and their properties."""
        entity_types: dict[str, int] = {}
        properties: dict[tuple[str, str], int] = {}
        for entity_type in mappings.metadata:
            key = entity_type.identifier.casefold()
            number = self.put(self.tables.entity_types, entity_type.identifier, {"Connector_Id": connector})
            entity_types[key] = number
            for item in entity_type.properties:
                properties[key, item.identifier.casefold()] = self.put(
                    self.tables.entity_properties,
                    item.identifier,
                    {"Type": int(item.type), "TargetColumnIndex": item.target_column_index},
                    EntityType_Id=number,
                )
        return entity_types, properties

    def put_associations(
        self, mappings: ConnectorMappings, connector: int, entity_types: Mapping[str, int]
    ) -> dict[str, int]:
        """Store associations."""
        by_identifier = {a.identifier.casefold(): a for a in mappings.association_metadata}
        numbers = {}
        for mapped in mappings.associations:
            association: EntityAssociation = by_identifier[mapped.identifier.casefold()]
            numbers[mapped.identifier.casefold()] = self.put(
                self.tables.entity_associations,
                association.identifier,
                {
                    "Connector_Id": connector,
                    "EntityType1_Id": entity_types[association.property1.entity_type.casefold()],
                    "EntityType2_Id": entity_types[association.property2.entity_type.casefold()],
                    "Property1": association.property1.property,
                    "Property2": association.property2.property,
                    "IsProperty1Collection": association.is_property1_collection,
                    "IsProperty2Collection": association.is_property2_collection,
                    "Navigation1": mapped.navigation1,
                    "Navigation2": mapped.navigation2,
                },
            )
        return numbers

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
        self._given: dict[str, int] = {}

    def put(self, table: Table, identifier: str, values: Mapping[str, Any], **scope: int) -> int:
        """Return the number that the row of an identifier has, or would have."""
        del values
        row = self.stored(table, identifier, scope)
        if row is not None:
            return int(row.Id)
        # Far from what others may be given before the plan is done.
        last = self._given.get(table.name) or self.highest(table) + _FAR
        self._given[table.name] = last + 1
        return last + 1
