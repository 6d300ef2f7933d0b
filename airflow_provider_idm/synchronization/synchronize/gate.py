"""The gate between difference and repository: which thresholds a batch exceeds, decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.configuration.model import RollingWindow
from airflow_provider_idm.repository.state import APPLIED
from airflow_provider_idm.synchronization.synchronize.difference import Difference, StoredCounts
from airflow_provider_idm.synchronization.synchronize.result import ExceededThreshold
from airflow_provider_idm.synchronization.synchronize.standing import Records
from airflow_provider_idm.synchronization.synchronize.thresholds import (
    ConnectorNumbers,
    Numbers,
    exceeded_thresholds,
)

_INITIAL = SynchronizationMode.INITIAL.name.capitalize()


def find_exceeded(
    difference: Difference,
    mappings: ConnectorMappings,
    counts: StoredCounts,
    *,
    rolling: RollingWindow | None = None,
    applied: Iterable[Mapping[str, Any]] = (),
) -> tuple[ExceededThreshold, ...]:
    """Return every threshold that a difference exceeds; none for an Initial.

    :param counts: what the repository says it holds of the connector, by entity type and association.
    :param applied: what counts for the rolling window, see ``applied_within``.
    """
    if difference.manifest.mode is SynchronizationMode.INITIAL:
        return ()
    layout = difference.layout
    entity_types = {
        e.mapped.identifier: Numbers(c.inserted, c.updated, c.deleted, difference.before_resources[e.type])
        for e in layout.entity_types
        for c in [difference.entity_types[e.mapped.identifier]]
    }
    associations = {
        a.mapped.identifier: Numbers(c.inserted, 0, c.deleted, difference.before_links[a.type])
        for a in layout.associations
        for c in [difference.associations[a.mapped.identifier]]
    }
    numbers = ConnectorNumbers(
        entity_types,
        associations,
        Numbers(stored=_others(counts.resources, difference.before_resources)),
        Numbers(deleted=sum(difference.lost_links.values()), stored=sum(difference.before_others.values())),
    )
    return exceeded_thresholds(mappings, numbers, rolling=rolling, applied=applied)


def applied_within(
    rolling: RollingWindow | None, records: Records, now: datetime | None = None
) -> list[Mapping[str, Any]]:
    """Return the results of what counts for a rolling window.

    Everything that was applied within it, except an Initial and what somebody answered for: after a person has resumed
    a large change, the next small one is not to be asked about again.

    :param records: of the connector's batches.
    :param now: the window's end (UTC).
    """
    if rolling is None:
        return []
    begin = (now or datetime.now(UTC)) - timedelta(days=rolling.days)
    return [
        result
        for r in records.since(begin)
        if r.state == APPLIED and not r.consent and r.mode != _INITIAL
        if (result := r.result)
    ]


def _others(counts: Mapping[int, int], mapped: Mapping[int, int]) -> int:
    """Add up what is stored of types without a mapping."""
    return sum(number for key, number in counts.items() if key not in mapped)
