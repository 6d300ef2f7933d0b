"""Where an entity type's properties and an association's links are found: what queries and views select from.

What is stored now is in the tables themselves. What was stored on a date is in two places each: rows that have not
changed since are in the same tables, those that have are in their histories. Both together, with the same columns, take
the place of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    Text,
    and_,
    cast,
    false,
    null,
    select,
    union_all,
)

from airflow_provider_idm.configuration.columns import FIRST_NAVIGATION, column_name
from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.configuration.mappings import ConnectorMappings, MappedAssociation
from airflow_provider_idm.configuration.model import EntityProperty, EntityType
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.layouts import StorageLayout
from airflow_provider_idm.repository.schema import Tables


@dataclass(frozen=True, slots=True)
class Shown:
    """A property of an entity type, and what to select for it.

    :param value: canonical text; of a mono-valued navigation the referred resource's primary key, of a Binary kept as a
        file its content, or as of a date the SHA-256 (hex) that its content had.
    :param type: what the value's text means.
    :param reference: of a mono-valued navigation, the referred resource's id.
    """

    property: EntityProperty
    value: ColumnElement[Any]
    type: PropertyType
    reference: ColumnElement[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the values of a property are.

    :param index: its ``TargetColumnIndex``; None if there was no place for what it shows.
    :param mono: the association whose link it shows, as that is kept, and its side.
    :param refers: whether it shows a reference.
    """

    item: EntityProperty
    index: int | None
    mono: tuple[MappedAssociation, int] | None
    refers: bool


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


_KEYS: Final = ("Id", "Type", "PrimaryKey")
"""Columns by which a resource is found and shown."""
_LINK: Final = ("Type", "R1_Id", "R2_Id")


@dataclass(frozen=True, slots=True)
class Contents:
    """What one connector has stored, now or as of a date.

    :param date: the moment (with its time zone) whose state is wanted; None for what is stored now.
    :param layout: where properties and links were kept then; None if it is where the mappings say.
    :param hashes: show files by their hashes, as there is nothing else of them as of a date.
    """

    tables: Tables
    mappings: ConnectorMappings
    catalogue: Catalogue
    date: datetime | None = None
    layout: StorageLayout | None = None
    hashes: bool = False

    @classmethod
    def now(
        cls, tables: Tables, mappings: ConnectorMappings, catalogue: Catalogue, *, hashes: bool = False
    ) -> Contents:
        """Return what is stored now."""
        return cls(tables, mappings, catalogue, hashes=hashes)

    @classmethod
    def as_of(
        cls,
        tables: Tables,
        mappings: ConnectorMappings,
        catalogue: Catalogue,
        date: datetime,
        layout: StorageLayout | None = None,
    ) -> Contents:
        """Return what was stored as of a date: the versions that had begun then and had not ended.

        The date is a parameter of the statements, or a value in their text if they are compiled with such.

        :param date: a moment with its time zone.
        :param layout: where properties and links were kept then, if it is known.
        """
        return cls(tables, mappings, catalogue, date, layout, hashes=True)

    def of_entity_type(self, entity_type: EntityType) -> Resources:
        """Return where the resources of an entity type are; collections are the links of an association and left out."""
        places = [self._place(entity_type, item) for item in entity_type.properties]
        columns = (column_name(p.index) for p in places if p.index is not None and p.index >= 0)
        own = self._resources(None, *columns)
        source: Any = own
        shown = []
        for n, place in enumerate(places):
            item, index, mono, alias = place.item, place.index, place.mono, f"r{n}"
            kind = self._far_key_type(entity_type, item) if place.refers else item.type
            reference: ColumnElement[Any] | None = None
            value: ColumnElement[Any]
            if index is None:
                value = cast(null(), Text)
                reference = cast(null(), BigInteger) if place.refers else None
            elif index >= FIRST_NAVIGATION:
                reference = own.c[column_name(index)]
                source, value = self._join_referred(source, mono, reference, alias)
            elif index >= 0:
                value = own.c[column_name(index)]
            elif mono:
                source, reference, value = self._join_far(source, own, *mono, alias)
            elif item.type is PropertyType.BINARY:
                source, value = self._join_file(source, own, entity_type, item, f"f{n}")
                kind = PropertyType.STRING if self.hashes else item.type
            else:
                continue
            shown.append(Shown(item, value, kind, reference))
        return Resources(own, source, self._of_type(own, entity_type.identifier), tuple(shown))

    def of_association(self, association: MappedAssociation) -> Links:
        """Return where the links of an association are, wherever they are kept."""
        kept = self._kept(association)
        if kept is None:  # there was no such association then
            found = replace(self, layout=None).of_association(association)
            return replace(found, where=false())
        end1, end2 = (
            self._resources(name, *filter(None, [navigation]))
            for name, navigation in (("end1", kept.navigation1), ("end2", kept.navigation2))
        )
        type1 = self._of_type(end1, kept.key1.entity_type)
        type2 = self._of_type(end2, kept.key2.entity_type)
        if kept.has_link_table:
            links = self._links(None)
            source: Any = links.join(end1, end1.c.Id == links.c.R1_Id).join(end2, end2.c.Id == links.c.R2_Id)
            of_association = links.c.Type == self.catalogue.association(kept.identifier)
            # Where the ends are not tables with an index of ids, their type makes less of them.
            return Links(end1, end2, source, self._narrowed(of_association, type1, type2))
        if kept.navigation1:
            source = end1.join(end2, end2.c.Id == end1.c[kept.navigation1])
        else:
            source = end2.join(end1, end1.c.Id == end2.c[str(kept.navigation2)])
        return Links(end1, end2, source, and_(type1, type2))

    def key_type(self, entity_type: str) -> PropertyType:
        """Return the type of an entity type's primary key."""
        return self.mappings.entity_type(entity_type).primary_key.type

    # ------------------------------------------------------------------------------------------------- rows

    def _resources(self, alias: str | None, *columns: str) -> FromClause:
        return self._rows(self.tables.resources, (*_KEYS, *columns), alias)

    def _links(self, alias: str | None) -> FromClause:
        return self._rows(self.tables.resource_links, _LINK, alias)

    def _rows(self, now: Table, columns: Iterable[str], alias: str | None) -> FromClause:
        """Return a table as it is now, or what its rows were as of the date, with some of its columns."""
        if self.date is None:
            return now if alias is None else now.alias(alias)
        names, history = list(dict.fromkeys(columns)), self.tables.metadata.tables[f"{now.key}History"]
        still = select(*(now.c[name] for name in names)).where(now.c.ValidFrom <= self.date)
        former = select(*(history.c[name] for name in names)).where(
            history.c.ValidFrom <= self.date, history.c.ValidTo > self.date
        )
        return union_all(still, former).subquery(alias or now.name)

    def _of_type(self, resources: FromClause, entity_type: str) -> ColumnElement[bool]:
        return resources.c.Type == self.catalogue.entity_type(entity_type)

    def _narrowed(self, condition: ColumnElement[bool], *more: ColumnElement[bool]) -> ColumnElement[bool]:
        """Add conditions that go without saying where a row is found by its id."""
        return condition if self.date is None else and_(condition, *more)

    # ---------------------------------------------------------------------------------------------- layout

    def _place(self, entity_type: EntityType, item: EntityProperty) -> _Place:
        """Find where a property's values are, or were: perhaps in another column than now, perhaps in none."""
        now, mono = item.target_column_index, self._mono_side(entity_type, item)
        refers = mono is not None or now >= FIRST_NAVIGATION
        is_file = item.type is PropertyType.BINARY
        if self.layout is None or (now < 0 and not refers and not is_file):
            return _Place(item, now, mono, refers)
        kept = self._kept(mono[0]) if mono else None
        then = self.layout.properties.get(self.catalogue.property(entity_type.identifier, item.identifier))
        if then is not None:
            in_column = then >= FIRST_NAVIGATION if refers else 0 <= then < FIRST_NAVIGATION
            elsewhere = then < 0 and (kept is not None if refers else is_file)
            then = then if in_column or elsewhere else None
        return _Place(item, then, (kept, mono[1]) if mono and kept else None, refers)

    def _kept(self, association: MappedAssociation) -> MappedAssociation | None:
        """Return an association as its links were kept, None if it was not there."""
        if self.layout is None:
            return association
        columns = self.layout.associations.get(self.catalogue.association(association.identifier))
        return replace(association, navigation1=columns[0], navigation2=columns[1]) if columns else None

    # ------------------------------------------------------------------------------------------- navigations

    def _mono_side(
        self, entity_type: EntityType, item: EntityProperty
    ) -> tuple[MappedAssociation, int] | None:
        """Find the association whose link a mono-valued property shows, and its side."""
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

    def _far_key_type(self, entity_type: EntityType, item: EntityProperty) -> PropertyType:
        mono = self._mono_side(entity_type, item)
        return PropertyType.STRING if mono is None else self.key_type(_far_entity_type(*mono))

    def _join_referred(
        self,
        source: Any,
        mono: tuple[MappedAssociation, int] | None,
        reference: ColumnElement[Any],
        alias: str,
    ) -> tuple[Any, ColumnElement[Any]]:
        """Join the resource that a column refers to; return the joined source and that resource's primary key."""
        other = self._resources(alias)
        here: ColumnElement[bool] = other.c.Id == reference
        if mono is not None:
            here = self._narrowed(here, self._of_type(other, _far_entity_type(*mono)))
        return source.outerjoin(other, here), other.c.PrimaryKey

    def _join_far(
        self, source: Any, own: FromClause, association: MappedAssociation, side: int, alias: str
    ) -> tuple[Any, ColumnElement[Any], ColumnElement[Any]]:
        """Join the resource at the far end of an association; return the joined source, its id and primary key."""
        far_type = _far_entity_type(association, side)
        if association.has_link_table:
            link, other = self._links(f"l{alias[1:]}"), self._resources(alias)
            near, far = (link.c.R1_Id, link.c.R2_Id) if side == 1 else (link.c.R2_Id, link.c.R1_Id)
            kind = link.c.Type == self.catalogue.association(association.identifier)
            source = source.outerjoin(link, and_(kind, near == own.c.Id))
            here = self._narrowed(other.c.Id == far, self._of_type(other, far_type))
            return source.outerjoin(other, here), other.c.Id, other.c.PrimaryKey
        # This side has no column of its own: the other one keeps this one's id.
        column = str(association.navigation2 if side == 1 else association.navigation1)
        other = self._resources(alias, column)
        here = and_(self._of_type(other, far_type), other.c[column] == own.c.Id)
        return source.outerjoin(other, here), other.c.Id, other.c.PrimaryKey

    def _join_file(
        self, source: Any, own: FromClause, entity_type: EntityType, item: EntityProperty, alias: str
    ) -> tuple[Any, ColumnElement[Any]]:
        value = "Hash" if self.hashes else "Content"
        files = self._rows(self.tables.resource_files, ("Resource_Id", "Property_Id", value), alias)
        number = self.catalogue.property(entity_type.identifier, item.identifier)
        here = and_(files.c.Resource_Id == own.c.Id, files.c.Property_Id == number)
        return source.outerjoin(files, here), files.c[value]


def _far_entity_type(association: MappedAssociation, side: int) -> str:
    return (association.key2 if side == 1 else association.key1).entity_type
