"""``airflow idm``: the command line as one of Airflow's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.airflow.conftest import CONFIGURATION, ROOT, AirflowHome

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(
        version("apache-airflow").startswith("3.1."), reason="Airflow 3.1 takes no commands from providers"
    ),
]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    return folder


CALL = """
import sys
from airflow.cli.cli_config import DefaultHelpParser
from airflow.cli.cli_parser import _add_command
from airflow_provider_idm.airflow_cli import get_cli_commands

parser = DefaultHelpParser(prog="airflow")
subparsers = parser.add_subparsers(dest="subcommand")
for command in get_cli_commands():
    _add_command(subparsers, command)
# What every airflow command pays for; the rest is loaded once it is asked for.
assert "airflow_provider_idm.cli" not in sys.modules and "typer" not in sys.modules
arguments = parser.parse_args(sys.argv[1:])
arguments.func(arguments)
"""
"""What ``airflow`` does with the commands of a provider, without all its other commands."""


def airflow(home: AirflowHome, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CALL, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=home.home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_that_follows_goes_to_idm_and_its_exit_code_comes_back(migrated: AirflowHome, conf: Path) -> None:
    checked = airflow(migrated, "idm", "check", "--json", str(conf))
    missing = airflow(migrated, "idm", "query", "--entity-type", "Person", str(conf))
    wrong = airflow(migrated, "idm", "hash", "--connector", "HRR", str(conf))

    assert (checked.returncode, json.loads(checked.stdout)["errors"]) == (0, [])
    assert missing.returncode == 1
    # Where the tasks of the same Airflow look too:
    assert f"sqlite:///{migrated.home}/idm/repository.db" in missing.stderr
    assert wrong.returncode == 2
    assert "HR" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], ["Usage: airflow idm [OPTIONS] COMMAND", "synchronize", "3 blocked by a threshold"]),
        (["query", "--help"], ["Usage: airflow idm query", "--entity-type ID", "IDM_CONFIGURATION"]),
        (["query", "-h"], ["Usage: airflow idm query"]),
        ([], ["Usage: airflow idm [OPTIONS] COMMAND"]),
    ],
)
def test_help_is_that_of_idm(migrated: AirflowHome, arguments: list[str], expected: list[str]) -> None:
    told = airflow(migrated, "idm", *arguments)

    assert [text for text in expected if text not in told.stdout + told.stderr] == []


def test_a_command_that_there_is_not(migrated: AirflowHome) -> None:
    told = airflow(migrated, "idm", "export-all")

    assert (told.returncode, told.stdout) == (2, "")
    assert "No such command 'export-all'" in told.stderr


def test_a_warning_is_said_once(migrated: AirflowHome, conf: Path) -> None:
    text = CONFIGURATION.replace('Identifier="HR"', 'Identifier="HR" Colour="blue"', 1)
    (conf / "hr.xml").write_text(text, encoding="utf-8")

    told = airflow(migrated, "idm", "status", "--json", str(conf))

    assert json.loads(told.stdout)["connectors"]["HR"]["state"] == "empty"
    assert told.stderr.count("Warning") == 1
