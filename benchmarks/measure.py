"""Runs a command in a process of its own and says what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.sampling import Sampler, server_cpu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of ``ru_maxrss``."""


@dataclass(frozen=True)
class Cost:
    """What a process printed, and what it took: elapsed and CPU seconds, peak resident memory in bytes.

    :param tree_bytes: the peak of it and all that it started, as samples saw it; 0 if nobody looked.
    :param server_bytes: the peak of what the database server's processes had to themselves; ``server_cpu_seconds``
        is what they took.
    """

    output: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    tree_bytes: int = 0
    server_bytes: int = 0
    server_cpu_seconds: float = 0.0


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    watched: bool = False,
    server: int | None = None,
) -> Cost:
    """Run a command to its end.

    The peak of a child starts with what its parent holds at that moment: the caller imports nothing heavy.

    :param watched: look at the memory of what it starts, too.
    :param server: the first process of the database server that works for it, or None.
    :raises SystemExit: if the command fails; with its messages.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        server_before = server_cpu(server)
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(environment)
        )
        with ExitStack() as stack:
            sampler = stack.enter_context(Sampler(process.pid, server)) if watched else None
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SystemExit(
                f"{' '.join(command)} ended with {process.returncode}:\n{err.read()}{out.read()}"
            )
        peak = usage.ru_maxrss * MAXRSS_UNIT
        return Cost(
            output=out.read(),
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=peak,
            tree_bytes=max(peak, sampler.peak) if sampler else 0,
            server_bytes=sampler.server_peak if sampler else 0,
            server_cpu_seconds=server_cpu(server) - server_before,
        )
