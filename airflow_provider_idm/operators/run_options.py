"""What whoever triggered a run of a generated DAG asked of it, beside what the job says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.operators.run import dates_of, is_backfill, run_date

AS_CONFIGURED: Final = "as configured"
"""Value of a param that leaves something to the job."""

_LEFT_TO_THE_JOB: Final = (None, False, "", AS_CONFIGURED)

PLACEHOLDERS: Final = ("ds", "ds_nodash", "ts_nodash")
"""What a folder that is given to a run may have in double braces: nothing else is filled in."""

_FILLED_IN: Final = rf"\{{\{{ ?({'|'.join(PLACEHOLDERS)}) ?\}}\}}"
FOLDER_PATTERN: Final = rf"^(/([^{{}}\x00-\x1f]|{_FILLED_IN})*)?$(?!\n)"
"""A folder that may be given to a run: absolute; empty means none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run was asked to do; by default, what the job says. Fields are called like the params of the DAG.

    :param dry_run: change nothing, and say what would change.
    :param force_synchronization: ignore the thresholds.
    :param allow_backwards: apply a batch although it is dated before the last one applied.
    :param orphans: save the rows of associations that match no resource.
    :param do_not_delete_changes: keep the change rows for SetRecentlyModifiedFlagTask.
    :param sources_directory: folder of the source files; ``PLACEHOLDERS`` in it are not filled in yet.
    :param source_date: what date the source files are of (midnight, UTC).
    :param ignore_cookie_file: export everything.
    :param on_invalid_value: ``fail`` or ``null``; None for what the job says.
    """

    dry_run: bool = False
    force_synchronization: bool = False
    allow_backwards: bool = False
    orphans: bool = False
    do_not_delete_changes: bool = False
    sources_directory: str | None = None
    source_date: datetime | None = None
    ignore_cookie_file: bool = False
    on_invalid_value: Literal["fail", "null"] | None = None
    _given: tuple[tuple[str, Any], ...] = field(default=(), repr=False)

    def told(self, names: Collection[str]) -> str:
        """Say which of some options were given: ``dry_run, source_date = 2026-11-01``; nothing if none was."""
        given = ((name, value) for name, value in self._given if name in names)
        return ", ".join(name if value is True else f"{name} = {value}" for name, value in given)

    def folder(self, context: Mapping[str, Any]) -> tuple[str, bool] | None:
        """Return the folder that the run was given, and whether it is another one for every date; None without one."""
        if self.sources_directory is None:
            return None
        dates = dates_of(self.source_date or run_date(context))
        folder, filled_in = re.subn(_FILLED_IN, lambda match: str(dates[match[1]]), self.sources_directory)
        return folder, filled_in > 0


NAMES: Final = tuple(option.name for option in fields(RunOptions) if not option.name.startswith("_"))
"""Names of all params."""

_NONE: Final = RunOptions()


def read_run_options(context: Mapping[str, Any], offered: Collection[str] | None) -> RunOptions:
    """Return what a run was asked to do, from its params.

    :param offered: names of the params that the DAG offers; None for a DAG of its author, whose params are its own.
    """
    if not offered:
        return _NONE
    params = context.get("params") or {}
    values = {name: params.get(name) for name in NAMES if name in offered}
    given = {name: value for name, value in values.items() if value not in _LEFT_TO_THE_JOB}
    options: dict[str, Any] = dict(given)
    if date := given.get("source_date"):
        options["source_date"] = datetime.fromisoformat(date).replace(tzinfo=UTC)
    return RunOptions(**options, _given=tuple(given.items()))


def check_run_options(
    context: Mapping[str, Any], offered: Collection[str] | None, options: RunOptions
) -> None:
    """Check that a run may be asked what it was asked.

    :raises ConfigurationError: if it was given what the DAG does not offer, what Airflow keeps from the tasks, or
        what it cannot do.
    """
    if offered is None:
        return
    if kept := list(_kept_from_tasks(context, offered)):
        raise ConfigurationError(
            f"This run was given {', '.join(kept)}, but this Airflow keeps params as the DAG has them; nothing was "
            "done. Set dag_run_conf_overrides_params = True in [core] of its configuration, also where tasks run."
        )
    if refused := list(_not_offered(context, offered)):
        raise ConfigurationError(
            f"This run was given {', '.join(refused)}, which this DAG does not offer; nothing was done. It offers "
            f"{', '.join(sorted(offered)) or 'no params'} (generate_dags(params=…)). Trigger a run without it."
        )
    date = options.source_date
    if date is not None and is_backfill(context):
        raise ConfigurationError(
            f"source_date = {date:%Y-%m-%d} was given to a backfill, whose runs have a date each: create it without "
            "source_date."
        )
    if date is not None and date > datetime.now(UTC) + timedelta(days=1):
        raise ConfigurationError(
            f"source_date = {date:%Y-%m-%d} lies in the future: what is dated so would keep everything from being "
            "prepared until then. Give the date that the source files are of."
        )
    if options.sources_directory and not re.match(FOLDER_PATTERN, options.sources_directory):
        raise ConfigurationError(
            f"sources_directory = {options.sources_directory!r} is no folder that a run may be given: expected an "
            f"absolute path; in braces only {', '.join(f'{{{{ {name} }}}}' for name in PLACEHOLDERS)} are filled in."
        )


def _kept_from_tasks(context: Mapping[str, Any], offered: Collection[str]) -> Iterable[str]:
    """Return the params that a run was given without Airflow letting its tasks know."""
    params = context.get("params") or {}
    return (name for name, value in _given(context).items() if name in offered and params.get(name) != value)


def _given(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run was given of the params of generated DAGs, apart from what leaves things to the job."""
    conf = getattr(context["dag_run"], "conf", None) or {}
    return {name: conf[name] for name in NAMES if conf.get(name) not in _LEFT_TO_THE_JOB}


def _not_offered(context: Mapping[str, Any], offered: Collection[str]) -> Iterable[str]:
    """Return the params of generated DAGs that a run was given although its DAG has no such params."""
    own = context["dag"].params
    return (name for name in _given(context) if name not in offered and name not in own)
