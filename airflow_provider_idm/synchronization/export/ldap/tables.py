"""What the mappings ask of a directory: a file for the entries, one for each link attribute, and their columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.configuration.names import same, table_name
from airflow_provider_idm.configuration.resolve import connector_mappings
from airflow_provider_idm.configuration.transformations import (
    ConcatColumns,
    TransformDate,
    WhereValue,
    parse_transformation,
)
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.ldap.values import Kind

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.mappings import (
        MappedAssociation,
        MappedProperty,
    )
    from airflow_provider_idm.configuration.model import Configuration, Connection

DN: Final = frozenset({"dn", "distinguishedname", "entrydn"})
"""Columns, in lower case, that hold the entry's distinguished name."""
PARENT_DN: Final = "parentdn"
"""The column, in lower case, that holds the distinguished name of the entry above."""
ENTRIES: Final = ("entries", "entry", "")
"""Datasets, in lower case, that hold a row for each entry whoever reads them."""
_KINDS: Final = {
    FormatName.GUID: Kind.GUID,
    FormatName.SID: Kind.SID,
    FormatName.BYTES: Kind.BYTES,
    FormatName.BINARY: Kind.BYTES,
}
_KINDS_OF_TYPES: Final = {
    PropertyType.GUID: Kind.GUID,
    PropertyType.BYTES: Kind.BYTES,
    PropertyType.BINARY: Kind.BYTES,
}


@dataclass(slots=True)
class Column:
    """A column of a source file.

    :param name: as mappings write it; the attribute of that name fills it, except ``dn`` and ``parentdn``.
    :param separator: between several values; None where one is expected.
    :param is_dn: whether it holds distinguished names.
    :param association: the association that reads it from a row of an entry, if one does.
    """

    name: str
    kind: Kind = Kind.TEXT
    separator: str | None = None
    is_dn: bool = False
    association: str | None = None

    @property
    def key(self) -> str:
        """Its attribute, in lower case."""
        return self.name.casefold()

    @property
    def is_attribute(self) -> bool:
        """Whether the directory has to be asked for it."""
        return self.key not in DN and self.key != PARENT_DN


@dataclass(slots=True)
class Table:
    """A source file.

    :param dataset: what stands behind ``<connection>_``, in lower case; empty if nothing does.
    :param names: its name without ``.csv``, in each spelling that mappings have for it.
    :param columns: by name as written, in the order of the mappings.
    :param links: the columns whose values have a row each; empty for a table with a row for each entry.
    """

    dataset: str
    names: list[str] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    has_entries: bool = False

    @property
    def attributes(self) -> set[str]:
        """What the directory has to be asked for."""
        return {column.name for column in self.columns.values() if column.is_attribute}

    def column(self, name: str) -> Column:
        """Return a column, added if it is not there."""
        found = self.columns.setdefault(name, Column(name))
        found.is_dn = found.is_dn or not found.is_attribute
        return found


def tables_of(configuration: Configuration, connection: Connection) -> list[Table]:
    """Return the tables of a connection that mappings and transformations read.

    :raises airflow_provider_idm.errors.ConfigurationError: if the mappings are wrong.
    :raises ExportError: if none reads a table of the connection, or two read one column in different ways.
    """
    mappings = connector_mappings(configuration, connection.connector)
    found = _Tables(connection)
    for entity_type in mappings.entity_types:
        table = found.find(entity_type.table)
        if table is None:
            continue
        table.has_entries = True
        for mapped in entity_type.properties:
            if mapped.connection_column is not None:
                found.add_property(table, mapped, mapped.connection_column)
    for association in mappings.associations:
        table = found.find(association.table)
        if table is not None:
            found.add_association(table, association)
    found.add_transformations()
    tables = list(found.tables.values())
    if not tables:
        name = connection.identifier
        raise ExportError(
            f"connection {name} ({connection.location}): no mapping of connector {connection.connector} reads a table "
            f"of it, so there is nothing to export. Expected a ConnectionTable such as {name}_entries or {name}_member"
        )
    return tables


def _inputs(step: ConcatColumns | TransformDate | WhereValue) -> tuple[str, ...]:
    if isinstance(step, ConcatColumns):
        return step.inputs
    return (step.input,) if isinstance(step, TransformDate) else (step.column,)


class _Tables:
    """Gathers the tables of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tables: dict[str, Table] = {}

    def find(self, name: str) -> Table | None:
        """Return the table of that name, or None if it is of another connection."""
        prefix, _, dataset = name.partition("_")
        if not same(prefix, self._connection.identifier):
            return None
        key = dataset.casefold()
        table = self.tables.setdefault(key, Table(key, has_entries=key in ENTRIES))
        if name not in table.names:
            table.names.append(name)
        return table

    def add_property(self, table: Table, mapped: MappedProperty, name: str) -> None:
        """Add the column of a property, to be written as its format and type read it."""
        column = table.column(name)
        form = mapped.format
        kind = _KINDS_OF_TYPES.get(mapped.type, Kind.TEXT)
        if form is not None:
            kind = _KINDS.get(form.name, kind)
            self._set_separator(column, form.separator, form.name)
        if kind is not Kind.TEXT:
            if column.kind not in {Kind.TEXT, kind}:
                raise self._error(f"column {name} is read as {column.kind.value} and as {kind.value}")
            column.kind = kind

    def add_association(self, table: Table, association: MappedAssociation) -> None:
        """Add both columns of an association: of the entry's own row, or one row for each link."""
        sides = ((association.column1, association.key1), (association.column2, association.key2))
        for name, reference in sides:
            column = table.column(name)
            known = (reference.key.connection_column or "").casefold()
            column.is_dn = column.is_dn or known in DN
            if table.has_entries:
                column.association = column.association or association.identifier
        if table.has_entries:
            return
        own = [
            name
            for name, reference in sides
            if not table.columns[name].is_attribute
            or name.casefold() == (reference.key.connection_column or "").casefold()
        ]
        links = [name for name, _ in sides if name not in own]
        if not links:
            raise self._error(
                f"association {association.identifier} ({association.location}) reads two keys of the entry, "
                f"{association.column1} and {association.column2}; expected one of them to be a link attribute such "
                "as member"
            )
        if not own:
            named = [name for name in links if name.casefold() in {table.dataset, table.dataset.rstrip("s")}]
            links = named or [association.column2]
        table.links.update(links)

    def add_transformations(self) -> None:
        """Add the columns that transformations read, which no mapping need name; take out those that they make."""
        made: set[tuple[str, str]] = set()
        read: set[tuple[str, str]] = set()
        for transformation in self._connection.transformations:
            prefix, _, dataset = table_name(transformation.table).partition("_")
            table = self.tables.get(dataset.casefold()) if same(prefix, self._connection.identifier) else None
            if table is None:
                continue
            step = parse_transformation(transformation)
            read |= {(table.dataset, name) for name in _inputs(step)} - made
            if not isinstance(step, WhereValue):
                made |= {(table.dataset, step.column)} - read
        for dataset, name in read:
            self.tables[dataset].column(name)
        for dataset, name in made:
            self.tables[dataset].columns.pop(name, None)

    def _set_separator(self, column: Column, written: str | None, form: FormatName) -> None:
        separator = "\n" if form is FormatName.MULTIVALUED_TEXT else written
        if separator is None:
            return
        if column.separator not in {None, separator}:
            raise self._error(f"column {column.name} is read with two separators between its values")
        column.separator = separator

    def _error(self, message: str) -> ExportError:
        return ExportError(f"connection {self._connection.identifier}: {message}")
