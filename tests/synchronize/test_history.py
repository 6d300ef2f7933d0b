"""Synchronizing after a long history: the exchange's index tells what is done, the repository decides."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, Exchange
from airflow_provider_idm.synchronization.exchange.batches import BEHIND
from tests.failing_storage import FailingFileSystem
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.synchronize.scenario import FIRST, SECOND, THIRD, full, model_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.synchronize.conftest import MakeHarness


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def index(harness: Harness) -> Path:
    return harness.exchange_folder / "HR" / "index.txt"


def indexed(harness: Harness) -> set[str]:
    return {batch for batch in harness.channel.finished() if batch in index(harness).read_text()}


def fill(harness: Harness) -> list[str]:
    """Apply batches until they are in the index."""
    made = [harness.publish(full("7/z/Only"), "Complete", dated=day(n + 1)) for n in range(BEHIND - 1)]
    made.append(harness.publish(FIRST, "Complete", dated=day(BEHIND)))
    harness.synchronize()
    assert not index(harness).exists()
    harness.synchronize()
    assert indexed(harness) == set(made)
    return made


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


def test_what_comes_after_is_applied_in_order(harness: Harness) -> None:
    made = fill(harness)
    third_first = harness.publish(SECOND, "Incremental", dated=day(20), based_on=made[-1])
    second = harness.publish(THIRD, "Incremental", dated=day(21))

    result = harness.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [(third_first, "applied"), (second, "applied")]
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND, THIRD))
    assert harness.synchronize(batch=made[0]).already_applied


def test_an_old_batch_that_was_damaged_stops_nothing_but_a_pending_one_does(harness: Harness) -> None:
    made = fill(harness)
    (harness.exchange_folder / "HR" / made[1] / "manifest.json").write_text("{")
    after = harness.publish(SECOND, "Incremental", dated=day(20))
    with harness.plan() as plan:
        assert [b.id for b in plan.result.batches] == [after]
    assert harness.synchronize().state == "completed"

    damaged = harness.publish(THIRD, "Incremental", dated=day(21))
    (harness.exchange_folder / "HR" / damaged / "manifest.json").write_text("{")
    behind = harness.publish(full("7/z/Only"), "Complete", dated=day(22))
    for asked in (None, behind):
        with pytest.raises(ExchangeError, match=f"{damaged}/manifest.json is not a manifest"):
            harness.synchronize(batch=asked)
    with pytest.raises(ExchangeError, match=damaged):
        harness.plan()
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


@pytest.mark.parametrize("damage", ["gone", "cut off", "of an earlier day"])
def test_an_index_that_is_not_up_to_date_is_written_anew(harness: Harness, damage: str) -> None:
    made = fill(harness)
    early = index(harness).read_bytes()
    for number in range(BEHIND):
        made.append(harness.publish(full("7/z/Only"), "Complete", dated=day(20 + number // 4)))
    harness.synchronize()
    match damage:
        case "gone":
            index(harness).unlink()
        case "cut off":
            index(harness).write_bytes(early[:-100])
        case _:
            assert index(harness).read_bytes() == early

    harness.synchronize()

    assert indexed(harness) == set(made)
    assert harness.synchronize().state == "nothing"


def test_a_lost_note_is_written_before_its_batch_is_indexed(harness: Harness) -> None:
    made = fill(harness)
    more = [harness.publish(full("7/z/Only"), "Complete", dated=day(20)) for _ in range(BEHIND)]
    harness.synchronize()
    (harness.exchange_folder / "HR" / more[0] / "finished.json").unlink()

    harness.synchronize()
    assert set(harness.channel.finished()) == {*made, *more}
    assert indexed(harness) == set(made)
    harness.synchronize()
    assert indexed(harness) == {*made, *more}


def test_a_repository_that_knows_nothing_of_it_applies_it_all(make_harness: MakeHarness) -> None:
    """As one that was restored from a backup, or made anew: what the exchange says is done is not done there."""
    first, second = make_harness(HR), make_harness(HR, apart=True)
    made = fill(first)
    second.exchange = first.exchange

    result = second.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [(batch, "applied") for batch in made]
    assert second.snapshot() == first.snapshot() == expected_snapshot(model_of(FIRST))
    assert second.synchronize().state == "nothing"


def test_retention_takes_old_batches_away(harness: Harness) -> None:
    made = fill(harness)
    for batch in made[:-1]:
        shutil.rmtree(harness.exchange_folder / "HR" / batch)
    after = harness.publish(SECOND, "Incremental", dated=day(20), based_on=made[-1])

    assert [b.id for b in harness.synchronize().batches] == [after]
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    assert harness.synchronize(batch=after).already_applied


def test_an_index_that_cannot_be_written_is_a_warning(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ExchangeUnavailableError("the storage is full")

    monkeypatch.setattr(ConnectorExchange, "write_index", refuse)
    for number in range(BEHIND):
        harness.publish(full("7/z/Only"), "Complete", dated=day(number + 1))
    harness.synchronize()
    last = harness.publish(FIRST, "Complete", dated=day(20))

    result = harness.synchronize()

    assert [(b.id, b.state) for b in result.batches] == [(last, "applied")]
    assert "the index of the batches of HR is not up to date: the storage is full" in caplog.messages


def test_the_calls_to_the_storage_do_not_grow_with_what_is_done(harness: Harness) -> None:
    storage = FailingFileSystem()
    harness.exchange = Exchange(storage, f"/{harness.folder}")
    harness.channel = harness.exchange.channel("HR")

    def calls_of_a_synchronization() -> int:
        batch = harness.publish(FIRST, "Complete")
        storage.calls = 0
        harness.synchronize(batch=batch)
        return storage.calls

    calls = [calls_of_a_synchronization() for _ in range(3 * BEHIND + 1)]

    first, second, third = (calls[1 + n * BEHIND : 1 + (n + 1) * BEHIND] for n in range(3))
    assert first == second == third
