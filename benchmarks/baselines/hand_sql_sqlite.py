"""SQL written by hand on SQLite: WAL, every commit synchronous, one transaction that applies the difference.

Files are staged in a database beside it, without durability, by ADBC; keys become ids in Arrow, which is quicker than a
join there; the rest is SQL.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import adbc_driver_sqlite.dbapi as adbc
import numpy as np
import pandas as pd  # noqa: F401 - Arrow would import it when it is first asked for an array
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from benchmarks.baselines.layout import (
    ASSOCIATION,
    ENTITY_TYPES,
    GROUP,
    MEMBER,
    USER,
    WIDEST,
    WIDTH,
    counted,
    refuse_too_many,
    values,
)
from benchmarks.job import COMPLETE, INCREMENTAL, INITIAL, NO_CHANGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.job import Job

    Counts = dict[str, dict[str, int]]

PRAGMAS = ("synchronous = FULL", "cache_size = -2000000", "temp_store = MEMORY", "mmap_size = 8589934592")
NOT_DURABLE = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000")


def deploy(path: str) -> None:
    """Create the tables, empty."""
    connection = connect(path)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE resources (id INTEGER PRIMARY KEY, type INT NOT NULL, pk TEXT NOT NULL, "
        + ", ".join(f"{name} TEXT" for name in values(WIDTH))
        + ")",
        (
            "CREATE TABLE links (type INT NOT NULL, r1 INT NOT NULL, r2 INT NOT NULL, PRIMARY KEY (type, r1, r2)) "
            "WITHOUT ROWID"
        ),
        "CREATE UNIQUE INDEX resources_key ON resources (type, pk)",
        "CREATE INDEX links_second ON links (type, r2)",
    ):
        connection.execute(statement)
    connection.close()


def ready(job: Job) -> Callable[[], Any]:
    path = job.database.removeprefix("sqlite:///")
    calls = {INITIAL: initial, NO_CHANGES: complete, COMPLETE: complete, INCREMENTAL: incremental}
    if job.step == "deploy":
        return lambda: deploy(path)
    return lambda: calls[job.step](path, Path(job.clean))


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


class Staging:
    """A database beside the repository, for the files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orphans: pa.Table | None = None

    def fill(self, database: str, tables: dict[str, pa.Table | pa.RecordBatchReader]) -> Path:
        """Write tables into a new database and return where it is."""
        path = self.folder / f"{database}.db"
        with adbc.connect(f"file:{path}", autocommit=True) as connection, connection.cursor() as cursor:
            for pragma in NOT_DURABLE:
                cursor.execute(f"PRAGMA {pragma}")
                cursor.fetchall()
            for name, table in tables.items():
                cursor.adbc_ingest(name, table, mode="create")
        return path


@contextmanager
def applying(path: str, staged: Callable[[Staging], Path]) -> Iterator[tuple[sqlite3.Connection, Staging]]:
    """Stage files, attach them as ``s``, and open the one transaction."""
    with ExitStack() as stack:
        staging = Staging(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path(path).parent))))
        files = staged(staging)
        connection = connect(path)
        stack.callback(connection.close)
        connection.execute("ATTACH ? AS s", (str(files),))
        for pragma in NOT_DURABLE:
            connection.execute(f"PRAGMA s.{pragma}")
        connection.execute("BEGIN IMMEDIATE")
        yield connection, staging
        if staging.orphans is not None:
            csv.write_csv(staging.orphans, staging.folder / "orphans.csv")
        connection.execute("COMMIT")


def read(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the arguments with which Arrow reads a clean file, its columns renamed."""
    return {
        "input_file": file,
        "read_options": csv.ReadOptions(block_size=8 << 20, column_names=list(names), skip_rows=1),
        "parse_options": csv.ParseOptions(newlines_in_values=True),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    }


def staged_resources(clean: Path) -> Callable[[Staging], Path]:
    return lambda staging: staging.fill(
        "staged",
        {
            f"staged{of.type}": csv.open_csv(
                **read(clean / f"{of.identifier}.sorted.csv", ["pk", *of.values])
            )
            for of in ENTITY_TYPES
        },
    )


def number_of(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


# ------------------------------------------------------------------------------------------------- Initial


def initial(path: str, clean: Path) -> Counts:
    with applying(path, staged_resources(clean)) as (connection, staging):
        connection.execute("DROP INDEX resources_key")
        resources = []
        for of in ENTITY_TYPES:
            columns = ", ".join(["pk", *of.values])
            cursor = connection.execute(
                f"INSERT INTO resources (type, {columns}) SELECT {of.type}, {columns} FROM s.staged{of.type}"
            )
            resources.append((of.type, "I", cursor.rowcount))
        connection.execute("CREATE UNIQUE INDEX resources_key ON resources (type, pk)")
        resolve(connection, staging, clean, {of.type: key_query(of.type) for of in ENTITY_TYPES})
        connection.execute("DROP INDEX links_second")
        links = connection.execute(f"INSERT INTO links SELECT {MEMBER}, r1, r2 FROM s.resolved").rowcount
        connection.execute("CREATE INDEX links_second ON links (type, r2)")
    return counted(resources, [("I", links)])


def key_query(kind: int) -> str:
    return f"SELECT c0, id FROM resources WHERE type = {kind} AND c0 IS NOT NULL"


def resolve(connection: sqlite3.Connection, staging: Staging, clean: Path, queries: dict[int, str]) -> None:
    """Make ``s.resolved``: the pairs of ids, in order; rows of which a key is unknown are orphans."""
    keys, ids = {}, {}
    for kind, query in queries.items():
        found = list(zip(*connection.execute(query), strict=True)) or [(), ()]
        keys[kind], ids[kind] = pa.array(found[0], pa.string()), np.array(found[1], np.int64)
    rows = csv.read_csv(**read(clean / f"{ASSOCIATION}.sorted.csv", ["g", "m"]))
    group = pc.index_in(rows["g"], value_set=keys[GROUP])
    member = pc.index_in(rows["m"], value_set=keys[USER])
    known = pc.and_(pc.is_valid(group), pc.is_valid(member))
    staging.orphans = rows.filter(pc.invert(known))
    r1 = ids[GROUP][group.filter(known).to_numpy()]
    r2 = ids[USER][member.filter(known).to_numpy()]
    del rows
    packed = np.sort(r1 << 32 | r2)
    pairs = staging.fill("pairs", {"pairs": pa.table({"r1": packed >> 32, "r2": packed & 0xFFFFFFFF})})
    connection.execute("ATTACH ? AS p", (str(pairs),))
    connection.execute("CREATE TABLE s.resolved (r1 INT, r2 INT, PRIMARY KEY (r1, r2)) WITHOUT ROWID")
    connection.execute("INSERT INTO s.resolved SELECT r1, r2 FROM p.pairs")


# ------------------------------------------------------------------------------------------------ Complete


def complete(path: str, clean: Path) -> Counts:
    with applying(path, staged_resources(clean)) as (connection, staging):
        change_tables(connection)
        for of in ENTITY_TYPES:
            find_changed(connection, of.type, of.values)
        number_new(connection)
        queries = {
            of.type: f"{key_query(of.type)} AND id NOT IN (SELECT id FROM s.changes WHERE id IS NOT NULL) UNION ALL "
            f"SELECT c0, id FROM s.changes WHERE type = {of.type} AND operation <> 'D' AND c0 IS NOT NULL"
            for of in ENTITY_TYPES
        }
        resolve(connection, staging, clean, queries)
        find_changed_links(connection)
        counts = check_limits(connection)
        apply(connection)
    return counts


def change_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        f"CREATE TABLE s.changes (operation TEXT, type INT, id INT, pk TEXT, {', '.join(values(WIDEST))})"
    )
    connection.execute("CREATE TABLE s.link_changes (operation TEXT, r1 INT, r2 INT)")


def find_changed(connection: sqlite3.Connection, kind: int, names: list[str]) -> None:
    """Fill ``s.changes`` for one type: what is new or differs, then, if the counts leave room for it, what is gone."""
    own = ", ".join(names)
    theirs = ", ".join(f"s.{name}" for name in names)
    differs = " OR ".join(f"s.{name} IS NOT r.{name}" for name in names)
    new = number_of(connection, "SELECT count(*) FROM s.changes WHERE operation = 'I'")
    connection.execute(
        f"INSERT INTO s.changes (operation, type, id, pk, {own}) "
        f"SELECT CASE WHEN r.id IS NULL THEN 'I' ELSE 'U' END, {kind}, r.id, s.pk, {theirs} FROM s.staged{kind} s "
        f"LEFT JOIN resources r ON r.type = {kind} AND r.pk = s.pk WHERE r.id IS NULL OR {differs}"
    )
    new = number_of(connection, "SELECT count(*) FROM s.changes WHERE operation = 'I'") - new
    staged = number_of(connection, f"SELECT count(*) FROM s.staged{kind}")
    stored = number_of(connection, f"SELECT count(*) FROM resources WHERE type = {kind}")
    if stored > staged - new:
        connection.execute(f"CREATE UNIQUE INDEX s.staged{kind}_key ON staged{kind} (pk)")
        connection.execute(
            f"INSERT INTO s.changes (operation, type, id) SELECT 'D', {kind}, id FROM resources r WHERE type = {kind} "
            f"AND NOT EXISTS (SELECT 1 FROM s.staged{kind} s WHERE s.pk = r.pk)"
        )


def number_new(connection: sqlite3.Connection) -> None:
    top = number_of(connection, "SELECT coalesce(max(id), 0) FROM resources")
    connection.execute("UPDATE s.changes SET id = rowid + ? WHERE operation = 'I'", (top,))


def find_changed_links(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO s.link_changes SELECT 'I', r1, r2 FROM s.resolved n WHERE NOT EXISTS "
        f"(SELECT 1 FROM links l WHERE l.type = {MEMBER} AND l.r1 = n.r1 AND l.r2 = n.r2)"
    )
    given = number_of(connection, "SELECT count(*) FROM s.resolved")
    stored = number_of(connection, "SELECT count(*) FROM links")
    new = number_of(connection, "SELECT count(*) FROM s.link_changes")
    if stored > given - new:
        # by the pairs in order: left to itself SQLite walks the narrower index, and jumps
        connection.execute(
            "INSERT INTO s.link_changes SELECT 'D', r1, r2 FROM links AS l INDEXED BY sqlite_autoindex_links_1 "
            f"WHERE type = {MEMBER} AND NOT EXISTS (SELECT 1 FROM s.resolved n WHERE n.r1 = l.r1 AND n.r2 = l.r2)"
        )


def check_limits(connection: sqlite3.Connection) -> Counts:
    """Count the changes and refuse too many."""
    resources = connection.execute("SELECT type, operation, count(*) FROM s.changes GROUP BY 1, 2").fetchall()
    links = connection.execute("SELECT operation, count(*) FROM s.link_changes GROUP BY 1").fetchall()
    counts = counted(resources, links)
    total = number_of(connection, "SELECT max(rowid) FROM resources")
    refuse_too_many(counts, dict.fromkeys(counts, total) | {ASSOCIATION: 5 * total})
    return counts


def apply(connection: sqlite3.Connection) -> None:
    own = ", ".join(values(WIDEST))
    settings = ", ".join(f"{name} = d.{name}" for name in values(WIDEST))
    for statement in (
        "DELETE FROM resources WHERE id IN (SELECT id FROM s.changes WHERE operation = 'D')",
        f"UPDATE resources SET {settings} FROM s.changes d WHERE d.operation = 'U' AND resources.id = d.id",
        f"INSERT INTO resources (id, type, pk, {own}) SELECT id, type, pk, {own} FROM s.changes WHERE operation = 'I'",
        (
            f"DELETE FROM links WHERE (type, r1, r2) IN (SELECT {MEMBER}, r1, r2 FROM s.link_changes "
            "WHERE operation = 'D')"
        ),
        f"INSERT OR IGNORE INTO links SELECT {MEMBER}, r1, r2 FROM s.link_changes WHERE operation = 'I' ORDER BY 2, 3",
    ):
        connection.execute(statement)


# --------------------------------------------------------------------------------------------- Incremental


def staged_delta(clean: Path) -> Callable[[Staging], Path]:
    def tables() -> dict[str, Any]:
        found = {
            f"delta{of.type}": csv.open_csv(
                **read(clean / f"{of.identifier}.sorted.delta", ["command", "pk", *of.values])
            )
            for of in ENTITY_TYPES
        }
        links = csv.open_csv(**read(clean / f"{ASSOCIATION}.sorted.delta", ["command", "g", "m"]))
        return found | {"delta_links": links}

    return lambda staging: staging.fill("staged", tables())


def incremental(path: str, clean: Path) -> Counts:
    with applying(path, staged_delta(clean)) as (connection, staging):
        change_tables(connection)
        for of in ENTITY_TYPES:
            own = ", ".join(["pk", *of.values])
            theirs = ", ".join(f"d.{name}" for name in ["pk", *of.values])
            connection.execute(
                f"INSERT INTO s.changes (operation, type, id, {own}) SELECT CASE WHEN d.command = 'delete' THEN 'D' "
                f"WHEN r.id IS NULL THEN 'I' ELSE 'U' END, {of.type}, r.id, {theirs} FROM s.delta{of.type} d "
                f"LEFT JOIN resources r ON r.type = {of.type} AND r.pk = d.pk "
                "WHERE r.id IS NOT NULL OR d.command <> 'delete'"
            )
        number_new(connection)
        resolve_delta(connection, staging)
        counts = check_limits(connection)
        apply(connection)
    return counts


def resolve_delta(connection: sqlite3.Connection, staging: Staging) -> None:
    """Fill ``s.link_changes``: keys as they were for what goes, as they will be for what comes.

    CROSS JOIN keeps the order in which the tables are named, which is the one that uses their keys.
    """
    keyed = "(type INT, k TEXT, id INT, PRIMARY KEY (type, k)) WITHOUT ROWID"
    pair = (
        "FROM s.delta_links d CROSS JOIN s.{0} g ON g.type = {1} AND g.k = d.g "
        "CROSS JOIN s.{0} m ON m.type = {2} AND m.k = d.m"
    )
    for statement in (
        "CREATE TABLE s.wanted (type INT, k TEXT, PRIMARY KEY (type, k)) WITHOUT ROWID",
        f"INSERT INTO s.wanted SELECT {GROUP}, g FROM s.delta_links GROUP BY g",
        f"INSERT INTO s.wanted SELECT {USER}, m FROM s.delta_links GROUP BY m",
        f"CREATE TABLE s.keys_before {keyed}",
        (
            "INSERT OR IGNORE INTO s.keys_before SELECT r.type, r.c0, r.id FROM resources r CROSS JOIN s.wanted w "
            "WHERE w.type = r.type AND w.k = r.c0"
        ),
        f"CREATE TABLE s.keys_after {keyed}",
        (
            "INSERT OR IGNORE INTO s.keys_after SELECT * FROM s.keys_before WHERE id NOT IN (SELECT id FROM s.changes) "
            "UNION ALL SELECT type, c0, id FROM s.changes WHERE operation <> 'D' AND c0 IS NOT NULL"
        ),
        (
            f"INSERT INTO s.link_changes SELECT 'D', g.id, m.id {pair.format('keys_before', GROUP, USER)} "
            "WHERE d.command = 'delete'"
        ),
        (
            f"INSERT INTO s.link_changes SELECT 'I', g.id, m.id {pair.format('keys_after', GROUP, USER)} "
            "WHERE d.command = 'insert'"
        ),
        # links of what goes, whether the delta names them or not
        (
            f"INSERT INTO s.link_changes SELECT 'D', l.r1, l.r2 FROM s.changes c CROSS JOIN links l "
            f"ON l.type = {MEMBER} AND l.r2 = c.id WHERE c.operation = 'D' AND c.type = {USER} "
            "AND (l.r1, l.r2) NOT IN (SELECT r1, r2 FROM s.link_changes)"
        ),
        (
            f"INSERT INTO s.link_changes SELECT 'D', l.r1, l.r2 FROM s.changes c CROSS JOIN links l "
            f"ON l.type = {MEMBER} AND l.r1 = c.id WHERE c.operation = 'D' AND c.type = {GROUP} "
            "AND (l.r1, l.r2) NOT IN (SELECT r1, r2 FROM s.link_changes)"
        ),
        # a resource whose key changed: its link goes by the former key and comes by the new one
        (
            "DELETE FROM s.link_changes WHERE (r1, r2) IN "
            "(SELECT r1, r2 FROM s.link_changes GROUP BY r1, r2 HAVING count(DISTINCT operation) > 1)"
        ),
    ):
        connection.execute(statement)
    unknown = connection.execute(
        f"SELECT d.g, d.m FROM s.delta_links d LEFT JOIN s.keys_after g ON g.type = {GROUP} AND g.k = d.g "
        f"LEFT JOIN s.keys_after m ON m.type = {USER} AND m.k = d.m "
        "WHERE d.command = 'insert' AND (g.id IS NULL OR m.id IS NULL)"
    ).fetchall()
    staging.orphans = pa.table({"g": [row[0] for row in unknown], "m": [row[1] for row in unknown]})
