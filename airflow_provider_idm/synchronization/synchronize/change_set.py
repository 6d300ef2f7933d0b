"""Every change of one or several differences, named as people name things: what a plan tells and a person reviews."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.engine import literal, record_batches, scalar
from airflow_provider_idm.errors import SynchronizeError
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from airflow_provider_idm.synchronization.synchronize.changes import ChangeRows
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.review import Change, ChangeGroup, Review

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

COLUMNS: Final = ("batch", "kind", "type", "operation", "key1", "key2", "property", "old", "new")
"""Columns of the changes; see ``ChangeSet.to_frame``."""
FORMATS: Final = {
    ".csv": "(HEADER, DELIMITER ',', NULLSTR '')",
    ".parquet": "(FORMAT parquet)",
    ".json": "(FORMAT json, ARRAY true)",
}
"""How changes are written, by a file's extension."""
SAMPLE: Final = 10
"""Changes shown per entity type or association and operation."""
_TABLE: Final = "changes_by_name"
_LIST: Final = ", ".join(COLUMNS)
_ROWS_A_BATCH: Final = 100_000


class ChangeSet:
    """The changes of differences, one row each, in a DuckDB table."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._places = 0
        columns = ", ".join(f"{name} VARCHAR" for name in COLUMNS)
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {_TABLE} (place BIGINT, part INTEGER, {columns})")

    def add(self, difference: Difference, rows: ChangeRows) -> None:
        """Add every change of a difference.

        :param rows: its change rows, values by property.
        """
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
        for other in difference.layout.catalogue.others:
            if lost := rows.lost_links(other):
                name = literal(other.identifier)
                parts.append(f"SELECT 'link', {name}, op, pk1, pk2, NULL, NULL, NULL FROM ({lost})")
        batch = literal(difference.manifest.batch)
        for number, part in enumerate(parts):
            self._duck.execute(
                f"INSERT INTO {_TABLE} SELECT {self._places}, {number}, {batch}, * FROM ({part})"
            )
        self._places += 1

    def review(self, manifest: Manifest, sample: int = SAMPLE) -> Review:
        """Return what a person needs to decide about one batch.

        :param sample: changes shown per entity type or association and operation.
        """
        own = f"FROM {_TABLE} WHERE batch = {literal(manifest.batch)}"
        groups = self._duck.execute(
            f"SELECT kind, type, operation, count(*) {own} GROUP BY part, kind, type, operation ORDER BY part, operation"
        ).fetchall()
        return Review(
            batch=manifest.batch,
            mode=manifest.mode.name.capitalize(),
            effective_date=manifest.effective_date,
            change_set=self._hash(own),
            groups=tuple(
                ChangeGroup(kind, name, operation, total, self._sample(own, kind, name, operation, sample))
                for kind, name, operation, total in groups
            ),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return every change as a row.

        Columns: ``batch``, ``kind`` (resource, link, file), ``type``, ``operation``, ``key1``, ``key2`` (links),
        ``property`` (files), ``old`` and ``new`` (JSON objects by property; hashes for files).
        """
        return self._duck.execute(self._ordered()).df()

    def write(self, path: Path) -> int:
        """Write every change to a file, in the format of its extension; return how many there are.

        :raises SynchronizeError: for an extension other than ``.csv``, ``.parquet`` and ``.json``.
        """
        format_ = FORMATS.get(path.suffix.lower())
        if format_ is None:
            raise SynchronizeError(f"{path}: changes are written as {', '.join(FORMATS)}")
        rows = self._ordered()
        if path.suffix.lower() == ".json":
            rows = f"SELECT * REPLACE ({_nested('old')}, {_nested('new')}) FROM ({rows})"
        return int(scalar(self._duck, f"COPY ({rows}) TO {literal(str(path))} {format_}"))

    def _sample(self, own: str, kind: str, name: str, operation: str, sample: int) -> tuple[Change, ...]:
        rows = self._duck.execute(
            f"SELECT key1, key2, property, old, new {own} AND kind = ? AND type = ? AND operation = ? "
            f"ORDER BY key1, key2, property LIMIT {sample}",
            [kind, name, operation],
        ).fetchall()
        return tuple(_change(*row) for row in rows)

    def _hash(self, own: str) -> str:
        """Hash the changes' own hashes, sorted: neither order nor database matter."""
        row = "json_array(kind, type, operation, key1, key2, property, old, new)::VARCHAR"
        hashes = f"SELECT sha256({row}) AS hash {own} ORDER BY hash"
        digest = hashlib.sha256()
        for batch in record_batches(self._duck, hashes, _ROWS_A_BATCH):
            digest.update("".join(batch.column(0).to_pylist()).encode())
        return digest.hexdigest()

    @staticmethod
    def _ordered() -> str:
        return f"SELECT {_LIST} FROM {_TABLE} ORDER BY place, part, key1, key2, property, operation"


def _change(key1: str | None, key2: str | None, name: str | None, old: str | None, new: str | None) -> Change:
    def values(text: str | None) -> dict[str, Any] | None:
        if text is None:
            return None
        return {name: text} if name else json.loads(text)

    return Change(key1 or "", key2, values(old), values(new))


def _nested(column: str) -> str:
    """Return the expression for values as JSON of their own, not as a text that holds JSON; a file has a hash."""
    return f"CASE WHEN kind = 'file' THEN to_json({column}) ELSE {column}::JSON END AS {column}"
