"""Scaffoldings: the job of each of the five, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.model import Location, TaskElement
from airflow_provider_idm.configuration.scaffolding import scaffolding_job_identifier, unread_job_identifiers
from tests.configuration.scaffolds import COMPANY, expanded, lines, read
from tests.configuration.texts import check

EXPANSIONS = {
    '<CreateConnectorSynchroComplete Connector="HR"/>': (
        "HR_Synchronize_Complete",
        [
            "0 Export Export_HR_Complete_HR-Persons",
            "0 Export Export_HR_Complete_HR-Sites",
            "0 Export Export_HR_Complete_HR-Written",
            (
                "1 PrepareSynchronization PrepareSynchronization_HR_Complete < Export_HR_Complete_HR-Persons "
                "Export_HR_Complete_HR-Sites Export_HR_Complete_HR-Written"
            ),
            "2 Synchronize Synchronize_HR < PrepareSynchronization_HR_Complete",
        ],
    ),
    '<CreateConnectorSynchroIncremental Connector="hr" JobIdentifier=" Fast "/>': (
        "Fast",
        [
            "0 Export Export_HR_Incremental_HR-Persons",
            "0 Export Export_HR_Incremental_HR-Sites",
            "0 Export Export_HR_Incremental_HR-Written",
            (
                "1 PrepareSynchronization PrepareSynchronization_HR_Incremental < Export_HR_Incremental_HR-Persons "
                "Export_HR_Incremental_HR-Sites Export_HR_Incremental_HR-Written"
            ),
            "2 Synchronize Synchronize_HR_DoNotDeleteChanges < PrepareSynchronization_HR_Incremental",
            "3 SetRecentlyModifiedFlag SetRecentlyModifiedFlag < Synchronize_HR_DoNotDeleteChanges",
        ],
    ),
    '<CreateAgentSynchroComplete Agent="Local"><NotUsed ConnectorIdentifier="hr"/></CreateAgentSynchroComplete>': (
        "Local_Synchronize_Complete",
        [
            "0 Export Export_AD_Complete_AD",
            "0 Export Export_Cloud_Complete_Entra",
            "1 PrepareSynchronization PrepareSynchronizationActiveDirectory_AD_Complete < Export_AD_Complete_AD",
            "1 PrepareSynchronization PrepareSynchronization_Cloud_Complete < Export_Cloud_Complete_Entra",
            "2 Synchronize SynchronizeActiveDirectory_AD < PrepareSynchronizationActiveDirectory_AD_Complete",
            "2 Synchronize Synchronize_Cloud < PrepareSynchronization_Cloud_Complete",
        ],
    ),
    (
        '<CreateAgentSynchroIncremental Agent="Local"><NoConnectorSynchronization ConnectorIdentifier="HR"/>'
        "</CreateAgentSynchroIncremental>"
    ): (
        "Local_Synchronize_Incremental",
        [
            "0 Export Export_AD_Incremental_AD",
            "0 Export Export_Cloud_Incremental_Entra",
            "1 PrepareSynchronization PrepareSynchronizationActiveDirectory_AD_Incremental < Export_AD_Incremental_AD",
            "1 PrepareSynchronization PrepareSynchronizationChanges_Cloud_Incremental < Export_Cloud_Incremental_Entra",
            (
                "2 Synchronize SynchronizeActiveDirectory_AD_DoNotDeleteChanges < "
                "PrepareSynchronizationActiveDirectory_AD_Incremental"
            ),
            (
                "2 Synchronize SynchronizeChanges_Cloud_DoNotDeleteChanges < "
                "PrepareSynchronizationChanges_Cloud_Incremental"
            ),
            (
                "3 SetRecentlyModifiedFlag SetRecentlyModifiedFlag < SynchronizeActiveDirectory_AD_DoNotDeleteChanges "
                "SynchronizeChanges_Cloud_DoNotDeleteChanges"
            ),
        ],
    ),
    '<CreateInitializationJob Agent="Remote"/>': (
        "InitializationJob",
        [
            "0 CreateDatabaseViews CreateDatabaseViews",
            "1 Export Export_Plant_Initial_Plant",
            "2 PrepareSynchronization PrepareSynchronization_Plant_Initial < Export_Plant_Initial_Plant",
            "3 Synchronize Synchronize_Plant_ForceSynchronization < PrepareSynchronization_Plant_Initial",
        ],
    ),
    '<CreateConnectorSynchroComplete Connector="Loose"/>': (
        "Loose_Synchronize_Complete",
        [
            "1 PrepareSynchronization PrepareSynchronization_Loose_Complete",
            "2 Synchronize Synchronize_Loose < PrepareSynchronization_Loose_Complete",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), EXPANSIONS.items(), ids=[e[0] for e in EXPANSIONS.values()])
def test_a_scaffolding_stands_for_a_job(tmp_path: Path, text: str, expected: tuple[str, list[str]]) -> None:
    job = expanded(tmp_path, text)

    assert (job.identifier, lines(job)) == expected


def attributes(folder: Path, text: str) -> list[dict[str, str]]:
    """Return the attributes of the tasks of a scaffolding's job, without identifiers and names."""
    children = expanded(folder, text).children
    return [
        {
            name: value
            for name, value in child.attributes.items()
            if not name.startswith(("Identifier", "Display"))
        }
        for child in children
        if isinstance(child, TaskElement)
    ]


def test_a_complete_exports_everything_and_an_export_may_fail(tmp_path: Path) -> None:
    assert attributes(tmp_path, '<CreateConnectorSynchroComplete Connector="Cloud"/>') == [
        {
            "Agent": "local",
            "Connector": "Cloud",
            "Level": "0",
            "Connection": "Entra",
            "ContinueOnError": "true",
            "IgnoreCookieFile": "true",
        },
        {"Agent": "local", "Connector": "Cloud", "Level": "1", "SynchronizationMode": "Complete"},
        {"Connector": "Cloud", "Level": "2"},
    ]


def test_an_incremental_keeps_its_changes_for_the_flag(tmp_path: Path) -> None:
    text = '<CreateConnectorSynchroIncremental Connector="Cloud"/>'

    assert attributes(tmp_path, text) == [
        {
            "Agent": "local",
            "Connector": "Cloud",
            "Level": "0",
            "Connection": "Entra",
            "ContinueOnError": "true",
        },
        {
            "Agent": "local",
            "Connector": "Cloud",
            "Level": "1",
            "SynchronizationMode": "Incremental",
            "Type": "Changes",
        },
        {"Connector": "Cloud", "Level": "2", "DoNotDeleteChanges": "true", "Type": "Changes"},
        {"Level": "3"},
    ]


def test_an_initialization_forces_its_way(tmp_path: Path) -> None:
    text = (
        '<CreateInitializationJob Agent="Local"><NotUsed ConnectorIdentifier="HR"/>'
        '<NotUsed ConnectorIdentifier="Cloud"/></CreateInitializationJob>'
    )

    assert attributes(tmp_path, text) == [
        {"Level": "0"},
        {
            "Agent": "Local",
            "Connector": "AD",
            "Level": "1",
            "Connection": "AD",
            "ContinueOnError": "true",
            "IgnoreCookieFile": "true",
            "InitMode": "true",
        },
        {
            "Agent": "Local",
            "Connector": "AD",
            "Level": "2",
            "SynchronizationMode": "Initial",
            "Type": "ActiveDirectory",
        },
        {"Connector": "AD", "Level": "3", "ForceSynchronization": "true", "Type": "ActiveDirectory"},
    ]


def test_a_job_says_what_it_is(tmp_path: Path) -> None:
    text = """\
<CreateConnectorSynchroIncremental Connector="HR"/>
<CreateAgentSynchroComplete Agent="LOCAL" DisplayName_L1="All" DisplayName_L3="Alles"/>
<CreateInitializationJob Agent="Local" DisplayName_L2="Début"/>
<CreateConnectorSynchroComplete Connector="Loose"/>
"""

    incremental, agent, initialization, loose = read(tmp_path, text).jobs.values()

    assert (incremental.is_incremental, incremental.is_connector_job) == (True, True)
    assert incremental.display_names == {
        1: "Human resources - Incremental synchronization",
        2: "Personnel - Incremental synchronization",
    }
    assert (incremental.location, incremental.scaffolding) == (
        Location("j.xml", 2),
        "CreateConnectorSynchroIncremental",
    )
    assert (agent.agent, agent.is_incremental, agent.is_connector_job) == ("Local", False, False)
    assert agent.display_names == {1: "All", 3: "Alles"}
    assert (initialization.is_initialization_job, initialization.user_start_denied) == (True, True)
    assert initialization.display_names == {1: "Head office - Initialization", 2: "Début"}
    assert (loose.agent, loose.user_start_denied, loose.is_initialization_job) == (None, False, False)
    assert {(job.cron, job.log_level) for job in (incremental, agent, initialization, loose)} == {(None, 6)}


def test_tasks_are_named_in_every_language_of_their_connector(tmp_path: Path) -> None:
    job = expanded(tmp_path, '<CreateConnectorSynchroComplete Connector="HR"/>')
    tasks = [child for child in job.children if isinstance(child, TaskElement)]

    assert [task.display_names for task in tasks] == [
        {1: "Human resources - Export Persons", 2: "Personnel - Export Personnes"},
        {1: "Human resources - Export HR-Sites", 2: "Personnel - Export HR-Sites"},
        {1: "Human resources - Export HR-Written", 2: "Personnel - Export HR-Written"},
        {1: "Human resources - Prepare synchronization", 2: "Personnel - Prepare synchronization"},
        {1: "Human resources - Synchronize", 2: "Personnel - Synchronize"},
    ]
    assert tasks[0].attributes["DisplayName_L2"] == "Personnel - Export Personnes"


@pytest.mark.parametrize(
    ("package", "complete", "incremental"),
    [
        ("Usercube.CSV@0000001", None, None),
        ("Usercube.AD@0000001", "ActiveDirectory", "ActiveDirectory"),
        ("usercube.ad@2", "ActiveDirectory", "ActiveDirectory"),
        ("Usercube.ADFS@0000001", None, None),
        ("Usercube.LDAP@0000001", None, None),
        ("Usercube.AzureAD@0000001", None, "Changes"),
        ("Usercube.MicrosoftEntraID@0000001", None, "Changes"),
        ("Usercube.Azure@0000001", None, None),
        ("Usercube.ServiceNow@0000001", None, "Changes"),
        ("Usercube.SCIM@0000001", None, "Changes"),
        ("Usercube.SCIM.Salesforce@0000001", None, "Changes"),
        ("Usercube.SCIM.CyberArk@0000001", None, None),
    ],
)
def test_the_type_comes_from_the_package(
    tmp_path: Path, package: str, complete: str | None, incremental: str | None
) -> None:
    system = f'<Connector Identifier="S"/>\n<Connection Identifier="S" Connector="S" Package="{package}"/>\n'
    more = '<CreateConnectorSynchroComplete Connector="S"/>\n<CreateConnectorSynchroIncremental Connector="S"/>\n'

    jobs = check(tmp_path, a=system, j=more).jobs

    for job, expected in (
        (jobs["S_Synchronize_Complete"], complete),
        (jobs["S_Synchronize_Incremental"], incremental),
    ):
        tasks = [child for child in job.children if isinstance(child, TaskElement)]
        typed = [task for task in tasks if task.element in {"PrepareSynchronizationTask", "SynchronizeTask"}]
        assert [task.get("Type") for task in typed] == [expected] * 2
        assert typed[0].identifier.startswith(f"{job.identifier}_PrepareSynchronization{expected or ''}_S_")


def test_connectors_that_are_not_used_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    text = """\
<CreateConnectorSynchroComplete Connector="Old"/>
<CreateConnectorSynchroComplete Connector="Provisioned"/>
<CreateAgentSynchroIncremental Agent="Remote"/>
<CreateAgentSynchroComplete Agent="Remote"/>
<CreateAgentSynchroIncremental Agent="Local" JobIdentifier="None"><NoSynchronization/></CreateAgentSynchroIncremental>
"""

    configuration = read(tmp_path, text)

    why = "each is deactivated, not used in such jobs, or left out by an argument"
    assert [str(problem) for problem in configuration.problems] == [
        (
            "j.xml:2: warning: CreateConnectorSynchroComplete: its job Old_Synchronize_Complete has no connector to "
            f"synchronize: {why}"
        ),
        (
            "j.xml:3: warning: CreateConnectorSynchroComplete: its job Provisioned_Synchronize_Complete has no "
            f"connector to synchronize: {why}"
        ),
        (
            "j.xml:4: warning: CreateAgentSynchroIncremental: its job Remote_Synchronize_Incremental has no connector "
            f"to synchronize: {why}"
        ),
    ]
    assert [(job.identifier, len(job.children)) for job in configuration.jobs.values()] == [
        ("Old_Synchronize_Complete", 0),
        ("Provisioned_Synchronize_Complete", 0),
        ("Remote_Synchronize_Incremental", 0),
        ("Remote_Synchronize_Complete", 3),
        ("None", 0),
    ]


def test_a_scaffolding_that_is_wrong_has_a_job_too(tmp_path: Path) -> None:
    text = """\
<CreateConnectorSynchroComplete Connector="HRR"/>
<CreateAgentSynchroComplete/>
<CreateInitializationJob Agent="Nobody"/>
"""

    configuration = read(tmp_path, text)

    assert [str(problem) for problem in configuration.problems] == [
        "j.xml:2: CreateConnectorSynchroComplete: there is no Connector HRR; did you mean HR?",
        "j.xml:3: CreateAgentSynchroComplete: the required attribute Agent is missing",
        "j.xml:4: CreateInitializationJob: there is no Agent Nobody",
    ]
    expected = ["HRR_Synchronize_Complete", "CreateAgentSynchroComplete", "InitializationJob"]
    assert list(configuration.jobs) == expected
    assert [scaffolding_job_identifier(one) for one in configuration.scaffoldings] == expected


def test_jobs_that_are_written_out_come_first(tmp_path: Path) -> None:
    text = '<CreateConnectorSynchroComplete Connector="HR"/>\n<Job Identifier="J" DisplayName_L1="J"/>'

    assert list(read(tmp_path, text).jobs) == ["J", "HR_Synchronize_Complete"]


def test_a_configuration_is_read_the_same_every_time(tmp_path: Path) -> None:
    text = "\n".join(EXPANSIONS)

    first, second = (check(tmp_path, a=COMPANY, j=text) for _ in range(2))

    assert list(first.jobs.items()) == list(second.jobs.items())
    assert list(first.tasks.items()) == list(second.tasks.items())


def test_the_jobs_of_a_file_that_cannot_be_read_are_known() -> None:
    text = """\
<ConfigurationFile><x:CreateConnectorSynchroComplete
    Connector='HR'/>
<CreateAgentSynchroIncremental Agent="A &amp; B" JobIdentifier = " Fast "><NoProvisioning/>
</CreateAgentSynchroIncremental>
<CreateAgentSynchroComplete Agent="A"><DoNotCreateJob/></CreateAgentSynchroComplete>
<CreateAgentSynchroComplete Agent="&lt;A"></CreateAgentSynchroComplete><NotClosed>
<CreateConnectorSynchroIncremental/>
<CreateInitializationJob Agent="
"""

    assert list(unread_job_identifiers(text)) == [
        "HR_Synchronize_Complete",
        "Fast",
        "<A_Synchronize_Complete",
        "InitializationJob",
    ]
