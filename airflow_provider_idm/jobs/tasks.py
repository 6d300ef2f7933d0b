"""From a task element to the operator that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.jobs.plan import SYNCHRONIZE
from airflow_provider_idm.jobs.safeguards import Safeguards
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.set_recently_modified_flag import SetRecentlyModifiedFlagTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import TaskElement
    from airflow_provider_idm.jobs.plan import PlannedTask
    from airflow_provider_idm.operators.base import IdmOperator

_DEFAULTS = Safeguards()


@dataclass(frozen=True, slots=True)
class _Maker:
    """How an element becomes an operator: its class, and its parameters from the element's attributes."""

    operator: Callable[..., IdmOperator]
    parameters: Callable[[PlannedTask], dict[str, Any]]


def make_task(
    planned: PlannedTask, batch: Any, safeguards: Safeguards = _DEFAULTS, **common: Any
) -> IdmOperator:
    """Return the operator of a task.

    :param batch: the output of the prepare whose batch a synchronize takes, or None.
    :param safeguards: what a synchronize does about thresholds.
    :param common: parameters that every operator of the job gets.
    """
    maker = _MAKERS[planned.task.element]
    parameters = maker.parameters(planned)
    if planned.task.element == SYNCHRONIZE:
        parameters |= safeguards.of_synchronize(planned.connector)
    if batch is not None:
        parameters["batch"] = batch
    return maker.operator(
        task_id=planned.task_id,
        task_display_name=_display_name(planned.task) or planned.task_id,
        **parameters,
        **common,
    )


def _export(planned: PlannedTask) -> dict[str, Any]:
    task = planned.task
    return {
        "connection": task.get("Connection"),
        "connector": planned.connector,
        "skip_if_blocked": planned.skips_if_blocked,
        "ignore_cookie_file": task.get_bool("IgnoreCookieFile") or not planned.exports_changes,
        "init_mode": task.get_bool("InitMode"),
    }


def _prepare(planned: PlannedTask) -> dict[str, Any]:
    task = planned.task
    return {
        "connector": planned.connector,
        "synchronization_mode": task.get("SynchronizationMode"),
        "type": task.get("Type") or "None",
        "column_name": task.get("ColumnName") or "command",
        "skip_if_blocked": True
        if planned.skips_if_blocked
        else None,  # None: an Incremental is, whatever the job
        "sources_directory": task.get("SourcesDirectory"),
        "working_directory": task.get("WorkingDirectory"),
    }


def _synchronize(planned: PlannedTask) -> dict[str, Any]:
    task = planned.task
    return {
        "connector": planned.connector,
        "type": task.get("Type") or "None",
        "skip_if_blocked": planned.skips_if_blocked,
        "force_synchronization": task.get_bool("ForceSynchronization"),
        "orphans": task.get_bool("Orphans"),
        "do_not_delete_changes": task.get_bool("DoNotDeleteChanges"),
    }


def _set_recently_modified_flag(_: PlannedTask) -> dict[str, Any]:
    return {}


def _display_name(task: TaskElement) -> str | None:
    return next((task.display_names[language] for language in sorted(task.display_names)), None)


_MAKERS = {
    "ExportTask": _Maker(ExportTaskOperator, _export),
    "PrepareSynchronizationTask": _Maker(PrepareSynchronizationTaskOperator, _prepare),
    SYNCHRONIZE: _Maker(SynchronizeTaskOperator, _synchronize),
    "SetRecentlyModifiedFlagTask": _Maker(SetRecentlyModifiedFlagTaskOperator, _set_recently_modified_flag),
}
