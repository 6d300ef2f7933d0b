"""Triggering the DAG of a job, as the form of Airflow's user interface, scripts and the command line do it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.operators.run_options import NAMES
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange, Manifest
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

JOB = """\
<ConfigurationFile>
  <Job Identifier="triggers" DisplayName_L1="Triggered by hand" CronTabExpression="0 2 1 1 *">
    <PrepareSynchronizationTask Identifier="Prepare" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete"
                                SourcesDirectory="{folder}/{{{{ ds }}}}" />
    <SynchronizeTask Identifier="Synchronize" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
DAG_FILE = """\
from airflow_provider_idm import generate_dags

generate_dags("conf", idm_conn_id="idm_triggers")
"""
HEADER = "id,name,since,manager\n"
ONE = HEADER + "1,Zoë,2020-01-01,\n"
TWO = ONE + "2,Łukasz,2021-02-03,1\n"


class Desk:
    """The job ``triggers``, whose source files lie in a folder for each day."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.places = {"repository": f"sqlite:///{folder}/repository.db"}
        self.places |= {name: str(folder / name) for name in ("exchange", "work")}
        stack.connect("idm_triggers", extra=self.places)
        files = {"conf/hr.xml": CONFIGURATION, "conf/jobs.xml": JOB.format(folder=folder), "dag.py": DAG_FILE}
        self.conf = stack.place("triggers", files) / "conf"
        self.deliver("2026-11-01", ONE)

    def deliver(self, day: str, text: str) -> None:
        (self.folder / day).mkdir(exist_ok=True)
        (self.folder / day / "HR-Persons.csv").write_text(text, encoding="utf-8")

    @property
    def persons(self) -> list[str]:
        mappings = connector_mappings(read_configuration(self.conf), "HR")
        with Repository.open(self.places["repository"]) as repository:
            return list(repository.query_entity_type(mappings, "Person")["Id_"].to_pylist())

    @property
    def manifests(self) -> list[Manifest]:
        return Exchange.open(self.places["exchange"]).channel("HR").manifests()


@pytest.fixture(scope="module")
def desk(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(stack, tmp_path_factory.mktemp("triggers"))


def test_runs_with_and_without_a_logical_date(desk: Desk) -> None:
    # given folders of two days
    today = datetime.now(UTC)
    for day in (today, today + timedelta(days=1)):  # should midnight come
        desk.deliver(f"{day:%Y-%m-%d}", TWO)

    # when a user triggers a run of the first day, and one without a date
    past = DagRun(desk.stack, "triggers", "uwe", {}, "2026-11-01T00:00:00Z")
    assert past.wait_for_end() == "success", past.log("Prepare")
    persons = desk.persons
    now = DagRun(desk.stack, "triggers", "uwe", {"orphans": True, "source_date": None})
    assert now.wait_for_end() == "success", now.log("Prepare")

    # then each has read the files of its day: that on which it was to run, if it has no date
    assert (persons, desk.persons) == (["1"], ["1", "2"])
    first, second = (manifest.effective_date for manifest in desk.manifests)
    assert first == datetime(2026, 11, 1, tzinfo=UTC)
    assert today - timedelta(minutes=1) < second < today + timedelta(hours=1)
    assert "This run was triggered with orphans." in now.log("Synchronize")
    folder = now.task("Prepare")["rendered_fields"]["sources_directory"]
    assert folder == f"{desk.folder}/{second:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("conf", "named"),
    [
        ({"dry_run": "yes"}, "dry_run"),
        ({"force_synchronization": 1}, "force_synchronization"),
        ({"on_invalid_value": "skip"}, "on_invalid_value"),
        ({"source_date": "1 November"}, "source_date"),
        ({"sources_directory": "/data/{{ conn.idm_triggers.password }}"}, "sources_directory"),
        ({"sources_directory": "relative"}, "sources_directory"),
    ],
)
def test_wrong_values_are_refused_before_there_is_a_run(desk: Desk, conf: dict[str, Any], named: str) -> None:
    api = desk.stack.client("uwe")
    runs = "/api/v2/dags/triggers/dagRuns"
    desk.stack.wait_for("the DAG", lambda: api.get("/api/v2/dags/triggers").status_code == 200)
    before = api.get(runs).json()["total_entries"]

    answer = api.post(runs, json={"logical_date": None, "conf": conf})

    assert 400 <= answer.status_code < 500, answer.text
    assert f"Invalid input for param {named}" in answer.text
    assert api.get(runs).json()["total_entries"] == before


def test_the_form_gets_a_title_and_a_description_of_each(desk: Desk) -> None:
    api = desk.stack.client("uwe")
    desk.stack.wait_for("the DAG", lambda: api.get("/api/v2/dags/triggers").status_code == 200)

    params = api.get("/api/v2/dags/triggers/details").json()["params"]

    assert tuple(params) == NAMES
    for param in params.values():
        assert param["description"]
        assert param["schema"]["title"]


def test_a_run_from_the_command_line(desk: Desk) -> None:
    # given the files of a day in a folder of their own
    desk.deliver("mended", TWO)
    queue = desk.manifests

    def trigger(**conf: Any) -> subprocess.CompletedProcess[str]:
        arguments = ["dags", "trigger", "triggers", "--run-id", "by_command", "--conf", json.dumps(conf)]
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=desk.stack.environment,
            cwd=desk.stack.home,
            capture_output=True,
            text=True,
            check=False,
        )

    api = desk.stack.client("uwe")
    paused = {"is_paused": False}
    desk.stack.wait_for("the DAG", lambda: api.patch("/api/v2/dags/triggers", json=paused).status_code == 200)

    # when a dry run with them is triggered
    refused = trigger(dry_run="yes")
    done = trigger(dry_run=True, sources_directory=f"{desk.folder}/mended")

    # then it says what would change, and changes nothing
    assert refused.returncode != 0
    assert "Invalid input for param dry_run" in refused.stdout + refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    url = "/api/v2/dags/triggers/dagRuns/by_command"
    state = desk.stack.wait_for(
        "the run", lambda: (s := api.get(url).json().get("state")) in {"success", "failed"} and s
    )
    result = api.get(f"{url}/taskInstances/Synchronize/xcomEntries/return_value").json()["value"]
    assert (state, result["batches"][0]["mode"]) == ("success", "Complete")
    assert desk.manifests == queue
