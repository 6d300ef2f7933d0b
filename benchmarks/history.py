"""Says what history costs: a Complete with 1 % of changes, with history and without, in turns.

    python -m benchmarks.history --entries 100000 --pairs 6 [--postgresql | --repository URL] [--json]

One repository goes back and forth between two snapshots, and each direction is taken with history and without as often.
Only synchronize is timed, in a process of its own.
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

from benchmarks.commands import Bench
from benchmarks.job import CONNECTOR
from benchmarks.measure import Cost
from benchmarks.servers import postgresql

WITHOUT = "--no-history"


@dataclass(frozen=True)
class Report:
    """Medians over all pairs.

    :param seconds_with: elapsed seconds of a synchronize with history, ``seconds_without`` without.
    :param cost: the median of what each pair differs by, as a share of the time without: 0.1 is 10 %.
    :param cpu_cost: the same of the CPU seconds of its process, to which a database server's are not counted.
    :param kept: former versions at the end.
    """

    rows: int
    changed: int
    pairs: int
    seconds_with: float
    seconds_without: float
    cost: float
    cpu_cost: float
    kept: int


@dataclass(frozen=True)
class Taken:
    """What a synchronize took, and how much it changed."""

    cost: Cost
    changed: int


class HistoryBench(Bench):
    """A run that times synchronizations with and without history."""

    def timed(self, snapshot: str, *options: str) -> Taken:
        """Bring a snapshot into the repository; return what synchronize took and how much it changed."""
        self.idm(
            "prepare", "--connector", CONNECTOR, "--mode", "complete", "--sources", str(self.data / snapshot)
        )
        cost = self.idm("synchronize", "--connector", CONNECTOR, *options)
        result = json.loads(cost.output)
        parts = [*result["entity_types"].values(), *result["associations"].values()]
        changed = sum(part.get(name, 0) for part in parts for name in ("inserted", "updated", "deleted"))
        return Taken(cost, changed)

    def compare(self, pairs: int) -> Report:
        """Go there and back, with history and without, until there are enough pairs of the same direction."""
        self.timed("s1")
        self.timed("s2", WITHOUT)  # the first time there is much to learn for caches
        with_history: list[Cost] = []
        without: list[Cost] = []
        changed = 0
        while len(without) < pairs:
            # Each direction once with and once without, and neither always first.
            one, two = self.timed("s1"), self.timed("s2", WITHOUT)
            three, four = self.timed("s1", WITHOUT), self.timed("s2")
            with_history += [one.cost, four.cost]
            without += [three.cost, two.cost]
            changed = two.changed
        forgotten = json.loads(self.idm("forget-history", "--before", "2999-01-01").output)
        both = list(zip(with_history, without, strict=True))
        return Report(
            rows=sum(target["rows"] for target in self.truth["s1"].values()),
            changed=changed,
            pairs=len(both),
            seconds_with=round(statistics.median(c.seconds for c in with_history), 3),
            seconds_without=round(statistics.median(c.seconds for c in without), 3),
            cost=round(statistics.median(w.seconds / o.seconds - 1 for w, o in both), 3),
            cpu_cost=round(statistics.median(w.cpu_seconds / o.cpu_seconds - 1 for w, o in both), 3),
            kept=sum(forgotten.values()),
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.history", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--entries", type=int, default=100_000, help="N: N/50 groups, 5N memberships")
    parser.add_argument("--pairs", type=int, default=6, help="how many of each, an even number")
    parser.add_argument("--seed", type=int, default=1)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--repository", metavar="URL", help="an empty database (default: a new SQLite file)")
    where.add_argument("--postgresql", action="store_true", help="start a PostgreSQL of its own")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for all files (default: .bench)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    given = parser.parse_args(arguments)

    folder = given.folder.resolve() / f"history-{os.getpid()}"
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        repository = given.repository or f"sqlite:///{folder / 'repository.sqlite'}"
        if given.postgresql:
            repository = postgresql(folder, stack)
        bench = HistoryBench(folder, repository)
        bench.generate(given.entries, given.seed)
        report = bench.compare(given.pairs)
    if given.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print(
            f"{report.rows:,} rows, {report.changed:,} changes, {report.pairs} pairs: with history "
            f"{report.seconds_with:.2f} s, without {report.seconds_without:.2f} s, {report.cost:+.1%} "
            f"(CPU of the process {report.cpu_cost:+.1%}); "
            f"{report.kept:,} versions kept"
        )


if __name__ == "__main__":
    main()
