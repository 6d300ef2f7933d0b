"""Jobs, tasks and scaffoldings: what they refer to, and on which agent they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.checks.order import check_cycles, check_order
from airflow_provider_idm.configuration.checks.runs import Run, runs_of
from airflow_provider_idm.configuration.definitions_jobs import INVOKE_SQL_COMMAND, MODE, PREPARE, SQL_SOURCES
from airflow_provider_idm.configuration.model import TaskElement, TaskOverride
from airflow_provider_idm.configuration.names import MAX_ID_LENGTH, dag_id, same

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import Job, Scaffolding


def check_jobs(context: Context) -> None:
    """Check every job, task and scaffolding."""
    configuration = context.configuration
    for task in configuration.tasks.values():
        _check_references(context, task)
    for scaffolding in configuration.scaffoldings:
        _check_scaffolding(context, scaffolding)
    dag_ids: dict[str, Job] = {}
    for job in configuration.jobs.values():
        _check_dag_id(context, job, dag_ids)
        if job.scaffolding is None:
            _check_written(context, job)
        if not _is_made(job):
            runs = list(runs_of(context, job))
            for run in runs:
                _check_run(context, job, run)
            _check_agents(context, job, runs)
            check_order(context, job, runs)
    check_cycles(context)


def _check_written(context: Context, job: Job) -> None:
    context.find(job.location, f"Job {job.identifier}", "Agent", job.agent, context.configuration.agents)
    for child in job.children:
        if isinstance(child, TaskElement | TaskOverride):
            _check_references(context, child)


def _is_made(job: Job) -> bool:
    """Return whether a scaffolding alone made a job: its tasks are right, and run in the right order."""
    return job.scaffolding is not None and all(isinstance(child, TaskElement) for child in job.children)


def _check_references(context: Context, task: TaskElement | TaskOverride) -> None:
    configuration = context.configuration
    written = _written(task)
    subject = f"{task.element}{'Override' if isinstance(task, TaskOverride) else ''} {task.identifier}"
    place = task.location
    context.find(place, subject, "Agent", written.get("Agent"), configuration.agents)
    connector = context.find(place, subject, "Connector", written.get("Connector"), configuration.connectors)
    connection = None
    if task.element == "ExportTask":
        name = written.get("Connection")
        connection = context.find(place, subject, "Connection", name, configuration.connections)
    if task.element == INVOKE_SQL_COMMAND and isinstance(task, TaskElement):
        given = [name for name in SQL_SOURCES if task.get(name)]
        if len(given) != 1:
            expected, found = " or ".join(SQL_SOURCES), " and ".join(given) or "neither"
            context.problems.error(place, f"{subject}: expected either {expected}, found {found}")
    if connector and connection and not same(connector.identifier, connection.connector):
        message = f"the Connection {connection.identifier} is of the connector {connection.connector}"
        context.problems.error(place, f"{subject}: {message}, not of {connector.identifier}")


def _check_run(context: Context, job: Job, run: Run) -> None:
    """Check what only a task that is run must have."""
    subject = f"Job {job.identifier}: the task {run.identifier}"
    if len(run.identifier) > MAX_ID_LENGTH:
        message = f"the identifier has {len(run.identifier)} characters, expected {MAX_ID_LENGTH} at most"
        context.problems.error(run.location, f"{subject}: {message}")
    if run.task is not None and run.task.element == PREPARE and not (run.mode or run.task.get(MODE)):
        expected = "expected Initial, Complete or Incremental"
        context.problems.error(run.location, f"{subject} has no {MODE}, {expected}")


def _check_scaffolding(context: Context, scaffolding: Scaffolding) -> None:
    configuration = context.configuration
    agent, connector = scaffolding.get("Agent"), scaffolding.get("Connector")
    context.find(scaffolding.location, scaffolding.element, "Agent", agent, configuration.agents)
    context.find(scaffolding.location, scaffolding.element, "Connector", connector, configuration.connectors)
    for argument in scaffolding.arguments:
        name = argument.values.get("ConnectorIdentifier")
        context.find(argument.location, argument.element, "Connector", name, configuration.connectors)


def _check_dag_id(context: Context, job: Job, dag_ids: dict[str, Job]) -> None:
    if len(job.identifier) > MAX_ID_LENGTH:
        message = f"the identifier has {len(job.identifier)} characters, expected {MAX_ID_LENGTH} at most"
        context.problems.error(job.location, f"Job {job.identifier}: {message}")
    first = dag_ids.setdefault(dag_id(job.identifier), job)
    if first is not job:
        message = (
            f"its DAG id {dag_id(job.identifier)} is that of Job {first.identifier} ({first.location}) too"
        )
        context.problems.error(job.location, f"Job {job.identifier}: {message}")


def _check_agents(context: Context, job: Job, runs: list[Run]) -> None:
    agent, whose = job.agent, "its job"
    for run in runs:
        if run.agent and agent and not same(run.agent, agent):
            message = f"the task {run.identifier} is on the agent {run.agent}, but {whose} on {agent}"
            context.problems.error(run.location, f"Job {job.identifier}: {message}")
        elif run.agent and not agent:
            agent, whose = run.agent, f"the task {run.identifier}"


def _written(task: TaskElement | TaskOverride) -> dict[str, str]:
    return {name: value.strip() for name, value in task.attributes.items()}
