"""Random jobs with random outcomes: what their DAGs come to in a scheduler is what the rules say.

``HYPOTHESIS_PROFILE=thorough`` tries many more.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from tests.jobs.oracle import SET_FLAG, Became, Outcome, Task, Verdict, judge, waits_for
from tests.jobs.simulator import AWAITING, FINISHED, SimulatedRun

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.airflow

MANY = settings(max_examples=200)
CONNECTORS = ("X", "Y", "Z")
OWN = ("ExportTask", "PrepareSynchronizationTask", "SynchronizeTask")
WITHOUT_CONNECTOR = ("ComputeRoleModelTask", "FulfillTask", SET_FLAG)
REGISTERED = "ComputeRoleModelTask"
OUTCOMES = (Outcome.EFFECT, Outcome.UNTOLD, Outcome.NO_EFFECT, Outcome.FAILS, Outcome.HELD_BACK)
STATES: Mapping[Became, AbstractSet[str | None]] = {
    Became.SUCCEEDED: {"success"},
    Became.CHANGED_NOTHING: {"success"},
    Became.FAILED: {"failed"},
    Became.HELD_BACK: {"skipped"},
    Became.BLOCKED: {"awaiting_input"},
    # Airflow says so itself; behind a task without a connector that others may hold up, the task finds out when all
    # else that it waits for has ended.
    Became.STOPPED: {"upstream_failed", "skipped", None},
    Became.STOPPED_BY_PARENT: {"skipped"},
    Became.NO_EFFECT: {"skipped"},
    Became.WAITING: {None, "up_for_reschedule"},
}

STOPS = {Became.FAILED, Became.HELD_BACK, Became.STOPPED, Became.STOPPED_BY_PARENT}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep thousands of reasons out of a failed test's report."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


# ------------------------------------------------------------------------------------------------- jobs and outcomes


@st.composite
def jobs(draw: st.DrawFn, most: int = 9) -> list[Task]:
    """A job's tasks: with levels or one after another, of some connectors or none, with parents or without."""
    levels = draw(st.booleans())
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, most))):
        connector = draw(st.sampled_from([*CONNECTORS, None]))
        element = draw(st.sampled_from(WITHOUT_CONNECTOR if connector is None else OWN))
        rank = draw(st.integers(0, 4)) if levels else number
        earlier = [task.identifier for task in tasks if task.rank < rank]
        parents = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        may_fail = draw(st.integers(0, 3)) == 0
        tasks.append(Task(f"T{number}", element, connector, rank, tuple(parents), may_fail))
    return tasks


@st.composite
def outcomes_of(draw: st.DrawFn, tasks: list[Task]) -> dict[str, Outcome]:
    """What would happen to each task; only a synchronize can be blocked, and what is not ours never tells an effect."""
    return {task.identifier: draw(st.sampled_from(_possible(task))) for task in tasks}


def _possible(task: Task) -> list[Outcome]:
    if task.element == REGISTERED:
        return [Outcome.UNTOLD, Outcome.FAILS]
    if task.element == "SynchronizeTask":
        return [*OUTCOMES, Outcome.BLOCKED]
    return [o for o in OUTCOMES if task.connector is not None or o is not Outcome.HELD_BACK]


def as_xml(tasks: list[Task]) -> str:
    levels = len({task.rank for task in tasks}) < len(tasks) or [t.rank for t in tasks] != list(
        range(len(tasks))
    )
    elements = "\n".join(_element(task, with_level=levels) for task in tasks)
    connectors = "\n".join(
        f'<Connector Identifier="{c}" DisplayName_L1="{c}" />'
        f'<Connection Identifier="C{c}" Connector="{c}" DisplayName_L1="{c}" Package="Usercube.CSV@0000001" />'
        for c in CONNECTORS
    )
    job = f'<Job Identifier="J" DisplayName_L1="J">\n{elements}\n</Job>'
    return f"<ConfigurationFile>\n{connectors}\n{job}\n</ConfigurationFile>\n"


def _element(task: Task, *, with_level: bool) -> str:
    attributes = {"Identifier": task.identifier, "DisplayName_L1": task.identifier}
    if task.connector is not None:
        attributes["Connector"] = task.connector
    if task.element == "ExportTask":
        attributes["Connection"] = f"C{task.connector}"
    if task.element == "PrepareSynchronizationTask":
        attributes["SynchronizationMode"] = "Complete"
    if task.continue_on_error:
        attributes["ContinueOnError"] = "true"
    if with_level:
        attributes["Level"] = str(task.rank)
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    parents = "".join(f'<TaskDependsOnTask ParentTask="{parent}" />' for parent in task.parents)
    return f"<{task.element} {written}>{parents}</{task.element}>"


def dag_of(tasks: list[Task]) -> DAG:
    from airflow.providers.standard.operators.empty import EmptyOperator

    from airflow_provider_idm import generate_dags

    def empty(task: Any, dag: DAG) -> EmptyOperator:
        return EmptyOperator(task_id=task.identifier, dag=dag)

    with tempfile.TemporaryDirectory() as folder:
        text = as_xml(tasks)
        _tell(text)
        Path(folder, "job.xml").write_text(text, encoding="utf-8")
        dag = generate_dags(folder, globals={}, task_operators={REGISTERED: empty})["J"]
    assert "idm-config-error" not in dag.tags, dag.doc_md
    _tell("\n".join(f"{t.task_id} {t.trigger_rule} {sorted(t.upstream_task_ids)}" for t in dag.tasks))
    return dag


def _tell(text: str) -> None:
    if currently_in_test_context():
        note(text)


def check(tasks: list[Task], run: SimulatedRun, expected: Verdict) -> None:
    """Compare a run with what the rules say, task by task."""
    wrong = {
        task.identifier: (run.states[task.identifier], expected.fates[task.identifier])
        for task in tasks
        if run.states[task.identifier] not in STATES[expected.fates[task.identifier].became]
    }
    early = {name for name in wrong if _is_skipped_early(name, tasks, run, expected)}
    assert set(wrong) == early, f"(simulated, expected): {wrong}"
    assert run.state == expected.state
    for task in tasks:
        for other in tasks:
            if other is not task and waits_for(task, other) and task.identifier in run.began:
                check_order(task, other, run.began[task.identifier])


def _is_skipped_early(name: str, tasks: list[Task], run: SimulatedRun, expected: Verdict) -> bool:
    """Tell whether a task did not wait for all before it was skipped: one stopped parent was enough."""
    parents = next(task.parents for task in tasks if task.identifier == name)
    is_stopped = any(expected.fates[parent].became in STOPS for parent in parents)
    return is_stopped and run.states[name] == "skipped" and expected.fates[name].became is Became.WAITING


def check_order(task: Task, other: Task, states: Mapping[str, str | None]) -> None:
    """Check that a task that another waits for had ended when that began."""
    if task.element == SET_FLAG and task.parents and other.identifier not in task.parents:
        return  # what failed may overtake others that the flag does not look at
    may_pass_by = task.connector is not None and other.connector is None
    if may_pass_by and other.identifier not in task.parents and AWAITING in states.values():
        return
    assert states[other.identifier] in FINISHED, f"{task.identifier} began before {other.identifier} ended"


# -------------------------------------------------------------------------------------------------------- properties


@MANY
@given(st.data())
def test_a_run_comes_to_what_the_rules_say_whoever_is_first(data: st.DataObject) -> None:
    tasks = data.draw(jobs())
    outcomes = data.draw(outcomes_of(tasks))
    random = data.draw(st.randoms(use_true_random=False))
    expected = judge(tasks, outcomes)

    run = SimulatedRun(dag_of(tasks), outcomes, random.choice)
    run.run()
    note(f"{outcomes}\n{run.states}")

    check(tasks, run, expected)
    for task in tasks:
        if expected.fates[task.identifier].became is Became.STOPPED_BY_PARENT:
            assert any(
                f"task {p} " in run.reasons[task.identifier] for p in expected.fates[task.identifier].by
            )
        if expected.fates[task.identifier].became is Became.NO_EFFECT:
            assert all(f"task {p} " in run.reasons[task.identifier] for p in task.parents)

    # and when somebody has decided
    blocked = [name for name, fate in expected.fates.items() if fate.became is Became.BLOCKED]
    if blocked:
        decisions = {
            name: data.draw(st.sampled_from([Outcome.EFFECT, Outcome.NO_EFFECT, Outcome.FAILS]))
            for name in blocked
        }
        for name, outcome in decisions.items():
            run.finish(name, outcome)
        run.run()
        note(f"{decisions}\n{run.states}")
        check(tasks, run, judge(tasks, {**outcomes, **decisions}, expected))


@MANY
@given(st.data())
def test_a_connector_does_not_feel_what_becomes_of_another(data: st.DataObject) -> None:
    """Whatever happens to Y: what depends on it in no way runs, or does not, as if all went well with Y."""
    tasks = data.draw(jobs())
    troubled = data.draw(outcomes_of(tasks))
    well = {
        task.identifier: Outcome.EFFECT if task.connector == "Y" else troubled[task.identifier]
        for task in tasks
    }
    dag = dag_of(tasks)

    runs = [SimulatedRun(dag, outcomes) for outcomes in (well, troubled)]
    for run in runs:
        run.run()
    note(f"{troubled}\n{runs[0].states}\n{runs[1].states}")

    for task in tasks:
        if task.connector not in {None, "Y"} and not _feels(task, tasks):
            assert runs[1].states[task.identifier] == runs[0].states[task.identifier], task.identifier


def _feels(task: Task, tasks: list[Task]) -> bool:
    """Tell whether what becomes of Y may matter to a task: by its parents, or because it may keep a failure away.

    A task without a connector that Y keeps from failing no longer stops the others.
    """
    by_identifier = {t.identifier: t for t in tasks}
    for parent in (by_identifier[name] for name in task.parents):
        if parent.connector in {None, "Y"} or _feels(parent, tasks):
            return True
    before = [other for other in tasks if other is not task and waits_for(task, other)]
    return any(other.connector is None or _feels(other, tasks) for other in before)


@MANY
@given(st.data())
def test_trouble_of_another_connector_holds_nothing_up(data: st.DataObject) -> None:
    """With failures and undecided blocks of Y alone, every task that no TaskDependsOnTask leads to Y runs at once."""
    tasks = data.draw(jobs())
    outcomes = {
        task.identifier: data.draw(st.sampled_from(_possible(task)))
        if task.connector == "Y"
        else Outcome.EFFECT
        for task in tasks
    }
    run = SimulatedRun(dag_of(tasks), outcomes)
    run.run()
    note(f"{outcomes}\n{run.states}")

    for task in tasks:
        if task.connector not in {None, "Y"} and not _is_led_elsewhere(task, tasks):
            assert run.states[task.identifier] == "success", task.identifier


def _is_led_elsewhere(task: Task, tasks: list[Task]) -> bool:
    """Tell whether a task, or one of its connector before it, depends on a task that Y may hold up."""
    for before in (task, *(t for t in tasks if t.connector == task.connector and t.rank < task.rank)):
        for parent in (t for t in tasks if t.identifier in before.parents):
            if parent.connector in {None, "Y"} or _is_led_elsewhere(parent, tasks):
                return True
    return False


def test_the_flag_waits_for_its_parents_though_a_failure_overtakes_them() -> None:
    """Airflow hands a failure on at once: what comes later ends before others that run side by side with what failed."""
    tasks = [
        Task("S1", "SynchronizeTask", "X", 0),
        Task("S2", "SynchronizeTask", "Y", 0),
        Task("N", "ComputeRoleModelTask", None, 1),
        Task("F", SET_FLAG, None, 2, ("S1", "S2")),
    ]
    outcomes = {t.identifier: Outcome.EFFECT for t in tasks} | {"S1": Outcome.FAILS}
    run = SimulatedRun(
        dag_of(tasks), outcomes, lambda ready: next((n for n in ("S1", "F") if n in ready), ready[0])
    )

    assert run.run() == "failed"

    assert run.began["F"]["S2"] == "success"
    check(tasks, run, judge(tasks, outcomes))


# ---------------------------------------------------------------------------------------- the oracle, on plain cases

EXPORT = Task("E", "ExportTask", "X", 0)
PREPARE = Task("P", "PrepareSynchronizationTask", "X", 1, ("E",))
SYNCHRONIZE = Task("S", "SynchronizeTask", "X", 2, ("P",))
FLAG = Task("F", SET_FLAG, None, 3, ("S",))
OTHER = Task("O", "SynchronizeTask", "Y", 2)
BETWEEN = Task("B", "ComputeRoleModelTask", None, 1)


def became(tasks: list[Task], **outcomes: Outcome) -> tuple[dict[str, str], str]:
    whole: Mapping[str, Outcome] = {t.identifier: outcomes.get(t.identifier, Outcome.EFFECT) for t in tasks}
    verdict = judge(tasks, whole)
    return {name: fate.became.name for name, fate in verdict.fates.items()}, verdict.state


def test_a_failed_export_stops_its_connector() -> None:
    assert became([EXPORT, PREPARE, OTHER], E=Outcome.FAILS) == (
        {"E": "FAILED", "P": "STOPPED", "O": "SUCCEEDED"},
        "failed",
    )


def test_an_export_that_may_fail_stops_what_depends_on_it() -> None:
    tolerant = replace(EXPORT, continue_on_error=True)
    loose = Task("L", "ExportTask", "X", 1)

    assert became([tolerant, PREPARE, loose, SYNCHRONIZE], E=Outcome.FAILS) == (
        {"E": "FAILED", "P": "STOPPED_BY_PARENT", "L": "SUCCEEDED", "S": "STOPPED_BY_PARENT"},
        "success",
    )


def test_a_task_in_between_is_stopped_and_hands_nothing_on() -> None:
    assert became([EXPORT, BETWEEN, OTHER], E=Outcome.FAILS) == (
        {"E": "FAILED", "B": "STOPPED", "O": "SUCCEEDED"},
        "failed",
    )


def test_what_had_no_effect_skips_what_depends_on_it_alone() -> None:
    assert became([EXPORT, PREPARE, SYNCHRONIZE, FLAG], P=Outcome.NO_EFFECT) == (
        {"E": "SUCCEEDED", "P": "CHANGED_NOTHING", "S": "NO_EFFECT", "F": "NO_EFFECT"},
        "success",
    )


def test_the_flag_is_set_if_one_parent_had_an_effect() -> None:
    flag = replace(FLAG, parents=("S", "O"))

    assert became([EXPORT, PREPARE, SYNCHRONIZE, OTHER, flag], E=Outcome.FAILS) == (
        {"E": "FAILED", "P": "STOPPED", "S": "STOPPED", "O": "SUCCEEDED", "F": "SUCCEEDED"},
        "failed",
    )


def test_what_is_blocked_waits_with_what_comes_after_it_but_not_another_connector() -> None:
    between = replace(BETWEEN, rank=3)
    later = Task("L", "SynchronizeTask", "Y", 4)

    assert became([EXPORT, PREPARE, SYNCHRONIZE, between, later], S=Outcome.BLOCKED) == (
        {"E": "SUCCEEDED", "P": "SUCCEEDED", "S": "BLOCKED", "B": "WAITING", "L": "SUCCEEDED"},
        "running",
    )
