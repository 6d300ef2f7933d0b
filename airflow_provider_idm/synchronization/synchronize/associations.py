"""From association rows to links: resolve keys, set orphans aside, settle conflicts, compare with what is stored.

Tables of association ``n``: ``link_n`` (stored links in scope) and ``remembered_n`` (stored rows without a link) come
in; ``desired_n`` and ``unresolved_n`` are what they should be; ``link_change_n`` and ``remembered_change_n`` the
difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_idm.engine import has_rows, joins_as_written
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout
from airflow_provider_idm.synchronization.synchronize.result import AssociationCounts

if TYPE_CHECKING:
    import duckdb

CONFLICT: Final = "conflict"
"""Reason of a row that lost its mono-valued side to another; the other reasons are an orphan's ``missing``."""


def resolve(
    duck: duckdb.DuckDBPyConnection, layout: AssociationLayout, rows: str, after1: str, after2: str
) -> None:
    """Make ``desired_n`` (``r1``, ``r2``) and ``unresolved_n`` (``key1``, ``key2``, ``reason``).

    :param rows: FROM item with ``key1``, ``key2``: every row present in scope, distinct.
    :param after1: table (``k``, ``id``, ``n``) of side 1's keys once the difference is applied; ``after2`` likewise.
    """
    mono = layout.mono(1) or layout.mono(2)
    # The keys of a row that makes a link are only needed where rows compete.
    kept = (
        ("key1", "key2")
        if mono
        else ("CASE WHEN NOT linked THEN key1 END", "CASE WHEN NOT linked THEN key2 END")
    )
    resolved = layout.table("resolved")
    with joins_as_written(duck):
        duck.execute(
            f"""CREATE OR REPLACE TEMP TABLE {resolved} AS
            SELECT CASE WHEN linked THEN id1 END AS r1, CASE WHEN linked THEN id2 END AS r2,
                   {kept[0]} AS key1, {kept[1]} AS key2,
                   CASE WHEN linked THEN NULL
                        WHEN k1 IS NULL AND k2 IS NULL THEN 'both' WHEN k1 IS NULL THEN '1'
                        WHEN k2 IS NULL THEN '2' ELSE 'ambiguous' END AS reason
            FROM (SELECT r.key1, r.key2, a.k AS k1, a.id AS id1, b.k AS k2, b.id AS id2,
                         coalesce(a.n = 1 AND b.n = 1, false) AS linked
                  FROM {rows} r LEFT JOIN {after1} a ON a.k = r.key1 LEFT JOIN {after2} b ON b.k = r.key2)"""
        )
    desired, unresolved = layout.table("desired"), layout.table("unresolved")
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {unresolved} AS "
        f"SELECT key1, key2, reason FROM {resolved} WHERE reason IS NOT NULL"
    )
    if mono:
        _settle_conflicts(duck, layout, resolved)
    else:
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {desired} AS SELECT r1, r2 FROM {resolved} WHERE reason IS NULL"
        )
    duck.execute(f"DROP TABLE {resolved}")


def _settle_conflicts(duck: duckdb.DuckDBPyConnection, layout: AssociationLayout, resolved: str) -> None:
    """Accept rows in sorted order, each if no mono-valued side of it is taken already.

    Done in rounds: a row that is the first at every mono-valued side it touches is accepted, the rows that share such a
    side with it lose. With one mono-valued side the first round settles everything.
    """
    left, desired = layout.table("competing"), layout.table("desired")
    duck.execute(f"CREATE OR REPLACE TEMP TABLE {desired} (r1 BIGINT, r2 BIGINT)")
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {left} AS SELECT key1, key2, r1, r2 FROM {resolved} WHERE reason IS NULL"
    )
    sides = [f"r{number}" for number in (1, 2) if layout.mono(number)]
    first = " AND ".join(f"row_number() OVER (PARTITION BY {side} ORDER BY key1, key2) = 1" for side in sides)
    taken = " OR ".join(f"c.{side} IN (SELECT {side} FROM accepted)" for side in sides)
    same = "EXISTS (SELECT 1 FROM accepted a WHERE a.r1 = c.r1 AND a.r2 = c.r2)"
    while has_rows(duck, left):
        duck.execute(f"CREATE OR REPLACE TEMP TABLE accepted AS SELECT r1, r2 FROM {left} QUALIFY {first}")
        duck.execute(f"INSERT INTO {desired} SELECT r1, r2 FROM accepted")
        duck.execute(
            f"INSERT INTO {layout.table('unresolved')} SELECT key1, key2, '{CONFLICT}' FROM {left} c "
            f"WHERE ({taken}) AND NOT {same}"
        )
        duck.execute(f"CREATE OR REPLACE TEMP TABLE remaining AS SELECT * FROM {left} c WHERE NOT ({taken})")
        duck.execute(f"DROP TABLE {left}")
        duck.execute(f"ALTER TABLE remaining RENAME TO {left}")
    duck.execute(f"DROP TABLE {left}")


def compare(duck: duckdb.DuckDBPyConnection, layout: AssociationLayout) -> None:
    """Make ``link_change_n`` (``op``, ``r1``, ``r2``) and ``remembered_change_n`` (``op``, keys, ``reason``)."""
    duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE {layout.table("link_change")} AS
            SELECT CASE WHEN s.r1 IS NULL THEN 'insert' ELSE 'delete' END AS op,
                   coalesce(d.r1, s.r1) AS r1, coalesce(d.r2, s.r2) AS r2
            FROM {layout.table("desired")} d FULL JOIN {layout.table("link")} s ON s.r1 = d.r1 AND s.r2 = d.r2
            WHERE s.r1 IS NULL OR d.r1 IS NULL"""
    )
    duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE {layout.table("remembered_change")} AS
            WITH moved AS (
                SELECT d.key1, d.key2, d.reason, s.key1 AS old1, s.key2 AS old2
                FROM {layout.table("unresolved")} d FULL JOIN {layout.table("remembered")} s
                ON s.key1 = d.key1 AND s.key2 = d.key2 AND s.reason = d.reason
                WHERE s.key1 IS NULL OR d.key1 IS NULL)
            SELECT 'delete' AS op, old1 AS key1, old2 AS key2, NULL AS reason FROM moved WHERE old1 IS NOT NULL
            UNION ALL SELECT 'insert', key1, key2, reason FROM moved WHERE key1 IS NOT NULL"""
    )


def count(duck: duckdb.DuckDBPyConnection, layout: AssociationLayout, stored: int) -> AssociationCounts:
    """Count the difference.

    :param stored: links of the association before the change.
    """

    def numbers(column: str, table: str) -> dict[str, int]:
        rows = duck.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY {column}").fetchall()
        return {str(name): int(number) for name, number in rows}

    changes = numbers("op", layout.table("link_change"))
    reasons = numbers("reason", layout.table("unresolved"))
    conflicts = reasons.pop(CONFLICT, 0)
    deleted = changes.get("delete", 0)
    return AssociationCounts(
        inserted=changes.get("insert", 0),
        deleted=deleted,
        unchanged=stored - deleted,
        orphans=sum(reasons.values()),
        conflicts=conflicts,
    )
