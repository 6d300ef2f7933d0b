"""From a task element to the operator that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_idm.configuration.definitions_jobs import PREPARE
from airflow_provider_idm.jobs.params import RunParams
from airflow_provider_idm.jobs.plan import SET_FLAG, SYNCHRONIZE, JobError
from airflow_provider_idm.jobs.registered import registered_operator
from airflow_provider_idm.jobs.safeguards import Safeguards
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.create_database_views import CreateDatabaseViewsTaskOperator
from airflow_provider_idm.operators.deploy_configuration import DeployConfigurationTaskOperator
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.invoke_sql_command import InvokeSqlCommandTaskOperator
from airflow_provider_idm.operators.placeholder import PlaceholderTaskOperator
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.set_recently_modified_flag import SetRecentlyModifiedFlagTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_idm.configuration.model import TaskElement
    from airflow_provider_idm.jobs.plan import PlannedTask
    from airflow_provider_idm.jobs.registered import TaskFactory

_BATCH = "{{{{ ti.xcom_pull(task_ids='{}') }}}}"


@dataclass(frozen=True, slots=True)
class TaskMaker:
    """Makes the operators of a configuration's tasks.

    :param registered: what the author of the DAG file registered, by element; it comes before our own operators.
    :param strict: whether an element without an operator is an error rather than a placeholder.
    :param safeguards: what a synchronize does about thresholds.
    :param params: what a run may be asked.
    """

    registered: Mapping[str, TaskFactory] = field(default_factory=dict)
    strict: bool = False
    safeguards: Safeguards = field(default_factory=Safeguards)
    params: RunParams = field(default_factory=RunParams)

    def problems(self) -> list[str]:
        """Return what is wrong with what was registered, for every job."""
        what = "generate_dags(task_operators=…)"
        names = [name for name in self.registered if not (isinstance(name, str) and name.endswith("Task"))]
        others = {name: made for name, made in self.registered.items() if not callable(made)}
        return [
            *(f"{what}: {name!r} is no task element, expected a name such as FulfillTask" for name in names),
            *(
                f"{what}: what is registered for {name} is a {type(made).__name__}, expected a function of the task "
                "and the DAG"
                for name, made in others.items()
            ),
        ]

    def make(self, planned: PlannedTask, dag: DAG, **common: Any) -> BaseOperator:
        """Return the operator of a task; it goes to the DAG, and to the task group that is entered.

        :param common: parameters that every operator of ours gets in the job.
        :raises JobError: if there is none, or what was registered does not make one.
        """
        element = planned.task.element
        if (factory := self.registered.get(element)) is not None:
            return registered_operator(factory, planned, dag, common, self.params.names)
        parameters = _PARAMETERS.get(element)
        if parameters is None and self.strict:
            what = f"no operator is registered for {element} {planned.task.identifier!r}"
            raise JobError([f"{planned.task.location}: {what}; register one with task_operators"])
        operator: type[IdmOperator]
        operator, given = (
            parameters(planned) if parameters else (PlaceholderTaskOperator, {"element": element})
        )
        if element == SYNCHRONIZE:
            given |= self.safeguards.of_synchronize(planned.connector)
        made = operator(
            dag=dag,
            task_id=planned.task_id,
            task_display_name=_display_name(planned.task) or planned.task_id,
            trigger_rule=planned.trigger_rule,
            **given,
            **common,
        )
        made.run_params = self.params.names
        if planned.condition is not None:
            made.condition = planned.condition
        return made


Parameters = tuple[type[IdmOperator], dict[str, Any]]


def _export(planned: PlannedTask) -> Parameters:
    task = planned.task
    return ExportTaskOperator, {
        "connection": task.get("Connection"),
        "connector": planned.connector,
        "skip_if_blocked": planned.skips_if_blocked,
        "ignore_cookie_file": task.get_bool("IgnoreCookieFile") or not planned.is_incremental,
        "only_changes": planned.exports_changes,
        "init_mode": task.get_bool("InitMode"),
    }


def _prepare(planned: PlannedTask) -> Parameters:
    task = planned.task
    return PrepareSynchronizationTaskOperator, {
        "connector": planned.connector,
        "synchronization_mode": task.get("SynchronizationMode"),
        "type": task.get("Type") or "None",
        "column_name": task.get("ColumnName") or "command",
        # None: an Incremental is skipped, whatever the job
        "skip_if_blocked": True if planned.skips_if_blocked else None,
        "sources_directory": task.get("SourcesDirectory"),
        "working_directory": task.get("WorkingDirectory"),
    }


def _synchronize(planned: PlannedTask) -> Parameters:
    task = planned.task
    return SynchronizeTaskOperator, {
        "connector": planned.connector,
        # A template rather than the prepare's output, which would be one more edge: the order has its own.
        "batch": None if planned.batch_from is None else _BATCH.format(planned.batch_from),
        "type": task.get("Type") or "None",
        "skip_if_blocked": planned.skips_if_blocked,
        "force_synchronization": task.get_bool("ForceSynchronization"),
        "orphans": task.get_bool("Orphans"),
        "do_not_delete_changes": task.get_bool("DoNotDeleteChanges"),
    }


def _set_recently_modified_flag(_: PlannedTask) -> Parameters:
    return SetRecentlyModifiedFlagTaskOperator, {}


def _create_database_views(_: PlannedTask) -> Parameters:
    return CreateDatabaseViewsTaskOperator, {}


def _deploy_configuration(planned: PlannedTask) -> Parameters:
    return DeployConfigurationTaskOperator, {"connector": planned.connector}


def _invoke_sql_command(planned: PlannedTask) -> Parameters:
    task = planned.task
    command, file = task.get("SQLCommand"), task.get("SQLInputFile")
    return InvokeSqlCommandTaskOperator, {
        "connector": planned.connector,
        "database_identifier": task.get("DatabaseIdentifier"),
        "sql_command": command,
        "sql_input_file": None if command else file,  # an override may name the one instead of the other
        "output_path": task.get("OutputPath"),
        "is_not_a_query": task.get_bool("IsNotAQuery"),
        "isolation_level": task.get("IsolationLevel"),
        "timeout": int(task.get("Timeout") or 0),
        "encoding": task.get("Encoding"),
    }


def _display_name(task: TaskElement) -> str | None:
    return next((task.display_names[language] for language in sorted(task.display_names)), None)


_PARAMETERS: Mapping[str, Callable[[PlannedTask], Parameters]] = {
    "ExportTask": _export,
    PREPARE: _prepare,
    SYNCHRONIZE: _synchronize,
    SET_FLAG: _set_recently_modified_flag,
    "CreateDatabaseViewsTask": _create_database_views,
    "DeployConfigurationTask": _deploy_configuration,
    "InvokeSqlCommandTask": _invoke_sql_command,
}
