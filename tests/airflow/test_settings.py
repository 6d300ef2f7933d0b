"""The section ``[idm]`` of Airflow's configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.hooks import settings
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.provider_info import CONFIG_OPTIONS
from tests.airflow.conftest import ROOT, AirflowHome

pytestmark = pytest.mark.airflow

READ: dict[str, Callable[[], Any]] = {
    "memory_limit": settings.memory_limit,
    "lock_timeout": settings.lock_timeout,
    "poll_interval": settings.poll_interval,
    "history": settings.history,
}


def test_every_option_is_read_and_the_defaults_are_those_that_are_told() -> None:
    assert set(READ) == set(CONFIG_OPTIONS)
    assert {option: read() for option, read in READ.items()} == {
        "memory_limit": "1.4GB",
        "lock_timeout": 600.0,
        "poll_interval": timedelta(minutes=1),
        "history": True,
    }


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("memory_limit", "512MiB", "512MiB"),
        ("lock_timeout", "0.5", 0.5),
        ("poll_interval", "90", timedelta(seconds=90)),
        ("history", "False", False),
        ("history", "t", True),
    ],
)
def test_options_are_read_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, option: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"AIRFLOW__IDM__{option.upper()}", text)

    assert READ[option]() == value


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("memory_limit", "much"),
        ("lock_timeout", "-1"),
        ("lock_timeout", "nan"),
        ("poll_interval", "9"),
        ("history", "sometimes"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, option: str, text: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__IDM__{option.upper()}", text)

    with pytest.raises(ConfigurationError, match=rf"{option} = '{text}' in its section \[idm\].*expected"):
        READ[option]()


def test_what_an_operator_is_given_wins(airflow_home: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__IDM__MEMORY_LIMIT", "3GB")
    monkeypatch.setenv("AIRFLOW__IDM__HISTORY", "False")
    monkeypatch.setenv("AIRFLOW__IDM__LOCK_TIMEOUT", "7")
    airflow_home.write(
        "conf/hr.xml",
        '<ConfigurationFile><Connector Identifier="HR" DisplayName_L1="HR"/></ConfigurationFile>',
    )

    assert requested(airflow_home) == ("3GB", False, 7.0)
    assert requested(airflow_home, memory_limit="2GB", history=True) == ("2GB", True, 7.0)


def requested(home: AirflowHome, **arguments: Any) -> tuple[str, bool, float]:
    task = SynchronizeTaskOperator(
        task_id="synchronize", connector="HR", configuration=str(home.dags / "conf"), **arguments
    )
    ti = type("TI", (), {"dag_id": "d", "run_id": "r", "task_id": "synchronize", "map_index": -1})()
    context: Any = {"ti": ti}
    with task.request(context) as request:
        return request.memory_limit, request.history, request.lock_timeout


def test_parsing_a_dag_file_reads_no_option() -> None:
    code = (
        "import sys\n"
        "from airflow_provider_idm.hooks import settings\n"
        "settings._text = lambda option: sys.exit(f'{option} was read')\n"
        "from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator\n"
        "SynchronizeTaskOperator(task_id='synchronize', connector='HR')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, "was read" in done.stderr) == (0, False)
