"""Run the sample jobs of ``dags/`` with Airflow in a fresh folder and show what they did.

    python scripts/demo.py [FOLDER]

Everything goes into FOLDER (``.demo`` in the checkout by default, emptied first): Airflow's home and log, a copy of
``dags/``, the SQLite repository, the exchange and the work folder. Exit code 1 if anything fails.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository

ROOT = Path(__file__).resolve().parents[1]
LOG_TAIL = 40
SIDE_FILES = {
    "nullpk": "a key is empty",
    "duplicates": "key seen before",
    "invalid": "value does not fit",
    "orphans": "no such resource",
    "conflicts": "one target at most",
    "anomalies": "update of an unknown",
}

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class DemoError(Exception):
    """A step of the demo failed; the text says which and why."""


@dataclass(frozen=True)
class Demo:
    """The demo's folder and what is in it."""

    folder: Path

    @property
    def home(self) -> Path:
        """Airflow's home."""
        return self.folder / "airflow"

    @property
    def dags(self) -> Path:
        """The copy of the sample."""
        return self.folder / "dags"

    @property
    def work(self) -> Path:
        """The provider's work folder."""
        return self.home / "idm" / "work"

    @property
    def log(self) -> Path:
        """What Airflow printed."""
        return self.folder / "airflow.log"

    def prepare(self) -> None:
        """Empty the folder and put a copy of the sample into it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        shutil.copytree(ROOT / "dags", self.dags, ignore=shutil.ignore_patterns("__pycache__"))

    def airflow(self, *arguments: str) -> int:
        """Run an ``airflow`` command, its output into the log; return its exit code."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
        environment |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p),
        }
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "airflow", *arguments]
            done = subprocess.run(  # noqa: S603  our own command
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        return done.returncode

    def query(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """Read from Airflow's own database."""
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            return database.execute(statement, values).fetchall()


# -------------------------------------------------------------------------------------------------------- running


def run_job(demo: Demo, job: str) -> None:
    """Run a job's DAG and show what each of its tasks did."""
    with console.status(f"Airflow runs {job}"):
        code = demo.airflow("dags", "test", job)
    tasks = demo.query(
        "select task_id, state, duration from task_instance where dag_id = ? order by start_date, task_id",
        job,
    )
    if not tasks:
        raise DemoError(f"airflow dags test {job} did not run a task (exit code {code})")
    told = demo.query("select task_id, key, value from xcom where dag_id = ? order by timestamp", job)
    xcoms = {(task, key): json.loads(value) if isinstance(value, str) else value for task, key, value in told}

    table = Table(title=f"$ airflow dags test {job}", title_justify="left", title_style="bold")
    for column in ("task", "state", "seconds", "what it did"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for task, state, duration in tasks:
        colour = {"success": "green", "skipped": "yellow"}.get(state, "red")
        shown = "\n".join(summary(xcoms.get((task, "return_value")), xcoms.get((task, "counts"))))
        table.add_row(task, f"[{colour}]{state}[/]", f"{duration or 0:.1f}", escape(shown))
    console.print(table)
    if code != 0 or any(state != "success" for _, state, _ in tasks):
        raise DemoError(f"the job {job} did not succeed")


def summary(result: Any, counts: Any) -> list[str]:
    """Say in a few lines what a task returned."""
    if counts is not None:
        lines = [f"{name}: {numbers_of(numbers)}" for name, numbers in counts["files"].items()]
        return [*lines, f"batch {counts['batch']}"]
    if isinstance(result, dict) and "entity_types" in result:
        parts = (result["entity_types"] | result["associations"]).items()
        return [f"{name}: {numbers_of(numbers)}" for name, numbers in parts]
    if isinstance(result, dict) and "files" in result:
        return [f"{name}: {numbers_of(file)}" for name, file in result["files"].items()]
    return [f"{result} resources marked" if isinstance(result, int) else str(result)]


def numbers_of(values: dict[str, Any]) -> str:
    """Return the numbers that are not zero, with their names."""
    return ", ".join(f"{v} {k}" for k, v in values.items() if isinstance(v, int) and v) or "nothing"


def change_extracts(demo: Demo) -> None:
    """Let a day pass in Human Resources."""
    persons = demo.dags / "conf" / "sources" / "hr" / "persons.csv"
    lines = persons.read_text(encoding="utf-8").splitlines()
    lines = [
        line.replace("Sales assistant", "Recruiter").replace("SALES", "HR") if "100015" in line else line
        for line in lines
    ]
    lines = [line for line in lines if not line.startswith("100008;")]
    lines.append("100016;Nguyệt;Trần;Accountant;nguyet.tran@example.org;2026-02-02;;no;FIN")
    persons.write_text("\n".join(lines) + "\n", encoding="utf-8")
    organizations = demo.dags / "conf" / "sources" / "hr" / "organizations.csv"
    with organizations.open("a", encoding="utf-8") as file:
        file.write("AUDIT,Internal audit,100016,HQ\n")


# -------------------------------------------------------------------------------------------------------- showing


def show_repository(demo: Demo, connector: str, *views: tuple[str, Sequence[str]]) -> None:
    """Show entity types and associations of a connector as the repository holds them.

    :param views: the name of an entity type or association, and the columns to show.
    """
    mappings = connector_mappings(read_configuration(demo.dags / "conf"), connector)
    associations = {association.identifier for association in mappings.associations}
    with Repository.open(f"sqlite:///{demo.home}/idm/repository.db") as repository:
        for name, columns in views:
            query = repository.query_association if name in associations else repository.query_entity_type
            rows = query(mappings, name).select(list(columns)).to_pylist()
            show_rows(f"{name} ({len(rows)})", columns, ([row[c] for c in columns] for row in rows))


def show_groups(demo: Demo) -> None:
    """Show the groups of the directory with their members."""
    mappings = connector_mappings(read_configuration(demo.dags / "conf"), "Directory")
    with Repository.open(f"sqlite:///{demo.home}/idm/repository.db") as repository:
        entries = repository.query_entity_type(mappings, "Directory_Entry").to_pylist()
        links = repository.query_association(mappings, "Directory_Members").to_pylist()
    names = {entry["objectGUID"]: entry["rdn"] for entry in entries}
    groups = [entry for entry in entries if entry["objectClass"] == "group"]
    members = {
        group["objectGUID"]: sorted(
            names[link["key2"]] for link in links if link["key1"] == group["objectGUID"]
        )
        for group in groups
    }
    rows = [
        (group["rdn"], len(members[group["objectGUID"]]), ", ".join(members[group["objectGUID"]]))
        for group in groups
    ]
    show_rows(
        f"Groups of the directory ({len(groups)}, of {len(entries)} entries)",
        ("group", "members", "who"),
        sorted(rows),
    )


def show_side_files(demo: Demo, connector: str) -> None:
    """Show what was set aside, from the side files."""
    rows = []
    for folder in ("Collect", "Synchronize"):
        for file in sorted((demo.work / connector / folder).glob("*.csv")):
            why = SIDE_FILES.get(file.stem.rpartition(".")[2])
            if why is not None:
                with file.open(encoding="utf-8", newline="") as text:
                    lines = list(csv.DictReader(text))
                rows += [
                    (file.name, why, ", ".join(f"{k}={v}" for k, v in line.items() if v)) for line in lines
                ]
    where = demo.work.relative_to(demo.folder.parent) / connector
    show_rows(f"Set aside, in {where}", ("file", "why", "row"), rows)


def show_rows(title: str, columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape("" if value is None else str(value)) for value in row))
    console.print(table)


def show(demo: Demo) -> None:
    """Run the jobs and show everything."""
    person = ("EmployeeId", "FirstName", "LastName", "Title", "Organization")
    organization = ("Code", "Name", "Manager", "Parent")

    with console.status("Airflow makes its database"):
        demo.prepare()
        if demo.airflow("db", "migrate") != 0:
            raise DemoError("airflow db migrate failed")

    console.rule("Human Resources: everything")
    run_job(demo, "HR_Synchronize_Complete")
    show_repository(demo, "HR", ("Person", person), ("Organization", organization))
    show_side_files(demo, "HR")

    console.rule("The directory: entries, their parents, members of groups")
    run_job(demo, "Directory_Synchronize_Complete")
    show_groups(demo)
    show_side_files(demo, "Directory")

    console.rule("The next day: one left, one came, one moved, and there is an audit now")
    change_extracts(demo)
    run_job(demo, "HR_Synchronize_Incremental")
    show_repository(demo, "HR", ("Person", person), ("Organization", organization))
    console.print(
        f"Everything is in {demo.folder}: the repository in {demo.home.name}/idm/repository.db, Airflow's log in "
        f"{demo.log.name}.",
        soft_wrap=True,
    )


def main(arguments: list[str]) -> int:
    """Run the demo; return the exit code."""
    folder = Path(arguments[0]).resolve() if arguments else ROOT / ".demo"
    if arguments and folder.exists() and any(folder.iterdir()):
        console.print(f"[red]{escape(str(folder))} is not empty[/]", soft_wrap=True)
        return 2
    demo = Demo(folder)
    try:
        show(demo)
    except DemoError as error:
        console.print(f"[red]{escape(str(error))}[/]; the end of {escape(str(demo.log))}:", soft_wrap=True)
        lines = (
            demo.log.read_text(encoding="utf-8", errors="replace").splitlines() if demo.log.exists() else []
        )
        console.print("\n".join(lines[-LOG_TAIL:]), markup=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
