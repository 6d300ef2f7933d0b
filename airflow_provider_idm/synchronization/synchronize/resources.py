"""The difference between a batch's resources and the stored ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.engine import count_rows, identifier, joins_as_written
from airflow_provider_idm.repository.dialects import INCOMING
from airflow_provider_idm.synchronization.synchronize.layout import EntityLayout
from airflow_provider_idm.synchronization.synchronize.result import EntityTypeCounts

if TYPE_CHECKING:
    import duckdb

    from airflow_provider_idm.synchronization.synchronize.stored import Stored


def difference_of_everything(stored: Stored, layout: EntityLayout, first_id: int) -> None:
    """Make ``change_n`` and ``stored_n`` from the whole of ``new_n`` and all that is stored.

    What is stored is compared on its way from the repository: of a resource that stays the same only what associations
    need is kept.

    :param first_id: how many provisional ids other entity types have taken already.
    """
    duck, both = stored.session.duck, f"compared_{layout.index}"
    kept = (*layout.keys, *layout.navigations)
    values = "".join(f", s.{identifier(c)} AS {identifier('kept ' + c)}" for c in kept)
    for alias, what in (("n", "new"), ("s", "old")):
        values += "".join(
            f", CASE WHEN differs THEN {alias}.{identifier(c)} END AS {identifier(f'{what} {c}')}"
            for c in layout.compared
        )
    query = f"""SELECT CASE WHEN s.id IS NULL THEN 'insert' WHEN n.pk IS NULL THEN 'delete'
                            WHEN {_row(layout, "n")} IS DISTINCT FROM {_row(layout, "s")} THEN 'update' END AS op,
                       op IS NOT NULL AS differs, s.id, coalesce(n.pk, s.pk) AS pk{values}
                FROM {INCOMING} s FULL JOIN {layout.new} n ON n.pk = s.pk"""
    with joins_as_written(duck):
        stored.load_entity_type(layout, both, query)
    old = {c: f"old {c}" for c in layout.compared} | {c: f"kept {c}" for c in kept}
    list_old = "".join(f", {identifier(value)} AS {identifier(c)}" for c, value in old.items())
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {layout.stored} AS SELECT id, pk{list_old} FROM {both} WHERE id IS NOT NULL"
    )
    list_new = "".join(f", {identifier('new ' + c)} AS {identifier(c)}" for c in layout.compared)
    _create(
        duck,
        layout,
        first_id,
        f"SELECT op, NULL::VARCHAR AS command, id, pk{list_new} FROM {both} WHERE differs ORDER BY pk",
    )
    duck.execute(f"DROP TABLE {both}")


def everything_is_new(duck: duckdb.DuckDBPyConnection, layout: EntityLayout, first_id: int) -> None:
    """Make ``change_n`` from ``new_n`` alone, all inserts, and an empty ``stored_n``."""
    columns = "".join(f", NULL::VARCHAR AS {identifier(c)}" for c in layout.compared)
    columns += "".join(f", NULL::BIGINT AS {identifier(c)}" for c in layout.navigations)
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {layout.stored} AS SELECT NULL::BIGINT AS id, NULL::VARCHAR AS pk{columns} "
        "WHERE false"
    )
    _create(
        duck,
        layout,
        first_id,
        f"SELECT 'insert' AS op, NULL::VARCHAR AS command, NULL::BIGINT AS id, pk{layout.list_columns()} "
        f"FROM {layout.new}",
    )


def difference_of_commands(duck: duckdb.DuckDBPyConnection, layout: EntityLayout, first_id: int) -> None:
    """Make ``change_n`` from the commands of ``new_n`` and the stored resources that they name.

    Insert of a known primary key is an update, merge of an unknown one an insert; delete of an unknown one is
    nothing, update of an unknown one an anomaly.
    """

    def merged(column: str) -> str:
        name = identifier(column)
        return (
            f", CASE WHEN n.command = 'merge' THEN coalesce(n.{name}, s.{name}) ELSE n.{name} END AS {name}"
        )

    values = "".join(merged(c) for c in layout.compared)
    effective = _row(layout, "e")
    stored = "row(" + ", ".join(f"e.{identifier('stored ' + c)}" for c in layout.compared) + ")"
    kept = "".join(f", s.{identifier(c)} AS {identifier('stored ' + c)}" for c in layout.compared)
    _create(
        duck,
        layout,
        first_id,
        f"""SELECT CASE WHEN command = 'delete' THEN 'delete' WHEN id IS NULL THEN 'insert' ELSE 'update' END AS op,
                   command, id, pk{_deleted_as_null(layout)}
            FROM (SELECT n.command, s.id, n.pk{values}{kept}
                  FROM {layout.new} n LEFT JOIN {layout.stored} s ON s.pk = n.pk
                  WHERE s.id IS NOT NULL OR n.command IN ('insert', 'merge')) e
            WHERE command = 'delete' OR id IS NULL OR {effective} IS DISTINCT FROM {stored}""",
    )


def count(
    duck: duckdb.DuckDBPyConnection, layout: EntityLayout, stored: int, *, incremental: bool
) -> EntityTypeCounts:
    """Count the difference.

    :param stored: resources of the entity type before the change.
    """
    rows = duck.execute(f"SELECT op, count(*) FROM {layout.change} GROUP BY op").fetchall()
    numbers = {str(op): int(number) for op, number in rows}
    updated, deleted = numbers.get("update", 0), numbers.get("delete", 0)
    anomalies = count_rows(duck, f"({anomalies_query(layout)})") if incremental else 0
    return EntityTypeCounts(
        inserted=numbers.get("insert", 0),
        updated=updated,
        deleted=deleted,
        unchanged=stored - updated - deleted,
        anomalies=anomalies,
    )


def anomalies_query(layout: EntityLayout) -> str:
    """Return the query for commands that do not fit the stored state: ``command``, ``pk``."""
    return (
        f"SELECT n.command, n.pk FROM {layout.new} n WHERE n.command = 'update' "
        f"AND NOT EXISTS (SELECT 1 FROM {layout.stored} s WHERE s.pk = n.pk)"
    )


def _create(duck: duckdb.DuckDBPyConnection, layout: EntityLayout, first_id: int, query: str) -> None:
    """Materialize the change rows; a view gives the inserted ones provisional (negative) ids."""
    base = f"{layout.change}_rows"
    duck.execute(f"CREATE OR REPLACE TEMP TABLE {base} AS {query}")
    duck.execute(
        f"CREATE OR REPLACE TEMP VIEW {layout.change} AS "
        f"SELECT op, command, coalesce(id, -({first_id} + rowid + 1)) AS id, pk{layout.list_columns()} FROM {base}"
    )


def _row(layout: EntityLayout, alias: str) -> str:
    return "row(" + ", ".join(f"{alias}.{identifier(c)}" for c in layout.compared) + ")"


def _deleted_as_null(layout: EntityLayout) -> str:
    return "".join(
        f", CASE WHEN command <> 'delete' THEN {identifier(c)} END AS {identifier(c)}"
        for c in layout.compared
    )
