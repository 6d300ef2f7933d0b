"""A connector's batches as they stood at one moment, read no further than a run needs.

Work must not grow with history: of the batches that are done the index tells enough, and what a run builds on it still
reads from the manifest itself. Every other batch is known by its manifest alone, which is read once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.synchronization.exchange.index import (
    batch_of,
    has_date,
    is_incremental,
    is_plan,
    line_of,
    origin_text,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from airflow_provider_idm.errors import ExchangeError
    from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange
    from airflow_provider_idm.synchronization.exchange.manifest import Manifest, Origin
    from airflow_provider_idm.synchronization.exchange.notes import Finished

log = logging.getLogger(__name__)

BEHIND: Final = 8
"""Batches that may be missing in the index before it is written anew: each costs a run one or two small reads."""


class Batches:
    """The batches that a connector's folder holds, one look at it; the folder may hold more by now.

    Whatever reads a manifest raises ``ExchangeError`` if it is not that of its folder, and ``ExchangeUnavailableError``
    if the storage does not answer.
    """

    def __init__(self, channel: ConnectorExchange) -> None:
        self._channel = channel
        index = channel.read_index()
        self._names = frozenset(channel.names())
        self._indexed = {batch: line for batch, line in index.items() if batch in self._names}
        self._read: dict[str, Manifest] = {}
        self._unreadable: dict[str, ExchangeError] = {}
        self._absent: set[str] = set()
        self._noted: dict[str, Finished] = {}

    # ------------------------------------------------------------------------------------------- what a prepare asks

    def __contains__(self, batch: object) -> bool:
        """Whether a batch is published, other than for a plan."""
        return bool(self.find([batch])) if isinstance(batch, str) else False

    def find(self, batches: Iterable[str]) -> list[Manifest]:
        """Return those batches of some that are published, in queue order; plan-only ones do not count."""
        return _queue(self._manifests(set(batches) & self._names))

    def newest(self) -> Manifest | None:
        """Return the last batch of the queue, or None if there is none; plan-only batches do not count."""
        while queue := self._lines():
            if manifest := self._confirmed(max(queue)):
                return manifest
        return None

    def of_date(self, date: datetime) -> list[Manifest]:
        """Return the batches of an effective date, in queue order; plan-only ones do not count."""
        return self.find([batch_of(line) for line in self._lines() if has_date(line, date)])

    def by_origin(self, origin: Origin, *, plan_only: bool = False) -> Manifest | None:
        """Return the batch that a task instance published, the newest if there are several, or None.

        A command line has no run, hence no batch of its own.

        :param plan_only: look among plan-only batches instead.
        """
        if not origin.run:
            return None
        wanted = f" {origin_text(origin)}"
        own = [batch_of(line) for line in self._lines(plan_only=plan_only) if line.endswith(wanted)]
        found = [m for m in self._manifests(own) if m.origin == origin]
        return max(found, key=lambda m: m.batch, default=None)

    def has_whole_after(self, batch: str) -> bool:
        """Tell whether a Complete or Initial comes after a batch in the queue; False if there is no such batch."""
        queue = self._lines()
        own = next((line for line in queue if batch_of(line) == batch), None)
        return own is not None and any(line > own and not is_incremental(line) for line in queue)

    def note(self, batch: str) -> Finished | None:
        """Return the note that a batch is done, or None."""
        return self._notes([batch]).get(batch)

    def unfinished(self) -> list[Manifest]:
        """Return the batches that are not noted as done, in queue order; plan-only ones do not count."""
        others = self._others()
        return _queue(self._manifests(others - self._notes(others).keys()))

    # --------------------------------------------------------------------------------------- what a synchronize asks

    def pending(self, done: Collection[str]) -> list[Manifest]:
        """Return the batches that the repository is not done with, in queue order; plan-only ones do not count.

        :param done: the batches that it is done with.
        """
        return _queue(self._manifests(self._not_done(done)))

    def survey(self, done: Collection[str]) -> tuple[list[Manifest], dict[str, ExchangeError]]:
        """Return what can be read of what is pending, and what is wrong with others that would stop a run, by id.

        These are all that are not in the index, and the newest.

        :param done: the batches that the repository is done with.
        """
        self._try_all(self._others() | self._not_done(done))
        known = (*self._indexed.values(), *map(line_of, self._read.values()))
        if queue := [line for line in known if not is_plan(line)]:
            self._try_all([batch_of(max(queue))])
        pending = [m for b, m in self._read.items() if b not in done]
        return _queue(pending), dict(sorted(self._unreadable.items()))

    def without_note(self, done: Collection[str]) -> list[str]:
        """Return the published batches that are done without a note in the exchange that says so.

        :param done: the batches that the repository is done with.
        """
        others = self._others().intersection(done)
        lacking = others - self._notes(others).keys()
        self._try_all(lacking)
        return sorted(lacking - self._absent)

    def keep_index(self, done: Collection[str]) -> None:
        """Write the index anew if it is behind. Batches that only a plan reads are done from the beginning.

        :param done: the batches that the repository is done with.
        """
        new = {b for b in self._noted if b in done} | {b for b, m in self._read.items() if m.plan_only}
        if len(new - self._indexed.keys()) < BEHIND:
            return
        self._try_all(new)
        self.newest()  # an index that contradicts it is dropped
        lines = {b: line for b, line in self._indexed.items() if is_plan(line) or b in done}
        lines |= {b: line_of(m) for b, m in self._read.items() if b in new}
        self._channel.write_index(lines.values())

    # ----------------------------------------------------------------------------------------------------- internals

    def _others(self) -> frozenset[str]:
        return self._names - self._indexed.keys() - self._absent

    def _not_done(self, done: Collection[str]) -> set[str]:
        left = self._names.difference(done) - self._absent
        return {b for b in left if b not in self._indexed or not is_plan(self._indexed[b])}

    def _lines(self, *, plan_only: bool = False) -> list[str]:
        """Return what is known of the batches of the queue, or of those that only a plan reads."""
        others = map(line_of, self._manifests(self._others()))
        return [line for line in (*self._indexed.values(), *others) if is_plan(line) == plan_only]

    def _confirmed(self, line: str) -> Manifest | None:
        """Return the manifest of a batch, if it is as it was taken for; if not, what it was taken for is forgotten."""
        found = self._manifests([batch_of(line)])
        if not found:
            return None
        if line_of(found[0]) != line:
            log.warning(
                "the index of the batches of %s is wrong about batch %s: all manifests are read",
                self._channel.connector,
                batch_of(line),
            )
            self._indexed.clear()
            return None
        return found[0]

    def _manifests(self, batches: Iterable[str]) -> list[Manifest]:
        """Return the manifests of those batches that have one."""
        wanted = sorted(set(batches))
        self._try_all(wanted)
        for batch in wanted:
            if batch in self._unreadable:
                raise self._unreadable[batch]
        return [self._read[batch] for batch in wanted if batch in self._read]

    def _try_all(self, batches: Iterable[str]) -> None:
        """Read the manifests of batches, each once."""
        new = set(batches) - self._read.keys() - self._unreadable.keys() - self._absent
        if not new:
            return
        read, unreadable = self._channel.read(new)
        self._read |= read
        self._unreadable |= unreadable
        gone = new - read.keys() - unreadable.keys()
        self._absent |= gone
        for batch in gone & self._indexed.keys():  # a storage may remove a batch file by file
            del self._indexed[batch]

    def _notes(self, batches: Collection[str]) -> dict[str, Finished]:
        self._noted |= self._channel.notes(set(batches) - self._noted.keys())
        return {batch: self._noted[batch] for batch in batches if batch in self._noted}


def _queue(manifests: Iterable[Manifest]) -> list[Manifest]:
    return sorted((m for m in manifests if not m.plan_only), key=lambda m: m.order)
