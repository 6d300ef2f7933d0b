"""Reading the repository for people and programs: resources, links, one hash of everything."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, null, select

from airflow_provider_idm.configuration.columns import FIRST_NAVIGATION, column_name
from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityProperty, EntityType
from airflow_provider_idm.engine import identifier, literal, open_engine
from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.state import read_state

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from airflow_provider_idm.repository.dialects import BulkSession
    from airflow_provider_idm.repository.repository import Repository

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


def query_entity_type(repository: Repository, mappings: ConnectorMappings, entity_type: str) -> pa.Table:
    """Return the resources of an entity type: a text column per property, sorted by primary key.

    A mono-valued navigation shows the referred resource's primary key; collections are left out (they are the
    association's links); a Binary kept as a file shows its content as base64.

    :raises ConfigurationError: if the connector has no such entity type.
    """
    with _open(repository, mappings) as reader:
        return reader.duck.sql(reader.entity_type(_entity_type(mappings, entity_type))).to_arrow_table()


def query_association(repository: Repository, mappings: ConnectorMappings, association: str) -> pa.Table:
    """Return the links of an association: columns ``key1`` and ``key2`` (primary keys), sorted.

    :raises ConfigurationError: if the connector has no such association.
    """
    with _open(repository, mappings) as reader:
        return reader.duck.sql(reader.association(_association(mappings, association))).to_arrow_table()


def content_hash(repository: Repository, mappings: ConnectorMappings) -> str:
    """Return one SHA-256 (hex) of all resources and links, by keys and values.

    It depends neither on ids and their order nor on the database: equal content, equal hash.
    """
    digest = hashlib.sha256()
    with _open(repository, mappings) as reader:
        for entity_type in sorted(mappings.entity_types, key=lambda e: e.identifier):
            found = _entity_type(mappings, entity_type.identifier)
            reader.add_to(digest, entity_type.identifier, reader.entity_type(found))
        for association in sorted(mappings.associations, key=lambda a: a.identifier):
            reader.add_to(digest, association.identifier, reader.association(association))
    return digest.hexdigest()


@contextmanager
def _open(repository: Repository, mappings: ConnectorMappings) -> Iterator[_Reader]:
    catalogue = repository.register(mappings)
    with repository.reading() as connection:
        fingerprint = read_state(connection, repository.tables, catalogue.connector).fingerprint
    if fingerprint not in {None, mappings.fingerprint}:
        log.warning(
            "connector %s was last synchronized with other mappings than these: what is shown may not be what they say "
            "until a Complete is synchronized",
            mappings.connector.identifier,
        )
    with tempfile.TemporaryDirectory(prefix="idm-query-") as folder:
        place = Path(folder)
        with (
            repository.errors(),
            open_engine(place) as duck,
            repository.session(duck, place) as session,
        ):
            yield _Reader(repository, session, mappings, catalogue, duck, place)


def _entity_type(mappings: ConnectorMappings, identifier_: str) -> EntityType:
    wanted = identifier_.casefold()
    mapped = {e.identifier.casefold() for e in mappings.entity_types}
    for entity_type in mappings.metadata:
        if entity_type.identifier.casefold() == wanted and wanted in mapped:
            return entity_type
    names = ", ".join(sorted(e.identifier for e in mappings.entity_types)) or "none"
    raise ConfigurationError(
        f"connector {mappings.connector.identifier} has no entity type {identifier_}; it has {names}"
    )


def _association(mappings: ConnectorMappings, identifier_: str) -> MappedAssociation:
    wanted = identifier_.casefold()
    for association in mappings.associations:
        if association.identifier.casefold() == wanted:
            return association
    names = ", ".join(sorted(a.identifier for a in mappings.associations)) or "none"
    raise ConfigurationError(
        f"connector {mappings.connector.identifier} has no association {identifier_}; it has {names}"
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Loads tables into DuckDB and returns queries for them."""

    repository: Repository
    session: BulkSession
    mappings: ConnectorMappings
    catalogue: Catalogue
    duck: duckdb.DuckDBPyConnection
    folder: Path

    def entity_type(self, entity_type: EntityType) -> str:
        """Load an entity type's resources; return the sorted query."""
        shown = [p for p in entity_type.properties if self._is_shown(entity_type, p)]
        self.session.load(self._resources(entity_type, shown), "shown")
        columns = ", ".join(f"p{n} AS {identifier(p.identifier)}" for n, p in enumerate(shown))
        return f"SELECT {columns or 'pk'} FROM shown ORDER BY pk"

    def association(self, association: MappedAssociation) -> str:
        """Load an association's links; return the sorted query."""
        self.session.load(self._links(association, "key1", "key2"), "shown")
        return "SELECT key1, key2 FROM shown ORDER BY key1, key2"

    def add_to(self, digest: Any, name: str, query: str) -> None:
        """Add a query's name, columns and rows to a hash."""
        path = self.folder / "content.csv"
        self.duck.execute(f"COPY ({query}) TO {literal(str(path))} (HEADER, DELIMITER ',', NULLSTR '')")
        digest.update(f"{name}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        path.unlink()

    def _is_shown(self, entity_type: EntityType, item: EntityProperty) -> bool:
        if item.target_column_index >= 0:
            return True
        if self._mono_side(entity_type, item) is not None:
            return True
        return item.type is PropertyType.BINARY

    def _mono_side(
        self, entity_type: EntityType, item: EntityProperty
    ) -> tuple[MappedAssociation, int] | None:
        """Find the association whose links in the link table a mono-valued property shows, and its side."""
        wanted = (entity_type.identifier.casefold(), item.identifier.casefold())
        metadata = {a.identifier.casefold(): a for a in self.mappings.association_metadata}
        for mapped in self.mappings.associations:
            association = metadata[mapped.identifier.casefold()]
            for number, reference, mono in (
                (1, association.property1, mapped.mono1),
                (2, association.property2, mapped.mono2),
            ):
                if mono and (reference.entity_type.casefold(), reference.property.casefold()) == wanted:
                    return mapped, number
        return None

    def _resources(self, entity_type: EntityType, shown: list[EntityProperty]) -> Select[Any]:
        tables, resources = self.repository.tables, self.repository.tables.resources
        source: Any = resources
        columns: list[Any] = [resources.c.PrimaryKey.label("pk")]
        for n, item in enumerate(shown):
            label = f"p{n}"
            other = resources.alias(f"r{n}")
            mono = self._mono_side(entity_type, item)
            if item.target_column_index >= FIRST_NAVIGATION:
                reference = resources.c[column_name(item.target_column_index)]
                source = source.outerjoin(other, other.c.Id == reference)
                columns.append(other.c.PrimaryKey.label(label))
            elif item.target_column_index >= 0:
                columns.append(resources.c[column_name(item.target_column_index)].label(label))
            elif mono:
                association, number = mono
                names = ("own", "far") if number == 1 else ("far", "own")
                found = self._links(association, *names).subquery(f"l{n}")
                source = source.outerjoin(found, found.c.own == resources.c.PrimaryKey)
                columns.append(found.c.far.label(label))
            elif item.type is PropertyType.BINARY:
                files = tables.resource_files.alias(f"f{n}")
                number = self.catalogue.property(entity_type.identifier, item.identifier)
                here = and_(files.c.Resource_Id == resources.c.Id, files.c.Property_Id == number)
                source = source.outerjoin(files, here)
                columns.append(files.c.Content.label(label))
            else:
                columns.append(null().label(label))
        kind = self.catalogue.entity_type(entity_type.identifier)
        return select(*columns).select_from(source).where(resources.c.Type == kind)

    def _links(self, association: MappedAssociation, name1: str, name2: str) -> Select[Any]:
        """Return the statement for an association's links by primary keys, from where they are kept."""
        tables = self.repository.tables
        r1, r2 = tables.resources.alias("end1"), tables.resources.alias("end2")
        columns = (r1.c.PrimaryKey.label(name1), r2.c.PrimaryKey.label(name2))
        type1 = r1.c.Type == self.catalogue.entity_type(association.key1.entity_type)
        type2 = r2.c.Type == self.catalogue.entity_type(association.key2.entity_type)
        if association.navigation1:
            source: Any = r1.join(r2, r2.c.Id == r1.c[association.navigation1])
        elif association.navigation2:
            source = r2.join(r1, r1.c.Id == r2.c[association.navigation2])
        else:
            links = tables.resource_links
            kind = links.c.Type == self.catalogue.association(association.identifier)
            source = links.join(r1, r1.c.Id == links.c.R1_Id).join(r2, r2.c.Id == links.c.R2_Id)
            return select(*columns).select_from(source).where(kind)
        return select(*columns).select_from(source).where(type1, type2)
