"""DAGs that are scheduled on what is synchronized run when something changed, and only then."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

URI = "idm://idm_assets/HR"
DAGS = f"""\
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, task

from airflow_provider_idm import generate_dags
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

try:
    from airflow.providers.openlineage.utils.selective_enable import enable_lineage
except ImportError:
    enable_lineage = id

common = {{"connector": "HR", "idm_conn_id": "idm_assets", "configuration": str(Path(__file__).parent / "conf")}}

with DAG("assets_written", schedule=None) as written:
    prepare = PrepareSynchronizationTaskOperator(task_id="prepare", synchronization_mode="Complete", **common)
    SynchronizeTaskOperator(
        task_id="synchronize",
        batch=prepare.output,
        outlets=[Asset("assets_own")],
        poll_interval=timedelta(seconds=10),
        **common,
    )
enable_lineage(written)

with DAG("assets_downstream", schedule=[Asset(uri="{URI}")]):

    @task
    def told(triggering_asset_events=None):
        return [[event.uri if hasattr(event, "uri") else asset.uri, event.extra]
                for asset, events in triggering_asset_events.items() for event in events]

    told()

generate_dags("conf", idm_conn_id="idm_assets")
"""
JOB = """\
<ConfigurationFile>
  <Job Identifier="Assets_Job" DisplayName_L1="Complete">
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="S" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
HEADER = "id,name,since,manager\n"
PERSONS = ["1,Zoë,2020-01-01,\n", "2,Łukasz,2021-02-03,1\n", "3,Anna,2022-05-06,\n"]


class Office:
    """A running Airflow with DAGs that synchronize HR, and one that is scheduled on it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.api = stack.client("anna")
        self.folder = folder
        self._exported = folder / "work" / "ExportOutput"
        self._exported.mkdir(parents=True)
        places = {name: str(folder / name) for name in ("exchange", "work")}
        repository = f"sqlite:///{folder}/repository.db"
        stack.connect("idm_assets", extra={"repository": repository, **places})
        limit = '"Human Resources" MaximumDeletedLines="1"'
        configuration = CONFIGURATION.replace('"Human Resources"', limit)
        stack.place("assets", {"conf/HR.xml": configuration, "conf/Jobs.xml": JOB, "dags.py": DAGS})
        url = "/api/v2/dags/assets_downstream"
        stack.wait_for("assets_downstream", lambda: self.api.get(url).status_code == 200)
        assert self.api.patch(url, json={"is_paused": False}).status_code == 200

    def run(self, persons: int, dag: str = "assets_written", **conf: Any) -> DagRun:
        """Start a synchronization of the first so many persons."""
        text = HEADER + "".join(PERSONS[:persons])
        (self._exported / "HR-Persons.csv").write_text(text, encoding="utf-8")
        return DagRun(self.stack, dag, "anna", conf)

    def answer(self, run: DagRun, option: str) -> None:
        """Answer the question of a run that waits."""
        run.wait("synchronize", "awaiting_input", "deferred")
        url = f"{run.url}/taskInstances/synchronize/-1/hitlDetails"
        self.stack.wait_for("the question", lambda: self.api.get(url).status_code == 200)
        time.sleep(1.5)  # until the executor has heard that the task left its process
        answer = self.api.patch(url, json={"chosen_options": [option], "params_input": {}})
        assert answer.status_code == 200, answer.text

    def clear(self, run: DagRun) -> None:
        """Clear a synchronize that has ended."""
        assert run.wait_for_end() == "success"
        body = {
            "dry_run": False,
            "task_ids": ["synchronize"],
            "dag_run_id": run.run_id,
            "only_failed": False,
        }
        answer = self.api.post(f"/api/v2/dags/{run.dag}/clearTaskInstances", json=body)
        assert answer.status_code == 200, answer.text

    def events(self, uri: str = URI) -> list[dict[str, Any]]:
        """Return the events of an asset, in order."""
        assets = self.api.get("/api/v2/assets", params={"uri_pattern": uri}).json()["assets"]
        number = next(asset["id"] for asset in assets if asset["uri"] == uri)
        query = {"asset_id": number, "order_by": "timestamp"}
        found: list[dict[str, Any]] = self.api.get("/api/v2/assets/events", params=query).json()[
            "asset_events"
        ]
        return found

    def lineage(self, run: DagRun, kind: str) -> tuple[list[str], list[list[str]]]:
        """Return what OpenLineage was told of a run's synchronize: names of inputs, namespaces and names of outputs."""
        file = self.stack.home / "lineage.jsonl"

        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in map(json.loads, file.read_text(encoding="utf-8").splitlines())
                if (event["job"]["name"], event["eventType"]) == ("assets_written.synchronize", kind)
                and event["run"]["facets"]["airflow"]["dagRun"]["run_id"] == run.run_id
            ]

        # told by a process of its own, which may still be at it when the task has ended
        event = self.stack.wait_for(f"an event {kind} of {run.run_id}", found)[0]
        return [d["name"] for d in event["inputs"]], [[d["namespace"], d["name"]] for d in event["outputs"]]

    def downstream(self) -> list[str]:
        """Return the ids of the runs that the asset started, once none of them is on its way."""
        url = "/api/v2/dags/assets_downstream/dagRuns"

        def ended() -> list[dict[str, Any]] | None:
            runs = self.api.get(url, params={"order_by": "id"}).json()["dag_runs"]
            wanted = len(self.events())
            return runs if len(runs) >= wanted and all(run["state"] == "success" for run in runs) else None

        return [run["dag_run_id"] for run in self.stack.wait_for("the end of assets_downstream", ended) or []]

    def told(self, run: str) -> Any:
        """Return what a run that the asset started was told."""
        url = f"/api/v2/dags/assets_downstream/dagRuns/{run}/taskInstances/told/xcomEntries/return_value"
        return self.api.get(url).json()["value"]


@pytest.fixture
def office(stack: Stack, tmp_path: Path) -> Office:
    return Office(stack, tmp_path)


def test_a_dag_scheduled_on_the_asset_runs_when_something_changed_and_only_then(office: Office) -> None:
    # given a first synchronization, then there is an event, whose extra is the counts and which starts the DAG
    first = office.run(3)
    assert first.wait_for_end() == "success"
    (event,) = office.events()
    batch = first.xcom("prepare")
    assert event["extra"] == {
        "connector": "HR",
        "batches": [batch],
        "entity_types": {
            "Person": {"inserted": 3, "updated": 0, "deleted": 0, "unchanged": 0, "anomalies": 0}
        },
        "associations": {
            "Person_Manager": {"inserted": 1, "deleted": 0, "unchanged": 0, "orphans": 0, "conflicts": 0}
        },
    }
    assert (event["source_dag_id"], event["source_task_id"]) == ("assets_written", "synchronize")
    (started,) = office.downstream()
    ((uri, extra),) = office.told(started)
    assert (uri, extra) == (URI, event["extra"])

    # when nothing changed, nor on a dry run, then there is none, but the author's own outlet has one
    assert office.run(3).wait_for_end() == "success"
    assert office.run(2, "Assets_Job", dry_run=True).wait_for_end() == "success"
    assert len(office.events()) == 1
    assert len(office.events("assets_own")) == 2

    # when a batch is blocked, and when it is rejected, then there is none
    blocked = office.run(1)
    blocked.wait("synchronize", "awaiting_input", "deferred")
    assert len(office.events()) == 1
    office.answer(blocked, "Reject")
    assert blocked.wait_for_end() == "failed"
    assert len(office.events()) == 1

    # when it is resumed, then there is one
    resumed = office.run(1)
    office.answer(resumed, "Resume")
    assert resumed.wait_for_end() == "success"
    assert [event["extra"]["entity_types"]["Person"]["deleted"] for event in office.events()] == [0, 2]

    # and when the task is cleared, it changes nothing
    office.clear(resumed)
    office.stack.wait_for("the second life", lambda: resumed.task("synchronize")["try_number"] > 1)
    assert resumed.wait_for_end() == "success"
    assert "The event of idm://idm_assets/HR was made when this task first ended." in resumed.log(
        "synchronize"
    )
    assert len(office.events()) == 2
    assert len(office.events("assets_own")) == 4

    # and OpenLineage was told of the tasks that ended after a decision, as of others
    if importlib.util.find_spec("airflow.providers.openlineage") is not None:
        files = [f"{office.folder}/exchange/HR/{name}" for name in ("Person", "Person_Manager")]
        table = [f"sqlite://{office.folder}/repository.db", "UR_Resources"]
        asset = ["idm://idm_assets", "HR"]
        assert office.lineage(first, "COMPLETE") == (files, [table, asset])
        assert office.lineage(blocked, "FAIL") == (files, [])
        assert office.lineage(resumed, "COMPLETE") == (files, [table, asset])

    # then the DAG has run twice, and when a job changes something, a third time
    assert len(office.downstream()) == 2
    assert office.run(2, "Assets_Job").wait_for_end() == "success"
    assert len(office.downstream()) == 3
