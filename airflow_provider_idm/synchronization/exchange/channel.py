"""One connector's part of the exchange: publish, read and fetch batches."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.batches import Batches
from airflow_provider_idm.synchronization.exchange.checks import (
    FINISHED,
    MANIFEST,
    check_files,
    check_hash,
    check_names,
    check_size,
    is_copy,
)
from airflow_provider_idm.synchronization.exchange.fetching import fetch_ahead
from airflow_provider_idm.synchronization.exchange.identifiers import (
    canonical_batch_id,
    folder_name,
    is_batch_id,
)
from airflow_provider_idm.synchronization.exchange.index import INDEX, from_text, to_text
from airflow_provider_idm.synchronization.exchange.manifest import BatchFile, Manifest, Origin
from airflow_provider_idm.synchronization.exchange.notes import ConnectorState, Finished, FinishedState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_idm.synchronization.exchange.storage import Storage

log = logging.getLogger(__name__)

STATE = "state.json"
_FILES_AT_ONCE = 2
"""Files of a local exchange that are checked side by side."""


class ConnectorExchange:
    """A connector's folder in the exchange: ``<batch>/`` per batch, ``state.json``, and an index of what is done.

    A run asks ``batches()``. What reads every batch that there ever was (``manifests``, ``finished``) is for people.
    """

    def __init__(self, storage: Storage, connector: str) -> None:
        self.connector = connector
        self._storage = storage
        self._name = folder_name(connector)

    @cached_property
    def folder(self) -> str:
        """The folder's name; one that differs only in case is the same connector's, on every file system."""
        wanted = self._name.casefold()
        names = self._storage.folders_and_files()
        return next((name for name in sorted(names) if name.casefold() == wanted), self._name)

    # ------------------------------------------------------------------------------------------------ batches

    def publish(self, manifest: Manifest, files: Mapping[str, Path]) -> None:
        """Publish a batch: its files first, then, as a whole, the manifest that makes them a batch.

        :param files: the local path of every file that the manifest names, by its name in the batch.
        :raises ExchangeError: if the batch is published already, is another connector's, or the files are not
            those of the manifest (names, sizes).
        :raises ExchangeUnavailableError: if the storage fails; nothing is published then.
        """
        batch = canonical_batch_id(manifest.batch)
        if batch != manifest.batch or manifest.connector.casefold() != self.connector.casefold():
            raise ExchangeError(
                f"batch {manifest.batch} of connector {manifest.connector} cannot be published "
                f"for connector {self.connector}"
            )
        check_names(manifest, self._describe(batch, MANIFEST))
        check_files(manifest, files)
        if self._storage.exists(self.folder, batch, MANIFEST):
            raise ExchangeError(f"batch {batch} of connector {self.connector} is published already")
        for file in manifest.files:
            self._storage.upload(files[file.name], self.folder, batch, file.name)
            stored = self._storage.size(self.folder, batch, file.name)
            if stored != file.size:
                place = self._describe(batch, file.name)
                raise ExchangeError(
                    f"{place} was written incompletely: expected {file.size} bytes, found {stored}"
                )
        self._storage.write(manifest.to_json().encode(), self.folder, batch, MANIFEST)

    def manifests(self, *, plan_only: bool = False) -> list[Manifest]:
        """Return every published batch in queue order (effective date, id).

        :param plan_only: with those that only a plan may read.
        :raises ExchangeError: if a manifest cannot be read or is not that of its folder: a batch is never skipped.
        """
        found, unreadable = self.survey()
        for error in unreadable.values():
            raise error
        return [m for m in found if plan_only or not m.plan_only]

    def survey(self) -> tuple[list[Manifest], dict[str, ExchangeError]]:
        """Return what can be read: every published batch in queue order, and what is wrong with the others, by id."""
        found, unreadable = self.read(self.names())
        return sorted(found.values(), key=lambda m: m.order), unreadable

    def batches(self) -> Batches:
        """Take a look at the batches, which reads no more of them than is asked about."""
        return Batches(self)

    def names(self) -> list[str]:
        """Return the ids that folders have, in no order: those of batches, and of what is none yet."""
        return [name for name in self._storage.folders_and_files(self.folder) if is_batch_id(name)]

    def read(self, batches: Iterable[str]) -> tuple[dict[str, Manifest], dict[str, ExchangeError]]:
        """Read the manifests of batches; return what can be read, and what is wrong with others, both by id.

        A batch without a manifest, which is none, is in neither.

        :raises ExchangeError: if the storage refuses one.
        """
        found: dict[str, Manifest] = {}
        unreadable: dict[str, ExchangeError] = {}
        for batch, text in self._read(sorted(batches), MANIFEST).items():
            try:
                found[batch] = self._parse(batch, text)
            except ExchangeError as error:
                unreadable[batch] = error
        return found, unreadable

    def manifest(self, batch: str) -> Manifest:
        """Return one batch's manifest.

        :raises ExchangeError: if there is no such batch, or its manifest is not that of its folder.
        """
        batch = canonical_batch_id(batch)
        text = self._read([batch], MANIFEST).get(batch)
        if text is None:
            raise ExchangeError(
                f"connector {self.connector} has no batch {batch} in the exchange ({self._describe(batch)}); "
                "look at the batches with 'idm status', or prepare again"
            )
        return self._parse(batch, text)

    def newest(self) -> Manifest | None:
        """Return the last batch of the queue, or None if there is none; plan-only batches do not count."""
        return self.batches().newest()

    def by_origin(self, origin: Origin, *, plan_only: bool = False) -> Manifest | None:
        """Return the batch that a task instance published, the newest if there are several, or None.

        A command line has no run, hence no batch of its own.

        :param plan_only: look among plan-only batches instead.
        """
        return self.batches().by_origin(origin, plan_only=plan_only)

    def fetch(self, manifest: Manifest, folder: Path) -> dict[str, Path]:
        """Make a batch's files readable locally, each checked against its size and SHA-256 in one pass.

        Files of a local exchange are read where they are; others are downloaded into ``folder``.

        :return: the path of each file by its target (entity type or association).
        :raises ExchangeError: naming the file, if one is missing or is not what was published.
        """
        with self.fetching(manifest, folder) as files:
            return dict(files)

    @contextmanager
    def fetching(self, manifest: Manifest, folder: Path) -> Iterator[Mapping[str, Path]]:
        """Begin to make a batch's files readable, as ``fetch`` does; who asks for one waits until it has been checked.

        :raises ExchangeError: as ``fetch``, when the file is asked for.
        """
        check_names(manifest, self._describe(manifest.batch, MANIFEST))
        at_once = _FILES_AT_ONCE if self._storage.is_local else 1
        with fetch_ahead(
            manifest.files, lambda file: self._fetch_one(manifest.batch, file, folder), at_once
        ) as files:
            yield files

    # -------------------------------------------------------------------------------------------------- notes

    def mark_finished(
        self,
        batch: str,
        state: FinishedState,
        at: datetime,
        replaced_by: str | None = None,
        by: Origin | None = None,
    ) -> None:
        """Note that a batch is done; a note that is there already is replaced.

        :param at: when that came to be (UTC).
        :param replaced_by: the batch that cancelled it.
        :param by: the task that did it.
        """
        batch = canonical_batch_id(batch)
        note = Finished(batch=batch, state=state, at=at, replaced_by=replaced_by, by=by or Origin())
        self._storage.write(note.to_json().encode(), self.folder, batch, FINISHED)

    def finished(self) -> dict[str, Finished]:
        """Return the notes of all batches that are done, by batch id.

        A note that cannot be read, or is another batch's, is left out with a warning: the repository decides, and a
        note is written anew from it.
        """
        return self.notes(self.names())

    def notes(self, batches: Iterable[str]) -> dict[str, Finished]:
        """Return the notes of those batches that are done, as ``finished`` does of all."""
        paths = {self._storage.path(self.folder, batch, FINISHED): batch for batch in sorted(batches)}

        def leave_out(path: str, error: ExchangeError) -> None:
            log.warning("batch %s of %s counts as not noted: %s", paths[path], self.connector, error)

        notes = {}
        for path, text in self._storage.read_all(list(paths), leave_out).items():
            try:
                notes[paths[path]] = self._parse_note(paths[path], text)
            except ExchangeError as error:
                leave_out(path, error)
        return notes

    def unfinished(self) -> list[Manifest]:
        """Return the batches that are not noted as done, in queue order."""
        return self.batches().unfinished()

    def read_index(self) -> dict[str, str]:
        """Return the index's line of each batch that is done, by id.

        One that is not there, or cannot be trusted, is empty: the manifests tell the same.
        """
        path = self._storage.path(self.folder, INDEX)
        try:
            text = self._storage.read_all([path]).get(path)
            return {} if text is None else from_text(text, self.connector, self._describe(INDEX))
        except ExchangeError as error:
            log.warning("all manifests of %s are read: %s", self.connector, error)
            return {}

    def write_index(self, lines: Iterable[str]) -> None:
        """Write the index of the batches that are done; only whoever synchronizes the connector does."""
        self._storage.write(to_text(self.connector, lines), self.folder, INDEX)

    def state(self) -> ConnectorState:
        """Return the connector's state as last published; ready if it never was.

        :raises ExchangeError: if it cannot be read.
        """
        path = self._storage.path(self.folder, STATE)
        text = self._storage.read_all([path]).get(path)
        return ConnectorState() if text is None else ConnectorState.from_json(text, self._describe(STATE))

    def write_state(self, state: ConnectorState) -> None:
        """Publish the connector's state."""
        self._storage.write(state.to_json().encode(), self.folder, STATE)

    # ------------------------------------------------------------------------------------------------ details

    def _describe(self, *names: str) -> str:
        return self._storage.describe(self.folder, *names)

    def _read(self, batches: Iterable[str], name: str) -> dict[str, bytes]:
        paths = {self._storage.path(self.folder, batch, name): batch for batch in batches}
        return {paths[path]: text for path, text in self._storage.read_all(list(paths)).items()}

    def _parse(self, batch: str, text: bytes) -> Manifest:
        source = self._describe(batch, MANIFEST)
        try:
            manifest = Manifest.from_json(text.decode("utf-8", "replace"), source)
        except ExchangeError as error:
            raise ExchangeError(
                f"{error}; restore the folder {self._describe(batch)}, or remove it and prepare a Complete"
            ) from error
        if manifest.batch != batch or manifest.connector.casefold() != self.connector.casefold():
            raise ExchangeError(
                f"{source} is the manifest of batch {manifest.batch} of connector {manifest.connector}, but "
                f"lies in the folder of batch {batch} of connector {self.connector}: a batch cannot be "
                f"copied or renamed; remove the folder {self._describe(batch)}"
            )
        return manifest

    def _parse_note(self, batch: str, text: bytes) -> Finished:
        source = self._describe(batch, FINISHED)
        note = Finished.from_json(text, source)
        if note.batch != batch:
            raise ExchangeError(
                f"{source} is the note of batch {note.batch}, but lies in the folder of batch {batch}: remove it"
            )
        return note

    def _fetch_one(self, batch: str, file: BatchFile, folder: Path) -> Path:
        place = self._describe(batch, file.name)
        names = (self.folder, batch, file.name)
        try:
            if self._storage.is_local:
                path = Path(self._storage.path(*names))
                check_size(file, path.stat().st_size, place)
                check_hash(file, self._hash(names), place)
                return path
            path = folder / file.name
            if not is_copy(path, file):
                self._download(names, file, path, place)
        except FileNotFoundError as error:
            raise ExchangeError(
                f"{place} is missing, though the batch's manifest names it; prepare again"
            ) from error
        return path

    def _hash(self, names: tuple[str, ...]) -> str:
        digest = hashlib.sha256()
        for chunk in self._storage.chunks(*names):
            digest.update(chunk)
        return digest.hexdigest()

    def _download(self, names: tuple[str, ...], file: BatchFile, path: Path, place: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        digest, size = hashlib.sha256(), 0
        try:
            with partial.open("wb") as target:
                for chunk in self._storage.chunks(*names):
                    digest.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
            check_size(file, size, place)
            check_hash(file, digest.hexdigest(), place)
            shutil.move(partial, path)
        finally:
            partial.unlink(missing_ok=True)
