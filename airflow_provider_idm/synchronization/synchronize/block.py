"""A connector whose batch awaits a decision: what is known of it without comparing anything."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.catalogue import connector_id
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.repository.state import (
    BatchRecord,
    ConnectorState,
    read_batches,
    read_origin,
    read_results_of,
    read_state_of,
)
from airflow_provider_idm.synchronization.exchange.manifest import Origin
from airflow_provider_idm.synchronization.synchronize.result import ExceededThreshold, SynchronizeResult


@dataclass(frozen=True, slots=True)
class Block:
    """What awaits a decision.

    :param since: when it was found (UTC).
    :param change_set: hash of the changes, which an approval is bound to.
    :param message: the thresholds exceeded, as a text.
    :param result: what the synchronization told: thresholds, and the counts of what it would change.
    :param origin: the task that found it.
    """

    connector: str
    batch: str
    since: datetime | None
    change_set: str
    message: str
    result: SynchronizeResult
    origin: Origin

    @property
    def thresholds(self) -> tuple[ExceededThreshold, ...]:
        """The thresholds exceeded."""
        return self.result.thresholds


def find_block(repository: Repository, connector: str) -> Block | None:
    """Return what awaits a decision for a connector, or None."""
    with repository.reading() as connection:
        tables = repository.tables
        return read_block(connection, tables, connector, read_state_of(connection, tables, connector))


def read_decision(repository: Repository, connector: str, batch: str) -> BatchRecord | None:
    """Return what became of a batch (applied, cancelled or rejected, when, by whom); None while it is pending."""
    with repository.reading() as connection:
        number = connector_id(connection, repository.tables, connector)
        if number is None:
            return None
        return read_batches(connection, repository.tables, number, batch).get(batch)


def applied_by(repository: Repository, connector: str, origin: Origin) -> tuple[SynchronizeResult, ...]:
    """Return what a task did in all of its tries, batch by batch, in the order in which they were applied."""
    if not origin.run:
        return ()
    with repository.reading() as connection:
        number = connector_id(connection, repository.tables, connector)
        if number is None:
            return ()
        own = (origin.job, origin.run, origin.task, origin.map_index)
        told = read_results_of(connection, repository.tables, number, own)
    results = (SynchronizeResult.from_dict(json.loads(text), already_applied=True) for text in told)
    return tuple(replace(result, by_this_task=True) for result in results)


def read_block(connection: Connection, tables: Tables, connector: str, state: ConnectorState) -> Block | None:
    """Return the block that a connector's state tells of, or None."""
    if state.blocked_batch is None:
        return None
    tasks = tables.task_instances
    told = connection.execute(select(tasks.c.Counters).where(tasks.c.Id == state.task_instance)).scalar_one()
    result = SynchronizeResult.from_dict(json.loads(str(told)), already_applied=False)
    return Block(
        connector=connector,
        batch=state.blocked_batch,
        since=state.since,
        change_set=state.change_set or "",
        message=state.message,
        result=replace(result, blocked_by=state.blocked_batch),
        origin=_origin(connection, tables, state.task_instance),
    )


def _origin(connection: Connection, tables: Tables, task_instance: int | None) -> Origin:
    found = read_origin(connection, tables, task_instance) if task_instance is not None else None
    if found is None:
        return Origin()
    job, run, task, map_index = found
    return Origin(job=job, run=run, task=task, map_index=map_index)
