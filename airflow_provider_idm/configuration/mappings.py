"""What one connector's synchronization needs of a configuration, resolved.

Entity types with the columns their properties are stored in, associations with the keys that resolve them: prepare and
synchronize see nothing else. ``resolve.py`` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.model import (
    Connector,
    EntityAssociation,
    EntityType,
    Format,
    Location,
    Thresholds,
)


@dataclass(frozen=True, slots=True)
class MappedProperty:
    """One mapped property of an entity type, resolved.

    :param identifier: the property, as the entity type writes it; the column name in all clean files.
    :param type: its type, which decides the canonical form.
    :param format: how the source writes it, or None for the type's obvious notations.
    :param connection_column: the source column; None for a ``Bit`` format, which is read off another property.
    :param column: where ``UR_Resources`` keeps it (``C0`` … ``C3V``); None for a Binary kept in ``UR_ResourceFiles``.
    :param max_length: characters the narrowest place it is stored in holds; None for a file.
    :param is_primary_key: whether it is the primary key.
    :param unique_key: 0, 1 or 2 for a unique key (column ``U0`` …), in mapping order, else None.
    """

    identifier: str
    type: PropertyType
    format: Format | None
    connection_column: str | None
    column: str | None
    max_length: int | None
    is_primary_key: bool
    unique_key: int | None


@dataclass(frozen=True, slots=True)
class MappedEntityType:
    """One entity type of a connector: which source file fills it and what its properties are.

    :param table: the source file's name without ``.csv``.
    :param properties: mapped properties in mapping order (those that are never read are left out).
    """

    identifier: str
    location: Location
    table: str
    properties: tuple[MappedProperty, ...]
    thresholds: Thresholds

    @property
    def primary_key(self) -> MappedProperty:
        """The primary key."""
        return next(p for p in self.properties if p.is_primary_key)

    def find_property(self, identifier: str) -> MappedProperty:
        """Return a mapped property, its identifier in any case."""
        wanted = identifier.casefold()
        return next(p for p in self.properties if p.identifier.casefold() == wanted)


@dataclass(frozen=True, slots=True)
class KeyReference:
    """One side of a mapped association: the key property by which its rows name a resource."""

    entity_type: str
    key: MappedProperty

    @property
    def column(self) -> str:
        """The key column of ``UR_Resources``: ``PrimaryKey``, ``U0``, ``U1`` or ``U2``."""
        return "PrimaryKey" if self.key.is_primary_key else f"U{self.key.unique_key}"


@dataclass(frozen=True, slots=True)
class MappedAssociation:
    """One association of a connector, resolved.

    :param table: the source file's name without ``.csv``; ``column1``/``column2`` are its columns.
    :param key1: what column 1 refers to; ``key2`` likewise.
    :param navigation1: ``I40`` … if side 1 keeps the other side's id in its own row, else None; ``navigation2``
        likewise. With neither, links are rows of ``UR_ResourceLinks``.
    :param mono1: a resource of side 1 has at most one link; ``mono2`` likewise for side 2.
    :param owner: 1 or 2 if the association reads the table of that side's entity type by that entity's own key column
        (each entity's row brings its link), else None.
    """

    identifier: str
    location: Location
    table: str
    column1: str
    column2: str
    key1: KeyReference
    key2: KeyReference
    navigation1: str | None
    navigation2: str | None
    mono1: bool
    mono2: bool
    owner: int | None
    thresholds: Thresholds

    @property
    def has_link_table(self) -> bool:
        """Whether its links are rows of ``UR_ResourceLinks``."""
        return self.navigation1 is None and self.navigation2 is None


@dataclass(frozen=True, slots=True)
class ConnectorMappings:
    """All that prepare and synchronize need to know of one connector.

    :param metadata: every entity type and association that the mappings name, with all properties, for the ``UM_``
        tables.
    :param fingerprint: SHA-256 (hex) of all that decides what clean files hold and how they are stored; display names
        and thresholds do not count.
    """

    connector: Connector
    entity_types: tuple[MappedEntityType, ...]
    associations: tuple[MappedAssociation, ...]
    metadata: tuple[EntityType, ...]
    association_metadata: tuple[EntityAssociation, ...]
    fingerprint: str

    def entity_type(self, identifier: str) -> MappedEntityType:
        """Return a mapped entity type, its identifier in any case."""
        wanted = identifier.casefold()
        return next(e for e in self.entity_types if e.identifier.casefold() == wanted)

    def association(self, identifier: str) -> MappedAssociation:
        """Return a mapped association, its identifier in any case."""
        wanted = identifier.casefold()
        return next(a for a in self.associations if a.identifier.casefold() == wanted)
