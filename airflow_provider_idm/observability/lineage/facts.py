"""What a task knows of where its data comes from and where it goes: gathered while it runs, from what it does anyway."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_idm.observability.lineage.names import Name, file_name

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.exchange import Exchange
    from airflow_provider_idm.synchronization.exchange.manifest import Manifest
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

log = logging.getLogger(__name__)

_MOST_BATCHES = 20
"""Batches of one task whose manifests are read for the sake of lineage."""


@dataclass(slots=True)
class PrepareFacts:
    """What a prepare knows.

    :param sources: path or URL by table; None for a table in memory.
    :param batches: the connector's folder of the exchange.
    :param manifest: of the batch, once there is one.
    """

    mappings: ConnectorMappings
    sources: Mapping[str, str | None]
    batches: Name
    manifest: Manifest | None = None


@dataclass(slots=True)
class SynchronizeFacts:
    """What a synchronize knows.

    :param batches: the connector's folder of the exchange.
    :param repository: SQLAlchemy URL of the repository with its password, and ``schema`` its database schema.
    :param manifests: of the batches that it is to process, or has processed.
    :param result: what it did; None as long as that is nothing.
    """

    mappings: ConnectorMappings
    batches: Name
    repository: str = field(repr=False)
    schema: str | None
    idm_conn_id: str
    manifests: tuple[Manifest, ...] = ()
    result: SynchronizeResult | None = None

    def has_done(self, result: SynchronizeResult, exchange: Exchange) -> None:
        """Take what was done; it may have been more batches than the task's own. Those cancelled were not read."""
        batches = list(result.applied)
        if batches != [manifest.batch for manifest in self.manifests]:
            self.manifests = read_manifests(exchange, result.connector, batches) or self.manifests
        self.result = result


def batches_name(hook: IdmHook, connector: str) -> Name:
    """Return the name of a connector's folder in the exchange.

    A batch has a folder of its own in it. To OpenLineage all batches are versions of the same files: otherwise every
    run would have datasets of its own.
    """
    from airflow_provider_idm.synchronization.exchange import folder_name

    return file_name(hook.exchange_url).below(folder_name(connector))


def read_manifests(exchange: Exchange, connector: str, batches: Sequence[str] | None) -> tuple[Manifest, ...]:
    """Return the manifests of batches, as far as they can be read: nothing depends on them here.

    :param batches: their ids; None for those that are pending.
    """
    try:
        channel = exchange.channel(connector)
        if batches is None:
            return tuple(channel.unfinished()[-_MOST_BATCHES:])
        return tuple(channel.manifest(batch.strip().lower()) for batch in batches[-_MOST_BATCHES:])
    except Exception as error:  # noqa: BLE001  whatever the storage says, the task has its own reading of it
        log.debug("The manifests are not told to OpenLineage: %s", error)
        return ()
