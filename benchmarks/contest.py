"""Ours and the baselines, in turns: every pair does each step once with either, and neither is always first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.job import (
    COMPLETE,
    INCREMENTAL,
    INITIAL,
    NO_CHANGES,
    OURS,
    PLAN,
    PREPARE,
    PREPARE_INCREMENTAL,
    RAW,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from benchmarks.arena import Arena
    from benchmarks.job import Job
    from benchmarks.servers import Server

FILES = "files"
POSTGRESQL = "postgresql"
SQLITE = "sqlite"
PREPARES = (PREPARE, PREPARE_INCREMENTAL)
CYCLE = (INITIAL, NO_CHANGES, PLAN, RAW, COMPLETE, INCREMENTAL)
"""From an empty database to the first snapshot, to the second, and back."""
FEW = 20
"""Modules that may be loaded in a timed call: more should have been loaded before."""
MOVES = (INITIAL, NO_CHANGES, COMPLETE, INCREMENTAL)


@dataclass(frozen=True)
class Baseline:
    """Whom ours is measured against: a module of ``baselines``.

    :param section: where it takes part: ``files`` (prepare) or a database.
    :param pairs: in how many pairs it takes part at most.
    :param folder: of packages that are not in the environment; None if it needs none.
    """

    name: str
    section: str
    pairs: int = 1_000
    folder: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one timed call took.

    :param seconds: of the call; ``process_seconds``: of its process, with all imports.
    :param cpu_seconds: of its process; ``peak_bytes``: of its process and what that started.
    :param server_bytes: the peak of what the database server's processes had to themselves.
    """

    section: str
    step: str
    contender: str
    pair: int
    seconds: float
    process_seconds: float
    cpu_seconds: float
    peak_bytes: int
    server_cpu_seconds: float = 0.0
    server_bytes: int = 0


class Contest:
    """All pairs of a run, and what they took."""

    def __init__(self, arena: Arena, steps: Collection[str], pairs: int) -> None:
        self.arena = arena
        self.steps = steps
        self.pairs = pairs
        self.runs: list[Run] = []

    def contenders(self, baselines: Sequence[Baseline], pair: int) -> list[Baseline]:
        """Return who takes part in a pair, in turn the one and the other first."""
        order = [Baseline(OURS, ""), *(b for b in baselines if pair < b.pairs)]
        return order[::-1] if pair % 2 else order

    # ------------------------------------------------------------------------------------------------ files

    def prepare(self, baselines: Sequence[Baseline]) -> None:
        """Measure what needs no database."""
        for pair in range(self.pairs):
            for step in (step for step in PREPARES if step in self.steps):
                for contender in self.contenders(baselines, pair):
                    place = self.arena.scratch("prepare")
                    job = (
                        self.arena.preparing(step, place)
                        if contender.name == OURS
                        else self.arena.preparing_plainly(contender.name, step, place)
                    )
                    self.timed(FILES, job, pair)

    # --------------------------------------------------------------------------------------------- database

    def synchronize(self, section: str, server: Server, baselines: Sequence[Baseline]) -> None:
        """Measure the steps on one kind of database; each pair starts from empty ones."""
        for pair in range(self.pairs):
            contenders = self.contenders(baselines, pair)
            databases = {c.name: self.empty(server, c) for c in contenders}
            places = {c.name: self.arena.scratch(f"{section}-{c.name}") for c in contenders}
            self.arena.batches_into(places[OURS])
            for step in self.needed():
                for contender in contenders:
                    if contender.name != OURS and step not in MOVES:
                        continue
                    url = databases[contender.name]
                    if step == RAW:
                        job = self.arena.preparing(step, self.arena.scratch("prepare"))
                    else:
                        job = self.arena.synchronizing(contender.name, step, url, places[contender.name])
                    self.timed(section, job, pair, server, contender.folder)
                    if step in MOVES:
                        server.settle(url)

    def needed(self) -> list[str]:
        """Return the steps to do: those to be measured, and those that lead there."""
        goes = COMPLETE in self.steps or INCREMENTAL in self.steps or RAW in self.steps
        return [
            step for step in CYCLE if step in self.steps or step == INITIAL or (step == COMPLETE and goes)
        ]

    def empty(self, server: Server, contender: Baseline) -> str:
        """Return the URL of a database with the contender's tables and nothing in them."""
        url = server.make(f"bench_{contender.name}")
        self.arena.do(self.arena.job(contender.name, "deploy", database=url), also=contender.folder)
        return url

    # ----------------------------------------------------------------------------------------------- timing

    def timed(
        self,
        section: str,
        job: Job,
        pair: int,
        server: Server | None = None,
        folder: Path | None = None,
    ) -> None:
        """Do a job, check what it counted, and keep what it took if that is to be measured."""
        cost, told = self.arena.do(job, server.pid if server else None, folder)
        self.arena.check(job, told["counts"])
        run = Run(
            section=section,
            step=job.step,
            contender=job.contender,
            pair=pair,
            seconds=told["seconds"],
            process_seconds=cost.seconds,
            cpu_seconds=cost.cpu_seconds,
            peak_bytes=cost.tree_bytes,
            server_cpu_seconds=cost.server_cpu_seconds,
            server_bytes=cost.server_bytes,
        )
        if job.step in self.steps or job.step in {COMPLETE, INITIAL}:
            self.runs.append(run)
        tell(run)
        if told["imported"] > FEW:
            print(f"{run.contender} imported {told['imported']} modules meanwhile", file=sys.stderr)


def tell(run: Run) -> None:
    print(
        f"{run.section}, pair {run.pair + 1}, {run.step}, {run.contender}: {run.seconds:.2f} s, "
        f"{run.peak_bytes / 2**20:,.0f} MiB",
        file=sys.stderr,
        flush=True,
    )
