"""What a job runs: steps and overrides resolved, in order, each synchronize with its batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.model import Configuration
from airflow_provider_idm.configuration.read import check_configuration
from airflow_provider_idm.jobs.plan import JobError, JobPlan, PlannedTask, plan_job
from airflow_provider_idm.operators.condition import Condition, Watched

CONNECTORS = """
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connector Identifier="AD" DisplayName_L1="AD" />
  <Connection Identifier="Persons" Connector="HR" DisplayName_L1="Persons" Package="Usercube.CSV@0000001" />
"""


@pytest.fixture
def job(tmp_path: Path) -> object:
    """Make the configuration of one job named J and plan it."""

    def plan(children: str, definitions: str = "", attributes: str = "") -> list[PlannedTask]:
        return list(whole(children, definitions, attributes).tasks)

    def whole(children: str, definitions: str = "", attributes: str = "") -> JobPlan:
        configuration = read(tmp_path, children, definitions, attributes)
        return plan_job(configuration, configuration.jobs["J"])

    plan.whole = whole
    return plan


def read(folder: Path, children: str, definitions: str = "", attributes: str = "") -> Configuration:
    text = f"""<ConfigurationFile>{CONNECTORS}{definitions}
  <Job Identifier="J" DisplayName_L1="Job" {attributes}>
    {children}
  </Job></ConfigurationFile>"""
    (folder / "Jobs.xml").write_text(text, encoding="utf-8")
    return check_configuration(folder)


def prepare(identifier: str, connector: str = "HR", mode: str = "Complete", level: int = -1) -> str:
    return (
        f'<PrepareSynchronizationTask Identifier="{identifier}" DisplayName_L1="P" Connector="{connector}" '
        f'SynchronizationMode="{mode}" Level="{level}" />'
    )


def changes(identifier: str) -> str:
    """Return a prepare of a list of changes."""
    return prepare(identifier, mode="Incremental").replace("/>", 'Type="Changes" />')


def synchronize(identifier: str, connector: str = "HR", level: int = -1, more: str = "") -> str:
    return (
        f'<SynchronizeTask Identifier="{identifier}" DisplayName_L1="S" Connector="{connector}" Level="{level}" '
        f"{more} />"
    )


def export(identifier: str, level: int = -1) -> str:
    return f'<ExportTask Identifier="{identifier}" DisplayName_L1="E" Connection="Persons" Level="{level}" />'


def shape(tasks: list[PlannedTask]) -> list[tuple[str, tuple[str, ...], str | None]]:
    return [(task.task_id, task.upstream, task.batch_from) for task in tasks]


def test_tasks_without_level_run_one_after_another_in_reading_order(job) -> None:
    assert shape(job(export("E") + prepare("P") + synchronize("S"))) == [
        ("E", (), None),
        ("P", ("E",), None),
        ("S", ("P",), "P"),
    ]


def test_levels_decide_whatever_the_reading_order(job) -> None:
    assert shape(job(synchronize("S", level=2) + prepare("P", level=1) + export("E", level=0))) == [
        ("E", (), None),
        ("P", ("E",), None),
        ("S", ("P",), "P"),
    ]


def test_a_synchronize_takes_the_batch_of_the_last_prepare_of_its_connector_before_it(job) -> None:
    children = (
        prepare("P1") + prepare("P2") + synchronize("S1") + prepare("A", "AD") + synchronize("S2", "AD")
    )

    assert {task.task_id: task.batch_from for task in job(children)} == {
        "P1": None,
        "P2": None,
        "S1": "P2",
        "A": None,
        "S2": "A",
    }


def test_a_synchronize_without_a_prepare_before_it_takes_all_that_is_pending(job) -> None:
    assert shape(job(synchronize("S") + prepare("P"))) == [("S", (), None), ("P", ("S",), None)]


def test_an_export_belongs_to_the_connector_of_its_connection(job) -> None:
    tasks = job(export("E") + prepare("A", "AD") + prepare("P"))

    assert shape(tasks) == [("E", (), None), ("A", (), None), ("P", ("E",), None)]


@pytest.mark.parametrize(
    ("children", "attributes", "expected"),
    [
        (changes("P"), "", True),
        (changes("P") + changes("P2"), "", True),
        (prepare("P", mode="Incremental"), "", False),
        (changes("P") + prepare("P2", mode="Incremental"), "", False),
        (prepare("P", mode="Complete"), 'IsIncremental="true"', False),
        (prepare("P", mode="Incremental") + prepare("P2", mode="Complete"), "", False),
        ("", 'IsIncremental="true"', True),
        ("", "", False),
    ],
)
def test_an_export_may_leave_out_what_did_not_change_only_for_lists_of_changes(
    job, children: str, attributes: str, expected: bool
) -> None:
    tasks = job(export("E") + children, attributes=attributes)

    assert tasks[0].exports_changes is expected


def test_a_step_runs_a_task_defined_elsewhere_on_the_steps_level(job) -> None:
    tasks = job(
        '<Step Identifier="s" DisplayName_L1="S" Level="1" />' + prepare("P", level=0),
        definitions=synchronize("S", level=7, more='Orphans="true"'),
    )

    assert shape(tasks) == [("P", (), None), ("S", ("P",), "P")]
    assert tasks[1].task.get_bool("Orphans")


def test_an_override_changes_the_given_attributes_and_no_others(job) -> None:
    tasks = job(
        prepare("P", level=0)
        + '<SynchronizeTaskOverride Identifier="S" DisplayName_L1="Other" ForceSynchronization="true" Level="1" />',
        definitions=synchronize("S", more='Orphans="true"'),
    )

    assert shape(tasks) == [("P", (), None), ("S", ("P",), "P")]
    task = tasks[1].task
    assert (task.get_bool("Orphans"), task.get_bool("ForceSynchronization")) == (True, True)
    assert task.display_names[1] == "Other"


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ('SQLCommand="select 1"', 'SQLInputFile="all.sql"'),
        ('SQLInputFile="one.sql"', 'SQLCommand="select 2"'),
    ],
)
def test_an_override_may_name_a_file_of_sql_instead_of_a_command_and_the_other_way_round(
    job, written: str, given: str
) -> None:
    (task,) = job(
        f'<InvokeSqlCommandTaskOverride Identifier="Q" {given} />',
        definitions=f'<InvokeSqlCommandTask Identifier="Q" DisplayName_L1="Q" OutputPath="out" {written} />',
    )

    found = {
        f'{name}="{task.task.get(name)}"' for name in ("SQLCommand", "SQLInputFile") if task.task.get(name)
    }
    assert found == {given}
    assert task.task.get("OutputPath") == "out"


def test_a_step_run_twice_gets_a_number(job) -> None:
    children = '<Step Identifier="S" DisplayName_L1="S" />' * 2

    assert shape(job(children, definitions=synchronize("S"))) == [("S", (), None), ("S_2", ("S",), None)]


def test_a_number_is_none_that_another_task_has_for_its_name(job) -> None:
    children = '<Step Identifier="S" DisplayName_L1="S" />' * 2 + synchronize("S_2")

    assert [task.task_id for task in job(children, definitions=synchronize("S"))] == ["S", "S_3", "S_2"]


def depends(task: str, element: str, *parents: str) -> str:
    """Give a task element parents."""
    children = "".join(f'<TaskDependsOnTask ParentTask="{parent}" />' for parent in parents)
    return task.replace("/>", f">{children}</{element}>")


def test_a_parent_task_of_another_connector_comes_first_and_decides_whether_the_child_runs(job) -> None:
    child = depends(synchronize("S", level=1), "SynchronizeTask", "A")

    _, task = job(prepare("A", "AD", level=0) + child)

    assert (task.upstream, task.trigger_rule) == (("A",), "all_done")
    assert task.condition == Condition(parents=("A",))


def test_an_override_may_have_parents_of_its_own(job) -> None:
    override = depends(
        '<SynchronizeTaskOverride Identifier="S" Orphans="true" />', "SynchronizeTaskOverride", "P"
    )

    _, task = job(prepare("P") + override, definitions=synchronize("S"))

    assert task.condition == Condition(parents=("P",))


def test_a_task_run_several_times_is_a_parent_each_time(job) -> None:
    step = '<Step Identifier="P" />'
    child = depends(synchronize("S"), "SynchronizeTask", "P")

    *_, task = job(step + child + step, definitions=prepare("P"))
    assert task.condition is None
    tasks = job(step + step + child, definitions=prepare("P"))
    assert tasks[2].condition == Condition(parents=("P", "P_2"))
    assert (tasks[2].upstream, tasks[2].trigger_rule, tasks[2].batch_from) == (("P_2",), "none_failed", "P_2")


def test_what_may_fail_is_only_waited_for(job) -> None:
    may_fail = export("E").replace("/>", 'ContinueOnError="true" />')

    plan = job.whole(may_fail + prepare("P"))

    assert [(t.task_id, t.upstream, t.trigger_rule) for t in plan.tasks] == [
        ("E", (), "none_failed"),
        ("P", ("E",), "all_done"),
    ]
    assert (plan.ended, plan.guarded) == ((), ())


def test_what_may_fail_beside_what_may_not_is_waited_for_through_a_node(job) -> None:
    may_fail = export("E", level=1).replace("/>", 'ContinueOnError="true" />')
    views = '<CreateDatabaseViewsTask Identifier="V" DisplayName_L1="V" Level="0" />'

    plan = job.whole(views + may_fail + prepare("P", level=2))

    task = plan.tasks[2]
    assert (task.upstream, task.after_end, task.trigger_rule) == (("V",), ("E",), "none_failed")
    assert plan.ended == ("E",)


def test_the_flag_is_set_if_one_parent_had_an_effect(job) -> None:
    flag = '<SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" Level="2" />'
    children = synchronize("S", level=1) + synchronize("T", "AD", level=1)

    plan = job.whole(children + depends(flag, "SetRecentlyModifiedFlagTask", "S", "T"))

    task = plan.tasks[2]
    assert (task.upstream, task.trigger_rule) == (("S", "T"), "all_done")
    assert task.condition == Condition(parents=("S", "T"), any_effect=True)
    assert plan.guarded == ("S", "T")


def test_a_task_that_waits_for_other_connectors_is_watched_with_what_may_hold_it_up(job) -> None:
    children = synchronize("A", "AD") + '<FulfillTask Identifier="F" DisplayName_L1="F" />' + prepare("P")

    *_, task = job(children)

    assert (task.upstream, task.condition) == ((), Condition(watched=(Watched("F", ("A",)),)))


@pytest.mark.parametrize(
    ("children", "reason"),
    [
        (
            prepare("P").replace('SynchronizationMode="Complete"', ""),
            "PrepareSynchronizationTask 'P' has no SynchronizationMode, expected Initial, Complete or Incremental",
        ),
        (prepare("P", level=0) + synchronize("S"), "task 'S' of job 'J' has no Level, others have one"),
        ('<Step Identifier="Nowhere" DisplayName_L1="X" />', "there is no task 'Nowhere'"),
        (
            synchronize("S").replace("/>", '><TaskDependsOnTask ParentTask="X" /></SynchronizeTask>'),
            "the parent task 'X' is not in this job",
        ),
        (
            synchronize("S").replace("/>", '><TaskDependsOnTask ParentTask="P" /></SynchronizeTask>')
            + prepare("P"),
            "the parent task 'P' must come before 'S'",
        ),
    ],
)
def test_what_cannot_be_done_is_a_reason_with_its_place(job, children: str, reason: str) -> None:
    with pytest.raises(JobError) as raised:
        job(children)

    assert len(raised.value.reasons) == 1
    assert raised.value.reasons[0].startswith("Jobs.xml:")
    assert reason in raised.value.reasons[0]
