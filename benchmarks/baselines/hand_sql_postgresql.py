"""SQL written by hand on PostgreSQL: COPY, a set-based difference, one transaction that applies it.

Staging is not logged, the end state is. Keys are resolved through small tables that hold them as they will be once the
changes are applied. Indexes are dropped and built anew in the Initial only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.baselines.layout import (
    ASSOCIATION,
    ENTITY_TYPES,
    GROUP,
    MEMBER,
    USER,
    WIDEST,
    WIDTH,
    EntityType,
    counted,
    refuse_too_many,
    values,
)
from benchmarks.job import COMPLETE, INCREMENTAL, INITIAL, NO_CHANGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.job import Job

    Counts = dict[str, dict[str, int]]

BLOCK = 1 << 18
INDEXES = {
    "resources": {
        "resources_id": "ALTER TABLE resources ADD CONSTRAINT resources_id PRIMARY KEY (id)",
        "resources_key": "CREATE UNIQUE INDEX resources_key ON resources (type, pk)",
    },
    "links": {
        "links_pairs": "ALTER TABLE links ADD CONSTRAINT links_pairs PRIMARY KEY (type, r1, r2)",
        "links_second": "CREATE INDEX links_second ON links (type, r2)",
    },
}
SESSION = ("work_mem = '1GB'", "maintenance_work_mem = '2GB'")


def texts(names: Iterable[str]) -> str:
    return ", ".join(f'{name} text COLLATE "C"' for name in names)


def deploy(url: str) -> None:
    """Create the tables, empty."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SEQUENCE resource_ids CACHE 1000")
        connection.execute(
            "CREATE TABLE resources (id bigint NOT NULL DEFAULT nextval('resource_ids'), type int NOT NULL, "
            f'pk text COLLATE "C" NOT NULL, {texts(values(WIDTH))})'
        )
        connection.execute("CREATE TABLE links (type int NOT NULL, r1 bigint NOT NULL, r2 bigint NOT NULL)")
        for statements in INDEXES.values():
            for statement in statements.values():
                connection.execute(statement)


def ready(job: Job) -> Callable[[], Any]:
    calls = {INITIAL: initial, NO_CHANGES: complete, COMPLETE: complete, INCREMENTAL: incremental}
    if job.step == "deploy":
        return lambda: deploy(job.database)
    return lambda: calls[job.step](job.database, Path(job.clean))


def connect(url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url)
    for setting in SESSION:
        connection.execute(f"SET {setting}")
    return connection


def copy_in(connection: psycopg.Connection[Any], target: str, file: Path, *, freeze: bool = False) -> None:
    """Bring a clean file into a table: ``target`` is its name and columns."""
    options = "FORMAT csv, HEADER true" + (", FREEZE true" if freeze else "")
    statement = f"COPY {target} FROM STDIN ({options})"
    with connection.cursor().copy(statement) as copy, file.open("rb") as stream:
        while block := stream.read(BLOCK):
            copy.write(block)


def columns(of: EntityType, *before: str) -> str:
    return ", ".join([*before, "pk", *of.values])


def number_of(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


# ------------------------------------------------------------------------------------------------- Initial


def initial(url: str, clean: Path) -> Counts:
    with connect(url) as connection:
        connection.execute("TRUNCATE resources, links")  # in this transaction, so that rows can come frozen
        drop_indexes(connection, "resources")
        resources = []
        for of in ENTITY_TYPES:
            connection.execute(f"ALTER TABLE resources ALTER type SET DEFAULT {of.type}")
            copy_in(
                connection,
                f"resources ({columns(of)})",
                clean / f"{of.identifier}.sorted.csv",
                freeze=True,
            )
            resources.append(
                (
                    of.type,
                    "I",
                    number_of(connection, f"SELECT count(*) FROM resources WHERE type = {of.type}"),
                )
            )
        connection.execute("ALTER TABLE resources ALTER type DROP DEFAULT")
        create_indexes(connection, "resources")
        stage_links(connection, clean)
        for of in ENTITY_TYPES:
            connection.execute(
                f"CREATE UNLOGGED TABLE keys{of.type} AS SELECT c0 AS k, id FROM resources WHERE type = {of.type}"
            )
            connection.execute(f"ANALYZE keys{of.type}")
        resolve(connection)
        drop_indexes(connection, "links")
        links = connection.execute(
            f"INSERT INTO links SELECT {MEMBER}, r1, r2 FROM resolved WHERE r1 IS NOT NULL AND r2 IS NOT NULL"
        ).rowcount
        create_indexes(connection, "links")
        save_orphans(connection, "SELECT g, m FROM resolved WHERE r1 IS NULL OR r2 IS NULL")
        connection.execute("DROP TABLE staged_links, resolved, keys1, keys2")
    return counted(resources, [("I", links)])


def drop_indexes(connection: psycopg.Connection[Any], table: str) -> None:
    for name, statement in INDEXES[table].items():
        constraint = "ADD CONSTRAINT" in statement
        connection.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT {name}" if constraint else f"DROP INDEX {name}"
        )


def create_indexes(connection: psycopg.Connection[Any], table: str) -> None:
    for statement in INDEXES[table].values():
        connection.execute(statement)


def stage_links(connection: psycopg.Connection[Any], clean: Path) -> None:
    connection.execute(f"CREATE UNLOGGED TABLE staged_links ({texts('gm')})")
    copy_in(connection, "staged_links (g, m)", clean / f"{ASSOCIATION}.sorted.csv", freeze=True)
    connection.execute("ANALYZE staged_links")


def resolve(connection: psycopg.Connection[Any]) -> None:
    """Turn keys into ids; a row of which a key is unknown keeps its keys."""
    unknown = "g.id IS NULL OR m.id IS NULL"
    connection.execute("SET LOCAL parallel_tuple_cost = 0")  # else nothing of this is done in parallel
    connection.execute(
        "CREATE UNLOGGED TABLE resolved AS SELECT g.id AS r1, m.id AS r2, "
        f"CASE WHEN {unknown} THEN l.g END AS g, CASE WHEN {unknown} THEN l.m END AS m FROM staged_links l "
        f"LEFT JOIN keys{GROUP} g ON g.k = l.g LEFT JOIN keys{USER} m ON m.k = l.m"
    )
    connection.execute("ANALYZE resolved")


def save_orphans(connection: psycopg.Connection[Any], query: str) -> None:
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER true)"
    with tempfile.TemporaryFile() as file, connection.cursor().copy(statement) as rows:
        for block in rows:
            file.write(block)


# ------------------------------------------------------------------------------------------------ Complete


def complete(url: str, clean: Path) -> Counts:
    with connect(url) as connection:
        for of in ENTITY_TYPES:
            connection.execute(f"CREATE UNLOGGED TABLE staged{of.type} ({texts(['pk', *of.values])})")
            copy_in(
                connection,
                f"staged{of.type} ({columns(of)})",
                clean / f"{of.identifier}.sorted.csv",
                freeze=True,
            )
            connection.execute(f"ANALYZE staged{of.type}")
        stage_links(connection, clean)
        change_tables(connection)
        connection.execute("SET LOCAL parallel_tuple_cost = 0")
        for of in ENTITY_TYPES:
            find_changed(connection, of)
        connection.execute("UPDATE changes SET id = nextval('resource_ids') WHERE operation = 'I'")
        connection.execute("ANALYZE changes")
        for of in ENTITY_TYPES:
            connection.execute(
                f"CREATE UNLOGGED TABLE keys{of.type} AS SELECT c0 AS k, id FROM resources r WHERE type = {of.type} "
                "AND NOT EXISTS (SELECT FROM changes c WHERE c.id = r.id) "
                f"UNION ALL SELECT c0, id FROM changes WHERE type = {of.type} AND operation <> 'D'"
            )
            connection.execute(f"ANALYZE keys{of.type}")
        resolve(connection)
        find_changed_links(connection)
        counts = check_limits(connection)
        apply(connection)
        save_orphans(connection, "SELECT g, m FROM resolved WHERE r1 IS NULL OR r2 IS NULL")
        connection.execute("DROP TABLE staged1, staged2, staged_links, resolved, keys1, keys2")
    return counts


def change_tables(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "CREATE TEMP TABLE changes (operation char(1), type int, id bigint, "
        f"{texts(['pk', *values(WIDEST)])}) ON COMMIT DROP"
    )
    connection.execute(
        "CREATE TEMP TABLE link_changes (operation char(1), type int, r1 bigint, r2 bigint) ON COMMIT DROP"
    )


def find_changed(connection: psycopg.Connection[Any], of: EntityType) -> None:
    """Fill ``changes`` for one type: what is new or differs, then, if the counts leave room for it, what is gone."""
    own = ", ".join(of.values)
    differs = " OR ".join(f"s.{c} IS DISTINCT FROM r.{c}" for c in of.values)
    # made as a table, because an INSERT is never done in parallel
    connection.execute(
        "CREATE TEMP TABLE found ON COMMIT DROP AS SELECT CASE WHEN r.id IS NULL THEN 'I' ELSE 'U' END AS operation, "
        f"r.id, s.pk, {', '.join(values(of.width, 's.'))} FROM staged{of.type} s "
        f"LEFT JOIN (SELECT * FROM resources WHERE type = {of.type}) r ON r.pk = s.pk "
        f"WHERE r.id IS NULL OR {differs}"
    )
    connection.execute(
        f"INSERT INTO changes (operation, type, id, pk, {own}) SELECT operation, {of.type}, id, pk, {own} FROM found"
    )
    staged = number_of(connection, f"SELECT count(*) FROM staged{of.type}")
    stored = number_of(connection, f"SELECT count(*) FROM resources WHERE type = {of.type}")
    new = number_of(connection, "SELECT count(*) FROM found WHERE operation = 'I'")
    if stored > staged - new:
        connection.execute(
            f"CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT id FROM resources r WHERE type = {of.type} "
            f"AND NOT EXISTS (SELECT FROM staged{of.type} s WHERE s.pk = r.pk)"
        )
        connection.execute(f"INSERT INTO changes (operation, type, id) SELECT 'D', {of.type}, id FROM gone")
    connection.execute("DROP TABLE IF EXISTS found, gone")


def find_changed_links(connection: psycopg.Connection[Any]) -> None:
    """Fill ``link_changes``, by two anti-joins, each in parallel."""
    connection.execute(
        "CREATE TEMP TABLE new_links ON COMMIT DROP AS SELECT r1, r2 FROM resolved s "
        "WHERE r1 IS NOT NULL AND r2 IS NOT NULL AND NOT EXISTS "
        f"(SELECT FROM links l WHERE l.type = {MEMBER} AND l.r1 = s.r1 AND l.r2 = s.r2)"
    )
    connection.execute(f"INSERT INTO link_changes SELECT 'I', {MEMBER}, r1, r2 FROM new_links")
    given = number_of(connection, "SELECT count(*) FROM resolved WHERE r1 IS NOT NULL AND r2 IS NOT NULL")
    stored = number_of(connection, "SELECT count(*) FROM links")
    new = number_of(connection, "SELECT count(*) FROM new_links")
    if stored > given - new:
        connection.execute(
            f"CREATE TEMP TABLE gone_links ON COMMIT DROP AS SELECT r1, r2 FROM links l WHERE type = {MEMBER} "
            "AND NOT EXISTS (SELECT FROM resolved s WHERE s.r1 = l.r1 AND s.r2 = l.r2)"
        )
        connection.execute(f"INSERT INTO link_changes SELECT 'D', {MEMBER}, r1, r2 FROM gone_links")
    connection.execute("ANALYZE link_changes")


def check_limits(connection: psycopg.Connection[Any]) -> Counts:
    """Count the changes and refuse too many, by what statistics say is stored."""
    resources = connection.execute("SELECT type, operation, count(*) FROM changes GROUP BY 1, 2").fetchall()
    links = connection.execute("SELECT operation, count(*) FROM link_changes GROUP BY 1").fetchall()
    counts = counted(resources, links)
    tuples = "SELECT reltuples::bigint FROM pg_class WHERE oid = '{}'::regclass"
    total = number_of(connection, tuples.format("resources"))
    stored = {of.identifier: total for of in ENTITY_TYPES}
    stored[ASSOCIATION] = number_of(connection, tuples.format("links"))
    refuse_too_many(counts, stored)
    return counts


def apply(connection: psycopg.Connection[Any]) -> None:
    own = ", ".join(values(WIDEST))
    settings = ", ".join(f"{c} = d.{c}" for c in values(WIDEST))
    pairs = "l.type = d.type AND l.r1 = d.r1 AND l.r2 = d.r2"
    for statement in (
        "DELETE FROM resources r USING changes d WHERE d.operation = 'D' AND r.id = d.id",
        f"UPDATE resources r SET {settings} FROM changes d WHERE d.operation = 'U' AND r.id = d.id",
        f"INSERT INTO resources (id, type, pk, {own}) SELECT id, type, pk, {own} FROM changes WHERE operation = 'I'",
        f"DELETE FROM links l USING link_changes d WHERE d.operation = 'D' AND {pairs}",
        "INSERT INTO links SELECT type, r1, r2 FROM link_changes WHERE operation = 'I' ON CONFLICT DO NOTHING",
    ):
        connection.execute(statement)


# --------------------------------------------------------------------------------------------- Incremental


def incremental(url: str, clean: Path) -> Counts:
    with connect(url) as connection:
        change_tables(connection)
        for of in ENTITY_TYPES:
            connection.execute(
                f"CREATE TEMP TABLE delta{of.type} ({texts(['command', 'pk', *of.values])}) ON COMMIT DROP"
            )
            copy_in(
                connection,
                f"delta{of.type} ({columns(of, 'command')})",
                clean / f"{of.identifier}.sorted.delta",
            )
            connection.execute(f"ANALYZE delta{of.type}")
            connection.execute(
                f"INSERT INTO changes (operation, type, id, {columns(of)}) "
                "SELECT CASE WHEN d.command = 'delete' THEN 'D' WHEN r.id IS NULL THEN 'I' ELSE 'U' END, "
                f"{of.type}, coalesce(r.id, nextval('resource_ids')), d.pk, {', '.join(values(of.width, 'd.'))} "
                f"FROM delta{of.type} d LEFT JOIN resources r ON r.type = {of.type} AND r.pk = d.pk "
                "WHERE r.id IS NOT NULL OR d.command <> 'delete'"
            )
        connection.execute(f"CREATE TEMP TABLE delta_links ({texts(['command', 'g', 'm'])}) ON COMMIT DROP")
        copy_in(connection, "delta_links (command, g, m)", clean / f"{ASSOCIATION}.sorted.delta")
        connection.execute("ANALYZE delta_links")
        connection.execute("ANALYZE changes")
        resolve_delta(connection)
        counts = check_limits(connection)
        apply(connection)
        save_orphans(connection, "SELECT g, m FROM resolved_inserts WHERE r1 IS NULL OR r2 IS NULL")
    return counts


def resolve_delta(connection: psycopg.Connection[Any]) -> None:
    """Fill ``link_changes``: keys as they were for what goes, as they will be for what comes."""
    gone_user, gone_group = (f"c.operation = 'D' AND c.type = {kind}" for kind in (USER, GROUP))
    for statement in (
        (
            f"CREATE TEMP TABLE wanted ON COMMIT DROP AS SELECT {GROUP} AS type, g AS k FROM delta_links GROUP BY g "
            f"UNION ALL SELECT {USER}, m FROM delta_links GROUP BY m"
        ),
        "ANALYZE wanted",
        (
            "CREATE TEMP TABLE keys_before ON COMMIT DROP AS SELECT r.type, r.c0 AS k, r.id FROM resources r "
            "JOIN wanted w ON w.type = r.type AND w.k = r.c0"
        ),
        (
            "CREATE TEMP TABLE keys_after ON COMMIT DROP AS SELECT * FROM keys_before b "
            "WHERE NOT EXISTS (SELECT FROM changes c WHERE c.id = b.id) "
            "UNION ALL SELECT type, c0, id FROM changes WHERE operation <> 'D'"
        ),
        "ANALYZE keys_before",
        "ANALYZE keys_after",
        (
            f"INSERT INTO link_changes SELECT 'D', {MEMBER}, g.id, m.id FROM delta_links d "
            f"JOIN keys_before g ON g.type = {GROUP} AND g.k = d.g "
            f"JOIN keys_before m ON m.type = {USER} AND m.k = d.m WHERE d.command = 'delete'"
        ),
        (
            "CREATE TEMP TABLE resolved_inserts ON COMMIT DROP AS SELECT g.id AS r1, m.id AS r2, d.g, d.m "
            f"FROM delta_links d LEFT JOIN keys_after g ON g.type = {GROUP} AND g.k = d.g "
            f"LEFT JOIN keys_after m ON m.type = {USER} AND m.k = d.m WHERE d.command = 'insert'"
        ),
        (
            f"INSERT INTO link_changes SELECT 'I', {MEMBER}, r1, r2 FROM resolved_inserts "
            "WHERE r1 IS NOT NULL AND r2 IS NOT NULL"
        ),
        # links of what goes, whether the delta names them or not
        (
            "INSERT INTO link_changes SELECT 'D', l.type, l.r1, l.r2 FROM links l JOIN changes c ON l.r2 = c.id "
            f"WHERE l.type = {MEMBER} AND {gone_user} UNION SELECT 'D', l.type, l.r1, l.r2 FROM links l "
            f"JOIN changes c ON l.r1 = c.id WHERE l.type = {MEMBER} AND {gone_group} "
            "EXCEPT SELECT * FROM link_changes"
        ),
        # a resource whose key changed: its link goes by the former key and comes by the new one
        (
            "DELETE FROM link_changes a USING link_changes b "
            "WHERE a.r1 = b.r1 AND a.r2 = b.r2 AND a.operation <> b.operation"
        ),
        "ANALYZE link_changes",
    ):
        connection.execute(statement)
