"""Where properties and links were kept at which time: a configuration may give them other columns.

Former versions stay as they were written. Who reads them needs to know in which columns the properties were then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.schema import Tables


@dataclass(frozen=True, slots=True)
class StorageLayout:
    """Where one connector's properties and links are kept.

    :param properties: ``TargetColumnIndex`` by a property's number.
    :param associations: by an association's number the columns (``I40`` …) in which sides 1 and 2 keep the other's id.
    """

    properties: Mapping[int, int]
    associations: Mapping[int, tuple[str | None, str | None]]

    @classmethod
    def of(cls, mappings: ConnectorMappings, catalogue: Catalogue) -> StorageLayout:
        """Return what the mappings say."""
        return cls(
            {
                catalogue.property(entity_type.identifier, item.identifier): item.target_column_index
                for entity_type in mappings.metadata
                for item in entity_type.properties
            },
            {
                catalogue.association(a.identifier): (a.navigation1, a.navigation2)
                for a in mappings.associations
            },
        )

    @classmethod
    def from_text(cls, text: str) -> StorageLayout:
        """Read what ``as_text`` wrote."""
        told = json.loads(text)
        return cls(
            {int(number): index for number, index in told["properties"].items()},
            {int(number): (one, two) for number, (one, two) in told["associations"].items()},
        )

    def as_text(self) -> str:
        """Write it as JSON."""
        told = {
            "properties": dict(sorted(self.properties.items())),
            "associations": dict(sorted(self.associations.items())),
        }
        return json.dumps(told)


def read_layout(
    connection: Connection, tables: Tables, connector: int, date: datetime
) -> StorageLayout | None:
    """Return the layout that a connector's rows had as of a date; None if nothing is known of it.

    Of what was stored before the first one that is known the first one is told.
    """
    table = tables.layouts
    own = select(table.c.Layout).where(table.c.Connector_Id == connector).limit(1)
    text = connection.scalar(own.where(table.c.ValidFrom <= date).order_by(table.c.ValidFrom.desc()))
    if text is None:
        text = connection.scalar(own.order_by(table.c.ValidFrom))
    return None if text is None else StorageLayout.from_text(text)


def keep_layout(
    connection: Connection, tables: Tables, connector: int, layout: StorageLayout, since: datetime
) -> None:
    """Note, if it is another one than before, the layout that a connector's rows have since a date."""
    table = tables.layouts
    own = table.c.Connector_Id == connector
    last = connection.execute(
        select(table.c.ValidFrom, table.c.Layout).where(own).order_by(table.c.ValidFrom.desc()).limit(1)
    ).one_or_none()
    text = layout.as_text()
    if last is not None and last.Layout == text:
        return
    if last is not None and last.ValidFrom == since:
        connection.execute(update(table).where(own, table.c.ValidFrom == since).values(Layout=text))
    else:
        connection.execute(insert(table).values(Connector_Id=connector, ValidFrom=since, Layout=text))


def stored_layouts(connection: Connection, tables: Tables) -> dict[int, StorageLayout]:
    """Return the layouts that the catalogue of a repository tells, by connector."""
    types, items, associations = tables.entity_types, tables.entity_properties, tables.entity_associations
    found: dict[int, StorageLayout] = {}
    for connector in connection.scalars(select(tables.connectors.c.Id)).all():
        own = select(types.c.Id).where(types.c.Connector_Id == connector)
        indexes = select(items.c.Id, items.c.TargetColumnIndex).where(items.c.EntityType_Id.in_(own))
        columns = select(associations.c.Id, associations.c.Navigation1, associations.c.Navigation2)
        found[connector] = StorageLayout(
            {row.Id: row.TargetColumnIndex for row in connection.execute(indexes)},
            {
                row.Id: (row.Navigation1, row.Navigation2)
                for row in connection.execute(columns.where(associations.c.Connector_Id == connector))
            },
        )
    return found
