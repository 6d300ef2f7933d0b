"""Cleansing: rows without a key and duplicates set aside, the others sorted by key in code-point order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.engine import identifier, scalar
from airflow_provider_idm.synchronization.prepare.side import append, copy, source_rows, write_header

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable
    from airflow_provider_idm.synchronization.prepare.targets import Target


ASIDE = "set_aside"
"""The table of records that do not get into a clean file: target (its number), kind, record."""
NULLPK = "nullpk"
DUPLICATES = "duplicates"


def set_aside(
    connection: duckdb.DuckDBPyConnection,
    table: LoadedTable,
    keys_of_targets: Sequence[Sequence[str]],
    *,
    with_duplicates: bool,
) -> None:
    """Find, for each target, the rows without a key, and all but the first row of each key.

    :param keys_of_targets: the key columns of each target, in the order of ``table.targets``.
    :param with_duplicates: False where several rows of a key are a sequence.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {ASIDE} (target INTEGER, kind VARCHAR, r BIGINT)"
    ).fetchall()
    for number, keys in enumerate(keys_of_targets):
        insert = f"INSERT INTO {ASIDE} SELECT {number}"
        missing = f"SELECT rowid AS r FROM {table.relation} WHERE NOT {_present(keys)}"
        connection.execute(f"{insert}, '{NULLPK}', r FROM ({missing})").fetchall()
        if with_duplicates and (repeated := repeated_keys(connection, table, keys)):
            again = (
                f"SELECT r FROM (SELECT rowid AS r, {', '.join(keys)} FROM {table.relation} WHERE {repeated}) "
                f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY r) > 1"
            )
            connection.execute(f"{insert}, '{DUPLICATES}', r FROM ({again})").fetchall()


def repeated_keys(connection: duckdb.DuckDBPyConnection, table: LoadedTable, keys: Sequence[str]) -> str:
    """Return the condition that a row has a key and another row may have the same; empty if there is none.

    Told by a 64-bit hash, which is quick and small; whoever uses it looks at the keys themselves.
    """
    hashes = f"{table.relation}_hashes"
    hashed = f"hash({', '.join(keys)})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {hashes} AS SELECT {hashed} AS h FROM {table.relation} "
        f"WHERE {_present(keys)} GROUP BY 1 HAVING count(*) > 1"
    ).fetchall()
    if not scalar(connection, f"SELECT count(*) FROM {hashes}"):
        return ""
    return f"({_present(keys)} AND {hashed} IN (SELECT h FROM {hashes}))"


def write_side_files(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, folder: Path
) -> dict[tuple[str, str], int]:
    """Write ``<name>.nullpk.csv`` and ``<name>.duplicates.csv`` of all targets of a source file.

    :return: their rows, by target and kind.
    """
    header = [*table.header.names, "line"]
    texts = ", ".join(f"c{n}" for n in range(len(table.header.names)))
    rows = f"{table.relation}_aside"
    if scalar(connection, f"SELECT count(*) FROM {ASIDE}"):
        wanted = source_rows(connection, table, f"SELECT r FROM {ASIDE}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {rows} AS {wanted}").fetchall()
    counted = connection.execute(f"SELECT target, kind, count(*) FROM {ASIDE} GROUP BY ALL").fetchall()
    counts = {(table.targets[t].identifier, kind): int(n) for t, kind, n in counted}
    for number, target in enumerate(table.targets):
        for kind in (NULLPK, DUPLICATES):
            path = folder / f"{target.identifier}.{kind}.csv"
            write_header(path, header)
            if counts.setdefault((target.identifier, kind), 0):
                of_target = f"SELECT r FROM {ASIDE} WHERE target = {number} AND kind = '{kind}'"
                append(
                    connection, f"SELECT {texts}, line FROM {rows} WHERE r IN ({of_target}) ORDER BY r", path
                )
    return counts


def write_sorted(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target, path: Path
) -> int:
    """Write ``<name>.sorted.csv`` and return its rows."""
    keys = [table.value(c) for c in target.keys]
    columns = ", ".join(f"{table.value(c)} AS {identifier(c.name)}" for c in target.columns)
    condition = _present(keys)
    number = table.targets.index(target)
    again = f"SELECT r FROM {ASIDE} WHERE target = {number} AND kind = '{DUPLICATES}'"
    if scalar(connection, f"SELECT count(*) FROM ({again})"):
        condition += f" AND rowid NOT IN ({again})"
    query = f"SELECT {columns} FROM {table.relation} WHERE {condition} ORDER BY {', '.join(keys)}"
    return copy(connection, query, path, header=True)


def _present(keys: Sequence[str]) -> str:
    return "(" + " AND ".join(f"{key} IS NOT NULL" for key in keys) + ")"
