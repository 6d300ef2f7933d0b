"""Former versions: from when on they are whole, what reading before that means, and forgetting the oldest."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, or_, select, update
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

    What was stored at that moment and later can be read as before; each connector's state tells since when.

    :param before: a moment with its time zone.
    """
    counts: dict[str, int] = {}
    for name, table in (
        ("resources", tables.resources_history),
        ("links", tables.resource_links_history),
        ("files", tables.resource_files_history),
    ):
        counts[name] = connection.execute(delete(table).where(table.c.ValidTo <= before)).rowcount
    states = tables.connector_states.c
    # Of what comes after the last batch nothing can be missing.
    moment = sql_literal(before, Moment)
    since: Any = case((states.LastEffectiveDate < moment, states.LastEffectiveDate), else_=moment)
    later = or_(states.HistorySince.is_(None), states.HistorySince < since)
    begun = states.LastEffectiveDate.is_not(None)
    if any(counts.values()):
        connection.execute(update(tables.connector_states).where(begun, later).values(HistorySince=since))
    return Forgotten(**counts)
