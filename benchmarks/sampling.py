"""Looks at a process tree, and at a database server's processes, while something runs."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Self

import psutil

EVERY = 0.05
"""Seconds between two looks."""


def children(pid: int) -> list[int]:
    """Return a process's children, cheaply where the system can."""
    try:
        lists = [task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    return [int(number) for text in lists for number in text.split()]


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


class Sampler(threading.Thread):
    """Notes the peaks of memory, in bytes; use it as a context manager.

    :param pid: whose tree's resident memory is summed up.
    :param server: the database server's first process, or None: of those it started, the memory that each has to
        itself (what they share, the buffers, is a setting) is summed up.
    """

    def __init__(self, pid: int, server: int | None = None) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.server_peak = 0
        self._pid = pid
        self._server = server
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.is_set():
            self.look()
            self._end.wait(EVERY)

    def look(self) -> None:
        self.peak = max(self.peak, sum(resident(pid) for pid in tree(self._pid)))
        if self._server is not None:
            own = sum(resident(pid, private=True) for pid in children(self._server))
            self.server_peak = max(self.server_peak, own)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


def resident(pid: int, *, private: bool = False) -> int:
    """Return a process's resident bytes, without what it may share if ``private``; 0 if it is gone."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - (getattr(memory, "shared", 0) if private else 0))


def server_cpu(pid: int | None) -> float:
    """Return the CPU seconds that a database server has taken, with those of its processes that have ended."""
    if pid is None:
        return 0.0
    total = 0.0
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
    for child in children(pid):
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(child).cpu_times()
            total += times.user + times.system
    return float(total)
