"""One batch: compare, stage, apply."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table

from airflow_provider_idm.engine import open_engine
from airflow_provider_idm.errors import IdmError
from airflow_provider_idm.repository.dialects import Gathered
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.repository.state import APPLIED, CANCELLED, FORCED, RESUMED
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.apply import Applier
from airflow_provider_idm.synchronization.synchronize.change_set import ChangeSet
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRowGatherer, ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference, build_difference
from airflow_provider_idm.synchronization.synchronize.gate import applied_within, find_exceeded
from airflow_provider_idm.synchronization.synchronize.layout import Layout
from airflow_provider_idm.synchronization.synchronize.queue import Step
from airflow_provider_idm.synchronization.synchronize.record import Approval, Record
from airflow_provider_idm.synchronization.synchronize.remarks import (
    about_consent,
    about_given_up,
    about_unmapped,
)
from airflow_provider_idm.synchronization.synchronize.reports import place_reports, write_reports
from airflow_provider_idm.synchronization.synchronize.request import (
    SynchronizeRequest,
    remember_options,
)
from airflow_provider_idm.synchronization.synchronize.result import (
    BLOCKED,
    COMPLETED,
    BatchOutcome,
    ExceededThreshold,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.review import Review
from airflow_provider_idm.synchronization.synchronize.staging import Stager
from airflow_provider_idm.synchronization.synchronize.standing import Standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

log = logging.getLogger(__name__)

MANY: Final = 50_000
"""Rows that come into a table at once whose indexes may better be made anew."""
WORTH_ANALYZING: Final = 10_000
_GROWN: Final = 10
"""Rows that came, and percent of those that were there, after which the statistics are brought up to date at once."""
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class BatchRun:
    """One batch: compare, pass the gate, stage, apply.

    :param forced: whether the thresholds are ignored for it.
    :param approval: of a person who reviewed its changes, or None.
    """

    request: SynchronizeRequest
    step: Step
    layout: Layout
    standing: Standing
    folder: Path
    job_instance: int
    task_instance: int
    forced: bool = False
    approval: Approval | None = None

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
        """Apply the batch, or find it blocked; return what it did, or would do, and when that was committed."""
        request, manifest = self.request, self._manifest
        repository = request.repository
        channel = request.exchange.channel(manifest.connector)
        with (
            channel.fetching(manifest, self.folder) as files,
            open_engine(self.folder, request.memory_limit) as duck,
            repository.session(duck, self.folder) as session,
        ):
            stored = Stored(session, self._tables)
            difference = build_difference(stored, self.layout, manifest, files, self.standing.counts)
            reports = self.folder / "reports"
            warnings = write_reports(difference, reports, self.folder.parent, orphans=request.orphans)
            warnings += about_unmapped(self.layout.catalogue, difference.lost_links)
            warnings += about_given_up(self.step, self.standing.state.blocked_batch)
            result = self._result(difference, tuple(warnings))
            # The gate: what is decided here is decided before anything is written.
            exceeded = self._exceeded(difference)
            review = self._review(difference, stored) if exceeded and not self.forced else None
            if review is not None and not self._approved(review):
                now = datetime.now(UTC)
                result = self._as_blocked(result, exceeded, review)
                self._block(stored, difference, result, now)
            else:
                result = self._as_consented(result, exceeded)
                now = self._apply(stored, difference, result, exceeded)
            self._after_commit(result, difference, reports)
        return result, now

    # ------------------------------------------------------------------------------------------------- gate

    def _exceeded(self, difference: Difference) -> tuple[ExceededThreshold, ...]:
        rolling = self.request.rolling
        return find_exceeded(
            difference,
            self.request.mappings,
            self.standing.counts,
            rolling=rolling,
            applied=applied_within(rolling, self.standing.records),
        )

    def _review(self, difference: Difference, stored: Stored) -> Review:
        changes = ChangeSet(difference.duck)
        changes.add(difference, ChangeRows(difference, stored, by_property=True))
        return changes.review(self._manifest)

    def _approved(self, review: Review) -> bool:
        return self.approval is not None and self.approval.change_set == review.change_set

    def _as_blocked(
        self, result: SynchronizeResult, exceeded: tuple[ExceededThreshold, ...], review: Review
    ) -> SynchronizeResult:
        """Nothing is cancelled by a batch that is not applied, but a former block that passes to it."""
        outcome = BatchOutcome(review.batch, review.mode, BLOCKED)
        passed = self.standing.state.blocked_batch
        cancelled = tuple(b for b in result.batches if b.state == CANCELLED and b.id == passed)
        return replace(
            result,
            state=BLOCKED,
            batches=(*cancelled, outcome),
            thresholds=exceeded,
            blocked_by=review.batch,
            review=review,
        )

    def _as_consented(
        self, result: SynchronizeResult, exceeded: tuple[ExceededThreshold, ...]
    ) -> SynchronizeResult:
        """Tell which thresholds were exceeded and who answered for it."""
        if not exceeded:
            return result
        who = f"resumed by {self.approval.by}" if self.approval and not self.forced else "forced"
        return replace(result, warnings=(*result.warnings, *about_consent(who, exceeded)))

    def _block(
        self, stored: Stored, difference: Difference, result: SynchronizeResult, now: datetime
    ) -> None:
        """Keep the change rows and record the block; no resource and no link is touched."""
        kept = self._change_rows(stored, difference, _none_if_provisional)
        change_set = result.review.change_set if result.review else ""
        options = remember_options(self.request)
        with stored.session.apply() as connection:
            self._record(connection).block(result, change_set, options, now)
            for rows, table in kept:
                stored.session.insert(connection, rows, table)

    # ------------------------------------------------------------------------------------------------ apply

    def _apply(
        self,
        stored: Stored,
        difference: Difference,
        result: SynchronizeResult,
        exceeded: tuple[ExceededThreshold, ...],
    ) -> datetime:
        request, session = self.request, stored.session
        first_id = request.repository.allocate_ids(difference.inserted_ids) if difference.inserted_ids else 1
        now = datetime.now(UTC)
        effective = self._effective_date
        stager = Stager(
            session, self._tables, difference, first_id=first_id, effective_date=effective, now=now
        )
        staged = stager.stage()
        kept = self._change_rows(stored, difference, stager.real) if request.do_not_delete_changes else []
        consent = (FORCED if self.forced else RESUMED) if exceeded else None
        with session.apply(self._filled(difference)) as connection:
            record = self._record(connection)
            record.advance(effective, now, loses_history=staged.overwrites and not request.history)
            record.keep_layout(request.mappings, effective)
            applier = Applier(
                session,
                connection,
                self._tables,
                effective_date=effective,
                now=now,
                history=request.history,
            )
            applier.apply(staged)
            for rows, table in kept:
                session.insert(connection, rows, table)
            record.finish(difference, result, effective, now, consent=consent, approval=self.approval)
        return now

    def _filled(self, difference: Difference) -> list[Table]:
        """Return the tables that many rows come into, and that hold few."""
        tables, inserted = self._tables, difference.inserted
        filled = []
        if max(inserted) >= MANY:
            stored = self.request.repository.totals()
            filled = [
                number >= MANY and number >= 2 * before
                for number, before in zip(inserted, stored, strict=True)
            ]
        return list(itertools.compress((tables.resources, tables.resource_links), filled))

    def _record(self, connection: Connection) -> Record:
        return Record(
            connection, self._tables, self.layout, self.step, self.standing.state, self.task_instance
        )

    def _after_commit(self, result: SynchronizeResult, difference: Difference, reports: Path) -> None:
        """Do what is left; the batch is applied or blocked, so nothing here is an error any more."""
        state = result.batches[-1].state
        try:
            place_reports(difference, reports, self.folder.parent)
            if state == APPLIED and self._has_grown(difference):
                self.request.repository.analyze()
        except (OSError, IdmError) as error:
            log.warning(
                "batch %s is %s, but not everything after it was done: %s", self._manifest.batch, state, error
            )

    def _has_grown(self, difference: Difference) -> bool:
        """Tell whether the database's statistics no longer say how many rows there are."""
        stored = (sum(difference.before_resources.values()), sum(difference.before_links.values()))
        return any(
            number >= WORTH_ANALYZING and 100 * number >= _GROWN * before
            for number, before in zip(difference.inserted, stored, strict=True)
        )

    def _change_rows(
        self, stored: Stored, difference: Difference, real: Callable[[str], str]
    ) -> list[tuple[Gathered, Table]]:
        gatherer = ChangeRowGatherer(
            stored.session, self._tables, real, self.job_instance, self.task_instance
        )
        return gatherer.gather(ChangeRows(difference, stored), difference)

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


def _none_if_provisional(column: str) -> str:
    """Return the expression for the id of a resource, NULL for one that is not made yet."""
    return f"CASE WHEN {column} > 0 THEN {column} END"
