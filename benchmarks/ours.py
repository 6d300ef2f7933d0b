"""Our own steps, as the command line does them: one call each."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import (
    PlanRequest,
    SynchronizeRequest,
    plan_synchronization,
    synchronize,
)
from benchmarks.apply_time import noting_writes
from benchmarks.explain import explained
from benchmarks.job import PLAN, PREPARE, PREPARE_INCREMENTAL, RAW

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.apply_time import noting_writes
from benchmarks.job import Job

EXPLAIN = "explain"
NOTING_WRITES = "synchronize, noting writes"
DEPLOY = "deploy"
"""Creates the tables, as a baseline's tables are there before it is timed."""

IMPORTED = (
    "adbc_driver_postgresql.dbapi",
    "adbc_driver_sqlite.dbapi",
    "duckdb",
    "numpy.random",
    "pandas",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.csv",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
"""What the calls import when they are first made."""


def ready(job: Job) -> Callable[[], Any]:
    """Return the call to be timed; it has no import left to do, and what it needs of the configuration is read."""
    _import_everything()
    if job.step == DEPLOY:
        return lambda: Repository.open(job.database).close()
    mappings = connector_mappings(read_configuration(Path(job.configuration)), job.connector)
    if job.step == EXPLAIN:
        return lambda: {"plans": explained(lambda: _synchronize(job, mappings))}
    if job.step == NOTING_WRITES:
        return lambda: noting_writes(lambda: _synchronize(job, mappings))
    calls = {PREPARE: _prepare, PREPARE_INCREMENTAL: _prepare, RAW: _prepare, PLAN: _plan}
    call = calls.get(job.step, _synchronize)
    return lambda: call(job, mappings)


def _import_everything() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    import duckdb  # noqa: PLC0415 - loads more of itself with its first connection

    duckdb.connect().execute("SELECT 1").fetchall()


def _prepare(job: Job, mappings: Any) -> dict[str, Any]:
    request = PrepareRequest(
        mappings=mappings,
        mode=SynchronizationMode[job.mode.upper()],
        sources=Path(job.raw),
        exchange=Exchange.open(job.exchange),
        work=Path(job.work),
        memory_limit=job.memory_limit,
    )
    manifest = prepare(request).manifest
    counts = {
        file.target: {
            "rows": file.rows,
            "duplicates": file.duplicates,
            "nullpk": file.nullpk,
            **file.commands,
        }
        for file in manifest.files
    }
    return counts | {"batch": {"id": manifest.batch}}


def _synchronize(job: Job, mappings: Any) -> dict[str, Any]:
    with Repository.open(job.database) as repository:
        request = SynchronizeRequest(
            mappings=mappings,
            exchange=Exchange.open(job.exchange),
            repository=repository,
            work=Path(job.work),
            batch=job.batch,
            memory_limit=job.memory_limit,
        )
        return _counts(synchronize(request).as_dict())


def _plan(job: Job, mappings: Any) -> dict[str, Any]:
    with Repository.open(job.database) as repository:
        request = PlanRequest(
            mappings=mappings,
            exchange=Exchange.open(job.exchange),
            repository=repository,
            work=Path(job.work),
            batch=job.batch,
            memory_limit=job.memory_limit,
        )
        with plan_synchronization(request) as plan:
            return _counts(plan.as_dict())


def _counts(result: dict[str, Any]) -> dict[str, Any]:
    return dict(result["entity_types"] | result["associations"])
