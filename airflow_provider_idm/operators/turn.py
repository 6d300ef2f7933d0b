"""A dated task waits for its run's turn, or fails where it would never come or days would be left out."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException, AirflowRescheduleException
from airflow_provider_idm.operators.earlier_runs import REFUSED_BEFORE, AirflowRuns, TurnTasks, dated_run
from airflow_provider_idm.operators.order_of_runs import DatedRun, Verb, Verdict, day_of, decide_turn
from airflow_provider_idm.operators.run import is_backfill

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.errors import ConnectorBlockedError
    from airflow_provider_idm.synchronization.exchange import ConnectorExchange

LOOK_AGAIN: Final = timedelta(seconds=10)
"""An executor may report the end of a process five seconds late; a task that runs again by then is taken for failed."""

PATIENCE: Final = 30.0
"""Seconds that something which should pass at once is given."""

_PAUSE: Final = 3.0

log = logging.getLogger(__name__)


def wait_for_turn(context: Context, connector: str) -> None:
    """Let a task that is to read dated sources of a connector go on if it is its run's turn.

    :raises AirflowRescheduleException: if an earlier run of the DAG has not yet prepared and synchronized the connector.
    :raises AirflowFailException: if that failed, or the backfill runs backwards; nothing has been read by then.
    """
    run = context["dag_run"]
    tasks = TurnTasks(context["dag"], connector)
    if run.logical_date is None or not (tasks.have_dated_folder or is_backfill(context)):
        return
    runs = AirflowRuns(context["ti"], tasks)
    mine = dated_run(run)
    end = time.monotonic() + PATIENCE
    while True:
        patient = time.monotonic() < end
        verdict = decide_turn(mine, runs, dated_folder=tasks.have_dated_folder, patient=patient)
        if verdict.verb is not Verb.LOOK_AGAIN:
            break
        log.info("Waiting for some seconds: %s.", verdict.reason)
        time.sleep(_PAUSE)
    _heed(verdict, mine, context)


def wait_for_decision(error: ConnectorBlockedError, channel: ConnectorExchange, context: Context) -> None:
    """Let a backfill's task wait where others are skipped: a day that is skipped would be left out.

    What awaits a decision in its own run it does not wait for: then nobody would be asked.

    :param error: that the connector is blocked.
    :raises AirflowRescheduleException: in a backfill.
    """
    if not is_backfill(context) or error.batch is None:
        return
    task: Any = context["ti"]
    try:
        origin = channel.manifest(error.batch).origin
    except ExchangeError:
        return
    if (origin.job, origin.run) != (task.dag_id, task.run_id):
        _wait(str(error).rstrip("."))


def _wait(reason: str) -> NoReturn:
    log.info("Waiting: %s.", reason)
    raise AirflowRescheduleException(datetime.now(UTC) + LOOK_AGAIN)  # type: ignore[no-untyped-call]


def _heed(verdict: Verdict, mine: DatedRun, context: Context) -> None:
    if verdict.verb is Verb.WAIT:
        _wait(verdict.reason)
    if verdict.verb is Verb.FAIL:
        task: Any = context["ti"]
        if verdict.before is not None and mine.is_fresh:
            task.xcom_push(key=REFUSED_BEFORE, value=verdict.before)
        raise AirflowFailException(_message(verdict, mine, task.dag_id))


def _message(verdict: Verdict, mine: DatedRun, dag: str) -> str:
    command = f"airflow backfill create --dag-id {dag}"
    if verdict.to_mend is None:
        return (
            f"{verdict.reason}. Days are applied from the earliest to the latest, so nothing was read and nothing "
            "changed. Create the backfill anew without --run-backwards, and with --reprocess-behavior failed: "
            f"{command} --from-date … --to-date … --reprocess-behavior failed. Where single runs were cleared, "
            "clear them again, the earliest first"
        )
    dates = (_argument(date) for date in (verdict.to_mend.date, mine.date) if date is not None)
    span = " ".join(
        f"{option} {date}" for option, date in zip(("--from-date", "--to-date"), dates, strict=True)
    )
    return (
        f"{verdict.reason}. A day that is left out cannot be put in later, so nothing of this day was read. Mend that "
        f"run, then do both again, in the order of their dates: {command} {span} --reprocess-behavior failed. To leave "
        "the day out, mark its failed tasks as successful instead, and clear this run"
    )


def _argument(date: datetime) -> str:
    text = day_of(date)
    return text if "T" in text else f"{text}T00:00:00+00:00"
