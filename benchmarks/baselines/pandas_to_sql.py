"""What a script does with pandas: ``read_csv``, ``to_sql`` into staging tables, SQL that merges them.

The tables are those of the SQL written by hand; their indexes stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import sqlalchemy as sa
import sqlalchemy.dialects.postgresql.psycopg

from benchmarks.baselines.hand_sql_postgresql import deploy
from benchmarks.baselines.layout import ASSOCIATION, ENTITY_TYPES, GROUP, MEMBER, USER, EntityType
from benchmarks.job import INCREMENTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.job import Job

CHUNK = 5_000
RESOLVED = (
    f"SELECT g.id AS r1, m.id AS r2 FROM staged_links l JOIN resources g ON g.type = {GROUP} AND g.c0 = l.g "
    f"JOIN resources m ON m.type = {USER} AND m.c0 = l.m"
)


def ready(job: Job) -> Callable[[], Any]:
    if job.step == "deploy":
        return lambda: deploy(job.database)
    return lambda: merge(job.database, Path(job.clean), delta=job.step == INCREMENTAL)


def merge(url: str, clean: Path, *, delta: bool) -> Callable[[], dict[str, dict[str, int]]]:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        first = ["command"] if delta else []
        for of in ENTITY_TYPES:
            stage(connection, f"staged{of.type}", clean / of.identifier, [*first, "pk", *of.values])
        stage(connection, "staged_links", clean / ASSOCIATION, [*first, "g", "m"])
        if delta:
            # by the keys as they still are
            run(
                connection,
                f"DELETE FROM links USING ({RESOLVED} WHERE l.command = 'delete') d "
                f"WHERE links.type = {MEMBER} AND links.r1 = d.r1 AND links.r2 = d.r2",
            )
        for of in ENTITY_TYPES:
            merge_resources(connection, of, delta=delta)
        merge_links(connection, delta=delta)
        for name in ("staged1", "staged2", "staged_links"):
            run(connection, f"DROP TABLE {name}")
    engine.dispose()
    return lambda: stored(url)


def stage(connection: sa.Connection, table: str, file: Path, names: list[str]) -> None:
    path = file.with_name(f"{file.name}.sorted.{'delta' if names[0] == 'command' else 'csv'}")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    frame.columns = names
    # a statement takes 65,535 parameters at most
    rows = min(CHUNK, 65_535 // len(names))
    frame.to_sql(
        table, connection, if_exists="replace", index=False, chunksize=rows, method="multi", dtype=sa.Text()
    )


def run(connection: sa.Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def merge_resources(connection: sa.Connection, of: EntityType, *, delta: bool) -> None:
    staged = f"staged{of.type}"
    gone = (
        f"pk IN (SELECT pk FROM {staged} WHERE command = 'delete')"
        if delta
        else f"NOT EXISTS (SELECT FROM {staged} s WHERE s.pk = resources.pk)"
    )
    ids = f"(SELECT id FROM resources WHERE type = {of.type} AND {gone})"
    own = ", ".join(of.values)
    if delta:
        run(connection, f"DELETE FROM links WHERE type = {MEMBER} AND (r1 IN {ids} OR r2 IN {ids})")
    run(connection, f"DELETE FROM resources WHERE type = {of.type} AND {gone}")
    run(
        connection,
        f"INSERT INTO resources (type, pk, {own}) SELECT {of.type}, pk, {own} FROM {staged} "
        + ("WHERE command <> 'delete' " if delta else "")
        + "ON CONFLICT (type, pk) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in of.values)
        + f" WHERE ({', '.join(f'resources.{name}' for name in of.values)}) IS DISTINCT FROM "
        + f"({', '.join(f'excluded.{name}' for name in of.values)})",
    )


def merge_links(connection: sa.Connection, *, delta: bool) -> None:
    if delta:
        run(
            connection,
            f"INSERT INTO links SELECT {MEMBER}, r1, r2 FROM ({RESOLVED} WHERE l.command = 'insert') r "
            "ON CONFLICT DO NOTHING",
        )
        return
    run(connection, f"CREATE TEMP TABLE resolved ON COMMIT DROP AS {RESOLVED}")
    run(
        connection,
        "DELETE FROM links l WHERE NOT EXISTS (SELECT FROM resolved r WHERE r.r1 = l.r1 AND r.r2 = l.r2)",
    )
    run(connection, f"INSERT INTO links SELECT {MEMBER}, r1, r2 FROM resolved ON CONFLICT DO NOTHING")


def stored(url: str) -> dict[str, dict[str, int]]:
    """Count what there is in the end: nobody counts the changes here."""
    with psycopg.connect(url) as connection:
        rows: dict[int, int] = dict(
            connection.execute("SELECT type, count(*) FROM resources GROUP BY 1").fetchall()
        )
        (links,) = connection.execute("SELECT count(*) FROM links").fetchone() or (0,)
    found = {of.identifier: {"stored": rows.get(of.type, 0)} for of in ENTITY_TYPES}
    return found | {ASSOCIATION: {"stored": links}}
