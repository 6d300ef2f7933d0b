"""Where a connector stands: its revision, the batches that were processed, what ran."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from airflow_provider_idm.repository.catalogue import connector_id
from airflow_provider_idm.repository.schema import Tables

APPLIED: Final = "applied"
CANCELLED: Final = "cancelled"
REJECTED: Final = "rejected"
"""States of a batch that the repository is done with."""
RUNNING: Final = "running"
"""State of a task instance that has not ended."""
READY: Final = "ready"
BLOCKED: Final = "blocked"
NEEDS_COMPLETE: Final = "needs_complete"
"""Whether a connector takes batches: ``blocked`` awaits a decision, ``needs_complete`` takes no Incrementals."""
FORCED: Final = "forced"
RESUMED: Final = "resumed"
"""Who answered for exceeding the thresholds: whoever forced the synchronization, or a person who reviewed it."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that the repository is done with.

    :param state: ``applied``, ``cancelled`` or ``rejected``.
    :param finished_at: when it was applied or cancelled (UTC).
    :param told: what applying it did, as JSON text: thousands of them are read for the few that matter.
    :param task_instance: the task instance that did it.
    :param consent: ``forced`` or ``resumed`` if it was applied although it exceeded the thresholds.
    :param decided_by: who resumed or rejected it, ``decided_at`` when (UTC).
    """

    batch: str
    state: str
    mode: str
    effective_date: datetime
    finished_at: datetime
    replaced_by: str | None
    told: str | None = field(repr=False)
    task_instance: int | None = None
    consent: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What applying it did, as the synchronization reported it."""
        return json.loads(self.told) if self.told else None


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """What decides whether the next batch may be applied.

    :param fingerprint: of the mappings that the last batch was made with.
    :param readiness: ``ready``, ``blocked`` or ``needs_complete``; ``since`` when (UTC), if it ever was another.
    :param batch: the batch that is blocked, or was rejected.
    :param task_instance: the task instance that keeps the change rows of what is blocked.
    :param change_set: hash of what is blocked.
    :param options: how the blocked task was asked to apply it.
    :param message: what a person should know of the state.
    """

    revision: int = 0
    last_batch: str | None = None
    last_effective_date: datetime | None = None
    fingerprint: str | None = None
    readiness: str = READY
    since: datetime | None = None
    batch: str | None = None
    task_instance: int | None = None
    change_set: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def blocked_batch(self) -> str | None:
        """The batch that awaits a decision, or None."""
        return self.batch if self.readiness == BLOCKED else None


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
    stands: ConnectorState = ConnectorState()
    thresholds: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "connector": self.connector,
            "state": self.state,
            "last_batch": self.last_batch,
            "last_effective_date": self.last_effective_date.isoformat() if self.last_effective_date else None,
            "since": self.stands.since.isoformat() if self.stands.since else None,
            "message": self.stands.message,
            "blocked": {
                "batch": self.stands.batch,
                "since": self.stands.since.isoformat() if self.stands.since else None,
                "change_set": self.stands.change_set,
                "thresholds": [dict(t) for t in self.thresholds],
            }
            if self.stands.blocked_batch
            else None,
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
                    "consent": b.consent,
                    "decided_by": b.decided_by,
                    "decided_at": b.decided_at.isoformat() if b.decided_at else None,
                    "result": b.result,
                }
                for b in self.batches
            ],
        }


def read_state(connection: Connection, tables: Tables, connector: int) -> ConnectorState:
    """Return a connector's state; that of one that was never registered is empty."""
    table = tables.connector_states
    row = connection.execute(select(table).where(table.c.Connector_Id == connector)).one_or_none()
    if row is None:
        return ConnectorState()
    return ConnectorState(
        revision=row.Revision,
        last_batch=row.LastBatch_Id,
        last_effective_date=row.LastEffectiveDate,
        fingerprint=row.Fingerprint,
        readiness=row.State,
        since=row.StateSince,
        batch=row.StateBatch_Id,
        task_instance=row.StateTask_Id,
        change_set=row.ChangeSet,
        options=json.loads(row.Options) if row.Options else {},
        message=row.Message or "",
    )


def read_state_of(connection: Connection, tables: Tables, connector: str) -> ConnectorState:
    """Return a connector's state by its identifier."""
    number = connector_id(connection, tables, connector)
    return ConnectorState() if number is None else read_state(connection, tables, number)


def write_state(
    connection: Connection, tables: Tables, connector: int, before: ConnectorState, **values: Any
) -> bool:
    """Write a connector's state by column; return False if somebody else wrote it since ``before``."""
    table = tables.connector_states
    own = (table.c.Connector_Id == connector, table.c.Revision == before.revision)
    return connection.execute(update(table).where(*own).values(**values)).rowcount == 1


def forget_block(
    connection: Connection, tables: Tables, before: ConnectorState, *, keep: int | None = None, **values: Any
) -> None:
    """Delete the change rows of what was blocked, and write to its task instance how it ended.

    :param keep: the task instance that goes on with it itself: it is not written to.
    :param values: columns of ``UJ_TaskInstances``.
    """
    task_instance = before.task_instance
    if task_instance is None:
        return
    for table in (tables.resource_changes, tables.resource_link_changes, tables.resource_file_changes):
        connection.execute(delete(table).where(table.c.TaskInstance_Id == task_instance))
    if task_instance != keep:
        end_task(connection, tables, task_instance, was=BLOCKED, **values)


def read_batch_ids(connection: Connection, tables: Tables, connector: int) -> frozenset[str]:
    """Return the ids of all batches of a connector that the repository is done with."""
    table = tables.batches
    return frozenset(connection.scalars(select(table.c.Id).where(table.c.Connector_Id == connector)))


def read_batches(
    connection: Connection,
    tables: Tables,
    connector: int,
    batch: str | None = None,
    since: datetime | None = None,
) -> dict[str, BatchRecord]:
    """Return every batch of a connector that the repository is done with, by id.

    :param batch: this one alone, if it is among them.
    :param since: only those that were finished after this moment (UTC).
    """
    table, tasks = tables.batches, tables.task_instances
    wanted = [table.c.Connector_Id == connector]
    if batch is not None:
        wanted.append(table.c.Id == batch)
    if since is not None:
        wanted.append(table.c.FinishedAt > since)
    found = (
        select(table, tasks.c.DecidedBy, tasks.c.DecidedAt)
        .select_from(table.outerjoin(tasks, tasks.c.Id == table.c.TaskInstance_Id))
        .where(*wanted)
        .order_by(table.c.FinishedAt, table.c.Id)
    )
    return {
        row.Id: BatchRecord(
            row.Id,
            row.State,
            row.Mode,
            row.EffectiveDate,
            row.FinishedAt,
            row.ReplacedBy,
            row.Result,
            row.TaskInstance_Id,
            row.Consent,
            row.DecidedBy if row.State != CANCELLED else None,
            row.DecidedAt if row.State != CANCELLED else None,
        )
        for row in connection.execute(found)
    }


def read_status(connection: Connection, tables: Tables, connector: str) -> ConnectorStatus:
    """Return a connector's status; a connector that nothing was stored for has an empty one."""
    number = connector_id(connection, tables, connector)
    if number is None:
        return ConnectorStatus(connector, "empty")
    state = read_state(connection, tables, number)
    types, associations = tables.entity_types, tables.entity_associations
    readiness = "empty" if state.readiness == READY and not state.last_batch else state.readiness
    return ConnectorStatus(
        connector=connector,
        state=readiness,
        stands=state,
        thresholds=_thresholds(connection, tables, state),
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


def _thresholds(
    connection: Connection, tables: Tables, state: ConnectorState
) -> tuple[Mapping[str, Any], ...]:
    tasks = tables.task_instances
    if state.blocked_batch is None:
        return ()
    text = connection.scalar(select(tasks.c.ThresholdsExceeded).where(tasks.c.Id == state.task_instance))
    return tuple(json.loads(text)) if text else ()


def end_task(
    connection: Connection, tables: Tables, task_instance: int, *, was: str = RUNNING, **values: Any
) -> None:
    """Record how a task ended; one that is not in the state ``was`` stays as it is."""
    table = tables.task_instances
    own = (table.c.Id == task_instance, table.c.State == was)
    connection.execute(update(table).where(*own).values(**values))


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


def read_results_of(
    connection: Connection, tables: Tables, connector: int, origin: tuple[str, str, str, int]
) -> list[str]:
    """Return what applying each of the batches did that one task applied, whichever try it was, as JSON texts in order.

    :param origin: job, run, task and map index.
    """
    batches, tasks, jobs = tables.batches, tables.task_instances, tables.job_instances
    job, run, task, map_index = origin
    found = (
        select(batches.c.Result)
        .select_from(
            jobs.join(tasks, tasks.c.JobInstance_Id == jobs.c.Id).join(
                batches, batches.c.TaskInstance_Id == tasks.c.Id
            )
        )
        .where(jobs.c.Job == job, jobs.c.Run == run, tasks.c.Task == task, tasks.c.MapIndex == map_index)
        .where(batches.c.Connector_Id == connector, batches.c.State == APPLIED, batches.c.Result.is_not(None))
        .order_by(batches.c.FinishedAt, batches.c.Id)
    )
    return [str(text) for text in connection.scalars(found)]


def abandon_tasks(connection: Connection, tables: Tables, connector: int, at: datetime) -> None:
    """Record as failed what still stands as running of a connector; call it while holding the connector's lock."""
    table = tables.task_instances
    connection.execute(
        update(table)
        .where(table.c.Connector_Id == connector, table.c.State == RUNNING)
        .values(State="error", EndedAt=at, Message="the process ended without a word")
    )
