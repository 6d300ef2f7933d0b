"""What stands in the repository about a batch: the next revision, the numbers stored, batches done, the task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, update

from airflow_provider_idm.configuration.columns import SCALAR_LENGTH
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.errors import ConcurrentChangeError
from airflow_provider_idm.repository.catalogue import release_columns
from airflow_provider_idm.repository.layouts import current_layout, keep_layout
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.repository.state import (
    APPLIED,
    BLOCKED,
    CANCELLED,
    READY,
    RUNNING,
    ConnectorState,
    end_task,
    forget_block,
    write_state,
)
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout
from airflow_provider_idm.synchronization.synchronize.queue import Step
from airflow_provider_idm.synchronization.synchronize.result import COMPLETED, WARNING, SynchronizeResult

_NO_BLOCK: Final = {"StateTask_Id": None, "ChangeSet": None, "Options": None}


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's consent to what was reviewed.

    :param change_set: hash of the changes that were reviewed.
    :param by: who decided; ``at`` when, if that was before it is applied.
    """

    change_set: str
    by: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Writes the record of one batch, in the transaction that applies it or finds it blocked.

    :param state: where the connector stood when the batch was compared.
    :param task_instance: that processes the batch; the blocked one itself if a person resumed it.
    """

    connection: Connection
    tables: Tables
    layout: Layout
    step: Step
    state: ConnectorState
    task_instance: int

    @property
    def _connector(self) -> int:
        return self.layout.catalogue.connector

    @property
    def _resumes(self) -> bool:
        return self.task_instance == self.state.task_instance

    def advance(self, effective: datetime, now: datetime, *, loses_history: bool = False) -> None:
        """Take the next revision: fails if somebody else took it since the state was read.

        A Complete or Initial ends every block, and the need of a Complete; else only the blocked batch itself does.

        :param loses_history: whether former versions go that are not kept: history then begins anew.
        """
        manifest = self.step.manifest
        values: dict[str, Any] = {
            "Revision": self.state.revision + 1,
            "LastBatch_Id": manifest.batch,
            "LastEffectiveDate": effective,
            "Fingerprint": manifest.fingerprint,
        }
        if loses_history:
            values["HistorySince"] = effective
        ends = (
            manifest.mode is not SynchronizationMode.INCREMENTAL or manifest.batch == self.state.blocked_batch
        )
        if self.state.readiness != READY and ends:
            values |= _NO_BLOCK | {"State": READY, "StateSince": now, "StateBatch_Id": None, "Message": None}
            self._forget(now)
        self._write(values)

    def keep_layout(self, mappings: ConnectorMappings, effective: datetime) -> None:
        """Note in which columns values are from now on, for those who read former versions."""
        layout = current_layout(self.connection, self.tables, mappings, self.layout.catalogue)
        keep_layout(self.connection, self.tables, self._connector, layout, effective)
        release_columns(self.connection, self.tables, self.layout.catalogue)

    def finish(
        self,
        difference: Difference,
        result: SynchronizeResult,
        effective: datetime,
        now: datetime,
        *,
        consent: str | None = None,
        approval: Approval | None = None,
    ) -> None:
        """Record the batch, those it cancels, the numbers stored and the task, in the transaction that applies it."""
        connection, tables = self.connection, self.tables
        after = difference.counts_after()
        types, associations = tables.entity_types, tables.entity_associations
        for number, left in after.resources.items():
            connection.execute(update(types).where(types.c.Id == number).values(Resources=left))
        for number, left in after.links.items():
            connection.execute(update(associations).where(associations.c.Id == number).values(Links=left))
        for cancelled in self.step.cancels:
            self._batch(cancelled, CANCELLED, cancelled.effective_date, now)
        told = json.dumps(result.as_dict(), ensure_ascii=False)
        self._batch(self.step.manifest, APPLIED, effective, now, Result=told, Consent=consent)
        self._end_task(WARNING if result.warnings else COMPLETED, told, now, approval)

    def block(
        self,
        result: SynchronizeResult,
        change_set: str,
        options: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """Record that the batch awaits a decision; the former block, if there is one, passes to it."""
        manifest = self.step.manifest
        again = manifest.batch == self.state.blocked_batch
        self._forget(now)
        for replaced in self.step.cancels:
            if replaced.batch == self.state.blocked_batch:
                self._batch(replaced, CANCELLED, replaced.effective_date, now)
        thresholds = [asdict(t) for t in result.thresholds]
        self._write(
            {
                "Revision": self.state.revision + 1,
                "State": BLOCKED,
                "StateSince": self.state.since if again else now,
                "StateBatch_Id": manifest.batch,
                "StateTask_Id": self.task_instance,
                "ChangeSet": change_set,
                "Options": json.dumps(dict(options)),
                "Message": "; ".join(t.as_text() for t in result.thresholds),
            }
        )
        told = json.dumps(result.as_dict(), ensure_ascii=False)
        exceeded = {"ThresholdsExceeded": json.dumps(thresholds, ensure_ascii=False)}
        self._end_task(BLOCKED, told, now, None, **exceeded)

    # -------------------------------------------------------------------------------------------- internals

    def _write(self, values: Mapping[str, Any]) -> None:
        if not write_state(self.connection, self.tables, self._connector, self.state, **values):
            raise ConcurrentChangeError(
                f"another synchronization of {self.step.manifest.connector} was applied while this one compared; "
                "nothing of this one was. Try again"
            )

    def _forget(self, now: datetime) -> None:
        batch = self.step.manifest.batch
        what = "compared again" if batch == self.state.blocked_batch else f"replaced by batch {batch}"
        forget_block(
            self.connection,
            self.tables,
            self.state,
            keep=self.task_instance,
            State=CANCELLED,
            EndedAt=now,
            Message=what,
        )

    def _end_task(
        self, state: str, told: str, now: datetime, approval: Approval | None, **values: Any
    ) -> None:
        if approval is not None:
            decided_at = min(approval.at or now, now)
            values |= {"DecidedBy": approval.by[:SCALAR_LENGTH], "DecidedAt": decided_at}
        end_task(
            self.connection,
            self.tables,
            self.task_instance,
            was=BLOCKED if self._resumes else RUNNING,
            State=state,
            EndedAt=now,
            Batch_Id=self.step.manifest.batch,
            Connector_Id=self._connector,
            Counters=told,
            **values,
        )

    def _batch(
        self, manifest: Manifest, state: str, effective: datetime, now: datetime, **values: Any
    ) -> None:
        self.connection.execute(
            insert(self.tables.batches).values(
                Id=manifest.batch,
                Connector_Id=self._connector,
                State=state,
                Mode=manifest.mode.name.capitalize(),
                EffectiveDate=effective,
                FinishedAt=now,
                TaskInstance_Id=self.task_instance,
                ReplacedBy=self.step.manifest.batch if state == CANCELLED else None,
                **values,
            )
        )
