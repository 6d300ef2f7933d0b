"""What a task run tells: who it is, and which date its sources have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.exchange.manifest import Origin

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SETTING = re.compile(r"\{\{-?\s*(?:var|conn)\.[^(){}|]*\}\}")


def origin(context: Mapping[str, Any]) -> Origin:
    """Return the task instance as the maker of a batch or of a synchronization."""
    from airflow_provider_idm.synchronization.exchange.manifest import Origin

    task = context["ti"]
    return Origin(job=task.dag_id, run=task.run_id, task=task.task_id, map_index=task.map_index)


def is_templated(folder: object) -> bool:
    """Tell whether a folder, as the DAG's author wrote it, is another one for every date.

    A plain variable or connection value (``{{ var.value.folder }}``) is a setting, the same for every run; another
    task's output says nothing of a date.
    """
    if not isinstance(folder, str):
        return False
    return any(not _SETTING.fullmatch(part) for part in _TEMPLATE.findall(folder))


def effective_date(context: Mapping[str, Any], *, dated_folder: bool) -> datetime | None:
    """Return the date that the run's sources have, or None if they are just the current state.

    Sources are dated in a backfill, and where their folder is templated. Their date is the run's logical date; a run
    triggered without one has the moment after which it was to run instead.

    :param dated_folder: whether the folder of the source files is templated.
    """
    run = context["dag_run"]
    if not dated_folder and _run_type(run) != "backfill":
        return None
    date: datetime | None = context.get("logical_date") or run.run_after
    return date


def _run_type(run: Any) -> str:
    return str(getattr(run.run_type, "value", run.run_type))
