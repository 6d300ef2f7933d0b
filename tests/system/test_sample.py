"""The sample on a whole Airflow."""

from __future__ import annotations

import shutil

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import ROOT
from tests.airflow.stack import DagRun, Stack


@pytest.fixture(scope="module")
def sample(stack: Stack) -> Stack:
    """Give the Airflow with the sample in it; what belongs to it lies where it does without a connection."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dags", stack.home / "dags" / "sample", ignore=ignore)
    return stack


def test_the_sample_job_is_triggered_over_the_rest_api(sample: Stack) -> None:
    run = DagRun(sample, "HR_Synchronize_Complete")
    errors = sample.client().get("/api/v2/importErrors").json()["import_errors"]
    assert [error for error in errors if "sample" in error["filename"]] == []

    state = run.wait_for_end()

    assert run.states() == {
        "HR_Export_Organizations": "success",
        "HR_Export_Persons": "success",
        "HR_Prepare_Complete": "success",
        "HR_Synchronize": "success",
    }
    assert state == "success"
    assert run.xcom("HR_Prepare_Complete") in str(run.xcom("HR_Prepare_Complete", "counts"))
    mappings = connector_mappings(read_configuration(sample.home / "dags" / "sample" / "conf"), "HR")
    with Repository.open(f"sqlite:///{sample.home}/idm/repository.db") as repository:
        persons = repository.query_entity_type(mappings, "Person").to_pylist()
        organizations = repository.query_entity_type(mappings, "Organization").to_pylist()
    assert len(persons) == 17
    assert {(o["Code"], o["Manager"], o["Parent"]) for o in organizations} == {
        ("HQ", "100001", None),
        ("FIN", "100002", "HQ"),
        ("HR", "100009", "HQ"),
        ("IT", "100005", "HQ"),
        ("IT-SEC", "100005", "IT"),
        ("SALES", "100012", "HQ"),
    }
