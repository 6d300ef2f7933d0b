"""Measures what the DAG processor pays for a large configuration, and what others would make it pay.

    python -m benchmarks.parse [--connectors 30] [--jobs 300] [--repetitions 7] [--json]

The same DAGs are made by ``generate_dags`` from XML, by one Python file written by hand, and by dag-factory from YAML
(if it is in ``.bench/dag-factory``, where ``make bench-parse`` puts it). Each is loaded in fresh processes, in turn;
what counts is the time that it takes once ``airflow.sdk`` is imported, which all pay. Beforehand the DAGs are compared:
the same tasks, operators, groups, trigger rules and edges, or the run ends. The last line is a worker, which needs one
DAG.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import run
from benchmarks.parse_configuration import TASKS, write_configuration

ROOT = Path(__file__).parents[1]
CHILD = Path(__file__).with_name("parse_child.py")
GENERATED = "generate_dags, from XML"
WRITTEN = "by hand, one Python file"
FACTORY = "dag-factory, from YAML"
WORKER = "generate_dags, a worker's one DAG"
FACTORY_FOLDER = (
    ROOT / ".bench" / "dag-factory"
)  # not in the environment: Airflow would load its plugin everywhere
NO_FACTORY = "dag-factory is not in .bench/dag-factory and was left out: make bench-parse puts it there"


@dataclass(frozen=True)
class Result:
    """What one contender costs above ``import airflow.sdk``: medians of elapsed and CPU seconds.

    :param ratio: the elapsed ones, as a multiple of those of the DAGs written by hand.
    """

    name: str
    dags: int
    seconds: float
    cpu_seconds: float
    ratio: float


@dataclass(frozen=True)
class Contender:
    """A DAG file to load; as a worker does if it needs only one DAG."""

    name: str
    file: Path
    only: str | None = None


class Bench:
    """The files of one run."""

    def __init__(self, folder: Path, connectors: int, jobs: int) -> None:
        self.folder = folder
        self.configuration = folder / "conf"
        write_configuration(self.configuration, connectors, jobs)
        self.files = len(list(self.configuration.rglob("*.xml")))
        self.jobs = jobs
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(ROOT),
        }

    def contenders(self) -> list[Contender]:
        """Write the DAG files."""
        arguments = [str(self.configuration), str(self.folder), str(self.files)]
        run([sys.executable, "-m", "benchmarks.parse_contenders", *arguments], self.environment)
        configuration, yaml = str(self.configuration), str(self.folder / "yaml")
        files = {
            "generated": "from airflow_provider_idm import generate_dags\n\n"
            f"generate_dags({configuration!r})\n",
            "factory": "from dagfactory import load_yaml_dags\n\n"
            f"load_yaml_dags(globals_dict=globals(), dags_folder={yaml!r})\n",
        }
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text, encoding="utf-8")
        found = [
            Contender(GENERATED, self.folder / "generated.py"),
            Contender(WRITTEN, self.folder / "written.py"),
        ]
        if has_factory():
            found.append(Contender(FACTORY, self.folder / "factory.py"))
        return [*found, Contender(WORKER, self.folder / "generated.py", only=f"Job{self.jobs // 2 + 1:03}")]

    def load(self, contender: Contender, *options: str) -> Any:
        """Load a contender's DAG file in a process of its own; return what that prints."""
        context = {} if contender.only is None else {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": contender.only}
        if contender.name == FACTORY:
            context["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(FACTORY_FOLDER)])
        command = [sys.executable, "-P", str(CHILD), str(contender.file), *options]
        return json.loads(run(command, self.environment | context).output.splitlines()[-1])

    def check(self, contenders: list[Contender]) -> None:
        """Compare the DAGs; bytecode is written on the way, as Airflow's first parse does."""
        expected: dict[str, Any] = {}
        for contender in contenders:
            found = self.load(contender, "--structure")
            if contender.name == GENERATED:
                expected = found
                check_generated(found, self.jobs)
            wanted = expected if contender.only is None else {contender.only: expected[contender.only]}
            if difference := first_difference(found, wanted):
                raise SystemExit(f"{contender.name}: {difference}")

    def measure(self, contenders: list[Contender], repetitions: int) -> list[Result]:
        costs: dict[str, list[tuple[float, float]]] = {contender.name: [] for contender in contenders}
        for number in range(repetitions):
            turn = number % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                costs[contender.name].append(tuple(self.load(contender)))
        seconds = {name: statistics.median(elapsed for elapsed, _ in found) for name, found in costs.items()}
        return [
            Result(
                name=contender.name,
                dags=1 if contender.only else self.jobs,
                seconds=round(seconds[contender.name], 3),
                cpu_seconds=round(statistics.median(cpu for _, cpu in costs[contender.name]), 3),
                ratio=round(seconds[contender.name] / seconds[WRITTEN], 2),
            )
            for contender in contenders
        ]


def has_factory() -> bool:
    return (FACTORY_FOLDER / "dagfactory").is_dir()


def check_generated(found: Mapping[str, Any], jobs: int) -> None:
    """Check that every job became a DAG with all its tasks, and none a placeholder."""
    if len(found) != jobs:
        raise SystemExit(f"{GENERATED}: {len(found)} DAGs of {jobs} jobs")
    for name, dag in found.items():
        tasks = [task for task in dag["tasks"].values() if task[0].endswith("TaskOperator")]
        if len(tasks) != TASKS:
            raise SystemExit(
                f"{GENERATED}: {name} has {len(tasks)} tasks, its job has {TASKS}: {dag['tasks']}"
            )


def first_difference(found: Any, expected: Any, place: str = "") -> str | None:
    """Say where two structures differ first; None if they don't."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if key not in found or key not in expected:
                return f"{place}/{key} is {'missing' if key in expected else 'too many'}"
            if difference := first_difference(found[key], expected[key], f"{place}/{key}"):
                return difference
        return None
    return None if found == expected else f"{place} is {found}, generate_dags makes {expected}"


def table(results: list[Result]) -> str:
    lines = [f"{'loaded, once airflow.sdk is':34} {'DAGs':>5} {'seconds':>8} {'CPU s':>8} {'x by hand':>10}"]
    lines += [
        f"{result.name:34} {result.dags:>5} {result.seconds:>8.2f} {result.cpu_seconds:>8.2f} {result.ratio:>10.2f}"
        for result in results
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parse", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--connectors", type=int, default=30, help="at least four")
    parser.add_argument("--jobs", type=int, default=300, help=f"of {TASKS} tasks each")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for all files (default: .bench)")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)

    folder = given.folder.resolve() / f"parse-{os.getpid()}"
    try:
        bench = Bench(folder, given.connectors, given.jobs)
        contenders = bench.contenders()
        bench.check(contenders)
        results = bench.measure(contenders, given.repetitions)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    note = None if has_factory() else NO_FACTORY
    told = {
        "connectors": given.connectors,
        "jobs": given.jobs,
        "tasks": given.jobs * TASKS,
        "files": bench.files,
        "repetitions": given.repetitions,
        "note": note,
        "results": [asdict(result) for result in results],
    }
    text = json.dumps(told, indent=2)
    (given.folder / "parse.json").write_text(text + "\n", encoding="utf-8")
    print(text if given.json else "\n".join([table(results), *([note] if note else [])]))


if __name__ == "__main__":
    main()
