"""What became of the tasks that a task's condition names, as Airflow knows it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.hooks.airflow_exceptions import AirflowRescheduleException, AirflowSkipException
from airflow_provider_idm.operators.condition import SKIPPED, SUCCESS, Condition, Outcome, Verb, decide

if TYPE_CHECKING:
    from airflow.sdk import Context

EFFECT: Final = "has_effect"
"""Key of the XCom that tells whether a task had an effect; a task without it counts as having had one."""

STOPPED: Final = "stopped"
"""Key of the XCom of a skipped task: whether a failure or a block is why."""

LOOK_AGAIN: Final = timedelta(seconds=15)

log = logging.getLogger(__name__)


def check_condition(condition: Condition, context: Context) -> None:
    """Let a task go on if its condition is met.

    :raises AirflowSkipException: if it is not; the reason is logged, and kept for the tasks after it.
    :raises AirflowRescheduleException: if it cannot be told yet.
    """
    verdict = decide(condition, _outcomes(condition, context))
    if verdict.verb is Verb.WAIT:
        log.info("Waiting: %s.", verdict.reason)
        raise AirflowRescheduleException(datetime.now(UTC) + LOOK_AGAIN)  # type: ignore[no-untyped-call]
    if verdict.verb is Verb.SKIP:
        tell_stopped(context, stopped=verdict.stopped)
        log.info("Skipped: %s.", verdict.reason)
        raise AirflowSkipException(verdict.reason)


def tell_stopped(context: Context, *, stopped: bool) -> None:
    """Tell the tasks that depend on a skipped one why it was."""
    context["ti"].xcom_push(key=STOPPED, value=stopped)


def _outcomes(condition: Condition, context: Context) -> dict[str, Outcome]:
    task: Any = context["ti"]
    found = task.get_task_states(dag_id=task.dag_id, task_ids=condition.task_ids, run_ids=[task.run_id])
    states = {name: _text(state) for name, state in found.get(task.run_id, {}).items()}
    return {name: _outcome(task, name, states.get(name)) for name in condition.task_ids}


def _outcome(task: Any, name: str, state: str | None) -> Outcome:
    if state == SUCCESS:
        return Outcome(state, had_effect=task.xcom_pull(task_ids=name, key=EFFECT))
    if state == SKIPPED:
        stopped = task.xcom_pull(task_ids=name, key=STOPPED) is True
        return Outcome(state, had_effect=task.xcom_pull(task_ids=name, key=EFFECT), stopped=stopped)
    return Outcome(state)


def _text(state: Any) -> str | None:
    """Return a state as text: Airflow gives a text or a member of an enumeration."""
    return None if state is None else str(getattr(state, "value", state))
