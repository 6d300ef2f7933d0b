"""Backfills over dated extracts: days are applied in their order, whatever is asked of Airflow.

All are started at once, several runs at a time; each test looks at one of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pytest

from airflow_provider_idm.synchronization.exchange.manifest import Manifest
from tests.airflow.stack import Stack
from tests.system.past import Past, day, persons_of, place

DAYS = 8
ONE_LEFT = "id,name,since,manager\nP2,the last one,2020-01-01,\n"
NO_EXTRACT = "id;name\n"


class Pasts:
    """What the tests look at. What is begun later is begun once, by the first test that asks for it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.days = Past(stack, folder, "past_days")
        self.job = Past(stack, folder, "past_job")
        self.failing = Past(stack, folder, "past_failing")
        self.backwards = Past(stack, folder, "past_backwards")
        self.backwards_at_once = Past(stack, folder, "past_backwards_at_once")
        self.blocked = Past(stack, folder, "past_blocked", limits='MaximumDeletedLines="2"')
        self.beside = Past(stack, folder, "past_beside")
        self.undated = Past(stack, folder, "past_undated", dated=False)
        own = [self.days, self.failing, self.backwards, self.backwards_at_once, self.blocked, self.beside]
        place(stack, [*own, self.undated], self.job)
        for past in (*own, self.job):
            past.extracts(1, DAYS)
        self.job.extracts(30, 31)

    def begin(self) -> None:
        self.undated.extract(1)
        self.undated.wait_for_dag()
        self.undated.unpause()
        self.undated.trigger(None, "tonight")
        self.failing.extract(2, NO_EXTRACT)
        self.blocked.extract(2, ONE_LEFT)
        self.job.complete(1)
        backwards = ("--run-backwards", "--max-active-runs")
        begun = [
            (self.failing, 1, 4, "--max-active-runs", "3"),
            (self.days, 1, DAYS, "--max-active-runs", "3"),
            (self.blocked, 1, 3, "--max-active-runs", "3"),
            (self.beside, 1, 3, "--max-active-runs", "2"),
            (self.backwards, 1, 3, *backwards, "1"),
            (self.backwards_at_once, 1, 3, *backwards, "5"),
            (self.job, 2, 5, "--max-active-runs", "4"),
        ]
        with ThreadPoolExecutor(3) as shells:
            list(shells.map(lambda backfill: Past.backfill(*backfill), begun))
        self.beside.trigger(day(DAYS), "by_hand")

    @cached_property
    def mended(self) -> Past:
        """The failing one, once its day has been mended and it is done again."""
        assert self.failing.wait(4) == ["success", "failed", "failed", "failed"]
        self.failing.extract(2)
        return self.failing.backfill(1, 4, "--reprocess-behavior", "failed", "--max-active-runs", "3")

    @cached_property
    def reprocessed(self) -> tuple[Past, list[Manifest]]:
        """The first days done again, and the batches that there were before."""
        assert self.days.wait(DAYS) == ["success"] * DAYS
        before = self.days.manifests()
        return self.days.backfill(1, 3, "--reprocess-behavior", "completed", "--max-active-runs", "3"), before


@pytest.fixture(scope="module")
def pasts(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Pasts:
    pasts = Pasts(stack, tmp_path_factory.mktemp("pasts"))
    pasts.begin()
    return pasts


def days(*numbers: int) -> list[date]:
    return [day(number) for number in numbers]


def check_one_after_another(past: Past) -> None:
    """Check that a day was applied before the next one was prepared."""
    applied = past.applied()
    made = {manifest.batch: manifest.created_at for manifest in past.manifests()}
    assert [moment for _, moment, _ in applied] == sorted(moment for _, moment, _ in applied)
    for (_, _, finished), (following, _, _) in pairwise(applied):
        assert finished <= made[following]


def test_a_day_that_fails_stops_the_later_ones_and_says_what_to_mend(pasts: Pasts) -> None:
    assert pasts.failing.wait(4) == ["success", "failed", "failed", "failed"]
    assert pasts.failing.applied_days() == days(1)
    runs = pasts.failing.runs()
    assert runs[str(day(3))].tasks == {"prepare": "failed", "synchronize": "upstream_failed"}
    for number in (3, 4):
        told = pasts.failing.log(number)
        assert "the run of 2026-01-02 (" in told
        command = "airflow backfill create --dag-id past_failing --from-date 2026-01-02T00:00:00+00:00"
        assert f"{command} --to-date {day(number)}T00:00:00+00:00 --reprocess-behavior failed" in told
    assert pasts.mended


def test_days_are_applied_in_order_and_none_is_lost(pasts: Pasts) -> None:
    assert pasts.days.wait(DAYS) == ["success"] * DAYS

    assert pasts.days.applied_days() == days(*range(1, DAYS + 1))
    check_one_after_another(pasts.days)
    assert pasts.days.stored() == persons_of(DAYS)
    assert any("Waiting: the run of 2026-01-0" in pasts.days.log(n) for n in range(2, DAYS + 1))
    assert pasts.reprocessed


@pytest.mark.parametrize("name", ["backwards", "backwards_at_once"])
def test_a_backwards_backfill_is_refused_and_nothing_is_changed(pasts: Pasts, name: str) -> None:
    past: Past = getattr(pasts, name)

    assert past.wait(3) == ["failed"] * 3

    assert past.manifests() == []
    assert not (past.root / "repository.db").exists()
    for earlier, later in ((2, 3), (1, 2)):
        told = past.log(later)
        assert f"the run of {day(later)} (" in told
        assert f"was started before the run of {day(earlier)} (" in told
        assert "without --run-backwards" in told
    assert "this backfill runs backwards" in past.log(1)


def test_a_generated_job_makes_its_increments_in_order_and_the_schedules_run_comes_last(pasts: Pasts) -> None:
    assert pasts.job.wait(5) == ["success"] * 5

    *backfilled, scheduled = pasts.job.runs().values()
    assert [run.type for run in backfilled] == ["backfill"] * 4
    assert scheduled.type == "scheduled"
    *applied, last = pasts.job.applied_days()
    assert applied == days(1, 2, 3, 4, 5)
    assert last in days(30, 31)
    assert [manifest.mode.name for manifest in pasts.job.manifests()] == ["COMPLETE"] + ["INCREMENTAL"] * 5
    check_one_after_another(pasts.job)
    assert pasts.job.stored() == persons_of(last.day)


def test_days_after_a_blocked_one_wait_for_the_decision(pasts: Pasts) -> None:
    past = pasts.blocked
    past.stack.wait_for("the third day", lambda: "Waiting" in past.log(3))
    past.stack.wait_for(
        "that it says why", lambda: "2026-01-02" in past.log(3) and "awaits a decision" in past.log(3)
    )
    assert past.applied_days() == days(1)

    past.answer(2, "Resume")

    assert past.wait(3) == ["success"] * 3
    assert past.applied_days() == days(1, 2, 3)
    check_one_after_another(past)
    assert past.stored() == persons_of(3)


def test_a_dated_run_beside_a_backfill_waits_for_the_days_before_it(pasts: Pasts) -> None:
    assert pasts.beside.wait(4) == ["success"] * 4

    assert pasts.beside.runs()[str(day(DAYS))].type == "manual"
    assert pasts.beside.applied_days() == days(1, 2, 3, DAYS)
    check_one_after_another(pasts.beside)
    assert pasts.beside.stored() == persons_of(DAYS)


def test_a_backfill_of_days_before_todays_batch_is_refused_and_names_both_dates(pasts: Pasts) -> None:
    past = pasts.undated
    past.stack.wait_for("tonight's run", lambda: past.runs()["tonight"].state == "success")
    [tonight] = past.manifests()
    past.extract(1, ONE_LEFT)

    past.backfill(1, 2)

    past.wait(3)
    assert past.manifests() == [tonight]
    assert past.stored() == persons_of(1)
    told = past.log(1)
    assert "dated 2026-01-01T00:00:00+00:00, before the newest batch" in told
    assert tonight.effective_date.isoformat() in told
    assert "The folder of the source files is the same for every day" in told
    assert "the run of 2026-01-01 (" in past.log(2)


def test_a_mended_day_and_those_after_it_are_done_again(pasts: Pasts) -> None:
    assert pasts.mended.wait(4) == ["success"] * 4

    assert pasts.failing.applied_days() == days(1, 2, 3, 4)
    check_one_after_another(pasts.failing)
    assert pasts.failing.stored() == persons_of(4)


def test_days_that_were_applied_change_nothing_when_done_again(pasts: Pasts) -> None:
    past, before = pasts.reprocessed

    assert past.wait(DAYS) == ["success"] * DAYS

    assert past.manifests() == before
    assert past.applied_days() == days(*range(1, DAYS + 1))
    assert past.stored() == persons_of(DAYS)
