"""Former versions: from when on they are whole, what reading before that means, and forgetting the oldest."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Connection, and_, case, delete, or_, select, union, update
from sqlalchemy import literal as sql_literal

from airflow_provider_idm.repository.schema import Moment, Tables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many former versions were deleted."""

    resources: int
    links: int
    files: int

    def as_dict(self) -> dict[str, int]:
        """Return it as JSON takes it."""
        return asdict(self)


def history_since(connection: Connection, tables: Tables, connector: int) -> datetime | None:
    """Return the date before which former versions of a connector are missing; None if none are."""
    states = tables.connector_states
    return connection.scalar(select(states.c.HistorySince).where(states.c.Connector_Id == connector))


def warn_if_incomplete(since: datetime | None, moment: datetime, connector: str) -> None:
    """Warn of a date of which only a part can be shown."""
    if since is not None and moment < since:
        log.warning(
            "the history of %s is whole from %s UTC on: of %s UTC only what had not changed by then, "
            "or was kept, is shown",
            connector,
            f"{since:%Y-%m-%d %H:%M:%S}",
            f"{moment:%Y-%m-%d %H:%M:%S}",
        )


def forget_history(connection: Connection, tables: Tables, before: datetime) -> Forgotten:
    """Delete the versions that had ended by a moment, of every connector, inside the caller's transaction.

    What was stored at that moment and later can be read as before; the state of each connector that lost any tells since
    when.

    :param before: a moment with its time zone.
    """
    concerned = list(connection.scalars(_connectors_with_versions(tables, before)))
    counts = {
        name: connection.execute(delete(table).where(table.c.ValidTo <= before)).rowcount
        for name, table in (
            ("resources", tables.resources_history),
            ("links", tables.resource_links_history),
            ("files", tables.resource_files_history),
        )
    }
    states = tables.connector_states.c
    # Of what comes after the last batch nothing can be missing.
    moment = sql_literal(before, Moment)
    since: Any = case((states.LastEffectiveDate < moment, states.LastEffectiveDate), else_=moment)
    later = or_(states.HistorySince.is_(None), states.HistorySince < since)
    own = and_(states.Connector_Id.in_(concerned), states.LastEffectiveDate.is_not(None))
    if concerned:
        connection.execute(update(tables.connector_states).where(own, later).values(HistorySince=since))
    return Forgotten(**counts)


def _connectors_with_versions(tables: Tables, before: datetime) -> CompoundSelect[Any]:
    """Return the query for the connectors that have versions which had ended by a moment."""
    resources, links, files = (
        tables.resources_history.c,
        tables.resource_links_history.c,
        tables.resource_files_history.c,
    )
    types, associations, items = (
        tables.entity_types.c,
        tables.entity_associations.c,
        tables.entity_properties.c,
    )
    of_files = select(items.EntityType_Id).where(
        items.Id.in_(select(files.Property_Id).where(files.ValidTo <= before))
    )
    return union(
        select(types.Connector_Id).where(
            types.Id.in_(select(resources.Type).where(resources.ValidTo <= before))
        ),
        select(associations.Connector_Id).where(
            associations.Id.in_(select(links.Type).where(links.ValidTo <= before))
        ),
        select(types.Connector_Id).where(types.Id.in_(of_files)),
    )
