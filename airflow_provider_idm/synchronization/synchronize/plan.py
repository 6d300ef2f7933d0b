"""What synchronizing would change, without doing it: the same difference, not applied."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_idm.engine import literal, open_engine, scalar
from airflow_provider_idm.errors import SynchronizeError
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.state import CANCELLED
from airflow_provider_idm.synchronization.exchange import folder_name
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference, build_difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    check_type,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.request import PlanRequest
from airflow_provider_idm.synchronization.synchronize.result import (
    COMPLETED,
    NOTHING,
    BatchOutcome,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.simulated import SimulatedState
from airflow_provider_idm.synchronization.synchronize.standing import Standing, count_resources, read_standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_COLUMNS = "batch, kind, type, operation, key1, key2, property, old, new"


class Plan:
    """What the pending batches would change; close it when done, or use it as a context manager.

    :ivar result: the counts, as a synchronization would report them; the batches' state is ``pending``.
    """

    def __init__(
        self,
        result: SynchronizeResult,
        duck: duckdb.DuckDBPyConnection | None,
        resources: contextlib.ExitStack,
    ) -> None:
        self.result = result
        self._duck = duck
        self._resources = resources

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
        if self._duck is None:
            import pandas as pd  # noqa: PLC0415 - heavy

            return pd.DataFrame(columns=_COLUMNS.split(", "))
        return self._duck.execute(self._ordered()).df()

    def write_changes(self, path: Path) -> int:
        """Write every change to a file, ``.csv`` or ``.parquet`` by its extension; return how many there are.

        :raises SynchronizeError: for another extension.
        """
        formats = {".csv": "(HEADER, DELIMITER ',', NULLSTR '')", ".parquet": "(FORMAT parquet)"}
        if path.suffix.lower() not in formats:
            raise SynchronizeError(f"{path}: changes are written as .csv or .parquet")
        if self._duck is None:
            with open_engine(path.parent) as duck:
                empty = ", ".join(f"NULL::VARCHAR AS {name}" for name in _COLUMNS.split(", "))
                target = f"{literal(str(path))} {formats[path.suffix.lower()]}"
                duck.execute(f"COPY (SELECT {empty} WHERE false) TO {target}")
            return 0
        target = f"{literal(str(path))} {formats[path.suffix.lower()]}"
        return int(scalar(self._duck, f"COPY ({self._ordered()}) TO {target}"))

    def close(self) -> None:
        """Let go of the plan's memory and files."""
        self._resources.close()
        self._duck = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _ordered() -> str:
        return f"SELECT {_COLUMNS} FROM plan_changes ORDER BY place, part, key1, key2, operation"


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
            catalogue = self._repository.register(self._request.mappings)
            standing = read_standing(self._repository, catalogue)
            if own and (record := standing.records.get(own.batch)):
                check_not_finished(record, self._connector)
                result = SynchronizeResult.from_dict(record.result or {}, already_applied=True)
                return Plan(result, None, contextlib.ExitStack())
            steps = self._steps(own, catalogue, standing)
            if not steps:
                return Plan(SynchronizeResult(self._connector, NOTHING), None, contextlib.ExitStack())
            return self._compare(steps, lay_out(self._request.mappings, catalogue), standing)

    def _steps(self, own: Manifest | None, catalogue: Catalogue, standing: Standing) -> list[Step]:
        """Choose the batches; one that was made for a plan only follows those that it leads on from."""
        manifests = self._channel.manifests()
        last = own
        if own and own.plan_only:
            last = next((m for m in manifests if m.batch == own.based_on), None)
            if last is None or last.batch in standing.records:
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
            place = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="plan-", dir=folder)))
            duck = resources.enter_context(open_engine(place, self._request.memory_limit))
            _create_changes(duck)
            with self._repository.session(duck, place) as session:
                if len(steps) == 1:
                    stored = Stored(session, self._repository.tables)
                else:
                    stored = SimulatedState(session, self._repository.tables, layout)
                    stored.read()
                result = self._compare_all(stored, steps, layout, standing, place)
            return Plan(result, duck, resources.pop_all())

    def _compare_all(
        self, stored: Stored, steps: list[Step], layout: Layout, standing: Standing, place: Path
    ) -> SynchronizeResult:
        state, counts = standing.state, standing.counts
        stored_now = count_resources(self._repository, layout.catalogue, standing)
        given_ids = 0
        result: SynchronizeResult | None = None
        for step in steps:
            manifest = step.manifest
            allowed = self._request.allow_backwards and step is steps[-1]
            check_applicable(manifest, state, self._request.mappings, stored_now, allow_backwards=allowed)
            files = self._channel.fetch(manifest, place)
            difference = build_difference(stored, layout, manifest, files, counts, given_ids=given_ids)
            _collect(difference, ChangeRows(difference, stored, by_property=True))
            planned = _result(self._connector, step, difference)
            result = result.followed_by(planned) if result else planned
            if isinstance(stored, SimulatedState):
                stored.advance(difference)
            given_ids, counts = difference.inserted_ids, difference.counts_after()
            stored_now = sum(counts.resources.values())
            dates = [d for d in (state.last_effective_date, manifest.effective_date) if d]
            state = replace(state, last_batch=manifest.batch, last_effective_date=max(dates))
        return result or SynchronizeResult(self._connector, NOTHING)


def _result(connector: str, step: Step, difference: Difference) -> SynchronizeResult:
    manifest = step.manifest
    return SynchronizeResult(
        connector=connector,
        state=COMPLETED,
        batches=(
            *(BatchOutcome(m.batch, m.mode.name.capitalize(), CANCELLED) for m in step.cancels),
            BatchOutcome(manifest.batch, manifest.mode.name.capitalize(), "pending"),
        ),
        entity_types=difference.entity_types,
        associations=difference.associations,
    )


def _create_changes(duck: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"{name} VARCHAR" for name in _COLUMNS.split(", "))
    duck.execute(f"CREATE TEMP TABLE plan_changes (place BIGINT, part INTEGER, {columns})")


def _collect(difference: Difference, rows: ChangeRows) -> None:
    """Add every change to ``plan_changes``, named as people name things."""
    batch = literal(difference.manifest.batch)
    parts: list[str] = []
    for entity in difference.layout.entity_types:
        name = literal(entity.mapped.identifier)
        parts.append(
            f"SELECT 'resource', {name}, op, pk, NULL, NULL, old, new FROM ({rows.resources(entity)})"
        )
        files = rows.files(entity)
        if files:
            names = " ".join(f"WHEN {f.id} THEN {literal(f.property)}" for f in entity.files)
            parts.append(
                f"SELECT 'file', {name}, op, pk, NULL, CASE property {names} END, old, new FROM ({files})"
            )
    for association in difference.concerned:
        name = literal(association.mapped.identifier)
        parts.append(
            f"SELECT 'link', {name}, op, pk1, pk2, NULL, NULL, NULL FROM ({rows.links(association)})"
        )
    place = scalar(difference.duck, "SELECT coalesce(max(place), -1) + 1 FROM plan_changes")
    for number, part in enumerate(parts):
        difference.duck.execute(
            f"INSERT INTO plan_changes SELECT {place}, {number}, {batch}, * FROM ({part})"
        )
