"""One batch: compare, stage, apply."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Table

from airflow_provider_idm.engine import open_engine
from airflow_provider_idm.errors import IdmError
from airflow_provider_idm.repository.dialects import Gathered
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.repository.state import APPLIED, CANCELLED
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.apply import Applier
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRowGatherer, ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference, build_difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout
from airflow_provider_idm.synchronization.synchronize.queue import Step
from airflow_provider_idm.synchronization.synchronize.record import Record
from airflow_provider_idm.synchronization.synchronize.reports import place_reports, write_reports
from airflow_provider_idm.synchronization.synchronize.request import SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import COMPLETED, BatchOutcome, SynchronizeResult
from airflow_provider_idm.synchronization.synchronize.staging import Stager
from airflow_provider_idm.synchronization.synchronize.standing import Standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

log = logging.getLogger(__name__)

MANY: Final = 10_000
"""Inserted resources after which the database's own statistics are brought up to date at once."""
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class BatchRun:
    """One batch: compare, stage, apply."""

    request: SynchronizeRequest
    step: Step
    layout: Layout
    standing: Standing
    folder: Path
    job_instance: int
    task_instance: int

    @property
    def _manifest(self) -> Manifest:
        return self.step.manifest

    @property
    def _tables(self) -> Tables:
        return self.request.repository.tables

    @property
    def _effective_date(self) -> datetime:
        """The batch's date, but never before what was applied last."""
        return max(self._manifest.effective_date, self.standing.state.last_effective_date or _EARLIEST)

    def process(self) -> tuple[SynchronizeResult, datetime]:
        """Apply the batch; return what it did and when it was committed."""
        request, manifest = self.request, self._manifest
        repository = request.repository
        files = request.exchange.channel(manifest.connector).fetch(manifest, self.folder)
        with (
            open_engine(self.folder, request.memory_limit) as duck,
            repository.session(duck, self.folder) as session,
        ):
            stored = Stored(session, self._tables)
            difference = build_difference(stored, self.layout, manifest, files, self.standing.counts)
            reports = self.folder / "reports"
            warnings = write_reports(difference, reports, self.folder.parent, orphans=request.orphans)
            warnings += self._unmapped() + self._given_up()
            result = self._result(difference, tuple(warnings))
            # The place of the gate: what is decided here is decided before anything is written.
            first_id = repository.allocate_ids(difference.inserted_ids) if difference.inserted_ids else 1
            now = datetime.now(UTC)
            effective = self._effective_date
            stager = Stager(
                session, self._tables, difference, first_id=first_id, effective_date=effective, now=now
            )
            staged = stager.stage()
            kept = self._change_rows(stored, difference, stager) if request.do_not_delete_changes else []
            with session.apply() as connection:
                record = Record(connection, self._tables, self.layout, self.step, self.task_instance)
                record.advance(self.standing.state, effective)
                applier = Applier(session, connection, self._tables, effective_date=effective, now=now)
                applier.apply(staged, self.layout.catalogue.others)
                for rows, table in kept:
                    session.insert(connection, rows, table)
                record.finish(difference, result, effective, now)
            self._after_commit(difference, reports)
        return result, now

    def _after_commit(self, difference: Difference, reports: Path) -> None:
        """Do what is left; the batch is applied, so nothing here is an error any more."""
        try:
            place_reports(difference, reports, self.folder.parent)
            if difference.inserted_ids > MANY:
                self.request.repository.analyze()
        except (OSError, IdmError) as error:
            log.warning(
                "batch %s is applied, but not everything after it was done: %s", self._manifest.batch, error
            )

    def _change_rows(
        self, stored: Stored, difference: Difference, stager: Stager
    ) -> list[tuple[Gathered, Table]]:
        gatherer = ChangeRowGatherer(
            stored.session, self._tables, stager.real, self.job_instance, self.task_instance
        )
        return gatherer.gather(ChangeRows(difference, stored), difference)

    def _unmapped(self) -> list[str]:
        catalogue = self.layout.catalogue
        names = [*catalogue.unmapped_entity_types, *(a.identifier for a in catalogue.others)]
        return [f"{name} has no mapping any more: what is stored of it stays as it is" for name in names]

    def _given_up(self) -> list[str]:
        """Name dated batches that this one cancels: they are gone from history."""
        return [
            f"batch {m.batch} of {m.effective_date:%Y-%m-%d %H:%M:%S} UTC could not be applied any more and is cancelled"
            for m in self.step.cancels
            if m.dated
        ]

    def _result(self, difference: Difference, warnings: tuple[str, ...]) -> SynchronizeResult:
        manifest = self._manifest
        mode = manifest.mode.name.capitalize()
        return SynchronizeResult(
            connector=self.request.mappings.connector.identifier,
            state=COMPLETED,
            batches=(
                *(BatchOutcome(m.batch, m.mode.name.capitalize(), CANCELLED) for m in self.step.cancels),
                BatchOutcome(manifest.batch, mode, APPLIED),
            ),
            entity_types=difference.entity_types,
            associations=difference.associations,
            warnings=warnings,
        )
