"""The form of a connection, its Test, and tasks whose connection is wrong or does not answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.provider_info import CONNECTION_TYPE
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack

DAG = """\
from datetime import timedelta

from airflow.sdk import DAG
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

with DAG("{name}", schedule=None, default_args={{"retries": 1, "retry_delay": timedelta(hours=1)}}):
    SynchronizeTaskOperator(task_id="synchronize", connector="HR", idm_conn_id="{name}", configuration={conf!r})
"""
ABSENT = {"host": "127.0.0.1", "port": 1, "login": "idm", "password": "secret-word", "schema": "idm"}


def test_the_form_has_the_providers_fields(stack: Stack) -> None:
    types = {kind["connection_type"]: kind for kind in stack.client().get("/ui/connections/hook_meta").json()}

    form = types["idm"]
    assert form["hook_name"] == "Identity Repository"
    assert form["standard_fields"]["url_schema"]["title"] == "Database"
    fields = {name: field["schema"]["title"] for name, field in form["extra_fields"].items()}
    assert fields == {name: field["label"] for name, field in CONNECTION_TYPE["conn-fields"].items()}
    assert form["extra_fields"]["repository"]["schema"]["format"] == "password"


def press_test(stack: Stack, **values: Any) -> dict[str, Any]:
    """Press *Test*."""
    if "extra" in values:
        values["extra"] = json.dumps(values["extra"])
    body = {"connection_id": "idm_tested", "conn_type": "idm", **values}
    answer = stack.client().post("/api/v2/connections/test", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_connection_that_works(stack: Stack, tmp_path: Path) -> None:
    answer = press_test(
        stack,
        extra={"repository": f"sqlite:///{tmp_path}/new.db", "exchange": f"file://{tmp_path}/exchange"},
    )

    assert answer == {
        "status": True,
        "message": f"The repository will be created in {tmp_path}/new.db. "
        f"The exchange's storage answers (file://{tmp_path}/exchange).",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (ABSENT, "idm:***@127.0.0.1:1/idm does not answer"),
        ({"extra": {"repository": "mysql://idm:secret-word@h/idm"}}, "supported are sqlite and postgresql"),
        ({"extra": {"exchange": "sftp://files/idm"}}, "install apache-airflow-providers-sftp"),
        ({"extra": {"rolling_thresholds": '{"HR": {"days": 0}}'}}, "rolling_thresholds"),
    ],
)
def test_a_connection_that_does_not(stack: Stack, values: dict[str, Any], message: str) -> None:
    answer = press_test(stack, **values)

    assert answer["status"] is False
    assert message in answer["message"]
    assert "secret-word" not in answer["message"]


def test_a_wrong_connection_fails_a_task_for_good_and_one_that_does_not_answer_for_now(stack: Stack) -> None:
    conf = stack.place("connections", {"conf/hr.xml": CONFIGURATION}) / "conf"
    states = {"idm_absent": "up_for_retry", "idm_wrong": "failed", "idm_missing": "failed"}
    dags = {f"{name}.py": DAG.format(name=name, conf=str(conf)) for name in states}
    stack.place("connections", dags)
    stack.connect("idm_absent", **ABSENT)
    stack.connect("idm_wrong", extra={"repository": "mysql://idm:secret-word@h/idm"})

    runs = {name: DagRun(stack, name) for name in states}
    for name, run in runs.items():
        stack.wait_for(f"task of {name}", lambda run=run: run.task("synchronize")["state"] in states.values())

    assert {name: run.task("synchronize")["state"] for name, run in runs.items()} == states
    assert {run.task("synchronize")["try_number"] for run in runs.values()} == {1}
    ended = runs["idm_absent"].api.patch(runs["idm_absent"].url, json={"state": "failed"})
    assert ended.status_code == 200, ended.text
