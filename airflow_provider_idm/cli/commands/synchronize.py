"""``idm synchronize``: pending batches are applied to the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.blocked import tell_blocked
from airflow_provider_idm.cli.counts import show_batches, show_counts
from airflow_provider_idm.cli.options import (
    AllowBackwards,
    Batch,
    Conf,
    ConnectorId,
    DatabaseSchema,
    ExchangeUrl,
    Force,
    Json,
    MemoryLimit,
    RepositoryUrl,
    RollingThresholds,
    Traceback,
    Work,
    open_exchange,
    open_repository,
    work_folder,
)
from airflow_provider_idm.engine import MEMORY_LIMIT

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

BLOCKED = 3

Orphans = Annotated[
    bool,
    typer.Option(
        "--orphans", help="Save association rows that match no resource in <association>.orphans.csv."
    ),
]
DoNotDeleteChanges = Annotated[
    bool, typer.Option("--do-not-delete-changes", help="Keep the change rows for set-recently-modified-flag.")
]
NoHistory = Annotated[
    bool, typer.Option("--no-history", help="Keep no former versions of what is changed or deleted.")
]


def synchronize(
    conf: Conf,
    *,
    connector: ConnectorId,
    batch: Batch = None,
    force: Force = False,
    orphans: Orphans = False,
    do_not_delete_changes: DoNotDeleteChanges = False,
    allow_backwards: AllowBackwards = False,
    no_history: NoHistory = False,
    rolling_thresholds: RollingThresholds = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    work: Work = None,
    memory_limit: MemoryLimit = MEMORY_LIMIT,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Apply the pending batches to the repository, print the counts; exit 3 if a threshold blocks."""
    mappings, rolling = configurations.limited_mappings(conf, connector, rolling_thresholds)

    from airflow_provider_idm.synchronization.exchange import Origin
    from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, find_block
    from airflow_provider_idm.synchronization.synchronize import synchronize as run_synchronize

    with open_repository(repository, database_schema) as opened:
        request = SynchronizeRequest(
            mappings=mappings,
            exchange=open_exchange(exchange),
            repository=opened,
            work=work_folder(work),
            batch=batch,
            force=force,
            orphans=orphans,
            do_not_delete_changes=do_not_delete_changes,
            allow_backwards=allow_backwards,
            history=not no_history,
            rolling=rolling,
            origin=Origin(task="idm synchronize"),
            memory_limit=memory_limit,
        )
        with output.progress(f"Synchronizing {mappings.connector.identifier}"):
            result = run_synchronize(request)
        blocked = find_block(opened, result.connector) if result.state == "blocked" else None
    if json:
        output.as_json(result.as_dict())
    else:
        _show(result)
        if blocked is not None:
            # What awaits a decision since before was not compared: its review is not there.
            behind = result.review is None and batch not in {None, blocked.batch}
            tell_blocked(
                conf,
                result.connector,
                blocked.batch,
                result.as_dict()["thresholds"],
                change_set=blocked.change_set,
                since=blocked.since if result.review is None else None,
                pending=[batch] if behind and batch else (),
            )
    if result.state == "blocked":
        raise typer.Exit(BLOCKED)


def _show(result: SynchronizeResult) -> None:
    data = result.as_dict()
    show_batches(data)
    show_counts(data)
    if result.already_applied:
        output.message(f"{result.connector}: the batch was applied before; these are its counts")
    elif result.state == "nothing":
        output.message(f"{result.connector}: no batch is pending")
    for warning in result.warnings:
        output.warning(warning)
