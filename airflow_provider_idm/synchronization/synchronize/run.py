"""SynchronizeTask: process a connector's pending batches, each in a transaction of its own."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_idm.errors import (
    ExchangeError,
    ExchangeUnavailableError,
    IdmError,
    SynchronizeError,
)
from airflow_provider_idm.repository.state import (
    APPLIED,
    CANCELLED,
    BatchRecord,
    abandon_tasks,
    end_task,
    read_origin,
    start_task,
)
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, folder_name
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.batch import BatchRun
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    check_type,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.request import SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import NOTHING, SynchronizeResult
from airflow_provider_idm.synchronization.synchronize.standing import count_resources, read_standing

log = logging.getLogger(__name__)

_RUN = "run-"
ERROR = "error"
"""State of a task instance whose batch was not applied."""


def synchronize(request: SynchronizeRequest) -> SynchronizeResult:
    """Process the pending batches of a connector up to its own, and stop at the first that fails.

    Each batch is applied in one transaction, or not at all. A batch that was applied before is not applied again: the
    result then tells what it did.

    :return: the counts of all batches processed.
    :raises BatchCancelledError: if its own batch was replaced by a later Complete.
    :raises SynchronizeError: if a batch cannot be applied as it is.
    :raises ExchangeError: if a batch is missing or was altered.
    :raises TransientError: if database or exchange do not answer, or another synchronization took too long.
    """
    return _Run(request).synchronize()


class _Run:
    """One call of ``synchronize``."""

    def __init__(self, request: SynchronizeRequest) -> None:
        self._request = request
        self._repository = request.repository
        self._tables = request.repository.tables
        self._connector = request.mappings.connector.identifier
        self._channel: ConnectorExchange = request.exchange.channel(self._connector)
        self._folder = request.work / folder_name(self._connector) / "Synchronize"

    def synchronize(self) -> SynchronizeResult:
        request = self._request
        own = self._own_manifest()
        with self._repository.errors(), self._repository.lock(self._connector, request.lock_timeout):
            catalogue = self._repository.register(request.mappings)
            layout = lay_out(request.mappings, catalogue)
            self._remove_leftovers()
            with self._repository.writing() as connection:
                abandon_tasks(connection, self._tables, catalogue.connector, datetime.now(UTC))
            standing = read_standing(self._repository, catalogue)
            manifests = self._channel.manifests()
            self._publish_marks(manifests, standing.records)
            if own and (record := standing.records.get(own.batch)):
                check_not_finished(record, self._connector)
                log.info("batch %s was applied at %s; nothing to do", own.batch, record.finished_at)
                result = SynchronizeResult.from_dict(record.result or {}, already_applied=True)
                return replace(result, by_this_task=self._applied_it(record))
            steps = plan_queue(
                manifests,
                standing.records,
                standing.state,
                fingerprint=request.mappings.fingerprint,
                stored=count_resources(self._repository, catalogue, standing),
                own=own,
            )
            return self._process_all(steps, layout, own)

    def _applied_it(self, record: BatchRecord) -> bool:
        """Whether this very task applied its batch in an earlier try, which ended before it could tell."""
        origin = self._request.origin
        if not origin.run or record.task_instance is None:
            return False
        with self._repository.reading() as connection:
            return read_origin(connection, self._tables, record.task_instance) == (
                origin.job,
                origin.run,
                origin.task,
                origin.map_index,
            )

    # -------------------------------------------------------------------------------------------------- queue

    def _own_manifest(self) -> Manifest | None:
        if self._request.batch is None:
            return None
        manifest = self._channel.manifest(self._request.batch)
        if manifest.plan_only:
            raise SynchronizeError(
                f"batch {manifest.batch} of {self._connector} was made for a plan only (a dry run) and is never "
                "applied: prepare again without dry run"
            )
        check_type(manifest, self._request.type)
        return manifest

    def _process_all(self, steps: list[Step], layout: Layout, own: Manifest | None) -> SynchronizeResult:
        result: SynchronizeResult | None = None
        for step in steps:
            done = self._process(step, layout, is_own=own is not None and step.manifest.batch == own.batch)
            result = result.followed_by(done) if result else done
        if result is None:
            return SynchronizeResult(self._connector, NOTHING)
        return result

    def _publish_marks(self, manifests: list[Manifest], records: dict[str, BatchRecord]) -> None:
        """Note in the exchange what a crash between commit and note left out."""
        noted = self._channel.finished()
        for manifest in manifests:
            record = records.get(manifest.batch)
            if record and manifest.batch not in noted:
                self._mark(record.batch, record.state, record.finished_at, record.replaced_by)

    def _mark(self, batch: str, state: str, at: datetime, replaced_by: str | None = None) -> None:
        """Note in the exchange that a batch is done; the repository decides, so a failure here is no error."""
        try:
            self._channel.mark_finished(batch, state, at, replaced_by, self._request.origin)  # type: ignore[arg-type]
        except (ExchangeError, ExchangeUnavailableError) as error:
            log.warning(
                "batch %s is %s, but that could not be noted in the exchange: %s", batch, state, error
            )

    # -------------------------------------------------------------------------------------------------- batch

    def _process(self, step: Step, layout: Layout, *, is_own: bool) -> SynchronizeResult:
        manifest, catalogue = step.manifest, layout.catalogue
        started = datetime.now(UTC)
        origin = self._request.origin
        with self._repository.writing() as connection:
            job_instance, task_instance = start_task(
                connection,
                self._tables,
                job=origin.job or "idm",
                run=origin.run or manifest.batch,
                task=origin.task or "synchronize",
                map_index=origin.map_index,
                connector=catalogue.connector,
                at=started,
            )
        try:
            standing = read_standing(self._repository, catalogue)
            check_applicable(
                manifest,
                standing.state,
                self._request.mappings,
                count_resources(self._repository, catalogue, standing),
                allow_backwards=self._request.allow_backwards and is_own,
            )
            with self._work_folder() as folder:
                batch = BatchRun(self._request, step, layout, standing, folder, job_instance, task_instance)
                result, finished = batch.process()
        except ExchangeError as error:
            self._end_in_error(task_instance, manifest, error)
            if is_own:
                raise
            raise ExchangeError(
                f"{error}. No later batch of {self._connector} is applied before it: restore its folder in the "
                "exchange, or remove it to give the batch up, and run a Complete"
            ) from error
        except BaseException as error:
            self._end_in_error(task_instance, manifest, error)
            raise
        for cancelled in step.cancels:
            self._mark(cancelled.batch, CANCELLED, finished, manifest.batch)
        self._mark(manifest.batch, APPLIED, finished)
        return result

    def _end_in_error(self, task_instance: int, manifest: Manifest, error: BaseException) -> None:
        """Record that a task failed; whatever goes wrong with that is less than what went wrong before."""
        message = str(error) if isinstance(error, IdmError) else type(error).__name__
        with contextlib.suppress(Exception), self._repository.writing() as connection:
            end_task(
                connection,
                self._tables,
                task_instance,
                State=ERROR,
                EndedAt=datetime.now(UTC),
                Batch_Id=manifest.batch,
                Message=message,
            )

    def _remove_leftovers(self) -> None:
        """Remove what killed synchronizations left: rows on their way are not to lie about. The lock is held."""
        for left in self._folder.glob(f"{_RUN}*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _work_folder(self) -> Iterator[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_RUN, dir=self._folder, ignore_cleanup_errors=True) as name:
            yield Path(name)
