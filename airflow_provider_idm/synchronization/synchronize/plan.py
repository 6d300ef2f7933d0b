"""What synchronizing would change, without doing it: the same difference, not applied."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_idm.errors import SynchronizeError
from airflow_provider_idm.synchronization.engine import fetch_value, literal, open_engine
from airflow_provider_idm.synchronization.exchange import folder_name
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference, build_difference
from airflow_provider_idm.synchronization.synchronize.layout import Layout, lay_out
from airflow_provider_idm.synchronization.synchronize.queue import (
    Step,
    check_applicable,
    check_not_finished,
    plan_queue,
)
from airflow_provider_idm.synchronization.synchronize.request import PlanRequest
from airflow_provider_idm.synchronization.synchronize.result import (
    COMPLETED,
    NOTHING,
    BatchOutcome,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.standing import count_resources, read_standing
from airflow_provider_idm.synchronization.synchronize.stored import Stored

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_COLUMNS = "kind, type, operation, key1, key2, property, old, new"


class Plan:
    """What one batch would change; close it when done, or use it as a context manager.

    :ivar result: the counts, as a synchronization would report them; the batch's state is ``pending``.
    :ivar later: pending batches after it, which the plan does not look at.
    """

    def __init__(
        self,
        result: SynchronizeResult,
        duck: duckdb.DuckDBPyConnection | None,
        resources: contextlib.ExitStack,
        later: tuple[str, ...] = (),
    ) -> None:
        self.result = result
        self.later = later
        self._duck = duck
        self._resources = resources

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON takes them."""
        return self.result.as_dict() | {"later": list(self.later)}

    def as_text(self) -> str:
        """Return the counts as lines for a log."""
        lines = [self.result.as_text()]
        lines += [f"  batch {batch} comes after it and was not looked at" for batch in self.later]
        return "\n".join(lines)

    def to_frame(self) -> pd.DataFrame:
        """Return every change as a row.

        Columns: ``kind`` (resource, link, file), ``type``, ``operation``, ``key1``, ``key2`` (links), ``property``
        (files), ``old`` and ``new`` (JSON objects by property; hashes for files).
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
        return int(fetch_value(self._duck, f"COPY ({self._ordered()}) TO {target}"))

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
        return f"SELECT {_COLUMNS} FROM plan_changes ORDER BY part, key1, key2, operation"


def plan_synchronization(request: PlanRequest) -> Plan:
    """Tell what the next pending batch, or the given one, would change; nothing is written to the repository's contents.

    :raises SynchronizeError: if the batch could not be applied as it is; see ``synchronize``.
    :raises ExchangeError: if the batch is missing or was altered.
    """
    repository, mappings = request.repository, request.mappings
    connector = mappings.connector.identifier
    channel = request.exchange.channel(connector)
    own = channel.manifest(request.batch) if request.batch else None
    with repository.errors():
        catalogue = repository.register(mappings)
        standing = read_standing(repository, catalogue)
        if own and (record := standing.records.get(own.batch)):
            check_not_finished(record, connector)
            result = SynchronizeResult.from_dict(record.result or {}, already_applied=True)
            return Plan(result, None, contextlib.ExitStack())
        if own and own.plan_only:
            steps = [Step(own)]
        else:
            manifests = channel.manifests()
            steps = plan_queue(manifests, standing.records, standing.state, mappings.fingerprint, own)
        if not steps:
            return Plan(SynchronizeResult(connector, NOTHING), None, contextlib.ExitStack())
        stored_now = count_resources(repository, catalogue, standing)
        check_applicable(
            steps[0].manifest, standing.state, mappings, stored_now, allow_backwards=request.allow_backwards
        )
        folder = request.work / folder_name(connector) / "Synchronize"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as resources:
            place = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="plan-", dir=folder)))
            duck = resources.enter_context(open_engine(place, request.memory_limit))
            files = channel.fetch(steps[0].manifest, place)
            with repository.session(duck, place) as session:
                stored = Stored(session, repository.tables)
                layout = lay_out(mappings, catalogue)
                difference = build_difference(stored, layout, steps[0].manifest, files, standing.counts)
                _collect(difference, ChangeRows(difference, stored, by_property=True), layout)
            later = tuple(s.manifest.batch for s in steps[1:])
            return Plan(_result(connector, steps[0], difference), duck, resources.pop_all(), later)


def _result(connector: str, step: Step, difference: Difference) -> SynchronizeResult:
    manifest = step.manifest
    return SynchronizeResult(
        connector=connector,
        state=COMPLETED,
        batches=(BatchOutcome(manifest.batch, manifest.mode.name.capitalize(), "pending"),),
        entity_types=difference.entity_types,
        associations=difference.associations,
    )


def _collect(difference: Difference, rows: ChangeRows, layout: Layout) -> None:
    """Make ``plan_changes``: every change, named as people name things."""
    parts: list[str] = []
    for entity in layout.entity_types:
        name = literal(entity.mapped.identifier)
        parts.append(
            f"SELECT {len(parts)} AS part, 'resource' AS kind, {name} AS type, op AS operation, pk AS key1, "
            f"NULL::VARCHAR AS key2, NULL::VARCHAR AS property, old, new FROM ({rows.resources(entity)})"
        )
        files = rows.files(entity)
        if files:
            names = " ".join(f"WHEN {f.id} THEN {literal(f.property)}" for f in entity.files)
            parts.append(
                f"SELECT {len(parts)}, 'file', {name}, op, pk, NULL, CASE property {names} END, old, new FROM ({files})"
            )
    for association in difference.concerned:
        parts.append(
            f"SELECT {len(parts)}, 'link', {literal(association.mapped.identifier)}, op, pk1, pk2, NULL, NULL, NULL "
            f"FROM ({rows.links(association)})"
        )
    difference.duck.execute(f"CREATE OR REPLACE TEMP TABLE plan_changes AS {' UNION ALL '.join(parts)}")
