"""Says what several connectors cost at once: their throughput, the locks that they hold, and what readers notice.

    python -m benchmarks.concurrency --entries 20000 [--connectors 8] [--pairs 3] [--json FILE]

Every connector has its own entity types in the same repository. Each pair takes all of them through a Complete with 1 %
of changes one after the other, and through another all at once, in turns one or the other first. All processes have
done their imports before the first may begin. Meanwhile the database's locks are looked at a hundred times a second,
and a reader reads resources all the time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.arena import Arena
from benchmarks.connectors import write_configuration
from benchmarks.contest import POSTGRESQL, SQLITE
from benchmarks.job import OURS, Job
from benchmarks.machine import machine, versions
from benchmarks.options import OF_THE_DATA, add_files, add_server
from benchmarks.run import server_of
from benchmarks.table import as_markdown, as_text
from benchmarks.watch import BLOCKING, Locks, LockWatch, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.servers import Server

QUERY = 'SELECT * FROM "UR_Resources" WHERE "Type" = 1 ORDER BY "PrimaryKey" LIMIT 100'
PATIENCE = 3600
"""Seconds after which a process is given up."""
HEAD = (
    "",
    "seconds",
    "min–max",
    "longest lock",
    "longest apply",
    "waited for a lock",
    "longest read",
    "reads",
)


@dataclass(frozen=True)
class Round:
    """All connectors once.

    :param kind: ``one after the other`` or ``at once``.
    :param seconds: from the beginning of the first call to the end of the last.
    :param lock: the longest time that a synchronization held locks on the repository's tables; ``apply``: the longest
        that one of them wrote, as it knows itself; ``waited``: the longest that one was seen waiting for a lock.
    :param modes: of locks on tables.
    :param read: the longest that a read took, of ``reads``.
    """

    kind: str
    seconds: float
    lock: float
    apply: float
    waited: float
    modes: tuple[str, ...]
    read: float
    reads: int


AFTER, AT_ONCE = "one after the other", "at once"


class Bench:
    """One repository with all connectors, at the first snapshot."""

    def __init__(self, arena: Arena, server: Server, number: int) -> None:
        self.arena = arena
        self.server = server
        self.configuration = arena.folder / "conf"
        self.connectors = write_configuration(arena.data / "conf" / "AD.xml", self.configuration, number)
        self.url = server.make("bench_concurrency")
        self.snapshot = "s1"
        arena.do(self.job(self.connectors[0], "deploy"))
        for job in self.prepared("initial"):
            arena.do(job)
        server.settle(self.url)

    def job(self, connector: str, step: str, **more: Any) -> Job:
        return Job(
            contender=OURS,
            step=step,
            connector=connector,
            configuration=str(self.configuration),
            database=self.url,
            exchange=str(self.arena.folder / "exchange"),
            work=str(self.arena.folder / "work"),
            **more,
        )

    def prepared(self, mode: str) -> list[Job]:
        """Prepare the present snapshot for all connectors; return the jobs that apply it."""
        jobs = []
        for connector in self.connectors:
            raw = str(self.arena.data / self.snapshot)
            _, told = self.arena.do(self.job(connector, "prepare", raw=raw, mode=mode))
            step = "synchronize" if is_sqlite(self.url) else "synchronize, noting writes"
            jobs.append(self.job(connector, step, batch=told["counts"]["batch"]["id"]))
        return jobs

    def round(self, kind: str) -> Round:
        """Take all connectors to the other snapshot."""
        self.snapshot = "s1" if self.snapshot == "s2" else "s2"
        jobs = self.prepared("complete")
        place = self.arena.scratch("starts")
        processes = Processes(self.arena, jobs, place)
        with ExitStack() as stack:
            watch = stack.enter_context(LockWatch(self.connect)) if not is_sqlite(self.url) else None
            reader = stack.enter_context(Reader(self.connect, QUERY))
            told = processes.all_at_once() if kind == AT_ONCE else processes.one_by_one()
        self.server.settle(self.url)
        self.check(told)
        locks = watch.locks if watch else Locks()
        return Round(
            kind=kind,
            seconds=max(t["end"] for t in told) - min(t["begin"] for t in told),
            lock=locks.longest,
            apply=max(t["counts"].get("apply", {}).get("seconds", 0.0) for t in told),
            waited=locks.longest_wait,
            modes=tuple(sorted(locks.modes)),
            read=max(reader.seconds),
            reads=len(reader.seconds),
        )

    @property
    def connect(self) -> Callable[[], Any]:
        if is_sqlite(self.url):
            return partial(sqlite3.connect, self.url.removeprefix("sqlite:///"))
        return partial(self.server.connect, self.url)  # type: ignore[attr-defined]

    def check(self, told: list[dict[str, Any]]) -> None:
        """Compare what every connector counted with what the data holds."""
        expected = self.arena.expected("complete" if self.snapshot == "s2" else "incremental")
        for number, one in enumerate(told, start=1):
            for target, wanted in expected.items():
                found = {name: one["counts"][f"{target}{number}"].get(name, 0) for name in wanted}
                if found != wanted:
                    raise SystemExit(f"{target}{number}: counted {found}, the data holds {wanted}")


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


class Processes:
    """One process for each job, ready to begin."""

    def __init__(self, arena: Arena, jobs: list[Job], place: Path) -> None:
        self.starts = [place / str(number) for number in range(len(jobs))]
        self.started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.child", json.dumps(asdict(job) | {"start": str(start)})],
                env=arena.environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for job, start in zip(jobs, self.starts, strict=True)
        ]
        for start in self.starts:
            self.wait_for(Path(f"{start}.ready"))

    def wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while not path.exists():
            if time.monotonic() > deadline or any(process.poll() for process in self.started):
                for process in self.started:
                    process.kill()
                raise SystemExit("a synchronization failed")
            time.sleep(0.002)

    def one_by_one(self) -> list[dict[str, Any]]:
        for start in self.starts:
            start.touch()
            self.wait_for(Path(f"{start}.done"))
        return [result_of(process) for process in self.started]

    def all_at_once(self) -> list[dict[str, Any]]:
        for start in self.starts:
            start.touch()
        return [result_of(process) for process in self.started]


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=PATIENCE)
    if process.returncode:
        raise SystemExit(f"a synchronization ended with {process.returncode}")
    return dict(json.loads(output.splitlines()[-1]))


def rows_of(rounds: list[Round]) -> list[tuple[str, ...]]:
    """Return a line for each kind of round: medians of the seconds, the worst of all else."""
    rows: list[tuple[str, ...]] = []
    for kind in (AFTER, AT_ONCE):
        of = [r for r in rounds if r.kind == kind]
        rows.append(
            (
                kind,
                f"{statistics.median(r.seconds for r in of):.2f}",
                f"{min(r.seconds for r in of):.2f}–{max(r.seconds for r in of):.2f}",
                f"{max(r.lock for r in of):.3f} s",
                f"{max(r.apply for r in of):.3f} s",
                f"{max(r.waited for r in of):.3f} s",
                f"{max(r.read for r in of) * 1000:.0f} ms",
                f"{sum(r.reads for r in of):,}",
            )
        )
    return rows


def verdict(rounds: list[Round]) -> str:
    pairs = zip(*([r.seconds for r in rounds if r.kind == kind] for kind in (AFTER, AT_ONCE)), strict=True)
    gain = statistics.median(after / at_once for after, at_once in pairs)
    modes = sorted({mode for r in rounds for mode in r.modes})
    blocks = any(mode.startswith(BLOCKING) for mode in modes)
    blocking = "one of them keeps readers out" if blocks else "none keeps readers out"
    locks = f"; locks on tables: {', '.join(modes)}: {blocking}" if modes else ""
    met = "yes" if gain >= 1 else "no"
    return f"throughput at once: {gain:.2f} × that of one after the other (goal ≥ 1: {met}){locks}"


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    folder = given.folder.resolve() / f"concurrency-{os.getpid()}"
    rounds: list[Round] = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = server_of(given.database, given, folder, stack)
        bench = Bench(Arena(folder, given.entries, given.seed, given.data), server, given.connectors)
        for pair in range(given.pairs):
            for kind in (AFTER, AT_ONCE) if pair % 2 == 0 else (AT_ONCE, AFTER):
                rounds.append(bench.round(kind))
                print(f"pair {pair + 1}, {kind}: {rounds[-1].seconds:.2f} s", file=sys.stderr, flush=True)
        settings = server.settings()
    table = as_markdown if given.markdown else as_text
    print(f"{table(rows_of(rounds), HEAD)}\n\n{verdict(rounds)}")
    if given.json:
        report = {"machine": machine(), "versions": versions(), "settings": settings}
        given.json.write_text(
            json.dumps(report | {"rounds": [asdict(r) for r in rounds]}, indent=2) + "\n", encoding="utf-8"
        )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.concurrency", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--entries", type=int, default=20_000, help="of each connector (default: 20000)")
    parser.add_argument("--connectors", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--database", choices=(POSTGRESQL, SQLITE), default=POSTGRESQL)
    add_server(parser)
    add_files(parser, OF_THE_DATA)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
