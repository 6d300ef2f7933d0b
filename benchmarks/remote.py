"""Measures the steps with a repository on another machine: round trips of a millisecond, 100 MB a second.

    python -m benchmarks.remote --entries 100000 [--pairs 3] [--round-trip 1] [--rate 100] [--via netem|relay]

With root and a kernel that emulates networks (``sch_netem``), our processes run in a network namespace, and a pair of
devices delays and slows what goes between them and the server. Elsewhere a relay does, which takes some processor time
of its own, for all alike. Client and server still share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import asdict

from benchmarks.arena import Arena
from benchmarks.contest import POSTGRESQL, Contest
from benchmarks.goals import HAND, summary
from benchmarks.job import COMPLETE, INCREMENTAL, INITIAL, NO_CHANGES, PLAN
from benchmarks.machine import machine, versions
from benchmarks.network import NETEM, RELAY, far_away
from benchmarks.options import OF_THE_DATA, add_files, add_server
from benchmarks.run import chosen, chosen_baselines
from benchmarks.servers import settings_for
from benchmarks.table import memory, tables

MEASURED = {INITIAL: "", NO_CHANGES: "", PLAN: "", COMPLETE: "", INCREMENTAL: ""}
LIMIT = 1.0
"""The goal, of every step: not slower than SQL written by hand, over the same network."""


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    steps = chosen(given.steps, MEASURED, "--steps")
    baselines = [b for b in chosen_baselines(given.baselines) if b.section == POSTGRESQL]
    folder = given.folder.resolve() / f"remote-{os.getpid()}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        settings = settings_for(given.server_settings) | dict(s.split("=", 1) for s in given.set)
        arena = Arena(folder, given.entries, given.seed, given.data)
        arena.prepare_for(steps)
        far = stack.enter_context(far_away(settings, given.via, given.round_trip / 1e3, given.rate * 1e6))
        arena.prefix = far.prefix
        contest = Contest(arena, steps, given.pairs)
        contest.synchronize(POSTGRESQL, far.server, baselines)
        stored = far.server.settings()
    goals = {(POSTGRESQL, step, HAND[POSTGRESQL]): LIMIT for step in steps}
    lines = summary(contest.runs, steps, goals)
    print(f"{tables(lines, markdown=given.markdown)}\n\n{memory(lines)}")
    print(f"via {far.via}: {given.rate:g} MB/s, a round trip measured as {far.round_trip * 1e3:.2f} ms")
    if given.json:
        report = {
            "entries": given.entries,
            "machine": machine(),
            "versions": versions(),
            "settings": stored,
            "via": far.via,
            "round_trip": far.round_trip,
            "bytes_per_second": given.rate * 1e6,
            "results": [asdict(line) | {"median": line.median, "met": line.met} for line in lines],
            "runs": [asdict(run) for run in contest.runs],
        }
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--entries", type=int, default=100_000, help="N: N/50 groups, 5N memberships")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", metavar="LIST", help=f"of {', '.join(MEASURED)} (default: all)")
    parser.add_argument("--baselines", default=HAND[POSTGRESQL], metavar="LIST", help="as of benchmarks.run")
    parser.add_argument(
        "--round-trip", type=float, default=1.0, metavar="MS", help="in milliseconds (default: 1)"
    )
    parser.add_argument(
        "--rate", type=float, default=100.0, metavar="MB", help="megabytes a second (default: 100)"
    )
    parser.add_argument("--via", choices=(NETEM, RELAY), help="default: netem where it works, else relay")
    add_server(parser, url=False)
    add_files(parser, OF_THE_DATA)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
