"""Rows of a source file as they stand in it, with the line on which each begins."""

from __future__ import annotations

import csv
import io
import shutil
from typing import TYPE_CHECKING

from airflow_provider_idm.engine import literal, scalar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable

CSV_OPTIONS = "FORMAT csv, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', COMMENT ''"
"""Clean files: comma, LF, quotes only where needed (without ``COMMENT ''`` DuckDB would quote ``#``)."""


_LONGEST_LINE = 2_000_000
"""Bytes of a line that DuckDB reads without being told."""


def line_size(longest: int) -> str:
    """Return the option with which DuckDB reads lines of that many bytes."""
    return f", max_line_size={longest + 1024}" if longest > _LONGEST_LINE else ""


def source_rows(connection: duckdb.DuckDBPyConnection, table: LoadedTable, wanted: str) -> str:
    """Return SQL of source rows: ``r`` (the record's number), ``c0`` … ``c<n>`` as they stand, ``line``.

    :param wanted: a query of the record numbers that are wanted.
    """
    rows = f"SELECT * FROM ({_all_rows(table)}) WHERE r IN ({wanted})"
    first = table.structure.first_line
    extra = table.structure.extra_lines()
    if not extra.size:
        return f"SELECT *, {first} + r AS line FROM ({rows})"
    steps = _extra_table(connection, table)
    return f"SELECT s.*, {first} + s.r + coalesce(e.n, 0) AS line FROM ({rows}) s ASOF LEFT JOIN {steps} e ON s.r >= e.r"


def write_header(path: Path, names: Sequence[str]) -> None:
    """Begin a clean file; unlike in a table, names may repeat or be empty."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    path.write_text(line.getvalue(), encoding="utf-8", newline="")


def append(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Add a query's rows to a clean file and return how many there are."""
    body = path.with_name(f"{path.name}.body")
    count = copy(connection, query, body, header=False)
    with path.open("ab") as file, body.open("rb") as rows:
        shutil.copyfileobj(rows, file, 1 << 20)
    body.unlink()
    return count


def copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, *, header: bool) -> int:
    """Write a query's rows as a clean file and return how many there are."""
    options = f"{CSV_OPTIONS}, HEADER {'true' if header else 'false'}"
    return int(scalar(connection, f"COPY ({query}) TO {literal(str(path))} ({options})"))


def _all_rows(table: LoadedTable) -> str:
    if table.verbatim:
        texts = ", ".join(f"{value} AS {text}" for text, value in table.verbatim.items())
        return f"SELECT rowid AS r, {texts} FROM {table.relation}"
    return f"SELECT row_number() OVER () - 1 AS r, * FROM {table.reader}"


def _extra_table(connection: duckdb.DuckDBPyConnection, table: LoadedTable) -> str:
    """Return the table of (record, extra lines before it or further up)."""
    import numpy as np  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    name = f"{table.relation}_extra"
    records, counts = np.unique(table.structure.extra_lines(), return_counts=True)
    connection.register(f"{name}_steps", pa.table({"r": records, "n": np.cumsum(counts)}))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT r, n FROM {name}_steps").fetchall()
    connection.unregister(f"{name}_steps")
    return name


def count_commands(
    connection: duckdb.DuckDBPyConnection, path: Path, names: Sequence[str], longest: int
) -> dict[str, int]:
    """Return the rows per command of a ``.sorted.delta``.

    :param names: its columns.
    :param longest: bytes that the longest record of the sources has.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    # quoting doubles a record at most
    reader = (
        f"read_csv({literal(str(path))}, delim=',', quote='\"', escape='\"', header=true, auto_detect=false, "
        f"nullstr='', columns={{{columns}}}{line_size(2 * longest + 4096)})"
    )
    rows = connection.execute(f"SELECT command, count(*) FROM {reader} GROUP BY 1 ORDER BY 1").fetchall()
    return dict(rows)
