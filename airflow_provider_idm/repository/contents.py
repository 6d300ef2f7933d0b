"""Where an entity type's properties and an association's links are found: what queries and views select from.

Everything is selected from ``resources`` and ``links``, which need not be the tables of those names: anything with
the same columns will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_

from airflow_provider_idm.configuration.columns import FIRST_NAVIGATION, column_name
from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityProperty, EntityType
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.schema import Tables


@dataclass(frozen=True, slots=True)
class Shown:
    """A property of an entity type, and what to select for it.

    :param value: canonical text; of a mono-valued navigation the referred resource's primary key, of a Binary kept as a
        file its content.
    :param type: what the value's text means.
    :param reference: of a mono-valued navigation, the referred resource's id.
    """

    property: EntityProperty
    value: ColumnElement[Any]
    type: PropertyType
    reference: ColumnElement[Any] | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of an entity type: select what is wanted of ``own`` and ``shown`` from ``source``, ``where``."""

    own: FromClause
    source: Any
    where: ColumnElement[bool]
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Links:
    """The links of an association: select what is wanted of the resources at both ends from ``source``, ``where``."""

    end1: FromClause
    end2: FromClause
    source: Any
    where: ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Contents:
    """What one connector has stored.

    :param resources: has the columns of ``UR_Resources``; ``links`` those of ``UR_ResourceLinks``.
    """

    tables: Tables
    mappings: ConnectorMappings
    catalogue: Catalogue
    resources: FromClause
    links: FromClause

    @classmethod
    def now(cls, tables: Tables, mappings: ConnectorMappings, catalogue: Catalogue) -> Contents:
        """Return what is stored now."""
        return cls(tables, mappings, catalogue, tables.resources, tables.resource_links)

    def of_entity_type(self, entity_type: EntityType) -> Resources:
        """Return where the resources of an entity type are; collections are the links of an association and left out."""
        own = self.resources
        source: Any = own
        shown = []
        reference: ColumnElement[Any] | None
        for n, item in enumerate(entity_type.properties):
            index = item.target_column_index
            mono = self._mono_side(entity_type, item)
            other = self.resources.alias(f"r{n}")
            value: ColumnElement[Any] = other.c.PrimaryKey
            kind, reference = self._far_key_type(mono), None
            if index >= FIRST_NAVIGATION:
                reference = own.c[column_name(index)]
                source = source.outerjoin(other, other.c.Id == reference)
            elif index >= 0:
                value, kind = own.c[column_name(index)], item.type
            elif mono:
                source, reference = self._join_far(source, *mono, other, f"l{n}")
            elif item.type is PropertyType.BINARY:
                source, value = self._join_file(source, entity_type, item, f"f{n}")
                kind = item.type
            else:
                continue
            shown.append(Shown(item, value, kind, reference))
        number = self.catalogue.entity_type(entity_type.identifier)
        return Resources(own, source, own.c.Type == number, tuple(shown))

    def of_association(self, association: MappedAssociation) -> Links:
        """Return where the links of an association are, wherever they are kept."""
        end1, end2 = self.resources.alias("end1"), self.resources.alias("end2")
        if association.has_link_table:
            links = self.links
            source: Any = links.join(end1, end1.c.Id == links.c.R1_Id).join(end2, end2.c.Id == links.c.R2_Id)
            kind = links.c.Type == self.catalogue.association(association.identifier)
            return Links(end1, end2, source, kind)
        if association.navigation1:
            source = end1.join(end2, end2.c.Id == end1.c[association.navigation1])
        else:
            source = end2.join(end1, end1.c.Id == end2.c[str(association.navigation2)])
        type1 = end1.c.Type == self.catalogue.entity_type(association.key1.entity_type)
        type2 = end2.c.Type == self.catalogue.entity_type(association.key2.entity_type)
        return Links(end1, end2, source, and_(type1, type2))

    def _mono_side(
        self, entity_type: EntityType, item: EntityProperty
    ) -> tuple[MappedAssociation, int] | None:
        """Find the association whose link a mono-valued property shows that has no column, and its side."""
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

    def key_type(self, entity_type: str) -> PropertyType:
        """Return the type of an entity type's primary key."""
        return self.mappings.entity_type(entity_type).primary_key.type

    def _far_key_type(self, mono: tuple[MappedAssociation, int] | None) -> PropertyType:
        if mono is None:
            return PropertyType.STRING
        association, side = mono
        return self.key_type((association.key2 if side == 1 else association.key1).entity_type)

    def _join_far(
        self, source: Any, association: MappedAssociation, side: int, other: FromClause, name: str
    ) -> tuple[Any, ColumnElement[Any]]:
        """Join the resource at the far end of an association; return the joined source and that resource's id."""
        own = self.resources
        if association.has_link_table:
            link = self.links.alias(name)
            near, far = (link.c.R1_Id, link.c.R2_Id) if side == 1 else (link.c.R2_Id, link.c.R1_Id)
            kind = link.c.Type == self.catalogue.association(association.identifier)
            source = source.outerjoin(link, and_(kind, near == own.c.Id))
            return source.outerjoin(other, other.c.Id == far), other.c.Id
        # This side has no column of its own: the other one keeps this one's id.
        column = association.navigation2 if side == 1 else association.navigation1
        end = association.key2 if side == 1 else association.key1
        kind = other.c.Type == self.catalogue.entity_type(end.entity_type)
        return source.outerjoin(other, and_(kind, other.c[str(column)] == own.c.Id)), other.c.Id

    def _join_file(
        self, source: Any, entity_type: EntityType, item: EntityProperty, name: str
    ) -> tuple[Any, ColumnElement[Any]]:
        files = self.tables.resource_files.alias(name)
        number = self.catalogue.property(entity_type.identifier, item.identifier)
        here = and_(files.c.Resource_Id == self.resources.c.Id, files.c.Property_Id == number)
        return source.outerjoin(files, here), files.c.Content
