"""What ``make ui`` calls: it starts an Airflow, and nothing is left of that when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.airflow.conftest import ROOT
from tests.airflow.installation import python_path
from tests.airflow.stack import free_port

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


def test_it_starts_and_stops(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "furnished").touch()  # the jobs need not run for that
    environment = {k: v for k, v in os.environ.items() if "AIRFLOW_" not in k}
    command = [sys.executable, str(ROOT / "scripts" / "ui.py"), str(home), "--port", str(free_port())]
    environment["PYTHONPATH"] = python_path(tmp_path / "installation")
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        end = time.monotonic() + 240
        while "Ctrl-C stops everything" not in output.read_text(encoding="utf-8"):
            assert process.poll() is None, output.read_text(encoding="utf-8")
            assert time.monotonic() < end, output.read_text(encoding="utf-8")
            time.sleep(0.5)
        text = output.read_text(encoding="utf-8")
        password = json.loads((home / "passwords.json").read_text(encoding="utf-8"))["admin"]
        assert f"Log in as admin with the password {password}" in text
        url = text.split("Airflow is at ")[1].split()[0]
        answer = httpx.post(
            f"{url}/auth/token", json={"username": "admin", "password": password}, trust_env=False
        )
        assert answer.status_code == 201
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (again.returncode, "runs in" in again.stdout) == (1, True)
        assert processes_of(home)
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0
    assert processes_of(home) == []
    assert "Stopping" in output.read_text(encoding="utf-8")


def processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(home) and process.status() != "zombie":
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
