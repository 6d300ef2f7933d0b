"""What a prepare publishes, what it leads on from, and that nothing is lost in between."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.errors import ExchangeUnavailableError, LockedError, PrepareError
from airflow_provider_idm.file_lock import locked
from airflow_provider_idm.synchronization.exchange import ConnectorExchange, Origin
from airflow_provider_idm.synchronization.prepare import previous as previous_module
from airflow_provider_idm.synchronization.prepare import run
from tests.prepare.desk import COMPLETE, INCREMENTAL, INITIAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepare.desk import Desk

ONE = "id,name,level\na,A,1\n"
TWO = "id,name,level\na,A,1\nb,B,2\n"
THREE = "id,name,level\na,A,1\nb,B,2\nc,C,3\n"


def day(number: int) -> datetime:
    return datetime(2024, 5, number, tzinfo=UTC)


def test_the_manifest(desk: Desk) -> None:
    desk.write("persons", TWO)
    before = datetime.now(UTC)
    origin = Origin(job="dag", run="run", task="prepare")
    manifest = desk.prepare(INITIAL, origin=origin).manifest
    assert before <= manifest.effective_date <= manifest.created_at <= datetime.now(UTC)
    assert (manifest.dated, manifest.based_on, manifest.plan_only) == (False, None, False)
    assert (manifest.connector, manifest.mode, manifest.origin) == ("HR", INITIAL, origin)
    assert manifest.fingerprint == desk.mappings.fingerprint
    channel = desk.exchange.channel("HR")
    assert channel.manifests() == [manifest]
    fetched = channel.fetch(manifest, desk.folder / "fetched")
    assert fetched["Person"].read_bytes() == (desk.collect / "Person.sorted.csv").read_bytes()


def test_a_given_date_without_a_zone_is_utc(desk: Desk) -> None:
    desk.write("persons", ONE)
    given = datetime(2024, 5, 1, 12)  # noqa: DTZ001
    assert desk.prepare(effective_date=given).manifest.effective_date == given.replace(tzinfo=UTC)
    east = datetime(2024, 5, 2, tzinfo=timezone(timedelta(hours=2)))
    manifest = desk.prepare(effective_date=east).manifest
    assert (manifest.effective_date, manifest.dated) == (datetime(2024, 5, 1, 22, tzinfo=UTC), True)


# ---------------------------------------------------------------------------------------- what an Incremental needs


@pytest.mark.parametrize("type_", list(SourceType))
def test_an_incremental_needs_a_batch(desk: Desk, type_: SourceType) -> None:
    desk.write("persons", "command,id,name,level\n")
    with pytest.raises(PrepareError, match=r"HR has no batch in the exchange .* run a Complete first"):
        desk.prepare(INCREMENTAL, type=type_)
    assert desk.batches == []


def test_an_incremental_needs_a_previous_extract(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    with pytest.raises(PrepareError, match="no previous extract on this machine"):
        desk.prepare(INCREMENTAL, work=desk.folder / "elsewhere")


def test_another_worker_prepared_since(desk: Desk) -> None:
    desk.write("persons", ONE)
    first = desk.prepare().manifest.batch
    second = desk.prepare(work=desk.folder / "elsewhere").manifest.batch
    with pytest.raises(
        PrepareError, match=f"belongs to batch {first}, but batch {second} was published since"
    ):
        desk.prepare(INCREMENTAL)
    desk.prepare(INCREMENTAL, work=desk.folder / "elsewhere")


def test_other_mappings(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    mappings = replace(desk.mappings, fingerprint="e" * 64)
    with pytest.raises(
        PrepareError, match=r"prepared with other mappings \(batch .*\); run a Complete first"
    ):
        desk.prepare(INCREMENTAL, mappings=mappings)


def test_a_list_of_changes_breaks_the_chain_of_extracts(desk: Desk) -> None:
    desk.write("persons", ONE)
    base = desk.prepare().manifest.batch
    desk.write("persons", "command,id,name,level\nadd,b,B,2\n")
    changes = desk.prepare(INCREMENTAL, type=SourceType.CHANGES).manifest
    assert changes.based_on == base
    assert desk.prepare(INCREMENTAL, type=SourceType.CHANGES).manifest.based_on == changes.batch
    desk.write("persons", TWO)
    with pytest.raises(PrepareError, match="was published since; run a Complete first"):
        desk.prepare(INCREMENTAL)


def test_an_altered_previous_file(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    (desk.connector / "previous" / "Person.sorted.csv").write_text("Id,Name,Level\n")
    with pytest.raises(
        PrepareError, match="is missing or was altered since the last prepare; run a Complete first"
    ):
        desk.prepare(INCREMENTAL)
    assert len(desk.batches) == 1


# --------------------------------------------------------------------------------------------------- plan, retry, date


def test_a_plan_leaves_no_trace_in_the_queue(desk: Desk) -> None:
    desk.write("persons", ONE)
    base = desk.prepare().manifest.batch
    before = (desk.connector / "previous" / "previous.json").read_bytes()
    desk.write("persons", TWO)
    plan = desk.prepare(INCREMENTAL, plan_only=True).manifest
    assert (plan.plan_only, plan.based_on) == (True, base)
    assert [m.batch for m in desk.exchange.channel("HR").manifests()] == [base]
    assert (desk.connector / "previous" / "previous.json").read_bytes() == before
    real = desk.prepare(INCREMENTAL).manifest
    assert (real.based_on, real.files[0].commands) == (base, {"insert": 1})


def test_a_retry_gets_the_batch_that_it_published(desk: Desk) -> None:
    origin = Origin(job="dag", run="run", task="prepare")
    desk.write("persons", ONE)
    first = desk.prepare(origin=origin)
    desk.write("persons", TWO)
    again = desk.prepare(origin=origin)
    assert (first.reused, again.reused) == (False, True)
    assert again.manifest == first.manifest
    assert desk.prepare(origin=replace(origin, run="next")).manifest.batch != first.manifest.batch
    assert desk.prepare(origin=origin, plan_only=True).reused is False
    assert desk.prepare(origin=origin, mappings=replace(desk.mappings, fingerprint="e" * 64)).reused is False


def test_a_command_line_has_no_retries(desk: Desk) -> None:
    desk.write("persons", ONE)
    origin = Origin(task="idm prepare")
    assert desk.prepare(origin=origin).manifest.batch != desk.prepare(origin=origin).manifest.batch


@pytest.mark.parametrize("mode", [COMPLETE, INCREMENTAL])
def test_a_day_prepared_again(desk: Desk, mode: Any) -> None:
    batches = []
    for number, content in enumerate((ONE, TWO, THREE), 1):
        desk.write("persons", content)
        batches.append(
            desk.prepare(mode if number > 1 else COMPLETE, effective_date=day(number)).manifest.batch
        )
    before = desk.state()
    desk.write("persons", TWO)
    again = desk.prepare(mode, effective_date=day(2))
    assert (again.reused, again.manifest.batch) == (True, batches[1])
    desk.write("persons", THREE)
    message = (
        f"dated 2024-05-02T00:00:00\\+00:00, before the newest batch {batches[2]} of 2024-05-03T00:00:00"
    )
    with pytest.raises(PrepareError, match=message):
        desk.prepare(mode, effective_date=day(2))
    with pytest.raises(PrepareError, match="batches are made in the order of their dates"):
        desk.prepare(mode, effective_date=day(1) - timedelta(days=1))
    assert desk.state() == before


def test_a_date_far_ahead_is_warned_of_and_can_be_taken_back(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.write("persons", ONE)
    desk.prepare(effective_date=datetime.now(UTC) - timedelta(days=2))
    desk.prepare(effective_date=datetime.now(UTC))
    assert "ahead" not in caplog.text
    mistake = desk.prepare(effective_date=datetime(2099, 1, 1, tzinfo=UTC)).manifest.batch
    assert "connector HR: this batch is dated 2099-01-01T00:00:00+00:00, days ahead" in caplog.text

    with pytest.raises(PrepareError, match="If the date of that batch was a mistake") as caught:
        desk.prepare()

    assert str(caught.value).endswith(f"remove its folder HR/{mistake} from the exchange")
    shutil.rmtree(desk.folder / "exchange" / "HR" / mistake)
    assert not desk.prepare().reused


def test_the_newest_day_may_be_prepared_again(desk: Desk) -> None:
    desk.write("persons", ONE)
    first = desk.prepare(effective_date=day(1)).manifest
    desk.write("persons", TWO)
    second = desk.prepare(effective_date=day(1)).manifest
    assert [m.batch for m in desk.exchange.channel("HR").manifests()] == [first.batch, second.batch]


def test_a_day_of_changes_prepared_again(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare(effective_date=day(1))
    desk.write("persons", "command,id,name,level\nadd,b,B,2\n")
    changes = {"type": SourceType.CHANGES}
    batch = desk.prepare(INCREMENTAL, effective_date=day(2), **changes).manifest.batch
    desk.prepare(INCREMENTAL, effective_date=day(3), **changes)
    assert desk.prepare(INCREMENTAL, effective_date=day(2), **changes).manifest.batch == batch


# ------------------------------------------------------------------------------------------------- one at a time


def test_one_prepare_at_a_time(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    lock = desk.connector / ".prepare.lock"
    with (
        locked(lock, "prepare of connector HR", 0),
        pytest.raises(LockedError, match=r"another prepare of connector HR holds .* within 0\.2 seconds"),
    ):
        desk.prepare(lock_timeout=0.2)
    threads = [threading.Thread(target=desk.prepare) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(desk.batches) == 4
    desk.prepare(INCREMENTAL)


# ------------------------------------------------------------------------------------------------- killed


def _die_at(place: str) -> None:
    """Make this process kill itself at a place of the publication."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after(function: Any) -> Any:
        def run_and_die(*arguments: Any, **options: Any) -> None:
            function(*arguments, **options)
            die()

        return run_and_die

    store = previous_module.PreviousStore
    match place:
        case "before staging":
            store.stage = die  # type: ignore[method-assign]
        case "after staging":
            store.stage = after(store.stage)  # type: ignore[method-assign]
        case "before publishing":
            ConnectorExchange.publish = die  # type: ignore[method-assign]
        case "after publishing":
            ConnectorExchange.publish = after(ConnectorExchange.publish)  # type: ignore[method-assign]
        case "after promoting":
            store.promote = after(store.promote)  # type: ignore[method-assign]
        case "while landing":
            run._Prepare._land = die  # type: ignore[method-assign]


def _prepare_and_die(desk: Desk, place: str) -> None:
    _die_at(place)
    desk.prepare(INCREMENTAL)


@pytest.mark.parametrize(
    ("place", "published"),
    [
        ("before staging", False),
        ("after staging", False),
        ("while landing", False),
        ("before publishing", False),
        ("after publishing", True),
        ("after promoting", True),
    ],
)
def test_killed(desk: Desk, place: str, published: bool) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    desk.write("persons", TWO)
    process = multiprocessing.get_context("fork").Process(target=_prepare_and_die, args=(desk, place))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(desk.batches) == (2 if published else 1)
    desk.write("persons", THREE)
    result = desk.prepare(INCREMENTAL)
    assert result.manifest.files[0].rows == (1 if published else 2)
    assert result.manifest.based_on == desk.batches[-2]
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\na,A,1\nb,B,2\nc,C,3\n"
    assert not any(p.name.startswith((".prepare-", ".previous")) for p in desk.connector.iterdir())
    assert list((desk.connector / "staged").iterdir()) == []


def test_killed_between_the_two_renames_of_a_promotion(desk: Desk) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    desk.write("persons", TWO)
    batch = desk.prepare(INCREMENTAL).manifest.batch
    connector = desk.connector
    (connector / "previous").rename(connector / "staged" / batch)
    (connector / ".previous.replaced").mkdir()
    desk.write("persons", THREE)
    assert desk.prepare(INCREMENTAL).manifest.files[0].commands == {"insert": 1}


def test_the_exchange_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("persons", ONE)
    desk.prepare()
    desk.write("persons", TWO)

    def fail(*_: object) -> None:
        raise ExchangeUnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(ConnectorExchange, "publish", fail)
        with pytest.raises(ExchangeUnavailableError):
            desk.prepare(INCREMENTAL)
    assert desk.prepare(INCREMENTAL).manifest.files[0].commands == {"insert": 1}


def test_the_sources_are_never_written_to(desk: Desk, tmp_path: Path) -> None:
    path = desk.write("persons", ONE)
    path.chmod(0o444)
    before = (path.stat().st_mtime_ns, path.read_bytes())
    time.sleep(0.01)
    desk.prepare()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert [p.name for p in desk.sources.iterdir()] == ["persons.csv"]
    assert {p.name for p in tmp_path.iterdir()} == {"ExportOutput", "exchange", "work"}
