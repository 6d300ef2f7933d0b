"""Jobs, tasks and scaffoldings: how they are read, and every rule about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.cron import crontab
from airflow_provider_idm.configuration.model import Step, TaskElement, TaskOverride
from tests.configuration.texts import RIGHT, check, problems

JOB = '<Job Identifier="J" DisplayName_L1="J"{attributes}>\n{children}\n</Job>\n'


def job(*children: str, attributes: str = "") -> str:
    """Return a job whose children stand from line 3 on, one a line."""
    return JOB.format(attributes=attributes, children="\n".join(children))


def synchronize(identifier: str, *parents: str, attributes: str = "") -> str:
    """Return a task on one line."""
    depends = "".join(f'<TaskDependsOnTask ParentTask="{parent}"/>' for parent in parents)
    start = f'<SynchronizeTask Identifier="{identifier}" DisplayName_L1="S" Connector="HR" {attributes}>'
    return f"{start}{depends}</SynchronizeTask>"


def test_a_job_is_read_with_its_children_in_reading_order(tmp_path: Path) -> None:
    text = """\
<Job Identifier="Daily" DisplayName_L1="Daily" DisplayName_L2="Quotidien" Agent="Local"
     CronTabExpression="0 30 3 * * 1-5" CronTimeZone="ServerTime" IsIncremental="1" LogLevel="Debug"
     UserStartDenied="TRUE">
  <ExportTask Identifier="Export" Connection="HR" Connector="HR" Level="0" ContinueOnError="true"/>
  <PrepareSynchronizationTask Connector="HR" SynchronizationMode="2" Type="Changes" Level="1">
    <TaskDependsOnTask ParentTask="export"/>
  </PrepareSynchronizationTask>
  <SynchronizeTaskOverride Identifier="Sync" Level="2" ForceSynchronization="true"/>
  <Step Identifier="Roles" Level="3"/>
</Job>
<SynchronizeTask Identifier="Sync" DisplayName_L1="Sync" Connector="HR" Orphans="1"/>
<ComputeRoleModelTask Identifier="Roles" Anything="kept"/>
"""

    configuration = check(tmp_path, a=RIGHT, j=text)

    assert configuration.problems == ()
    daily = configuration.jobs["daily"]
    assert daily.display_names == {1: "Daily", 2: "Quotidien"}
    assert (daily.agent, daily.cron, daily.server_time, daily.log_level) == ("Local", "30 3 * * 1-5", True, 1)
    assert (daily.is_incremental, daily.is_initialization_job, daily.user_start_denied) == (True, False, True)
    export, prepare, override, step = daily.children
    assert isinstance(export, TaskElement)
    assert (export.element, export.identifier, export.level) == ("ExportTask", "Export", 0)
    assert export.continue_on_error
    assert isinstance(prepare, TaskElement)
    assert (prepare.identifier, prepare.depends_on) == ("PrepareSynchronizationTask_HR", ("export",))
    assert (prepare.get("synchronizationmode"), prepare.get("Type")) == ("2", "Changes")
    assert isinstance(override, TaskOverride)
    assert (override.element, override.attributes["ForceSynchronization"]) == ("SynchronizeTask", "true")
    assert step == Step("Roles", step.location, 3)
    assert list(configuration.tasks) == ["Sync", "Roles"]
    assert configuration.find_task("EXPORT") is export
    assert configuration.tasks["Roles"].attributes["Anything"] == "kept"
    assert 'ParentTask="export"' in daily.xml


def test_tasks_without_an_identifier_get_one_of_their_own(tmp_path: Path) -> None:
    task = '<SynchronizeTask DisplayName_L1="S" Connector="HR"/>'
    text = job(task, task, "<CreateDatabaseViewsTask/>", '<ExportTask Connection="HR"/>')

    configuration = check(tmp_path, a=RIGHT, j=text)

    assert configuration.problems == ()
    assert [child.identifier for child in configuration.jobs["J"].children] == [
        "SynchronizeTask_HR",
        "SynchronizeTask_HR_2",
        "CreateDatabaseViewsTask",
        "ExportTask_HR",
    ]


def test_a_scaffolding_is_kept_with_its_arguments(tmp_path: Path) -> None:
    text = """\
<CreateAgentSynchroComplete Agent="Local" JobIdentifier="All" DisplayName_L1="All">
  <CronTabExpression CronTab="0 3 * * *" CronTimeZone="1"/>
  <OpenIdIdentifier Identifier="Job"/>
  <NoProvisioning/>
  <DoNotCreateJob/>
</CreateAgentSynchroComplete>
"""

    configuration = check(tmp_path, a=RIGHT, j=text)

    assert configuration.problems == ()
    (scaffolding,) = configuration.scaffoldings
    assert scaffolding.element == "CreateAgentSynchroComplete"
    assert scaffolding.attributes == {"Agent": "Local", "JobIdentifier": "All", "DisplayName_L1": "All"}
    assert [argument.element for argument in scaffolding.arguments] == [
        "CronTabExpression",
        "OpenIdIdentifier",
        "NoProvisioning",
        "DoNotCreateJob",
    ]


RULES = {
    "levels and no levels": (
        job(synchronize("A", attributes='Level="0"'), synchronize("B")),
        [
            "j.xml:2: Job J mixes tasks with a Level (A, j.xml:3) and without (B, j.xml:4): give one to all or to none"
        ],
    ),
    "parent in the same level": (
        job(synchronize("A", attributes='Level="1"'), synchronize("B", "A", attributes='Level="1"')),
        ["j.xml:4: Job J: the task B depends on A, which runs at the level 1: expected one lower than 1"],
    ),
    "parent in a higher level": (
        job(synchronize("A", "B", attributes='Level="0"'), synchronize("B", attributes='Level="1"')),
        ["j.xml:3: Job J: the task A depends on B, which runs at the level 1: expected one lower than 0"],
    ),
    "parent that comes later": (
        job(synchronize("A", "B"), synchronize("B")),
        ["j.xml:3: Job J: the task A depends on B, which comes later: put it first"],
    ),
    "unknown parent": (
        job(synchronize("First"), synchronize("Second", "Firts")),
        ["j.xml:4: the task Second depends on Firts, which does not exist; did you mean First?"],
    ),
    "parent of another job": (
        job(synchronize("A", "B")) + '<Job Identifier="K" DisplayName_L1="K">' + synchronize("B") + "</Job>",
        ["j.xml:3: the task A depends on B, which is not run by this job"],
    ),
    "unknown parent of a definition": (
        synchronize("Alpha", "Alfa"),
        ["j.xml:2: SynchronizeTask Alpha: there is no task Alfa; did you mean Alpha?"],
    ),
    "task that depends on itself": (
        job(synchronize("A", "a")),
        ["j.xml:3: tasks depend on one another: A → A"],
    ),
    "cycle": (
        "\n".join([synchronize("A", "C"), synchronize("B", "A"), synchronize("C", "B")]),
        ["j.xml:2: tasks depend on one another: A → C → B → A"],
    ),
    "agent other than the job's": (
        job(synchronize("A", attributes='Agent="Remote"'), attributes=' Agent="Local"')
        + '<Agent Identifier="Remote"/>',
        ["j.xml:3: Job J: the task A is on the agent Remote, but its job on Local"],
    ),
    "agents that disagree": (
        job(synchronize("A", attributes='Agent="Local"'), synchronize("B", attributes='Agent="Remote"'))
        + '<Agent Identifier="Remote"/>',
        ["j.xml:4: Job J: the task B is on the agent Remote, but the task A on Local"],
    ),
    "unknown agent": (
        job(synchronize("A"), attributes=' Agent="Lokal"'),
        ["j.xml:2: Job J: there is no Agent Lokal; did you mean Local?"],
    ),
    "unknown connector of any task": (
        job('<FulfillTask Connector="HRR"/>'),
        ["j.xml:3: FulfillTask FulfillTask_HRR: there is no Connector HRR; did you mean HR?"],
    ),
    "unknown connection": (
        job('<ExportTask Identifier="E" Connection="HRR"/>'),
        ["j.xml:3: ExportTask E: there is no Connection HRR; did you mean HR?"],
    ),
    "connection of another connector": (
        job('<ExportTask Identifier="E" Connection="HR" Connector="AD"/>') + '<Connector Identifier="AD"/>',
        ["j.xml:3: ExportTask E: the Connection HR is of the connector HR, not of AD"],
    ),
    "unknown step": (
        job('<Step Identifier="Synk"/>') + synchronize("Sync"),
        ["j.xml:3: Job J: Step Synk: there is no task Synk; did you mean Sync?"],
    ),
    "override of another element": (
        job('<ExportTaskOverride Identifier="A"/>') + synchronize("A"),
        [
            (
                "j.xml:3: Job J: ExportTaskOverride A: the task at j.xml:5 is a SynchronizeTask: expected "
                "SynchronizeTaskOverride"
            )
        ],
    ),
    "override with a bad value": (
        job('<SynchronizeTaskOverride Identifier="A" Orphans="2" Orphan="1"/>') + synchronize("A"),
        [
            'j.xml:3: SynchronizeTaskOverride A: Orphans="2": expected true, false, 1 or 0',
            (
                "j.xml:3: warning: SynchronizeTaskOverride A: the unknown attribute Orphan is ignored; did you mean "
                "Orphans?"
            ),
        ],
    ),
    "second run of a task before its parent": (
        job(
            '<Step Identifier="A" Level="1"/>',
            '<Step Identifier="B" Level="0"/>',
            '<Step Identifier="B" Level="2"/>',
        )
        + "\n".join([synchronize("A"), synchronize("B", "A")]),
        ["j.xml:4: Job J: the task B depends on A, which runs at the level 1: expected one lower than 0"],
    ),
    "task defined twice": (
        job(synchronize("A"), synchronize("A")) + synchronize("a"),
        [
            "j.xml:4: SynchronizeTask A was already defined at j.xml:3",
            "j.xml:6: SynchronizeTask a was already defined at j.xml:3",
        ],
    ),
    "definition without an identifier": (
        '<SynchronizeTask DisplayName_L1="S" Connector="HR"/>',
        [
            (
                "j.xml:2: SynchronizeTask: the required attribute Identifier is missing (a task outside any job is run "
                "by a Step)"
            )
        ],
    ),
    "missing display names": (
        '<Job Identifier="J"><SynchronizeTask Connector="HR"/></Job>',
        [
            "j.xml:2: Job J: the required attribute DisplayName_L1 is missing",
            "j.xml:2: SynchronizeTask: the required attribute DisplayName_L1 is missing",
        ],
    ),
    "level below -1": (
        job(synchronize("A", attributes='Level="-2"')),
        ['j.xml:3: SynchronizeTask A: Level="-2": expected a whole number, -1 or more'],
    ),
    "type of a synchronize": (
        job(synchronize("A", attributes='Type="LDAP"')),
        [
            'j.xml:3: SynchronizeTask A: Type="LDAP": expected one of None (0), ActiveDirectory (1), Changes (2)'
        ],
    ),
    "seconds": (
        job(attributes=' CronTabExpression="5 0 3 * * *"'),
        [
            'j.xml:2: Job J: CronTabExpression="5 0 3 * * *": expected 0 seconds (the first of six fields), not 5'
        ],
    ),
    "no mode": (
        job('<PrepareSynchronizationTask Identifier="P" Connector="HR"/>'),
        ["j.xml:3: Job J: the task P has no SynchronizationMode, expected Initial, Complete or Incremental"],
    ),
    "parents of an override": (
        job(
            '<SynchronizeTaskOverride Identifier="A"><TaskDependsOnTask ParentTask="B"/></SynchronizeTaskOverride>',
            '<SynchronizeTaskOverride Identifier="B" Orphans="1"/>',
        )
        + synchronize("A")
        + synchronize("B"),
        ["j.xml:3: Job J: the task A depends on B, which comes later: put it first"],
    ),
    "two jobs of one DAG id": (
        '<Job Identifier="A B" DisplayName_L1="J"/>\n<Job Identifier="A/B" DisplayName_L1="J"/>',
        ["j.xml:3: Job A/B: its DAG id A_B is that of Job A B (j.xml:2) too"],
    ),
    "scaffolding of an unknown connector": (
        (
            '<CreateConnectorSynchroComplete Connector="HRR"><NotUsed ConnectorIdentifier="X"/>'
            "</CreateConnectorSynchroComplete>"
        ),
        [
            "j.xml:2: CreateConnectorSynchroComplete: there is no Connector HRR; did you mean HR?",
            "j.xml:2: NotUsed: there is no Connector X",
        ],
    ),
    "scaffolding without its agent": (
        "<CreateInitializationJob/>",
        ["j.xml:2: CreateInitializationJob: the required attribute Agent is missing"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), RULES.values(), ids=RULES.keys())
def test_what_is_wrong_with_a_job_is_named_with_its_place(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert problems(tmp_path, a=RIGHT, j=text) == expected


def test_a_job_may_run_a_task_twice(tmp_path: Path) -> None:
    text = job(
        '<Step Identifier="A" Level="0"/>',
        '<Step Identifier="B" Level="1"/>',
        '<Step Identifier="a" Level="2"/>',
        '<SynchronizeTaskOverride Identifier="B" Level="3" Orphans="1"/>',
        synchronize("C", "A", "B", attributes='Level="4"'),
        '<Step Identifier="C" Level="5"/>',
    ) + "\n".join([synchronize("A"), synchronize("B", "A")])

    configuration = check(tmp_path, a=RIGHT, j=text)

    assert configuration.problems == ()
    assert [child.identifier for child in configuration.jobs["J"].children] == ["A", "B", "a", "B", "C", "C"]


def test_a_step_may_run_what_a_scaffolding_makes(tmp_path: Path) -> None:
    text = job('<Step Identifier="all_export_HR_Incremental_HR"/>') + (
        '<CreateAgentSynchroIncremental Agent="Local" JobIdentifier="All"><DoNotCreateJob/>'
        "</CreateAgentSynchroIncremental>"
    )

    assert problems(tmp_path, a=RIGHT, j=text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", "0 3 * * *"),
        (" 0  */15 3-5,7 1 jan-mar Mon-Sun ", "*/15 3-5,7 1 jan-mar Mon-Sun"),
        ("* * * * *", "* * * * *"),
        ("0 3 29 2 *", "0 3 29 2 *"),
        ("0 3 31 4-5 *", "0 3 31 4-5 *"),
        ("0 3 */31 2 *", "0 3 */31 2 *"),
        ("0 3 31 2 mon", "0 3 31 2 mon"),
        ("", None),
    ],
)
def test_a_cron_expression_has_five_fields_or_six_with_seconds_first(text: str, expected: str | None) -> None:
    assert crontab(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * *", "expected 5 fields, or 6 with seconds first, not 4"),
        ("60 3 * * *", "expected a minute from 0 to 59, not 60"),
        ("0 3 0 * *", "expected a day of the month from 1 to 31, not 0"),
        ("0 3 * foo *", "expected a month from 1 to 12, not foo"),
        ("0 5-3 * * *", "expected a hour from 0 to 23, not 5-3"),
        ("*/0 * * * *", "expected a minute from 0 to 59, not */0"),
        ("0 3 31 4,6 *", "expected a day that month 4,6 has, not 31: it would never run"),
        ("0 3 30 feb *", "expected a day that month feb has, not 30: it would never run"),
        ("@daily", "expected 5 fields, or 6 with seconds first, not 1"),
    ],
)
def test_another_cron_expression_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        crontab(text)

    assert str(caught.value) == message
