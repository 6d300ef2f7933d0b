"""Lists of changes: the rows of one key, in file order, folded into the one command with the same net effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.engine import identifier
from airflow_provider_idm.synchronization.prepare.cleanse import repeated_keys
from airflow_provider_idm.synchronization.prepare.side import copy
from airflow_provider_idm.synchronization.prepare.targets import ENTITY_TYPE

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable
    from airflow_provider_idm.synchronization.prepare.targets import Target

_SPANS: Final = """
    SELECT k, max(r) AS latest, arg_min(c, r) AS opening, max(r) FILTER (c = 'delete') AS deleted,
           max(r) FILTER (c IN ('insert', 'update')) AS whole,
           greatest(coalesce(whole, -1), coalesce(deleted, -1) + 1) AS begin
    FROM sequences GROUP BY k
"""
"""Per key k: its last row, its first command, its last delete, its last whole row, where what still counts begins."""


def write_folded(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, target: Target, type_: SourceType, path: Path
) -> int:
    """Write ``<name>.sorted.delta`` and return its rows.

    Rows whose key is theirs alone are passed through; only the others (``repeated``) are sequences.
    """
    repeated = repeated_keys(connection, table, fold_keys(table, target)) or "false"
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
    values = list(dict.fromkeys(table.value(c) for c in target.columns))
    fields = ", ".join(
        f"k AS {identifier(c.name)}"
        if c.is_key
        else f"CASE WHEN command <> 'delete' THEN {table.value(c)} END AS {identifier(c.name)}"
        for c in target.columns
    )
    rows = f"SELECT rowid AS r, {key} AS k, {command} AS c, {', '.join(values)} FROM {table.relation}"
    last = ", ".join(f"arg_max({v}, r) FILTER ({v} IS NOT NULL AND r >= begin) AS {v}" for v in values)
    return f"""
        WITH sequences AS MATERIALIZED ({rows} WHERE {repeated}),
        spans AS ({_SPANS}),
        folded AS (
            SELECT CASE WHEN deleted = latest THEN 'delete'
                        WHEN deleted IS NOT NULL OR opening = 'update' THEN 'update'
                        WHEN whole IS NOT NULL THEN 'insert'
                        ELSE 'merge' END AS command, *
            FROM (SELECT k, latest, opening, deleted, whole, {last} FROM sequences JOIN spans USING (k) GROUP BY ALL)
        ),
        single AS (SELECT c AS command, * FROM ({rows} WHERE {key} IS NOT NULL AND NOT {repeated}))
        SELECT command, {fields} FROM (SELECT * FROM single UNION ALL BY NAME SELECT * FROM folded) ORDER BY k
    """


def _pairs(table: LoadedTable, target: Target, repeated: str) -> str:
    """Decide whether a pair is there or not: its last row says so."""
    one, two = (table.value(c) for c in target.columns)
    command = "CASE command WHEN 'delete' THEN 'delete' ELSE 'insert' END"
    return f"""
        SELECT {command} AS command, {one} AS key1, {two} AS key2 FROM {table.relation}
        WHERE {one} IS NOT NULL AND {two} IS NOT NULL AND NOT {repeated}
        UNION ALL
        SELECT arg_max({command}, rowid), {one}, {two} FROM {table.relation} WHERE {repeated} GROUP BY {one}, {two}
        ORDER BY key1, key2
    """


def _owned(table: LoadedTable, target: Target, command: str, repeated: str) -> str:
    """Decide on the link of an entity's own row: the last row that says something about it does.

    A merge says something only if it names the other side. It may leave out the entity's own key, which then is that
    of an earlier row. A whole row without an own key cannot be linked to: it only removes links.
    """
    (owner,) = fold_keys(table, target)
    values = [table.value(c) for c in target.columns]
    own, other = values if target.owner_side == 1 else values[::-1]
    keys = ("own AS key1", "other AS key2") if target.owner_side == 1 else ("other AS key1", "own AS key2")
    rows = (
        f"SELECT rowid AS r, {owner} AS k, {command} AS c, {own} AS own, {other} AS other "
        f"FROM {table.relation} WHERE {owner} IS NOT NULL"
    )
    return f"""
        WITH sequences AS MATERIALIZED ({rows} AND {repeated}),
        spans AS ({_SPANS}),
        folded AS (
            SELECT k, arg_max(c, r) FILTER (c <> 'merge' OR other IS NOT NULL) AS last,
                   arg_max(own, r) FILTER (own IS NOT NULL AND r <= deleted) AS own_before,
                   arg_max(own, r) FILTER (own IS NOT NULL AND r >= begin) AS own_now,
                   arg_max(other, r) FILTER (other IS NOT NULL AND r >= begin) AS other,
                   any_value(coalesce(deleted, whole)) IS NOT NULL AS is_whole
            FROM sequences JOIN spans USING (k) GROUP BY k
        ),
        decided AS (
            SELECT k, c AS last, own, other, c <> 'merge' AND own IS NULL AS lost
            FROM ({rows} AND NOT {repeated}) WHERE c <> 'merge' OR other IS NOT NULL
            UNION ALL
            SELECT k, last, CASE last WHEN 'delete' THEN own_before ELSE own_now END, other,
                   is_whole AND own_now IS NULL
            FROM folded WHERE last IS NOT NULL
        ),
        written AS (
            SELECT CASE WHEN lost THEN 'delete' ELSE last END AS command, k AS owner, own,
                   CASE WHEN last <> 'delete' AND NOT lost THEN other END AS other
            FROM decided
        )
        SELECT command, {", ".join(keys)}, owner FROM written ORDER BY owner
    """
