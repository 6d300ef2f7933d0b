"""Generated jobs on a whole Airflow while one of their runs waits for a person's decision."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

LOADER = """\
from datetime import timedelta

from airflow_provider_idm import generate_dags

generate_dags(
    "conf",
    default_args={"poll_interval": timedelta(seconds=10)},
    rolling_thresholds={"HR": {"days": 7, "MaximumDeletedLines": 1}},
)
"""
JOBS = """\
<ConfigurationFile>
  <Job Identifier="Complete" DisplayName_L1="Complete">
    <PrepareSynchronizationTask Identifier="PC" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SC" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Incremental" DisplayName_L1="Incremental" IsIncremental="true">
    <ExportTask Identifier="E" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="P" Connector="HR" SynchronizationMode="Incremental" />
    <SynchronizeTask Identifier="S" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
HEADER = "id,name,since,manager\n"
THREE = HEADER + "1,Zoë,2020-01-01,\n2,Łukasz,2021-02-03,1\n3,Anna,2022-05-06,\n"
ONE = HEADER + "1,Zoë,2020-01-01,\n"


class Office:
    """A running Airflow with the two jobs."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def run(self, job: str, text: str) -> DagRun:
        """Start a job with these source files."""
        folder = self.stack.home / "idm" / "work" / "ExportOutput"
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / "HR-Persons.csv", self.stack.home / "delivered.csv"):
            path.write_text(text, encoding="utf-8")
        return DagRun(self.stack, job)

    @property
    def persons(self) -> list[str]:
        mappings = connector_mappings(read_configuration(self.stack.home / "dags" / "conf"), "HR")
        with Repository.open(f"sqlite:///{self.stack.home}/idm/repository.db") as repository:
            keys: list[str] = repository.query_entity_type(mappings, "Person")["Id_"].to_pylist()
        return keys


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    conf = tmp_path / "dags" / "conf"
    conf.mkdir(parents=True)
    (conf / "HR.xml").write_text(CONFIGURATION, encoding="utf-8")
    (conf / "Jobs.xml").write_text(JOBS, encoding="utf-8")
    (tmp_path / "dags" / "idm.py").write_text(LOADER, encoding="utf-8")
    export: dict[str, Any] = {"conn_type": "generic", "extra": {"Path": str(tmp_path / "delivered.csv")}}
    with Stack(tmp_path, environment={"AIRFLOW_CONN_HR-PERSONS": json.dumps(export)}).running() as stack:
        yield Office(stack)


def test_a_run_that_waits_keeps_no_later_complete_from_taking_its_place(office: Office) -> None:
    assert office.run("Complete", THREE).wait_for_end() == "success"

    # given a run that waits, for it would delete two persons where one may go within seven days
    waiting = office.run("Complete", ONE)
    waiting.wait("SC", "awaiting_input", "deferred")
    batch = waiting.xcom("PC")
    assert office.persons == ["1", "2", "3"]

    # then incremental work is skipped, with the reason
    incremental = office.run("Incremental", THREE)
    assert incremental.wait_for_end() == "success"
    assert incremental.states() == {"E": "skipped", "P": "skipped", "S": "skipped"}
    for task in ("E", "P", "S"):
        assert f"batch {batch} awaits a decision" in incremental.log(task)
    assert waiting.states()["SC"] in {"awaiting_input", "deferred", "scheduled", "queued", "running"}

    # and the next run of the same job is not kept waiting: what it applies takes the place of what awaits a decision
    assert office.run("Complete", THREE + "4,Björk,2023-01-01,1\n").wait_for_end() == "success"
    assert office.persons == ["1", "2", "3", "4"]
    assert waiting.wait_for_end() == "failed"
    assert waiting.task("SC")["try_number"] == 1

    # and incremental work goes on
    again = office.run("Incremental", THREE)
    assert again.wait_for_end() == "success"
    assert again.states() == {"E": "success", "P": "success", "S": "success"}
    assert office.persons == ["1", "2", "3"]
