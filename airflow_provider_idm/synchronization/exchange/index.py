"""The index of a connector's batches that are done: what later runs need to know of them, in one file.

It is written by whoever synchronizes, and tells no more than the manifests do. It is a cache: where it is missing,
damaged or behind, the manifests are read. ``index.jsonl`` holds a line about itself, then a line per batch, all of them
JSON.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.manifest import read_object, reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_idm.synchronization.exchange.manifest import Manifest, Origin

INDEX: Final = "index.jsonl"
_FORMAT: Final = 1
_INCREMENTAL: Final = SynchronizationMode.INCREMENTAL.name.capitalize()


class Entry(NamedTuple):
    """What the index tells of a batch.

    :param date: its effective date (UTC) as text that sorts as dates do.
    :param mode: as its manifest writes it.
    :param origin: hash of the task instance that published it; empty if none did.
    """

    batch: str
    date: str
    mode: str
    plan_only: bool
    origin: str

    @property
    def order(self) -> tuple[str, str]:
        """The place in the connector's queue."""
        return (self.date, self.batch)

    @property
    def is_incremental(self) -> bool:
        """Whether it holds changes rather than everything."""
        return self.mode == _INCREMENTAL


def entry_of(manifest: Manifest) -> Entry:
    """Return what the index tells of a batch."""
    return Entry(
        manifest.batch,
        sortable(manifest.effective_date),
        manifest.mode.name.capitalize(),
        manifest.plan_only,
        origin_hash(manifest.origin),
    )


def sortable(date: datetime) -> str:
    """Write a date as text that sorts as dates do."""
    return date.astimezone(UTC).isoformat(timespec="microseconds")


def origin_hash(origin: Origin) -> str:
    """Return a hash of a task instance, empty for a command line."""
    if not origin.run:
        return ""
    told = json.dumps([origin.job, origin.run, origin.task, origin.map_index])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def to_lines(connector: str, entries: Iterable[Entry]) -> bytes:
    """Write an index."""
    body = "".join(f"{json.dumps(list(entry))}\n" for entry in sorted(entries)).encode()
    head = {"connector": connector, "format": _FORMAT, "sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(head).encode() + b"\n" + body


def from_lines(text: bytes, connector: str, source: str) -> dict[str, Entry]:
    """Read an index.

    :return: its entries by batch.
    :raises ExchangeError: if the text is not what was written for this connector; ``source`` names it.
    """
    try:
        first, _, body = text.partition(b"\n")
        _check(read_object(first), connector, body)
        entries = [Entry(*line) for line in json.loads(b"[" + b",".join(body.splitlines()) + b"]")]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ExchangeError(f"{source} cannot be read: {reason(error)}") from error
    return {entry.batch: entry for entry in entries}


def _check(head: dict[str, Any], connector: str, body: bytes) -> None:
    if head["format"] != _FORMAT:
        raise ValueError(f"it is of format {head['format']!r}, expected {_FORMAT}")
    if head["connector"].casefold() != connector.casefold():
        raise ValueError(f"it is that of connector {head['connector']}")
    if head["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("it was altered or cut off")
