"""What a synchronization and a plan are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from airflow_provider_idm.engine import MEMORY_LIMIT
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.exchange.manifest import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SynchronizeRequest:
    """One SynchronizeTask.

    :param batch: the batch its prepare made; earlier pending ones are processed before it. None for all pending ones,
        of which the newest then counts as its own.
    :param type: must be the type its batch was prepared with; None takes the batch's own.
    :param force: ignore the thresholds for its own batch.
    :param orphans: save orphans to ``<association>.orphans.csv``.
    :param do_not_delete_changes: keep the change rows (SetRecentlyModifiedFlagTask needs them).
    :param allow_backwards: apply a batch that is dated before the last applied one.
    :param history: keep the former versions of what is changed or deleted.
    :param rolling: limits over the last days, beside those of the configuration.
    :param origin: the task instance, for the record.
    :param memory_limit: what DuckDB may take, e.g. ``1GB``.
    :param lock_timeout: seconds to wait for another synchronization of the connector.
    """

    mappings: ConnectorMappings
    exchange: Exchange
    repository: Repository
    work: Path
    batch: str | None = None
    type: SourceType | None = None
    force: bool = False
    orphans: bool = False
    do_not_delete_changes: bool = False
    allow_backwards: bool = False
    history: bool = True
    rolling: RollingWindow | None = None
    origin: Origin = field(default_factory=Origin)
    memory_limit: str = MEMORY_LIMIT
    lock_timeout: float = 600.0


PLAN: Final = "plan-"
"""How the work folders of plans begin."""
_FLAGS: Final = ("orphans", "do_not_delete_changes", "allow_backwards")


def remember_options(request: SynchronizeRequest) -> dict[str, Any]:
    """Return, as JSON takes it, what a blocked batch is to be applied with when a person resumes it."""
    rolling = asdict(request.rolling) if request.rolling else None
    flags = {name: getattr(request, name) for name in _FLAGS}
    return flags | {"history": request.history, "rolling": rolling}


def recall_options(request: SynchronizeRequest, options: Mapping[str, Any]) -> SynchronizeRequest:
    """Return the request of a decision with what was remembered added to it."""
    flags: dict[str, Any] = {n: getattr(request, n) or bool(options.get(n)) for n in _FLAGS}
    history = request.history and bool(options.get("history", True))
    return replace(request, rolling=request.rolling or remembered_window(options), history=history, **flags)


def remembered_window(options: Mapping[str, Any]) -> RollingWindow | None:
    """Return the limits over the last days that a batch was blocked with, or None."""
    known = options.get("rolling")
    if not known:
        return None
    limits = {n: Thresholds(**known[n]) for n in ("resource_thresholds", "link_thresholds")}
    return RollingWindow(days=known["days"], **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What synchronizing would change; parameters as in ``SynchronizeRequest``.

    :param batch: the batch to plan (a plan-only one too); None for all pending ones.
    """

    mappings: ConnectorMappings
    exchange: Exchange
    repository: Repository
    work: Path
    batch: str | None = None
    type: SourceType | None = None
    allow_backwards: bool = False
    force: bool = False
    rolling: RollingWindow | None = None
    memory_limit: str = MEMORY_LIMIT
