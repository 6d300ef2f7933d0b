"""The files of a batch as DuckDB views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airflow_provider_idm.engine import identifier, literal
from airflow_provider_idm.synchronization.synchronize.layout import EntityLayout

_LONGEST_LINE = 64 << 20
"""Bytes of a line that holds a file's value as base64."""


def read_clean_file(path: Path, columns: Sequence[str], *, long_lines: bool = False) -> str:
    """Return the FROM item for a clean file: comma, header, every column text, empty is NULL."""
    types = ", ".join(f"{literal(c)}: 'VARCHAR'" for c in columns)
    more = f", max_line_size={_LONGEST_LINE}, buffer_size={2 * _LONGEST_LINE}" if long_lines else ""
    return (
        f"read_csv({literal(str(path))}, delim=',', quote='\"', escape='\"', header=true, auto_detect=false, "
        f"nullstr='', columns={{{types}}}{more})"
    )


def entity_view(layout: EntityLayout, path: Path, columns: Sequence[str]) -> str:
    """Return the query that shapes an entity type's file like its stored rows: ``pk``, columns, hashes of files.

    A list of changes keeps its ``command``; a file's value stands beside its hash as ``<hash column>_value``.
    """
    command = "command, " if "command" in columns else ""
    key = identifier(layout.mapped.primary_key.identifier)
    selected = [f"{command}{key} AS pk"]
    selected += [f"{identifier(item)} AS {identifier(name)}" for name, item in layout.columns]
    for file in layout.files:
        value = identifier(file.property)
        selected.append(f"sha256(from_base64({value})) AS {identifier(file.column)}")
        selected.append(f"{value} AS {identifier(file.column + '_value')}")
    source = read_clean_file(path, columns, long_lines=bool(layout.files))
    return f"SELECT {', '.join(selected)} FROM {source}"
