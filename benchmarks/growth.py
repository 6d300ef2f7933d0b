"""Says how time and memory grow with the data: prepare, Initial and Complete, from one size to the next.

    python -m benchmarks.growth --sizes 100000,1000000,10000000 [--database postgresql] [--repeat 1] [--json FILE]

Memberships grow with the entries. What counts is the time per row of the source files, as a multiple of that of the
size before, and the peak of our process, which should not grow at all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.arena import Arena
from benchmarks.contest import POSTGRESQL, SQLITE, Contest, Run
from benchmarks.job import COMPLETE, INITIAL, OURS, PREPARE, STEPS
from benchmarks.machine import machine, versions
from benchmarks.options import OF_EACH_SIZE, add_files, add_server
from benchmarks.run import server_of
from benchmarks.table import as_markdown, as_text

MEASURED = (PREPARE, INITIAL, COMPLETE)
LIMIT = 1.3
"""The goal: how much more time a row may take than at the size before."""
HEAD = (
    "step",
    "entries",
    "rows",
    "seconds",
    "µs per row",
    "to the size before",
    "goal",
    "met",
    "peak MiB",
    "server MiB",
)


@dataclass(frozen=True)
class Point:
    """One step at one size: the median of its runs.

    :param growth: its time per row, as a multiple of that at the size before; None at the first one.
    """

    step: str
    entries: int
    rows: int
    seconds: float
    peak_bytes: int
    server_bytes: int
    growth: float | None = None


def measure(entries: int, given: argparse.Namespace, folder: Path) -> tuple[list[Run], int]:
    """Take one size through the steps; return what they took, and the rows of the first snapshot."""
    data = given.data / str(entries) if given.data else None
    arena = Arena(folder, entries, given.seed, data)
    contest = Contest(arena, MEASURED, given.repeat)
    contest.prepare([])
    arena.scratch("prepare")
    arena.prepare_batches((INITIAL, COMPLETE))
    if data is None:  # the disk has better uses at ten million
        shutil.rmtree(arena.data / "s1")
        shutil.rmtree(arena.data / "s2")
    with ExitStack() as stack:
        contest.synchronize(given.database, server_of(given.database, given, folder, stack), [])
    return contest.runs, sum(target["rows"] for target in arena.truth["s1"].values())


def point(runs: list[Run], step: str, entries: int, rows: int, before: list[Point]) -> Point:
    of = [run for run in runs if run.step == step and run.contender == OURS]
    seconds = statistics.median(run.seconds for run in of)
    smaller = next((p for p in reversed(before) if p.step == step), None)
    growth = None if smaller is None else (seconds / rows) / (smaller.seconds / smaller.rows)
    peak, server = max(run.peak_bytes for run in of), max(run.server_bytes for run in of)
    return Point(step, entries, rows, seconds, peak, server, growth)


def cells(of: Point) -> tuple[str, ...]:
    growth = ("", "", "")
    if of.growth is not None:
        growth = (f"{of.growth:.2f}", f"≤ {LIMIT:g}", "yes" if of.growth <= LIMIT else "no")
    return (
        STEPS[of.step],
        f"{of.entries:,}",
        f"{of.rows:,}",
        f"{of.seconds:.2f}",
        f"{of.seconds / of.rows * 1e6:.2f}",
        *growth,
        f"{of.peak_bytes / 2**20:,.0f}",
        f"{of.server_bytes / 2**20:,.0f}" if of.server_bytes else "",
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--sizes", default="100000,1000000", help="entries, ascending (default: 100000,1000000)"
    )
    parser.add_argument("--database", choices=(POSTGRESQL, SQLITE), default=POSTGRESQL)
    parser.add_argument(
        "--repeat", type=int, default=1, help="how often each step is measured (default: once)"
    )
    add_server(parser)
    add_files(parser, OF_EACH_SIZE)
    given = parser.parse_args(arguments)

    folder = given.folder.resolve() / f"growth-{os.getpid()}"
    points: list[Point] = []
    runs: list[Run] = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for entries in sorted(int(size) for size in given.sizes.split(",")):
            taken, rows = measure(entries, given, folder / str(entries))
            points += [point(taken, step, entries, rows, points) for step in MEASURED]
            runs += taken
            shutil.rmtree(folder / str(entries), ignore_errors=True)
    points.sort(key=lambda p: (MEASURED.index(p.step), p.entries))
    table = as_markdown if given.markdown else as_text
    print(table([cells(p) for p in points], HEAD))
    if given.json:
        report = {
            "database": given.database,
            "machine": machine(),
            "versions": versions(),
            "points": [asdict(p) for p in points],
            "runs": [asdict(run) for run in runs],
        }
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
