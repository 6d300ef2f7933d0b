"""The parse benchmark: all contenders make the same DAGs, and what differs is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import read_configuration
from benchmarks.parse import (
    FACTORY,
    GENERATED,
    NO_FACTORY,
    WORKER,
    WRITTEN,
    check_generated,
    first_difference,
    has_factory,
)
from benchmarks.parse_configuration import TASKS, write_configuration

ROOT = Path(__file__).parents[2]


def dag(**changes: Any) -> dict[str, Any]:
    tasks = {f"T{n}": ["ExportTaskOperator", f"T{n}", "none_failed", None, []] for n in range(TASKS)}
    return {"name": "Job", "schedule": "None", "tasks": tasks | changes}


def test_the_configuration_is_sound_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_configuration(tmp_path / name, connectors=9, jobs=20)

    files = {str(f.relative_to(tmp_path / "a")): f.read_bytes() for f in (tmp_path / "a").rglob("*.xml")}
    assert files == {
        str(f.relative_to(tmp_path / "b")): f.read_bytes() for f in (tmp_path / "b").rglob("*.xml")
    }
    configuration = read_configuration(tmp_path / "a")
    assert configuration.problems == ()
    assert (len(configuration.connectors), len(configuration.jobs)) == (9, 20)
    assert {len(job.children) for job in configuration.jobs.values()} == {TASKS}


@pytest.mark.slow
def test_all_contenders_make_the_same_dags_and_are_measured(tmp_path: Path) -> None:
    sizes = ("--connectors", "4", "--jobs", "5", "--repetitions", "1")

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parse", *sizes, "--folder", str(tmp_path), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    dags = {result["name"]: result["dags"] for result in told["results"]}
    assert dags == {GENERATED: 5, WRITTEN: 5} | ({FACTORY: 5} if has_factory() else {}) | {WORKER: 1}
    assert all(result["seconds"] > 0 and result["ratio"] > 0 for result in told["results"])
    assert told["note"] == (None if has_factory() else NO_FACTORY)
    assert json.loads((tmp_path / "parse.json").read_text(encoding="utf-8")) == told
    assert [path.name for path in tmp_path.iterdir()] == ["parse.json"]


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({"A": dag()}, None),
        ({}, "/A is missing"),
        ({"A": dag(), "B": dag()}, "/B is too many"),
        ({"A": dag(T99=["ExportTaskOperator", "T99", "none_failed", None, []])}, "/A/tasks/T99 is too many"),
        (
            {"A": dag(T1=["ExportTaskOperator", "T1", "none_failed", None, ["T0"]])},
            (
                "/A/tasks/T1 is ['ExportTaskOperator', 'T1', 'none_failed', None, ['T0']], "
                "generate_dags makes ['ExportTaskOperator', 'T1', 'none_failed', None, []]"
            ),
        ),
    ],
)
def test_a_difference_is_noticed(found: dict[str, Any], difference: str | None) -> None:
    assert first_difference(found, {"A": dag()}) == difference


def test_a_job_that_became_no_dag_of_its_own_ends_the_run() -> None:
    placeholder = {
        "name": "Job",
        "schedule": "None",
        "tasks": {"configuration_error": ["ErrorOperator", "", "", None, []]},
    }

    check_generated({"A": dag(), "B": dag()}, 2)
    with pytest.raises(SystemExit, match="B has 0 tasks, its job has 12"):
        check_generated({"A": dag(), "B": placeholder}, 2)
    with pytest.raises(SystemExit, match="1 DAGs of 2 jobs"):
        check_generated({"A": dag()}, 2)
