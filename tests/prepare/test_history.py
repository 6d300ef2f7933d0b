"""Preparing after a long history of which an index tells."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import ExchangeError, PrepareError
from airflow_provider_idm.synchronization.exchange import (
    ConnectorState,
    Exchange,
    Manifest,
    Origin,
    new_batch_id,
)
from airflow_provider_idm.synchronization.exchange.batches import BEHIND
from tests.failing_storage import FailingFileSystem
from tests.prepare.desk import COMPLETE, INCREMENTAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepare.desk import Desk

ONE = "id,name,level\na,A,1\n"
TWO = "id,name,level\na,A,1\nb,B,2\n"


def day(number: int) -> datetime:
    return datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=number)


def finish(exchange: Exchange) -> None:
    """Let a server be done with all batches, and index them."""
    channel = exchange.channel("HR")
    done = [manifest.batch for manifest in channel.manifests()]
    for batch in done:
        channel.mark_finished(batch, "applied", datetime.now(UTC))
    batches = channel.batches()
    assert batches.without_note(done) == []
    batches.keep_index(done)


@pytest.fixture
def history(desk: Desk) -> list[Manifest]:
    """Dated batches that are done and in the index; the last of them was made of the sources that are there."""
    desk.write("persons", ONE)
    first = desk.prepare(effective_date=day(0), origin=Origin("dag", "run 0", "prepare")).manifest
    made = [first]
    for number in range(1, BEHIND):
        at, origin = day(number), Origin("dag", f"run {number}", "prepare")
        made.append(desk.prepare(effective_date=at, origin=origin).manifest)
    finish(desk.exchange)
    assert (desk.folder / "exchange" / "HR" / "index.txt").exists()
    return made


def test_a_prepare_leads_on_from_the_newest(desk: Desk, history: list[Manifest]) -> None:
    desk.write("persons", TWO)
    manifest = desk.prepare(INCREMENTAL, effective_date=day(50)).manifest
    assert (manifest.based_on, manifest.files[0].commands) == (history[-1].batch, {"insert": 1})


def test_a_cleared_task_gets_the_batch_that_it_published_long_ago(
    desk: Desk, history: list[Manifest]
) -> None:
    again = desk.prepare(origin=history[2].origin, effective_date=day(2))
    assert (again.reused, again.manifest) == (True, history[2])


def test_a_task_whose_batch_was_rejected_makes_another(desk: Desk, history: list[Manifest]) -> None:
    own = history[-1]
    desk.exchange.channel("HR").mark_finished(own.batch, "rejected", datetime.now(UTC))
    assert not desk.prepare(origin=own.origin, effective_date=own.effective_date).reused


def test_a_day_long_ago_is_prepared_again(desk: Desk, history: list[Manifest]) -> None:
    again = desk.prepare(effective_date=day(3))
    assert (again.reused, again.manifest) == (True, history[3])
    desk.write("persons", TWO)
    with pytest.raises(PrepareError, match=f"before the newest batch {history[-1].batch}"):
        desk.prepare(effective_date=day(3))


def test_a_damaged_batch_matters_if_a_prepare_leads_on_from_it(desk: Desk, history: list[Manifest]) -> None:
    folder = desk.folder / "exchange" / "HR"
    (folder / history[0].batch / "manifest.json").write_text("{")
    desk.prepare(INCREMENTAL, effective_date=day(50), origin=Origin("dag", "new", "prepare"))

    (folder / desk.exchange.channel("HR").newest().batch / "manifest.json").write_text("{")  # type: ignore[union-attr]
    with pytest.raises(ExchangeError, match="is not a manifest of this version"):
        desk.prepare(INCREMENTAL, effective_date=day(51))


def test_retention_may_take_everything_but_the_index(desk: Desk, history: list[Manifest]) -> None:
    storage = desk.exchange._storage
    for manifest in history:
        storage.fs.rm(storage.path("HR", manifest.batch), recursive=True)

    with pytest.raises(PrepareError, match="has no batch in the exchange"):
        desk.prepare(INCREMENTAL, effective_date=day(50))
    assert not desk.prepare(effective_date=day(1)).reused


def test_after_a_rejection_long_ago_a_complete_since_then_is_found(
    desk: Desk, history: list[Manifest]
) -> None:
    def needs_complete(batch: str) -> None:
        desk.exchange.channel("HR").write_state(ConnectorState("needs_complete", day(9), batch))

    needs_complete(history[-1].batch)
    with pytest.raises(PrepareError, match="needs a Complete"):
        desk.prepare(INCREMENTAL, effective_date=day(50))
    needs_complete(history[-2].batch)
    assert desk.prepare(INCREMENTAL, effective_date=day(50)).manifest.based_on == history[-1].batch


def test_two_machines_prepare_at_once_while_the_index_is_written(desk: Desk, history: list[Manifest]) -> None:
    def prepare(work: Path) -> None:
        for _ in range(3):
            desk.prepare(COMPLETE, work=work)

    works = [desk.work, desk.folder / "elsewhere"]
    threads = [threading.Thread(target=prepare, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        finish(desk.exchange)
    for thread in threads:
        thread.join()

    assert len(desk.batches) == len(history) + 6
    newest = desk.exchange.channel("HR").newest()
    assert newest is not None
    assert newest == desk.exchange.channel("HR").manifests()[-1]
    notes = {work: (work / "HR" / "previous" / "previous.json").read_text() for work in works}
    by_newest = next(work for work, note in notes.items() if newest.batch in note)
    assert desk.prepare(INCREMENTAL, work=by_newest).manifest.based_on == newest.batch


def test_the_calls_to_the_storage_do_not_grow_with_what_is_done(desk: Desk) -> None:
    storage = FailingFileSystem()
    exchange = Exchange(storage, f"/{uuid.uuid4().hex}")
    desk.write("persons", ONE)

    def calls_of_a_prepare() -> int:
        storage.calls = 0
        desk.prepare(exchange=exchange, origin=Origin("dag", new_batch_id(), "prepare"))
        return storage.calls

    calls_of_a_prepare()
    short = calls_of_a_prepare()
    for _ in range(2 * BEHIND):
        calls_of_a_prepare()
    finish(exchange)

    assert calls_of_a_prepare() == short
