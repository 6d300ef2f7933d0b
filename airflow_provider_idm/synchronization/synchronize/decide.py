"""What a person decides about a blocked batch: resume it, or reject it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import insert, select

from airflow_provider_idm.configuration.columns import SCALAR_LENGTH
from airflow_provider_idm.errors import ConcurrentChangeError, NotBlockedError
from airflow_provider_idm.repository.state import (
    BLOCKED,
    NEEDS_COMPLETE,
    REJECTED,
    ConnectorState,
    end_task,
    forget_block,
    write_state,
)
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.block import read_block
from airflow_provider_idm.synchronization.synchronize.queue import Step, check_not_finished, plan_queue
from airflow_provider_idm.synchronization.synchronize.record import Approval
from airflow_provider_idm.synchronization.synchronize.request import SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import BatchOutcome, SynchronizeResult
from airflow_provider_idm.synchronization.synchronize.run import Ground, Run
from airflow_provider_idm.synchronization.synchronize.standing import count_resources

log = logging.getLogger(__name__)


def resume(
    request: SynchronizeRequest,
    *,
    by: str,
    batch: str | None = None,
    change_set: str | None = None,
    at: datetime | None = None,
) -> SynchronizeResult:
    """Apply exactly the changes that were reviewed.

    The difference is built again. If it is the one that was reviewed, it is applied. If it is not, for somebody changed
    the repository meanwhile, it must keep the thresholds to be applied; otherwise it is blocked anew and its review is
    returned, to be decided about again.

    :param request: of which ``batch`` and ``force`` do not matter; how the blocked task was asked to apply its batch
        (orphans, change rows, backwards, rolling window) is remembered.
    :param by: who decides, for the record.
    :param batch: the batch that was reviewed; whatever is blocked by default. If it was applied meanwhile, that is told.
    :param change_set: hash of the changes that were reviewed; those last blocked by default.
    :param at: when it was decided (with a time zone), if that was earlier than now.
    :raises NotBlockedError: if there is nothing to decide.
    :raises BatchCancelledError: if a later Complete took the batch's place.
    :raises BatchRejectedError: if it was rejected.
    :raises ExchangeError: if the batch is missing or was altered; it stays blocked.
    :raises SynchronizeError: if it was prepared with other mappings than these; it stays blocked.
    """
    return _Decision(replace(request, batch=None, force=False)).resume(by, batch, change_set, at)


def reject(
    request: SynchronizeRequest,
    *,
    by: str,
    batch: str | None = None,
    message: str = "",
    at: datetime | None = None,
) -> BatchOutcome:
    """Discard the changes of the blocked batch; the connector then needs a Complete.

    :param by: who decides, for the record; ``message`` why.
    :param batch: the batch that was reviewed; whatever is blocked by default. One that was rejected already stays so.
    :param at: when it was decided (with a time zone), if that was earlier than now.
    :raises NotBlockedError: if there is nothing to decide, or the batch was applied meanwhile.
    :raises BatchCancelledError: if a later Complete took the batch's place.
    """
    return _Decision(replace(request, batch=None, force=False)).reject(by, batch, message, at)


class _Decision(Run):
    """One decision."""

    def resume(
        self, by: str, batch: str | None, change_set: str | None, at: datetime | None
    ) -> SynchronizeResult:
        with self.locked() as ground:
            state = ground.standing.state
            if batch is not None and (record := ground.standing.records.get(batch)):
                check_not_finished(record, self.connector)
                return SynchronizeResult.from_dict(record.result or {}, already_applied=True)
            blocked = self._blocked(state, batch)
            manifest = next((m for m in ground.manifests if m.batch == blocked), None)
            if manifest is None:
                manifest = self.channel.manifest(blocked)
            approval = Approval(change_set or state.change_set or "", by, at)
            return self.process(
                self._step(manifest, ground),
                ground.layout,
                is_own=True,
                resumed=self._task(state),
                approval=approval,
            )

    def reject(self, by: str, batch: str | None, message: str, at: datetime | None) -> BatchOutcome:
        with self.locked(whole=False) as ground:
            state = ground.standing.state
            if batch is not None and (record := ground.standing.records.get(batch)):
                if record.state == REJECTED:
                    return BatchOutcome(record.batch, record.mode, REJECTED)
                check_not_finished(record, self.connector)
                raise NotBlockedError(
                    f"batch {batch} of {self.connector} was applied at {record.finished_at:%Y-%m-%d %H:%M:%S} UTC: "
                    "it cannot be rejected any more"
                )
            self._blocked(state, batch)
            now = datetime.now(UTC)
            outcome = self._reject(ground, by, message, now, min(at or now, now))
            if any(m.batch == outcome.id for m in ground.manifests):
                self.notices.finished(outcome.id, REJECTED, now)
            self.notices.stands(self.state())
            log.info("batch %s of %s was rejected by %s", outcome.id, self.connector, by)
            return outcome

    # -------------------------------------------------------------------------------------------- internals

    def _blocked(self, state: ConnectorState, batch: str | None) -> str:
        if state.blocked_batch is None:
            raise NotBlockedError(f"{self.connector} is not blocked: there is nothing to decide")
        if batch not in {None, state.blocked_batch}:
            raise NotBlockedError(
                f"{self.connector} is blocked by batch {state.blocked_batch}, not by {batch}: decide about that one"
            )
        return state.blocked_batch

    def _step(self, manifest: Manifest, ground: Ground) -> Step:
        """Return the batch with those that it makes superfluous: it cancels them as it would have unasked."""
        standing = ground.standing
        steps = plan_queue(
            ground.manifests,
            standing.records,
            standing.state,
            fingerprint=self.request.mappings.fingerprint,
            stored=count_resources(self.repository, ground.layout.catalogue, standing),
            own=manifest,
        )
        return next((step for step in steps if step.manifest.batch == manifest.batch), Step(manifest))

    def _task(self, state: ConnectorState) -> tuple[int, int]:
        tasks = self.tables.task_instances
        with self.repository.reading() as connection:
            row = connection.execute(
                select(tasks.c.JobInstance_Id, tasks.c.Id).where(tasks.c.Id == state.task_instance)
            ).one()
        return int(row.JobInstance_Id), int(row.Id)

    def _reject(
        self, ground: Ground, by: str, message: str, now: datetime, decided_at: datetime
    ) -> BatchOutcome:
        """Discard the change rows, record the batch and that the connector needs a Complete, in one transaction."""
        state, tables, connector = ground.standing.state, self.tables, ground.layout.catalogue.connector
        with self.repository.writing() as connection:
            block = read_block(connection, tables, self.connector, state)
            if block is None:
                raise NotBlockedError(f"{self.connector} is not blocked: there is nothing to decide")
            outcome = replace(block.result.batches[-1], state=REJECTED)
            manifest = next((m for m in ground.manifests if m.batch == block.batch), None)
            at = decided_at.astimezone(UTC)
            told = f"batch {block.batch} was rejected by {by} at {at:%Y-%m-%d %H:%M:%S} UTC"
            told += f" ({message})" if message else ""
            decided = write_state(
                connection,
                tables,
                connector,
                state,
                Revision=state.revision + 1,
                State=NEEDS_COMPLETE,
                StateSince=now,
                StateTask_Id=None,
                ChangeSet=None,
                Options=None,
                Message=told,
            )
            if not decided:
                raise ConcurrentChangeError(f"{self.connector} changed while it was decided about; try again")
            forget_block(connection, tables, state, keep=state.task_instance)
            if state.task_instance is not None:
                end_task(
                    connection,
                    tables,
                    state.task_instance,
                    was=BLOCKED,
                    State=REJECTED,
                    EndedAt=now,
                    DecidedBy=by[:SCALAR_LENGTH],
                    DecidedAt=at,
                    Message=told,
                )
            connection.execute(
                insert(tables.batches).values(
                    Id=block.batch,
                    Connector_Id=connector,
                    State=REJECTED,
                    Mode=outcome.mode,
                    EffectiveDate=manifest.effective_date if manifest else now,
                    FinishedAt=now,
                    TaskInstance_Id=state.task_instance,
                )
            )
        return outcome
