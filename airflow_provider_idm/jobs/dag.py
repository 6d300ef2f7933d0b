"""The DAG of a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, timezone
from airflow.utils.types import DagRunType

from airflow_provider_idm.configuration.names import dag_id
from airflow_provider_idm.configuration.writing import job_xml
from airflow_provider_idm.jobs.graph import Graph
from airflow_provider_idm.jobs.plan import SYNCHRONIZE, PlannedTask, plan_job

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Configuration, Job
    from airflow_provider_idm.jobs.settings import DagSettings

_FIRST_DATE = "2000-01-01"  # backfills may go back as far as this
_WITHOUT_USERS = ("scheduled", "backfill", "operator_triggered", "asset_triggered")


def job_dag(configuration: Configuration, job: Job, settings: DagSettings) -> DAG:
    """Return the DAG of a job, checked as Airflow would.

    :raises JobError: if something in the job is wrong, or not supported.
    """
    plan = plan_job(configuration, job)
    dag = DAG(
        dag_id=dag_id(job.identifier),
        dag_display_name=display_name(job),
        schedule=job.cron,
        start_date=timezone.parse(_FIRST_DATE) if job.server_time else datetime(2000, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=_max_active_runs(plan.tasks, settings),
        default_args=dict(settings.default_args),
        tags=_tags(job),
        doc_md=_documentation(job),
        **_run_types(job),
    )
    Graph(dag, configuration, job, settings).add(plan)
    settings.tasks.params.add_to(dag)
    dag.validate()  # type: ignore[no-untyped-call]
    return dag


def display_name(job: Job) -> str:
    """Return a job's name in its first language."""
    return next((job.display_names[number] for number in sorted(job.display_names)), job.identifier)


def _max_active_runs(tasks: Sequence[PlannedTask], settings: DagSettings) -> int:
    """Return how many runs there may be: those that wait for a person's decision, and one that does not.

    A run waits for a connector at least, and never two for the same one: a later Complete, which may take the place of
    the batch that awaits a decision, must not be kept from doing so.
    """
    if not settings.tasks.safeguards.waits:
        return 1
    waiting = {(task.connector or "").casefold() for task in tasks if task.task.element == SYNCHRONIZE}
    return len(waiting) + 1


def _tags(job: Job) -> list[str]:
    tags = {
        "incremental": job.is_incremental,
        "initialization": job.is_initialization_job,
        "connector": job.is_connector_job,
    }
    return ["idm", *(tag for tag, is_set in tags.items() if is_set)]


def _run_types(job: Job) -> dict[str, Any]:
    if job.user_start_denied and _can_deny_users(job):
        return {"allowed_run_types": list(_WITHOUT_USERS)}
    return {}


def _can_deny_users(job: Job) -> bool:
    """Tell whether Airflow can refuse users, and only them: since 3.3, and only a DAG that has a schedule.

    Airflow 3.2 could refuse manual runs, but would take those that a ``TriggerDagRunOperator`` starts for such.
    """
    return job.cron is not None and set(_WITHOUT_USERS) <= {kind.value for kind in DagRunType}


def _documentation(job: Job) -> str:
    lines = [f"Job `{job.identifier}` ({job.location})."]
    names = [f"* language {number}: {name}" for number, name in sorted(job.display_names.items())]
    if len(names) > 1:
        lines += ["", "Names:", "", *names[1:]]
    if job.user_start_denied:
        denied = "This job is not to be started by hand."
        lines += ["", denied if _can_deny_users(job) else f"{denied} Airflow cannot refuse it."]
    lines += ["", "```xml", *(job.xml.strip() or job_xml(job)).splitlines(), "```"]
    return "\n".join(lines) + "\n"
