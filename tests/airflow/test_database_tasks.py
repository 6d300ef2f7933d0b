"""The tasks that make views and store identifiers, run by a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.airflow.conftest import CONFIGURATION, AirflowHome, Run

pytestmark = pytest.mark.airflow

DAG_FILE = """\
from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_idm.operators.create_database_views import CreateDatabaseViewsTaskOperator
from airflow_provider_idm.operators.deploy_configuration import DeployConfigurationTaskOperator

with DAG("database_tasks", schedule=None, start_date=datetime(2020, 1, 1)) as dag:
    deploy = DeployConfigurationTaskOperator(task_id="deploy", {deploy})
    views = CreateDatabaseViewsTaskOperator(task_id="views"{views})
    deploy >> views
"""
SECOND = """\
<ConfigurationFile>
  <Connector Identifier="{connector}" DisplayName_L1="{connector}" {attributes} />
  <EntityType Identifier="{connector}Entry" DisplayName_L1="Entry">
    <Property Identifier="Dn" DisplayName_L1="Dn" Type="String" TargetColumnIndex="4" IsKey="true" />
  </EntityType>
  <EntityTypeMapping Identifier="{connector}Entry" Connector="{connector}" ConnectionTable="entries">
    <Property Identifier="Dn" ConnectionColumn="dn" IsPrimaryKey="true" />
  </EntityTypeMapping>
</ConfigurationFile>
"""


@pytest.fixture
def folder(configuration: Path, connection: Any) -> Path:
    """A configuration of three connectors, one of them deactivated."""
    connection(extra={"configuration": str(configuration)})
    for connector, attributes in (("AD", ""), ("Old", 'IsDeactivated="true"')):
        text = SECOND.format(connector=connector, attributes=attributes)
        (configuration / f"{connector}.xml").write_text(text, encoding="utf-8")
    return configuration


def run(home: AirflowHome, deploy: str = "", views: str = "") -> Run:
    return home.run(home.load(DAG_FILE.format(deploy=deploy, views=views)).dag)


def test_identifiers_of_active_connectors_and_views_of_all(airflow_home: AirflowHome, folder: Path) -> None:
    first, second = run(airflow_home), run(airflow_home)

    assert first.states == second.states == {"deploy": "success", "views": "success"}
    assert first.xcoms["deploy", "return_value"] == {"connectors": ["AD", "HR"], "changed": ["AD", "HR"]}
    assert second.xcoms["deploy", "return_value"] == {"connectors": ["AD", "HR"], "changed": []}
    names = ["zz_ADEntry", "zz_OldEntry", "zz_Person"]
    nothing: dict[str, list[str]] = {"created": [], "replaced": [], "dropped": [], "unchanged": []}
    assert first.xcoms["views", "return_value"] == nothing | {"views": names, "created": names}
    assert second.xcoms["views", "return_value"] == nothing | {"views": names, "unchanged": names}
    assert {run_.xcoms[task, "has_effect"] for run_ in (first, second) for task in ("deploy", "views")} == {
        True
    }
    engine = sa.create_engine(airflow_home.repository)
    assert sa.inspect(engine).get_view_names() == names


def test_one_connector_whatever_is_wrong_with_others(airflow_home: AirflowHome, folder: Path) -> None:
    text = (folder / "AD.xml").read_text(encoding="utf-8")
    (folder / "AD.xml").write_text(text.replace('IsPrimaryKey="true"', ""), encoding="utf-8")

    done = run(airflow_home, deploy='connector="hr"')

    assert done.states == {"deploy": "success", "views": "failed"}
    assert done.xcoms["deploy", "return_value"] == {"connectors": ["HR"], "changed": ["HR"]}
    assert done.tries["views"] == 1


def test_what_is_wrong_with_a_job_stops_neither(airflow_home: AirflowHome, folder: Path) -> None:
    job = '<Job Identifier="Broken" DisplayName_L1="Broken"><SynchronizeTask Connector="Nobody" /></Job>'
    text = CONFIGURATION.replace("</ConfigurationFile>", f"{job}</ConfigurationFile>")
    (folder / "HR.xml").write_text(text, encoding="utf-8")

    assert run(airflow_home).states == {"deploy": "success", "views": "success"}


def test_views_as_of_dates_that_templates_name(airflow_home: AirflowHome, folder: Path) -> None:
    dates = "[\"{{ macros.ds_add('2026-03-31', -30) }}\", datetime(2026, 4, 1, 6, 30)]"

    first = run(airflow_home, views=f", as_of={dates}")
    wrong = run(airflow_home, views=", as_of=\"{{ '' }}\"")

    suffixes = ("", "_as_of_20260301", "_as_of_20260401T063000Z")
    names = ("zz_ADEntry", "zz_OldEntry", "zz_Person")
    assert sorted(first.xcoms["views", "return_value"]["created"]) == sorted(
        name + suffix for name in names for suffix in suffixes
    )
    assert (wrong.states["views"], wrong.tries["views"]) == ("failed", 1)
