"""Machines of a deployment, each a folder with an Airflow home, DAG files and an environment of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.airflow.conftest import ROOT
from tests.airflow.stack import Stack, free_port

METADATA = "postgresql+psycopg://nobody@metadata.invalid:1/none"
"""Airflow's own database, as workers have it: none of them reaches it."""


class Machine:
    """A machine that runs a worker.

    :param environment: what the machine has beside the settings that every worker has.
    """

    def __init__(self, home: Path, name: str, environment: Mapping[str, str]) -> None:
        self.home = home
        self.name = name
        home.mkdir()
        (home / "tmp").mkdir()
        kept = {key: value for key, value in os.environ.items() if "AIRFLOW_" not in key}
        self.environment = (
            kept
            | identity(home, name)
            | {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": METADATA,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": METADATA,
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                "HOME": str(home),
                "TMPDIR": str(home / "tmp"),
                **environment,
            }
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def work(self) -> Path:
        return self.home / "work"

    def start(self, *command: str) -> None:
        """Start an ``airflow`` command, its output in a file of the home."""
        with (self.home / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def told(self) -> str:
        """Return what the worker and its tasks wrote."""
        files = [self.home / "worker.log", *sorted((self.home / "logs").rglob("attempt=*.log"))]
        return "\n".join(f"--- {file}\n{file.read_text(errors='replace')}" for file in files if file.exists())

    def kill(self) -> None:
        """Switch the machine off: nothing that runs there has a chance to tidy up."""
        if self._process is None:
            return
        try:
            parent = psutil.Process(self._process.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait(20)
        self._process = None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def identity(home: Path, name: str) -> dict[str, str]:
    """Return the environment by which a machine's tasks and its connections to PostgreSQL are told from others."""
    (home / "machine_name.py").write_text(f"def name():\n    return {name!r}\n", encoding="utf-8")
    return {
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "machine_name.name",
        "PGAPPNAME": name,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{home}",
    }


class Server(Stack):
    """The server: what the connections of its tasks hold, only the scheduler knows, which runs the tasks.

    :param connections: of the tasks that the LocalExecutor runs.
    """

    def __init__(self, home: Path, *, connections: Mapping[str, str], **arguments: Any) -> None:
        environment = identity(home, "server") | arguments.pop("environment")
        super().__init__(home, environment=environment, **arguments)
        self._connections = connections

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, name: str, *arguments: str) -> None:
        everywhere = self.environment
        if name == "scheduler":
            self.environment = everywhere | dict(self._connections)
        try:
            super().start(name, *arguments)
        finally:
            self.environment = everywhere


class Redis:
    """A Redis server on a port of its own, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        with (folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)),
                    *("--save", "", "--appendonly", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def wait(self) -> None:
        import redis

        end = time.monotonic() + 30
        with redis.Redis(port=self.port) as client:
            while time.monotonic() < end:
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.1)
                else:
                    return
        raise AssertionError("Redis does not answer")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
