"""Runs a sequence of batches through the product and the model side by side and compares after every step."""

from __future__ import annotations

import copy
import csv
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.oracle.harness import Harness, expected_snapshot, write_csv
from tests.oracle.model import CleanFile, Model, cleanse, difference, fold_changes
from tests.oracle.sequences import Step, World, raw_changes, table_columns

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.model import Cleansed, Outcome, Row


FIRST_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_EVERY_DATE = os.environ.get("HYPOTHESIS_PROFILE") in {"thorough", "thousand"}
"""Whether every date is read through the product, too; otherwise one of them is."""


class Runner:
    """One connector, driven step by step; every batch is dated, and every date's state is kept to be compared.

    :param prepared: whether the source files go through the product's prepare; otherwise batches are made by hand.
    """

    def __init__(self, harness: Harness, *, prepared: bool) -> None:
        self.harness = harness
        self.shape = harness.shape
        self.prepared = prepared
        self.model = Model(self.shape)
        self.world = World(self.shape)
        self.former: dict[str, CleanFile] | None = None
        self.dirty: set[tuple[str, str]] = set()
        self.known_ids: dict[tuple[str, str], int] = {}
        self.highest_id = 0
        self.hashes: dict[str, str] = {}
        self.date = FIRST_DATE
        self.repeated = False
        self.states: dict[datetime, tuple[Model, str | None]] = {}
        """What was stored at the end of each effective date, and its hash if it was asked for."""

    # ------------------------------------------------------------------ steps

    def run(self, steps: list[Step]) -> None:
        for step in steps:
            self.step(step)
        self.finish()

    def step(self, step: Step) -> None:
        kind = step.kind
        if kind == "None" and self.former is None:
            kind = "Complete"
        if kind in {"Changes", "ActiveDirectory"}:
            if step.raw is None:
                changes = self.world.changes(step.edits, kind)
            else:
                changes = raw_changes(step, self.shape)
                self.world.exact = False
            self.former = None
            self.apply("Incremental", kind, fold_changes(self.shape, changes, kind), changes, keep=step.keep)
            return
        for edit in step.edits:
            self.world.edit(edit)
        cleansed = cleanse(self.shape, self.world.tables)
        files = {target: c.file for target, c in cleansed.items()}
        self.world.exact = True
        if kind == "None" and self.former is not None:
            delta = difference(self.shape, self.former, files)
            self.apply("Incremental", "None", delta, None, keep=step.keep)
        else:
            self.apply(kind, "None", files, None, cleansed=cleansed, keep=step.keep and kind != "Initial")
        self.former = files

    def apply(
        self,
        mode: str,
        source_type: str,
        files: dict[str, CleanFile],
        changes: dict[str, list[tuple[str, Row]]] | None,
        *,
        cleansed: dict[str, Cleansed] | None = None,
        keep: bool = False,
    ) -> None:
        """Publish one batch, apply it to both, compare everything."""
        # Of batches made by hand every third is of the same date as the one before it.
        if self.prepared or len(self.states) % 3 != 2 or self.repeated:
            self.date += timedelta(days=1)
            self.repeated = False
        else:
            self.repeated = True
        if self.prepared:
            batch = self._prepare(mode, source_type, files, changes, cleansed, self.date)
        else:
            batch = self.harness.publish(files, mode, source_type, dated=self.date)
        outcome = self.model.apply(mode, files)
        result = self.harness.synchronize(
            batch=batch, type=_type(source_type), do_not_delete_changes=keep, orphans=True
        )
        assert [b.id for b in result.batches] == [batch]
        assert not result.already_applied
        compare_counts(result, outcome, mode)
        self.compare(outcome)
        self._check_flag(outcome, keep=keep)
        wanted = _EVERY_DATE or len(self.states) <= 2
        now = self.harness.repository.content_hash(self.harness.mappings) if wanted else None
        self.states[self.date] = (copy.deepcopy(self.model), now)

    def compare(self, outcome: Outcome | None) -> None:
        """Compare what is stored with the model."""
        snapshot = self.harness.snapshot()
        expected = expected_snapshot(self.model)
        assert snapshot.resources == expected.resources
        assert snapshot.links == expected.links
        assert snapshot.unresolved == expected.unresolved
        for key, identity in snapshot.ids.items():
            if key in self.known_ids:
                assert identity == self.known_ids[key], f"{key} has another id than before"
            else:
                assert identity > self.highest_id, f"the id of {key} was used before"
        self.known_ids = dict(snapshot.ids)
        self.highest_id = max([self.highest_id, *snapshot.ids.values()])

    def finish(self) -> None:
        """A Complete of what is stored changes nothing, nor does one of the sources if their changes told all."""
        self._compare_queries(self.model)
        before = self.harness.repository.content_hash(self.harness.mappings)
        again = self.model.to_files()
        self._unchanged(self.harness.publish(again, "Complete"), before)
        if self.world.exact:
            files = {target: c.file for target, c in cleanse(self.shape, self.world.tables).items()}
            self._unchanged(self.harness.publish(files, "Complete"), before)
        self._compare_history()

    def _compare_history(self) -> None:
        """Every date's state is still there, from its moment on until just before the next one's."""
        instant = timedelta(microseconds=1)
        dates = sorted(self.states)
        before = expected_snapshot(Model(self.shape))
        for date in dates:
            expected = expected_snapshot(self.states[date][0])
            for moment, state in ((date - instant, before), (date, expected)):
                found = self.harness.snapshot(moment)
                assert (found.resources, found.links) == (state.resources, state.links), f"as of {moment}"
            before = expected
        asked = [date for date in dates if self.states[date][1]]
        for date in asked if _EVERY_DATE else asked[-1:]:
            model, told = self.states[date]
            self._compare_queries(model, date)
            assert self.harness.repository.content_hash(self.harness.mappings, date) == told

    def _unchanged(self, batch: str, before: str) -> None:
        result = self.harness.synchronize(batch=batch)
        changed = {
            name: counts
            for part in (result.entity_types, result.associations)
            for name, counts in _as_dicts(part).items()
            if any(counts.get(c) for c in ("inserted", "updated", "deleted"))
        }
        assert not changed, f"a Complete after Incrementals changed something: {changed}"
        assert self.harness.repository.content_hash(self.harness.mappings) == before

    def _check_flag(self, outcome: Outcome, *, keep: bool) -> None:
        stored = {(t, k) for t, rows in self.model.resources.items() for k in rows}
        marked = self.harness.repository.set_recently_modified_flag()
        if keep:
            assert marked == len(outcome.touched)
            self.dirty |= outcome.touched
        else:
            assert marked == 0
        self.dirty &= stored
        deleted = {key for key in self.dirty if key not in self.known_ids}
        self.dirty -= deleted
        assert self.harness.dirty() == self.dirty
        for table in ("UR_ResourceChanges", "UR_ResourceLinkChanges", "UR_ResourceFileChanges"):
            assert self.harness.table(table) == []

    def _compare_queries(self, model: Model, as_of: datetime | None = None) -> None:
        entities, links = self.harness.queried(as_of)
        for a in self.shape.associations:
            assert links[a.identifier] == sorted(model.links(a.identifier).links)
        for entity in self.shape.types:
            rows = model.resources[entity.identifier]
            found = entities[entity.identifier]
            assert [r[entity.primary.identifier] for r in found] == sorted(rows)
            for row in found:
                stored = rows[row[entity.primary.identifier]]
                assert {c: row[c] or "" for c in entity.columns} == stored
                assert "" not in row.values()

    # ---------------------------------------------------------------- prepare

    def _prepare(
        self,
        mode: str,
        source_type: str,
        files: dict[str, CleanFile],
        changes: dict[str, list[tuple[str, Row]]] | None,
        cleansed: dict[str, Cleansed] | None,
        date: datetime | None = None,
    ) -> str:
        from airflow_provider_idm.configuration import SynchronizationMode
        from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare

        sources = self.harness.folder / "ExportOutput"
        sources.mkdir(exist_ok=True)
        for table, columns in table_columns(self.shape).items():
            if changes is None:
                lines = [[row[c] for c in columns] for row in self.world.tables[table]]
                write_csv(sources / f"{table}.csv", columns, lines)
            else:
                lines = [
                    [row[columns[0]], command, *(row[c] for c in columns[1:])]
                    for command, row in changes[table]
                ]
                write_csv(sources / f"{table}.csv", [columns[0], "Command", *columns[1:]], lines)
        manifest = prepare(
            PrepareRequest(
                mappings=self.harness.mappings,
                mode=SynchronizationMode[mode.upper()],
                sources=sources,
                exchange=self.harness.exchange,
                work=self.harness.work,
                type=_type(source_type),
                effective_date=date,
            )
        ).manifest
        self.harness.last = manifest.batch
        fetched = self.harness.channel.fetch(manifest, self.harness.folder / "fetched")
        for target, expected in files.items():
            found = read_csv(fetched[target])
            assert found.columns == expected.columns, f"columns of {target}"
            differing = [
                f"{f} is {e} in the model"
                for f, e in zip(found.lines, expected.lines, strict=False)
                if f != e
            ]
            assert found.lines == expected.lines, f"clean file of {target}: {differing}"
            if cleansed is not None:
                entry = manifest.file(target)
                assert entry is not None
                assert (entry.nullpk, entry.duplicates) == (
                    cleansed[target].nullpk,
                    cleansed[target].duplicates,
                )
        return manifest.batch


def read_csv(path: Path) -> CleanFile:
    """Read a clean file."""
    with path.open(encoding="utf-8", newline="") as file:
        columns, *lines = list(csv.reader(file))
    return CleanFile(columns, lines)


def _type(name: str) -> Any:
    from airflow_provider_idm.configuration import SourceType

    return SourceType(name)


def _as_dicts(counts: Any) -> dict[str, dict[str, int]]:
    return {name: asdict(value) for name, value in counts.items()}


def compare_counts(result: Any, outcome: Outcome, mode: str) -> None:
    """Compare the counts of a result with the model's.

    An Incremental counts the orphans and conflicts among the rows that it looks at: those of the batch at least, at
    most all there are.
    """
    assert _as_dicts(result.entity_types) == _as_dicts(outcome.entity_types)
    found, expected = _as_dicts(result.associations), _as_dicts(outcome.associations)
    if mode == "Incremental":
        for name, counts in expected.items():
            for what in ("orphans", "conflicts"):
                low, high = outcome.own[name][what], counts.pop(what)
                assert low <= found[name].pop(what) <= high, f"{what} of {name}"
    assert found == expected
