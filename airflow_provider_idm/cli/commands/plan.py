"""``idm plan``: what synchronizing would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.counts import show_batches, show_counts
from airflow_provider_idm.cli.options import (
    AllowBackwards,
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

Batch = Annotated[
    str | None,
    typer.Option("--batch", metavar="ID", help="The batch to plan; the next pending one by default."),
]
Changes = Annotated[
    Path | None,
    typer.Option("--changes", metavar="FILE", help="Write every change to FILE (.csv or .parquet)."),
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
    """Show what synchronizing the next pending batch would change; nothing is changed."""
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
                changes.parent.mkdir(parents=True, exist_ok=True)
                planned.write_changes(changes)
    if json:
        output.as_json(data)
        return
    if data["state"] == "nothing":
        output.message(f"{data['connector']}: no batch is pending")
    show_batches(data)
    show_counts(data)
