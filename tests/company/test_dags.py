"""Every job of the company is a DAG, and none one that stands for an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.configuration import Configuration
from tests.airflow.conftest import ROOT, AirflowHome
from tests.company.conftest import CONF

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.airflow

WITHOUT_USERS = {"scheduled", "backfill", "operator_triggered", "asset_triggered"}
NOT_OURS = {
    "BuildEfficientAccessControlsTask",
    "ComputeCorrelationKeysTask",
    "ComputeRiskScoresTask",
    "ComputeRoleModelTask",
    "FulfillTask",
    "GenerateProvisioningOrdersTask",
    "MaintainIndexesTask",
    "SendNotificationsTask",
    "SendRoleModelNotificationsTask",
    "UpdateEntityPropertyExpressionsTask",
}
SHOWN = {
    "HR_Night": ("Human Resources at night", "30 1 * * *", {"connector"}),
    "HR_Hourly": ("Human Resources, hourly", "5 * * * *", {"incremental"}),
    "SAP_Weekend": ("SAP at the weekend", "0 4 * * SAT,SUN", set()),
    "Directories": ("Directories", "15 6,12,18 * * *", {"incremental"}),
    "Company_Complete": ("The whole company, complete", "0 3 * * SUN", set()),
    "Role_Model": ("Role model", "0 5 * * *", set()),
    "Provisioning_AD": ("Provisioning of accounts", None, set()),
    "Deploy": ("Deploy the configuration", None, set()),
    "Reports___letters__1": ("Reports & letters", "0 7 1 * *", set()),
    "Maintenance": ("Maintenance", "30 23 28 * *", set()),
    "ERP_Evening": ("Production planning, evening", "0 22 * * MON-FRI", set()),
    "Training_Weekly": ("Training, weekly", "0 20 * * SUN", {"connector"}),
    "Badges_Emergency": ("Badges, by hand", None, set()),
    "Cloud_Changes": ("Cloud, changes", "*/15 * * * *", {"incremental"}),
    "HR_Synchronize_Complete": ("Human Resources, complete", "0 2 * * *", {"connector"}),
    "HR_Synchronize_Incremental": (
        "Human Resources, changes",
        "0/20 6-20 * * *",
        {"connector", "incremental"},
    ),
    "AD_Night": ("Active Directory, nightly", None, {"connector"}),
    "AD_Synchronize_Incremental": ("Active Directory, changes", "*/10 * * * *", {"connector", "incremental"}),
    "EntraID_Synchronize_Incremental": ("Entra ID, changes", None, {"connector", "incremental"}),
    "Tokyo_Synchronize_Complete": ("Tokyo, complete", None, set()),
    "Tokyo_Synchronize_Incremental": ("Tokyo, changes", None, {"incremental"}),
    "Cloud_Night": ("Cloud, nightly", None, set()),
    "Paris_Synchronize_Incremental": ("Paris, changes", None, {"incremental"}),
    "InitializationJob": ("First load of Paris", None, {"initialization"}),
    "Tokyo_First_Load": ("First load of Tokyo", None, {"initialization"}),
}
"""By DAG id: display name, schedule, and the tags beside ``idm``."""

Generate = Any
"""A function that gives the DAGs of the company by DAG id."""


@pytest.fixture(scope="module")
def generate() -> Generate:
    def make(**options: Any) -> dict[str, DAG]:
        from airflow_provider_idm import generate_dags

        return generate_dags(CONF, globals={}, **options)

    return make


@pytest.fixture(scope="module")
def dags(generate: Generate) -> dict[str, DAG]:
    made: dict[str, DAG] = generate()
    return made


def registered(*elements: str) -> dict[str, Any]:
    """Register something that does nothing for elements."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    return {e: lambda task, dag: EmptyOperator(task_id=task.identifier, dag=dag) for e in elements}


def shown(dag: DAG) -> dict[str, list[str]]:
    """Return what each task of a DAG comes after, without the nodes that are no tasks of the job."""
    return {task.task_id: sorted(task.upstream_task_ids) for task in dag.topological_sort()}


def test_every_job_is_a_dag(dags: dict[str, DAG]) -> None:
    found = {
        name: (dag.dag_display_name, dag.schedule, set(dag.tags) - {"idm"}) for name, dag in dags.items()
    }

    assert found == SHOWN
    assert all("idm" in dag.tags for dag in dags.values())


def test_server_time_is_the_default_timezone_of_airflow() -> None:
    code = """
import json, sys
from airflow_provider_idm import generate_dags
dags = generate_dags(sys.argv[1], globals={})
print(json.dumps([name for name, dag in dags.items() if dag.timezone.name == "Asia/Tokyo"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(CONF)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
    )

    in_server_time = json.loads(done.stdout.splitlines()[-1])
    assert in_server_time == ["Directories", "HR_Night", "HR_Synchronize_Complete", "Training_Weekly"]


def test_jobs_that_users_may_not_start(dags: dict[str, DAG]) -> None:
    denied = {name for name, dag in dags.items() if "not to be started by hand" in (dag.doc_md or "")}

    assert denied == {"Role_Model", "InitializationJob", "Tokyo_First_Load"}
    allowed = {kind.value for kind in getattr(dags["Role_Model"], "allowed_run_types", None) or ()}
    assert allowed in (WITHOUT_USERS, set())


def test_the_other_languages_stand_in_the_documentation(dags: dict[str, DAG]) -> None:
    text = dags["HR_Night"].doc_md or ""

    for name in ("Ressources humaines, la nuit", "人事（夜間）", "Ανθρώπινο δυναμικό, νύχτα", "Кадры, ночью"):
        assert name in text
    assert '<Step Identifier="HR_Export_Persons"' in text
    scaffolded = dags["Tokyo_Synchronize_Complete"].doc_md or ""
    assert "Job `Tokyo_Synchronize_Complete` (Jobs/1 Scaffoldings.xml:24)" in scaffolded
    assert "東京・完全" in scaffolded
    assert 'Step Identifier="Tokyo_Views"' in scaffolded


def test_a_job_of_steps_and_overrides(dags: dict[str, DAG]) -> None:
    dag = dags["Company_Complete"]

    assert shown(dag) == {
        "Company_Views": [],
        "HR_Export_Persons": ["Company_Views"],
        "HR_Export_Organizations": ["Company_Views"],
        "HR_Export_Organizations__ended": ["HR_Export_Organizations"],
        "HR_Prepare_Complete": ["HR_Export_Organizations__ended", "HR_Export_Persons"],
        "HR_Synchronize": ["HR_Prepare_Complete"],
        "AD_Export": ["Company_Views"],
        "AD_Prepare_Complete": ["AD_Export"],
        "AD_Synchronize": ["AD_Prepare_Complete"],
        "Correlation_Keys": ["AD_Synchronize", "HR_Synchronize"],
        "Role_Model_Compute": ["Correlation_Keys"],
        "Access_Controls": ["Role_Model_Compute"],
    }
    override = dag.get_task("AD_Synchronize")
    assert override.task_display_name == "Synchronize accounts, thresholds off"
    assert (override.force_synchronization, override.orphans, override.type) == (
        True,
        True,
        "ActiveDirectory",
    )
    assert dag.get_task("AD_Export").ignore_cookie_file is True
    groups = dag.task_group.get_task_group_dict()
    assert {name: groups[name].group_display_name for name in ("HR", "AD")} == {
        "HR": "Human Resources",
        "AD": "Active Directory",
    }


def test_connectors_side_by_side(dags: dict[str, DAG]) -> None:
    """Only what a TaskDependsOnTask names is waited for across connectors."""
    assert shown(dags["Cloud_Changes"]) == {
        "Cloud_Export_EntraID": [],
        "Cloud_Prepare_EntraID": ["Cloud_Export_EntraID"],
        "Cloud_Synchronize_EntraID": ["Cloud_Prepare_EntraID"],
        "Cloud_Export_ServiceNow": [],
        "Cloud_Prepare_ServiceNow": ["Cloud_Export_ServiceNow"],
        "Cloud_Synchronize_ServiceNow": ["Cloud_Prepare_ServiceNow"],
        "Cloud_Flag": ["Cloud_Synchronize_EntraID", "Cloud_Synchronize_ServiceNow"],
        "all_succeeded": ["Cloud_Synchronize_EntraID", "Cloud_Synchronize_ServiceNow"],
    }
    prepare = dags["Cloud_Changes"].get_task("Cloud_Prepare_EntraID")
    assert (prepare.type, prepare.column_name, prepare.synchronization_mode) == (
        "Changes",
        "operation",
        "Incremental",
    )
    partners = dags["Directories"].get_task("Directories_Prepare_Partners")
    assert partners.upstream_task_ids == {"Directories_Export_Partners", "Directories_Synchronize_AD"}


def test_one_after_another(dags: dict[str, DAG]) -> None:
    assert shown(dags["HR_Night"]) == {
        "HR_Export_Persons": [],
        "HR_Export_Organizations": ["HR_Export_Persons"],
        "HR_Export_Organizations__ended": ["HR_Export_Organizations"],
        "HR_Prepare_Complete": ["HR_Export_Organizations__ended", "HR_Export_Persons"],
        "HR_Synchronize": ["HR_Prepare_Complete"],
        "Role_Model_Compute": ["HR_Synchronize"],
    }


def test_a_step_twice(dags: dict[str, DAG]) -> None:
    assert shown(dags["Maintenance"]) == {
        "Access_Controls": [],
        "Maintenance_Indexes": ["Access_Controls"],
        "Access_Controls_2": ["Maintenance_Indexes"],
    }


def test_tasks_without_an_identifier_and_with_odd_ones(dags: dict[str, DAG]) -> None:
    assert shown(dags["Reports___letters__1"]) == {
        "Letters__overdue_": [],
        "SendRoleModelNotificationsTask": ["Letters__overdue_"],
    }


def test_overrides_of_tasks_elsewhere(dags: dict[str, DAG]) -> None:
    dag = dags["Badges_Emergency"]
    prepare, synchronize = dag.get_task("Badges_Prepare"), dag.get_task("Badges_Synchronize")

    assert shown(dag) == {"Badges_Prepare": [], "Badges_Synchronize": ["Badges_Prepare"]}
    assert prepare.sources_directory == "/srv/badges/checked"
    assert prepare.working_directory == "badges"
    assert (synchronize.force_synchronization, synchronize.orphans) == (True, True)


def test_the_level_of_the_log(dags: dict[str, DAG]) -> None:
    levels = {
        name: {getattr(task, "log_level", None) for task in dags[name].tasks if "__" not in task.task_id}
        for name in ("HR_Hourly", "Deploy", "Maintenance", "HR_Night")
    }

    assert levels == {
        "HR_Hourly": {"DEBUG"},
        "Deploy": {"DEBUG"},
        "Maintenance": {"ERROR"},
        "HR_Night": {None},
    }


def test_agents_become_queues_if_wanted(generate: Generate) -> None:
    dags = generate(agent_queues=True)
    queues = {
        name: {task.queue for task in dags[name].tasks if not task.task_id.endswith("__ended")}
        for name in (
            "Training_Weekly",
            "Tokyo_Synchronize_Complete",
            "Paris_Synchronize_Incremental",
            "Maintenance",
        )
    }

    training = {task.task_id: task.queue for task in dags["Training_Weekly"].tasks}
    assert training == {
        "Training_Export": "Tokyo",
        "Training_Prepare": "Tokyo",
        "Training_Synchronize": "default",
    }
    assert queues["Maintenance"] == {"default"}
    assert "Tokyo" in queues["Tokyo_Synchronize_Complete"]
    assert "Paris" in queues["Paris_Synchronize_Incremental"]


def test_elements_that_nothing_runs_are_marked(dags: dict[str, DAG]) -> None:
    task = dags["HR_Hourly"].get_task("HR_Hourly_Roles")

    assert task.task_display_name == "Compute the role model (placeholder)"
    assert "no operator is registered for `ComputeRoleModelTask`" in task.doc_md
    marked = {
        t.element for dag in dags.values() for t in dag.tasks if type(t).__name__.startswith("Placeholder")
    }
    assert marked == NOT_OURS


def test_strict_and_everything_registered(generate: Generate) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    dags = generate(strict=True, task_operators=registered(*NOT_OURS))

    assert {name for name, dag in dags.items() if "idm-config-error" in dag.tags} == set()
    roles = dags["HR_Hourly"].get_task("HR_Hourly_Roles")
    assert isinstance(roles, EmptyOperator)
    assert shown(dags["HR_Hourly"])["HR_Hourly_Roles"] == ["HR_Hourly_Flag", "HR_Hourly_Synchronize"]


def test_strict_refuses_what_is_not_registered_and_nothing_else(
    generate: Generate, company: Configuration
) -> None:
    dags = generate(strict=True, task_operators=registered(*(NOT_OURS - {"FulfillTask"})))

    refused = {name: dag.doc_md for name, dag in dags.items() if "idm-config-error" in dag.tags}
    assert set(refused) == {"SAP_Weekend", "Provisioning_AD"}
    assert "no operator is registered for FulfillTask 'Provisioning_AD_Fulfill'" in (
        refused["Provisioning_AD"] or ""
    )
    assert len(dags) == len(company.jobs)


def test_two_parses_give_the_same_dags(generate: Generate, dags: dict[str, DAG]) -> None:
    try:
        from airflow.serialization.serialized_objects import DagSerialization
    except ImportError:  # before Airflow 3.2
        from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

    again = generate()

    for name, dag in dags.items():
        assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(again[name])


@pytest.mark.slow
def test_airflows_dag_processor_takes_them_all(airflow_home: AirflowHome) -> None:
    from sqlalchemy import create_engine, text

    airflow_home.write(
        "company.py", f"from airflow_provider_idm import generate_dags\n\ngenerate_dags({str(CONF)!r})\n"
    )

    airflow_home.command("dag-processor", "--num-runs", "1")

    engine = create_engine(f"sqlite:///{airflow_home.home}/airflow.db")
    with engine.connect() as database:
        rows = database.execute(
            text("select dag_id, timetable_summary from dag where fileloc like '%/company.py'")
        )
        found = {row.dag_id: row.timetable_summary for row in rows}
        errors = database.execute(text("select filename from import_error")).all()
    engine.dispose()
    assert errors == []
    assert found == {name: str(cron) for name, (_, cron, _) in SHOWN.items()}
