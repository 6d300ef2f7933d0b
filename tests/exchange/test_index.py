"""Work does not grow with history: what is done is known by an index, and the index is only a cache."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange import (
    Batches,
    ConnectorExchange,
    Exchange,
    Manifest,
    Origin,
    new_batch_id,
)
from airflow_provider_idm.synchronization.exchange.batches import BEHIND

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPLETE, INCREMENTAL = SynchronizationMode.COMPLETE, SynchronizationMode.INCREMENTAL


class ReadingFileSystem(MemoryFileSystem):
    """A storage that remembers what was read of it."""

    protocol = "reading"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def cat_file(self, path: str, **kwargs: object) -> bytes:
        self.read.append(path.partition("/HR/")[2])
        return super().cat_file(path, **kwargs)


class Agency:
    """A connector's folder, the batches published there, and those that a repository is done with."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.published: dict[str, Manifest] = {}
        self.done: list[str] = []

    @property
    def channel(self) -> ConnectorExchange:
        return self.exchange.channel("HR")

    @property
    def batches(self) -> Batches:
        return self.channel.batches()

    def publish(self, date: datetime = NOON, *, done: bool = False, **changes: object) -> Manifest:
        manifest = Manifest(
            batch=new_batch_id(),
            connector="HR",
            mode=COMPLETE,
            type=SourceType.NONE,
            created_at=NOON,
            effective_date=date,
            dated=True,
            origin=Origin(task="idm prepare"),
            based_on=None,
            fingerprint="f",
            files=(),
        )
        manifest = replace(manifest, **changes)
        self.channel.publish(manifest, {})
        self.published[manifest.batch] = manifest
        if done:
            self.finish(manifest)
        return manifest

    def finish(self, manifest: Manifest) -> None:
        self.channel.mark_finished(manifest.batch, "applied", NOON)
        self.done.append(manifest.batch)

    def fill(self, count: int = 2 * BEHIND) -> list[Manifest]:
        """Publish batches that are done, a day after another, and have them indexed."""
        made = [
            self.publish(NOON + timedelta(days=n), done=True, origin=Origin("hr", f"run {n}", "prepare"))
            for n in range(count)
        ]
        self.keep_index()
        return made

    def keep_index(self) -> None:
        """Do what a synchronization does with the index."""
        batches = self.batches
        batches.pending(self.done)
        assert batches.without_note(self.done) == []
        batches.keep_index(self.done)

    def remove(self, manifest: Manifest, *names: str) -> None:
        """Remove a batch's folder, or files of it alone."""
        storage = self.exchange._storage
        folder = storage.path("HR", manifest.batch)
        if names:
            for name in names:
                storage.fs.rm_file(f"{folder}/{name}")
            return
        storage.fs.rm(folder, recursive=True)
        del self.published[manifest.batch]

    def overwrite(self, content: bytes, *names: str) -> None:
        self.exchange._storage.fs.pipe_file(self.exchange._storage.path("HR", *names), content)

    @property
    def index(self) -> bytes | None:
        storage = self.exchange._storage
        path = storage.path("HR", "index.txt")
        return storage.fs.cat_file(path) if storage.fs.exists(path) else None


@pytest.fixture(params=["folder", "memory"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Agency:
    place = tmp_path / "exchange" if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return Agency(Exchange.open(place))


@pytest.fixture
def reading() -> Agency:
    """One that tells what was read."""
    return Agency(Exchange(ReadingFileSystem(), f"/{uuid.uuid4().hex}"))


def read_by(agency: Agency, ask: Callable[[Batches], object]) -> list[str]:
    storage: ReadingFileSystem = agency.exchange._storage.fs
    storage.read.clear()
    ask(agency.batches)
    return sorted(storage.read)


# ------------------------------------------------------------------------------------------------- what is read


def test_what_a_run_reads_does_not_grow_with_what_is_done(reading: Agency) -> None:
    newest = reading.fill()[-1]
    pending = reading.publish(newest.effective_date - timedelta(days=3))
    manifest, waiting = f"{newest.batch}/manifest.json", f"{pending.batch}/manifest.json"

    def prepare(batches: Batches) -> None:
        assert batches.find([]) == []
        assert batches.by_origin(Origin("hr", "another run", "prepare")) is None
        assert batches.newest() == newest

    def synchronize(batches: Batches) -> None:
        assert batches.pending(reading.done) == [pending]
        assert batches.without_note(reading.done) == []
        batches.keep_index(reading.done)

    assert read_by(reading, prepare) == sorted(["index.txt", manifest, waiting])
    assert read_by(reading, synchronize) == sorted(["index.txt", waiting])
    unfinished = ["index.txt", f"{pending.batch}/finished.json", waiting]
    assert read_by(reading, lambda batches: batches.unfinished()) == sorted(unfinished)
    status = read_by(reading, lambda batches: batches.survey(reading.done))
    assert status == sorted(["index.txt", manifest, waiting])


def test_each_manifest_is_read_once(reading: Agency) -> None:
    made = [reading.publish() for _ in range(3)]

    def ask(batches: Batches) -> None:
        for _ in range(2):
            assert batches.newest() == made[-1]
            assert batches.pending([]) == made
            assert made[0].batch in batches

    assert read_by(reading, ask) == sorted(["index.txt", *(f"{m.batch}/manifest.json" for m in made)])


def test_a_retry_and_a_day_prepared_again_read_the_batch_that_they_are_about(reading: Agency) -> None:
    made = reading.fill()
    own = made[3]

    assert read_by(reading, lambda b: b.by_origin(own.origin)) == [f"{own.batch}/manifest.json", "index.txt"]
    assert reading.batches.by_origin(own.origin) == own
    assert reading.batches.of_date(own.effective_date) == [own]
    assert reading.batches.note(own.batch) is not None


def test_the_index_is_written_when_it_is_some_batches_behind(agency: Agency) -> None:
    for _ in range(BEHIND - 1):
        agency.publish(done=True)
    agency.publish()
    agency.keep_index()
    assert agency.index is None

    last = agency.publish(done=True)
    agency.keep_index()

    assert agency.index is not None
    assert len(agency.index.splitlines()) == 1 + BEHIND
    assert last.batch.encode() in agency.index


def test_only_what_is_done_and_noted_is_indexed(agency: Agency) -> None:
    agency.fill()
    before = agency.index
    unnoted = [agency.publish() for _ in range(BEHIND)]
    noted_alone = agency.publish()
    agency.channel.mark_finished(noted_alone.batch, "applied", NOON)

    batches = agency.batches
    assert batches.without_note([*agency.done, *(m.batch for m in unnoted)]) == [m.batch for m in unnoted]
    batches.keep_index(agency.done)

    assert agency.index == before
    assert agency.batches.pending(agency.done) == [*unnoted, noted_alone]
    assert agency.batches.unfinished() == unnoted


# ---------------------------------------------------------------------------------------------- the repository decides


def test_what_a_repository_is_not_done_with_is_pending_whatever_the_index_says(agency: Agency) -> None:
    made = agency.fill()

    assert agency.batches.pending(agency.done[:-2]) == made[-2:]
    assert agency.batches.pending([]) == made
    assert agency.batches.survey([])[0] == made


def test_what_is_pending_must_be_readable_and_what_is_done_need_not_be(agency: Agency) -> None:
    made = agency.fill()
    pending = agency.publish(NOON + timedelta(days=99))
    agency.overwrite(b"{", made[2].batch, "manifest.json")

    assert agency.batches.newest() == pending
    assert agency.batches.pending(agency.done) == [pending]
    assert agency.batches.survey(agency.done) == ([pending], {})
    with pytest.raises(ExchangeError, match=made[2].batch):
        agency.batches.of_date(made[2].effective_date)

    agency.overwrite(b"{", pending.batch, "manifest.json")
    asked: list[Callable[[Batches], object]] = [
        lambda b: b.newest(),
        lambda b: b.pending(agency.done),
        lambda b: b.unfinished(),
        lambda b: b.by_origin(Origin("hr", "new", "prepare")),
    ]
    for ask in asked:
        with pytest.raises(ExchangeError, match=f"{pending.batch}/manifest.json is not a manifest"):
            ask(agency.batches)
    assert list(agency.batches.survey(agency.done)[1]) == [pending.batch]


def test_the_newest_batch_must_be_readable_though_it_is_done(agency: Agency) -> None:
    newest = agency.fill()[-1]
    agency.overwrite(b"{", newest.batch, "manifest.json")

    with pytest.raises(ExchangeError, match=newest.batch):
        agency.batches.newest()
    assert list(agency.batches.survey(agency.done)[1]) == [newest.batch]


# ------------------------------------------------------------------------------------------------- only a cache


def _altered(index: bytes) -> bytes:
    return index.replace(b"2026-03-16", b"2026-02-16")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda index: index[:-40],
    "lacks a line": lambda index: index[: index.rstrip().rindex(b"\n") + 1],
    "altered": _altered,
    "of another connector": lambda index: index.replace(b" HR\n", b" AD\n", 1),
    "of another format": lambda index: b"2" + index[1:],
    "not text": lambda _: b"\xff\x00",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_cannot_be_trusted_is_not_and_is_written_anew(
    agency: Agency, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = agency.fill()
    whole = agency.index
    assert whole is not None
    agency.overwrite(DAMAGES[damage](whole), "index.txt")

    batches = agency.batches
    (warning,) = caplog.messages
    assert warning.startswith("all manifests of HR are read: ")
    assert "index.txt cannot be read: it " in warning
    assert batches.newest() == made[-1]
    assert batches.by_origin(made[5].origin) == made[5]
    assert batches.unfinished() == []

    agency.keep_index()
    assert agency.index == whole


def test_a_missing_index_is_written_anew(agency: Agency) -> None:
    made = agency.fill()
    whole = agency.index
    agency.exchange._storage.fs.rm_file(agency.exchange._storage.path("HR", "index.txt"))

    assert agency.batches.newest() == made[-1]
    agency.keep_index()
    assert agency.index == whole


def test_an_index_that_contradicts_the_newest_manifest_is_dropped(
    agency: Agency, caplog: pytest.LogCaptureFixture
) -> None:
    made = agency.fill()
    newest = made[-1]
    redated = replace(newest, effective_date=NOON - timedelta(days=1))
    agency.overwrite(redated.to_json().encode(), newest.batch, "manifest.json")

    assert agency.batches.newest() == made[-2]
    (warning,) = caplog.messages
    assert warning.startswith(f"the index of the batches of HR is wrong about batch {newest.batch}")

    for _ in range(BEHIND):
        agency.publish(NOON - timedelta(days=9), done=True)
    agency.keep_index()
    agency.keep_index()
    caplog.clear()
    assert agency.batches.newest() == made[-2]
    assert caplog.messages == []


def test_an_index_older_than_the_folder_leaves_the_rest_to_the_manifests(agency: Agency) -> None:
    made = agency.fill()
    first = agency.publish(NOON + timedelta(days=200), done=True)
    second = agency.publish(NOON + timedelta(days=100), origin=Origin("hr", "new", "prepare"))

    assert agency.batches.newest() == first
    assert agency.batches.by_origin(second.origin) == second
    assert agency.batches.unfinished() == agency.batches.pending(agency.done) == [second]
    assert agency.batches.find([second.batch, made[0].batch, first.batch]) == [made[0], second, first]


def test_the_newest_is_so_by_its_date_not_by_its_id(agency: Agency) -> None:
    """A backfill publishes later what is dated earlier."""
    latest = agency.publish(NOON + timedelta(days=365), done=True)
    agency.fill()

    assert agency.batches.newest() == latest
    backfilled = agency.publish(NOON + timedelta(days=364))
    assert agency.batches.newest() == latest
    assert agency.batches.pending(agency.done) == [backfilled]


@pytest.mark.parametrize("files", [(), ("manifest.json",)], ids=["the folder", "its manifest first"])
def test_a_batch_that_was_removed_is_none_whatever_the_index_says(
    agency: Agency, files: tuple[str, ...]
) -> None:
    made = agency.fill()
    for gone in (made[-1], made[-2], made[3]):
        agency.remove(gone, *files)

    assert agency.batches.newest() == made[-3]
    assert agency.batches.of_date(made[3].effective_date) == []
    assert agency.batches.by_origin(made[3].origin) is None
    assert made[-1].batch not in agency.batches
    assert agency.batches.without_note(agency.done) == []

    for _ in range(BEHIND):
        agency.publish(done=True)
    agency.keep_index()
    assert agency.index is not None
    lacking = {made[-1], made[-2]} if files else {made[-1], made[-2], made[3]}
    assert not any(m.batch.encode() in agency.index for m in lacking)


def test_a_batch_that_only_a_plan_reads_is_indexed_but_never_in_the_queue(reading: Agency) -> None:
    origin = Origin("hr", "dry", "prepare")
    made = reading.fill()
    plans = [
        reading.publish(NOON + timedelta(days=500), plan_only=True, origin=origin) for _ in range(BEHIND)
    ]
    reading.keep_index()

    def ask(batches: Batches) -> None:
        assert batches.pending(reading.done) == []
        assert batches.survey(reading.done) == ([], {})
        assert batches.newest() == made[-1]
        assert batches.unfinished() == []

    assert read_by(reading, ask) == [f"{made[-1].batch}/manifest.json", "index.txt"]
    assert plans[0].batch not in reading.batches
    assert reading.batches.by_origin(origin) is None
    assert reading.batches.by_origin(origin, plan_only=True) == plans[-1]


# ------------------------------------------------------------------------------------------------- no difference


def _queue(manifests: Iterable[Manifest]) -> list[Manifest]:
    return sorted((m for m in manifests if not m.plan_only), key=lambda m: m.order)


@pytest.mark.parametrize("seed", range(20))
def test_the_answers_are_those_of_all_manifests(seed: int) -> None:
    """Publishing, finishing, indexing, and removing in any order: the index never shows."""
    chance = random.Random(seed)
    agency = Agency(Exchange(fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"))
    origins = [Origin("hr", f"run {n}" if n else "", "prepare", n % 3) for n in range(5)]
    dates = [NOON + timedelta(days=n) for n in range(4)]
    for _ in range(60):
        agency.publish(
            chance.choice(dates),
            mode=chance.choice([COMPLETE, INCREMENTAL]),
            origin=chance.choice(origins),
            plan_only=chance.random() < 0.2,
        )
        waiting = [m for b, m in agency.published.items() if b not in agency.done and not m.plan_only]
        for manifest in waiting:
            if chance.random() < 0.3:
                agency.finish(manifest)
        if chance.random() < 0.2:
            agency.keep_index()
        if chance.random() < 0.1:
            agency.remove(chance.choice(list(agency.published.values())))

    assert agency.index is not None
    everything = list(agency.published.values())
    queue = _queue(everything)
    batches = agency.batches
    assert agency.channel.manifests() == queue
    assert batches.newest() == queue[-1]
    open_ = [m for m in queue if m.batch not in agency.done]
    assert batches.pending(agency.done) == batches.unfinished() == open_
    assert batches.survey(agency.done) == (open_, {})
    for date in dates:
        assert batches.of_date(date) == [m for m in queue if m.effective_date == date]
    for origin in origins:
        for plan_only in (False, True):
            own = [m for m in everything if m.origin == origin and m.plan_only == plan_only and origin.run]
            assert batches.by_origin(origin, plan_only=plan_only) == max(
                own, key=lambda m: m.batch, default=None
            )
    for n, manifest in enumerate(queue):
        assert manifest.batch in batches
        assert batches.has_whole_after(manifest.batch) == any(m.mode is COMPLETE for m in queue[n + 1 :])
    assert not batches.has_whole_after(new_batch_id())
