"""The sample on a whole Airflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import ROOT
from tests.airflow.stack import DagRun, Stack

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copytree(ROOT / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    with Stack(home).running() as stack:
        yield stack


def test_the_sample_job_is_triggered_over_the_rest_api(stack: Stack) -> None:
    run = DagRun(stack, "HR_Synchronize_Complete")
    assert stack.client().get("/api/v2/importErrors").json()["total_entries"] == 0

    state = run.wait_for_end()

    assert run.states() == {
        "HR_Export_Organizations": "success",
        "HR_Export_Persons": "success",
        "HR_Prepare_Complete": "success",
        "HR_Synchronize": "success",
    }
    assert state == "success"
    assert run.xcom("HR_Prepare_Complete") in str(run.xcom("HR_Prepare_Complete", "counts"))
    mappings = connector_mappings(read_configuration(stack.home / "dags" / "conf"), "HR")
    with Repository.open(f"sqlite:///{stack.home}/idm/repository.db") as repository:
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
