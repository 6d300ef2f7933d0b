"""Every scaffolding of a configuration made a job, or tasks if it asks for no job."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.configuration.model import Job, TaskElement
from airflow_provider_idm.configuration.names import Identifiers, identified
from airflow_provider_idm.configuration.scaffolding.arguments import Draft, apply_arguments
from airflow_provider_idm.configuration.scaffolding.included import Exports, included, is_in_scope
from airflow_provider_idm.configuration.scaffolding.kinds import KINDS, scaffolding_job_identifier
from airflow_provider_idm.configuration.scaffolding.labels import job_names, names
from airflow_provider_idm.configuration.scaffolding.tasks import TaskMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.configuration.model import Configuration, JobChild, Scaffolding
    from airflow_provider_idm.configuration.problems import Problems

_NO_JOB = "DoNotCreateJob"
_LOG_LEVEL_NONE = 6


def expand(configuration: Configuration, problems: Problems) -> Configuration:
    """Return a configuration with the jobs and tasks of its scaffoldings, after those that are written out.

    A scaffolding that is wrong has its job too, as far as it can be made: so that the errors concern a job. Only the
    first of several jobs of one identifier is kept.
    """
    if not configuration.scaffoldings:
        return configuration
    exports = Exports(configuration)
    drafts = [
        (scaffolding, _draft(configuration, scaffolding, exports, problems))
        for scaffolding in configuration.scaffoldings
    ]
    drafts = list(_without_clashes(configuration, drafts, problems))
    known = _known_tasks(configuration, drafts)
    for scaffolding, draft in drafts:
        apply_arguments(draft, scaffolding.arguments, known, problems)
    jobs = [
        _job(configuration, scaffolding, draft)
        for scaffolding, draft in drafts
        if not scaffolding.has(_NO_JOB)
    ]
    tasks = [
        child
        for scaffolding, draft in drafts
        if scaffolding.has(_NO_JOB)
        for child in draft.children
        if isinstance(child, TaskElement)
    ]
    return replace(
        configuration,
        jobs=identified([*configuration.jobs.values(), *jobs]),
        tasks=identified([*configuration.tasks.values(), *tasks]),
    )


def _draft(
    configuration: Configuration, scaffolding: Scaffolding, exports: Exports, problems: Problems
) -> Draft:
    kind = KINDS[scaffolding.element]
    identifier = scaffolding_job_identifier(scaffolding)
    open_id = _last_value(scaffolding, "OpenIdIdentifier", "Identifier")
    maker = TaskMaker(identifier, scaffolding.location, kind, open_id)
    found = list(included(configuration, scaffolding, kind, exports))
    if (
        not found
        and not scaffolding.has("NoSynchronization")
        and is_in_scope(configuration, scaffolding, kind)
    ):
        why = "each is deactivated, not used in such jobs, or left out by an argument"
        message = f"{scaffolding.element}: its job {identifier} has no connector to synchronize: {why}"
        problems.warning(scaffolding.location, message)
    return Draft(identifier, list(maker.make(found)))


def _without_clashes(
    configuration: Configuration, drafts: list[tuple[Scaffolding, Draft]], problems: Problems
) -> Iterator[tuple[Scaffolding, Draft]]:
    """Leave out what has the identifier of a job, or of a task, that came before, and report it."""
    jobs = {
        job.identifier.casefold(): f"Job {job.identifier} ({job.location})"
        for job in configuration.jobs.values()
    }
    tasks = {
        task.identifier.casefold(): f"{task.element} {task.identifier} ({task.location})"
        for task in _written_tasks(configuration)
    }
    for scaffolding, draft in drafts:
        made = f"{scaffolding.element} at {scaffolding.location}"
        job = draft.identifier.casefold()
        if not scaffolding.has(_NO_JOB):
            if job in jobs:
                message = f"its job {draft.identifier} is already that of {jobs[job]}: give it another JobIdentifier"
                problems.error(scaffolding.location, f"{scaffolding.element}: {message}")
                continue
            jobs[job] = made
        taken = next((child for child in draft.children if child.identifier.casefold() in tasks), None)
        if taken is not None:
            of = tasks[taken.identifier.casefold()]
            message = f"its task {taken.identifier} is already that of {of}: give it another JobIdentifier"
            problems.error(scaffolding.location, f"{scaffolding.element}: {message}")
            draft.children = []
        tasks.update((child.identifier.casefold(), made) for child in draft.children)
        yield scaffolding, draft


def _written_tasks(configuration: Configuration) -> Iterator[TaskElement]:
    yield from configuration.tasks.values()
    for child in chain.from_iterable(job.children for job in configuration.jobs.values()):
        if isinstance(child, TaskElement):
            yield child


def _known_tasks(
    configuration: Configuration, drafts: list[tuple[Scaffolding, Draft]]
) -> Identifiers[JobChild]:
    tasks: list[JobChild] = list(_written_tasks(configuration))
    for _, draft in drafts:
        tasks += draft.children
    return identified(tasks)


def _job(configuration: Configuration, scaffolding: Scaffolding, draft: Draft) -> Job:
    kind = KINDS[scaffolding.element]
    scope = scaffolding.get(kind.scope) or ""
    connector = configuration.connectors.get(scope) if kind.scope == "Connector" else None
    owner = connector or (configuration.agents.get(scope) if kind.scope == "Agent" else None)
    subject = names(scope or draft.identifier, owner.display_names if owner else {})
    return Job(
        draft.identifier,
        scaffolding.location,
        job_names(scaffolding, kind, subject),
        connector.agent if connector else owner.identifier if owner else None,
        _last_value(scaffolding, "CronTabExpression", "CronTab") or None,
        _last_value(scaffolding, "CronTabExpression", "CronTimeZone") or False,
        kind.is_incremental,
        kind.is_initialization,
        kind.scope == "Connector",
        _LOG_LEVEL_NONE,
        kind.is_initialization,
        tuple(draft.children),
        scaffolding=scaffolding.element,
    )


def _last_value(scaffolding: Scaffolding, argument: str, name: str) -> Any:
    """Return a value of the last argument of an element name; None without one."""
    given = [one.values[name] for one in scaffolding.arguments if one.element == argument]
    return given[-1] if given else None
