"""Generated jobs on a whole Airflow while one of their runs waits for a person's decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

LOADER = """\
from datetime import timedelta

from airflow_provider_idm import generate_dags

generate_dags(
    "conf",
    idm_conn_id="idm_waiting",
    default_args={"poll_interval": timedelta(seconds=10)},
    rolling_thresholds={"HR": {"days": 7, "MaximumDeletedLines": 1}},
)
"""
JOBS = """\
<ConfigurationFile>
  <Job Identifier="Waiting_Complete" DisplayName_L1="Complete">
    <PrepareSynchronizationTask Identifier="PC" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SC" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Waiting_Incremental" DisplayName_L1="Incremental" IsIncremental="true">
    <ExportTask Identifier="E" DisplayName_L1="E" Connection="Waiting-Persons" />
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

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.repository = f"sqlite:///{folder}/repository.db"

    def run(self, job: str, text: str) -> DagRun:
        """Start a job with these source files."""
        exported = self.folder / "work" / "ExportOutput"
        exported.mkdir(parents=True, exist_ok=True)
        for path in (exported / "Waiting-Persons.csv", self.folder / "delivered.csv"):
            path.write_text(text, encoding="utf-8")
        return DagRun(self.stack, f"Waiting_{job}")

    @property
    def persons(self) -> list[str]:
        mappings = connector_mappings(read_configuration(self.stack.home / "dags" / "waiting" / "conf"), "HR")
        with Repository.open(self.repository) as repository:
            keys: list[str] = repository.query_entity_type(mappings, "Person")["Id_"].to_pylist()
        return keys


@pytest.fixture
def office(stack: Stack, tmp_path: Path) -> Office:
    office = Office(stack, tmp_path)
    places = {"exchange": str(tmp_path / "exchange"), "work": str(tmp_path / "work")}
    stack.connect("idm_waiting", extra={"repository": office.repository, **places})
    stack.connect("Waiting-Persons", conn_type="generic", extra={"Path": str(tmp_path / "delivered.csv")})
    configuration = CONFIGURATION.replace("HR-Persons", "Waiting-Persons")
    stack.place("waiting", {"conf/HR.xml": configuration, "conf/Jobs.xml": JOBS, "idm.py": LOADER})
    return office


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
