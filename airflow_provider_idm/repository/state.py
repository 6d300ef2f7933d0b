"""Where a connector stands: its revision, the batches that were processed, what ran."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from airflow_provider_idm.repository.catalogue import connector_id
from airflow_provider_idm.repository.schema import Tables

APPLIED: Final = "applied"
CANCELLED: Final = "cancelled"
REJECTED: Final = "rejected"
RUNNING: Final = "running"
"""State of a task instance that has not ended."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that the repository is done with.

    :param state: ``applied``, ``cancelled`` or ``rejected``.
    :param finished_at: when it was applied or cancelled (UTC).
    :param result: what applying it did, as the synchronization reported it.
    :param task_instance: the task instance that did it.
    """

    batch: str
    state: str
    mode: str
    effective_date: datetime
    finished_at: datetime
    replaced_by: str | None
    result: Mapping[str, Any] | None
    task_instance: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """What decides whether the next batch may be applied.

    :param fingerprint: of the mappings that the last batch was made with.
    """

    revision: int
    last_batch: str | None
    last_effective_date: datetime | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """What ``idm status`` tells of a connector, as far as the repository knows it."""

    connector: str
    state: str
    last_batch: str | None = None
    last_effective_date: datetime | None = None
    resources: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)
    batches: tuple[BatchRecord, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "connector": self.connector,
            "state": self.state,
            "last_batch": self.last_batch,
            "last_effective_date": self.last_effective_date.isoformat() if self.last_effective_date else None,
            "resources": dict(self.resources),
            "links": dict(self.links),
            "batches": [
                {
                    "id": b.batch,
                    "state": b.state,
                    "mode": b.mode,
                    "effective_date": b.effective_date.isoformat(),
                    "finished_at": b.finished_at.isoformat(),
                    "replaced_by": b.replaced_by,
                    "result": b.result,
                }
                for b in self.batches
            ],
        }


def read_state(connection: Connection, tables: Tables, connector: int) -> ConnectorState:
    """Return a registered connector's state."""
    table = tables.connector_states
    row = connection.execute(select(table).where(table.c.Connector_Id == connector)).one()
    return ConnectorState(row.Revision, row.LastBatch_Id, row.LastEffectiveDate, row.Fingerprint)


def read_batches(connection: Connection, tables: Tables, connector: int) -> dict[str, BatchRecord]:
    """Return every batch of a connector that the repository is done with, by id."""
    table = tables.batches
    return {
        row.Id: BatchRecord(
            row.Id,
            row.State,
            row.Mode,
            row.EffectiveDate,
            row.FinishedAt,
            row.ReplacedBy,
            json.loads(row.Result) if row.Result else None,
            row.TaskInstance_Id,
        )
        for row in connection.execute(
            select(table).where(table.c.Connector_Id == connector).order_by(table.c.FinishedAt, table.c.Id)
        )
    }


def read_status(connection: Connection, tables: Tables, connector: str) -> ConnectorStatus:
    """Return a connector's status; a connector that nothing was stored for has an empty one."""
    number = connector_id(connection, tables, connector)
    if number is None:
        return ConnectorStatus(connector, "empty")
    state = read_state(connection, tables, number)
    types, associations = tables.entity_types, tables.entity_associations
    return ConnectorStatus(
        connector=connector,
        state="ready" if state.last_batch else "empty",
        last_batch=state.last_batch,
        last_effective_date=state.last_effective_date,
        resources={
            r.Identifier: r.Resources
            for r in connection.execute(
                select(types).where(types.c.Connector_Id == number).order_by(types.c.Id)
            )
        },
        links={
            r.Identifier: r.Links
            for r in connection.execute(
                select(associations).where(associations.c.Connector_Id == number).order_by(associations.c.Id)
            )
        },
        batches=tuple(read_batches(connection, tables, number).values()),
    )


def start_task(
    connection: Connection,
    tables: Tables,
    *,
    job: str,
    run: str,
    task: str,
    map_index: int,
    connector: int,
    at: datetime,
) -> tuple[int, int]:
    """Record that a task runs; return the ids of its job instance and task instance."""
    jobs = tables.job_instances
    own = (jobs.c.Job == job, jobs.c.Run == run)
    if connection.scalar(select(jobs.c.Id).where(*own)) is None:
        # Tasks of one run begin side by side: whoever comes second finds the first one's row.
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(make(jobs).values(Job=job, Run=run, StartedAt=at).on_conflict_do_nothing())
    job_instance = connection.execute(select(jobs.c.Id).where(*own)).scalar_one()
    instances = tables.task_instances
    task_instance = connection.execute(
        insert(instances)
        .values(
            JobInstance_Id=job_instance,
            Task=task,
            MapIndex=map_index,
            Connector_Id=connector,
            State=RUNNING,
            StartedAt=at,
        )
        .returning(instances.c.Id)
    ).scalar_one()
    return int(job_instance), int(task_instance)


def end_task(connection: Connection, tables: Tables, task_instance: int, **values: Any) -> None:
    """Record how a task ended; one that has ended already stays as it is."""
    table = tables.task_instances
    running = (table.c.Id == task_instance, table.c.State == RUNNING)
    connection.execute(update(table).where(*running).values(**values))


def read_origin(
    connection: Connection, tables: Tables, task_instance: int
) -> tuple[str, str, str, int] | None:
    """Return the job, run, task and map index of a task instance."""
    table, jobs = tables.task_instances, tables.job_instances
    row = connection.execute(
        select(jobs.c.Job, jobs.c.Run, table.c.Task, table.c.MapIndex)
        .select_from(table.join(jobs, jobs.c.Id == table.c.JobInstance_Id))
        .where(table.c.Id == task_instance)
    ).one_or_none()
    return (row.Job, row.Run, row.Task, row.MapIndex) if row else None


def abandon_tasks(connection: Connection, tables: Tables, connector: int, at: datetime) -> None:
    """Record as failed what still stands as running of a connector; call it while holding the connector's lock."""
    table = tables.task_instances
    connection.execute(
        update(table)
        .where(table.c.Connector_Id == connector, table.c.State == RUNNING)
        .values(State="error", EndedAt=at, Message="the process ended without a word")
    )
