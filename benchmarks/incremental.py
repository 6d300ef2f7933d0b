"""Says what the same number of changes costs on little data and on much: an Incremental should cost what it changes.

    python -m benchmarks.incremental --sizes 10000,1000000 --changes 1000 [--repeat 5] [--plans] [--json FILE]

Two repositories go back and forth between two snapshots that differ in that many rows, in turns. What counts is the
time of synchronize. On PostgreSQL the rows of the links that were read by full scans are counted, and the plans of all
statements on the links are asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.arena import Arena
from benchmarks.contest import POSTGRESQL, SQLITE
from benchmarks.explain import TABLE
from benchmarks.job import INCREMENTAL, INITIAL, OURS, Job
from benchmarks.machine import machine, versions
from benchmarks.options import OF_EACH_SIZE, add_files, add_server
from benchmarks.run import server_of
from benchmarks.servers import PostgresqlServer
from benchmarks.table import as_markdown, as_text

if TYPE_CHECKING:
    from benchmarks.servers import Server

LIMIT = 5.0
"""The goal: how much longer it may take on the most data than on the least."""
CHANGES_A_RATE = 7.7
"""Rows of a delta per entry, as a multiple of the change rate: entries, groups, and five memberships each."""
HEAD = (
    "entries",
    "rows of the delta",
    "seconds",
    "min–max",
    "to the least",
    "links read by full scans",
    "peak MiB",
)


@dataclass
class Place:
    """One repository, and the batches that lead there and back.

    :ivar rows: of the first batch that changes anything.
    """

    arena: Arena
    url: str
    batches: list[str]
    rows: int
    seconds: list[float] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    peak_bytes: int = 0
    plans: list[dict[str, Any]] = field(default_factory=list)

    def job(self, step: str) -> Job:
        """Return the job that applies the next batch."""
        return self.arena.job(
            OURS,
            step,
            database=self.url,
            exchange=str(self.arena.folder / "prepared" / "exchange"),
            work=str(self.arena.folder / "synchronize"),
            batch=self.batches.pop(0),
        )


def make(entries: int, given: argparse.Namespace, folder: Path, server: Server) -> Place:
    """Prepare all batches and load the first snapshot."""
    rate = round(given.changes / CHANGES_A_RATE / entries, 8)
    data = given.data / f"{entries}-{given.changes}" if given.data else None
    arena = Arena(folder / str(entries), entries, given.seed, data, change_rate=rate)
    prepared = arena.scratch("prepared")
    # beside those that count, one to warm up and one for the plans
    snapshots = [("s2", "s1")[number % 2] for number in range(given.repeat + 2)]
    batches = [arena.prepare_into(prepared, "s1", "initial")]
    batches += [arena.prepare_into(prepared, snapshot, "incremental") for snapshot in snapshots]
    folder_of_first = prepared / "exchange" / "AD" / batches[1]
    manifest = json.loads((folder_of_first / "manifest.json").read_text(encoding="utf-8"))
    url = server.make(f"bench_{entries}")
    arena.do(arena.job(OURS, "deploy", database=url))
    place = Place(arena, url, batches, sum(file["rows"] for file in manifest["files"]))
    arena.do(place.job(INITIAL))
    server.settle(url)
    return place


def step(place: Place, server: Server, *, timed: bool) -> None:
    """Apply the next batch."""
    before = scanned(server, place.url)
    cost, told = place.arena.do(place.job(INCREMENTAL), server.pid)
    read = scanned(server, place.url) - before
    server.settle(place.url)
    if timed:
        place.seconds.append(told["seconds"])
        place.scanned.append(read)
        place.peak_bytes = max(place.peak_bytes, cost.tree_bytes)
        entries = place.arena.truth["entries"]
        print(
            f"{entries:,} entries: {told['seconds']:.3f} s, {read:,} links scanned",
            file=sys.stderr,
            flush=True,
        )


def scanned(server: Server, url: str) -> int:
    """Return how many rows of the links full scans have read so far; 0 where that is not counted."""
    if not isinstance(server, PostgresqlServer):
        return 0
    with closing(server.connect(url)) as connection:
        query = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname = %s"
        return int(connection.execute(query, (TABLE,)).fetchone()[0])


def cells(place: Place, least: Place) -> tuple[str, ...]:
    ratio = statistics.median(place.seconds) / statistics.median(least.seconds)
    goal = "" if place is least else f" (≤ {LIMIT:g}: {'yes' if ratio <= LIMIT else 'no'})"
    return (
        f"{place.arena.truth['entries']:,}",
        f"{place.rows:,}",
        f"{statistics.median(place.seconds):.3f}",
        f"{min(place.seconds):.3f}–{max(place.seconds):.3f}",
        f"{ratio:.2f}{goal}",
        f"{max(place.scanned):,}",
        f"{place.peak_bytes / 2**20:,.0f}",
    )


def show_plans(place: Place) -> None:
    print(f"\nStatements on the links, {place.arena.truth['entries']:,} entries:")
    for plan in place.plans:
        print(f"\n{plan['statement']}\n    " + "\n    ".join(plan["plan"]))


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    folder = given.folder.resolve() / f"incremental-{os.getpid()}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = server_of(given.database, given, folder, stack)
        places = [make(size, given, folder, server) for size in sorted(map(int, given.sizes.split(",")))]
        for number in range(given.repeat + 1):
            for place in places if number % 2 else places[::-1]:
                step(place, server, timed=number > 0)
        if given.database == POSTGRESQL:
            for place in places:
                _, told = place.arena.do(place.job("explain"), server.pid)
                place.plans = told["counts"]["plans"]
        settings = server.settings()
    table = as_markdown if given.markdown else as_text
    print(table([cells(place, places[0]) for place in places], HEAD))
    full = [plan for place in places for plan in place.plans if plan["scans_all"]]
    if given.database == POSTGRESQL:
        print(
            f"\n{len(places[-1].plans)} statements on the links; of all sizes {len(full)} plans scan them whole"
        )
    if given.plans:
        show_plans(places[-1])
    if given.json:
        report = {
            "machine": machine(),
            "versions": versions(),
            "settings": settings,
            "places": list(map(told_of, places)),
        }
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def told_of(place: Place) -> dict[str, Any]:
    """Return what is written of a repository."""
    written = ("rows", "seconds", "scanned", "peak_bytes", "plans")
    return {"entries": place.arena.truth["entries"]} | {name: getattr(place, name) for name in written}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.incremental", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--sizes", default="10000,1000000", help="entries (default: 10000,1000000)")
    parser.add_argument("--changes", type=int, default=1_000, help="rows of a delta, about (default: 1000)")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--plans", action="store_true", help="print the plans for the most data")
    parser.add_argument("--database", choices=(POSTGRESQL, SQLITE), default=POSTGRESQL)
    add_server(parser)
    add_files(parser, OF_EACH_SIZE)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
