"""What the exchange is told: which batches are done, and whether the connector takes Incrementals.

The repository is what decides. Whatever cannot be told is told by the next synchronization; it is no error.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError
from airflow_provider_idm.repository.state import BatchRecord, ConnectorState
from airflow_provider_idm.synchronization.exchange import Batches, ConnectorExchange, Origin
from airflow_provider_idm.synchronization.exchange.notes import ConnectorState as Note
from airflow_provider_idm.synchronization.exchange.notes import FinishedState, Readiness

log = logging.getLogger(__name__)

_FINISHED: Final[Mapping[str, FinishedState]] = {
    "applied": "applied",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
_READINESS: Final[Mapping[str, Readiness]] = {
    "ready": "ready",
    "blocked": "blocked",
    "needs_complete": "needs_complete",
}


class Notices:
    """Tells the exchange how one connector stands.

    :param by: the task that tells it.
    """

    def __init__(self, channel: ConnectorExchange, by: Origin) -> None:
        self._channel = channel
        self._by = by

    def make_up(self, batches: Batches, records: Mapping[str, BatchRecord], state: ConnectorState) -> None:
        """Tell what a crash between commit and notice left out, and keep the index of what is done from falling behind.

        :param records: what the repository is done with.
        """
        for batch in batches.without_note(records):
            record = records[batch]
            self.finished(record.batch, record.state, record.finished_at, record.replaced_by)
        try:
            batches.keep_index(records)
        except (ExchangeError, ExchangeUnavailableError) as error:
            log.warning(
                "the index of the batches of %s is not up to date: %s", self._channel.connector, error
            )
        self.stands(state)

    def finished(self, batch: str, state: str, at: datetime, replaced_by: str | None = None) -> None:
        """Tell that a batch is applied, cancelled or rejected."""
        try:
            self._channel.mark_finished(batch, _FINISHED[state], at, replaced_by, self._by)
        except (ExchangeError, ExchangeUnavailableError) as error:
            log.warning(
                "batch %s is %s, but that could not be noted in the exchange: %s", batch, state, error
            )

    def stands(self, state: ConnectorState) -> None:
        """Tell whether the connector is ready, blocked or needs a Complete, if the exchange does not say so already."""
        wanted = Note(_READINESS[state.readiness], state.since, state.batch, state.message)
        published = None
        try:
            with suppress(ExchangeError):  # one that cannot be read is written anew
                published = self._channel.state()
            if published is None or replace(published, since=wanted.since) != wanted:
                self._channel.write_state(wanted)
        except (ExchangeError, ExchangeUnavailableError) as error:
            log.warning(
                "connector %s is %s, but that could not be published: %s",
                self._channel.connector,
                wanted.state,
                error,
            )
