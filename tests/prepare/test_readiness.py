"""Preparing while a connector's blocked batch awaits a decision, and after one was rejected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.errors import ConnectorBlockedError, ExchangeUnavailableError, PrepareError
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, ConnectorState, Origin
from tests.prepare.desk import COMPLETE, INCREMENTAL, INITIAL

if TYPE_CHECKING:
    from tests.prepare.desk import Desk

ONE = "id,name,level\na,A,1\n"
TWO = "id,name,level\na,A,1\nb,B,2\n"
SINCE = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
ORIGIN = Origin(job="dag", run="run", task="prepare")


@pytest.fixture
def batch(desk: Desk) -> str:
    """A connector whose first batch is published, and whose second extract is there."""
    desk.write("persons", ONE)
    batch = desk.prepare().manifest.batch
    desk.write("persons", TWO)
    return batch


def note(desk: Desk, state: Any, batch: str | None, message: str = "") -> None:
    desk.exchange.channel("HR").write_state(ConnectorState(state, SINCE, batch, message))


def test_an_incremental_is_refused_while_the_connector_is_blocked(desk: Desk, batch: str) -> None:
    note(desk, "blocked", batch, "Connector HR: 120 resources deleted, the limit is 100.\n")
    before = desk.state()

    with pytest.raises(ConnectorBlockedError) as caught:
        desk.prepare(INCREMENTAL)

    assert str(caught.value) == (
        f"connector HR is blocked since 2026-03-01 04:05:06 UTC: batch {batch} awaits a decision (Connector HR: 120 "
        "resources deleted, the limit is 100). Resume or reject it, in Airflow or with 'idm resume' or 'idm reject', or "
        "run a Complete; until then incremental work for it is skipped"
    )
    assert (caught.value.connector, caught.value.batch) == ("HR", batch)
    assert desk.state() == before


def test_an_incremental_goes_on_once_the_connector_is_ready_again(desk: Desk, batch: str) -> None:
    note(desk, "blocked", batch)
    with pytest.raises(ConnectorBlockedError):
        desk.prepare(INCREMENTAL)
    note(desk, "ready", None)

    assert desk.prepare(INCREMENTAL).manifest.based_on == batch


@pytest.mark.parametrize("mode", [COMPLETE, INITIAL])
@pytest.mark.parametrize("state", ["blocked", "needs_complete"])
def test_a_complete_or_initial_is_the_way_out(desk: Desk, batch: str, mode: Any, state: str) -> None:
    note(desk, state, batch)

    assert desk.prepare(mode).manifest.mode is mode


def test_a_complete_can_be_told_to_stop_too(desk: Desk, batch: str) -> None:
    note(desk, "blocked", batch)
    with pytest.raises(ConnectorBlockedError):
        desk.prepare(COMPLETE, stop_if_blocked=True)

    note(desk, "needs_complete", batch)
    assert not desk.prepare(COMPLETE, stop_if_blocked=True).reused


def test_a_retry_returns_the_batch_that_it_had_published(desk: Desk, batch: str) -> None:
    published = desk.prepare(INCREMENTAL, origin=ORIGIN).manifest.batch
    note(desk, "blocked", batch)

    again = desk.prepare(INCREMENTAL, origin=ORIGIN)

    assert (again.manifest.batch, again.reused) == (published, True)


@pytest.mark.parametrize("state", ["blocked", "needs_complete"])
def test_what_only_a_plan_reads_is_prepared_all_the_same(desk: Desk, batch: str, state: str) -> None:
    note(desk, state, batch)

    assert desk.prepare(INCREMENTAL, plan_only=True, stop_if_blocked=True).manifest.plan_only


def test_after_a_rejection_an_incremental_asks_for_a_complete(desk: Desk, batch: str) -> None:
    note(desk, "needs_complete", batch)
    before = desk.state()

    with pytest.raises(PrepareError) as caught:
        desk.prepare(INCREMENTAL)

    assert str(caught.value) == (
        f"connector HR needs a Complete: batch {batch} was rejected on 2026-03-01 04:05:06 UTC, and no Incremental can "
        "lead on from it; run a Complete first"
    )
    assert desk.state() == before


def test_an_incremental_may_lead_on_from_a_complete_that_is_not_applied_yet(desk: Desk, batch: str) -> None:
    note(desk, "needs_complete", batch)
    complete = desk.prepare(COMPLETE).manifest.batch

    assert desk.prepare(INCREMENTAL).manifest.based_on == complete


@pytest.mark.parametrize("mode", [COMPLETE, INCREMENTAL])
def test_a_note_that_cannot_be_read_stops_nothing(
    desk: Desk, batch: str, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (desk.folder / "exchange" / "HR" / "state.json").write_text("{", encoding="utf-8")

    assert not desk.prepare(mode, stop_if_blocked=True).reused

    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("whether connector HR is blocked is not known: ")
    assert "state.json" in warning


def test_a_storage_that_does_not_answer_is_no_permission(
    desk: Desk, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: ConnectorExchange) -> ConnectorState:
        raise ExchangeUnavailableError("the storage does not answer")

    monkeypatch.setattr(ConnectorExchange, "state", gone)

    with pytest.raises(ExchangeUnavailableError):
        desk.prepare(INCREMENTAL)
