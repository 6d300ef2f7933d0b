"""Whether a connector takes a batch, as far as the exchange tells: the repository stays what decides."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import ConnectorBlockedError, ExchangeError
from airflow_provider_idm.synchronization.exchange.notes import ConnectorState

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange

log = logging.getLogger(__name__)


def read_state(channel: ConnectorExchange) -> ConnectorState:
    """Return a connector's state; one that cannot be read counts as ready, with a warning.

    Nothing is lost by that: while a connector is blocked, or needs a Complete, no Incremental is applied anyway.

    :raises ExchangeUnavailableError: if the storage does not answer.
    """
    try:
        return channel.state()
    except ExchangeError as error:
        log.warning("whether connector %s is blocked is not known: %s", channel.connector, error)
        return ConnectorState()


def check_not_blocked(channel: ConnectorExchange) -> ConnectorState:
    """Return a connector's state, unless it is blocked.

    :raises ConnectorBlockedError: naming the batch that awaits a decision, and since when.
    """
    state = read_state(channel)
    if state.state == "blocked":
        raise ConnectorBlockedError(
            blocked_message(channel.connector, state), connector=channel.connector, batch=state.batch
        )
    return state


def blocked_message(connector: str, state: ConnectorState) -> str:
    """Say what a connector waits for, and what to do."""
    since = f" since {state.since:%Y-%m-%d %H:%M:%S} UTC" if state.since else ""
    batch = f"batch {state.batch}" if state.batch else "a batch"
    lines = [line.strip().rstrip(".;") for line in state.message.splitlines()]
    why = f" ({'; '.join(filter(None, lines))})" if any(lines) else ""
    return (
        f"connector {connector} is blocked{since}: {batch} awaits a decision{why}. Resume or reject it, in Airflow or "
        "with 'idm resume' or 'idm reject', or run a Complete; until then incremental work for it is skipped"
    )
