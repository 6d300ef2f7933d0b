"""Small JSON notes beside the batches: which are done, and whether the connector is blocked.

An agent that cannot reach the repository reads these. The repository stays what decides.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.manifest import Origin, read_object, reason

FinishedState = Literal["applied", "cancelled", "rejected"]
"""How a batch ended."""

Readiness = Literal["ready", "blocked", "needs_complete"]
"""Whether a connector takes batches: ``blocked`` awaits a decision, ``needs_complete`` no Incrementals."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The server's note that a batch is done (``finished.json`` in the batch's folder).

    :param at: when it was applied, cancelled or rejected (UTC).
    :param replaced_by: the batch that cancelled it.
    :param by: the task that did it.
    """

    batch: str
    state: FinishedState
    at: datetime
    replaced_by: str | None = None
    by: Origin = field(default_factory=Origin)

    def to_json(self) -> str:
        """Write the note as readable JSON."""
        return _json(asdict(self) | {"at": self.at.isoformat()})

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> Finished:
        """Read a note.

        :raises ExchangeError: if the text is none; ``source`` names it.
        """
        try:
            data = read_object(text)
            return cls(
                batch=data["batch"],
                state=_one_of(FinishedState, data["state"]),
                at=_utc(data["at"]),
                replaced_by=data.get("replaced_by"),
                by=Origin(**data.get("by", {})),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(source, error) from error


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """A connector's state as the server last published it (``state.json`` in the connector's folder).

    :param since: when it came to be (UTC); None if nothing was published yet.
    :param batch: the batch that is blocked or was rejected.
    :param message: what a person should know, e.g. the thresholds exceeded.
    """

    state: Readiness = "ready"
    since: datetime | None = None
    batch: str | None = None
    message: str = ""

    def to_json(self) -> str:
        """Write the state as readable JSON."""
        return _json(asdict(self) | {"since": self.since.isoformat() if self.since else None})

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> ConnectorState:
        """Read a state.

        :raises ExchangeError: if the text is none; ``source`` names it.
        """
        try:
            data = read_object(text)
            since = data.get("since")
            return cls(
                state=_one_of(Readiness, data["state"]),
                since=_utc(since) if since else None,
                batch=data.get("batch"),
                message=data.get("message", ""),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(source, error) from error


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _one_of(allowed: Any, value: str) -> Any:
    if value not in get_args(allowed):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")
    return value


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unreadable(source: str, error: Exception) -> ExchangeError:
    return ExchangeError(
        f"{source} cannot be read: {reason(error)}; delete it and run the last task again to have it written anew"
    )
