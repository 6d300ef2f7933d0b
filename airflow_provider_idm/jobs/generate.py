"""Every job of a configuration folder as a DAG."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

from airflow_provider_idm.configuration.collector import without_garbage_collection
from airflow_provider_idm.configuration.concerns import Concerns
from airflow_provider_idm.configuration.names import MAX_ID_LENGTH, dag_id
from airflow_provider_idm.configuration.read import check_configuration
from airflow_provider_idm.configuration.scaffolding import scaffolding_job_identifier, unread_job_identifiers
from airflow_provider_idm.jobs.dag import display_name, job_dag
from airflow_provider_idm.jobs.params import RunParams
from airflow_provider_idm.jobs.placeholder import placeholder_dag
from airflow_provider_idm.jobs.plan import JobError
from airflow_provider_idm.jobs.safeguards import Safeguards
from airflow_provider_idm.jobs.settings import DagSettings
from airflow_provider_idm.jobs.steps import job_tasks, task_connector
from airflow_provider_idm.jobs.tasks import TaskMaker

if TYPE_CHECKING:
    import os
    from datetime import timedelta

    from airflow.sdk import DAG

    from airflow_provider_idm.configuration.model import Configuration, Job, Problem, Scaffolding
    from airflow_provider_idm.jobs.registered import TaskFactory
    from airflow_provider_idm.operators.question import User
    from airflow_provider_idm.operators.waiting import Notifier, OnThreshold

GENERAL_PLACEHOLDER = "idm_configuration_error"
_JOB = re.compile(r"<(?:\w+:)?Job\b[^<>]*?\bIdentifier\s*=\s*([\"'])(?P<identifier>[^\"'<>]+)\1")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

log = logging.getLogger(__name__)


def generate_dags(
    folder: str | os.PathLike[str],
    *,
    globals: MutableMapping[str, Any] | None = None,  # noqa: A002  what a DAG file would pass: globals()
    idm_conn_id: str = "idm_default",
    agent_queues: bool | Mapping[str, str] = False,
    agent_conn_ids: str | Mapping[str, str] | None = None,
    agent_executors: str | Mapping[str, str] | None = None,
    default_args: Mapping[str, Any] | None = None,
    on_threshold: OnThreshold = "wait",
    response_timeout: timedelta | None = None,
    assigned_users: Sequence[User | str] | User | str | None = None,
    notifiers: Sequence[Notifier] | Notifier | None = None,
    show_values: bool = False,
    rolling_thresholds: Mapping[str, Any] | str | None = None,
    history: bool | None = None,
    params: bool | Collection[str] = True,
    task_operators: Mapping[str, TaskFactory] | None = None,
    strict: bool = False,
) -> dict[str, DAG]:
    """Make a DAG of every Job of an XML configuration and put it where Airflow finds it.

    A job that cannot become a DAG becomes one that says why: same DAG id, no schedule, tag ``idm-config-error``, the
    reasons in its documentation, and one task that fails with them. Other jobs are not affected.

    :param folder: the XML configuration; a relative one is looked for beside the calling file.
    :param globals: where to put the DAGs, by DAG id; the calling module's globals by default.
    :param idm_conn_id: the Airflow connection of type ``idm`` that the tasks use.
    :param agent_queues: True to run the tasks of an agent on the Airflow queue named like it, or the queues by agent.
    :param agent_conn_ids: the Airflow connection of type ``idm`` that the tasks of agents use instead, or the
        connections by agent. It needs an exchange and a work folder, but no repository. Tasks that work on the
        repository keep ``idm_conn_id``, wherever they run.
    :param agent_executors: the Airflow executor of the tasks of agents, e.g. ``EdgeExecutor``, or the executors by
        agent, where Airflow has several.
    :param default_args: default arguments of every task, e.g. ``{"retries": 2}``.
    :param on_threshold: what synchronizations do when a threshold is exceeded: ``wait`` for a person's decision, or
        ``fail``.
    :param response_timeout: how long they wait; then the changes are rejected.
    :param assigned_users: who may decide, as SynchronizeTaskOperator takes them.
    :param notifiers: what is called when a decision is needed, likewise.
    :param show_values: show the values that would change, not only which properties do.
    :param rolling_thresholds: limits over the last days by connector,
        ``{"HR": {"days": 7, "MaximumDeletedLines": 500}}``, instead of those that the Airflow connection has for them.
    :param history: whether synchronizations keep the former versions of what they change or delete; by default, what
        ``[idm] history`` of Airflow's configuration says.
    :param params: what whoever triggers a run may ask of it: True for all that there is, False for nothing, or some of
        ``dry_run``, ``force_synchronization``, ``allow_backwards``, ``orphans``, ``do_not_delete_changes``,
        ``sources_directory``, ``source_date``, ``ignore_cookie_file``, ``on_invalid_value``.
    :param task_operators: what runs the task elements that this provider does not: by element, a function of the
        element and the DAG that returns an operator, ``{"ComputeRoleModelTask": factory}``. The operator's task id must
        be the element's identifier. One for an element that this provider runs takes its place.
    :param strict: refuse a job with a task that nothing runs; by default such a task is a placeholder that does nothing,
        succeeds, and says so.
    :return: the DAGs by DAG id.
    """
    target = _caller_globals() if globals is None else globals
    loader = target.get("__file__")
    settings = DagSettings(
        folder=_absolute(Path(folder).expanduser(), loader),
        idm_conn_id=idm_conn_id,
        agent_queues=agent_queues,
        agent_conn_ids=agent_conn_ids,
        agent_executors=agent_executors,
        default_args=default_args or {},
        tasks=TaskMaker(
            registered=task_operators or {},
            strict=strict,
            params=RunParams(params),
            safeguards=Safeguards(
                on_threshold,
                _given(
                    response_timeout=response_timeout,
                    assigned_users=assigned_users,
                    notifiers=notifiers,
                    show_values=show_values or None,
                    history=history,
                ),
                rolling_thresholds,
            ),
        ),
    )
    with without_garbage_collection():
        dags = _Generation(settings, only=get_parsing_context().dag_id).run()
    for identifier, dag in dags.items():
        if loader:
            dag.fileloc = str(loader)
        target[identifier] = dag
    return dags


class _Generation:
    """The DAGs of one configuration.

    :param only: the one DAG id that a worker needs; None for all.
    """

    def __init__(self, settings: DagSettings, only: str | None) -> None:
        self.settings = settings
        self.only = only
        self.makers: dict[str, Callable[[], DAG]] = {}
        self.reasons: dict[str, list[str]] = {}
        self.names: dict[str, str] = {}
        self.general: list[str] = []
        self.connectors: set[str] = set()

    def run(self) -> dict[str, DAG]:
        try:
            self._collect()
        except Exception as error:
            log.warning("The configuration %s could not be read.", self.settings.folder, exc_info=True)
            self._refuse(GENERAL_PLACEHOLDER, [f"{type(error).__name__}: {error}"])
        wanted = [name for name in (*self.makers, *self.reasons) if self.only in (None, name)]
        return {name: self._make(name) for name in sorted(set(wanted))}

    def _make(self, name: str) -> DAG:
        if name not in self.reasons:
            try:
                return self.makers[name]()
            except JobError as error:
                self._refuse(name, error.reasons)
            except Exception as error:
                log.warning("The job %s could not be made a DAG.", name, exc_info=True)
                self._refuse(name, [f"{type(error).__name__}: {error}"])
        return placeholder_dag(name, self.reasons[name], self.names.get(name))

    def _collect(self) -> None:
        configuration = check_configuration(self.settings.folder)
        concerns = Concerns(configuration)
        tasks = self.settings.tasks
        windows = tasks.safeguards.problems_of_all(configuration, is_sound=not concerns.errors)
        # an agent may be missing because its file cannot be read
        agents = [] if concerns.errors else self.settings.problems(list(configuration.agents))
        params = tasks.params.problems(self.settings.default_args)
        self.general = [*tasks.problems(), *params, *agents, *windows]
        shown: set[Problem] = set()
        for job in configuration.jobs.values():
            if self._is_wanted(dag_id(job.identifier)):
                shown.update(self._collect_job(configuration, concerns, job))
        for scaffolding in configuration.scaffoldings:
            if self._is_wanted(dag_id(scaffolding_job_identifier(scaffolding))):
                shown.update(self._collect_scaffolding(configuration, concerns, scaffolding))
        if self.makers and not self._is_wanted(GENERAL_PLACEHOLDER):
            return
        self._collect_windows_without_job(configuration)
        shown.update(self._collect_unread_jobs(configuration, concerns.errors))
        hidden = [error for error in concerns.errors if error not in shown]
        if hidden:
            self._refuse(GENERAL_PLACEHOLDER, [str(error) for error in hidden])

    def _is_wanted(self, name: str) -> bool:
        """Tell whether a DAG is to be made; to tell what concerns no job, all must be looked at."""
        return self.only in (None, GENERAL_PLACEHOLDER, name)

    def _collect_job(self, configuration: Configuration, concerns: Concerns, job: Job) -> tuple[Problem, ...]:
        name = dag_id(job.identifier)
        tasks = job_tasks(configuration, job)
        connectors = {c for c in (task_connector(configuration, task) for task in tasks) if c is not None}
        defined = [configuration.find_task(task.identifier) or task for task in tasks]
        errors = concerns.of_element(job, sorted(connectors), defined)
        if errors:
            self._refuse(name, [str(error) for error in errors])
        self.connectors |= connectors
        if wrong := self.general or self.settings.tasks.safeguards.problems_of(connectors):
            self._refuse(name, wrong)
        if name in self.makers:
            self._refuse(
                name, [f"{job.location}: job {job.identifier!r} has the same DAG id as another: {name}"]
            )
        self.names.setdefault(name, display_name(job))
        if len(name) <= MAX_ID_LENGTH:
            self.makers.setdefault(name, lambda: job_dag(configuration, job, self.settings))
        return errors

    def _collect_windows_without_job(self, configuration: Configuration) -> None:
        """Show what is wrong with rolling thresholds that concern no job."""
        safeguards = self.settings.tasks.safeguards
        if self.general:
            wrong = [] if configuration.jobs else self.general
        else:
            wrong = safeguards.problems_elsewhere(self.connectors)
        if wrong:
            self._refuse(GENERAL_PLACEHOLDER, wrong)

    def _collect_scaffolding(
        self, configuration: Configuration, concerns: Concerns, scaffolding: Scaffolding
    ) -> tuple[Problem, ...]:
        """Show why a scaffolding has no job: another has its name."""
        identifier = scaffolding_job_identifier(scaffolding)
        made = configuration.jobs.get(identifier)
        if scaffolding.has("DoNotCreateJob") or (made is not None and made.location == scaffolding.location):
            return ()  # the errors are its tasks', or its job's
        errors = concerns.of_element(scaffolding)
        if errors:
            self._refuse(dag_id(identifier), [str(error) for error in errors])
        return errors

    def _collect_unread_jobs(
        self, configuration: Configuration, errors: tuple[Problem, ...]
    ) -> list[Problem]:
        """Keep the DAGs of jobs that stand in files which could not be read."""
        shown = []
        for error in errors:
            try:
                data = (self.settings.folder / error.location.file).read_bytes()
            except OSError:
                continue
            # without zeros UTF-16 becomes readable enough
            text = _COMMENT.sub("", data.replace(b"\0", b"").decode("utf-8", errors="replace"))
            written = (unescape(match["identifier"]).strip() for match in _JOB.finditer(text))
            for identifier in (*written, *unread_job_identifiers(text)):
                if identifier not in configuration.jobs:
                    self._refuse(dag_id(identifier), [str(error)])
                    shown.append(error)
        return shown

    def _refuse(self, name: str, reasons: list[str] | tuple[str, ...]) -> None:
        """Make a DAG one that says why it cannot run; what can be no DAG id is said by another."""
        shown = name if len(name) <= MAX_ID_LENGTH else GENERAL_PLACEHOLDER
        known = self.reasons.setdefault(shown, [])
        known += [reason for reason in reasons if reason not in known]


def _given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that were given: the others are left to the tasks' defaults."""
    return {name: value for name, value in parameters.items() if value is not None}


def _caller_globals() -> MutableMapping[str, Any]:
    """Return the globals of the module that called ``generate_dags``."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    return {} if frame is None else frame.f_globals


def _absolute(folder: Path, loader: Any) -> Path:
    """Return the folder, a relative one beside the DAG file: workers may start anywhere."""
    if folder.is_absolute() or not loader:
        return folder.absolute()
    return Path(loader).absolute().parent / folder
