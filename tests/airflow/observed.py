"""Runs DAGs in a process of its own that tells OpenLineage (to a file) and a statsd server (here) what happens."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.airflow.conftest import ROOT, AirflowHome


@dataclass
class Statsd:
    """What was sent to a statsd server: lines such as ``airflow.idm.prepare.rows,connector=HR:3|c``."""

    port: int
    lines: list[str] = field(default_factory=list)

    def values(self, name: str, **tags: str) -> list[float]:
        """Return the values of a metric that has exactly these tags beside others."""
        found = []
        for line in self.lines:
            series, _, rest = line.rpartition(":")
            told, *pairs = series.split(",")
            if told == f"airflow.{name}" and tags.items() <= dict(pair.split("=") for pair in pairs).items():
                found.append(float(rest.split("|")[0]))
        return found

    def tags(self, name: str) -> list[dict[str, str]]:
        """Return the tags of each value of a metric."""
        heads = (line.rpartition(":")[0].split(",") for line in self.lines)
        return [
            dict(pair.split("=") for pair in pairs) for told, *pairs in heads if told == f"airflow.{name}"
        ]


@contextmanager
def statsd() -> Iterator[Statsd]:
    """Listen as a statsd server does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        heard = Statsd(server.getsockname()[1])
        done = threading.Event()

        def listen() -> None:
            while True:
                try:
                    heard.lines += server.recv(65536).decode().splitlines()
                except TimeoutError:
                    if done.is_set():
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield heard
        finally:
            done.set()
            listener.join()


@dataclass
class Observed:
    """What came of some code.

    :param events: OpenLineage's, in order.
    """

    output: str
    events: list[dict[str, Any]]
    metrics: Statsd

    def event(self, task: str, kind: str) -> dict[str, Any]:
        """Return the last event of a task with a type (``COMPLETE``, ``FAIL`` …)."""
        found = [e for e in self.events if e["job"]["name"] == task and e["eventType"] == kind]
        assert found, [(e["job"]["name"], e["eventType"]) for e in self.events]
        return found[-1]


def observe(home: AirflowHome, code: str, folder: Path, *arguments: str, **environment: str) -> Observed:
    """Run Python code in a process of its own."""
    file = folder / "events.jsonl"
    with statsd() as metrics:
        settings = {
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(file), "append": True}
            ),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(metrics.port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | settings | environment,
            cwd=home.home,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    events = [json.loads(line) for line in text.splitlines()]
    return Observed(done.stdout + done.stderr, events, metrics)
