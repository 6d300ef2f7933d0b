"""What stands in the repository about a batch: the next revision, the numbers stored, batches done, the task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, update

from airflow_provider_idm.errors import ConcurrentChangeError
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.repository.state import APPLIED, CANCELLED, ConnectorState, end_task
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout
from airflow_provider_idm.synchronization.synchronize.queue import Step
from airflow_provider_idm.synchronization.synchronize.result import COMPLETED, WARNING, SynchronizeResult


@dataclass(frozen=True, slots=True)
class Record:
    """Writes the record of one batch, in the transaction that applies it."""

    connection: Connection
    tables: Tables
    layout: Layout
    step: Step
    task_instance: int

    def advance(self, state: ConnectorState, effective: datetime) -> None:
        """Take the next revision: fails if somebody else took it since the state was read."""
        table = self.tables.connector_states
        statement = (
            update(table)
            .where(
                table.c.Connector_Id == self.layout.catalogue.connector, table.c.Revision == state.revision
            )
            .values(
                Revision=state.revision + 1,
                LastBatch_Id=self.step.manifest.batch,
                LastEffectiveDate=effective,
                Fingerprint=self.step.manifest.fingerprint,
            )
        )
        if self.connection.execute(statement).rowcount != 1:
            raise ConcurrentChangeError(
                f"another synchronization of {self.step.manifest.connector} was applied while this one compared; "
                "nothing of this one was. Try again"
            )

    def finish(
        self, difference: Difference, result: SynchronizeResult, effective: datetime, now: datetime
    ) -> None:
        """Record the batch, those it cancels, the numbers stored and the task, in the transaction that applies it."""
        connection, tables, catalogue = self.connection, self.tables, self.layout.catalogue
        after = difference.counts_after()
        types, associations = tables.entity_types, tables.entity_associations
        for number, left in after.resources.items():
            connection.execute(update(types).where(types.c.Id == number).values(Resources=left))
        for number, left in after.links.items():
            connection.execute(update(associations).where(associations.c.Id == number).values(Links=left))
        for cancelled in self.step.cancels:
            self._batch(cancelled, CANCELLED, cancelled.effective_date, now, None)
        told = json.dumps(result.as_dict(), ensure_ascii=False)
        self._batch(self.step.manifest, APPLIED, effective, now, told)
        end_task(
            connection,
            tables,
            self.task_instance,
            State=WARNING if result.warnings else COMPLETED,
            EndedAt=now,
            Batch_Id=self.step.manifest.batch,
            Connector_Id=catalogue.connector,
            Counters=told,
        )

    def _batch(
        self, manifest: Manifest, state: str, effective: datetime, now: datetime, told: str | None
    ) -> None:
        self.connection.execute(
            insert(self.tables.batches).values(
                Id=manifest.batch,
                Connector_Id=self.layout.catalogue.connector,
                State=state,
                Mode=manifest.mode.name.capitalize(),
                EffectiveDate=effective,
                FinishedAt=now,
                TaskInstance_Id=self.task_instance,
                ReplacedBy=self.step.manifest.batch if state == CANCELLED else None,
                Result=told,
            )
        )
