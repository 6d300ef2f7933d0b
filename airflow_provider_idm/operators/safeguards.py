"""What holds a task back: its connector awaits a decision, or the prepare before it made no batch. And its limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_idm.errors import ConnectorBlockedError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.configuration.model import RollingWindow
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.exchange.manifest import Origin
    from airflow_provider_idm.synchronization.synchronize import Block

log = logging.getLogger(__name__)

_NO_BATCH = frozenset({"", "none"})
"""How a template renders the output of a task that has none."""


def is_missing(batch: object) -> bool:
    """Tell whether the output of a prepare, which a task was given as its batch, is none."""
    return batch is None or (isinstance(batch, str) and batch.strip().casefold() in _NO_BATCH)


def check_exchange_not_blocked(hook: IdmHook, connector: str) -> None:
    """Check in the exchange, which an agent reaches, that no batch of the connector awaits a decision.

    :raises ConnectorBlockedError: if one does.
    """
    from airflow_provider_idm.synchronization.exchange import check_not_blocked

    check_not_blocked(hook.get_exchange().channel(connector))


def check_not_blocked_by_another(
    hook: IdmHook, connector: str, batch: str | None, task: Origin | None = None
) -> None:
    """Check in the repository that nothing awaits a decision which is not for this task to ask for.

    :param batch: the task's own; None for all that is pending.
    :param task: the task; what it found itself, in an earlier try, it asks for again.
    :raises ConnectorBlockedError: if the batch of another task does, and the own one is pending.
    """
    from airflow_provider_idm.synchronization.synchronize import find_block, read_decision

    own = batch.strip().lower() if batch else None
    with hook.get_repository() as repository:
        block = find_block(repository, connector)
        if block is None or block.batch == own or block.origin == task:
            return
        if own and read_decision(repository, connector, own) is not None:
            return  # it is done: the task tells what became of it
    raise ConnectorBlockedError(_message(block), connector=connector, batch=block.batch)


def skip_without_batch(hook: IdmHook, mappings: ConnectorMappings, work: Path) -> NoReturn:
    """Skip a task whose prepare made no batch: other batches are not for it to apply.

    Usually the prepare was skipped, for the exchange says that the connector is blocked. If the repository knows better,
    the exchange is corrected: no later prepare need be skipped for that.

    :raises ConnectorBlockedError: if the prepare was skipped because the connector is blocked, or seemed to be.
    :raises AirflowSkipException: otherwise; one of the two is always raised, with the reason.
    """
    from airflow_provider_idm.synchronization.exchange.readiness import read_state
    from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, find_block
    from airflow_provider_idm.synchronization.synchronize.run import Run

    connector = mappings.connector.identifier
    exchange = hook.get_exchange()
    reason = ""
    with hook.get_repository() as repository:
        if block := find_block(repository, connector):
            reason = _message(block)
        elif read_state(exchange.channel(connector)).state == "blocked":
            request = SynchronizeRequest(
                mappings=mappings, exchange=exchange, repository=repository, work=work
            )
            with Run(request).locked(whole=False):
                reason = f"the exchange wrongly said that connector {connector} is blocked; that is corrected"
    made_none = "The prepare whose batch this task was to apply made none"
    if reason:
        message = f"{made_none} ({reason}). Nothing was synchronized."
        raise ConnectorBlockedError(message, connector=connector, batch=block.batch if block else None)
    raise AirflowSkipException(
        f"{made_none} (it was skipped, or its output is gone). Nothing was synchronized."
    )


def rolling_window(
    hook: IdmHook, connector: str, own: Mapping[str, object] | None, configuration: Path, place: str
) -> RollingWindow | None:
    """Return a connector's limits over the last days: a task's own, or those of its connection.

    :param own: the task's.
    :param configuration: folder of the XML configuration.
    :param place: what messages call the place of the task's own.
    :raises ConfigurationError: if they are wrong, or the connection has some for a connector that does not exist.
    """
    from airflow_provider_idm.configuration.problems import errors_of
    from airflow_provider_idm.configuration.read import check_configuration
    from airflow_provider_idm.configuration.rolling import check_connectors, parse_rolling_window

    if own is not None:
        return parse_rolling_window(own, place)
    if windows := hook.rolling_thresholds:
        known = check_configuration(configuration)
        if not errors_of(known.problems):  # else the connector may be one of a file that cannot be read
            check_connectors(windows, known.connectors, hook.rolling_thresholds_place)
    return hook.rolling_window(connector)


def _message(block: Block) -> str:
    from airflow_provider_idm.synchronization.exchange import ConnectorState
    from airflow_provider_idm.synchronization.exchange.readiness import blocked_message

    return blocked_message(
        block.connector, ConnectorState("blocked", block.since, block.batch, block.message)
    )
