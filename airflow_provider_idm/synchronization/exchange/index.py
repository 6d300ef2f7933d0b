"""The index of a connector's batches that are done: what later runs need to know of them, in one small file.

It is written by whoever synchronizes, and tells no more than the manifests do. It is a cache: where it is missing,
damaged or behind, the manifests are read. ``index.txt`` begins with a line about itself (format, SHA-256 of the rest,
connector); then there is a line per batch: effective date, id, mode, ``queue`` or ``plan``, and a hash of the task
instance that published it. The lines stay text, for there may be thousands, of which a run asks about a few.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.manifest import reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_idm.synchronization.exchange.manifest import Manifest, Origin

INDEX: Final = "index.txt"
_FORMAT: Final = "1"
_NO_ORIGIN: Final = "-"
_INCREMENTAL: Final = f" {SynchronizationMode.INCREMENTAL.name.capitalize()} "
_PLAN: Final = " plan "


def line_of(manifest: Manifest) -> str:
    """Return a batch's line; lines sort as their batches stand in the queue."""
    use = _PLAN.strip() if manifest.plan_only else "queue"
    mode = manifest.mode.name.capitalize()
    date, origin = date_text(manifest.effective_date), origin_text(manifest.origin)
    return f"{date} {manifest.batch} {mode} {use} {origin}"


def batch_of(line: str) -> str:
    """Return the id of a line's batch."""
    return line.split(" ", 2)[1]


def is_plan(line: str) -> bool:
    """Tell whether only a plan may read a line's batch."""
    return _PLAN in line


def is_incremental(line: str) -> bool:
    """Tell whether a line's batch holds changes rather than everything."""
    return _INCREMENTAL in line


def has_date(line: str, date: datetime) -> bool:
    """Tell whether a line's batch is of an effective date."""
    return line.startswith(date_text(date))


def date_text(date: datetime) -> str:
    """Write a date (UTC) as text that sorts as dates do."""
    return date.astimezone(UTC).isoformat(timespec="microseconds")


def origin_text(origin: Origin) -> str:
    """Return a hash of a task instance; ``-`` for a command line."""
    if not origin.run:
        return _NO_ORIGIN
    told = json.dumps([origin.job, origin.run, origin.task, origin.map_index])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def to_text(connector: str, lines: Iterable[str]) -> bytes:
    """Write an index."""
    body = "".join(f"{line}\n" for line in sorted(lines)).encode()
    return f"{_FORMAT} {hashlib.sha256(body).hexdigest()} {connector}\n".encode() + body


def from_text(text: bytes, connector: str, source: str) -> dict[str, str]:
    """Read an index.

    :return: its lines by batch.
    :raises ExchangeError: if the text is not what was written for this connector; ``source`` names it.
    """
    try:
        head, _, body = text.partition(b"\n")
        _check(head.decode(), connector, body)
        return {batch_of(line): line for line in body.decode().splitlines()}
    except (IndexError, ValueError) as error:
        raise ExchangeError(f"{source} cannot be read: {reason(error)}") from error


def _check(head: str, connector: str, body: bytes) -> None:
    version, _, rest = head.partition(" ")
    if version != _FORMAT:
        raise ValueError(f"it is not of format {_FORMAT}")
    digest, _, name = rest.partition(" ")
    if name.casefold() != connector.casefold():
        raise ValueError(f"it is not that of connector {connector}")
    if digest != hashlib.sha256(body).hexdigest():
        raise ValueError("it was altered or cut off")
