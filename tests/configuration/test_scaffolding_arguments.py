"""The arguments of scaffoldings: what each does to the job, and what is said where one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.concerns import Concerns
from airflow_provider_idm.configuration.model import Step, TaskElement
from tests.configuration.scaffolds import expanded, lines, read

ROLES = '<ComputeRoleModelTask Identifier="Roles"/>'
PLAIN = [
    "0 Export Export_Plant_Complete_Plant",
    "1 PrepareSynchronization PrepareSynchronization_Plant_Complete < Export_Plant_Complete_Plant",
    "2 Synchronize Synchronize_Plant < PrepareSynchronization_Plant_Complete",
]


def plant(*arguments: str) -> str:
    """Return a scaffolding on line 2 with arguments from line 3 on, one a line, and the task Roles after it."""
    inside = "\n".join(arguments)
    start = '<CreateConnectorSynchroComplete Connector="Plant" JobIdentifier="P">'
    return f"{start}\n{inside}\n</CreateConnectorSynchroComplete>\n{ROLES}\n"


def two_connectors(*arguments: str) -> str:
    """Return a scaffolding of the connectors AD and Cloud, and the task Roles."""
    inside = "\n".join(arguments)
    return (
        f'<CreateAgentSynchroComplete Agent="Local" JobIdentifier="L">\n<NotUsed ConnectorIdentifier="HR"/>\n{inside}\n'
        f"</CreateAgentSynchroComplete>\n{ROLES}\n"
    )


ARGUMENTS = {
    "nothing to do": (["<NoProvisioning/>"], PLAIN),
    "nothing to synchronize": (["<NoSynchronization/>"], []),
    "a task before one": (
        ['<AddTask Task="Roles" TaskToCompareWith="P_Synchronize_Plant" Before="true"/>'],
        [
            *PLAIN[:2],
            "2 Step Roles",
            "3 Synchronize Synchronize_Plant < PrepareSynchronization_Plant_Complete",
        ],
    ),
    "a task after one": (
        ['<AddTask Task="roles" TaskToCompareWith="p_synchronize_PLANT" After="1"/>'],
        [*PLAIN, "3 Step Roles"],
    ),
    "a task before the first": (
        ['<AddTask Task="Roles" TaskToCompareWith="Export_Plant_Complete_Plant" Before="1"/>'],
        ["0 Step Roles", *(f"{int(line[0]) + 1}{line[1:]}" for line in PLAIN)],
    ),
    "a task before what is named by its element": (
        ['<AddTask Task="Roles" TaskToCompareWith="Export" Before="1"/>'],
        ["0 Step Roles", *(f"{int(line[0]) + 1}{line[1:]}" for line in PLAIN)],
    ),
    "a task after what is named by its ending": (
        ['<AddTask Task="Roles" TaskToCompareWith="Plant_Complete_Plant" After="1"/>'],
        [
            PLAIN[0],
            "1 Step Roles",
            *(f"{int(line[0]) + 1}{line[1:]}" for line in PLAIN[1:]),
        ],
    ),
    "a task at the end": (['<AddTask Task="Roles"/>'], [*PLAIN, "3 Step Roles"]),
    "a task without any other": (["<NoSynchronization/>", '<AddTask Task="Roles"/>'], ["0 Step Roles"]),
    "a task twice, in file order": (
        [
            '<AddTask Task="Roles" TaskToCompareWith="SynchronizeTask" After="1"/>',
            '<AddTask Task="Roles" TaskToCompareWith="Roles" Before="1" CopyOccurence="1"/>',
        ],
        [*PLAIN, "3 Step Roles", "4 Step Roles"],
    ),
    "a task again, after its second occurrence": (
        [
            '<AddTask Task="Roles" TaskToCompareWith="Export" Before="1"/>',
            '<AddTask Task="Roles"/>',
            '<AddTask Task="P_Export_Plant_Complete_Plant" TaskToCompareWith="Roles" Occurence="2" Before="1"/>',
        ],
        [
            "0 Step Roles",
            *(f"{int(line[0]) + 1}{line[1:]}" for line in PLAIN),
            "4 Step Export_Plant_Complete_Plant",
            "5 Step Roles",
        ],
    ),
    "a dependency": (
        [
            '<AddTask Task="Roles" TaskToCompareWith="PrepareSynchronization" Before="1"/>',
            '<LinkDependTask Task="Roles" DependOn="Export_Plant_Complete_Plant"/>',
            '<LinkDependTask Task="P_Synchronize_Plant" DependOn="roles"/>',
        ],
        [
            PLAIN[0],
            "1 Step Roles < Export_Plant_Complete_Plant",
            "2 PrepareSynchronization PrepareSynchronization_Plant_Complete < Export_Plant_Complete_Plant",
            "3 Synchronize Synchronize_Plant < PrepareSynchronization_Plant_Complete Roles",
        ],
    ),
    "a dependency of the second occurrence": (
        [
            '<AddTask Task="Roles" TaskToCompareWith="Export" Before="1"/>',
            '<AddTask Task="Roles"/>',
            '<LinkDependTask Task="Roles" ChildOccurence="2" DependOn="Roles" ParentOccurence="1"/>',
        ],
        [
            "0 Step Roles",
            *(f"{int(line[0]) + 1}{line[1:]}" for line in PLAIN),
            "4 Step Roles < Roles",
        ],
    ),
    "a dependency that is there already": (
        ['<LinkDependTask Task="Synchronize" DependOn="PrepareSynchronization"/>'],
        PLAIN,
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_change_the_tasks(tmp_path: Path, arguments: list[str], expected: list[str]) -> None:
    assert lines(expanded(tmp_path, plant(*arguments))) == expected


def test_the_second_task_of_an_element_is_another_one(tmp_path: Path) -> None:
    text = two_connectors(
        '<AddTask Task="Roles" TaskToCompareWith="Synchronize" Occurence="2" After="1"/>',
        '<LinkDependTask Task="Synchronize" ChildOccurence="2" DependOn="Export" ParentOccurence="1"/>',
    )

    assert lines(expanded(tmp_path, text))[-3:] == [
        "2 Synchronize SynchronizeActiveDirectory_AD < PrepareSynchronizationActiveDirectory_AD_Complete",
        "2 Synchronize Synchronize_Cloud < PrepareSynchronization_Cloud_Complete Export_AD_Complete_AD",
        "3 Step Roles",
    ]


def test_an_added_task_may_be_one_that_another_scaffolding_makes(tmp_path: Path) -> None:
    text = """\
<CreateConnectorSynchroComplete Connector="Plant" JobIdentifier="P">
  <NoSynchronization/>
  <AddTask Task="Q_Synchronize_Plant"/>
  <AddTask Task="Q_PrepareSynchronization_Plant_Complete" TaskToCompareWith="Q_Synchronize_Plant" Before="1"/>
  <AddTask Task="Q_Export_Plant_Complete_Plant" TaskToCompareWith="Q_PrepareSynchronization_Plant_Complete" Before="1"/>
</CreateConnectorSynchroComplete>
<CreateConnectorSynchroComplete Connector="Plant" JobIdentifier="Q"><DoNotCreateJob/></CreateConnectorSynchroComplete>
"""

    job = expanded(tmp_path, text)

    assert lines(job) == [
        "0 Step Q_Export_Plant_Complete_Plant",
        "1 Step Q_PrepareSynchronization_Plant_Complete",
        "2 Step Q_Synchronize_Plant",
    ]


def test_a_moved_task_has_its_new_level_as_attribute_too(tmp_path: Path) -> None:
    job = expanded(tmp_path, plant('<AddTask Task="Roles" TaskToCompareWith="Export" Before="1"/>'))

    levels = [
        (child.level, child.attributes["Level"]) for child in job.children if isinstance(child, TaskElement)
    ]
    assert levels == [(1, "1"), (2, "2"), (3, "3")]


def test_a_job_gets_its_schedule_and_its_tasks_their_client(tmp_path: Path) -> None:
    text = plant(
        '<CronTabExpression CronTab="0 0 3 * * *"/>',
        '<CronTabExpression CronTab="0 30 4 * * 1-5" CronTimeZone="ServerTime"/>',
        '<OpenIdIdentifier Identifier="First"/>',
        '<OpenIdIdentifier Identifier=" Job "/>',
    )

    job = expanded(tmp_path, text)

    assert (job.cron, job.server_time) == ("30 4 * * 1-5", True)
    clients = [child.attributes["OpenIdClient"] for child in job.children if isinstance(child, TaskElement)]
    assert clients == ["Job", "Job", "Job"]


def test_without_a_job_the_tasks_are_definitions(tmp_path: Path) -> None:
    text = plant("<DoNotCreateJob/>", '<AddTask Task="Roles"/>') + (
        '<Job Identifier="J" DisplayName_L1="J">\n'
        '<Step Identifier="P_Export_Plant_Complete_Plant"/>\n'
        '<Step Identifier="p_preparesynchronization_plant_complete"/>\n'
        '<SynchronizeTaskOverride Identifier="P_Synchronize_Plant" Level="-1" Orphans="1"/>\n'
        "</Job>\n"
    )

    configuration = read(tmp_path, text)

    assert configuration.problems == ()
    assert list(configuration.jobs) == ["J"]
    assert list(configuration.tasks) == [
        "Roles",
        "P_Export_Plant_Complete_Plant",
        "P_PrepareSynchronization_Plant_Complete",
        "P_Synchronize_Plant",
    ]


def test_steps_of_a_job_may_depend_on_its_tasks(tmp_path: Path) -> None:
    text = f"""\
<Job Identifier="J" DisplayName_L1="J">
  <CreateDatabaseViewsTask Identifier="Views"/>
  <Step Identifier="Roles">
    <TaskDependsOnTask ParentTask="views"/>
  </Step>
  <Step Identifier="Roles"><TaskDependsOnTask ParentTask="Viws"/></Step>
</Job>
{ROLES}
"""

    configuration = read(tmp_path, text)

    assert [str(problem) for problem in configuration.problems] == [
        "j.xml:7: the task Roles depends on Viws, which does not exist; did you mean Views?"
    ]
    step = configuration.jobs["J"].children[1]
    assert isinstance(step, Step)
    assert step.depends_on == ("views",)


WRONG = {
    "unknown connectors": (
        ['<NoConnectorSynchronization ConnectorIdentifier="Plnt"/>', '<NotUsed ConnectorIdentifier="Plan"/>'],
        [
            "j.xml:3: NoConnectorSynchronization: there is no Connector Plnt; did you mean Plant?",
            "j.xml:4: NotUsed: there is no Connector Plan; did you mean Plant?",
        ],
    ),
    "a bad schedule": (
        ["<NoProvisioning/>", '<CronTabExpression CronTab="every day"/>'],
        [
            'j.xml:4: CronTabExpression: CronTab="every day": expected 5 fields, or 6 with seconds first, not 2'
        ],
    ),
    "an unknown task": (
        ['<AddTask Task="Rolls" TaskToCompareWith="Export" After="1"/>'],
        ["j.xml:3: AddTask: there is no task Rolls; did you mean Roles?"],
    ),
    "no task": (
        ['<AddTask TaskToCompareWith="Export" After="1"/>'],
        ["j.xml:3: AddTask: the required attribute Task is missing"],
    ),
    "a place that is not there": (
        ['<AddTask Task="Roles" TaskToCompareWith="P_Export_Plant_Complete_Plan" After="1"/>'],
        [
            (
                "j.xml:3: AddTask: the job P has no task P_Export_Plant_Complete_Plan; did you mean "
                "P_Export_Plant_Complete_Plant?"
            )
        ],
    ),
    "a place in another job": (
        ['<AddTask Task="Roles" TaskToCompareWith="Roles" After="1"/>'],
        ["j.xml:3: AddTask: the job P has no task Roles"],
    ),
    "before and after": (
        ['<AddTask Task="Roles" TaskToCompareWith="Export" After="1" Before="1"/>'],
        ["j.xml:3: AddTask: Before and After are both set: expected one of them"],
    ),
    "neither before nor after": (
        ['<AddTask Task="Roles" TaskToCompareWith="Export"/>'],
        [
            'j.xml:3: AddTask: neither Before nor After is set: expected Before="true" or After="true" of Export'
        ],
    ),
    "an occurrence too many": (
        ['<AddTask Task="Roles" TaskToCompareWith="Export" Occurence="2" After="1"/>'],
        ['j.xml:3: AddTask: Occurence="2": the job has the task Export only once'],
    ),
    "a copy of what is not there": (
        [
            '<AddTask Task="Roles"/>',
            '<AddTask Task="Roles"/>',
            '<AddTask Task="Roles" CopyOccurence="3"/>',
        ],
        ['j.xml:5: AddTask: CopyOccurence="3": the job has the task Roles only 2 times'],
    ),
    "a child that is not there": (
        ['<LinkDependTask Task="Roles" DependOn="Export"/>'],
        ["j.xml:3: LinkDependTask: the job P has no task Roles"],
    ),
    "a parent that is not there": (
        ['<LinkDependTask Task="Synchronize" DependOn="Exports"/>'],
        ["j.xml:3: LinkDependTask: the job P has no task Exports; did you mean ExportTask?"],
    ),
    "occurrences too many": (
        [
            '<LinkDependTask Task="Synchronize" DependOn="Export" ChildOccurence="2"/>',
            '<LinkDependTask Task="Synchronize" DependOn="Export" ParentOccurence="3"/>',
        ],
        [
            'j.xml:3: LinkDependTask: ChildOccurence="2": the job has the task Synchronize only once',
            'j.xml:4: LinkDependTask: ParentOccurence="3": the job has the task Export only once',
        ],
    ),
    "a parent on a later level": (
        ['<LinkDependTask Task="Export" DependOn="Synchronize"/>'],
        [
            (
                "j.xml:3: LinkDependTask: the task P_Export_Plant_Complete_Plant (level 0) cannot depend on "
                "P_Synchronize_Plant (level 2): expected one of a lower level"
            )
        ],
    ),
    "itself": (
        ['<LinkDependTask Task="Export" DependOn="ExportTask"/>'],
        [
            (
                "j.xml:3: LinkDependTask: the task P_Export_Plant_Complete_Plant (level 0) cannot depend on "
                "P_Export_Plant_Complete_Plant (level 0): expected one of a lower level"
            )
        ],
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_an_argument_is_named_with_its_place_and_concerns_its_job(
    tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    configuration = read(tmp_path, '<Job Identifier="Q" DisplayName_L1="Q"/>' + plant(*arguments))

    assert [str(problem) for problem in configuration.problems] == expected
    concerns = Concerns(configuration)
    assert [str(e) for e in concerns.of_element(configuration.jobs["P"], ["Plant"])] == expected
    assert concerns.of_element(configuration.jobs["Q"], ["Plant"]) == ()
    assert concerns.of_connector("Plant") == ()


def test_an_argument_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    for number, (arguments, _) in enumerate(WRONG.values()):
        configuration = read(tmp_path / str(number), plant(*arguments))
        assert [line for line in lines(configuration.jobs["P"]) if "Step" not in line] == PLAIN


def test_an_added_task_whose_parents_do_not_run_is_an_error_at_the_argument(tmp_path: Path) -> None:
    text = plant('<AddTask Task="After"/>') + (
        '<FulfillTask Identifier="After"><TaskDependsOnTask ParentTask="Roles"/></FulfillTask>'
    )

    configuration = read(tmp_path, text)

    assert [str(problem) for problem in configuration.problems] == [
        "j.xml:3: the task After depends on Roles, which is not run by this job"
    ]


def test_an_added_task_of_another_agent_is_an_error_at_the_argument(tmp_path: Path) -> None:
    text = plant('<AddTask Task="Far"/>') + '<FulfillTask Identifier="Far" Agent="Local"/>'

    assert [str(problem) for problem in read(tmp_path, text).problems] == [
        "j.xml:3: Job P: the task Far is on the agent Local, but its job on Remote"
    ]


CLASHES = {
    "a job that is written out": (
        '<Job Identifier="p" DisplayName_L1="P"/>\n<CreateConnectorSynchroComplete Connector="HR" JobIdentifier="P"/>',
        (
            "j.xml:3: CreateConnectorSynchroComplete: its job P is already that of Job p (j.xml:2): give it another "
            "JobIdentifier"
        ),
    ),
    "a job of another scaffolding": (
        '<CreateInitializationJob Agent="Local"/>\n<CreateInitializationJob Agent="Remote"/>',
        (
            "j.xml:3: CreateInitializationJob: its job InitializationJob is already that of CreateInitializationJob at "
            "j.xml:2: give it another JobIdentifier"
        ),
    ),
    "a task that is written out": (
        (
            '<FulfillTask Identifier="P_Synchronize_Plant"/>\n'
            '<CreateConnectorSynchroComplete Connector="Plant" JobIdentifier="P"/>'
        ),
        (
            "j.xml:3: CreateConnectorSynchroComplete: its task P_Synchronize_Plant is already that of FulfillTask "
            "P_Synchronize_Plant (j.xml:2): give it another JobIdentifier"
        ),
    ),
    "tasks of another scaffolding": (
        (
            '<CreateConnectorSynchroComplete Connector="Plant"><DoNotCreateJob/></CreateConnectorSynchroComplete>\n'
            '<CreateConnectorSynchroComplete Connector="Plant"/>'
        ),
        (
            "j.xml:3: CreateConnectorSynchroComplete: its task Plant_Synchronize_Complete_Export_Plant_Complete_Plant "
            "is already that of CreateConnectorSynchroComplete at j.xml:2: give it another JobIdentifier"
        ),
    ),
    "a DAG id": (
        (
            '<Job Identifier="P_1" DisplayName_L1="P"/>\n'
            '<CreateConnectorSynchroComplete Connector="HR" JobIdentifier="P 1"/>'
        ),
        "j.xml:3: Job P 1: its DAG id P_1 is that of Job P_1 (j.xml:2) too",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CLASHES.values(), ids=CLASHES)
def test_no_identifier_is_there_twice(tmp_path: Path, text: str, expected: str) -> None:
    assert [str(problem) for problem in read(tmp_path, text).problems] == [expected]
