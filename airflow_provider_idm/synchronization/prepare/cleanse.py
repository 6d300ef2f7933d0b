"""Cleansing: rows without a key and duplicates set aside, the others sorted by key in code-point order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_idm.synchronization.engine import identifier, scalar
from airflow_provider_idm.synchronization.prepare.side import copy, source_rows, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable
    from airflow_provider_idm.synchronization.prepare.targets import Target


@dataclass(frozen=True, slots=True)
class SetAside:
    """Rows of a target that do not get into its clean file: queries of record numbers."""

    nullpk: str
    duplicates: str


def write_sorted(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target, aside: SetAside, path: Path
) -> int:
    """Write ``<name>.sorted.csv`` and return its rows."""
    keys = [table.value(c) for c in target.keys]
    columns = ", ".join(f"{table.value(c)} AS {identifier(c.name)}" for c in target.columns)
    condition = (
        f"{_present(keys)} AND rowid NOT IN ({aside.duplicates})" if aside.duplicates else _present(keys)
    )
    query = f"SELECT {columns} FROM {table.relation} WHERE {condition} ORDER BY {', '.join(keys)}"
    return copy(connection, query, path, header=True)


def set_aside(connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target) -> SetAside:
    """Find the rows without a key, and all but the first row of each key."""
    keys = [table.value(c) for c in target.keys]
    duplicates = f"{table.relation}_duplicates"
    repeated = repeated_keys(connection, table, keys)
    query = (
        f"SELECT r FROM (SELECT rowid AS r, {', '.join(keys)} FROM {table.relation} WHERE {repeated}) "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY r) > 1"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {duplicates} AS {query}")
    found = scalar(connection, f"SELECT count(*) FROM {duplicates}")
    return SetAside(null_keys(table, keys), f"SELECT r FROM {duplicates}" if found else "")


def null_keys(table: LoadedTable, keys: list[str]) -> str:
    """Return the query of the rows without a key."""
    return f"SELECT rowid AS r FROM {table.relation} WHERE NOT {_present(keys)}"


def repeated_keys(connection: duckdb.DuckDBPyConnection, table: LoadedTable, keys: list[str]) -> str:
    """Return the condition that a row has a key and another row may have the same.

    Told by a 64-bit hash, which is quick and small; whoever uses it looks at the keys themselves.
    """
    hashes = f"{table.relation}_hashes"
    hashed = f"hash({', '.join(keys)})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {hashes} AS SELECT {hashed} AS h FROM {table.relation} "
        f"WHERE {_present(keys)} GROUP BY 1 HAVING count(*) > 1"
    )
    return f"({_present(keys)} AND {hashed} IN (SELECT h FROM {hashes}))"


def write_side_files(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target, aside: SetAside, folder: Path
) -> tuple[int, int]:
    """Write ``<name>.nullpk.csv`` and ``<name>.duplicates.csv``; return their rows."""
    counts = []
    for rows, end in ((aside.nullpk, "nullpk"), (aside.duplicates, "duplicates")):
        path = folder / f"{target.identifier}.{end}.csv"
        names = [*table.header.names, "line"]
        columns = ", ".join(f"c{n}" for n in range(len(table.header.names)))
        if rows and scalar(connection, f"SELECT 1 FROM ({rows}) LIMIT 1"):
            query = f"SELECT {columns}, line FROM ({source_rows(connection, table, rows)}) ORDER BY r"
            counts.append(write_rows(connection, query, names, path))
        else:
            counts.append(write_rows(connection, "SELECT 1 WHERE false", names, path))
    return counts[0], counts[1]


def _present(keys: list[str]) -> str:
    return "(" + " AND ".join(f"{key} IS NOT NULL" for key in keys) + ")"
