"""``idm resume``: the changes that are blocked are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.blocked import tell_blocked
from airflow_provider_idm.cli.counts import show_batches, show_counts
from airflow_provider_idm.cli.decision import confirmed, decider, when, whole_change_set
from airflow_provider_idm.cli.options import (
    BlockedBatch,
    By,
    ChangeSet,
    Conf,
    ConnectorId,
    DatabaseSchema,
    ExchangeUrl,
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
    from airflow_provider_idm.repository.state import BatchRecord
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

BLOCKED = 3


def resume(
    conf: Conf,
    *,
    connector: ConnectorId,
    batch: BlockedBatch = None,
    change_set: ChangeSet = None,
    by: By = None,
    rolling_thresholds: RollingThresholds = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    work: Work = None,
    memory_limit: MemoryLimit = MEMORY_LIMIT,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Apply exactly the changes that are blocked; exit 3 if they are others by now and exceed a threshold again.

    At a terminal, without --batch and --change-set, it shows what is blocked and asks.
    """
    mappings, rolling = configurations.limited_mappings(conf, connector, rolling_thresholds)

    from airflow_provider_idm.synchronization.exchange import Origin
    from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, read_decision
    from airflow_provider_idm.synchronization.synchronize import resume as run_resume

    name, who = mappings.connector.identifier, decider(by)
    with open_repository(repository, database_schema, create=False) as opened:
        request = SynchronizeRequest(
            mappings=mappings,
            exchange=open_exchange(exchange),
            repository=opened,
            work=work_folder(work),
            rolling=rolling,
            origin=Origin(task="idm resume"),
            memory_limit=memory_limit,
        )
        seen = whole_change_set(opened, name, change_set)
        if batch is None and seen is None and (agreed := confirmed(opened, name)):
            batch, seen = agreed
        with output.progress(f"Resuming {name}"):
            result = run_resume(request, by=who, batch=batch, change_set=seen)
        record = read_decision(opened, name, result.batches[-1].id) if result.batches else None
    if json:
        output.as_json(result.as_dict() | _decision(result, record))
    else:
        _show(result)
        if result.state == "blocked" and result.review is not None:
            output.message("the changes are not those that were looked at, and exceed a threshold:")
            tell_blocked(
                conf,
                name,
                result.review.batch,
                result.as_dict()["thresholds"],
                change_set=result.review.change_set,
            )
        elif record is not None:
            output.message(_told(name, result, record))
    if result.state == "blocked":
        raise typer.Exit(BLOCKED)


def _decision(result: SynchronizeResult, record: BatchRecord | None) -> dict[str, str | None]:
    """Return who decided what; nobody has if the changes are blocked again."""
    decided = record is not None and result.state != "blocked" and record.decided_by is not None
    return {
        "decision": "resumed" if decided else None,
        "decided_by": record.decided_by if decided and record else None,
        "decided_at": record.decided_at.isoformat() if decided and record and record.decided_at else None,
    }


def _show(result: SynchronizeResult) -> None:
    data = result.as_dict()
    show_batches(data)
    show_counts(data)
    for warning in result.warnings:
        output.warning(warning)


def _told(name: str, result: SynchronizeResult, record: BatchRecord) -> str:
    """Return who decided, and what became of the batch."""
    who = (
        f"resumed by {record.decided_by}{when(record.decided_at)}"
        if record.decided_by
        else "not resumed by anybody"
    )
    if result.already_applied:
        at = when(record.finished_at)
        return f"{name}: batch {record.batch} was applied{at} already ({who}); these are its counts"
    changed = "" if record.consent else "; its changes are others than were blocked and keep the thresholds"
    return f"{name}: batch {record.batch} was {who} and is applied{changed}"
