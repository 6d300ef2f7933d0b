"""Whether a task runs, decided when its turn comes: jobs of registered operators whose outcomes the test chooses."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from tests.airflow.conftest import AirflowHome

pytestmark = pytest.mark.airflow

LOADER = """\
from airflow.sdk import BaseOperator

from airflow_provider_idm import generate_dags


class Probe(BaseOperator):
    def __init__(self, *, outcome, **kwargs):
        super().__init__(**kwargs)
        self.outcome = outcome

    def execute(self, context):
        if self.outcome == "fails":
            raise RuntimeError("as it was told")
        if self.outcome in ("effect", "none"):
            context["ti"].xcom_push(key="has_effect", value=self.outcome == "effect")


def probe(task, dag):
    return Probe(task_id=task.identifier, dag=dag, outcome=task.get("Outcome"))


def flag(task, dag):
    return Probe(task_id=task.identifier, dag=dag, outcome="effect")


generate_dags("conf", task_operators={"ProbeTask": probe, "SetRecentlyModifiedFlagTask": flag})
"""


def probe(
    identifier: str, outcome: str, *parents: str, connector: str = "", level: int = -1, more: str = ""
) -> str:
    named = f'Connector="{connector}"' if connector else ""
    depends = "".join(f'<TaskDependsOnTask ParentTask="{parent}" />' for parent in parents)
    return (
        f'<ProbeTask Identifier="{identifier}" DisplayName_L1="{identifier}" Outcome="{outcome}" {named} '
        f'Level="{level}" {more}>{depends}</ProbeTask>'
    )


NUMBERS = count(1)
"""Airflow 3.1 tests a DAG as it first saw it: each job has an id of its own."""

MAY_FAIL = 'ContinueOnError="true"'


@pytest.fixture
def run(airflow_home: AirflowHome, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a job of probes; return the run's state, the tasks' states and the log."""

    caplog.set_level("INFO", logger="airflow_provider_idm")
    monkeypatch.setattr("airflow_provider_idm.operators.predecessors.LOOK_AGAIN", timedelta(seconds=1))

    def run_job(*children: str) -> tuple[str, dict[str, str], str]:
        connectors = "".join(
            f'<Connector Identifier="{name}" DisplayName_L1="{name}" />' for name in ("A", "B")
        )
        name = f"J{next(NUMBERS)}"
        text = f'{connectors}<Job Identifier="{name}" DisplayName_L1="J">{"".join(children)}</Job>'
        airflow_home.write("conf/Jobs.xml", f"<ConfigurationFile>{text}</ConfigurationFile>")
        dag = vars(airflow_home.load(LOADER))[name]
        assert "idm-config-error" not in dag.tags, dag.doc_md
        done = airflow_home.run(dag)
        return done.state, done.states, caplog.text

    return run_job


def test_a_failure_stops_the_later_tasks_of_its_connector_and_those_without_one(run) -> None:
    state, states, _ = run(
        probe("A1", "fails", connector="A", level=0),
        probe("A2", "effect", connector="A", level=1),
        probe("B1", "effect", connector="B", level=0),
        probe("B2", "effect", connector="B", level=1),
        probe("N", "effect", level=2),
    )

    assert states == {
        "A1": "failed",
        "A2": "upstream_failed",
        "B1": "success",
        "B2": "success",
        "N": "upstream_failed",
    }
    assert state == "failed"


def test_all_but_what_depends_on_it_goes_on_after_a_task_that_may_fail(run) -> None:
    state, states, log = run(
        probe("A1", "fails", connector="A", level=0, more=MAY_FAIL),
        probe("A2", "effect", connector="A", level=1),
        probe("A3", "effect", "A1", connector="A", level=1),
        probe("A4", "effect", "A3", connector="A", level=2),
        probe("N", "effect", level=3),
    )

    assert states == {"A1": "failed", "A2": "success", "A3": "skipped", "A4": "skipped", "N": "success"}
    assert state == "success"
    assert "Skipped: task A1 failed, and this task depends on it." in log
    assert "Skipped: task A3 was skipped because of a failure or a block before it" in log


def test_without_any_effect_what_depends_on_it_is_skipped_and_says_so(run) -> None:
    state, states, log = run(
        probe("A1", "none", connector="A", level=0),
        probe("A2", "effect", "A1", connector="A", level=1),
        probe("A3", "effect", "A2", connector="A", level=2),
        probe("A4", "effect", connector="A", level=3),
        probe("N", "effect", "A3", "A4", level=4),
    )

    assert states == {"A1": "success", "A2": "skipped", "A3": "skipped", "A4": "success", "N": "success"}
    assert state == "success"
    assert (
        "Skipped: none of the tasks that this one depends on had an effect: task A1 changed nothing." in log
    )
    assert "had an effect: task A2 was skipped." in log


def test_what_tells_nothing_counts_as_having_had_an_effect(run) -> None:
    _, states, _ = run(probe("A1", "", connector="A"), probe("A2", "effect", "A1", connector="A"))

    assert states == {"A1": "success", "A2": "success"}


def test_the_flag_is_set_if_one_parent_had_an_effect_and_the_run_fails_all_the_same(run) -> None:
    flag = (
        '<SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" Level="2">'
        '<TaskDependsOnTask ParentTask="A2" /><TaskDependsOnTask ParentTask="B2" /></SetRecentlyModifiedFlagTask>'
    )

    state, states, _ = run(
        probe("A1", "fails", connector="A", level=0),
        probe("A2", "effect", "A1", connector="A", level=1),
        probe("B2", "effect", connector="B", level=1),
        flag,
    )

    assert states == {
        "A1": "failed",
        "A2": "upstream_failed",
        "B2": "success",
        "F": "success",
        "all_succeeded": "upstream_failed",
    }
    assert state == "failed"


def test_the_flag_is_not_set_if_no_parent_had_an_effect(run) -> None:
    flag = (
        '<SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" Level="2">'
        '<TaskDependsOnTask ParentTask="A1" /></SetRecentlyModifiedFlagTask>'
    )

    state, states, log = run(probe("A1", "none", connector="A", level=0), flag)

    assert states == {"A1": "success", "F": "skipped", "all_succeeded": "success"}
    assert state == "success"
    assert "had an effect: task A1 changed nothing." in log


def test_a_failure_of_one_connector_does_not_reach_another_through_a_task_between_them(run) -> None:
    state, states, _ = run(
        probe("A1", "fails", connector="A"),
        probe("N", "effect"),
        probe("B1", "effect", connector="B"),
        probe("B2", "effect", "N", connector="B"),
        probe("B3", "effect", connector="B"),
    )

    assert states == {
        "A1": "failed",
        "N": "upstream_failed",
        "N__ended": "success",
        "B1": "success",
        "B2": "skipped",
        "B3": "success",
        "all_succeeded": "upstream_failed",
    }
    assert state == "failed"


def test_a_failure_of_a_task_without_connector_stops_all_that_comes_after_it(run) -> None:
    state, states, log = run(
        probe("A1", "effect", connector="A"),
        probe("N", "fails"),
        probe("B1", "effect", connector="B"),
        probe("A2", "effect", connector="A"),
    )

    assert states == {"A1": "success", "N": "failed", "B1": "skipped", "A2": "upstream_failed"}
    assert state == "failed"
    assert "Skipped: task N, which comes before this one, failed." in log


def test_an_operator_that_would_do_nothing_is_skipped_like_others(
    airflow_home: AirflowHome, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow's scheduler gives empty operators no worker."""
    loader = LOADER.replace(
        "def flag(task, dag):\n    return Probe(", "def flag(task, dag):\n    return Empty("
    ).replace(', outcome="effect")\n\n\ngenerate', ")\n\n\ngenerate")
    loader = "from airflow.providers.standard.operators.empty import EmptyOperator as Empty\n" + loader
    flag = (
        '<SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F">'
        '<TaskDependsOnTask ParentTask="N" /></SetRecentlyModifiedFlagTask>'
    )
    text = f'<Job Identifier="Empty" DisplayName_L1="J">{probe("N", "none")}{flag}</Job>'
    airflow_home.write("conf/Jobs.xml", f"<ConfigurationFile>{text}</ConfigurationFile>")

    done = airflow_home.run(airflow_home.load(loader).Empty)

    assert done.states == {"N": "success", "F": "skipped", "all_succeeded": "success"}


def test_a_last_task_that_may_fail_fails_visibly_and_the_run_succeeds(run) -> None:
    state, states, _ = run(probe("A1", "fails", connector="A", more=MAY_FAIL))

    assert (state, states) == ("success", {"A1": "failed", "A1__ended": "success"})
