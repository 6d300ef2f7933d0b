"""SynchronizeTask: process a connector's pending batches, each in a transaction of its own."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_idm.errors import (
    ExchangeError,
    IdmError,
    SynchronizeError,
)
from airflow_provider_idm.repository.state import (
    APPLIED,
    CANCELLED,
    READY,
    BatchRecord,
    ConnectorState,
    abandon_tasks,
    end_task,
    read_origin,
    read_state_of,
    start_task,
)
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, folder_name
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.batch import BatchRun
from airflow_provider_idm.synchronization.synchronize.block import read_block
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.notices import Notices
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    check_type,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.record import Approval
from airflow_provider_idm.synchronization.synchronize.request import PLAN, SynchronizeRequest, recall_options
from airflow_provider_idm.synchronization.synchronize.result import BLOCKED, NOTHING, SynchronizeResult
from airflow_provider_idm.synchronization.synchronize.standing import (
    Standing,
    count_resources,
    read_standing,
)

log = logging.getLogger(__name__)

_RUN = "run-"
_LONGEST_PLAN = 24 * 3600
"""Seconds after which a plan's folder was left by one that was killed."""
ERROR = "error"
"""State of a task instance whose batch was not applied."""


def synchronize(request: SynchronizeRequest) -> SynchronizeResult:
    """Process the pending batches of a connector up to its own, and stop at the first that fails.

    Each batch is applied in one transaction, or not at all. A batch that was applied before is not applied again: the
    result then tells what it did. One that exceeds a threshold is not applied either: the connector is then blocked
    until somebody resumes or rejects it (see ``decide``), or a later Complete takes its place.

    :return: the counts of all batches processed; its state says whether the last one is blocked.
    :raises BatchCancelledError: if its own batch was replaced by a later Complete.
    :raises BatchRejectedError: if its own batch was rejected.
    :raises SynchronizeError: if a batch cannot be applied as it is.
    :raises ConnectorBlockedError: if it is an Incremental, and what is blocked is gone from the exchange.
    :raises ExchangeError: if a batch is missing or was altered.
    :raises TransientError: if database or exchange do not answer, or another synchronization took too long.
    """
    return Run(request).synchronize()


@dataclass(frozen=True, slots=True)
class Ground:
    """What a connector's synchronization stands on while it holds the lock.

    :param manifests: of the batches that the repository is not done with, in queue order.
    """

    layout: Layout
    standing: Standing
    manifests: list[Manifest]


class Run:
    """One call that may change a connector's stored state."""

    def __init__(self, request: SynchronizeRequest) -> None:
        self.request = request
        self.repository = request.repository
        self.tables = request.repository.tables
        self.connector = request.mappings.connector.identifier
        self.channel: ConnectorExchange = request.exchange.channel(self.connector)
        self.notices = Notices(self.channel, request.origin)
        self._folder = request.work / folder_name(self.connector) / "Synchronize"

    @contextlib.contextmanager
    def locked(self, *, whole: bool = True) -> Iterator[Ground]:
        """Hold the connector's lock, tidy up what a crash left, and tell where the connector stands.

        :param whole: whether every pending batch must be readable; False leaves out those that are not.
        """
        request = self.request
        with self.repository.errors(), self.repository.lock(self.connector, request.lock_timeout):
            self.repository.mend_indexes()
            catalogue = self.repository.register(request.mappings)
            self._remove_leftovers()
            with self.repository.writing() as connection:
                abandon_tasks(connection, self.tables, catalogue.connector, datetime.now(UTC))
            standing = read_standing(self.repository, catalogue)
            batches, done = self.channel.batches(), standing.records
            manifests = batches.pending(done) if whole else batches.survey(done)[0]
            self.notices.make_up(batches, done, standing.state)
            yield Ground(lay_out(request.mappings, catalogue), standing, manifests)

    # -------------------------------------------------------------------------------------------------- queue

    def synchronize(self) -> SynchronizeResult:
        """Process the pending batches; see the function of that name."""
        own = self._own_manifest()
        with self.locked() as ground:
            standing = ground.standing
            if own and (record := standing.records.get(own.batch)):
                check_not_finished(record, self.connector)
                log.info("batch %s was applied at %s; nothing to do", own.batch, record.finished_at)
                result = SynchronizeResult.from_dict(record.result or {}, already_applied=True)
                return replace(result, by_this_task=self._applied_it(record))
            steps = plan_queue(
                ground.manifests,
                standing.records,
                standing.state,
                fingerprint=self.request.mappings.fingerprint,
                stored=count_resources(self.repository, ground.layout.catalogue, standing),
                own=own,
            )
            return self._process_all(steps, ground, own)

    def _process_all(self, steps: list[Step], ground: Ground, own: Manifest | None) -> SynchronizeResult:
        result = SynchronizeResult(self.connector, NOTHING)
        newest = steps[-1].manifest.batch if steps else None
        for step in steps:
            batch = step.manifest.batch
            if own is not None and own.batch != batch == ground.standing.state.blocked_batch:
                done = self._still_blocked(step, ground)
            else:
                # Without a batch of its own the newest one counts as that.
                is_own = batch == (own.batch if own is not None else newest)
                done = self.process(step, ground.layout, is_own=is_own)
            result = done if result.state == NOTHING else result.followed_by(done)
            if done.state == BLOCKED:
                break
        return result

    def _still_blocked(self, step: Step, ground: Ground) -> SynchronizeResult:
        """Tell of a batch that awaits a decision, without comparing it again."""
        state = ground.standing.state
        with self.repository.reading() as connection:
            block = read_block(connection, self.tables, self.connector, state)
        if block is None:
            raise SynchronizeError(
                f"{self.connector} is blocked by batch {step.manifest.batch}, but not on record"
            )
        return block.result

    def _own_manifest(self) -> Manifest | None:
        if self.request.batch is None:
            return None
        manifest = self.channel.manifest(self.request.batch)
        if manifest.plan_only:
            raise SynchronizeError(
                f"batch {manifest.batch} of {self.connector} was made for a plan only (a dry run) and is never "
                "applied: prepare again without dry run"
            )
        check_type(manifest, self.request.type)
        return manifest

    def _applied_it(self, record: BatchRecord) -> bool:
        """Whether this very task applied its batch in an earlier try, which ended before it could tell."""
        origin = self.request.origin
        if not origin.run or record.task_instance is None:
            return False
        with self.repository.reading() as connection:
            return read_origin(connection, self.tables, record.task_instance) == (
                origin.job,
                origin.run,
                origin.task,
                origin.map_index,
            )

    # -------------------------------------------------------------------------------------------------- batch

    def process(
        self,
        step: Step,
        layout: Layout,
        *,
        is_own: bool,
        resumed: tuple[int, int] | None = None,
        approval: Approval | None = None,
    ) -> SynchronizeResult:
        """Process one batch.

        :param is_own: whether force and allow_backwards are meant for it.
        :param resumed: job instance and task instance of the blocked task that goes on; None begins a new one.
        """
        manifest, catalogue = step.manifest, layout.catalogue
        job_instance, task_instance = resumed or self._start_task(manifest, catalogue.connector)
        try:
            standing = read_standing(self.repository, catalogue)
            request = self.request
            if manifest.batch == standing.state.blocked_batch:
                # Who compares it again, to look at it, does not undo how it was asked for, nor what blocked it.
                request = recall_options(request, standing.state.options)
            check_applicable(
                manifest,
                standing.state,
                request.mappings,
                count_resources(self.repository, catalogue, standing),
                allow_backwards=request.allow_backwards and is_own,
            )
            with self._work_folder() as folder:
                batch = BatchRun(
                    request,
                    step,
                    layout,
                    standing,
                    folder,
                    job_instance,
                    task_instance,
                    forced=request.force and is_own,
                    approval=approval,
                )
                result, finished = batch.process()
        except ExchangeError as error:
            self._end_in_error(task_instance, manifest, error)
            if is_own:
                raise
            raise ExchangeError(
                f"{error}. No later batch of {self.connector} is applied before it: restore its folder in the "
                "exchange, or remove it to give the batch up, and run a Complete"
            ) from error
        except BaseException as error:
            self._end_in_error(task_instance, manifest, error)
            raise
        self._tell(step, result, finished, standing)
        return result

    def state(self) -> ConnectorState:
        """Read where the connector stands now."""
        with self.repository.reading() as connection:
            return read_state_of(connection, self.tables, self.connector)

    def _start_task(self, manifest: Manifest, connector: int) -> tuple[int, int]:
        origin = self.request.origin
        with self.repository.writing() as connection:
            return start_task(
                connection,
                self.tables,
                job=origin.job or "idm",
                run=origin.run or manifest.batch,
                task=origin.task or "synchronize",
                map_index=origin.map_index,
                connector=connector,
                at=datetime.now(UTC),
            )

    def _tell(self, step: Step, result: SynchronizeResult, finished: datetime, standing: Standing) -> None:
        """Note in the exchange what became of a batch and of those it took the place of."""
        batch = step.manifest.batch
        for outcome in result.batches:
            if outcome.state == CANCELLED:
                self.notices.finished(outcome.id, CANCELLED, finished, batch)
        if result.state != BLOCKED:
            self.notices.finished(batch, APPLIED, finished)
        if result.state == BLOCKED or standing.state.readiness != READY:
            self.notices.stands(self.state())

    def _end_in_error(self, task_instance: int, manifest: Manifest, error: BaseException) -> None:
        """Record that a task failed; whatever goes wrong with that is less than what went wrong before."""
        message = str(error) if isinstance(error, IdmError) else type(error).__name__
        with contextlib.suppress(Exception), self.repository.writing() as connection:
            end_task(
                connection,
                self.tables,
                task_instance,
                State=ERROR,
                EndedAt=datetime.now(UTC),
                Batch_Id=manifest.batch,
                Message=message,
            )

    def _remove_leftovers(self) -> None:
        """Remove what killed synchronizations and plans left: rows on their way are not to lie about.

        The lock is held, so no synchronization is at work; a plan, which holds none, may be for some time.
        """
        for left in self._folder.glob(f"{_RUN}*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self._folder.glob(f"{PLAN}*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _LONGEST_PLAN:
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _work_folder(self) -> Iterator[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_RUN, dir=self._folder, ignore_cleanup_errors=True) as name:
            yield Path(name)
