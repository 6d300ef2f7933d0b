"""Scaffoldings become DAGs; one that is wrong is visible, and the others live."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import AirflowHome

pytestmark = pytest.mark.airflow

LOADER = """\
from airflow_provider_idm import generate_dags

generate_dags("conf")
"""
GOOD = '<CreateConnectorSynchroIncremental Connector="HR"/>'
ROLES = '<ComputeRoleModelTask Identifier="Roles"/>'


@pytest.fixture
def generated(airflow_home: AirflowHome, configuration: Path) -> Any:
    """Write files of jobs beside the connector's and return the DAGs that a loader makes."""

    def generate(**files: str) -> dict[str, Any]:
        from airflow.sdk import DAG

        shutil.copytree(configuration, airflow_home.dags / "conf")
        for name, text in files.items():
            airflow_home.write(f"conf/{name}.xml", f"<ConfigurationFile>\n{text}\n</ConfigurationFile>\n")
        module = airflow_home.load(LOADER)
        return {name: value for name, value in vars(module).items() if isinstance(value, DAG)}

    return generate


def test_the_job_of_a_scaffolding_becomes_a_dag(generated) -> None:
    text = (
        '<CreateConnectorSynchroIncremental Connector="HR" JobIdentifier="Fast">'
        '<CronTabExpression CronTab="0 3 * * *"/></CreateConnectorSynchroIncremental>'
    )

    dag = generated(Jobs=text)["Fast"]

    assert dag.schedule == "0 3 * * *"
    assert dag.tags == {"idm", "incremental", "connector"}
    assert '\n<Job Identifier="Fast"' in dag.doc_md
    assert {
        "Fast_PrepareSynchronization_HR_Incremental",
        "Fast_Synchronize_HR_DoNotDeleteChanges",
        "Fast_SetRecentlyModifiedFlag",
    } <= set(dag.task_ids)


def test_a_task_that_runs_twice_is_two_tasks_of_the_dag(generated) -> None:
    text = (
        '<Job Identifier="Twice" DisplayName_L1="Twice">\n<Step Identifier="Roles"/>\n<Step Identifier="Roles"/>\n'
        f"</Job>\n{ROLES}"
    )

    dag = generated(Jobs=text)["Twice"]

    assert set(dag.task_ids) == {"Roles", "Roles_2"}
    assert dag.get_task("Roles_2").upstream_task_ids == {"Roles"}


def test_a_scaffolding_that_is_wrong_is_a_placeholder_and_the_others_live(generated) -> None:
    wrong = '<CreateConnectorSynchroComplete Connector="HR">\n<AddTask Task="Rolls"/>\n</CreateConnectorSynchroComplete>'

    dags = generated(Jobs=f"{GOOD}\n{wrong}\n{ROLES}")

    assert list(dags) == ["HR_Synchronize_Complete", "HR_Synchronize_Incremental"]
    assert "idm-config-error" in dags["HR_Synchronize_Complete"].tags
    assert (
        "Jobs.xml:4: AddTask: there is no task Rolls; did you mean Roles?"
        in dags["HR_Synchronize_Complete"].doc_md
    )
    assert "idm-config-error" not in dags["HR_Synchronize_Incremental"].tags


def test_two_jobs_of_one_identifier_are_a_placeholder(generated) -> None:
    dags = generated(Jobs=GOOD, More=GOOD)

    assert list(dags) == ["HR_Synchronize_Incremental"]
    assert (
        "More.xml:2: CreateConnectorSynchroIncremental: its job" in dags["HR_Synchronize_Incremental"].doc_md
    )


def test_the_job_of_a_scaffolding_in_a_broken_file_keeps_its_dag(generated) -> None:
    dags = generated(Broken=f"{GOOD}\n<Job", Jobs='<CreateInitializationJob Agent="Local"/>')

    assert "Broken.xml:4: not well-formed XML" in dags["HR_Synchronize_Incremental"].doc_md
    assert "idm-config-error" in dags["HR_Synchronize_Incremental"].tags
