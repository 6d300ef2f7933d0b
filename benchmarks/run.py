"""Measures every step beside what others need for the same end state, in turns, from the same data.

    python -m benchmarks.run --entries 100000 [--pairs 5] [--databases postgresql,sqlite] [--steps complete,plan]
                             [--baselines hand_sql_postgresql,dlt_merge:3] [--json FILE] [--markdown]

What is timed is the call alone, in a process of its own that has done its imports. What every step counts is compared
with what the generated data holds; a difference ends the run. ``docs/performance.md`` says more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.arena import ROOT, Arena
from benchmarks.contest import FILES, POSTGRESQL, PREPARES, SQLITE, Baseline, Contest
from benchmarks.goals import summary
from benchmarks.job import STEPS
from benchmarks.machine import machine, versions
from benchmarks.servers import PostgresqlServer, Server, SqliteFiles, own_postgresql, settings_for
from benchmarks.table import memory, tables

DLT = ROOT / ".bench" / "dlt"  # not in the environment: nothing else needs it
BASELINES = (
    Baseline("duckdb_prepare", FILES),
    Baseline("hand_sql_postgresql", POSTGRESQL),
    Baseline("dlt_merge", POSTGRESQL, pairs=3, folder=DLT),
    Baseline("pandas_to_sql", POSTGRESQL, pairs=1),
    Baseline("hand_sql_sqlite", SQLITE),
)
"""All there are; a slow one takes part in the first pairs only."""
NONE = "none"


def chosen_baselines(text: str | None) -> list[Baseline]:
    """Read ``NAME[:PAIRS],…``; without it, all that can run."""
    known = {baseline.name: baseline for baseline in BASELINES}
    if text == NONE:
        return []
    found = list(BASELINES)
    if text is not None:
        found = []
        for part in text.split(","):
            name, _, pairs = part.strip().partition(":")
            if name not in known or (pairs and not pairs.isdigit()):
                raise SystemExit(f"--baselines: {part!r} is none of {', '.join(known)}, or {NONE}")
            found.append(replace(known[name], pairs=int(pairs)) if pairs else known[name])
    return [baseline for baseline in found if is_there(baseline)]


def is_there(baseline: Baseline) -> bool:
    """Tell whether a baseline can run, and how it could if it cannot."""
    if baseline.folder is None or baseline.folder.is_dir():
        return True
    print(
        f"{baseline.name} is left out: {baseline.folder.relative_to(ROOT)} is not there; make bench puts it there",
        file=sys.stderr,
    )
    return False


def chosen(text: str | None, known: dict[str, str], option: str) -> list[str]:
    """Read a list of names; without it, all of them."""
    if text is None:
        return list(known)
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"{option}: {', '.join(unknown)} is none of {', '.join(known)}")
    return [name for name in known if name in names]


def server_of(section: str, given: argparse.Namespace, folder: Path, stack: ExitStack) -> Server:
    if section == SQLITE:
        return SqliteFiles(folder / "sqlite")
    if given.postgresql:
        return PostgresqlServer(given.postgresql)
    own = dict(setting.split("=", 1) for setting in given.set)
    return stack.enter_context(own_postgresql(settings_for(given.server_settings) | own))


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do all that was asked for; return the report."""
    steps = chosen(given.steps, STEPS, "--steps")
    databases = chosen(given.databases, {POSTGRESQL: "", SQLITE: ""}, "--databases")
    baselines = chosen_baselines(given.baselines)
    arena = Arena(folder, given.entries, given.seed, given.data)
    arena.prepare_for(steps)
    contest = Contest(arena, steps, given.pairs)
    servers: dict[str, dict[str, str]] = {}
    if any(step in PREPARES for step in steps):
        contest.prepare([b for b in baselines if b.section == FILES])
    if any(step not in PREPARES for step in steps):
        for section in databases:
            with ExitStack() as stack:
                server = server_of(section, given, folder, stack)
                servers[section] = server.settings()
                contest.synchronize(section, server, [b for b in baselines if b.section == section])
    lines = summary(contest.runs, steps)
    print(f"{tables(lines, markdown=given.markdown)}\n\n{memory(lines)}")
    return {
        "entries": given.entries,
        "seed": given.seed,
        "pairs": given.pairs,
        "machine": machine(),
        "versions": versions(),
        "settings": servers,
        "results": [asdict(line) | {"median": line.median, "met": line.met} for line in lines],
        "runs": [asdict(run) for run in contest.runs],
    }


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").partition("\n")[0]
    )
    names = ", ".join(b.name for b in BASELINES)
    parser.add_argument("--entries", type=int, default=100_000, help="N: N/50 groups, 5N memberships")
    parser.add_argument("--pairs", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--databases", metavar="LIST", help="of postgresql, sqlite (default: both)")
    parser.add_argument("--steps", metavar="LIST", help=f"of {', '.join(STEPS)} (default: all)")
    parser.add_argument(
        "--baselines",
        metavar="LIST",
        help=f"of {names}, each with the number of its pairs if not all (dlt_merge:1), or none (default: all)",
    )
    parser.add_argument(
        "--postgresql", metavar="URL", help="a server to make databases on (default: one of its own)"
    )
    parser.add_argument(
        "--server-settings",
        choices=("tuned", "default"),
        default="tuned",
        help="of its own server: to this machine, or as PostgreSQL comes",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of it"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="of the data, which is made if it is not there"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="for all other files (default: .bench)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every run, the machine and the settings"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the tables as the documentation has them"
    )
    return parser


def main(given_arguments: list[str] | None = None) -> None:
    given = arguments().parse_args(given_arguments)
    folder = given.folder.resolve() / f"run-{os.getpid()}"
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        report = measure(given, folder)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
