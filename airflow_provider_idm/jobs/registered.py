"""The operators that the author of a DAG file registered for task elements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException, AirflowSkipException
from airflow_provider_idm.jobs.plan import JobError
from airflow_provider_idm.operators.base import DEFAULT_CONN_ID, IdmOperator
from airflow_provider_idm.operators.predecessors import EFFECT, check_condition
from airflow_provider_idm.operators.run_options import check_run_options, read_run_options

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_idm.configuration.model import TaskElement
    from airflow_provider_idm.jobs.plan import PlannedTask

    TaskFactory = Callable[[TaskElement, DAG], BaseOperator]
    """Makes the operator of a registered element: it has the element's identifier as its task id."""

_DRY_RUN = "dry_run"


def registered_operator(
    factory: TaskFactory,
    planned: PlannedTask,
    dag: DAG,
    common: Mapping[str, Any],
    run_params: frozenset[str],
) -> BaseOperator:
    """Return the operator that an author's factory makes, made to keep the order and the conditions of the job.

    :param common: the ``queue``, ``executor`` and ``idm_conn_id`` that it gets, if it has none of its own.
    :param run_params: the params that a run of the DAG may be given.
    :raises JobError: if the factory does not make one.
    """
    operator = _made(factory, planned, dag)
    if "queue" in common and operator.queue == BaseOperator.queue:
        operator.queue = common["queue"]
    if "executor" in common and operator.executor is None:
        operator.executor = common["executor"]
    if isinstance(operator, IdmOperator):
        if operator.idm_conn_id == DEFAULT_CONN_ID:
            operator.idm_conn_id = common.get("idm_conn_id", DEFAULT_CONN_ID)
        operator.run_params = run_params
    operator.trigger_rule = planned.trigger_rule  # type: ignore[assignment]  # a text serves as well
    _check_first(operator, planned, run_params)
    return operator


def _made(factory: TaskFactory, planned: PlannedTask, dag: DAG) -> BaseOperator:
    task = planned.task
    place = f"{task.location}: {task.element} {task.identifier!r}"
    if task.identifier != planned.task_id:
        task = replace(task, identifier=planned.task_id)
    known = set(dag.task_ids)
    try:
        operator: object = factory(task, dag)
    except Exception as error:
        raise JobError(
            [f"{place}: what is registered for it failed: {type(error).__name__}: {error}"]
        ) from error
    if not isinstance(operator, BaseOperator):
        found = type(operator).__name__
        raise JobError([f"{place}: what is registered for it returned {found}, expected an operator"])
    if operator.task_id != planned.task_id:
        what = (
            f"what is registered for it made a task {operator.task_id!r}, expected the id {planned.task_id!r}"
        )
        raise JobError([f"{place}: {what}: give the operator task_id=task.identifier"])
    if not operator.has_dag():  # type: ignore[no-untyped-call]
        operator.dag = dag
    elif operator.dag is not dag:
        what = f"what is registered for it returned a task of the DAG {operator.dag.dag_id}"
        raise JobError([f"{place}: {what}, expected a new operator each time"])
    if others := sorted(set(dag.task_ids) - known - {planned.task_id}):
        what = f"what is registered for it made more tasks than one ({', '.join(others)})"
        raise JobError([f"{place}: {what}: the job would not know their place"])
    return operator


def _check_first(operator: BaseOperator, planned: PlannedTask, run_params: Collection[str]) -> None:
    """Have an operator that an author made check, when it begins, whether it is to run; but not when it resumes."""
    condition = planned.condition
    # An operator that has the param itself knows what a dry run is; our own do, and what does nothing may do so.
    knows = isinstance(operator, IdmOperator) or operator.inherits_from_empty_operator
    # Where the DAG offers no dry runs, one that was asked for all the same must not be done for real.
    is_checked = not (knows or _DRY_RUN in operator.params)
    if condition is None and not is_checked:
        return
    own = operator.execute

    def execute(context: Any) -> Any:
        if condition is not None:
            check_condition(condition, context)
        if is_checked and _is_dry_run(context, run_params):
            _skip_dry_run(operator, context)
        return own(context)

    vars(operator)["execute"] = execute
    if operator.inherits_from_empty_operator:  # else no worker would run it
        vars(operator)["inherits_from_empty_operator"] = False


def _is_dry_run(context: Any, run_params: Collection[str]) -> bool:
    options = read_run_options(context, run_params)
    try:
        check_run_options(context, run_params, options)
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from None
    return options.dry_run


def _skip_dry_run(operator: BaseOperator, context: Any) -> None:
    reason = (
        f"this run is a dry run, and whether {operator.task_type} changes anything is not known; one that has a param "
        "'dry_run' of its own runs, and reads there what to do"
    )
    operator.log.info("Skipped: %s.", reason)
    context["ti"].xcom_push(key=EFFECT, value=True)  # what comes next is to go on, as if it had been done
    raise AirflowSkipException(reason)
