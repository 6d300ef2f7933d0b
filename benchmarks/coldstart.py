"""Says how long it takes until anything begins: the command line, a large configuration, an operator.

    python -m benchmarks.coldstart [--repeat 7] [--json FILE]

Each time is the median of processes that were all started anew; bytecode and files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arena import Arena
from benchmarks.connectors import write_configuration
from benchmarks.job import CONNECTOR, OURS
from benchmarks.machine import machine, versions
from benchmarks.measure import Cost, run
from benchmarks.table import as_markdown, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

IDM = (sys.executable, "-c", "import sys; from airflow_provider_idm.cli import main; sys.exit(main())")
ENTITY_TYPES = 200
DAG_FILE = """\
import airflow.sdk
from {module} import {name}

with airflow.sdk.DAG("cold_{task}", schedule=None) as dag:
    {name}(task_id="{task}", connector="AD", {arguments})
"""
HEAD = ("what", "seconds", "min–max", "goal", "met", "CPU s", "peak MiB")


@dataclass(frozen=True)
class Result:
    """What one beginning took.

    :param seconds: of each time; ``limit``: what the median may be.
    """

    what: str
    seconds: tuple[float, ...]
    limit: float | None
    cpu_seconds: float
    peak_bytes: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Bench:
    """The configurations and the Airflow of one run."""

    def __init__(self, folder: Path, repeat: int) -> None:
        self.folder = folder
        self.repeat = repeat
        self.arena = Arena(folder, 500, 1)
        self.large = folder / "large"
        # a connector has two entity types
        write_configuration(self.arena.data / "conf" / "AD.xml", self.large, ENTITY_TYPES // 2)
        self.environment = self.arena.environment | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this run alone, and of nothing that lasts",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW_CONN_IDM_DEFAULT": json.dumps({"conn_type": "idm", "extra": self.connection()}),
            "DO_NOT_TRACK": "1",
        }

    def connection(self) -> dict[str, str]:
        work = self.folder / "work"
        (work / "ExportOutput").parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.arena.data / "s1", work / "ExportOutput")
        return {
            "configuration": str(self.arena.data / "conf"),
            "exchange": str(self.folder / "exchange"),
            "work": str(work),
            "repository": f"sqlite:///{self.folder / 'repository.sqlite'}",
        }

    def idm(self, *arguments: str) -> Callable[[], tuple[float, Cost]]:
        def start() -> tuple[float, Cost]:
            cost = run([*IDM, *arguments], self.environment)
            return cost.seconds, cost

        return start

    def operator(self, name: str, arguments: str, watched: Path) -> Callable[[], tuple[float, Cost]]:
        module = f"airflow_provider_idm.operators.{name}"
        class_name = "".join(part.capitalize() for part in name.split("_")) + "TaskOperator"
        dags = self.folder / "airflow" / "dags"
        dags.mkdir(parents=True, exist_ok=True)
        file = dags / f"{name}.py"
        file.write_text(DAG_FILE.format(module=module, name=class_name, task=name, arguments=arguments))

        def start() -> tuple[float, Cost]:
            if name == "synchronize":
                self.prepare()
            child = ["-m", "benchmarks.coldstart_child", str(file), f"{module}:{class_name}", str(watched)]
            cost = run([sys.executable, *child], self.environment)
            told = json.loads(cost.output.splitlines()[-1])
            return told["import"] + told["work"], cost

        return start

    def prepare(self) -> None:
        """Publish a batch for the synchronize that follows."""
        place = {"exchange": str(self.folder / "exchange"), "work": str(self.folder / "work")}
        raw = str(self.arena.data / "s1")
        self.arena.do(self.arena.job(OURS, "prepare", raw=raw, mode="complete", **place))

    def measure(self) -> list[Result]:
        run([sys.executable, "-m", "airflow", "db", "migrate"], self.environment)
        sources, batches = self.folder / "work" / "ExportOutput", self.folder / "exchange" / CONNECTOR
        starts = [
            ("python -c pass", lambda: self.python("pass"), None),
            ("idm --help", self.idm("--help"), 0.3),
            (f"idm check, {ENTITY_TYPES} entity types", self.idm("check", str(self.large)), 1.0),
            (
                "PrepareSynchronizationTask, to the first byte of a source",
                self.operator("prepare_synchronization", 'synchronization_mode="Complete"', sources),
                1.0,
            ),
            (
                "SynchronizeTask, to the first byte of the exchange",
                self.operator("synchronize", "", batches),
                1.0,
            ),
        ]
        return [self.repeated(what, start, limit) for what, start, limit in starts]

    def python(self, code: str) -> tuple[float, Cost]:
        cost = run([sys.executable, "-c", code], self.environment)
        return cost.seconds, cost

    def repeated(self, what: str, start: Callable[[], tuple[float, Cost]], limit: float | None) -> Result:
        start()  # writes bytecode
        found = [start() for _ in range(self.repeat)]
        print(f"{what}: {statistics.median(s for s, _ in found):.3f} s", file=sys.stderr, flush=True)
        return Result(
            what=what,
            seconds=tuple(seconds for seconds, _ in found),
            limit=limit,
            cpu_seconds=statistics.median(cost.cpu_seconds for _, cost in found),
            peak_bytes=max(cost.peak_bytes for _, cost in found),
        )


def cells(result: Result) -> tuple[str, ...]:
    limit = result.limit
    return (
        result.what,
        f"{result.median:.3f}",
        f"{min(result.seconds):.3f}–{max(result.seconds):.3f}",
        "" if limit is None else f"< {limit:g}",
        "" if limit is None else ("yes" if result.median < limit else "no"),
        f"{result.cpu_seconds:.2f}",
        f"{result.peak_bytes / 2**20:,.0f}",
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coldstart", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for all files (default: .bench)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve() / f"coldstart-{os.getpid()}"
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        results = Bench(folder, given.repeat).measure()
    table = as_markdown if given.markdown else as_text
    print(table([cells(result) for result in results], HEAD))
    print(
        "\nOf a task only what comes on top of Airflow's own is counted: the operator's import, and its work until then."
    )
    if given.json:
        report = {"machine": machine(), "versions": versions()}
        told = [asdict(result) | {"median": result.median} for result in results]
        given.json.write_text(json.dumps(report | {"results": told}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
