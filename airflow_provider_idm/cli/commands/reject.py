"""``idm reject``: the changes that are blocked are discarded."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.blocked import tell_needs_complete
from airflow_provider_idm.cli.decision import decider, when
from airflow_provider_idm.cli.options import (
    BlockedBatch,
    By,
    Conf,
    ConnectorId,
    DatabaseSchema,
    ExchangeUrl,
    Json,
    RepositoryUrl,
    Traceback,
    Work,
    open_exchange,
    open_repository,
    work_folder,
)

Message = Annotated[
    str | None, typer.Option("--message", parser=values.text, metavar="TEXT", help="Why, for the record.")
]


def reject(
    conf: Conf,
    *,
    connector: ConnectorId,
    batch: BlockedBatch = None,
    by: By = None,
    message: Message = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    work: Work = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Discard the changes that are blocked; the connector then takes no Incremental until a Complete is applied."""
    mappings = configurations.mappings(conf, connector)

    from airflow_provider_idm.synchronization.exchange import Origin
    from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, read_decision
    from airflow_provider_idm.synchronization.synchronize import reject as run_reject

    name = mappings.connector.identifier
    with open_repository(repository, database_schema, create=False) as opened:
        request = SynchronizeRequest(
            mappings=mappings,
            exchange=open_exchange(exchange),
            repository=opened,
            work=work_folder(work),
            origin=Origin(task="idm reject"),
        )
        outcome = run_reject(request, by=decider(by), batch=batch, message=message or "")
        record = read_decision(opened, name, outcome.id)
        status = opened.status(name)
    who = record.decided_by if record else None
    at = record.decided_at if record else None
    if json:
        output.as_json(
            {
                "connector": name,
                "state": status.state,
                "batch": outcome.id,
                "mode": outcome.mode,
                "decision": "rejected",
                "decided_by": who,
                "decided_at": at.isoformat() if at else None,
                "message": message,
            }
        )
        return
    typer.echo(f"{name}: batch {outcome.id} ({outcome.mode}) was rejected by {who or 'somebody'}{when(at)}")
    output.message("nothing of it was applied; its changes are discarded")
    if status.state == "needs_complete":
        tell_needs_complete(conf, name, status.stands.message)
