"""Whether a prepare gives its synchronize anything to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.enums import SynchronizationMode

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange
    from airflow_provider_idm.synchronization.exchange.manifest import Manifest


def has_effect(manifest: Manifest, channel: ConnectorExchange) -> bool:
    """Tell whether a batch is worth synchronizing: it has changes, or an earlier one is not processed yet.

    Only an Incremental can have no changes: what a Complete changes is for the synchronize to find.

    :param manifest: of the batch.
    :param channel: of its connector, where the server notes which batches are done.
    """
    if manifest.mode is not SynchronizationMode.INCREMENTAL or any(file.rows for file in manifest.files):
        return True
    return any(
        earlier.order < manifest.order
        for earlier in channel.unfinished()
        if earlier.batch != manifest.batch and not earlier.plan_only
    )
