"""Cases that await a decision on a whole Airflow: each a DAG, with a repository, an exchange and a folder of its own."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.state import BatchRecord
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.exchange.manifest import Origin
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import (
    Block,
    SynchronizeRequest,
    find_block,
    read_decision,
    synchronize,
)
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

TASK = "synchronize"
NAMES = ("Quaderer", "Xylander", "Ötztaler", "Żółkiewski", "Nakamura", "Ibáñez", "Þórsson", "Weißgerber")
"""Surnames of the persons ``P1`` to ``P8``: personal values, which no question and no log may show."""

DAG_FILE = """\
import json
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator


class Letter(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.text = "{{ task.subject }}|{{ task.options }}|{{ task.body }}"

    def notify(self, context):
        (Path(self.folder) / "letter.txt").write_text(self.text, encoding="utf-8")


def broken(context):
    raise RuntimeError("the mail server is down")


CASES = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
for name, given in CASES.items():
    options = {k: timedelta(seconds=v) if isinstance(v, int) else v for k, v in given["options"].items()}
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1), max_active_runs=4) as dag:
        SynchronizeTaskOperator(
            task_id="synchronize",
            connector="HR",
            batch="{{ dag_run.conf['batch'] }}",
            idm_conn_id=f"idm_{name}",
            configuration=given["configuration"],
            notifiers=[broken, Letter(given["folder"])],
            **options,
        )
    globals()[name] = dag
"""

_numbers = itertools.count()


class Case:
    """A connector of eight persons that may lose two at once.

    :param options: parameters of the SynchronizeTaskOperator; whole numbers are seconds.
    """

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        self.configuration = folder / "conf"
        self.configuration.mkdir(parents=True)
        text = CONFIGURATION.replace('"Human Resources"', '"Human Resources" MaximumDeletedLines="2"')
        (self.configuration / "HR.xml").write_text(text, encoding="utf-8")
        self.mappings = connector_mappings(read_configuration(self.configuration), "HR")
        self.repository = f"sqlite:///{folder}/repository.db"
        self.exchange = folder / "exchange"
        self.work = folder / "work"
        self.synchronize(self.prepare("Initial", range(1, 9)))
        self.before = self.hash()

    @property
    def places(self) -> dict[str, str]:
        """The extra of the Airflow connection."""
        return {"repository": self.repository, "exchange": str(self.exchange), "work": str(self.work)}

    # -------------------------------------------------------------------------------------------------- the data

    def prepare(self, mode: str, persons: Any, **surnames: str) -> str:
        """Publish a batch of these persons, by number; return its id.

        :param surnames: other surnames than usual, by key.
        """
        sources = self.folder / "sources"
        sources.mkdir(exist_ok=True)
        lines = [f"P{n},{surnames.get(f'P{n}', NAMES[n % 8])},2020-01-0{1 + n % 9}," for n in persons]
        text = "\n".join(["id,name,since,manager", *lines, ""])
        (sources / "HR-Persons.csv").write_text(text, encoding="utf-8")
        request = PrepareRequest(
            mappings=self.mappings,
            mode=SynchronizationMode[mode.upper()],
            sources=sources,
            exchange=Exchange.open(str(self.exchange)),
            work=self.work,
            origin=Origin(run=f"run {next(_numbers)}", task="prepare"),
        )
        return prepare(request).manifest.batch

    def synchronize(self, batch: str) -> str:
        with Repository.open(self.repository) as repository:
            request = SynchronizeRequest(
                mappings=self.mappings,
                exchange=Exchange.open(str(self.exchange)),
                repository=repository,
                work=self.work,
                batch=batch,
            )
            return synchronize(request).state

    def hash(self) -> str:
        with Repository.open(self.repository) as repository:
            return repository.content_hash(self.mappings)

    def persons(self) -> list[str]:
        with Repository.open(self.repository) as repository:
            return list(repository.query_entity_type(self.mappings, "Person")["Id_"].to_pylist())

    def block(self) -> Block | None:
        with Repository.open(self.repository) as repository:
            return find_block(repository, "HR")

    def state(self) -> str:
        with Repository.open(self.repository) as repository:
            return repository.status("HR").state

    def record(self, batch: str) -> BatchRecord | None:
        with Repository.open(self.repository) as repository:
            return read_decision(repository, "HR", batch)

    def idm(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start an ``idm`` command for the case."""
        places = ["--repository", self.repository, "--exchange", str(self.exchange), "--work", str(self.work)]
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "airflow_provider_idm.cli", command, str(self.configuration)),
                *("--connector", "HR", *places, *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


class Office:
    """All the cases, on one Airflow with the administrators anna and bert."""

    def __init__(self, stack: Stack, cases: list[Case]) -> None:
        self.cases = {case.name: case for case in cases}
        self.stack = stack
        self.runs: dict[str, Desk] = {}
        told = {
            c.name: {"options": c.options, "configuration": str(c.configuration), "folder": str(c.folder)}
            for c in cases
        }
        for case in cases:
            stack.connect(f"idm_{case.name}", extra=case.places)
        stack.place("decisions", {"cases.json": json.dumps(told), "cases.py": DAG_FILE})

    def run(self, name: str, batch: str) -> Desk:
        """Run the synchronize of a case for a batch."""
        return Desk(self.stack, self.cases[name], batch)


class Desk(DagRun):
    """A run whose synchronize awaits a decision."""

    def __init__(self, stack: Stack, case: Case, batch: str) -> None:
        super().__init__(stack, case.name, "anna", {"batch": batch})
        self.case = case
        self.batch = batch

    @property
    def _question(self) -> str:
        return f"{self.url}/taskInstances/{TASK}/-1/hitlDetails"

    def question(self) -> dict[str, Any]:
        """Return the question as soon as it is there and has no answer."""

        def check() -> dict[str, Any] | None:
            answer = self.api.get(self._question)
            found: dict[str, Any] = answer.json()
            is_open = answer.status_code == 200 and not found["response_received"]
            return found if is_open and self.task(TASK)["state"] in {"awaiting_input", "deferred"} else None

        found: dict[str, Any] = self.stack.wait_for(f"a question of {self.dag}\n{self.log(TASK)}", check)
        return found

    def answer(self, option: str, user: str = "anna", change_set: str | None = None) -> int:
        """Answer the question; return the HTTP status."""
        self.question()
        time.sleep(1.5)  # until the executor has heard that the task left its process
        return self.answer_now(option, user, change_set)

    def answer_now(self, option: str, user: str = "anna", change_set: str | None = None) -> int:
        given = {} if change_set is None else {"change_set": change_set}
        answer = self.stack.client(user).patch(
            self._question, json={"chosen_options": [option], "params_input": given}
        )
        return answer.status_code

    def clear(self) -> None:
        """Clear the task, as the button of the user interface does, once its run has ended.

        A run that ends at that instant would stay ended, with a task that nobody runs.
        """
        self.stack.wait_for(f"the end of {self.dag}", lambda: self.state() in {"success", "failed"})
        body = {"dry_run": False, "task_ids": [TASK], "dag_run_id": self.run_id, "only_failed": False}
        answer = self.api.post(f"/api/v2/dags/{self.dag}/clearTaskInstances", json=body)
        assert answer.status_code == 200, answer.text

    def end(self) -> str:
        """Return the task's state when it has ended."""
        return str(self.wait(TASK)["state"])

    def told(self) -> str:
        """Return the task's log."""
        return self.log(TASK)
