"""``idm plan``: what synchronizing would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.counts import show_batches, show_counts
from airflow_provider_idm.cli.options import (
    AllowBackwards,
    Batch,
    Conf,
    ConnectorId,
    DatabaseSchema,
    ExchangeUrl,
    Json,
    MemoryLimit,
    RepositoryUrl,
    Traceback,
    Work,
    open_exchange,
    open_repository,
    work_folder,
)
from airflow_provider_idm.local_files import FileAccessError

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import Plan

Changes = Annotated[
    Path | None,
    typer.Option(
        "--changes", parser=values.path, metavar="FILE", help="Write every change to FILE (.csv or .parquet)."
    ),
]


def plan(
    conf: Conf,
    *,
    connector: ConnectorId,
    batch: Batch = None,
    changes: Changes = None,
    allow_backwards: AllowBackwards = False,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    work: Work = None,
    memory_limit: MemoryLimit = "1GB",
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Show what synchronizing the pending batches would change, one after the other; nothing is changed."""
    if changes is not None and changes.suffix.casefold() not in {".csv", ".parquet"}:
        raise typer.BadParameter(
            f"{changes}: expected a name that ends in .csv or .parquet", param_hint="--changes"
        )
    mappings = configurations.mappings(conf, connector)

    from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization

    with open_repository(repository, database_schema) as opened:
        request = PlanRequest(
            mappings=mappings,
            exchange=open_exchange(exchange),
            repository=opened,
            work=work_folder(work),
            batch=batch,
            allow_backwards=allow_backwards,
            memory_limit=memory_limit,
        )
        with (
            output.progress(f"Planning {mappings.connector.identifier}"),
            plan_synchronization(request) as planned,
        ):
            data = planned.as_dict()
            if changes is not None:
                _write(planned, changes)
    if json:
        output.as_json(data)
        return
    if data["state"] == "nothing":
        output.message(f"{data['connector']}: no batch is pending")
    show_batches(data)
    show_counts(data)


def _write(planned: Plan, path: Path) -> None:
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        planned.write_changes(path)
    except duckdb.IOException as error:
        raise FileAccessError(f"{path} cannot be written: {error}") from error
