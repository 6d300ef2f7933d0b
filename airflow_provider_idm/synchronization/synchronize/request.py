"""What a synchronization and a plan are asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.exchange.manifest import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SynchronizeRequest:
    """One SynchronizeTask.

    :param batch: the batch its prepare made; earlier pending ones are processed before it. None for all pending ones.
    :param type: must be the type its batch was prepared with; None takes the batch's own.
    :param force: ignore the thresholds for its own batch.
    :param orphans: save orphans to ``<association>.orphans.csv``.
    :param do_not_delete_changes: keep the change rows (SetRecentlyModifiedFlagTask needs them).
    :param allow_backwards: apply a batch that is dated before the last applied one.
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
    origin: Origin = field(default_factory=Origin)
    memory_limit: str = "1GB"
    lock_timeout: float = 600.0


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
    memory_limit: str = "1GB"
