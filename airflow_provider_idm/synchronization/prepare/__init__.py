"""From source files to a batch: convert, cleanse, sort, compare with the last extract, publish."""

from airflow_provider_idm.synchronization.prepare.effect import has_effect
from airflow_provider_idm.synchronization.prepare.invalid import InvalidValuesError
from airflow_provider_idm.synchronization.prepare.request import PrepareRequest, PrepareResult
from airflow_provider_idm.synchronization.prepare.run import prepare
from airflow_provider_idm.synchronization.prepare.source import SourceChangedError

__all__ = [
    "InvalidValuesError",
    "PrepareRequest",
    "PrepareResult",
    "SourceChangedError",
    "has_effect",
    "prepare",
]
