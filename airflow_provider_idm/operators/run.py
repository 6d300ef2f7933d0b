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


def effective_date(
    context: Mapping[str, Any], *, dated_folder: bool, source_date: datetime | None = None
) -> datetime | None:
    """Return the date that the run's sources have, or None if they are just the current state.

    Sources are dated in a backfill, and where their folder is templated. Their date is the run's logical date; a run
    triggered without one has the moment after which it was to run instead.

    :param dated_folder: whether the folder of the source files is templated.
    :param source_date: the date that whoever triggered the run said they are of.
    """
    if source_date is not None:
        return source_date
    return run_date(context) if dated_folder or is_backfill(context) else None


def run_date(context: Mapping[str, Any]) -> datetime:
    """Return a run's logical date; without one, the moment after which it was to run."""
    date: datetime = context.get("logical_date") or context["dag_run"].run_after
    return date


def is_backfill(context: Mapping[str, Any]) -> bool:
    """Tell whether a run belongs to a backfill."""
    kind = context["dag_run"].run_type
    return str(getattr(kind, "value", kind)) == "backfill"


def dates_of(date: datetime) -> dict[str, Any]:
    """Return what templates know of a run with a logical date: ``ds``, ``ts`` …; the interval is that moment."""
    from airflow.sdk import timezone

    moment = timezone.convert_to_utc(date)
    ts = moment.isoformat()
    return {
        "logical_date": moment,
        "data_interval_start": moment,
        "data_interval_end": moment,
        "ds": f"{moment:%Y-%m-%d}",
        "ds_nodash": f"{moment:%Y%m%d}",
        "ts": ts,
        "ts_nodash": f"{moment:%Y%m%dT%H%M%S}",
        "ts_nodash_with_tz": ts.replace("-", "").replace(":", ""),
    }


def with_dates(context: Mapping[str, Any], source_date: datetime | None = None) -> Mapping[str, Any]:
    """Return a context for templates in which the dates of a run are never missing.

    A run triggered without a logical date has none of them. Templates then get those of the moment after which it was to
    run, as the batches are dated; with a source date, that date's.
    """
    if source_date is None and context.get("logical_date") is not None:
        return context
    return {**context, **dates_of(source_date or run_date(context))}
