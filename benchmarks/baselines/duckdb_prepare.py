"""Plain DuckDB doing what prepare does to the files: canonical values, side files, sorted by key, and what changed.

It reads what it is given as it was written: no line numbers, no lists of what does not convert, no batch. It may take
the memory that DuckDB takes by itself.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.job import PREPARE_INCREMENTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.job import Job

duckdb.connect().execute("SELECT 1").fetchall()

GUID = "replace({}::UUID::VARCHAR, '-', '')"
NUMBER = "{}::INTEGER::VARCHAR"
MOMENT = "strftime(strptime({}, '%Y%m%d%H%M%SZ'), '%Y%m%d%H%M%S')"
TRUTH = "{}::BOOLEAN::INTEGER::VARCHAR"


@dataclass(frozen=True)
class Source:
    """A source file: which column becomes which, through which conversion (none: as it is); the first ``keys`` sort."""

    file: str
    target: str
    columns: Mapping[str, tuple[str, str]]
    keys: int = 1


SOURCES = (
    Source(
        "AD_users.csv",
        "User",
        {
            "objectGUID": ("objectGUID", GUID),
            "dn": ("dn", "{}"),
            "accountName": ("sAMAccountName", "{}"),
            "principalName": ("userPrincipalName", "{}"),
            "givenName": ("givenName", "{}"),
            "surname": ("sn", "{}"),
            "displayName": ("displayName", "{}"),
            "mail": ("mail", "{}"),
            "department": ("department", "{}"),
            "title": ("title", "{}"),
            "phone": ("telephoneNumber", "{}"),
            "description": ("description", "{}"),
            "employeeNumber": ("employeeNumber", NUMBER),
            "whenChanged": ("whenChanged", MOMENT),
            "enabled": ("enabled", TRUTH),
        },
    ),
    Source(
        "AD_groups.csv",
        "Group",
        {
            "objectGUID": ("objectGUID", GUID),
            "dn": ("dn", "{}"),
            "name": ("name", "{}"),
            "description": ("description", "{}"),
        },
    ),
    Source("AD_members.csv", "GroupMembers", {"key1": ("group", "{}"), "key2": ("member", "{}")}, keys=2),
)


def ready(job: Job) -> Callable[[], Any]:
    former = Path(job.former) if job.step == PREPARE_INCREMENTAL else None
    return lambda: prepare(Path(job.raw), Path(job.output), former)


def prepare(raw: Path, output: Path, former: Path | None) -> dict[str, dict[str, int]]:
    output.mkdir(parents=True, exist_ok=True)
    return {source.target: _prepare(source, raw, output, former) for source in SOURCES}


def _prepare(source: Source, raw: Path, output: Path, former: Path | None) -> dict[str, int]:
    names = list(source.columns)
    keys = ", ".join(names[: source.keys])
    present = " AND ".join(f"{key} IS NOT NULL" for key in names[: source.keys])
    converted = ", ".join(
        f'{how.format(f"{chr(34)}{of}{chr(34)}")} AS "{name}"' for name, (of, how) in source.columns.items()
    )
    with (
        tempfile.TemporaryDirectory(dir=output) as spill,
        duckdb.connect(config={"temp_directory": spill}) as duck,
    ):
        duck.execute(f"CREATE TEMP TABLE raw AS SELECT {converted} FROM {_reader(raw / source.file, ';')}")
        nullpk = _write(
            duck, f"SELECT * FROM raw WHERE NOT ({present})", output / f"{source.target}.nullpk.csv"
        )
        # by a hash first: it is small, and few keys come twice
        duck.execute(
            f"CREATE TEMP TABLE again AS WITH twice AS (SELECT hash({keys}) AS h FROM raw WHERE {present} "
            f"GROUP BY 1 HAVING count(*) > 1) SELECT r FROM (SELECT rowid AS r, {keys} FROM raw WHERE {present} "
            f"AND hash({keys}) IN (SELECT h FROM twice)) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY r) > 1"
        )
        duplicates = _write(
            duck,
            "SELECT * FROM raw WHERE rowid IN (SELECT r FROM again)",
            output / f"{source.target}.duplicates.csv",
        )
        clean = f"SELECT * FROM raw WHERE {present} AND rowid NOT IN (SELECT r FROM again) ORDER BY {keys}"
        if former is not None:
            duck.execute(f"CREATE TEMP TABLE clean AS {clean}")
            clean = "FROM clean"
        rows = _write(duck, clean, output / f"{source.target}.sorted.csv")
        found = {"rows": rows, "duplicates": duplicates, "nullpk": nullpk}
        return found if former is None else found | _write_delta(duck, source, former, output)


def _write_delta(
    duck: duckdb.DuckDBPyConnection, source: Source, former: Path, output: Path
) -> dict[str, int]:
    names = list(source.columns)
    keys, others = names[: source.keys], names[source.keys :]
    same = " AND ".join(f'n."{key}" = o."{key}"' for key in keys)
    new, old = f'n."{keys[0]}" IS NULL', f'o."{keys[0]}" IS NULL'
    row = "row({})".format
    rows = [row(", ".join(f'{side}."{name}"' for name in others)) for side in "no"] if others else []
    differs = f"{new} OR {old}" + (f" OR {rows[0]} IS DISTINCT FROM {rows[1]}" if rows else "")
    shown = [f'coalesce(n."{key}", o."{key}") AS "{key}"' for key in keys]
    shown += [f'n."{name}"' for name in others]
    before = _reader(former / f"{source.target}.sorted.csv", ",")
    duck.execute(
        f"CREATE TEMP TABLE delta AS SELECT CASE WHEN {old} THEN 'insert' WHEN {new} THEN 'delete' ELSE 'update' END "
        f"AS command, {', '.join(shown)} FROM clean n FULL JOIN {before} o ON {same} WHERE {differs}"
    )
    ordered = ", ".join(f'"{key}"' for key in keys)
    _write(duck, f"FROM delta ORDER BY {ordered}", output / f"{source.target}.sorted.delta")
    return dict(duck.execute("SELECT command, count(*) FROM delta GROUP BY 1").fetchall())


def _reader(path: Path, separator: str) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file, delimiter=separator))
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in header)
    return (
        f"read_csv('{path}', delim='{separator}', quote='\"', escape='\"', header=true, auto_detect=false, "
        f"nullstr='', new_line='\\n', columns={{{columns}}})"
    )


def _write(duck: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    row = duck.execute(f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER, DELIMITER ',')").fetchone()
    return int(row[0]) if row else 0
