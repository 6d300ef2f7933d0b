"""A whole Airflow for tests: API server, DAG processor and scheduler, tasks in processes of the LocalExecutor."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_idm.hooks.airflow_exceptions import TaskAwaitingInput
from tests.airflow.installation import python_path

PATIENCE = 300
"""Seconds to wait for anything; a busy machine is slow."""
FINISHED = {"success", "failed", "skipped", "upstream_failed"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """The processes of one Airflow, in a home of its own.

    :param users: role by user name; the password is the name. Without any, everybody is an administrator.
    :param database: URL of an empty database for Airflow itself; SQLite, which is for few tasks at a time, if None.
    """

    def __init__(
        self,
        home: Path,
        *,
        users: Mapping[str, str] | None = None,
        database: str | None = None,
        environment: Mapping[str, str] = {},
    ) -> None:
        self.home = home
        self._users = users or {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: dict[str, httpx.Client] = {}
        self._port = free_port()
        database = database or f"sqlite:///{home}/airflow.db"
        asynchronous = database.replace("sqlite://", "sqlite+aiosqlite://")
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({name: name for name in self._users}), encoding="utf-8")
        self.environment = {k: v for k, v in os.environ.items() if "AIRFLOW_" not in k} | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "3",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(not self._users),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{n}:{r}" for n, r in self._users.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": asynchronous,
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "PYTHONPATH": python_path(home / "installation"),
            **environment,
        }

    # ------------------------------------------------------------------------------------------------- processes

    @contextmanager
    def running(self) -> Iterator[Stack]:
        """Start all processes, and end them with all that they started."""
        with (self.home / "migrate.log").open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=log,
                check=True,
            )
        try:
            self.start("api-server", "--host", "127.0.0.1", "--port", str(self._port))
            self.start("dag-processor")
            self.start("scheduler")
            if TaskAwaitingInput is None:
                self.start("triggerer")
            yield self
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            assert not ended, f"airflow {', '.join(ended)} ended by itself"
        finally:
            for client in self._clients.values():
                client.close()
            for name in reversed(list(self._processes)):
                self._end(name)

    def start(self, name: str, *arguments: str) -> None:
        """Start an ``airflow`` command, its output in a file of the home."""
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", name, *arguments],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a command without a chance to tidy up."""
        process = self._processes[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    continue

    # -------------------------------------------------------------------------------------------------- contents

    def place(self, folder: str, files: Mapping[str, str]) -> Path:
        """Write files below the DAG folder, DAG files (``*.py``) last; return the folder.

        :param folder: a name of the test module's own.
        :param files: text by path inside the folder.
        """
        place = self.home / "dags" / folder
        for name, text in sorted(files.items(), key=lambda file: file[0].endswith(".py")):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8")
        return place

    def connect(self, conn_id: str, *, conn_type: str = "idm", **values: Any) -> None:
        """Add an Airflow connection.

        :param values: its fields as the REST API names them; ``extra`` as an object.
        """
        body = {"connection_id": conn_id, "conn_type": conn_type, **values}
        if "extra" in body:
            body["extra"] = json.dumps(body["extra"])
        answer = self.wait_for(
            f"connection {conn_id}", lambda: self.client().post("/api/v2/connections", json=body)
        )
        assert answer.status_code == 201, answer.text

    # ---------------------------------------------------------------------------------------------------- the API

    def client(self, user: str = "") -> httpx.Client:
        """Return a client of the REST API with a user's rights; the first user's if none is named."""
        user = user or next(iter(self._users), "")
        if user not in self._clients:
            client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60, trust_env=False)
            client.headers["Authorization"] = f"Bearer {self.wait_for('a token', lambda: self._token(user))}"
            self._clients[user] = client
        return self._clients[user]

    def _token(self, user: str) -> str | None:
        url = f"http://127.0.0.1:{self._port}/auth/token"
        with httpx.Client(timeout=60, trust_env=False) as client:
            answer = client.post(url, json={"username": user, "password": user}) if user else client.get(url)
        token: str | None = answer.json().get("access_token")
        return token

    def wait_for(self, what: str, check: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Return what a check returns as soon as that is true."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                if found := check():
                    return found
            except (httpx.TransportError, json.JSONDecodeError):
                pass  # the server is not there yet
            time.sleep(0.3)
        raise AssertionError(f"{what}: not within {patience} s\n{self._told()}")

    def _told(self) -> str:
        files = [*self.home.glob("*.log"), *(self.home / "logs").rglob("attempt=*.log")]
        return "\n".join(f"--- {file}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


class DagRun:
    """One run of a DAG, as the REST API shows it."""

    def __init__(
        self,
        stack: Stack,
        dag: str,
        user: str = "",
        conf: Mapping[str, Any] | None = None,
        logical_date: str | None = None,
    ) -> None:
        self.stack = stack
        self.dag = dag
        self.api = stack.client(user)
        url = f"/api/v2/dags/{dag}"
        stack.wait_for(f"DAG {dag}", lambda: self.api.get(url).status_code == 200)
        assert self.api.patch(url, json={"is_paused": False}).status_code == 200
        triggered = self.api.post(
            f"{url}/dagRuns", json={"logical_date": logical_date, "conf": dict(conf or {})}
        )
        assert triggered.status_code == 200, triggered.text
        self.run_id = triggered.json()["dag_run_id"]
        self.url = f"{url}/dagRuns/{self.run_id}"

    def state(self) -> str:
        return str(self.api.get(self.url).json()["state"])

    def task(self, task: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{self.url}/taskInstances/{task}").json()
        return found

    def states(self) -> dict[str, str]:
        tasks = self.api.get(f"{self.url}/taskInstances").json()["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def xcom(self, task: str, key: str = "return_value") -> Any:
        answer = self.api.get(f"{self.url}/taskInstances/{task}/xcomEntries/{key}")
        return answer.json()["value"] if answer.status_code == 200 else None

    def log(self, task: str) -> str:
        """Return all that the tries of a task told."""
        folder = self.stack.home / "logs" / f"dag_id={self.dag}" / f"run_id={self.run_id}" / f"task_id={task}"
        lines = [
            json.loads(line)
            for file in sorted(folder.glob("*.log"))
            for line in file.read_text().splitlines()
        ]
        errors = [detail["exc_value"] for line in lines for detail in line.get("error_detail", ())]
        return "\n".join([*(str(line["event"]) for line in lines), *errors])

    def wait(self, task: str, *states: str) -> dict[str, Any]:
        """Wait until a task has one of these states; by default, until it has ended."""
        wanted = set(states) or FINISHED

        def check() -> dict[str, Any] | None:
            found = self.task(task)
            if found.get("state") in FINISHED - wanted:
                raise AssertionError(f"{task} is {found['state']}, not {wanted}\n{self.log(task)}")
            return found if found.get("state") in wanted else None

        found: dict[str, Any] = self.stack.wait_for(f"{self.dag}.{task} {wanted}", check)
        return found

    def wait_for_end(self) -> str:
        state: str = self.stack.wait_for(
            f"the end of {self.dag}", lambda: (s := self.state()) in {"success", "failed"} and s
        )
        return state
