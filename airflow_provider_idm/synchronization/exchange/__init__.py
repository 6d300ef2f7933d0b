"""Where prepare leaves batches and synchronize finds them: a folder, or any storage that fsspec reaches."""

from __future__ import annotations

from airflow_provider_idm.synchronization.exchange.batches import Batches
from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange
from airflow_provider_idm.synchronization.exchange.exchange import Exchange
from airflow_provider_idm.synchronization.exchange.hashing import sha256_of
from airflow_provider_idm.synchronization.exchange.identifiers import folder_name, new_batch_id
from airflow_provider_idm.synchronization.exchange.manifest import BatchFile, Manifest, Origin
from airflow_provider_idm.synchronization.exchange.notes import (
    ConnectorState,
    Finished,
    FinishedState,
    Readiness,
)
from airflow_provider_idm.synchronization.exchange.readiness import check_not_blocked

__all__ = [
    "BatchFile",
    "Batches",
    "ConnectorExchange",
    "ConnectorState",
    "Exchange",
    "Finished",
    "FinishedState",
    "Manifest",
    "Origin",
    "Readiness",
    "check_not_blocked",
    "folder_name",
    "new_batch_id",
    "sha256_of",
]
