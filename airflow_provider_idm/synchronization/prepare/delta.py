"""Full extracts compared: what changed between the sorted file of the last prepare and the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.synchronization.engine import identifier, literal
from airflow_provider_idm.synchronization.prepare.side import copy, line_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.targets import Target


def write_delta(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    former: Path,
    current: Path,
    path: Path,
    longest: int,
) -> int:
    """Write ``<name>.sorted.delta`` and return its rows: inserts and updates whole, deletes with their key alone."""
    names = [c.name for c in target.columns]
    columns = [(identifier(c.name), c.is_key) for c in target.columns]
    keys = [name for name, is_key in columns if is_key]
    others = [name for name, is_key in columns if not is_key]
    same_key = " AND ".join(f"n.{k} = o.{k}" for k in keys)
    first = keys[0]
    changed = ""
    if others:
        new, old = (", ".join(f"{side}.{name}" for name in others) for side in "no")
        changed = f" OR row({new}) IS DISTINCT FROM row({old})"
    fields = ", ".join(
        f"coalesce(n.{name}, o.{name}) AS {name}" if is_key else f"n.{name} AS {name}"
        for name, is_key in columns
    )
    query = (
        f"SELECT CASE WHEN o.{first} IS NULL THEN 'insert' WHEN n.{first} IS NULL THEN 'delete' ELSE 'update' END "
        f"AS command, {fields} FROM {read_clean(current, names, longest)} n FULL JOIN {read_clean(former, names, longest)} o "
        f"ON {same_key} WHERE n.{first} IS NULL OR o.{first} IS NULL{changed} "
        f"ORDER BY {', '.join(str(n + 2) for n, (_, is_key) in enumerate(columns) if is_key)}"
    )
    return copy(connection, query, path, header=True)


def count_commands(
    connection: duckdb.DuckDBPyConnection, path: Path, names: Sequence[str], longest: int
) -> dict[str, int]:
    """Return the rows per command of a ``.sorted.delta``."""
    query = f"SELECT command, count(*) FROM {read_clean(path, names, longest)} GROUP BY 1 ORDER BY 1"
    return dict(connection.execute(query).fetchall())


def read_clean(path: Path, names: Sequence[str], longest: int) -> str:
    """Return SQL that reads a clean file.

    :param names: its columns.
    :param longest: bytes that its longest line may have.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(str(path))}, delim=',', quote='\"', escape='\"', header=true, auto_detect=false, "
        f"nullstr='', columns={{{columns}}}{line_size(longest)})"
    )
