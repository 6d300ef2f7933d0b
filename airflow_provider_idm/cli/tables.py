"""Arrow tables as CSV, JSON and Parquet: text, streamed in pieces, files written as a whole."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_idm.local_files import FileAccessError
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_PIECE = 10_000


def print_csv(table: pa.Table) -> None:
    """Write a table as CSV on standard output: UTF-8, line feeds, quotes only where needed, empty for null."""
    with _standard_output() as file:
        _write_csv(table, file)


def print_json(table: pa.Table, head: Mapping[str, str]) -> None:
    """Write a table as one JSON object on standard output: ``head`` and the ``rows``."""
    with _standard_output() as file:
        opening = "".join(
            f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}, " for key, value in head.items()
        )
        file.write(f'{{{opening}"rows": ')
        _write_json(table, file)
        file.write("}\n")


def print_text(text: str) -> None:
    """Write a text on standard output as it is, in UTF-8, whatever the terminal's encoding."""
    with _standard_output() as file:
        file.write(text)


def write_file(table: pa.Table, path: Path) -> None:
    """Write a table as its extension says: CSV, JSON (a list of objects) or Parquet; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        if path.suffix.casefold() == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, temporary)
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                if path.suffix.casefold() == ".json":
                    _write_json(table, file)
                    file.write("\n")
                else:
                    _write_csv(table, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(table: pa.Table, file: IO[str]) -> None:
    writer = CsvWriter(file)
    writer.write(table.column_names)
    for batch in table.to_batches(_ROWS_A_PIECE):
        columns = [
            ["" if value is None else str(value) for value in column.to_pylist()] for column in batch.columns
        ]
        for row in zip(*columns, strict=True):
            writer.write(row)


def _write_json(table: pa.Table, file: IO[str]) -> None:
    file.write("[")
    separator = "\n"
    for batch in table.to_batches(_ROWS_A_PIECE):
        for row in batch.to_pylist():
            file.write(f"{separator}{json.dumps(row, ensure_ascii=False, default=str)}")
            separator = ",\n"
    file.write("\n]")


@contextlib.contextmanager
def _standard_output() -> Iterator[IO[str]]:
    """Give standard output as UTF-8 that leaves line feeds alone, on every system.

    :raises FileAccessError: if it is closed.
    """
    if sys.stdout is None:
        raise FileAccessError("standard output is closed; redirect it, or name a file with --output")
    sys.stdout.flush()
    binary: Any = sys.stdout.buffer
    file = io.TextIOWrapper(binary, encoding="utf-8", newline="", write_through=False)
    try:
        yield file
        file.flush()
    finally:
        file.detach()
