"""Reading the repository for people and programs: resources, links, one hash of everything."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityType
from airflow_provider_idm.engine import identifier, literal, open_engine
from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.repository.contents import Contents
from airflow_provider_idm.repository.history import history_since, warn_if_incomplete
from airflow_provider_idm.repository.layouts import read_layout
from airflow_provider_idm.repository.state import read_state

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from airflow_provider_idm.repository.dialects import BulkSession
    from airflow_provider_idm.repository.repository import Repository

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


def query_entity_type(
    repository: Repository, mappings: ConnectorMappings, entity_type: str, as_of: datetime | None = None
) -> pa.Table:
    """Return the resources of an entity type: a text column per property, sorted by primary key.

    A mono-valued navigation shows the referred resource's primary key; collections are left out (they are the
    association's links); a Binary kept as a file shows its content as base64.

    :param as_of: the moment whose state is wanted; files are then shown by their SHA-256. None for what is stored now.
    :raises ConfigurationError: if the connector has no such entity type.
    """
    with _open(repository, mappings, as_of) as reader:
        return reader.duck.sql(reader.entity_type(_entity_type(mappings, entity_type))).to_arrow_table()


def query_association(
    repository: Repository, mappings: ConnectorMappings, association: str, as_of: datetime | None = None
) -> pa.Table:
    """Return the links of an association: columns ``key1`` and ``key2`` (primary keys), sorted.

    :param as_of: the moment whose state is wanted; None for what is stored now.
    :raises ConfigurationError: if the connector has no such association.
    """
    with _open(repository, mappings, as_of) as reader:
        return reader.duck.sql(reader.association(_association(mappings, association))).to_arrow_table()


def content_hash(repository: Repository, mappings: ConnectorMappings, as_of: datetime | None = None) -> str:
    """Return one SHA-256 (hex) of all resources and links, by keys and values; a file counts by its own.

    It depends neither on ids and their order nor on the database: equal content, equal hash.

    :param as_of: the moment whose state is wanted; None for what is stored now.
    """
    digest = hashlib.sha256()
    with _open(repository, mappings, as_of, hashes=True) as reader:
        for entity_type in sorted(mappings.entity_types, key=lambda e: e.identifier):
            found = _entity_type(mappings, entity_type.identifier)
            reader.add_to(digest, entity_type.identifier, reader.entity_type(found))
        for association in sorted(mappings.associations, key=lambda a: a.identifier):
            reader.add_to(digest, association.identifier, reader.association(association))
    return digest.hexdigest()


@contextmanager
def _open(
    repository: Repository, mappings: ConnectorMappings, as_of: datetime | None, *, hashes: bool = False
) -> Iterator[_Reader]:
    catalogue = repository.register(mappings)
    with repository.reading() as connection:
        fingerprint = read_state(connection, repository.tables, catalogue.connector).fingerprint
        since = history_since(connection, repository.tables, catalogue.connector)
        layout = read_layout(connection, repository.tables, catalogue.connector, as_of) if as_of else None
    if as_of is None:
        contents = Contents.now(repository.tables, mappings, catalogue, hashes=hashes)
    else:
        contents = Contents.as_of(repository.tables, mappings, catalogue, as_of, layout)
        warn_if_incomplete(since, as_of, mappings.connector.identifier)
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
            yield _Reader(session, contents, duck, place)


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

    session: BulkSession
    contents: Contents
    duck: duckdb.DuckDBPyConnection
    folder: Path

    def entity_type(self, entity_type: EntityType) -> str:
        """Load an entity type's resources; return the sorted query."""
        found = self.contents.of_entity_type(entity_type)
        values = (shown.value.label(f"p{n}") for n, shown in enumerate(found.shown))
        statement = select(found.own.c.PrimaryKey.label("pk"), *values).select_from(found.source)
        self.session.load(statement.where(found.where), "shown")
        names = (identifier(shown.property.identifier) for shown in found.shown)
        columns = ", ".join(f"p{n} AS {name}" for n, name in enumerate(names))
        return f"SELECT {columns or 'pk'} FROM shown ORDER BY pk"

    def association(self, association: MappedAssociation) -> str:
        """Load an association's links; return the sorted query."""
        found = self.contents.of_association(association)
        keys = (found.end1.c.PrimaryKey.label("key1"), found.end2.c.PrimaryKey.label("key2"))
        self.session.load(select(*keys).select_from(found.source).where(found.where), "shown")
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
