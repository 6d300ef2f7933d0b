"""dlt bringing the same clean files to PostgreSQL: Arrow batches, the merge strategy ``upsert``, CSV to load.

What it does not do: number resources, resolve keys into ids (a statement behind it builds the links from the tables that
it filled), count changes or refuse too many, do all tables in one transaction, and delete what a full file no longer
holds: after a Complete that is still there. An Incremental deletes, by its hint ``hard_delete``.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pandas as pd  # noqa: F401 - Arrow would import it when it is first asked for an array
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from benchmarks.baselines.layout import ASSOCIATION, ENTITY_TYPES
from benchmarks.job import INCREMENTAL

os.environ.update(
    {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # else it loads the Airflow that is in the environment
        "LOAD__WORKERS": "2",
        "DATA_WRITER__FILE_MAX_ITEMS": "500000",
    }
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.job import Job

IMPORTED = (
    "adbc_driver_postgresql.dbapi",
    "dlt._workspace._plugins",
    "dlt.common.libs.pyarrow",
    "dlt.common.libs.sql_alchemy_compat",
    "dlt.sources.helpers.requests",
    "dlt.destinations.impl.postgres.postgres",
    "dlt.extract.extract",
    "dlt.load.load",
    "dlt.normalize.normalize",
)
"""What it imports when it is first used; it reads its settings then."""
DATASET = "bench"
BLOCK = 32 << 20
WORTH_ANOTHER = 200 << 20
"""Bytes of a file from which a second process to normalize it is worth its start."""
FILES = {
    **{of.identifier: (["pk"], ["pk", *of.values]) for of in ENTITY_TYPES},
    ASSOCIATION: (["g", "m"], ["g", "m"]),
}
"""Key and columns of each clean file."""
TABLES = {"User": "users", "Group": "user_groups", ASSOCIATION: "members"}


def ready(job: Job) -> Callable[[], Any]:
    if job.step == "deploy":
        return dict
    os.environ["DLT_DATA_DIR"] = job.output
    size = max(file.stat().st_size for file in Path(job.clean).iterdir())
    os.environ["NORMALIZE__WORKERS"] = "2" if size > WORTH_ANOTHER else "1"
    for name in IMPORTED:
        importlib.import_module(name)
    return lambda: merge(importlib.import_module("dlt"), job)


def merge(dlt: Any, job: Job) -> Callable[[], dict[str, dict[str, int]]]:
    delta = job.step == INCREMENTAL
    place = urlsplit(job.database)
    credentials = urlunsplit(place._replace(netloc=f"{place.username}:any@{place.hostname}:{place.port}"))
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(credentials),
        dataset_name=DATASET,
        pipelines_dir=str(Path(job.output) / "pipelines"),
    )
    resources = [
        dlt.resource(
            batches(Path(job.clean), target, columns, delta=delta),
            name=TABLES[target],
            primary_key=key,
            write_disposition={"disposition": "merge", "strategy": "upsert"},
            columns={name: {"data_type": "text"} for name in columns}
            | {"deleted": {"data_type": "bool", "hard_delete": True}},
        )
        for target, (key, columns) in FILES.items()
    ]
    pipeline.extract(resources, loader_file_format="csv")
    pipeline.normalize()
    pipeline.load()
    build_links(job.database)
    return lambda: stored(job.database)


def batches(clean: Path, target: str, columns: list[str], *, delta: bool) -> Iterator[pa.Table]:
    names = ["command", *columns] if delta else columns
    reader = csv.open_csv(
        clean / f"{target}.sorted.{'delta' if delta else 'csv'}",
        read_options=csv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=1),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    for batch in reader:
        table = pa.Table.from_batches([batch])
        if delta:
            gone = pc.equal(table["command"], "delete")
            table = table.drop_columns("command").append_column("deleted", gone)
        yield table


def build_links(url: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in (
            "SET work_mem = '1GB'",
            f"SET search_path = {DATASET}",
            'CREATE TABLE IF NOT EXISTS links (r1 text COLLATE "C", r2 text COLLATE "C")',
            "ALTER TABLE links DROP CONSTRAINT IF EXISTS links_pairs",
            "TRUNCATE links",
            (
                "INSERT INTO links SELECT g.pk, m.pk FROM members l JOIN user_groups g ON g.c0 = l.g "
                "JOIN users m ON m.c0 = l.m"
            ),
            "ALTER TABLE links ADD CONSTRAINT links_pairs PRIMARY KEY (r1, r2)",
        ):
            connection.execute(statement)


def stored(url: str) -> dict[str, dict[str, int]]:
    """Count the resources that there are in the end."""
    with psycopg.connect(url) as connection:
        found = {}
        for of in ENTITY_TYPES:
            query = f"SELECT count(*) FROM {DATASET}.{TABLES[of.identifier]}"
            (number,) = connection.execute(query).fetchone() or (0,)
            found[of.identifier] = {"stored": number}
    return found
