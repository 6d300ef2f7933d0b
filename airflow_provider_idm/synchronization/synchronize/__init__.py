"""Synchronize: from a batch in the exchange to the identity repository.

``synchronize(request)`` processes a connector's pending batches; ``plan_synchronization(request)`` tells what that would
change, without doing it. A batch that exceeds a threshold blocks its connector until ``resume`` or ``reject`` decides;
``find_block`` tells what awaits a decision, ``read_decision`` what became of a batch, ``applied_by`` what a task did.
"""

from airflow_provider_idm.synchronization.synchronize.block import (
    Block,
    applied_by,
    find_block,
    read_decision,
)
from airflow_provider_idm.synchronization.synchronize.decide import reject, resume
from airflow_provider_idm.synchronization.synchronize.plan import Plan, plan_synchronization
from airflow_provider_idm.synchronization.synchronize.request import PlanRequest, SynchronizeRequest
from airflow_provider_idm.synchronization.synchronize.result import (
    AssociationCounts,
    BatchOutcome,
    EntityTypeCounts,
    ExceededThreshold,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.review import Change, ChangeGroup, Review
from airflow_provider_idm.synchronization.synchronize.run import synchronize

__all__ = [
    "AssociationCounts",
    "BatchOutcome",
    "Block",
    "Change",
    "ChangeGroup",
    "EntityTypeCounts",
    "ExceededThreshold",
    "Plan",
    "PlanRequest",
    "Review",
    "SynchronizeRequest",
    "SynchronizeResult",
    "applied_by",
    "find_block",
    "plan_synchronization",
    "read_decision",
    "reject",
    "resume",
    "synchronize",
]
