"""Where properties and links were kept at which time: a configuration may give them other columns.

Former versions stay as they were written. Who reads them needs to know in which columns the properties were then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.repository.catalogue import Catalogue, stored_associations
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


def current_layout(
    connection: Connection, tables: Tables, mappings: ConnectorMappings, catalogue: Catalogue
) -> StorageLayout:
    """Return the layout that the mappings give; what has no mapping any more stays where it was."""
    mapped = {
        catalogue.property(entity_type.identifier, item.identifier): item.target_column_index
        for entity_type in mappings.metadata
        for item in entity_type.properties
    }
    links = {
        catalogue.association(a.identifier): (a.navigation1, a.navigation2) for a in mappings.associations
    }
    others = {a.id: (a.navigation1, a.navigation2) for a in catalogue.others}
    untouched = tables.entity_types.c.Id.not_in(list(catalogue.entity_types.values()))
    return StorageLayout(
        _stored_indexes(connection, tables, catalogue.connector, untouched) | mapped, others | links
    )


def stored_layout(connection: Connection, tables: Tables, connector: int) -> StorageLayout:
    """Return the layout that the catalogue of a repository tells."""
    columns = stored_associations(connection, tables, connector)
    return StorageLayout(
        _stored_indexes(connection, tables, connector),
        {a.id: (a.navigation1, a.navigation2) for a in columns},
    )


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


def _stored_indexes(
    connection: Connection, tables: Tables, connector: int, *where: ColumnElement[bool]
) -> dict[int, int]:
    types, items = tables.entity_types, tables.entity_properties
    own = select(types.c.Id).where(types.c.Connector_Id == connector, *where)
    rows = select(items.c.Id, items.c.TargetColumnIndex).where(items.c.EntityType_Id.in_(own))
    return {row.Id: row.TargetColumnIndex for row in connection.execute(rows)}
