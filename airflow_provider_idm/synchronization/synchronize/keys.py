"""Which resource a key names once the difference is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.engine import has_rows, identifier
from airflow_provider_idm.synchronization.synchronize.layout import EntityLayout

if TYPE_CHECKING:
    import duckdb


def after_keys_of_everything(
    duck: duckdb.DuckDBPyConnection, layout: EntityLayout, key: str, target: str
) -> None:
    """Make ``target`` (``k``, ``id``, ``n``): every key of an entity type, from all of ``stored_n`` and ``change_n``.

    :param key: the key's column inside DuckDB: ``pk``, ``U0`` …
    """
    column = identifier(key)
    rows = (
        f"SELECT {column} AS k, id FROM {layout.change} WHERE op <> 'delete' "
        f"UNION ALL SELECT s.{column}, s.id FROM {layout.stored} s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {layout.change} c WHERE c.id = s.id)"
    )
    _create(duck, rows, target, unique=key == "pk")


def after_keys_of_some(
    duck: duckdb.DuckDBPyConnection, layout: EntityLayout, key: str, *, before: str, wanted: str, target: str
) -> None:
    """Make ``target`` (``k``, ``id``, ``n``) for the keys that ``wanted`` names.

    :param before: the table (``k``, ``id``) of the stored resources that have these keys.
    """
    column = identifier(key)
    rows = (
        f"SELECT b.k, b.id FROM {before} b WHERE NOT EXISTS (SELECT 1 FROM {layout.change} c WHERE c.id = b.id) "
        f"UNION ALL SELECT {column}, id FROM {layout.change} "
        f"WHERE op <> 'delete' AND {column} IN (SELECT k FROM ({wanted}))"
    )
    _create(duck, rows, target, unique=key == "pk")


def touched_keys(layout: EntityLayout, key: str) -> str:
    """Return the query for the key values ``k`` that some resource gains or loses."""
    column = identifier(key)
    gone = (
        f"SELECT s.{column} AS k FROM {layout.change} c JOIN {layout.stored} s ON s.id = c.id "
        f"WHERE c.op = 'delete' OR c.{column} IS DISTINCT FROM s.{column}"
    )
    come = (
        f"SELECT c.{column} AS k FROM {layout.change} c LEFT JOIN {layout.stored} s ON s.id = c.id "
        f"WHERE c.op <> 'delete' AND (s.id IS NULL OR c.{column} IS DISTINCT FROM s.{column})"
    )
    return f"SELECT DISTINCT k FROM ({gone} UNION ALL {come}) WHERE k IS NOT NULL"


def _create(duck: duckdb.DuckDBPyConnection, rows: str, target: str, *, unique: bool) -> None:
    """Make the map; a key that several resources have names none, ``n`` tells how many.

    Such keys are few, if any. They are told by a 64-bit hash first: that takes a fraction of the memory that it would
    take to group all keys; only those with a hash in common are grouped.
    """
    keyed = f"SELECT k, id FROM ({rows}) WHERE k IS NOT NULL"
    if unique:
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT k, id, 1 AS n FROM ({keyed})")
        return
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT hash(k) AS h FROM ({keyed}) GROUP BY 1 HAVING count(*) > 1"
    )
    if not has_rows(duck, "repeated"):
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT k, id, 1 AS n FROM ({keyed})")
        return
    duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE {target} AS
            SELECT k, id, 1 AS n FROM ({keyed}) WHERE hash(k) NOT IN (SELECT h FROM repeated)
            UNION ALL SELECT k, any_value(id), count(*) FROM ({keyed}) WHERE hash(k) IN (SELECT h FROM repeated)
            GROUP BY k"""
    )
