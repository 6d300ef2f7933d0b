"""``idm status``: what is pending, applied and cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.blocked import tell_blocked, tell_needs_complete
from airflow_provider_idm.cli.counts import show_counts
from airflow_provider_idm.cli.options import (
    Conf,
    DatabaseSchema,
    ExchangeUrl,
    Json,
    OptionalConnectorId,
    RepositoryUrl,
    Traceback,
    open_exchange,
    open_repository,
)
from airflow_provider_idm.errors import RepositoryMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_idm.repository import ConnectorStatus
    from airflow_provider_idm.synchronization.exchange import Exchange


def status(
    conf: Conf,
    *,
    connector: OptionalConnectorId = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Show the batches of connectors, whether they are blocked or need a Complete, and the last counts."""
    from airflow_provider_idm.repository import ConnectorStatus

    configuration = configurations.read(conf)
    if connector:
        names = [configurations.find(configuration.connectors, "connector", connector).identifier]
    else:
        names = list(configuration.connectors)
    opened_exchange = open_exchange(exchange)
    missing = ""
    try:
        with open_repository(repository, database_schema, create=False) as opened:
            stored = {name: opened.status(name) for name in names}
    except RepositoryMissingError as error:
        # An agent cannot reach the repository, and before the first synchronization there is none.
        missing = str(error)
        stored = {name: ConnectorStatus(name, "empty") for name in names}
    found = {name: _status(stored[name], opened_exchange, name) for name in names}
    if missing:
        output.message(missing)
    if json:
        output.as_json({"connectors": found})
        return
    for data in found.values():
        _show(data)
        _tell_what_to_do(conf, data)


def _status(stored: ConnectorStatus, exchange: Exchange, connector: str) -> dict[str, Any]:
    known = {record.batch for record in stored.batches}
    blocked = stored.stands.blocked_batch
    pending, unreadable = exchange.channel(connector).batches().survey(known)
    return stored.as_dict() | {
        "pending": [
            {
                "id": manifest.batch,
                "state": "blocked" if manifest.batch == blocked else "pending",
                "mode": manifest.mode.name.capitalize(),
                "effective_date": manifest.effective_date.isoformat(),
                "created_at": manifest.created_at.isoformat(),
            }
            for manifest in pending
        ],
        "unreadable": [{"id": batch, "message": str(error)} for batch, error in unreadable.items()],
    }


def _show(data: Mapping[str, Any]) -> None:
    stored = ", ".join(f"{count:,} {name}" for name, count in (data["resources"] | data["links"]).items())
    output.table(
        ("connector", "state", "last effective date (UTC)", "stored"),
        [(data["connector"], data["state"], _moment(data["last_effective_date"]), stored or "nothing")],
    )
    output.table(
        ("batch", "state", "mode", "effective (UTC)"),
        (
            (b["id"], b["state"], b["mode"], _moment(b["effective_date"]))
            for b in (*data["batches"], *data["pending"])
        ),
    )
    decided = (
        (b["id"], b["consent"] or b["state"], b["decided_by"], _moment(b["decided_at"]))
        for b in data["batches"]
        if b["decided_by"]
    )
    output.table(("decided batch", "decision", "by", "at (UTC)"), decided)
    replaced = ((b["id"], b["replaced_by"]) for b in data["batches"] if b["replaced_by"])
    output.table(("cancelled batch", "replaced by"), replaced)
    output.table(("unreadable batch", "why"), ((b["id"], b["message"]) for b in data["unreadable"]))
    last = next((b for b in reversed(data["batches"]) if b["id"] == data["last_batch"] and b["result"]), None)
    if last is not None:
        typer.echo(f"last applied: batch {last['id']}")  # not the one that may be blocked
        show_counts(last["result"])


def _tell_what_to_do(conf: Path, data: Mapping[str, Any]) -> None:
    connector, blocked = data["connector"], data["blocked"]
    since = datetime.fromisoformat(data["since"]) if data["since"] else None
    if blocked:
        thresholds, seen = blocked["thresholds"], blocked["change_set"]
        tell_blocked(
            conf, connector, blocked["batch"], thresholds, change_set=seen, since=since, say=typer.echo
        )
    elif data["state"] == "needs_complete":
        tell_needs_complete(conf, connector, data["message"], since, say=typer.echo)


def _moment(text: str | None) -> str:
    """Return an ISO date and time as people read it, to the second."""
    return text[:19].replace("T", " ") if text else ""
