from __future__ import annotations

import errno
import hashlib
import json
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError
from airflow_provider_idm.synchronization.exchange import (
    BatchFile,
    ConnectorState,
    Exchange,
    Finished,
    Manifest,
    Origin,
    folder_name,
    new_batch_id,
    sha256_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERSONS = b'Identifier,Name\n1,Zo\xc3\xab\n2,"a, b"\n'


@pytest.fixture(params=["folder", "file-url", "memory", "renaming", "dirfs"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Exchange:
    """The same exchange on a local folder, an object store, a file system that renames, and a view of a folder."""
    root = tmp_path / "exchange"
    unique = uuid.uuid4().hex
    match request.param:
        case "folder":
            return Exchange.open(root)
        case "file-url":
            return Exchange.open(f"file://{root}")
        case "memory":
            return Exchange.open(f"memory://{unique}/exchange")
        case "renaming":
            return Exchange(RenamingFileSystem(), f"/{unique}")
        case _:
            return Exchange(DirFileSystem(path=str(tmp_path), fs=fsspec.filesystem("file")), "exchange")


class RenamingFileSystem(MemoryFileSystem):
    """A file system with a rename that does not replace, as SMB has."""

    protocol = "renaming"
    cachable = False

    def mv(self, path1: str, path2: str, **_: object) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        self.store[path2] = self.store.pop(path1)


def make_file(folder: Path, content: bytes = PERSONS, target: str = "Person") -> tuple[BatchFile, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}.sorted.csv"
    path.write_bytes(content)
    file = BatchFile(
        name=path.name,
        target=target,
        kind="entity_type",
        rows=2,
        columns=("Identifier", "Name"),
        size=len(content),
        sha256=sha256_of(path),
    )
    return file, path


def make_manifest(
    *files: BatchFile, connector: str = "HR", date: datetime = NOON, **changes: object
) -> Manifest:
    manifest = Manifest(
        batch=new_batch_id(),
        connector=connector,
        mode=SynchronizationMode.COMPLETE,
        type=SourceType.NONE,
        created_at=NOON,
        effective_date=date,
        dated=False,
        origin=Origin(task="idm prepare"),
        based_on=None,
        fingerprint="f",
        files=files,
    )
    return replace(manifest, **changes)


def published(exchange: Exchange, folder: Path, **changes: object) -> Manifest:
    file, path = make_file(folder)
    manifest = make_manifest(file, **changes)
    exchange.channel(manifest.connector).publish(manifest, {file.name: path})
    return manifest


def stored_files(exchange: Exchange) -> dict[str, str]:
    """Every file of the exchange by its name inside it, whatever the file system."""
    storage = exchange._storage
    return {path.removeprefix(storage.root).lstrip("/"): path for path in storage.fs.find(storage.root)}


def overwrite(exchange: Exchange, name: str, content: bytes) -> None:
    exchange._storage.fs.pipe_file(stored_files(exchange)[name], content)


# ------------------------------------------------------------------------------------------- publishing and reading


def test_a_published_batch_is_read_back_and_its_files_fetched(exchange: Exchange, tmp_path: Path) -> None:
    file, path = make_file(tmp_path / "Collect")
    links, links_path = make_file(tmp_path / "Collect", b"key1,key2\n", "Manager")
    manifest = make_manifest(file, links)

    exchange.channel("HR").publish(manifest, {file.name: path, links.name: links_path})

    channel = exchange.channel("HR")
    assert sorted(stored_files(exchange)) == [
        f"HR/{manifest.batch}/Manager.sorted.csv",
        f"HR/{manifest.batch}/Person.sorted.csv",
        f"HR/{manifest.batch}/manifest.json",
    ]
    assert channel.manifests() == [manifest]
    assert channel.manifest(manifest.batch) == manifest
    fetched = channel.fetch(manifest, tmp_path / "staged")
    assert {target: path.read_bytes() for target, path in fetched.items()} == {
        "Person": PERSONS,
        "Manager": b"key1,key2\n",
    }


def test_a_local_exchange_is_read_in_place(tmp_path: Path) -> None:
    exchange = Exchange.open(tmp_path / "exchange")
    manifest = published(exchange, tmp_path / "Collect")

    fetched = exchange.channel("HR").fetch(manifest, tmp_path / "staged")

    assert fetched == {"Person": tmp_path / "exchange" / "HR" / manifest.batch / "Person.sorted.csv"}
    assert not (tmp_path / "staged").exists()


def test_a_second_fetch_downloads_nothing_that_is_there_and_right(tmp_path: Path) -> None:
    exchange = Exchange.open(f"memory://{uuid.uuid4().hex}")
    manifest = published(exchange, tmp_path / "Collect")
    path = exchange.channel("HR").fetch(manifest, tmp_path / "staged")["Person"]
    before = path.stat().st_mtime_ns

    exchange.channel("HR").fetch(manifest, tmp_path / "staged")
    assert path.stat().st_mtime_ns == before

    path.write_bytes(b"x" * len(PERSONS))
    exchange.channel("HR").fetch(manifest, tmp_path / "staged")
    assert path.read_bytes() == PERSONS


def test_a_folder_without_a_manifest_is_no_batch(exchange: Exchange, tmp_path: Path) -> None:
    manifest = published(exchange, tmp_path)
    storage = exchange._storage
    storage.write(b"half", "HR", new_batch_id(), "Person.sorted.csv")
    storage.write(b"{}", "HR", "notes", "manifest.json")

    assert exchange.channel("HR").manifests() == [manifest]


def test_an_empty_exchange_has_no_batches(exchange: Exchange) -> None:
    channel = exchange.channel("HR")
    assert channel.manifests() == []
    assert channel.newest() is None
    assert channel.finished() == {}
    assert channel.state() == ConnectorState(state="ready")


def test_publishing_an_id_twice_is_an_error(exchange: Exchange, tmp_path: Path) -> None:
    manifest = published(exchange, tmp_path)
    with pytest.raises(ExchangeError, match=f"batch {manifest.batch} of connector HR is published already"):
        exchange.channel("HR").publish(manifest, {"Person.sorted.csv": tmp_path / "Person.sorted.csv"})


def test_a_publish_that_broke_off_can_be_done_again(exchange: Exchange, tmp_path: Path) -> None:
    file, path = make_file(tmp_path)
    manifest = make_manifest(file)
    exchange._storage.write(b"half", "HR", manifest.batch, file.name)

    exchange.channel("HR").publish(manifest, {file.name: path})

    assert exchange.channel("HR").fetch(manifest, tmp_path / "staged")["Person"].read_bytes() == PERSONS


def test_only_the_files_of_the_manifest_are_published(tmp_path: Path) -> None:
    channel = Exchange.open(tmp_path / "exchange").channel("HR")
    file, path = make_file(tmp_path)
    with pytest.raises(ExchangeError, match=r"not those of its manifest: Person\.sorted\.csv"):
        channel.publish(make_manifest(file), {})
    with pytest.raises(ExchangeError, match="expected 4 bytes, found"):
        channel.publish(make_manifest(replace(file, size=4)), {file.name: path})
    with pytest.raises(ExchangeError, match="is missing: it cannot be published"):
        channel.publish(make_manifest(file), {file.name: tmp_path / "gone.csv"})
    with pytest.raises(ExchangeError, match="of connector AD cannot be published for connector HR"):
        channel.publish(make_manifest(file, connector="AD"), {file.name: path})
    assert channel.manifests() == []


@pytest.mark.parametrize("name", ["../Person.csv", "a/b.csv", "a\\b.csv", "..", "", "manifest.json"])
def test_a_file_name_cannot_leave_its_batch(tmp_path: Path, name: str) -> None:
    file, path = make_file(tmp_path)
    channel = Exchange.open(tmp_path / "exchange").channel("HR")
    with pytest.raises(ExchangeError, match="cannot be the name of a file"):
        channel.publish(make_manifest(replace(file, name=name)), {name: path})
    with pytest.raises(ExchangeError, match="cannot be the name of a file"):
        channel.fetch(make_manifest(replace(file, name=name)), tmp_path / "staged")


# ------------------------------------------------------------------------------------------------ altered batches


def test_a_missing_file_is_an_error_that_names_it(exchange: Exchange, tmp_path: Path) -> None:
    manifest = published(exchange, tmp_path)
    exchange._storage.fs.rm_file(stored_files(exchange)[f"HR/{manifest.batch}/Person.sorted.csv"])
    with pytest.raises(ExchangeError, match=rf"{manifest.batch}/Person\.sorted\.csv is missing"):
        exchange.channel("HR").fetch(manifest, tmp_path / "staged")


def test_an_altered_file_is_an_error_with_what_was_expected_and_found(
    exchange: Exchange, tmp_path: Path
) -> None:
    manifest = published(exchange, tmp_path)
    name = f"HR/{manifest.batch}/Person.sorted.csv"
    altered = PERSONS.replace(b"1", b"3")

    overwrite(exchange, name, altered)
    expected, found = (hashlib.sha256(content).hexdigest() for content in (PERSONS, altered))
    with pytest.raises(ExchangeError, match=f"expected SHA-256 {expected}, found {found}"):
        exchange.channel("HR").fetch(manifest, tmp_path / "staged")

    overwrite(exchange, name, PERSONS[:-1])
    with pytest.raises(ExchangeError, match=f"expected {len(PERSONS)} bytes, found {len(PERSONS) - 1}"):
        exchange.channel("HR").fetch(manifest, tmp_path / "staged")
    assert list((tmp_path / "staged").glob("*")) == []


def test_a_manifest_of_another_batch_or_connector_is_an_error(exchange: Exchange, tmp_path: Path) -> None:
    manifest = published(exchange, tmp_path)
    name = f"HR/{manifest.batch}/manifest.json"
    for other in (replace(manifest, connector="AD"), replace(manifest, batch=new_batch_id())):
        overwrite(exchange, name, other.to_json().encode())
        with pytest.raises(ExchangeError, match=r"a batch cannot be copied or renamed"):
            exchange.channel("HR").manifests()
        with pytest.raises(ExchangeError, match=r"a batch cannot be copied or renamed"):
            exchange.channel("HR").manifest(manifest.batch)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"{", b"\xff", "it is not JSON (line 1, column 1)"),
        (b'"format": 1', b'"format": 2', "it is of format 2, expected 1"),
        (b'"connector"', b'"conector"', "it lacks 'connector'"),
        (b'"mode": "Complete"', b'"mode": "Full"', "'Full' is not a synchronization mode"),
        (b'"mode": "Complete"', b'"mode": 1', "a value in it is of another kind than expected"),
    ],
)
def test_an_unreadable_manifest_is_an_error_that_names_the_folder(
    exchange: Exchange, tmp_path: Path, old: bytes, new: bytes, why: str
) -> None:
    manifest = published(exchange, tmp_path)
    text = manifest.to_json().encode()
    assert old in text
    overwrite(exchange, f"HR/{manifest.batch}/manifest.json", text.replace(old, new, 1))
    channel = exchange.channel("HR")

    with pytest.raises(ExchangeError) as caught:
        channel.manifests()

    folder = channel._describe(manifest.batch)
    assert str(caught.value) == (
        f"{folder}/manifest.json is not a manifest of this version: {why}; "
        f"restore the folder {folder}, or remove it and prepare a Complete"
    )


def test_a_survey_tells_what_can_be_read_and_what_cannot(exchange: Exchange, tmp_path: Path) -> None:
    good, bad = published(exchange, tmp_path), published(exchange, tmp_path)
    overwrite(exchange, f"HR/{bad.batch}/manifest.json", b"[]")

    manifests, unreadable = exchange.channel("HR").survey()

    assert manifests == [good]
    assert list(unreadable) == [bad.batch]
    assert "it is not a JSON object" in str(unreadable[bad.batch])


def test_an_unknown_batch_is_an_error(exchange: Exchange) -> None:
    unknown = new_batch_id()
    with pytest.raises(ExchangeError, match=f"connector HR has no batch {unknown}"):
        exchange.channel("HR").manifest(unknown)
    with pytest.raises(ExchangeError, match=r"'\.\./AD' is not a batch id"):
        exchange.channel("HR").manifest("../AD")


# ------------------------------------------------------------------------------------------------------ the queue


def test_the_queue_is_ordered_by_effective_date_then_id(exchange: Exchange, tmp_path: Path) -> None:
    late = published(exchange, tmp_path, date=NOON + timedelta(days=1))
    early = published(exchange, tmp_path)
    early_again = published(exchange, tmp_path)
    plan = published(exchange, tmp_path, date=NOON + timedelta(days=9), plan_only=True)

    channel = exchange.channel("HR")
    assert channel.manifests() == [early, early_again, late]
    assert channel.manifests(plan_only=True) == [early, early_again, late, plan]
    assert channel.newest() == late
    assert channel.manifest(plan.batch) == plan


def test_a_retry_finds_the_batch_of_its_task_instance(exchange: Exchange, tmp_path: Path) -> None:
    origin = Origin(job="hr", run="scheduled__2026-03-01", task="prepare")
    published(exchange, tmp_path, origin=replace(origin, run="manual"))
    own = published(exchange, tmp_path, origin=origin)
    plan = published(exchange, tmp_path, origin=origin, plan_only=True)
    published(exchange, tmp_path, origin=Origin(task="idm prepare"))

    channel = exchange.channel("HR")
    assert channel.by_origin(origin) == own
    assert channel.by_origin(origin, plan_only=True) == plan
    assert channel.by_origin(replace(origin, map_index=3)) is None
    assert channel.by_origin(Origin(task="idm prepare")) is None


def test_finished_batches_are_noted_beside_them(exchange: Exchange, tmp_path: Path) -> None:
    first, second, third = (published(exchange, tmp_path) for _ in range(3))
    server = Origin(job="hr", run="r", task="synchronize")
    channel = exchange.channel("HR")

    channel.mark_finished(first.batch, "cancelled", NOON, replaced_by=second.batch, by=server)
    channel.mark_finished(second.batch, "rejected", NOON)
    channel.mark_finished(second.batch, "applied", NOON, by=server)

    assert channel.finished() == {
        first.batch: Finished(first.batch, "cancelled", NOON, second.batch, server),
        second.batch: Finished(second.batch, "applied", NOON, None, server),
    }
    assert channel.unfinished() == [third]
    assert channel.manifests() == [first, second, third]


@pytest.mark.parametrize("damage", ["cut", "of another batch", "not text"])
def test_a_note_that_cannot_be_trusted_counts_as_none_until_it_is_written_anew(
    exchange: Exchange, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    first, second = (published(exchange, tmp_path) for _ in range(2))
    channel = exchange.channel("HR")
    for manifest in (first, second):
        channel.mark_finished(manifest.batch, "applied", NOON)
    whole = Finished(second.batch, "applied", NOON)
    contents = {"cut": b'{"batch": "', "of another batch": whole.to_json().encode(), "not text": b"\xff\x00"}

    overwrite(exchange, f"HR/{first.batch}/finished.json", contents[damage])

    assert channel.finished() == {second.batch: whole}
    (warning,) = caplog.messages
    assert f"HR/{first.batch}/finished.json" in warning
    assert channel.unfinished() == [first]

    channel.mark_finished(first.batch, "applied", NOON)
    assert channel.finished() == {first.batch: Finished(first.batch, "applied", NOON), second.batch: whole}


def test_a_connector_state_is_published_for_agents(exchange: Exchange) -> None:
    blocked = ConnectorState("blocked", NOON, new_batch_id(), "MaximumDeletedLines of HR: 100, actual 250")
    exchange.channel("HR").write_state(blocked)
    assert exchange.channel("HR").state() == blocked
    assert exchange.channel("AD").state().state == "ready"
    assert [n for n in stored_files(exchange) if "tmp" in n] == []

    exchange.channel("HR").write_state(ConnectorState("needs_complete", NOON))
    assert exchange.channel("HR").state().state == "needs_complete"
    assert json.loads(exchange._storage.read_all([stored_files(exchange)["HR/state.json"]]).popitem()[1]) == {
        "batch": None,
        "message": "",
        "since": "2026-03-01T12:00:00+00:00",
        "state": "needs_complete",
    }

    overwrite(exchange, "HR/state.json", b'{"state": "idle"}')
    with pytest.raises(
        ExchangeError, match=r"HR/state\.json cannot be read: 'idle' is none of ready, blocked"
    ):
        exchange.channel("HR").state()


# ------------------------------------------------------------------------------------------------- names and ids


@pytest.mark.parametrize(
    ("identifier", "folder"),
    [
        ("HR", "HR"),
        ("SAP.ERP-2_x", "SAP.ERP-2_x"),
        ("Paie été", "Paie%20%C3%A9t%C3%A9"),
        ("..", "%2E%2E"),
        ("../x", "%2E.%2Fx"),
        ("a\\b", "a%5Cb"),
        ("con", "%63on"),
        ("Console", "Console"),
        ("100%", "100%25"),
    ],
)
def test_a_connector_has_a_safe_folder_name(identifier: str, folder: str) -> None:
    assert folder_name(identifier) == folder


def test_long_connector_names_stay_apart() -> None:
    names = {folder_name("x" * 300 + end).casefold() for end in "abc"}
    assert len(names) == 3
    assert max(map(len, names)) <= 180


def test_a_connector_without_a_name_has_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="needs an identifier"):
        Exchange.open(tmp_path).channel(" ")


def test_a_connector_is_the_same_in_any_case(exchange: Exchange, tmp_path: Path) -> None:
    manifest = published(exchange, tmp_path)
    other = published(exchange, tmp_path, connector="hr")
    assert exchange.channel("Hr").manifests() == [manifest, other]
    assert {name.partition("/")[0] for name in stored_files(exchange)} == {"HR"}


def test_batch_ids_are_time_ordered_uuids_in_all_threads() -> None:
    ids: list[list[str]] = [[] for _ in range(8)]

    def make(into: list[str]) -> None:
        into.extend(new_batch_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(into,)) for into in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(own == sorted(own) for own in ids)
    assert len({batch for own in ids for batch in own}) == 16_000
    parsed = uuid.UUID(ids[0][0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs((parsed.int >> 80) / 1000 - datetime.now(UTC).timestamp()) < 60
    assert ids[-1][-1] < new_batch_id()


# -------------------------------------------------------------------------------------------------------- storage


class SilentFileSystem(MemoryFileSystem):
    """A storage that answers nothing."""

    protocol = "silent"
    cachable = False

    def ls(self, path: str, detail: bool = True, **_: object) -> list[str]:
        raise TimeoutError(f"no answer for {path}")

    def open(self, path: str, mode: str = "rb", **_: object) -> None:
        raise TimeoutError(f"no answer for {path}")

    def cat_file(self, path: str, **_: object) -> bytes:
        raise TimeoutError(f"no answer for {path}")


class UnsortedFileSystem(MemoryFileSystem):
    """A storage that lists in no useful order, as SFTP does."""

    protocol = "unsorted"
    cachable = False

    def ls(self, path: str, detail: bool = True, **kwargs: object) -> list[object]:
        return sorted(super().ls(path, detail=detail, **kwargs), key=str, reverse=True)


@pytest.mark.parametrize("is_async", [False, True])
def test_each_batch_has_its_own_manifest_and_note_in_whatever_order_a_storage_lists(
    tmp_path: Path, is_async: bool
) -> None:
    storage = UnsortedFileSystem()
    exchange = Exchange(
        AsyncFileSystemWrapper(storage, asynchronous=False) if is_async else storage, f"/{uuid.uuid4().hex}"
    )
    channel = exchange.channel("HR")
    batches = [published(exchange, tmp_path) for _ in range(20)]
    notes = {}
    for number, manifest in enumerate(batches[:15]):
        at = NOON + timedelta(minutes=number)
        channel.mark_finished(manifest.batch, "applied", at)
        notes[manifest.batch] = Finished(manifest.batch, "applied", at)

    assert channel.manifests() == batches
    assert channel.finished() == notes
    assert channel.unfinished() == batches[15:]


@pytest.mark.parametrize("kind", ["folder", "file-url", "memory", "renaming", "unsorted"])
def test_the_name_of_the_folder_is_no_pattern(tmp_path: Path, kind: str) -> None:
    unique = uuid.uuid4().hex
    name = "a[x]*?"
    exchange = {
        "folder": lambda: Exchange.open(tmp_path / name),
        "file-url": lambda: Exchange.open(f"file://{tmp_path}/{name}"),
        "memory": lambda: Exchange.open(f"memory://{unique}/{name}"),
        "renaming": lambda: Exchange(RenamingFileSystem(), f"/{unique}/{name}"),
        "unsorted": lambda: Exchange(UnsortedFileSystem(), f"/{unique}/{name}"),
    }[kind]()
    channel = exchange.channel("HR")
    assert (channel.manifests(), channel.finished(), channel.state().state) == ([], {}, "ready")

    first, second = (published(exchange, tmp_path / "Collect") for _ in range(2))
    channel.mark_finished(first.batch, "applied", NOON)
    channel.write_state(ConnectorState("needs_complete", NOON))

    assert channel.manifests() == [first, second]
    assert channel.manifest(second.batch) == second
    assert channel.unfinished() == [second]
    assert channel.state().state == "needs_complete"
    fetched = channel.fetch(second, tmp_path / "staged")
    assert fetched["Person"].read_bytes() == PERSONS
    with pytest.raises(ExchangeError, match="has no batch"):
        channel.manifest(new_batch_id())


def test_a_storage_that_does_not_answer_is_worth_a_retry(tmp_path: Path) -> None:
    channel = Exchange(SilentFileSystem(), "/exchange").channel("HR")
    file, path = make_file(tmp_path)
    manifest = make_manifest(file)
    for call in (
        channel.manifests,
        channel.finished,
        channel.state,
        lambda: channel.manifest(manifest.batch),
        lambda: channel.fetch(manifest, tmp_path),
        lambda: channel.publish(manifest, {file.name: path}),
        lambda: channel.mark_finished(manifest.batch, "applied", NOON),
    ):
        with pytest.raises(ExchangeUnavailableError, match="TimeoutError: no answer for"):
            call()


class GuardingFileSystem(MemoryFileSystem):
    """A storage that shows one file to others only."""

    protocol = "guarding"
    cachable = False
    refused = ""

    def cat_file(self, path: str, **kwargs: object) -> bytes:
        if self.refused and path.endswith(self.refused):
            raise PermissionError(path)
        return super().cat_file(path, **kwargs)


def test_a_note_that_is_refused_counts_as_none_but_a_manifest_that_is_refused_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = GuardingFileSystem()
    exchange = Exchange(storage, f"/{uuid.uuid4().hex}")
    channel = exchange.channel("HR")
    first, second = (published(exchange, tmp_path) for _ in range(2))
    for manifest in (first, second):
        channel.mark_finished(manifest.batch, "applied", NOON)

    storage.refused = f"{first.batch}/finished.json"
    assert list(channel.finished()) == [second.batch]
    (warning,) = caplog.messages
    assert "permission denied" in warning
    assert channel.manifests() == [first, second]

    storage.refused = f"{first.batch}/manifest.json"
    with pytest.raises(ExchangeError, match="permission denied"):
        channel.manifests()


class BreakingFileSystem(MemoryFileSystem):
    """A storage that goes away after a number of writes."""

    protocol = "breaking"
    cachable = False
    writes_left = 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        self._count()
        super().pipe_file(path, value, mode)

    def put_file(self, lpath: str, rpath: str, **_: object) -> None:
        self._count()
        super().put_file(lpath, rpath)

    def _count(self) -> None:
        if self.writes_left == 0:
            raise ConnectionResetError("gone")
        self.writes_left -= 1


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_publish_that_fails_at_any_write_publishes_nothing(tmp_path: Path, writes: int) -> None:
    storage = BreakingFileSystem()
    channel = Exchange(storage, f"/{uuid.uuid4().hex}").channel("HR")
    file, path = make_file(tmp_path)
    links, links_path = make_file(tmp_path, b"key1,key2\n", "Manager")
    manifest = make_manifest(file, links)
    files = {file.name: path, links.name: links_path}

    storage.writes_left = writes
    with pytest.raises(ExchangeUnavailableError, match="ConnectionResetError: gone"):
        channel.publish(manifest, files)
    assert channel.manifests(plan_only=True) == []

    storage.writes_left = 10
    channel.publish(manifest, files)
    assert channel.manifests() == [manifest]
    assert set(channel.fetch(manifest, tmp_path / "staged")) == {"Person", "Manager"}


def test_a_file_cannot_be_an_exchange(tmp_path: Path) -> None:
    (tmp_path / "exchange").write_text("a file where a folder should be")
    for place in (tmp_path / "exchange", tmp_path / "exchange" / "inner"):
        with pytest.raises(ExchangeError, match="exchange is a file; name a folder for the exchange"):
            Exchange.open(place).channel("HR").manifests()
        with pytest.raises(ExchangeError, match="exchange is a file; name a folder for the exchange"):
            Exchange.open(place).channel("HR").write_state(ConnectorState())


class RefusingFileSystem(MemoryFileSystem):
    """A storage that lets nobody in."""

    protocol = "refusing"
    cachable = False
    error: OSError = PermissionError("Access Denied")

    def ls(self, path: str, detail: bool = True, **_: object) -> list[object]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "permission denied; give this user the right"),
        (OSError(errno.EROFS, "Read-only file system"), "the file system is read-only"),
    ],
)
def test_what_a_storage_refuses_for_good_is_not_called_passing(error: OSError, message: str) -> None:
    storage = RefusingFileSystem()
    storage.error = error
    with pytest.raises(ExchangeError, match=message):
        Exchange(storage, "/exchange").channel("HR").manifests()


def test_a_bucket_that_is_not_there_is_no_empty_exchange() -> None:
    storage = RefusingFileSystem()
    storage.error = FileNotFoundError("The specified bucket does not exist")
    exchange = Exchange(storage, "idmm/exchange")

    told = (
        "at refusing://.*idmm/exchange.*: The specified bucket does not exist; make it, or name another place"
    )
    with pytest.raises(ExchangeError, match=told):
        exchange.check_answers()
    with pytest.raises(ExchangeError, match=told):
        exchange.channel("HR").manifests()
    # a folder in it need not be there yet
    storage.error = FileNotFoundError("idmm/exchange")
    exchange.check_answers()
    assert exchange.channel("HR").manifests() == []


def test_a_url_that_nothing_reads_is_an_error() -> None:
    with pytest.raises(ExchangeError, match="cannot be a 'nosuch' URL"):
        Exchange.open("nosuch://bucket/exchange")


def test_messages_never_hold_the_password_of_a_url() -> None:
    with pytest.raises((ExchangeError, ExchangeUnavailableError)) as caught:
        Exchange.open("sftp://idm:s3cret@localhost:1/exchange").channel("HR").manifests()
    assert "s3cret" not in str(caught.value)
