"""Airflow's exceptions, from where the installed version keeps them."""

from __future__ import annotations

try:  # since Airflow 3.2
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSkipException,
        TaskDeferred,
    )
except ImportError:
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSkipException,
        TaskDeferred,
    )

try:  # since Airflow 3.3
    from airflow.sdk.exceptions import TaskAwaitingInput
except ImportError:
    TaskAwaitingInput = None  # type: ignore[misc,assignment]

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSkipException",
    "TaskAwaitingInput",
    "TaskDeferred",
]
