"""Lists of changes: the rows of one key, in file order, folded into the one command with the same net effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.model import SourceType
from airflow_provider_idm.synchronization.engine import identifier
from airflow_provider_idm.synchronization.prepare.cleanse import repeated_keys
from airflow_provider_idm.synchronization.prepare.side import copy
from airflow_provider_idm.synchronization.prepare.targets import ENTITY_TYPE

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable
    from airflow_provider_idm.synchronization.prepare.targets import Target


def write_folded(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target, type_: SourceType, path: Path
) -> int:
    """Write ``<name>.sorted.delta`` and return its rows."""
    keys = fold_keys(table, target)
    repeated = repeated_keys(connection, table, keys) or "false"
    # an update of a directory export brings only what has changed
    update = "merge" if type_ is SourceType.ACTIVE_DIRECTORY else "update"
    command = f"CASE command WHEN 'update' THEN '{update}' ELSE command END"
    if target.owner is not None:
        query = _owned(table, target, command, repeated)
    elif target.kind == ENTITY_TYPE:
        query = _entity_type(table, target, command, repeated)
    else:
        query = _pairs(table, target, repeated)
    return copy(connection, query, path, header=True)


def fold_keys(table: LoadedTable, target: Target) -> list[str]:
    """Return the columns whose rows form a sequence: the primary key, the pair, or the owner."""
    return [table.value(target.owner)] if target.owner else [table.value(c) for c in target.keys]


def _entity_type(table: LoadedTable, target: Target, command: str, repeated: str) -> str:
    key = table.value(target.keys[0])
    names = [identifier(c.name) for c in target.columns]
    values = [table.value(c) for c in target.columns]

    def written(deleted: str, expressions: list[str]) -> str:
        return ", ".join(
            f"{e} AS {n}" if c.is_key else f"CASE WHEN NOT {deleted} THEN {e} END AS {n}"
            for e, n, c in zip(expressions, names, target.columns, strict=True)
        )

    kept = written("(command = 'delete')", values)
    single = (
        f"SELECT {command} AS command, {kept} FROM {table.relation} "
        f"WHERE {key} IS NOT NULL AND NOT {repeated}"
    )
    last = [f"arg_max(v.{v}, r) FILTER (v.{v} IS NOT NULL AND r >= begin)" for v in dict.fromkeys(values)]
    named = dict(zip(dict.fromkeys(values), (f"l{n}" for n in range(len(last))), strict=True))
    aggregates = ", ".join(f"{e} AS {n}" for e, n in zip(last, named.values(), strict=True))
    folded = (
        f"SELECT CASE WHEN deleted = latest THEN 'delete' WHEN deleted IS NOT NULL OR opening = 'update' THEN 'update' "
        f"WHEN whole IS NOT NULL THEN 'insert' ELSE 'merge' END AS command, "
        + written(
            "(deleted IS NOT NULL AND deleted = latest)",
            ["k" if c.is_key else named[table.value(c)] for c in target.columns],
        )
        + f" FROM (SELECT k, deleted, latest, opening, whole, {aggregates} "
        f"FROM rows_ v JOIN spans USING (k) GROUP BY ALL)"
    )
    rows = f"SELECT rowid AS r, {key} AS k, {command} AS c, {', '.join(dict.fromkeys(values))} FROM {table.relation} WHERE {repeated}"
    return (
        f"WITH rows_ AS MATERIALIZED ({rows}), spans AS ({_spans()}) "
        f"({single}) UNION ALL ({folded}) ORDER BY {identifier(target.keys[0].name)}"
    )


def _spans() -> str:
    """Return, per key k, the last delete, the last whole row, and where what still counts begins."""
    return (
        "SELECT k, max(r) AS latest, arg_min(c, r) AS opening, max(r) FILTER (c = 'delete') AS deleted, "
        "max(r) FILTER (c IN ('insert', 'update')) AS whole, "
        "greatest(coalesce(max(r) FILTER (c IN ('insert', 'update')), -1), "
        "coalesce(max(r) FILTER (c = 'delete'), -1) + 1) AS begin FROM rows_ GROUP BY k"
    )


def _pairs(table: LoadedTable, target: Target, repeated: str) -> str:
    """A pair is there or not: its last row decides."""
    one, two = (table.value(c) for c in target.columns)
    command = "CASE command WHEN 'delete' THEN 'delete' ELSE 'insert' END"
    present = f"{one} IS NOT NULL AND {two} IS NOT NULL"
    return (
        f"SELECT {command} AS command, {one} AS key1, {two} AS key2 FROM {table.relation} "
        f"WHERE {present} AND NOT {repeated} UNION ALL "
        f"SELECT arg_max({command}, rowid), {one}, {two} FROM {table.relation} WHERE {repeated} GROUP BY {one}, {two} "
        f"ORDER BY key1, key2"
    )


def _owned(table: LoadedTable, target: Target, command: str, repeated: str) -> str:
    """The link of an entity's own row: the last row that says something about it decides.

    A merge says something only if it names the other side. Merges may leave out the entity's own key, which then is
    that of an earlier row. A whole row without an own key cannot be linked to: it only removes links.
    """
    (owner,) = fold_keys(table, target)
    values = [table.value(c) for c in target.columns]
    own, other = values if target.owner_side == 1 else values[::-1]
    keys = "own AS key1, other AS key2" if target.owner_side == 1 else "other AS key1, own AS key2"
    rows = (
        f"SELECT rowid AS r, {owner} AS k, {command} AS c, {own} AS own, {other} AS other "
        f"FROM {table.relation} WHERE {owner} IS NOT NULL"
    )
    single = (
        "SELECT CASE WHEN c <> 'merge' AND own IS NULL THEN 'delete' ELSE c END AS command, own, "
        f"CASE WHEN c <> 'delete' AND (c = 'merge' OR own IS NOT NULL) THEN other END AS other, k "
        f"FROM ({rows} AND NOT {repeated}) WHERE c <> 'merge' OR other IS NOT NULL"
    )
    folded = (
        "SELECT arg_max(c, r) FILTER (c <> 'merge' OR other IS NOT NULL) AS last, "
        "CASE WHEN last = 'delete' THEN arg_max(own, r) FILTER (own IS NOT NULL AND r <= deleted) "
        "ELSE arg_max(own, r) FILTER (own IS NOT NULL AND r >= begin) END AS own, "
        "arg_max(other, r) FILTER (other IS NOT NULL AND r >= begin AND c <> 'delete') AS other, "
        "last <> 'delete' AND own IS NULL AND (any_value(deleted) IS NOT NULL OR any_value(whole) IS NOT NULL) AS lost, k "
        "FROM rows_ JOIN spans USING (k) GROUP BY k HAVING last IS NOT NULL"
    )
    folded = (
        "SELECT CASE WHEN lost THEN 'delete' ELSE last END AS command, own, "
        f"CASE WHEN last <> 'delete' AND NOT lost THEN other END AS other, k FROM ({folded})"
    )
    return (
        f"WITH rows_ AS MATERIALIZED ({rows} AND {repeated}), spans AS ({_spans()}) "
        f"SELECT command, {keys}, k AS owner FROM (({single}) UNION ALL ({folded})) ORDER BY owner"
    )
