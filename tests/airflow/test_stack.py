"""The sample on a whole Airflow: API server, scheduler and DAG processor, tasks in processes of the LocalExecutor."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PATIENCE = 300
"""Seconds to wait for anything; a busy machine is slow."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(home: Path, environment: dict[str, str], *arguments: str) -> Iterator[None]:
    """Run an ``airflow`` command, its output in a file of the home, and end it with all that it started."""
    with (home / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
            assert process.poll() is None, f"airflow {arguments[0]} ended by itself"
        finally:
            for number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
                if process.poll() is None:
                    os.killpg(process.pid, number)
                    try:
                        process.wait(patience)
                    except subprocess.TimeoutExpired:
                        continue


def wait_for(what: str, check: Callable[[], Any], home: Path) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if found := check():
                return found
        except httpx.TransportError:
            pass  # the server is not there yet
        time.sleep(0.5)
    logs = "\n".join(
        f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in home.glob("*.log")
    )
    raise AssertionError(f"{what}: not within {PATIENCE} s\n{logs}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copytree(ROOT / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    return home


@pytest.fixture
def api(home: Path) -> Iterator[httpx.Client]:
    """A running Airflow, and a client of its REST API."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if "AIRFLOW_" not in k} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
    }
    with ExitStack() as stack:
        with (home / "migrate.log").open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=environment,
                cwd=home,
                stdout=log,
                stderr=log,
                check=True,
            )
        stack.enter_context(
            running(home, environment, "api-server", "--host", "127.0.0.1", "--port", str(port))
        )
        stack.enter_context(running(home, environment, "dag-processor"))
        stack.enter_context(running(home, environment, "scheduler"))
        client = stack.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        )
        token = wait_for("a token", lambda: client.get("/auth/token").json().get("access_token"), home)
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_the_sample_job_is_triggered_over_the_rest_api(api: httpx.Client, home: Path) -> None:
    dag = "/api/v2/dags/HR_Synchronize_Complete"
    wait_for("the DAG", lambda: api.get(dag).status_code == 200, home)
    assert api.get("/api/v2/importErrors").json()["total_entries"] == 0
    assert api.patch(dag, json={"is_paused": False}).status_code == 200

    triggered = api.post(f"{dag}/dagRuns", json={"logical_date": None})
    assert triggered.status_code == 200, triggered.text
    run = f"{dag}/dagRuns/{triggered.json()['dag_run_id']}"
    ended = {"success", "failed"}
    state = wait_for("the end of the run", lambda: (s := api.get(run).json()["state"]) in ended and s, home)

    tasks = {
        task["task_id"]: task["state"] for task in api.get(f"{run}/taskInstances").json()["task_instances"]
    }
    assert tasks == {
        "HR_Export_Organizations": "success",
        "HR_Export_Persons": "success",
        "HR_Prepare_Complete": "success",
        "HR_Synchronize": "success",
    }
    assert state == "success"

    batch = api.get(f"{run}/taskInstances/HR_Prepare_Complete/xcomEntries/return_value").json()["value"]
    counts = api.get(f"{run}/taskInstances/HR_Prepare_Complete/xcomEntries/counts").json()["value"]
    assert batch in str(counts)
    mappings = connector_mappings(read_configuration(home / "dags" / "conf"), "HR")
    with Repository.open(f"sqlite:///{home}/idm/repository.db") as repository:
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
