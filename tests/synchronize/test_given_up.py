"""Batches that can never be applied any more: they fail by themselves, and give way to a Complete behind them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import BatchCancelledError, ChainError, ExchangeError, SynchronizeError
from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.synchronize.scenario import FIRST, SECOND, THIRD, full, model_of

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

LOST = "01a20430-cd7a-7597-8000-000000000000"
Publish = Callable[[Harness], str]


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


HOPELESS: dict[str, tuple[Publish, type[SynchronizeError], str]] = {
    "lost base": (
        lambda h: h.publish(SECOND, "Incremental", dated=day(2), based_on=LOST),
        ChainError,
        f"leads on from batch {LOST}.*Run a Complete",
    ),
    "initial onto resources": (
        lambda h: h.publish(FIRST, "Initial", dated=day(2)),
        SynchronizeError,
        "holds 7 resources of HR already: use mode Complete",
    ),
    "other mappings": (
        lambda h: h.publish(FIRST, "Complete", dated=day(2), fingerprint="f" * 64),
        SynchronizeError,
        "prepared with other mappings",
    ),
}


@pytest.fixture
def filled(make_harness: MakeHarness) -> Harness:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete", dated=day(1)))
    return harness


@pytest.mark.parametrize("kind", HOPELESS)
def test_with_nothing_behind_it_it_fails_and_says_why(filled: Harness, kind: str) -> None:
    publish, error, message = HOPELESS[kind]
    batch = publish(filled)
    for asked in (batch, None):
        with pytest.raises(error, match=message) as raised:
            filled.synchronize(batch=asked)
        assert batch in str(raised.value)
    assert batch not in {row["Id"] for row in filled.table("UJ_Batches")}
    assert filled.snapshot() == expected_snapshot(model_of(FIRST))


@pytest.mark.parametrize(
    ("kind", "dated"),
    [
        ("lost base", day(3)),
        ("lost base", None),
        ("initial onto resources", day(3)),
        ("other mappings", None),
    ],
    ids=str,
)
def test_a_complete_behind_it_cancels_it_and_warns(
    filled: Harness, kind: str, dated: datetime | None
) -> None:
    batch = HOPELESS[kind][0](filled)
    complete = filled.publish(full("7/z/Only"), "Complete", dated=dated)

    result = filled.synchronize(batch=complete)

    assert [(b.id, b.state) for b in result.batches] == [(batch, "cancelled"), (complete, "applied")]
    assert [w for w in result.warnings if batch in w and "2026-01-02" in w and "cancelled" in w]
    assert filled.snapshot() == expected_snapshot(model_of(full("7/z/Only")))
    stored = {row["Id"]: (row["State"], row["ReplacedBy"]) for row in filled.table("UJ_Batches")}
    assert stored[batch] == ("cancelled", complete)
    note = filled.channel.finished()[batch]
    assert (note.state, note.replaced_by) == ("cancelled", complete)
    with pytest.raises(BatchCancelledError, match=complete):
        filled.synchronize(batch=batch)


def test_what_leads_on_from_it_goes_with_it(filled: Harness) -> None:
    filled.publish(SECOND, "Incremental", dated=day(2), based_on=LOST)
    filled.publish(THIRD, "Incremental", dated=day(3))
    complete = filled.publish(full("7/z/Only"), "Complete", dated=day(4))
    after = filled.publish(THIRD, "Incremental", dated=day(5))

    result = filled.synchronize()

    assert [b.state for b in result.batches] == ["cancelled", "cancelled", "applied", "applied"]
    assert [b.id for b in result.batches][2:] == [complete, after]
    assert filled.snapshot() == expected_snapshot(model_of(full("7/z/Only"), THIRD))


def test_what_can_be_applied_is_applied_all_the_same(filled: Harness) -> None:
    good = filled.publish(SECOND, "Incremental", dated=day(2))
    bad = filled.publish(FIRST, "Initial", dated=day(3))
    complete = filled.publish(full("7/z/Only"), "Complete", dated=day(4))

    result = filled.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [
        (good, "applied"),
        (bad, "cancelled"),
        (complete, "applied"),
    ]


def test_a_complete_that_is_not_asked_for_yet_saves_nothing(filled: Harness) -> None:
    publish, error, message = HOPELESS["lost base"]
    batch = publish(filled)
    filled.publish(full("7/z/Only"), "Complete", dated=day(3))
    with pytest.raises(error, match=message):
        filled.synchronize(batch=batch)


def test_a_plan_says_so_too(filled: Harness) -> None:
    batches = [HOPELESS[kind][0](filled) for kind in HOPELESS]
    complete = filled.publish(full("7/z/Only"), "Complete", dated=day(3))
    request = PlanRequest(
        mappings=filled.mappings, exchange=filled.exchange, repository=filled.repository, work=filled.work
    )

    with plan_synchronization(request) as planned:
        told = planned.result

    states = [*((batch, "cancelled") for batch in batches), (complete, "pending")]
    assert [(b.id, b.state) for b in told.batches] == states
    result = filled.synchronize()
    assert (told.entity_types, told.associations) == (result.entity_types, result.associations)


def test_a_damaged_batch_says_what_to_do_and_that_works(filled: Harness) -> None:
    damaged = filled.publish(SECOND, "Incremental", dated=day(2))
    folder = filled.exchange_folder / "HR" / damaged
    file = next(folder.glob("Person.sorted.*"))
    file.write_bytes(file.read_bytes()[:-3])
    complete = filled.publish(full("7/z/Only"), "Complete")

    with pytest.raises(ExchangeError) as raised:
        filled.synchronize(batch=complete)

    message = str(raised.value)
    assert damaged in message
    assert file.name in message
    assert "restore its folder in the exchange, or remove it" in message
    assert "run a Complete" in message
    assert filled.snapshot() == expected_snapshot(model_of(FIRST))

    shutil.rmtree(folder)

    assert filled.synchronize(batch=complete).state == "completed"
    assert filled.snapshot() == expected_snapshot(model_of(full("7/z/Only")))
