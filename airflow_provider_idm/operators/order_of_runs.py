"""Whether it is a dated run's turn: decided from the runs of the same DAG before and after it alone.

Days are applied from the earliest to the latest. A day waits until the day before it has been prepared and synchronized;
a backfill's day fails if that one failed, for a day that is left out could not be put in later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

from airflow_provider_idm.operators.condition import AWAITING_ANSWER, ENDED, FAILED, SKIPPED, SUCCESS

BACKFILL: Final = "backfill"
_ON_SCHEDULE: Final = frozenset({BACKFILL, "scheduled"})
_FARTHEST: Final = 200
"""How many runs are looked at, one after another."""


@dataclass(frozen=True, slots=True)
class DatedRun:
    """A run of the DAG, as Airflow knows it.

    :param date: its logical date; None if Airflow does not tell.
    :param type: ``backfill``, ``scheduled``, ``manual`` …
    :param state: ``queued``, ``running``, ``success`` or ``failed``.
    :param started: when it was last started; None if it has not been.
    :param cleared: whether it was started anew, by a person or a later backfill: its start then tells no order.
    :param is_dry: whether it was asked for a dry run, as far as its DAG offers one.
    """

    run_id: str
    date: datetime | None
    type: str
    state: str
    started: datetime | None = None
    cleared: bool = False
    is_dry: bool = False

    @property
    def is_backfill(self) -> bool:
        """Whether a backfill made it."""
        return self.type == BACKFILL

    @property
    def is_fresh(self) -> bool:
        """Whether a backfill made it and nobody started it anew: then its start tells the backfill's direction."""
        return self.is_backfill and not self.cleared

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.state in {"success", "failed"}


@dataclass(frozen=True, slots=True)
class DayTasks:
    """What became of the tasks of a run.

    :param states: of the connector's prepares and synchronizes; None for one that has not begun.
    :param others_failed: whether any other task of the run failed.
    :param has_looked: whether one of its tasks that wait for their turn, of any connector, has looked whether it is.
    """

    states: Mapping[str, str | None] = field(default_factory=dict)
    others_failed: bool = False
    has_looked: bool = False


class Runs(Protocol):
    """The runs of a DAG that have a logical date."""

    def before(self, run: DatedRun) -> DatedRun | None:
        """Return the run with the next earlier date, or None."""

    def after(self, run: DatedRun) -> DatedRun | None:
        """Return the run with the next later date of those that were started and have not succeeded, or None."""

    def tasks(self, run: DatedRun) -> DayTasks:
        """Return what became of a run's tasks."""

    def refused(self, run: DatedRun) -> frozenset[str]:
        """Return the runs that a run named when it was refused for having been started before them.

        The name is empty if Airflow did not tell it.
        """


class Verb(Enum):
    """What a task is to do."""

    RUN = "run"
    WAIT = "wait"
    """It takes as long as it takes: give the worker back."""
    LOOK_AGAIN = "look again"
    """It is a matter of seconds; if it is still so after half a minute, decide without patience."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a task is to do, and why.

    :param reason: a clause without a full stop.
    :param to_mend: of a failure: the run that must be mended first; None if it is the order of runs that is wrong.
    :param before: of a failure for a wrong order: the run that this one was started before, to be refused as well.
    """

    verb: Verb
    reason: str = ""
    to_mend: DatedRun | None = None
    before: str | None = None


_TURN: Final = Verdict(Verb.RUN)
_PASSED: Final = Verdict(Verb.RUN, "its turn has been, so that of all before it has")


def decide_turn(mine: DatedRun, runs: Runs, *, dated_folder: bool, patient: bool) -> Verdict:
    """Say whether it is a run's turn to read its sources.

    :param mine: a run that is dated and has begun.
    :param dated_folder: the folder of the sources is another one for every date, so that scheduled and manual runs are
        dated too; otherwise backfills alone are.
    :param patient: whether what may pass within seconds is given the time.
    """
    if verdict := _backwards(mine, runs):
        return verdict
    for run in _earlier(mine, runs, dated_folder=dated_folder):
        verdict = _look(mine, run, runs.tasks(run), patient=patient)
        if verdict is _PASSED:
            break
        if verdict.to_mend is not None:
            return _first_failed(verdict, run, runs, dated_folder=dated_folder)
        if verdict.verb is not Verb.RUN:
            return verdict
    return _refused_with_a_later_one(mine, runs)


# ------------------------------------------------------------------------------------------------ the runs before it


def _earlier(mine: DatedRun, runs: Runs, *, dated_folder: bool) -> Iterator[DatedRun]:
    run = runs.before(mine)
    for _ in range(_FARTHEST):
        if run is None:
            return
        if dated_folder or run.is_backfill:
            yield run
        run = runs.before(run)


def _look(mine: DatedRun, run: DatedRun, tasks: DayTasks, *, patient: bool) -> Verdict:
    """Say what an earlier run means: ``_PASSED`` if those before it need not be looked at, else ``RUN`` to go on."""
    if run.state == "queued":
        return _not_started(mine, run, patient=patient)
    pending = {name: state for name, state in tasks.states.items() if state not in ENDED}
    if pending and not run.has_ended:
        asks = all(state in AWAITING_ANSWER for state in pending.values())
        if asks and not (mine.is_backfill or run.is_backfill):
            return _TURN  # a night does not wait until somebody decided about the night before
        told = ", ".join(f"{name} {_in_words(state)}" for name, state in sorted(pending.items()))
        return Verdict(Verb.WAIT, f"{name_of(run)} comes first and has not ended: {told}")
    if _has_failed(run, tasks):
        if mine.is_backfill and run.type in _ON_SCHEDULE:
            return Verdict(Verb.FAIL, f"{name_of(run)}, which comes first, failed", to_mend=run)
        return _TURN
    return _PASSED if SUCCESS in tasks.states.values() else _TURN


def _not_started(mine: DatedRun, run: DatedRun, *, patient: bool) -> Verdict:
    reason = f"{name_of(run)} comes first and has not been started"
    if run.is_backfill and not mine.is_backfill:
        return Verdict(Verb.WAIT, reason)
    if patient:
        return Verdict(Verb.LOOK_AGAIN, reason)
    if mine.is_backfill:  # it may be this very run that keeps it from being started
        return Verdict(Verb.FAIL, f"{reason}, although {name_of(mine)} has", before=run.run_id)
    return _TURN


def _has_failed(run: DatedRun, tasks: DayTasks) -> bool:
    states = tasks.states.values()
    if any(state in FAILED for state in states):
        return True
    if run.state != "failed" or SUCCESS in states:
        return False
    # A run that was ended from outside (by a person, or for its time was over) leaves tasks skipped or not begun.
    return any(state not in ENDED for state in states) or (SKIPPED in states and not tasks.others_failed)


def _first_failed(verdict: Verdict, failed: DatedRun, runs: Runs, *, dated_folder: bool) -> Verdict:
    """Name the first of several days that failed one because of the other."""
    first = failed
    for run in _earlier(failed, runs, dated_folder=dated_folder):
        if run.type not in _ON_SCHEDULE or not _has_failed(run, runs.tasks(run)):
            break
        first = run
    if first is failed:
        return verdict
    reason = f"{name_of(first)}, which comes first, failed, and so did what came after it"
    return Verdict(Verb.FAIL, reason, to_mend=first)


# ------------------------------------------------------------------------------------------- a backfill's direction


def _backwards(mine: DatedRun, runs: Runs) -> Verdict | None:
    """Refuse a run whose backfill begins with the latest day.

    Airflow tells no direction, but starts a backfill's runs one after another: the next earlier day must have been
    started before this one.
    """
    earlier = _backfill_beside(mine, runs.before)
    if earlier is None or not _begun_before(mine, earlier):
        return None
    reason = f"{name_of(mine)} was started before {name_of(earlier)}: this backfill runs backwards"
    return Verdict(Verb.FAIL, reason, before=earlier.run_id)


def _refused_with_a_later_one(mine: DatedRun, runs: Runs) -> Verdict:
    """Refuse the earliest day of a backfill whose later days were refused: no earlier one shows that it is the last."""
    later = _backfill_beside(mine, runs.after)
    if later is None or not _begun_before(later, mine):
        return _TURN
    reason = f"{name_of(later)} was started before {name_of(mine)}"
    if runs.refused(later) & {mine.run_id, ""}:
        return Verdict(Verb.FAIL, f"{reason}: this backfill runs backwards")
    if not (later.has_ended or runs.tasks(later).has_looked):
        return Verdict(Verb.WAIT, f"{reason}, and may yet be refused for that")
    return _TURN


def _begun_before(later: DatedRun, earlier: DatedRun) -> bool:
    """Tell whether the run of the later of two days was started first, as far as their starts tell."""
    if not (later.is_fresh and earlier.is_fresh) or later.state == "queued" or later.started is None:
        return False
    return earlier.state == "queued" or earlier.started is None or later.started < earlier.started


def _backfill_beside(mine: DatedRun, beside: Callable[[DatedRun], DatedRun | None]) -> DatedRun | None:
    """Return the nearest run of a backfill before or after one of a backfill; None if starts tell nothing of it."""
    run = beside(mine) if mine.is_fresh else None
    for _ in range(_FARTHEST):
        if run is None or run.is_backfill:
            return run
        run = beside(run)
    return None


# ------------------------------------------------------------------------------------------------------------- words


def name_of(run: DatedRun) -> str:
    """Return what messages call a run: its day, or its moment, and its id."""
    if run.date is None:
        return "the run before it"
    return f"the run of {day_of(run.date)} ({run.run_id})"


def day_of(date: datetime) -> str:
    """Return a day, or a moment if it is not midnight in UTC."""
    moment = date.astimezone(UTC)
    return f"{moment:%Y-%m-%d}" if not (moment.hour or moment.minute or moment.second) else moment.isoformat()


def _in_words(state: str | None) -> str:
    if state in AWAITING_ANSWER:
        return "awaits a decision"
    if state is None or state == "scheduled":
        return "has not begun"
    return {"up_for_reschedule": "waits", "up_for_retry": "is to be retried"}.get(state, f"is {state}")
