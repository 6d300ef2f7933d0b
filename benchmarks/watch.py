"""Looks at a PostgreSQL server while others work with it: which locks are held for how long, and who waits for one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 0.01
"""Seconds between two looks."""
LOCKS = """
    SELECT l.pid, l.mode, l.granted, c.relname
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) LEFT JOIN pg_class c ON c.oid = l.relation
    WHERE a.datname = current_database() AND l.pid <> pg_backend_pid()
    AND (NOT l.granted OR (c.relname ~ '^U[RJMC]_' AND c.relkind = 'r' AND l.mode <> 'AccessShareLock'))
"""
COMMON = ("RowShareLock", "RowExclusiveLock")
"""What all that change rows have in common, and in which they do not hinder each other."""
BLOCKING = "AccessExclusiveLock"
"""What keeps even readers out."""


@dataclass
class Locks:
    """What was seen.

    :ivar held: by process: when its first lock on a table of the repository was seen, and when the last.
    :ivar waited: by process: seconds that it was seen waiting for any lock.
    :ivar modes: of all locks on tables that were seen; of those that hinder others, on which.
    """

    held: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)
    modes: set[str] = field(default_factory=set)

    @property
    def longest(self) -> float:
        """The longest time, in seconds, for which a process held locks without a break."""
        return max((end - begin for spans in self.held.values() for begin, end in spans), default=0.0)

    @property
    def longest_wait(self) -> float:
        return max(self.waited.values(), default=0.0)

    def note(self, rows: list[tuple[Any, ...]], now: float, before: float) -> None:
        """Add what one look showed."""
        holders = {pid for pid, _, granted, table in rows if granted and table}
        for pid in holders:
            spans = self.held.setdefault(pid, [])
            if spans and spans[-1][1] == before:
                spans[-1] = (spans[-1][0], now)
            else:
                spans.append((now, now))
        for pid in {pid for pid, _, granted, _ in rows if not granted}:
            self.waited[pid] = self.waited.get(pid, 0.0) + now - before
        self.modes |= {
            mode if mode in COMMON else f"{mode} on {table}"
            for _, mode, granted, table in rows
            if granted and table
        }


class Worker(threading.Thread):
    """Does something again and again while a ``with`` block runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()

    @property
    def is_over(self) -> bool:
        return self._end.is_set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


class LockWatch(Worker):
    """Notes the locks of a database."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        super().__init__()
        self.locks = Locks()
        self._connect = connect

    def run(self) -> None:
        with self._connect() as connection:
            before = time.monotonic()
            while not self.is_over:
                rows = connection.execute(LOCKS).fetchall()
                now = time.monotonic()
                self.locks.note(rows, now, before)
                before = now
                time.sleep(EVERY)


class Reader(Worker):
    """Reads resources all the time and notes how long each read took.

    :ivar seconds: of every read.
    """

    def __init__(self, connect: Callable[[], Any], query: str) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._connect = connect
        self._query = query

    def run(self) -> None:
        connection = self._connect()
        try:
            while not self.is_over:
                begin = time.monotonic()
                connection.execute(self._query).fetchall()
                self.seconds.append(time.monotonic() - begin)
                time.sleep(EVERY)
        finally:
            connection.close()
