"""Files of a batch are checked side by side: whoever asks for a bad one is told, and nothing goes on behind his back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange import (
    BatchFile,
    ConnectorExchange,
    Exchange,
    Manifest,
    Origin,
    new_batch_id,
    sha256_of,
)
from airflow_provider_idm.synchronization.exchange.fetching import fetch_ahead

TARGETS = ("Person", "Organization", "Badge", "Person_Organization")
PATIENCE = 20.0


def file_of(target: str, path: Path | None = None) -> BatchFile:
    return BatchFile(
        name=f"{target}.sorted.csv",
        target=target,
        kind="entity_type",
        rows=1,
        columns=("Id",),
        size=path.stat().st_size if path else 0,
        sha256=sha256_of(path) if path else "",
        commands={},
    )


FILES = [file_of(target) for target in TARGETS]


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")]


# --------------------------------------------------------------------------------------------------- side by side


def test_each_file_is_given_by_its_target() -> None:
    with fetch_ahead(FILES, lambda file: Path(file.name), 2) as files:
        assert list(files) == list(TARGETS)
        assert len(files) == len(TARGETS)
        assert dict(files) == {target: Path(f"{target}.sorted.csv") for target in TARGETS}
    assert running() == []


def test_a_target_that_there_is_not() -> None:
    with fetch_ahead(FILES, lambda file: Path(file.name), 2) as files:
        assert "Nobody" not in files
        assert files.get("Nobody") is None
        with pytest.raises(KeyError):
            files["Nobody"]


def test_as_many_at_once_as_are_allowed() -> None:
    at_work = threading.Barrier(2, timeout=PATIENCE)
    most, now, lock = 0, 0, threading.Lock()

    def fetch(file: BatchFile) -> Path:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        at_work.wait()  # a pair at a time
        with lock:
            now -= 1
        return Path(file.name)

    with fetch_ahead(FILES, fetch, 2) as files:
        assert len(dict(files)) == len(TARGETS)
    assert most == 2


@pytest.mark.parametrize("bad", TARGETS)
def test_a_bad_file_is_told_to_who_asks_for_it_and_to_nobody_else(bad: str) -> None:
    def fetch(file: BatchFile) -> Path:
        if file.target == bad:
            raise ExchangeError(f"{file.name} is damaged")
        return Path(file.name)

    with fetch_ahead(FILES, fetch, 2) as files:
        for target in TARGETS:
            if target != bad:
                assert files[target] == Path(f"{target}.sorted.csv")
        for _ in range(2):  # as often as he asks
            with pytest.raises(ExchangeError, match=f"{bad}.sorted.csv is damaged"):
                files[bad]
    assert running() == []


# ---------------------------------------------------------------------------------------------------------- the end


def test_files_that_nobody_waited_for_are_not_begun_any_more() -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def fetch(file: BatchFile) -> Path:
        begun.append(file.target)
        go_on.wait(PATIENCE)
        return Path(file.name)

    with fetch_ahead(FILES, fetch, 1):
        while not begun:
            time.sleep(0.001)
        threading.Timer(0.2, go_on.set).start()

    assert begun == ["Person"]
    assert running() == []


@pytest.mark.parametrize("error", [KeyError("unforeseen"), KeyboardInterrupt()])
def test_an_error_elsewhere_ends_it_all(error: BaseException) -> None:
    begun: list[str] = []

    def fetch(file: BatchFile) -> Path:
        begun.append(file.target)
        time.sleep(0.05)
        return Path(file.name)

    def compare() -> None:
        with fetch_ahead(FILES, fetch, 1) as files:
            assert files["Person"] == Path("Person.sorted.csv")
            raise error

    with pytest.raises(type(error)):
        compare()
    assert running() == []
    assert len(begun) < len(TARGETS)


# -------------------------------------------------------------------------------------------------------- a channel


@pytest.fixture
def published(exchange_folder: Path, tmp_path: Path) -> tuple[ConnectorExchange, Manifest]:
    """Give a connector's exchange and the manifest of a batch in it."""
    channel = Exchange.open(str(exchange_folder)).channel("HR")
    paths = {}
    for target in TARGETS:
        path = tmp_path / f"{target}.sorted.csv"
        path.write_text(f"Id\n{target}\n")
        paths[path.name] = path
    now = datetime.now(UTC)
    manifest = Manifest(
        batch=new_batch_id(),
        connector="HR",
        mode=SynchronizationMode.COMPLETE,
        type=SourceType.NONE,
        created_at=now,
        effective_date=now,
        dated=False,
        origin=Origin(),
        based_on=None,
        fingerprint="f",
        files=tuple(file_of(target, paths[f"{target}.sorted.csv"]) for target in TARGETS),
    )
    channel.publish(manifest, paths)
    return channel, manifest


def altered(path: Path) -> None:
    path.write_text(path.read_text().swapcase())


def shorter(path: Path) -> None:
    path.write_text(path.read_text()[:-1])


@pytest.mark.parametrize("damage", [altered, shorter, Path.unlink])
@pytest.mark.parametrize("bad", TARGETS)
def test_a_published_file_that_was_damaged(
    published: tuple[ConnectorExchange, Manifest],
    exchange_folder: Path,
    work: Path,
    damage: Callable[[Path], None],
    bad: str,
) -> None:
    channel, manifest = published
    damage(exchange_folder / "HR" / manifest.batch / f"{bad}.sorted.csv")

    with channel.fetching(manifest, work) as files:
        for target in TARGETS:
            if target != bad:
                assert files[target].read_text() == f"Id\n{target}\n"
        with pytest.raises(ExchangeError, match=f"{bad}.sorted.csv"):
            files[bad]

    assert running() == []
