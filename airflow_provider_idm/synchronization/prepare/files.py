"""Makes the clean files and side files of all targets in a folder, source file by source file."""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_idm.synchronization.exchange import BatchFile, sha256_of
from airflow_provider_idm.synchronization.prepare.cleanse import (
    DUPLICATES,
    NULLPK,
    set_aside,
    write_side_files,
    write_sorted,
)
from airflow_provider_idm.synchronization.prepare.delta import write_delta
from airflow_provider_idm.synchronization.prepare.fold import fold_keys, write_folded
from airflow_provider_idm.synchronization.prepare.invalid import InvalidValues, check_commands, find_invalid
from airflow_provider_idm.synchronization.prepare.load import LoadedTable, Reading, load
from airflow_provider_idm.synchronization.prepare.side import count_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.previous import Previous
    from airflow_provider_idm.synchronization.prepare.request import PrepareRequest
    from airflow_provider_idm.synchronization.prepare.source import SourceFile
    from airflow_provider_idm.synchronization.prepare.targets import Target


@dataclass(frozen=True, slots=True)
class CleanFiles:
    """What was made.

    :param entries: for the manifest.
    :param sorted: the sorted file by target; empty where the sources were lists of changes.
    """

    entries: tuple[BatchFile, ...]
    sorted: Mapping[str, Path]


@dataclass(slots=True)
class _Made:
    """One target's files so far; hashes are worked out in the background."""

    path: Path
    columns: tuple[str, ...]
    rows: int
    commands: dict[str, int]
    sha256: Future[str]
    sorted_sha256: Future[str] | None
    nullpk: int = 0
    duplicates: int = 0
    source: str | None = None
    source_rows: int = 0


class FileMaker:
    """Makes files in a folder.

    :param previous: what full extracts are compared with; None to send them whole.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        request: PrepareRequest,
        folder: Path,
        previous: Previous | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._folder = folder
        self._previous = previous
        self._made: dict[str, _Made] = {}
        self._sorted: dict[str, Path] = {}
        self._longest = 0
        self._invalid = InvalidValues()
        self._hashing = ThreadPoolExecutor(1)
        self._reading = Reading(
            request.encoding, request.separator, request.column_name if request.reads_changes else None
        )

    def read(self, source: SourceFile, targets: Sequence[Target], invalid: InvalidValues) -> None:
        """Read a source file and make the files of its targets.

        :param invalid: gets what does not convert; once that ends the prepare, nothing more is made.
        """
        copies = self._folder / "source"
        copies.mkdir()
        table = load(self._connection, source, targets, self._reading, copies)
        self._longest = max(self._longest, table.structure.longest)
        check_commands(self._connection, table)
        for target in targets:
            find_invalid(self._connection, table, target, self._folder, invalid)
        self._invalid = invalid
        if not invalid.total or (self._request.on_invalid_value == "null" and not invalid.in_keys):
            self._make_all(table)
        shutil.rmtree(copies)

    def finish(self, targets: Iterable[Target]) -> CleanFiles:
        """Return what was made, once all hashes are known."""
        entries = tuple(self._entry(t, self._made[t.identifier]) for t in targets)
        self._hashing.shutdown()
        return CleanFiles(entries, self._sorted)

    def _make_all(self, table: LoadedTable) -> None:
        changes = self._request.reads_changes
        keys = [fold_keys(table, t) if changes else [table.value(c) for c in t.keys] for t in table.targets]
        set_aside(self._connection, table, keys, with_duplicates=not changes)
        counts = write_side_files(self._connection, table, self._folder)
        for target in table.targets:
            made = self._make_folded(table, target) if changes else self._make_sorted(table, target)
            made.nullpk = counts[target.identifier, NULLPK]
            made.duplicates = counts[target.identifier, DUPLICATES]
            made.source, made.source_rows = table.source.origin, table.structure.records
            self._made[target.identifier] = made

    def _make_sorted(self, table: LoadedTable, target: Target) -> _Made:
        """Make the file of a full extract: sent whole, or compared with the one before."""
        path = self._path(target, "sorted.csv")
        rows = write_sorted(self._connection, table, target, path)
        self._sorted[target.identifier] = path
        columns = tuple(c.name for c in target.columns)
        compared = self._request.is_incremental
        dated = self._request.effective_date is not None
        sorted_sha256 = self._hash(path) if compared and dated else None
        commands: dict[str, int] = {}
        if compared and self._previous is not None:
            former, current = self._previous.file(target.identifier), path
            path = self._path(target, "sorted.delta")
            commands = write_delta(target, former, current, path)
            rows = sum(commands.values())
            columns = ("command", *columns)
        sha256 = self._hash(path)
        return _Made(path, columns, rows, commands, sha256, sorted_sha256)

    def _make_folded(self, table: LoadedTable, target: Target) -> _Made:
        """Make the file of a list of changes: one command per key."""
        path = self._path(target, "sorted.delta")
        rows = write_folded(self._connection, table, target, self._request.type, path)
        columns = ("command", *(c.name for c in target.columns), *(("owner",) if target.owner else ()))
        commands = count_commands(self._connection, path, columns, self._longest)
        return _Made(path, columns, rows, commands, self._hash(path), None)

    def _path(self, target: Target, end: str) -> Path:
        return self._folder / f"{target.identifier}.{end}"

    def _hash(self, path: Path) -> Future[str]:
        return self._hashing.submit(sha256_of, path)

    def _entry(self, target: Target, made: _Made) -> BatchFile:
        return BatchFile(
            name=made.path.name,
            target=target.identifier,
            kind=target.kind,
            rows=made.rows,
            columns=made.columns,
            size=made.path.stat().st_size,
            sha256=made.sha256.result(),
            commands=made.commands,
            duplicates=made.duplicates,
            nullpk=made.nullpk,
            invalid=self._invalid.counts.get(target.identifier, 0),
            sorted_sha256=made.sorted_sha256.result() if made.sorted_sha256 else None,
            source=made.source,
            source_rows=made.source_rows,
        )
