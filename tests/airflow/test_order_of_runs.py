"""Whose turn it is: by a table of what the runs of a DAG came to, and in every way in which a scheduler may run days."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_idm.operators.order_of_runs import DatedRun, DayTasks, Verb, Verdict, decide_turn

pytestmark = pytest.mark.airflow

START = datetime(2026, 3, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DONE = {"prepare": "success", "synchronize": "success"}
SKIPPED = {"prepare": "skipped", "synchronize": "skipped"}
BROKEN = {"prepare": "failed", "synchronize": "upstream_failed"}
OPEN = {"prepare": "running", "synchronize": None}
ASKS = {"prepare": "success", "synchronize": "awaiting_input"}
NOT_BEGUN = {"prepare": None, "synchronize": None}


def a_day(
    number: int,
    state: str = "success",
    *,
    type_: str = "backfill",
    started: int | None = None,
    cleared: bool = False,
) -> DatedRun:
    """Return the run of a day of March, started so many seconds after noon: by default, one after another."""
    after = number if started is None else started
    moment = None if state == "queued" else NOON + timedelta(seconds=after)
    return DatedRun(f"r{number}", START + timedelta(days=number - 1), type_, state, moment, cleared)


@dataclass
class Known:
    """Runs as the rules see them (``Runs``)."""

    runs: list[tuple[DatedRun, dict[str, str | None]]]
    named: dict[str, str] = field(default_factory=dict)
    others_failed: bool = False

    def before(self, run: DatedRun) -> DatedRun | None:
        found = [other for other, _ in self.runs if other.date < run.date]
        return max(found, key=lambda other: other.date, default=None)

    def after(self, run: DatedRun) -> DatedRun | None:
        begun = (other for other, _ in self.runs if other.state in {"running", "failed"})
        return min((o for o in begun if o.date > run.date), key=lambda other: other.date, default=None)

    def tasks(self, run: DatedRun) -> DayTasks:
        states = next(tasks for other, tasks in self.runs if other == run)
        return DayTasks(states, self.others_failed, not {None, "running"}.issuperset(states.values()))

    def refused(self, run: DatedRun) -> frozenset[str]:
        return frozenset({self.named[run.run_id]} if run.run_id in self.named else ())


def turn(
    mine: DatedRun, *others: Any, dated_folder: bool = True, patient: bool = True, **more: Any
) -> Verdict:
    return decide_turn(mine, Known(list(others), **more), dated_folder=dated_folder, patient=patient)


NIGHT = {"type_": "scheduled"}
BY_HAND = {"type_": "manual"}


@pytest.mark.parametrize(
    ("mine", "others", "verb"),
    [
        pytest.param(a_day(5, "running"), [], Verb.RUN, id="nothing before it"),
        pytest.param(a_day(5, "running"), [(a_day(4), DONE)], Verb.RUN, id="the day before is done"),
        pytest.param(a_day(5, "running"), [(a_day(4), SKIPPED)], Verb.RUN, id="there was nothing to do"),
        pytest.param(a_day(5, "running"), [(a_day(4, "running"), DONE)], Verb.RUN, id="other tasks go on"),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "running"), OPEN)], Verb.WAIT, id="the day before goes on"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "running"), NOT_BEGUN)], Verb.WAIT, id="it has not begun"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "running"), ASKS)], Verb.WAIT, id="it awaits a decision"
        ),
        pytest.param(a_day(5, "running"), [(a_day(4, "failed"), BROKEN)], Verb.FAIL, id="it failed"),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "running"), BROKEN)], Verb.FAIL, id="it is about to fail"
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4, "success"), {"prepare": "success", "synchronize": "failed"})],
            Verb.FAIL,
            id="its failure was not the run's",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4), SKIPPED), (a_day(3, "running"), OPEN)],
            Verb.WAIT,
            id="one day further",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4), DONE), (a_day(3, "running"), OPEN)],
            Verb.RUN,
            id="its turn had been",
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "failed"), NOT_BEGUN)], Verb.FAIL, id="it was cancelled"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "failed"), SKIPPED)], Verb.FAIL, id="it was ended by force"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4), {})], Verb.RUN, id="the DAG did not have the tasks then"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "failed", **NIGHT), BROKEN)], Verb.FAIL, id="a night failed"
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "failed", **BY_HAND), BROKEN)], Verb.RUN, id="a trial failed"
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4, "failed", **BY_HAND), BROKEN), (a_day(3, "running"), OPEN)],
            Verb.WAIT,
            id="a trial failed beside the day before",
        ),
        pytest.param(
            a_day(5, "running", **NIGHT), [(a_day(4, "failed"), BROKEN)], Verb.RUN, id="nights go on"
        ),
        pytest.param(
            a_day(5, "running", **NIGHT), [(a_day(4, "running", **NIGHT), OPEN)], Verb.WAIT, id="a long night"
        ),
        pytest.param(
            a_day(5, "running", **NIGHT),
            [(a_day(4, "running", **NIGHT), ASKS)],
            Verb.RUN,
            id="a blocked night",
        ),
        pytest.param(
            a_day(5, "running", **NIGHT), [(a_day(4, "running"), ASKS)], Verb.WAIT, id="a blocked day"
        ),
        pytest.param(
            a_day(5, "running", **NIGHT),
            [(a_day(4, "queued"), NOT_BEGUN)],
            Verb.WAIT,
            id="a backfill under way",
        ),
        pytest.param(
            a_day(5, "running", **NIGHT),
            [(a_day(4, "queued", **NIGHT), NOT_BEGUN)],
            Verb.LOOK_AGAIN,
            id="a night not started",
        ),
        pytest.param(
            a_day(5, "running"), [(a_day(4, "queued"), NOT_BEGUN)], Verb.FAIL, id="started before it"
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4, "running", started=9), OPEN)],
            Verb.FAIL,
            id="started just before it",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4, "failed", started=9), BROKEN)],
            Verb.FAIL,
            id="started, failed since",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(4, "queued", cleared=True), NOT_BEGUN)],
            Verb.LOOK_AGAIN,
            id="cleared, and not yet started",
        ),
        pytest.param(
            a_day(5, "running", cleared=True),
            [(a_day(4, "running", started=9), OPEN)],
            Verb.WAIT,
            id="cleared before the day before it was",
        ),
        pytest.param(a_day(5, "running"), [(a_day(6, "queued"), NOT_BEGUN)], Verb.RUN, id="later days"),
        pytest.param(
            a_day(5, "running"),
            [(a_day(6, "running", started=9), NOT_BEGUN)],
            Verb.RUN,
            id="later days, started",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(6, "failed", started=1), BROKEN)],
            Verb.RUN,
            id="a later one by itself",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(6, "running", started=1), NOT_BEGUN)],
            Verb.WAIT,
            id="a later one that may yet be refused",
        ),
        pytest.param(
            a_day(5, "running"),
            [(a_day(6, "running", started=1), {"prepare": "up_for_reschedule", "synchronize": None})],
            Verb.RUN,
            id="a later one that waits",
        ),
    ],
)
def test_whose_turn_it_is(mine: DatedRun, others: list[Any], verb: Verb) -> None:
    assert turn(mine, *others).verb is verb


@pytest.mark.parametrize(
    ("mine", "others", "verb"),
    [
        (a_day(5, "running"), [(a_day(4, "queued", cleared=True), NOT_BEGUN)], Verb.FAIL),
        (a_day(5, "running"), [(a_day(4, "queued", **NIGHT), NOT_BEGUN)], Verb.FAIL),
        (a_day(5, "running", **NIGHT), [(a_day(4, "queued", **NIGHT), NOT_BEGUN)], Verb.RUN),
        (a_day(5, "running", **NIGHT), [(a_day(4, "queued"), NOT_BEGUN)], Verb.WAIT),
    ],
)
def test_patience_ends(mine: DatedRun, others: list[Any], verb: Verb) -> None:
    assert turn(mine, *others, patient=False).verb is verb


def test_without_a_dated_folder_only_days_of_backfills_count() -> None:
    others = [(a_day(4, "running", **BY_HAND), OPEN), (a_day(3, "running"), OPEN)]

    assert turn(a_day(5, "running"), *others[:1], dated_folder=False).verb is Verb.RUN
    verdict = turn(a_day(5, "running"), *others, dated_folder=False)
    assert verdict.verb is Verb.WAIT
    assert verdict.reason == (
        "the run of 2026-03-03 (r3) comes first and has not ended: prepare is running, synchronize has not begun"
    )


def test_a_task_of_another_connector_may_be_why_the_run_failed() -> None:
    assert turn(a_day(5, "running"), (a_day(4, "failed"), SKIPPED), others_failed=True).verb is Verb.RUN


def test_the_first_of_the_days_that_failed_is_the_one_to_mend() -> None:
    failed = [(a_day(number, "failed"), BROKEN) for number in (2, 3, 4)]

    verdict = turn(a_day(5, "running"), (a_day(1), DONE), *failed)

    assert verdict.verb is Verb.FAIL
    assert verdict.to_mend == a_day(2, "failed")
    assert "the run of 2026-03-02 (r2), which comes first, failed" in verdict.reason


def test_the_earliest_day_of_a_refused_backfill_is_refused_with_it() -> None:
    """It alone has no day before it to tell by; a run of that date that is made later is none of that backfill."""
    later = (a_day(6, "failed", started=1), BROKEN)

    assert turn(a_day(5, "running"), later, named={"r6": "r5"}).verb is Verb.FAIL
    assert turn(a_day(5, "running"), later, named={"r6": "another"}).verb is Verb.RUN
    assert turn(a_day(5, "running", cleared=True), later, named={"r6": "r5"}).verb is Verb.RUN


def test_moments_are_told_where_days_are_not_enough() -> None:
    hourly = replace(a_day(4, "queued"), date=START.replace(hour=4, minute=30))

    assert (
        "the run of 2026-03-01T04:30:00+00:00 (r4)" in turn(a_day(5, "running"), (hourly, NOT_BEGUN)).reason
    )


# ---------------------------------------------------------------------------------------------------- every way to run


class Scheduler:
    """A scheduler and a repository: what happens in which order is drawn by the test.

    :param order: the days in the order in which the scheduler starts them.
    :param at_once: how many runs there may be at once.
    :param broken: days that fail.
    """

    def __init__(self, order: list[int], at_once: int, broken: set[int]) -> None:
        self.waiting = list(order)
        self.at_once = at_once
        self.broken = broken
        self.clock = 0
        self.runs = {day: a_day(day, "queued") for day in order}
        self.tasks: dict[int, dict[str, str | None]] = {day: dict(NOT_BEGUN) for day in order}
        self.named: dict[str, str] = {}
        self.begun: set[int] = set()
        self.applied: list[int] = []
        self.in_hand: list[int] = []

    @property
    def running(self) -> list[int]:
        return [day for day, run in self.runs.items() if run.state == "running"]

    def steps(self) -> list[tuple[str, int]]:
        """Return what may happen next."""
        starts = [("start", self.waiting[0])] if self.waiting and len(self.running) < self.at_once else []
        return starts + [("work", day) for day in self.running]

    def do(self, what: str, day: int) -> None:
        self.clock += 1
        if what == "start":
            self.waiting.remove(day)
            self.runs[day] = a_day(day, "running", started=self.clock, cleared=self.runs[day].cleared)
        elif day not in self.begun:
            self.ask(day)
        elif self.tasks[day]["prepare"] == "running":
            self.tasks[day]["prepare"] = "success"
        elif self.tasks[day]["synchronize"] is None:
            self.tasks[day]["synchronize"] = "running"
        else:
            self.tasks[day]["synchronize"] = "success"
            self.applied.append(day)
            self.end(day, "success")

    def ask(self, day: int) -> None:
        """Let the prepare of a day look whether it is its turn."""
        known = Known([(run, self.tasks[n]) for n, run in self.runs.items()], self.named)
        patient = any(what == "start" for what, _ in self.steps())
        verdict = decide_turn(self.runs[day], known, dated_folder=False, patient=patient)
        if verdict.verb is Verb.FAIL:
            if verdict.before is not None:
                self.named[f"r{day}"] = verdict.before
            self.fail(day)
        elif verdict.verb is not Verb.RUN:
            self.tasks[day]["prepare"] = "up_for_reschedule"
        elif day in self.broken:
            self.fail(day)
        else:
            assert not [n for n in self.begun if self.runs[n].state == "running"], "two days at once"
            self.begun.add(day)
            self.tasks[day]["prepare"] = "running"

    def clear(self, days: list[int]) -> None:
        """Let runs be started anew, in this order."""
        self.waiting.extend(days)
        for day in days:
            self.runs[day] = a_day(day, "queued", cleared=True)
            self.tasks[day] = dict(NOT_BEGUN)
            self.begun.discard(day)

    def fail(self, day: int) -> None:
        self.tasks[day] = dict(BROKEN)
        self.end(day, "failed")

    def end(self, day: int, state: str) -> None:
        self.runs[day] = replace(self.runs[day], state=state)


def run_to_the_end(scheduler: Scheduler, data: st.DataObject) -> None:
    for _ in range(1000):
        steps = scheduler.steps()
        if not steps:
            return
        scheduler.do(*data.draw(st.sampled_from(steps)))
    fair = 0
    while steps := scheduler.steps():  # whoever was drawn seldom has a turn too
        scheduler.do(*steps[fair % len(steps)])
        fair += 1
        assert fair < 1000, "nothing goes on"


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_days_are_applied_in_order_and_none_is_lost(data: st.DataObject, days: int, at_once: int) -> None:
    scheduler = Scheduler(list(range(1, days + 1)), at_once, broken=set())

    run_to_the_end(scheduler, data)

    assert scheduler.applied == list(range(1, days + 1))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_a_day_that_fails_stops_those_after_it_alone(data: st.DataObject, days: int, at_once: int) -> None:
    broken = data.draw(st.integers(1, days))
    scheduler = Scheduler(list(range(1, days + 1)), at_once, broken={broken})

    run_to_the_end(scheduler, data)

    assert scheduler.applied == list(range(1, broken))
    assert [run.state for run in scheduler.runs.values()] == ["success"] * (broken - 1) + ["failed"] * (
        days - broken + 1
    )


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(2, 6), st.integers(1, 4))
def test_a_backwards_backfill_applies_nothing(data: st.DataObject, days: int, at_once: int) -> None:
    scheduler = Scheduler(list(range(days, 0, -1)), at_once, broken=set())

    run_to_the_end(scheduler, data)

    assert scheduler.applied == []
    assert {run.state for run in scheduler.runs.values()} == {"failed"}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_a_mended_day_and_those_after_it_are_applied_in_order(
    data: st.DataObject, days: int, at_once: int
) -> None:
    scheduler = Scheduler(list(range(1, days + 1)), at_once, broken={data.draw(st.integers(1, days))})
    run_to_the_end(scheduler, data)

    scheduler.broken = set()
    scheduler.clear([day for day, run in scheduler.runs.items() if run.state == "failed"])
    run_to_the_end(scheduler, data)

    assert scheduler.applied == list(range(1, days + 1))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(2, 6), st.integers(1, 4))
def test_days_cleared_in_any_order_are_never_applied_before_one_that_failed(
    data: st.DataObject, days: int, at_once: int
) -> None:
    """Some fail again; but what is applied is always the days from the first on."""
    scheduler = Scheduler(list(range(1, days + 1)), at_once, broken={data.draw(st.integers(1, days))})
    run_to_the_end(scheduler, data)

    scheduler.broken = set()
    for _ in range(days):
        failed = [day for day, run in scheduler.runs.items() if run.state == "failed"]
        scheduler.clear(data.draw(st.permutations(failed)))
        run_to_the_end(scheduler, data)

    assert scheduler.applied == list(range(1, len(scheduler.applied) + 1))
