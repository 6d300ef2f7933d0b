"""The processes of a local Airflow with the sample, and a client of its API."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300
"""Seconds to wait for anything; a busy machine is slow."""
TAIL = 30
"""Lines of a log that an error shows."""
GRACE = 15
"""Seconds that a process has to end by itself."""
ENDED = {"success", "failed"}


class AirflowError(Exception):
    """Airflow does not do what it should; the text says what."""


def first_free_port(port: int) -> int:
    """Return a port, or the next one that nobody listens on."""
    for candidate in range(port, port + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise AirflowError(f"No port from {port} to {port + 99} is free.")


class LocalAirflow:
    """An Airflow on this machine, for one user, with a copy of the sample jobs.

    :param home: its folder; what is there is used again.
    :param port: of the API server.
    :param keep_open: file descriptors that the processes inherit.
    """

    user = "admin"

    def __init__(self, home: Path, port: int, keep_open: Sequence[int] = ()) -> None:
        self.home = home
        self.dags = home / "dags"
        self.logs = home / "ui"
        self.url = f"http://localhost:{port}"
        self._port = port
        self._keep_open = tuple(keep_open)
        self._processes: dict[str, psutil.Popen] = {}
        self._client: httpx.Client | None = None
        self.password = ""
        self._environment: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------- processes

    def start(self) -> None:
        """Start everything, and return when the API answers.

        :raises AirflowError: if it does not.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        if not self.dags.exists():
            shutil.copytree(ROOT / "dags", self.dags, ignore=shutil.ignore_patterns("__pycache__"))
        self.password = self._passwords()[self.user]
        self._environment = self._make_environment()
        self._run("migrate", "db", "migrate")
        if self._processes["migrate"].wait() != 0:
            raise AirflowError(f"airflow db migrate failed:\n{self._tail('migrate')}")
        del self._processes["migrate"]
        self._run("api-server", "api-server", "--host", "127.0.0.1", "--port", str(self._port))
        self._run("dag-processor", "dag-processor")
        self._run("scheduler", "scheduler")
        if _release() < (3, 3):  # there a task that waits for a decision needs it
            self._run("triggerer", "triggerer")
        self.wait_for("Airflow's API", self._log_in)

    def watch(self) -> None:
        """Wait for ever.

        :raises AirflowError: if a process ends.
        """
        while True:
            self._check()
            time.sleep(1)

    def stop(self) -> None:
        """End all processes, and what they started."""
        if self._client is not None:
            self._client.close()
        started = list(self._processes.values())
        for process in self._processes.values():
            try:
                started += process.children(recursive=True)
            except psutil.NoSuchProcess:
                continue
        for process in reversed(list(self._processes.values())):
            _terminate(process)
        _, alive = psutil.wait_procs(started, timeout=GRACE)
        for process in alive:
            _kill(process)
        psutil.wait_procs(alive, timeout=GRACE)
        self._processes.clear()

    def _run(self, name: str, *arguments: str) -> None:
        with (self.logs / f"{name}.log").open("wb") as log:
            self._processes[name] = psutil.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                env=self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the script alone
                pass_fds=self._keep_open,
            )

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise AirflowError(f"airflow {name} ended by itself:\n{self._tail(name)}")

    def _tail(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        return "\n".join([*lines, f"({log})"])

    def _passwords(self) -> dict[str, str]:
        file = self.home / "passwords.json"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(json.dumps({self.user: secrets.token_urlsafe(9)}), encoding="utf-8")
        passwords: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return passwords

    def _make_environment(self) -> dict[str, str]:
        database = f"sqlite:///{self.home}/airflow.db"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW_", "_AIRFLOW"))}
        return inherited | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{self.user}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database.replace("sqlite:", "sqlite+aiosqlite:"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(first_free_port(8793)),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(first_free_port(8893)),
            "PYTHONPATH": os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), str(ROOT)) if p),
        }

    # ---------------------------------------------------------------------------------------------------- the API

    def run_once(self, job: str) -> None:
        """Let a job run, unless its schedule has done that by itself, and wait for its end."""
        self.wait_for(f"the job {job}", lambda: self._get(f"dags/{job}") is not None)
        self._send("PATCH", f"dags/{job}", {"is_paused": False})
        try:
            self.wait_for(f"a run of {job}", lambda: self.last_run(job) is not None, patience=15)
        except AirflowError:
            self.trigger(job)
        self.wait_for(f"the end of {job}", lambda: (run := self.last_run(job)) and run["state"] in ENDED)

    def trigger(self, job: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a run, and return its id."""
        return str(
            self._send("POST", f"dags/{job}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})[
                "dag_run_id"
            ]
        )

    def last_run(self, job: str) -> dict[str, Any] | None:
        """Return a job's run that was created last; None if there is none."""
        runs = (self._get(f"dags/{job}/dagRuns?order_by=-id&limit=1") or {}).get("dag_runs", ())
        return runs[0] if runs else None

    def states(self, job: str) -> dict[str, str]:
        """Return the states of the last run's tasks."""
        run = self.last_run(job)
        if run is None:
            return {}
        found = self._get(f"dags/{job}/dagRuns/{run['dag_run_id']}/taskInstances") or {}
        return {task["task_id"]: task["state"] for task in found.get("task_instances", ())}

    def wait_for(self, what: str, check: Callable[[], Any], patience: float = PATIENCE) -> None:
        """Wait until something is true.

        :raises AirflowError: if that takes too long, or a process ends.
        """
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self._check()
            try:
                if check():
                    return
            except (httpx.TransportError, json.JSONDecodeError):
                pass  # the server is not there yet
            time.sleep(0.5)
        raise AirflowError(f"{what}: not within {patience:g} seconds. The logs are in {self.logs}.")

    def _log_in(self) -> bool:
        client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60, trust_env=False)
        answer = client.post("/auth/token", json={"username": self.user, "password": self.password})
        if answer.status_code != httpx.codes.CREATED:
            client.close()
            return False
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self._client = client
        return True

    def _get(self, path: str) -> dict[str, Any] | None:
        answer = self._api().get(f"/api/v2/{path}")
        if answer.status_code != httpx.codes.OK:
            return None
        found: dict[str, Any] = answer.json()
        return found

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._api().request(method, f"/api/v2/{path}", json=body)
        if answer.is_error:
            raise AirflowError(f"{method} {path}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def _api(self) -> httpx.Client:
        if self._client is None:
            raise AirflowError("Airflow has not been started.")
        return self._client


def _terminate(process: psutil.Process) -> None:
    """Ask a process and its group to end."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])
