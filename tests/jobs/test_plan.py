"""What a job runs: steps and overrides resolved, in order, each synchronize with its batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.model import Configuration
from airflow_provider_idm.configuration.read import check_configuration
from airflow_provider_idm.jobs.plan import JobError, PlannedTask, plan_job

CONNECTORS = """
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connector Identifier="AD" DisplayName_L1="AD" />
  <Connection Identifier="Persons" Connector="HR" DisplayName_L1="Persons" Package="Usercube.CSV@0000001" />
"""


@pytest.fixture
def job(tmp_path: Path) -> object:
    """Make the configuration of one job named J and plan it."""

    def plan(children: str, definitions: str = "", attributes: str = "") -> list[PlannedTask]:
        configuration = read(tmp_path, children, definitions, attributes)
        return plan_job(configuration, configuration.jobs["J"])

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
        (prepare("P", mode="Incremental"), "", True),
        (prepare("P", mode="Complete"), 'IsIncremental="true"', False),
        (prepare("P", mode="Incremental") + prepare("P2", mode="Complete"), "", False),
        ("", 'IsIncremental="true"', True),
        ("", "", False),
    ],
)
def test_an_export_may_leave_out_what_did_not_change_only_for_incremental_prepares(
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


def test_a_step_run_twice_gets_a_number(job) -> None:
    children = '<Step Identifier="S" DisplayName_L1="S" />' * 2

    assert shape(job(children, definitions=synchronize("S"))) == [("S", (), None), ("S_2", ("S",), None)]


def test_a_parent_task_of_another_connector_comes_first(job) -> None:
    child = synchronize("S", level=1).replace("/>", '><TaskDependsOnTask ParentTask="A" /></SynchronizeTask>')

    assert shape(job(prepare("A", "AD", level=0) + child)) == [("A", (), None), ("S", ("A",), None)]


@pytest.mark.parametrize(
    ("children", "reason"),
    [
        ('<FulfillTask Identifier="F" DisplayName_L1="F" />', "FulfillTask 'F' cannot be run"),
        (synchronize("S", more='ContinueOnError="true"'), "ContinueOnError of SynchronizeTask 'S'"),
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
