"""Connectors with dated extracts on a whole Airflow, and backfills over them that a shell starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import Stack

FIRST = date(2026, 1, 1)

DAG_FILE = """\
import json
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_idm import generate_dags
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

HERE = Path(__file__).parent
for name, given in json.loads((HERE / "pasts.json").read_text(encoding="utf-8")).items():
    settings = {"start_date": datetime(2026, 1, 1), "end_date": datetime(2026, 2, 1), "catchup": False}
    retries = {"retries": 2, "retry_delay": timedelta(seconds=5)}  # a busy machine may start a task too late
    defaults = {"idm_conn_id": f"idm_{name}", "configuration": given["configuration"], **retries}
    with DAG(name, schedule="@daily", **settings, default_args=defaults) as dag:
        prepare = PrepareSynchronizationTaskOperator(
            task_id="prepare",
            connector="HR",
            synchronization_mode="Complete",
            sources_directory=given["folder"],
        )
        # It does not look by itself just when the test answers.
        hour = timedelta(hours=1)
        SynchronizeTaskOperator(task_id="synchronize", connector="HR", batch=prepare.output, poll_interval=hour)
    globals()[name] = dag

generate_dags("conf", idm_conn_id="idm_past_job")
"""
JOB = """\
<ConfigurationFile>
  <Job Identifier="past_job" DisplayName_L1="A job over dated extracts" CronTabExpression="0 0 * 1 *">
    <PrepareSynchronizationTask Identifier="prepare" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Incremental" SourcesDirectory="{folder}" />
    <SynchronizeTask Identifier="synchronize" DisplayName_L1="Synchronize" Connector="HR" />
  </Job>
</ConfigurationFile>
"""


def day(number: int) -> date:
    """Return a day; the first is number 1."""
    return FIRST + timedelta(days=number - 1)


def persons_of(number: int) -> str:
    """Return the extract of a day: six persons; every day one goes, one comes, and all get other names."""
    lines = [f"P{n},of day {number},2020-01-0{1 + n % 9}," for n in range(number, number + 6)]
    return "\n".join(["id,name,since,manager", *lines, ""])


@dataclass(frozen=True)
class DayRun:
    """A run of a DAG that has a date."""

    run_id: str
    type: str
    state: str
    tasks: dict[str, str]


class Past:
    """A connector of a DAG of its own, which has the same name.

    :param folder: where all of it lies: ``2026-01-01`` and so on are the extracts of the days.
    :param dated: whether the DAG reads the folder of its day, or one and the same.
    :param limits: thresholds of the connector, as XML attributes.
    """

    def __init__(
        self, stack: Stack, folder: Path, name: str, *, dated: bool = True, limits: str = ""
    ) -> None:
        self.stack = stack
        self.name = name
        self.root = folder / name
        self.repository = f"sqlite:///{self.root}/repository.db"
        self.configuration = self.root / "conf"
        self.configuration.mkdir(parents=True)
        self.text = CONFIGURATION.replace('"Human Resources"', f'"Human Resources" {limits}')
        (self.configuration / "HR.xml").write_text(self.text, encoding="utf-8")
        self.mappings = connector_mappings(read_configuration(self.configuration), "HR")
        self.folder = f"{self.root}/{{{{ ds }}}}" if dated else str(self.root / "now")
        stack.connect(f"idm_{name}", extra=self.places | {"configuration": str(self.configuration)})

    @property
    def places(self) -> dict[str, str]:
        return {
            "repository": self.repository,
            "exchange": str(self.root / "exchange"),
            "work": str(self.root / "work"),
        }

    # ------------------------------------------------------------------------------------------------------ extracts

    def extract(self, number: int, text: str | None = None) -> None:
        """Write the extract of a day; what is not dated has but one."""
        folder = Path(self.folder.replace("{{ ds }}", str(day(number))))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "HR-Persons.csv").write_text(persons_of(number) if text is None else text, encoding="utf-8")

    def extracts(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.extract(number)

    def complete(self, number: int) -> None:
        """Prepare and synchronize the extract of a day from a shell."""
        conf = str(self.configuration)
        sources = self.folder.replace("{{ ds }}", str(day(number)))
        prepare = ["--mode", "complete", "--sources", sources, "--logical-date", str(day(number))]
        self._idm("prepare", conf, "--connector", "HR", *prepare)
        self._idm("synchronize", conf, "--connector", "HR")

    def _idm(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow_provider_idm.cli", *arguments],
            env=os.environ | {f"IDM_{name.upper()}": value for name, value in self.places.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    # ----------------------------------------------------------------------------------------------------- backfills

    def backfill(self, first: int, last: int, *arguments: str) -> Past:
        """Create a backfill of some days in a shell; then let the DAG run."""
        self.wait_for_dag()
        self._wait_for_backfill()
        command = ["backfill", "create", "--dag-id", self.name]
        dates = ["--from-date", str(day(first)), "--to-date", str(day(last))]
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command, *dates, *arguments],
            env=self.stack.environment,
            cwd=self.stack.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.unpause()
        return self

    def wait_for_dag(self) -> None:
        url = f"/api/v2/dags/{self.name}"
        self.stack.wait_for(f"DAG {self.name}", lambda: self._api.get(url).status_code == 200)

    def _wait_for_backfill(self) -> None:
        """Wait until the scheduler has seen, as it does every 30 seconds, that an earlier backfill has ended."""
        query = {"dag_id": self.name}

        def ended() -> bool:
            backfills = self._api.get("/api/v2/backfills", params=query).json()["backfills"]
            return all(backfill["completed_at"] for backfill in backfills)

        self.stack.wait_for(f"the end of the earlier backfill of {self.name}", ended)

    def unpause(self) -> None:
        assert self._api.patch(f"/api/v2/dags/{self.name}", json={"is_paused": False}).status_code == 200

    def trigger(self, logical_date: date | None, run_id: str) -> None:
        """Start a run by hand."""
        moment = f"{logical_date}T12:00:00Z" if logical_date else None
        body = {"dag_run_id": run_id, "logical_date": moment}
        answer = self._api.post(f"/api/v2/dags/{self.name}/dagRuns", json=body)
        assert answer.status_code == 200, answer.text

    @property
    def _api(self) -> httpx.Client:
        return self.stack.client("anna")

    def runs(self) -> dict[str, DayRun]:
        """Return the runs that there are by their day; those without a logical date by their id."""
        url = f"/api/v2/dags/{self.name}/dagRuns"
        found = self._api.get(url, params={"limit": 100}).json()["dag_runs"]
        return {
            str(run["logical_date"] or run["dag_run_id"])[:10]: DayRun(
                run["dag_run_id"], run["run_type"], run["state"], self._tasks(run["dag_run_id"])
            )
            for run in sorted(found, key=lambda run: str(run["logical_date"]))
        }

    def _tasks(self, run_id: str) -> dict[str, str]:
        url = f"/api/v2/dags/{self.name}/dagRuns/{run_id}/taskInstances"
        return {task["task_id"]: task["state"] for task in self._api.get(url).json()["task_instances"]}

    def wait(self, runs: int) -> list[str]:
        """Wait until all of so many runs have ended; return their states, the earliest first."""
        url = f"/api/v2/dags/{self.name}/dagRuns"

        def ended() -> list[str] | None:
            found = self._api.get(url, params={"limit": 100, "order_by": "logical_date"}).json()["dag_runs"]
            states = [run["state"] for run in found]
            return states if len(states) == runs and set(states) <= {"success", "failed"} else None

        states: list[str] = self.stack.wait_for(f"the end of {runs} runs of {self.name}", ended, 600)
        return states

    def log(self, number: int, task: str = "prepare") -> str:
        """Return what the tries of a task of a day told."""
        return self.log_of(self.runs()[str(day(number))].run_id, task)

    def log_of(self, run_id: str, task: str) -> str:
        folder = self.stack.home / "logs" / f"dag_id={self.name}" / f"run_id={run_id}" / f"task_id={task}"
        lines = [
            json.loads(line)
            for path in sorted(folder.glob("*.log"))
            for line in path.read_text().splitlines()
        ]
        errors = [detail["exc_value"] for line in lines for detail in line.get("error_detail", ())]
        return "\n".join([*(str(line["event"]) for line in lines), *errors])

    def answer(self, number: int, option: str) -> None:
        """Answer the question of a day's synchronize as soon as it is put."""
        run = self.runs()[str(day(number))].run_id
        url = f"/api/v2/dags/{self.name}/dagRuns/{run}/taskInstances/synchronize/-1/hitlDetails"
        self.stack.wait_for(f"a question of {self.name}", lambda: self._api.get(url).status_code == 200)
        time.sleep(3)  # until the executor has heard that the task left its process
        answer = self._api.patch(url, json={"chosen_options": [option], "params_input": {}})
        assert answer.status_code == 200, answer.text

    # -------------------------------------------------------------------------------------------- what came of it

    def manifests(self) -> list[Manifest]:
        """Return all batches of the exchange, in queue order."""
        return Exchange.open(str(self.root / "exchange")).channel("HR").manifests()

    def applied(self) -> list[tuple[str, datetime, datetime]]:
        """Return id, effective date and time of all batches that were applied, in the order in which they were."""
        engine = sa.create_engine(self.repository)
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text(
                    'SELECT "Id", "EffectiveDate", "FinishedAt" FROM "UJ_Batches" WHERE "State" = \'applied\' '
                    'ORDER BY "FinishedAt"'
                )
            ).all()
        engine.dispose()
        return [(row[0], _moment(row[1]), _moment(row[2])) for row in rows]

    def applied_days(self) -> list[date]:
        return [date_.date() for _, date_, _ in self.applied()]

    def stored(self) -> str:
        """Return what is stored as the extract that it came from."""
        with Repository.open(self.repository) as repository:
            rows = repository.query_entity_type(self.mappings, "Person").to_pylist()
        lines = [
            f"{row['Id_']},{row['Name']},{row['Since'][:4]}-{row['Since'][4:6]}-{row['Since'][6:8]},"
            for row in rows
        ]
        return "\n".join(["id,name,since,manager", *sorted(lines, key=_number), ""])


def place(stack: Stack, pasts: list[Past], job: Past) -> None:
    """Place the DAGs of the connectors, and that of a generated job."""
    told = {past.name: {"configuration": str(past.configuration), "folder": past.folder} for past in pasts}
    files: dict[str, Any] = {"conf/HR.xml": job.text, "conf/Job.xml": JOB.format(folder=job.folder)}
    stack.place("pasts", {"pasts.json": json.dumps(told), **files, "pasts.py": DAG_FILE})


def _number(line: str) -> int:
    return int(line.split(",", maxsplit=1)[0][1:])


def _moment(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=found.tzinfo or UTC)
