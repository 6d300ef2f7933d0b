"""A company's configuration, as its tool exports it: ten connectors, twenty-five jobs, and much that is not ours."""

from __future__ import annotations

import pytest

from airflow_provider_idm.configuration import Configuration, connector_mappings
from airflow_provider_idm.configuration.enums import Deactivation, JobUse
from airflow_provider_idm.configuration.model import Job, Step, TaskElement, TaskOverride

WRITTEN_OUT = [
    "HR_Night",
    "HR_Hourly",
    "SAP_Weekend",
    "Directories",
    "Company_Complete",
    "Role_Model",
    "Provisioning_AD",
    "Deploy",
    "Reports & letters #1",
    "Maintenance",
    "ERP_Evening",
    "Training_Weekly",
    "Badges_Emergency",
    "Cloud_Changes",
]
SCAFFOLDED = {
    "HR_Synchronize_Complete": "CreateConnectorSynchroComplete",
    "HR_Synchronize_Incremental": "CreateConnectorSynchroIncremental",
    "AD_Night": "CreateConnectorSynchroComplete",
    "AD_Synchronize_Incremental": "CreateConnectorSynchroIncremental",
    "EntraID_Synchronize_Incremental": "CreateConnectorSynchroIncremental",
    "Tokyo_Synchronize_Complete": "CreateAgentSynchroComplete",
    "Tokyo_Synchronize_Incremental": "CreateAgentSynchroIncremental",
    "Cloud_Night": "CreateAgentSynchroComplete",
    "Paris_Synchronize_Incremental": "CreateAgentSynchroIncremental",
    "InitializationJob": "CreateInitializationJob",
    "Tokyo_First_Load": "CreateInitializationJob",
}


def lines(job: Job) -> list[str]:
    """Return a job's children, one line each: level, element, identifier and parents."""
    return [_line(child) for child in job.children]


def _line(child: TaskElement | Step | TaskOverride) -> str:
    if isinstance(child, Step):
        return f"{child.level} Step {child.identifier}"
    if isinstance(child, TaskOverride):
        written = " ".join(f"{name}={value}" for name, value in child.attributes.items())
        return f"{child.element}Override {written}"
    parents = f" <- {' '.join(child.depends_on)}" if child.depends_on else ""
    may_fail = " may fail" if child.continue_on_error else ""
    return f"{child.level} {child.element} {child.identifier}{may_fail}{parents}"


def test_it_reads_without_an_error(company: Configuration) -> None:
    assert [str(problem) for problem in company.problems] == [
        (
            "Jobs/3 Company.xml:39: warning: DeployConfigurationTask Deploy_Configuration: the unknown attribute "
            "ConfigurationDirectory is ignored; did you mean Connector?"
        )
    ]


def test_its_connectors_and_agents(company: Configuration) -> None:
    connectors = company.connectors.values()

    assert {c.identifier: c.agent for c in connectors} == {
        "SAP": "Paris",
        "ERP": "Tokyo",
        "Badges": "Tokyo",
        "Training": "Tokyo",
        "Mainframe": "Tokyo",
        "EntraID": "Cloud",
        "ServiceNow": "Cloud",
        "AD": "Paris",
        "OpenLDAP": "Paris",
        "HR": "Paris",
    }
    assert [c.identifier for c in connectors if c.is_deactivated] == ["Mainframe"]
    assert company.connectors["ServiceNow"].complete_job is JobUse.ONLY_PROVISIONING
    assert company.connectors["Training"].incremental_job is JobUse.NOT_USED
    assert company.connections["BadgesDoors"].deactivation is Deactivation.EXPORT
    assert company.agents["tokyo"].display_names == {
        1: "Tokyo plant",
        2: "Usine de Tokyo",
        3: "東京工場",
        4: "Εργοστάσιο Τόκιο",
        5: "Завод в Токио",
    }


def test_its_thresholds(company: Configuration) -> None:
    hr = company.connectors["HR"]

    assert hr.resource_thresholds.maximum_inserted_lines == 200
    assert hr.resource_thresholds.maximum_updated_lines == 0
    assert hr.resource_thresholds.max_percentage_deleted_lines == 2.5
    assert hr.link_thresholds.maximum_inserted_lines == 2000
    assert hr.link_thresholds.maximum_deleted_lines == 1000
    assert company.entity_type_mappings["HR_Person"].thresholds.maximum_deleted_lines == 20
    assert company.entity_association_mappings["SAP_User_Roles"].thresholds.max_percentage_deleted_lines == 10


def test_its_transformations(company: Configuration) -> None:
    found = {
        connection.identifier: [(t.type, t.table) for t in connection.transformations]
        for connection in company.connections.values()
        if connection.transformations
    }

    assert found == {
        "SAPUsers": [("WhereValue", "SAPUsers_Users"), ("ConcatColumns", "SAPUsers_Roles")],
        "HRPersons": [
            ("ConcatColumns", "HRPersons"),
            ("TransformDate", "HRPersons"),
            ("WhereValue", "HRPersons"),
        ],
    }


@pytest.mark.parametrize(
    ("connector", "entity_types", "associations"),
    [
        (
            "HR",
            {"HR_Organization": "Code", "HR_Person": "EmployeeId"},
            ["HR_Organization_Parent", "HR_Person_Manager", "HR_Person_Organization"],
        ),
        ("AD", {"AD_Entry": "objectGUID"}, ["AD_Entry_Members", "AD_Entry_Parent"]),
        ("OpenLDAP", {"OpenLDAP_Entry": "entryUUID"}, ["OpenLDAP_Entry_Members"]),
        ("SAP", {"SAP_Role": "Key", "SAP_User": "BNAME"}, ["SAP_User_Roles"]),
        ("ERP", {"ERP_Account": "Login"}, []),
        ("Badges", {"Badge": "Number"}, []),
        ("Training", {"Training_Course": "Code"}, []),
        ("EntraID", {"EntraID_DirectoryObject": "objectId"}, ["EntraID_DirectoryObject_Members"]),
        ("ServiceNow", {"ServiceNow_User": "sys_id"}, []),
    ],
)
def test_every_connector_can_be_synchronized(
    company: Configuration, connector: str, entity_types: dict[str, str], associations: list[str]
) -> None:
    mappings = connector_mappings(company, connector)

    found = {e.identifier: e.primary_key.identifier for e in mappings.entity_types}
    assert found == entity_types
    assert sorted(a.identifier for a in mappings.associations) == associations


def test_its_jobs(company: Configuration) -> None:
    assert len(company.jobs) == 25
    assert list(company.jobs) == [*WRITTEN_OUT, *SCAFFOLDED]
    assert {j.identifier: j.scaffolding for j in company.jobs.values() if j.scaffolding} == SCAFFOLDED


def test_tasks_outside_jobs(company: Configuration) -> None:
    assert {"HR_Prepare_Complete", "Role_Model_Compute", "Fulfill_SAP"} < set(company.tasks)
    made = [name for name in company.tasks if name.startswith("SAP_Synchronize_Complete_")]
    assert made == [
        "SAP_Synchronize_Complete_Export_SAP_Complete_SAPUsers",
        "SAP_Synchronize_Complete_PrepareSynchronization_SAP_Complete",
        "SAP_Synchronize_Complete_Synchronize_SAP",
    ]
    assert "SAP_Synchronize_Complete" not in company.jobs


def test_a_job_of_steps_and_overrides(company: Configuration) -> None:
    assert lines(company.jobs["Company_Complete"]) == [
        "0 Step Company_Views",
        "1 Step HR_Export_Persons",
        "1 Step HR_Export_Organizations",
        "ExportTaskOverride Identifier=AD_Export Level=1 IgnoreCookieFile=true ContinueOnError=false",
        "2 Step HR_Prepare_Complete",
        "2 Step AD_Prepare_Complete",
        "3 Step HR_Synchronize",
        (
            "SynchronizeTaskOverride Identifier=AD_Synchronize Level=3 ForceSynchronization=true Orphans=1 "
            "DisplayName_L1=Synchronize accounts, thresholds off"
        ),
        "4 Step Correlation_Keys",
        "5 Step Role_Model_Compute",
        "6 Step Access_Controls",
    ]


def test_a_connectors_incremental_job(company: Configuration) -> None:
    job = company.jobs["AD_Synchronize_Incremental"]
    stem = "AD_Synchronize_Incremental"

    assert (job.cron, job.is_incremental, job.is_connector_job, job.agent) == (
        "*/10 * * * *",
        True,
        True,
        "Paris",
    )
    assert lines(job) == [
        f"0 ExportTask {stem}_Export_AD_Incremental_ADExport may fail",
        (
            f"1 PrepareSynchronizationTask {stem}_PrepareSynchronizationActiveDirectory_AD_Incremental"
            f" <- {stem}_Export_AD_Incremental_ADExport"
        ),
        (
            f"2 SynchronizeTask {stem}_SynchronizeActiveDirectory_AD_DoNotDeleteChanges"
            f" <- {stem}_PrepareSynchronizationActiveDirectory_AD_Incremental"
        ),
        (
            f"3 SetRecentlyModifiedFlagTask {stem}_SetRecentlyModifiedFlag"
            f" <- {stem}_SynchronizeActiveDirectory_AD_DoNotDeleteChanges"
        ),
    ]
    assert job.children[1].get("Type") == "ActiveDirectory"


def test_a_connectors_complete_job_with_a_task_added(company: Configuration) -> None:
    job = company.jobs["HR_Synchronize_Complete"]
    stem = "HR_Synchronize_Complete"

    assert (job.cron, job.server_time) == ("0 2 * * *", True)
    assert job.display_names == {
        1: "Human Resources, complete",
        2: "Ressources humaines, complet",
        3: "人事・完全",
    }
    assert lines(job) == [
        f"0 ExportTask {stem}_Export_HR_Complete_HRPersons may fail",
        f"0 ExportTask {stem}_Export_HR_Complete_HROrganizations may fail",
        (
            f"1 PrepareSynchronizationTask {stem}_PrepareSynchronization_HR_Complete"
            f" <- {stem}_Export_HR_Complete_HRPersons {stem}_Export_HR_Complete_HROrganizations"
        ),
        f"2 SynchronizeTask {stem}_Synchronize_HR <- {stem}_PrepareSynchronization_HR_Complete",
        "3 Step Role_Model_Compute",
    ]
    export = job.children[0]
    assert isinstance(export, TaskElement)
    assert export.get_bool("IgnoreCookieFile")
    assert export.get("OpenIdClient") == "Job"


def test_an_agents_job_leaves_out_what_is_not_used(company: Configuration) -> None:
    complete, stem = company.jobs["Tokyo_Synchronize_Complete"], "Tokyo_Synchronize_Complete"

    assert lines(complete) == [
        "0 Step Tokyo_Views",
        f"1 ExportTask {stem}_Export_ERP_Complete_ERPAccounts may fail",
        f"1 ExportTask {stem}_Export_Training_Complete_TrainingBook may fail",
        (
            f"2 PrepareSynchronizationTask {stem}_PrepareSynchronization_ERP_Complete"
            f" <- {stem}_Export_ERP_Complete_ERPAccounts"
        ),
        (
            f"2 PrepareSynchronizationTask {stem}_PrepareSynchronization_Training_Complete"
            f" <- {stem}_Export_Training_Complete_TrainingBook"
        ),
        f"3 SynchronizeTask {stem}_Synchronize_ERP <- {stem}_PrepareSynchronization_ERP_Complete",
        f"3 SynchronizeTask {stem}_Synchronize_Training <- {stem}_PrepareSynchronization_Training_Complete",
    ]
    assert _connectors(company.jobs["Tokyo_Synchronize_Incremental"]) == ["Badges"]
    assert _connectors(company.jobs["Cloud_Night"]) == ["EntraID"]
    assert _connectors(company.jobs["Paris_Synchronize_Incremental"]) == ["SAP", "AD", "OpenLDAP", "HR"]


def test_changes_come_from_packages_that_know_them(company: Configuration) -> None:
    incremental = company.jobs["EntraID_Synchronize_Incremental"].children[1]
    complete = company.jobs["Cloud_Night"].children[1]

    assert isinstance(incremental, TaskElement)
    assert isinstance(complete, TaskElement)
    assert (incremental.identifier, incremental.get("Type")) == (
        "EntraID_Synchronize_Incremental_PrepareSynchronizationChanges_EntraID_Incremental",
        "Changes",
    )
    assert (complete.identifier, complete.get("Type")) == (
        "Cloud_Night_PrepareSynchronization_EntraID_Complete",
        None,
    )


def test_a_dependency_added_to_a_scaffolding(company: Configuration) -> None:
    stem = "Paris_Synchronize_Incremental"
    tasks = {c.identifier: c for c in company.jobs[stem].children if isinstance(c, TaskElement)}

    assert tasks[f"{stem}_Synchronize_OpenLDAP_DoNotDeleteChanges"].depends_on == (
        f"{stem}_PrepareSynchronization_OpenLDAP_Incremental",
        f"{stem}_PrepareSynchronizationActiveDirectory_AD_Incremental",
    )
    assert tasks[f"{stem}_SetRecentlyModifiedFlag"].depends_on == (
        f"{stem}_Synchronize_SAP_DoNotDeleteChanges",
        f"{stem}_SynchronizeActiveDirectory_AD_DoNotDeleteChanges",
        f"{stem}_Synchronize_OpenLDAP_DoNotDeleteChanges",
        f"{stem}_Synchronize_HR_DoNotDeleteChanges",
    )


def test_an_initialization_job(company: Configuration) -> None:
    job, stem = company.jobs["Tokyo_First_Load"], "Tokyo_First_Load"

    assert (job.is_initialization_job, job.user_start_denied, job.cron) == (True, True, None)
    assert lines(job) == [
        f"0 CreateDatabaseViewsTask {stem}_CreateDatabaseViews",
        *(
            f"1 ExportTask {stem}_Export_{connection} may fail"
            for connection in (
                "ERP_Initial_ERPAccounts",
                "Badges_Initial_BadgesFile",
                "Training_Initial_TrainingBook",
            )
        ),
        (
            f"2 PrepareSynchronizationTask {stem}_PrepareSynchronization_ERP_Initial"
            f" <- {stem}_Export_ERP_Initial_ERPAccounts"
        ),
        (
            f"2 PrepareSynchronizationTask {stem}_PrepareSynchronization_Badges_Initial"
            f" <- {stem}_Export_Badges_Initial_BadgesFile"
        ),
        (
            f"2 PrepareSynchronizationTask {stem}_PrepareSynchronization_Training_Initial"
            f" <- {stem}_Export_Training_Initial_TrainingBook"
        ),
        *(
            f"3 SynchronizeTask {stem}_Synchronize_{c}_ForceSynchronization <- {stem}_PrepareSynchronization_{c}_Initial"
            for c in ("ERP", "Badges", "Training")
        ),
    ]
    assert all(c.get_bool("InitMode") for c in job.children if c.identifier.startswith(f"{stem}_Export"))


def _connectors(job: Job) -> list[str]:
    return [c.get("Connector") or "" for c in job.children if getattr(c, "element", "") == "SynchronizeTask"]
