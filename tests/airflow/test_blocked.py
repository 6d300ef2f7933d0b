"""Tasks of a connector whose batch awaits a decision: what is skipped, what goes on, and what never happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.errors import ConfigurationError, ConnectorBlockedError
from airflow_provider_idm.hooks.idm import IdmHook
from airflow_provider_idm.operators.safeguards import check_not_blocked_by_another, is_missing
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, ConnectorState, Exchange
from airflow_provider_idm.synchronization.synchronize import find_block
from tests.airflow.conftest import AirflowHome, Run

pytestmark = pytest.mark.airflow

HEADER = "id,name,since,manager\n"
THREE = HEADER + "1,Zoë,2020-01-01,\n2,Łukasz,2021-02-03,1\n3,Anna,2022-05-06,\n"
ONE = HEADER + "1,Zoë,2020-01-01,\n"
LOADER = """\
from airflow_provider_idm import generate_dags

generate_dags("conf", on_threshold="fail"{more})
"""
WEEK = 'rolling_thresholds={"HR": {"days": 7, "MaximumDeletedLines": 1}}'
JOBS = """\
<ConfigurationFile>
  <Job Identifier="Complete" DisplayName_L1="Complete">
    <PrepareSynchronizationTask Identifier="PC" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SC" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Incremental" DisplayName_L1="Incremental" IsIncremental="true">
    <ExportTask Identifier="E" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="P" Connector="HR" SynchronizationMode="{mode}" />
    <SynchronizeTask Identifier="S" DisplayName_L1="S" Connector="HR" />
    <SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" />
  </Job>
  <Job Identifier="Pending" DisplayName_L1="All that is pending" IsIncremental="true">
    <SynchronizeTask Identifier="SP" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""


class Desk:
    """An Airflow with generated jobs for the connector HR, which may delete one person within seven days."""

    def __init__(self, home: AirflowHome, configuration: Path) -> None:
        self.home = home
        self.configuration = configuration
        self.dags: dict[str, Any] = {}

    def generate(self, mode: str = "Incremental", more: str = f", {WEEK}") -> None:
        folder = self.home.dags / "conf"
        shutil.copytree(self.configuration, folder, dirs_exist_ok=True)
        (folder / "Jobs.xml").write_text(JOBS.format(mode=mode), encoding="utf-8")
        self.dags = vars(self.home.load(LOADER.format(more=more)))

    def deliver(self, text: str) -> None:
        folder = self.home.work / "ExportOutput"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "HR-Persons.csv").write_text(text, encoding="utf-8")
        source = self.home.home / "delivered.csv"
        source.write_text(text, encoding="utf-8")

    def run(self, job: str, text: str | None = None) -> Run:
        if text is not None:
            self.deliver(text)
        return self.home.run(self.dags[job])

    @property
    def channel(self) -> ConnectorExchange:
        return Exchange.open(str(self.home.home / "idm" / "exchange")).channel("HR")

    @property
    def blocked_by(self) -> str | None:
        with Repository.open(self.home.repository) as repository:
            block = find_block(repository, "HR")
        return None if block is None else block.batch

    @property
    def persons(self) -> list[str]:
        mappings = connector_mappings(read_configuration(self.configuration), "HR")
        with Repository.open(self.home.repository) as repository:
            return list(repository.query_entity_type(mappings, "Person")["Id_"].to_pylist())

    def block(self) -> str:
        """Have a Complete blocked that would delete two of three persons; return its batch."""
        assert self.run("Complete", THREE).state == "success"
        blocked = self.run("Complete", ONE)
        assert blocked.states == {"PC": "success", "SC": "failed"}
        batch: str = blocked.xcoms["PC", "return_value"]
        assert (self.blocked_by, self.channel.state().state) == (batch, "blocked")
        return batch


@pytest.fixture
def desk(airflow_home: AirflowHome, configuration: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    delivered = airflow_home.home / "delivered.csv"
    monkeypatch.setenv(
        "AIRFLOW_CONN_HR-PERSONS", f'{{"conn_type": "generic", "extra": {{"Path": "{delivered}"}}}}'
    )
    desk = Desk(airflow_home, configuration)
    desk.generate()
    yield desk
    delivered.unlink(missing_ok=True)


def shown(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join("".join(capfd.readouterr()).split())


# -------------------------------------------------------------------------------------------------- generated jobs


def test_an_incremental_job_is_skipped_with_the_reason_until_a_complete_is_applied(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    batch = desk.block()
    batches = [m.batch for m in desk.channel.manifests()]
    capfd.readouterr()

    skipped = desk.run("Incremental", THREE)

    assert skipped.states == {"E": "skipped", "P": "skipped", "S": "skipped", "F": "success"}
    assert skipped.state == "success"
    text = shown(capfd)
    assert text.count(f"batch {batch} awaits a decision") >= 3
    assert (
        "The prepare whose batch this task was to apply made none (connector HR is blocked since 20" in text
    )
    assert "Connector HR, last 7 days" in text
    assert [m.batch for m in desk.channel.manifests()] == batches
    assert desk.persons == ["1", "2", "3"]
    assert desk.blocked_by == batch

    assert desk.run("Complete", THREE).state == "success", "a Complete is the way out"
    assert desk.blocked_by is None
    assert desk.channel.state().state == "ready"
    again = desk.run("Incremental", THREE + "4,Björk,2023-01-01,1\n")
    assert set(again.states.values()) == {"success"}
    assert desk.persons == ["1", "2", "3", "4"]


def test_a_complete_prepare_of_an_incremental_job_is_skipped_too(desk: Desk) -> None:
    desk.generate(mode="Complete")
    batch = desk.block()

    skipped = desk.run("Incremental", THREE)

    assert skipped.states == {"E": "skipped", "P": "skipped", "S": "skipped", "F": "success"}
    assert desk.blocked_by == batch


def test_a_synchronize_without_prepare_is_skipped_in_an_incremental_job(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    batch = desk.block()
    capfd.readouterr()

    assert desk.run("Pending").states == {"SP": "skipped"}

    assert f"batch {batch} awaits a decision" in shown(capfd)
    assert desk.blocked_by == batch


def test_after_a_rejection_an_incremental_job_asks_for_a_complete(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    assert desk.run("Complete", THREE).state == "success"
    batch = desk.channel.manifests()[-1].batch
    desk.channel.write_state(ConnectorState("needs_complete", datetime.now(UTC), batch))

    run = desk.run("Incremental", THREE)

    assert run.states == {"E": "success", "P": "failed", "S": "upstream_failed", "F": "upstream_failed"}
    assert "connector HR needs a Complete" in shown(capfd)


# ------------------------------------------------------------------------------------------ nothing but its own batch


def test_a_synchronize_whose_prepare_was_skipped_applies_no_other_batch(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    """Given a batch that is pending and an exchange which says, wrongly by now, that the connector is blocked."""
    assert desk.run("Complete", THREE).state == "success"
    desk.deliver(THREE + "4,Björk,2023-01-01,1\n")
    prepare = desk.home.load(PREPARE_ONLY.format(mode="Complete", more=""), "own.py").dag
    assert desk.home.run(prepare).state == "success"
    pending = desk.channel.manifests()[-1].batch
    desk.channel.write_state(ConnectorState("blocked", datetime.now(UTC), pending))
    capfd.readouterr()

    run = desk.run("Incremental")

    assert run.states == {"E": "skipped", "P": "skipped", "S": "skipped", "F": "success"}
    assert {task: run.xcoms.get((task, "stopped")) for task in "EPS"} == dict.fromkeys("EPS", True)
    assert desk.persons == ["1", "2", "3"]
    assert "the exchange wrongly said that connector HR is blocked; that is corrected" in shown(capfd)

    assert desk.channel.state().state == "ready"
    assert set(desk.run("Incremental").states.values()) == {"success"}
    assert desk.persons == ["1", "2", "3", "4"]


def test_what_is_not_for_a_task_to_ask_for_again(desk: Desk) -> None:
    batch = desk.block()
    applied = desk.channel.manifests()[0].batch
    hook = IdmHook()
    with Repository.open(desk.home.repository) as repository:
        block = find_block(repository, "HR")
    assert block is not None
    assert (block.origin.job, block.origin.task) == ("Complete", "SC")
    another = replace(block.origin, run="another")

    with pytest.raises(ConnectorBlockedError, match=f"batch {batch} awaits a decision"):
        check_not_blocked_by_another(hook, "HR", None, another)
    with pytest.raises(ConnectorBlockedError):
        check_not_blocked_by_another(hook, "HR", "0198c5a0-0000-7000-8000-000000000000", another)

    check_not_blocked_by_another(hook, "HR", None, block.origin)
    check_not_blocked_by_another(hook, "HR", batch.upper(), another)
    check_not_blocked_by_another(hook, "HR", applied, another)
    check_not_blocked_by_another(hook, "AD", None, another)


@pytest.mark.parametrize("batch", [None, "", " ", "None", "none"])
def test_no_output_is_no_batch_however_it_is_written(batch: str | None) -> None:
    assert is_missing(batch)


def test_an_id_is_a_batch() -> None:
    assert not is_missing("0198c5a0-0000-7000-8000-000000000000")


# ------------------------------------------------------------------------------------------------- DAGs of one's own

PREPARE_ONLY = """\
from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator

with DAG("prepare_only", schedule=None, start_date=datetime(2020, 1, 1)) as dag:
    PrepareSynchronizationTaskOperator(
        task_id="prepare", connector="HR", synchronization_mode="{mode}", configuration=__file__[:-6] + "conf" {more}
    )
"""


def test_without_being_asked_an_incremental_is_skipped_and_a_complete_is_not(desk: Desk) -> None:
    desk.block()

    def prepare(mode: str, more: str = "") -> str:
        dag = desk.home.load(PREPARE_ONLY.format(mode=mode, more=more), "own.py").dag
        return desk.home.run(dag).states["prepare"]

    assert prepare("Incremental") == "skipped"
    assert prepare("Incremental", ", skip_if_blocked=False") == "failed"
    assert prepare("Incremental", ", dry_run=True") == "success"
    assert prepare("Complete", ", skip_if_blocked=True") == "skipped"
    assert prepare("Complete") == "success"


# ------------------------------------------------------------------------------------------ limits over the last days


def test_a_wrong_limit_is_refused_when_the_dag_is_made() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SynchronizeTaskOperator(task_id="s", connector="HR", rolling_thresholds={"days": 7, "Maximum": 1})

    assert str(caught.value).startswith("rolling_thresholds of task s: 'Maximum' is no name of a limit")


def test_the_limits_of_the_connection_hold_where_a_job_has_none(desk: Desk, connection) -> None:
    desk.generate(more="")
    connection(extra={"rolling_thresholds": '{"hr": {"days": 7, "MaximumDeletedLines": 1}}'})

    desk.block()

    assert desk.persons == ["1", "2", "3"]


def test_the_limits_of_a_job_replace_those_of_the_connection(desk: Desk, connection) -> None:
    connection(extra={"rolling_thresholds": {"HR": {"days": 7, "MaximumInsertedLines": 1}}})

    assert desk.run("Complete", THREE).state == "success"


def test_limits_for_a_connector_that_does_not_exist_protect_nothing_and_are_refused(
    desk: Desk, connection, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.generate(more="")
    connection(extra={"rolling_thresholds": {"HRR": {"days": 7, "MaximumDeletedLines": 1}}})

    run = desk.run("Complete", THREE)

    assert run.states == {"PC": "success", "SC": "failed"}
    assert (
        "extra rolling_thresholds of the Airflow connection 'idm_default': the configuration has no connector HRR; did "
        "you mean HR?"
    ) in shown(capfd)
