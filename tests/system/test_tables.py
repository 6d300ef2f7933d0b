"""Exporters of one's own and tables of other tasks, in the processes of a whole Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.stack import DagRun, Stack

CONFIGURATION = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connection Identifier="Users" DisplayName_L1="Users" Connector="HR" Package="Acme.Memory@0000001" />
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="Number" DisplayName_L1="Number" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="Since" DisplayName_L1="Since" Type="DateTime" TargetColumnIndex="5" />
  </EntityType>
  <EntityType Identifier="User" DisplayName_L1="User">
    <Property Identifier="Login" DisplayName_L1="Login" TargetColumnIndex="4" IsKey="true" />
  </EntityType>
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR_Person">
    <Property Identifier="Number" ConnectionColumn="number" IsPrimaryKey="true" />
    <Property Identifier="Since" ConnectionColumn="since" />
  </EntityTypeMapping>
  <EntityTypeMapping Identifier="User" Connector="HR" ConnectionTable="Users">
    <Property Identifier="Login" ConnectionColumn="login" IsPrimaryKey="true" />
  </EntityTypeMapping>
</ConfigurationFile>
"""
EXPORTER = """\
from airflow_provider_idm.synchronization.export import ExportedFile


def export_memory(job):
    job.target().write_text("login\\nada\\ngrace\\n")
    return [ExportedFile(job.target(), 2, ("login",))]
"""
DAG_FILE = """\
from pathlib import Path

import pandas as pd
from airflow.sdk import DAG, task

from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.synchronization.export import register_exporter

register_exporter("Acme.Memory", "tables.exporter_of_acme:export_memory")

HERE = {"configuration": str(Path(__file__).parent / "conf"), "idm_conn_id": "idm_tables"}
with DAG("tables", default_args=HERE):

    @task
    def extract() -> pd.DataFrame:
        dates = pd.to_datetime(pd.Series(["2024-01-31 08:30", None])).dt.tz_localize("Europe/Paris")
        return pd.DataFrame({"number": [7, 8], "since": dates, "name": "Zoë"}).set_axis(["x", "y"])

    export = ExportTaskOperator(task_id="export", connection="Users")
    prepare = PrepareSynchronizationTaskOperator(
        task_id="prepare", connector="HR", synchronization_mode="Initial", tables={"HR_Person": extract()}
    )
    export >> prepare
    SynchronizeTaskOperator(task_id="synchronize", connector="HR", batch=prepare.output)
"""


@pytest.fixture
def places(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """Place the DAG and its connection; return where its data lies."""
    names = {"repository": f"sqlite:///{tmp_path}/repository.db", "exchange": "exchange", "work": "work"}
    places = names | {name: str(tmp_path / names[name]) for name in ("exchange", "work")}
    stack.connect("idm_tables", extra=places)
    files = {"conf/hr.xml": CONFIGURATION, "exporter_of_acme.py": EXPORTER, "tables.py": DAG_FILE}
    stack.place("tables", files)
    return places


def test_workers_know_the_exporter_of_the_dag_file_and_get_the_table_of_another_task(
    stack: Stack, places: dict[str, str]
) -> None:
    run = DagRun(stack, "tables")

    state = run.wait_for_end()

    assert run.states() == dict.fromkeys(("export", "extract", "prepare", "synchronize"), "success"), run.log(
        "prepare"
    )
    assert state == "success"
    fields = run.task("prepare")["rendered_fields"]
    assert json.dumps(fields["tables"]) == '{"HR_Person": "DataFrame, 2 rows"}'
    mappings = connector_mappings(read_configuration(stack.home / "dags" / "tables" / "conf"), "HR")
    with Repository.open(places["repository"]) as repository:
        persons = repository.query_entity_type(mappings, "Person").to_pylist()
        users = repository.query_entity_type(mappings, "User").to_pylist()
    assert persons == [{"Number": "7", "Since": "20240131073000"}, {"Number": "8", "Since": None}]
    assert users == [{"Login": "ada"}, {"Login": "grace"}]
