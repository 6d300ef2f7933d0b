"""What a task tells OpenLineage: where its data comes from, where it goes, and how much of it.

The facts are gathered while the task runs, from what it reads and writes anyway. OpenLineage's listener asks for them
when the task has ended, and only then is anything of OpenLineage imported: it need not be installed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_idm.operators.lineage_names import Name, file_name

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.exchange import Exchange
    from airflow_provider_idm.synchronization.exchange.manifest import Manifest
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

log = logging.getLogger(__name__)

_MOST_BATCHES = 20
"""Batches of one task whose manifests are read for the sake of lineage."""


class Facts(Protocol):
    """What a task knows."""

    def as_lineage(self, *, is_complete: bool) -> OperatorLineage[Any, Any]:
        """Return it in OpenLineage's terms; of a task that failed, only what it reads."""


class LineageMixin:
    """An operator that OpenLineage may ask."""

    lineage: Facts | None = None
    """What is known so far."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task read and wrote."""
        return self._lineage(is_complete=True)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task read, or was to read."""
        return self._lineage(is_complete=False)

    def _lineage(self, *, is_complete: bool) -> OperatorLineage[Any, Any]:
        from airflow.providers.openlineage.extractors import OperatorLineage

        if self.lineage is None:
            return OperatorLineage()
        return self.lineage.as_lineage(is_complete=is_complete)


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

    def as_lineage(self, *, is_complete: bool) -> OperatorLineage[Any, Any]:
        """Return source files → files of the batch."""
        from airflow_provider_idm.operators.lineage_facets import of_prepare

        return of_prepare(self, self.manifest if is_complete else None)


@dataclass(slots=True)
class SynchronizeFacts:
    """What a synchronize knows.

    :param batches: the connector's folder of the exchange.
    :param repository: SQLAlchemy URL of the repository, and ``schema`` its database schema.
    :param manifests: of the batches that it is to process, or has processed.
    :param result: what it did; None as long as that is nothing.
    """

    mappings: ConnectorMappings
    batches: Name
    repository: str
    schema: str | None
    idm_conn_id: str
    manifests: tuple[Manifest, ...] = ()
    result: SynchronizeResult | None = None

    def has_done(self, result: SynchronizeResult, exchange: Exchange) -> None:
        """Take what was done; it may have been more batches than the task's own."""
        batches = [batch.id for batch in result.batches]
        if batches != [manifest.batch for manifest in self.manifests]:
            self.manifests = read_manifests(exchange, result.connector, batches) or self.manifests
        self.result = result

    def as_lineage(self, *, is_complete: bool) -> OperatorLineage[Any, Any]:
        """Return files of the batches → tables of the repository."""
        from airflow_provider_idm.operators.lineage_facets import of_synchronize

        return of_synchronize(self, self.result if is_complete else None)


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
