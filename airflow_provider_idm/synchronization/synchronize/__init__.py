"""Synchronize: from a batch in the exchange to the identity repository.

``synchronize(request)`` processes a connector's pending batches; ``plan_synchronization(request)`` tells what that would
change, without doing it.
"""

from airflow_provider_idm.synchronization.synchronize.plan import Plan, plan_synchronization
from airflow_provider_idm.synchronization.synchronize.request import PlanRequest, SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import (
    AssociationCounts,
    BatchOutcome,
    EntityTypeCounts,
    ExceededThreshold,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.run import synchronize

__all__ = [
    "AssociationCounts",
    "BatchOutcome",
    "EntityTypeCounts",
    "ExceededThreshold",
    "Plan",
    "PlanRequest",
    "SynchronizeRequest",
    "SynchronizeResult",
    "plan_synchronization",
    "synchronize",
]
