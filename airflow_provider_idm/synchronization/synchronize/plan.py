"""What synchronizing would change, without doing it: the same difference, not applied."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.engine import open_engine
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.state import CANCELLED, READY, ConnectorState
from airflow_provider_idm.synchronization.exchange import folder_name
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.block import find_block
from airflow_provider_idm.synchronization.synchronize.change_set import COLUMNS, SAMPLE, ChangeSet
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import (
    Difference,
    StoredCounts,
    build_difference,
)
from airflow_provider_idm.synchronization.synchronize.gate import applied_within, find_exceeded
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    check_type,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.remarks import (
    about_consent,
    about_given_up,
    about_unmapped,
)
from airflow_provider_idm.synchronization.synchronize.request import PLAN, PlanRequest, remembered_window
from airflow_provider_idm.synchronization.synchronize.result import (
    BLOCKED,
    COMPLETED,
    NOTHING,
    PENDING,
    BatchOutcome,
    ExceededThreshold,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.review import Review
from airflow_provider_idm.synchronization.synchronize.simulated import SimulatedState
from airflow_provider_idm.synchronization.synchronize.standing import Standing, count_resources, read_standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

if TYPE_CHECKING:
    import pandas as pd


class Plan:
    """What the pending batches would change; close it when done, or use it as a context manager.

    :ivar result: the counts, as a synchronization would report them. The batches' state is ``pending``, or ``blocked``
        for one that would exceed a threshold: the result's state is then ``blocked`` too, and batches behind that one
        are not planned.
    """

    def __init__(
        self,
        result: SynchronizeResult,
        last: Manifest | None,
        changes: ChangeSet | None,
        resources: contextlib.ExitStack,
    ) -> None:
        self.result = result
        self._last = last
        self._changes = changes
        self._resources = resources

    @property
    def review(self) -> Review | None:
        """What a person would decide about: the changes of the batch planned last; None if there is none."""
        return self.sample()

    def sample(self, size: int = SAMPLE) -> Review | None:
        """Return the review with another number of changes shown per entity type or association and operation."""
        if self._changes is None or self._last is None:
            return None
        return self._changes.review(self._last, size)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON takes them."""
        return self.result.as_dict()

    def as_text(self) -> str:
        """Return the counts as lines for a log."""
        return self.result.as_text()

    def to_frame(self) -> pd.DataFrame:
        """Return every change as a row.

        Columns: ``batch``, ``kind`` (resource, link, file), ``type``, ``operation``, ``key1``, ``key2`` (links),
        ``property`` (files), ``old`` and ``new`` (JSON objects by property; hashes for files).
        """
        if self._changes is None:
            import pandas as pd  # noqa: PLC0415 - heavy

            return pd.DataFrame(columns=list(COLUMNS))
        return self._changes.to_frame()

    def write_changes(self, path: Path) -> int:
        """Write every change to a file, ``.csv``, ``.parquet`` or ``.json`` by its extension; return how many.

        :raises SynchronizeError: for another extension.
        """
        if self._changes is not None:
            return self._changes.write(path)
        with open_engine(path.parent) as duck:
            return ChangeSet(duck).write(path)

    def close(self) -> None:
        """Let go of the plan's memory and files."""
        self._resources.close()
        self._changes = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plan_synchronization(request: PlanRequest) -> Plan:
    """Tell what the pending batches, up to the given one, would change; the repository's contents stay as they are.

    :raises SynchronizeError: if a batch could not be applied as it is; see ``synchronize``.
    :raises ExchangeError: if a batch is missing or was altered.
    """
    return _Planner(request).plan()


class _Planner:
    """One call of ``plan_synchronization``."""

    def __init__(self, request: PlanRequest) -> None:
        self._request = request
        self._repository = request.repository
        self._connector = request.mappings.connector.identifier
        self._channel = request.exchange.channel(self._connector)

    def plan(self) -> Plan:
        own = self._channel.manifest(self._request.batch) if self._request.batch is not None else None
        check_type(own, self._request.type)
        with self._repository.errors():
            catalogue = self._repository.preview(self._request.mappings)
            standing = read_standing(self._repository, catalogue)
            if own and (record := standing.records.get(own.batch)):
                check_not_finished(record, self._connector)
                result = SynchronizeResult.from_dict(record.result or {}, already_applied=True)
                return Plan(result, None, None, contextlib.ExitStack())
            steps = self._steps(own, catalogue, standing)
            if not steps:
                return Plan(SynchronizeResult(self._connector, NOTHING), None, None, contextlib.ExitStack())
            return self._compare(steps, lay_out(self._request.mappings, catalogue), standing)

    def _steps(self, own: Manifest | None, catalogue: Catalogue, standing: Standing) -> list[Step]:
        """Choose the batches; one that was made for a plan only follows those that it leads on from."""
        manifests = self._channel.batches().pending(standing.records)
        last = own
        if own and own.plan_only:
            last = next((m for m in manifests if m.batch == own.based_on), None)
            if last is None:
                return [Step(own)]
        steps = plan_queue(
            manifests,
            standing.records,
            standing.state,
            fingerprint=self._request.mappings.fingerprint,
            stored=count_resources(self._repository, catalogue, standing),
            own=last,
        )
        return [*steps, Step(own)] if own and own.plan_only else steps

    def _compare(self, steps: list[Step], layout: Layout, standing: Standing) -> Plan:
        folder = self._request.work / folder_name(self._connector) / "Synchronize"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as resources:
            place = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix=PLAN, dir=folder)))
            duck = resources.enter_context(open_engine(place, self._request.memory_limit))
            changes = ChangeSet(duck)
            with self._repository.session(duck, place) as session:
                if len(steps) == 1:
                    stored = Stored(session, self._repository.tables)
                else:
                    stored = SimulatedState(session, self._repository.tables, layout)
                    stored.read()
                compare = _Comparison(self._request, stored, layout, standing, changes, place)
                result, last = compare.run(steps)
            return Plan(result, last, changes, resources.pop_all())


@dataclass(slots=True)
class _Comparison:
    """The batches of a plan, one after the other."""

    request: PlanRequest
    stored: Stored
    layout: Layout
    standing: Standing
    changes: ChangeSet
    place: Path

    def run(self, steps: list[Step]) -> tuple[SynchronizeResult, Manifest]:
        """Compare until a batch would be blocked; return the counts, and the batch compared last."""
        request, standing = self.request, self.standing
        state, counts = standing.state, standing.counts
        stored_now = count_resources(request.repository, self.layout.catalogue, standing)
        applied: list[Mapping[str, Any]] = []
        given_ids = 0
        result: SynchronizeResult | None = None
        for number, step in enumerate(steps):
            manifest, is_last = step.manifest, step is steps[-1]
            request = self._as_asked(manifest)
            allowed = request.allow_backwards and is_last
            check_applicable(manifest, state, request.mappings, stored_now, allow_backwards=allowed)
            with request.exchange.channel(manifest.connector).fetching(manifest, self.place) as files:
                difference = build_difference(
                    self.stored, self.layout, manifest, files, counts, given_ids=given_ids
                )
            self.changes.add(difference, ChangeRows(difference, self.stored, by_property=True))
            exceeded = self._exceeded(request, difference, counts, applied)
            blocks = exceeded and not (request.force and is_last)
            planned = _result(request, step, difference, exceeded if blocks else ())
            planned = replace(planned, warnings=self._remarks(step, difference, () if blocks else exceeded))
            result = result.followed_by(planned) if result else planned
            if blocks:
                return _behind(result, steps[number + 1 :]), manifest
            if isinstance(self.stored, SimulatedState):
                self.stored.advance(difference)
            given_ids, counts = difference.inserted_ids, counts.updated(difference.counts_after())
            stored_now = sum(counts.resources.values())
            if manifest.mode is not SynchronizationMode.INITIAL and not exceeded:
                applied.append(planned.as_dict())
            state = _followed_by(state, manifest)
        return result or SynchronizeResult(request.mappings.connector.identifier, NOTHING), steps[-1].manifest

    def _as_asked(self, manifest: Manifest) -> PlanRequest:
        """Return the request for a batch; what is blocked is planned as it was asked for, by the limits blocking it."""
        request, state = self.request, self.standing.state
        if manifest.batch != state.blocked_batch:
            return request
        return replace(
            request,
            allow_backwards=request.allow_backwards or bool(state.options.get("allow_backwards")),
            rolling=request.rolling or remembered_window(state.options),
        )

    def _remarks(
        self, step: Step, difference: Difference, waived: tuple[ExceededThreshold, ...]
    ) -> tuple[str, ...]:
        """Return what a synchronization would warn of, but for the files that it would write."""
        return (
            *about_unmapped(self.layout.catalogue, difference.lost_links),
            *about_given_up(step, self.standing.state.blocked_batch),
            *about_consent("forced", waived),
        )

    def _exceeded(
        self,
        request: PlanRequest,
        difference: Difference,
        counts: StoredCounts,
        planned: list[Mapping[str, Any]],
    ) -> tuple[ExceededThreshold, ...]:
        """Return the thresholds that a batch exceeds; those on record for one that a later batch finds blocked.

        :param planned: results of the batches before it that count for a window.
        """
        blocked = self.standing.state.blocked_batch
        if request.batch is not None and difference.manifest.batch == blocked != request.batch:
            block = find_block(request.repository, request.mappings.connector.identifier)
            if block is not None:
                return block.thresholds
        applied = [*applied_within(request.rolling, self.standing.records), *planned]
        return find_exceeded(difference, request.mappings, counts, rolling=request.rolling, applied=applied)


def _followed_by(state: ConnectorState, manifest: Manifest) -> ConnectorState:
    """Return where a connector stands once a batch is applied."""
    dates = [d for d in (state.last_effective_date, manifest.effective_date) if d]
    whole = manifest.mode is not SynchronizationMode.INCREMENTAL
    return replace(
        state,
        last_batch=manifest.batch,
        last_effective_date=max(dates),
        fingerprint=manifest.fingerprint,
        readiness=READY if whole or manifest.batch == state.blocked_batch else state.readiness,
    )


def _result(
    request: PlanRequest, step: Step, difference: Difference, exceeded: tuple[ExceededThreshold, ...]
) -> SynchronizeResult:
    manifest = step.manifest
    return SynchronizeResult(
        connector=request.mappings.connector.identifier,
        state=BLOCKED if exceeded else COMPLETED,
        batches=(
            *(BatchOutcome(m.batch, m.mode.name.capitalize(), CANCELLED) for m in step.cancels),
            BatchOutcome(manifest.batch, manifest.mode.name.capitalize(), BLOCKED if exceeded else PENDING),
        ),
        entity_types=difference.entity_types,
        associations=difference.associations,
        thresholds=exceeded,
        blocked_by=manifest.batch if exceeded else None,
    )


def _behind(result: SynchronizeResult, steps: list[Step]) -> SynchronizeResult:
    """Tell which batches are not planned, for they wait behind one that would be blocked."""
    told = tuple(f"batch {s.manifest.batch} waits behind the blocked one and is not planned" for s in steps)
    return replace(result, warnings=(*result.warnings, *told))
