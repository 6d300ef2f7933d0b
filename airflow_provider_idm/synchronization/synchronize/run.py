"""SynchronizeTask: process a connector's pending batches, each in a transaction of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, update

from airflow_provider_idm.errors import (
    ConcurrentChangeError,
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
    start_task,
)
from airflow_provider_idm.synchronization.engine import open_engine
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, folder_name
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.apply import Applier
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRowGatherer, ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference, build_difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.reports import write_reports
from airflow_provider_idm.synchronization.synchronize.request import SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import BatchOutcome, SynchronizeResult
from airflow_provider_idm.synchronization.synchronize.staging import Stager
from airflow_provider_idm.synchronization.synchronize.standing import Standing, count_resources, read_standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

log = logging.getLogger(__name__)

COMPLETED = "completed"
WARNING = "warning"
ERROR = "error"
NOTHING = "nothing"


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
            with self._repository.writing() as connection:
                abandon_tasks(connection, self._tables, catalogue.connector, datetime.now(UTC))
            standing = read_standing(self._repository, catalogue)
            if own and (record := standing.records.get(own.batch)):
                check_not_finished(record, self._connector)
                log.info("batch %s was applied at %s; nothing to do", own.batch, record.finished_at)
                return SynchronizeResult.from_dict(record.result or {}, already_applied=True)
            manifests = self._channel.manifests()
            self._publish_marks(manifests, standing.records)
            steps = plan_queue(manifests, standing.records, standing.state, request.mappings.fingerprint, own)
            return self._process_all(steps, layout, own)

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
        wanted = self._request.type
        if wanted is not None and wanted is not manifest.type:
            raise SynchronizeError(
                f"batch {manifest.batch} of {self._connector} was prepared with Type {manifest.type.value}, this "
                f"synchronization has Type {wanted.value}: give both tasks the same Type"
            )
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
                batch = _Batch(self, step, layout, standing, folder, job_instance, task_instance)
                result, finished = batch.process()
        except BaseException as error:
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
            raise
        for cancelled in step.cancels:
            self._mark(cancelled.batch, CANCELLED, finished, manifest.batch)
        self._mark(manifest.batch, APPLIED, finished)
        return result

    @contextlib.contextmanager
    def _work_folder(self) -> Iterator[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._folder) as name:
            yield Path(name)


class _Batch:
    """One batch: compare, stage, apply."""

    def __init__(
        self,
        run: _Run,
        step: Step,
        layout: Layout,
        standing: Standing,
        folder: Path,
        job_instance: int,
        task_instance: int,
    ) -> None:
        self._run = run
        self._request = run._request  # noqa: SLF001 - the two are one thing in two parts
        self._step = step
        self._manifest = step.manifest
        self._layout = layout
        self._standing = standing
        self._folder = folder
        self._job_instance = job_instance
        self._task_instance = task_instance
        self._tables = self._request.repository.tables

    def process(self) -> tuple[SynchronizeResult, datetime]:
        """Apply the batch; return what it did and when it was committed."""
        request, manifest = self._request, self._manifest
        repository = request.repository
        files = request.exchange.channel(manifest.connector).fetch(manifest, self._folder)
        with (
            open_engine(self._folder, request.memory_limit) as duck,
            repository.session(duck, self._folder) as session,
        ):
            stored = Stored(session, self._tables)
            difference = build_difference(stored, self._layout, manifest, files, self._standing.counts)
            warnings = write_reports(difference, self._folder.parent, orphans=request.orphans)
            warnings += self._unmapped()
            result = self._result(difference, tuple(warnings))
            # The place of the gate: what is decided here is decided before anything is written.
            first_id = repository.allocate_ids(difference.inserted_ids) if difference.inserted_ids else 1
            now = datetime.now(UTC)
            effective = max(
                manifest.effective_date, self._standing.state.last_effective_date or manifest.effective_date
            )
            stager = Stager(
                session, self._tables, difference, first_id=first_id, effective_date=effective, now=now
            )
            staged = stager.stage()
            kept = []
            if request.do_not_delete_changes:
                gatherer = ChangeRowGatherer(
                    session, self._tables, stager.real, self._job_instance, self._task_instance
                )
                kept = gatherer.gather(ChangeRows(difference, stored), difference)
            with session.apply() as connection:
                self._advance(connection, effective)
                applier = Applier(session, connection, self._tables, effective_date=effective, now=now)
                applier.apply(staged, self._layout.catalogue.others)
                for rows, table in kept:
                    session.insert(connection, rows, table)
                self._finish(connection, difference, result, effective, now)
        if difference.inserted_ids > _MANY:
            repository.analyze()
        return result, now

    def _unmapped(self) -> list[str]:
        catalogue = self._layout.catalogue
        names = [*catalogue.unmapped_entity_types, *(a.identifier for a in catalogue.others)]
        return [f"{name} has no mapping any more: what is stored of it stays as it is" for name in names]

    def _result(self, difference: Difference, warnings: tuple[str, ...]) -> SynchronizeResult:
        manifest = self._manifest
        mode = manifest.mode.name.capitalize()
        return SynchronizeResult(
            connector=self._request.mappings.connector.identifier,
            state=COMPLETED,
            batches=(
                *(BatchOutcome(m.batch, m.mode.name.capitalize(), CANCELLED) for m in self._step.cancels),
                BatchOutcome(manifest.batch, mode, APPLIED),
            ),
            entity_types=difference.entity_types,
            associations=difference.associations,
            warnings=warnings,
        )

    def _advance(self, connection: Connection, effective: datetime) -> None:
        """Take the next revision: fails if somebody else took it since the state was read."""
        table, state = self._tables.connector_states, self._standing.state
        statement = (
            update(table)
            .where(
                table.c.Connector_Id == self._layout.catalogue.connector, table.c.Revision == state.revision
            )
            .values(
                Revision=state.revision + 1,
                LastBatch_Id=self._manifest.batch,
                LastEffectiveDate=effective,
                Fingerprint=self._manifest.fingerprint,
            )
        )
        if connection.execute(statement).rowcount != 1:
            raise ConcurrentChangeError(
                f"another synchronization of {self._manifest.connector} was applied while this one compared; "
                "nothing of this one was. Try again"
            )

    def _finish(
        self,
        connection: Connection,
        difference: Difference,
        result: SynchronizeResult,
        effective: datetime,
        now: datetime,
    ) -> None:
        """Record the batch, those it cancels, the numbers stored and the task, in the transaction that applies it."""
        tables, catalogue = self._tables, self._layout.catalogue
        for entity in self._layout.entity_types:
            counts = difference.entity_types[entity.mapped.identifier]
            left = difference.before_resources[entity.type] + counts.inserted - counts.deleted
            connection.execute(
                update(tables.entity_types)
                .where(tables.entity_types.c.Id == entity.type)
                .values(Resources=left)
            )
        for association in self._layout.associations:
            numbers = difference.associations[association.mapped.identifier]
            left = difference.before_links[association.type] + numbers.inserted - numbers.deleted
            table = tables.entity_associations
            connection.execute(update(table).where(table.c.Id == association.type).values(Links=left))
        for cancelled in self._step.cancels:
            self._record(connection, cancelled, CANCELLED, cancelled.effective_date, now, None)
        told = json.dumps(result.as_dict(), ensure_ascii=False)
        self._record(connection, self._manifest, APPLIED, effective, now, told)
        end_task(
            connection,
            tables,
            self._task_instance,
            State=WARNING if result.warnings else COMPLETED,
            EndedAt=now,
            Batch_Id=self._manifest.batch,
            Connector_Id=catalogue.connector,
            Counters=told,
        )

    def _record(
        self,
        connection: Connection,
        manifest: Manifest,
        state: str,
        effective: datetime,
        now: datetime,
        told: str | None,
    ) -> None:
        connection.execute(
            insert(self._tables.batches).values(
                Id=manifest.batch,
                Connector_Id=self._layout.catalogue.connector,
                State=state,
                Mode=manifest.mode.name.capitalize(),
                EffectiveDate=effective,
                FinishedAt=now,
                TaskInstance_Id=self._task_instance,
                ReplacedBy=self._manifest.batch if state == CANCELLED else None,
                Result=told,
            )
        )


_MANY = 10_000
"""Inserted resources after which the database's own statistics are brought up to date at once."""
