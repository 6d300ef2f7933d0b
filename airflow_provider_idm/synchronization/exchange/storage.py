"""One folder on a local disk or any fsspec file system: whole writes, streamed reads, two kinds of errors.

A missing file is a ``FileNotFoundError``, for the caller knows what it means. What the storage refuses for good
(permissions, a file where a folder must be, a bucket that is not there) becomes ``ExchangeError``; everything else that
it raises becomes ``ExchangeUnavailableError``, because it says nothing about the batch.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError, IdmError
from airflow_provider_idm.local_files import is_full, is_lasting, lasting_reason
from airflow_provider_idm.synchronization.exchange.local import flush, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CHUNK = 4 * 1024 * 1024
"""Bytes read at a time."""

READERS = 16
"""Small files read at the same time."""

_OBJECT_STORES = frozenset(
    {
        "memory",
        "s3",
        "s3a",
        "gs",
        "gcs",
        "abfs",
        "abfss",
        "az",
        "adl",
        "oss",
        "oci",
        "ocilake",
        "cos",
        "cosn",
        "obs",
        "tos",
    }
)
"""Protocols of object stores: an object is there whole or not at all, and a move is only a copy."""

_NO_PLACE: Final = re.compile(
    r"\b(bucket|container|file\s?system) does not exist\b|NoSuchBucket|ContainerNotFound|FilesystemNotFound",
    re.IGNORECASE,
)
"""What S3, Google and Azure say of a bucket that is not there."""


class Storage:
    """A folder on a file system.

    :param fs: an fsspec file system.
    :param root: path of the folder, as that file system writes it (no protocol).
    """

    def __init__(self, fs: Any, root: str) -> None:
        while isinstance(fs, DirFileSystem):
            fs, root = fs.fs, f"{fs.path}/{root.lstrip('/')}"
        self.fs = fs
        self.root = root.rstrip("/") or "/"
        self.is_local = isinstance(fs, LocalFileSystem)

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> Storage:
        """Open a local folder or a URL.

        :raises ExchangeError: if the URL's protocol is unknown or its library is not installed.
        """
        text = os.fspath(location)
        if "://" not in text and "::" not in text:
            return cls(fsspec.filesystem("file"), Path(text).expanduser().absolute().as_posix())
        protocol = text.partition("://")[0]
        try:
            fs, root = fsspec.core.url_to_fs(text)
        except ImportError as error:
            raise ExchangeError(f"the exchange needs a library for {protocol!r} URLs: {error}") from error
        except PermissionError as error:
            raise ExchangeError(
                f"the exchange ({protocol}://…) cannot be opened: {lasting_reason(error)}"
            ) from error
        except ValueError as error:
            raise ExchangeError(f"the exchange cannot be a {protocol!r} URL: {error}") from error
        except Exception as error:
            raise ExchangeUnavailableError(
                f"the exchange ({protocol}://…) cannot be opened: {_reason(error)}"
            ) from error
        return cls(fs, root)

    def path(self, *names: str) -> str:
        """Return the path of something inside the folder, as the file system writes it."""
        return "/".join((self.root.rstrip("/"), *names))

    def describe(self, *names: str) -> str:
        """Return the place of something inside the folder for messages; never holds credentials."""
        path = self.path(*names)
        if self.is_local:
            return path
        return f"{self._protocols[0]}://{getattr(self.fs, 'host', None) or ''}{path}"

    def folders_and_files(self, *names: str) -> list[str]:
        """Return the names in a folder, in no order; none if there is no such folder.

        :raises ExchangeError: if the exchange itself is not a folder.
        """
        path = self.path(*names)
        if not names and self.is_local:
            self._check_root()
        with self._guard(path):
            try:
                if self.is_local:
                    # fsspec looks at each entry, of which there may be thousands
                    with os.scandir(path) as found:
                        return [entry.name for entry in found]
                self.fs.invalidate_cache(path)
                entries = self.fs.ls(path, detail=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                # an exchange that is empty has nothing to do; one whose bucket is gone must say so
                if _is_place_missing(error):
                    raise
                return []
        listed = (str(entry).rstrip("/").rpartition("/")[2] for entry in entries)
        return [name for name in listed if name and name != path.rpartition("/")[2]]

    def exists(self, *names: str) -> bool:
        """Tell whether a file is there."""
        path = self.path(*names)
        with self._guard(path):
            self.fs.invalidate_cache(self.fs._parent(path))  # noqa: SLF001 - what fsspec itself calls
            return bool(self.fs.exists(path))

    def size(self, *names: str) -> int:
        """Return a file's size in bytes.

        :raises FileNotFoundError: if there is none.
        """
        path = self.path(*names)
        with self._guard(path):
            self.fs.invalidate_cache(self.fs._parent(path))  # noqa: SLF001
            return int(self.fs.size(path))

    def read_all(
        self, paths: Sequence[str], on_refused: Callable[[str, ExchangeError], None] | None = None
    ) -> dict[str, bytes]:
        """Read small files, side by side where the storage can; those that are not there are left out.

        :param on_refused: is told of each file that the storage refuses for good, which is left out then.
        """
        read = partial(self._read_one, on_refused=on_refused)
        if self._reads_side_by_side and len(paths) > 1:
            with ThreadPoolExecutor(READERS) as readers:
                contents = list(readers.map(read, paths))
        else:
            contents = [read(path) for path in paths]
        return {path: content for path, content in zip(paths, contents, strict=True) if content is not None}

    def _read_one(self, path: str, on_refused: Callable[[str, ExchangeError], None] | None) -> bytes | None:
        # One path at a time: fsspec takes several for patterns, and answers in an order of its own.
        try:
            with self._guard(path), suppress(FileNotFoundError, NotADirectoryError, KeyError):
                return Path(path).read_bytes() if self.is_local else bytes(self.fs.cat_file(path))
        except ExchangeError as error:
            if on_refused is None:
                raise
            on_refused(path, error)
        return None

    def chunks(self, *names: str) -> Iterator[bytes]:
        """Stream a file.

        :raises FileNotFoundError: if there is none.
        """
        path = self.path(*names)
        with self._guard(path):
            file = self.fs.open(path, "rb")
        with file:
            while True:
                with self._guard(path):
                    chunk = file.read(CHUNK)
                if not chunk:
                    return
                yield chunk

    def upload(self, source: Path, *names: str) -> None:
        """Copy a local file into the folder; on a local disk it is durable when this returns."""
        path = self.path(*names)
        if self.is_local:
            with self._guard(path):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, path)
                flush(Path(path))
            return
        with self._guard(path):
            self._make_parent(path)
            self.fs.put_file(str(source), path)

    def write(self, content: bytes, *names: str) -> None:
        """Write a small file as a whole: a reader sees the former content or the new one, never a part."""
        path = self.path(*names)
        with self._guard(path):
            if self.is_local:
                write_whole(Path(path), content)
                return
            self._make_parent(path)
            if self._puts_whole:
                self.fs.pipe_file(path, content)
            else:
                self._write_and_move(path, content)

    def _check_root(self) -> None:
        path = Path(self.root)
        obstacle = next((p for p in (path, *path.parents) if p.is_file()), None)
        if obstacle is not None:
            raise ExchangeError(
                f"the exchange cannot be in {self.root}: {obstacle} is a file; name a folder for the exchange"
            )

    def _make_parent(self, path: str) -> None:
        if not self._is_object_store:  # which has no folders, and might take it for an order to make a bucket
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _write_and_move(self, path: str, content: bytes) -> None:
        temporary = f"{path}.{secrets.token_hex(8)}.tmp"
        self.fs.pipe_file(temporary, content)
        try:
            self.fs.mv(temporary, path)
        except Exception:
            if not self.fs.exists(path):
                raise
            self.fs.rm_file(path)  # a file system whose move does not replace
            self.fs.mv(temporary, path)

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = self.fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    @property
    def _is_object_store(self) -> bool:
        return not _OBJECT_STORES.isdisjoint(self._protocols)

    @property
    def _reads_side_by_side(self) -> bool:
        # The others (SFTP, FTP, SMB) have one connection, which threads must not share.
        return bool(getattr(self.fs, "async_impl", False))

    @property
    def _puts_whole(self) -> bool:
        has_no_rename = getattr(type(self.fs), "mv", None) is fsspec.AbstractFileSystem.mv
        return has_no_rename or self._is_object_store

    @contextmanager
    def _guard(self, path: str) -> Iterator[None]:
        try:
            yield
        except IdmError:
            raise
        except Exception as error:
            if _is_place_missing(error):
                raise ExchangeError(
                    f"the exchange cannot be used at {self._place(path)}: {str(error).strip().rstrip('.')}; make it, or "
                    "name another place"
                ) from error
            if isinstance(error, FileNotFoundError):
                raise
            if is_lasting(error):
                raise ExchangeError(
                    f"the exchange cannot be used at {self._place(path)}: {lasting_reason(error)}"
                ) from error
            if is_full(error):
                raise ExchangeUnavailableError(
                    f"the exchange has no room left for {self._place(path)}; make room there"
                ) from error
            raise ExchangeUnavailableError(
                f"the exchange does not answer at {self._place(path)}: {_reason(error)}"
            ) from error

    def _place(self, path: str) -> str:
        return path if self.is_local else f"{self._protocols[0]}://{path}"


def _is_place_missing(error: Exception) -> bool:
    """Tell whether it is the bucket or container that is not there; a file that is missing is another matter."""
    return _NO_PLACE.search(str(error)) is not None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
