"""How far each connection's exports have got: the cookies of exporters that know what changed.

An export keeps its new cookie aside, with the SHA-256 of the files that it wrote. Only a prepare that publishes a batch
made from exactly these files makes it the current one, from which the next incremental export starts. Until then that
starts from the old cookie and exports the same changes again, which does no harm; so whatever fails on the way, no
change is lost. A cookie is marked with its batch before the batch is published: if the process ends in between, the next
prepare makes it current if the batch is there.

``<work>/<connector>/cookies/<connection>/`` holds ``current.json`` and one file per cookie kept aside, named after what
was exported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import TerminalError
from airflow_provider_idm.synchronization.exchange import folder_name, sha256_of

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping
    from pathlib import Path

_FORMAT: Final = 1
_CURRENT: Final = "current.json"


class CookieError(TerminalError):
    """What is kept of a connection's exports cannot be read, or does not allow what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """What is kept of an export.

    :param connection: its connection.
    :param text: what the exporter wants back for the next incremental export; None if that cannot start from here.
    :param files: SHA-256 in hex of each file that was exported, by name.
    :param incremental: whether these hold changes alone.
    :param made_at: when they were exported (UTC, ISO 8601).
    :param batch: the batch that was made from them; None if none was yet.
    :param why: why ``text`` is None, for a person.
    """

    connection: str
    text: str | None
    files: Mapping[str, str]
    incremental: bool
    made_at: str
    batch: str | None = None
    why: str | None = None

    @property
    def name(self) -> str:
        """Name of the file that keeps it aside."""
        told = json.dumps(sorted(self.files.items()))
        return f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.json"


class CookieStore:
    """The cookies of one connector's connections.

    :param work: the work folder.
    """

    def __init__(self, work: Path, connector: str) -> None:
        self._folder = work / folder_name(connector) / "cookies"

    # -------------------------------------------------------------------------------------------------- export

    def current(self, connection: str) -> Cookie | None:
        """Return what the next incremental export of a connection starts from; None if nothing is known.

        :raises CookieError: if it cannot be read.
        """
        return next(iter(_read_all([self._of(connection) / _CURRENT])), None)

    def knows(self, connection: str) -> bool:
        """Tell whether anything is kept of a connection's exports."""
        return any(self._of(connection).glob("*.json"))

    def keep(
        self, connection: str, text: str | None, files: Mapping[str, Path], *, incremental: bool
    ) -> Cookie:
        """Keep the cookie of an export aside, before its files replace those of a former one.

        :param files: where each exported file lies now, by the name that it will have.
        """
        cookie = Cookie(
            connection=connection,
            text=text,
            files={name: sha256_of(path) for name, path in files.items()},
            incremental=incremental,
            made_at=datetime.now(UTC).isoformat(),
        )
        _write(self._of(connection) / cookie.name, cookie)
        return cookie

    def forget_former(self, cookie: Cookie) -> None:
        """Forget what was kept of former exports of the connection, once their files were replaced.

        One that a batch may have been made from stays: the next prepare knows.
        """
        folder = self._of(cookie.connection)
        for former in _read_all(_kept_aside(folder)):
            if former.name != cookie.name and former.batch is None:
                (folder / former.name).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------- prepare

    def settle(self, published: Container[str]) -> None:
        """Make each cookie current whose batch was published by a prepare that could not do so any more.

        A batch that was not published never will be: its mark goes.

        :param published: ids of the connector's batches.
        """
        for folder in self._folders():
            marked = [cookie for cookie in _read_all(_kept_aside(folder)) if cookie.batch is not None]
            for cookie in sorted(marked, key=lambda c: c.made_at):
                if cookie.batch in published:
                    self._make_current(cookie)
                else:
                    _write(folder / cookie.name, replace(cookie, batch=None))

    def exports_of(self, files: Mapping[str, Path | None]) -> list[Cookie]:
        """Return the cookie of each export that source files come from, unaltered.

        :param files: each source file that is read, by name; None for one that is no file.
        """
        hashes = _Hashes(files)

        def is_from(cookie: Cookie) -> bool:
            read = [name for name in cookie.files if name in files]
            return bool(read) and all(hashes[name] == cookie.files[name] for name in read)

        found = []
        for folder in self._folders():
            newest_first = sorted(_read_all(folder.glob("*.json")), key=lambda c: c.made_at, reverse=True)
            found += [cookie for cookie in newest_first if is_from(cookie)][:1]
        return found

    def origins_of(self, files: Mapping[str, Path | None]) -> dict[str, Cookie]:
        """Return by source file the last export that wrote it as it is now, whatever became of the others it wrote.

        :param files: as for ``exports_of``.
        """
        hashes = _Hashes(files)
        found: dict[str, Cookie] = {}
        for folder in self._folders():
            for cookie in sorted(_read_all(folder.glob("*.json")), key=lambda c: c.made_at):
                found |= {
                    name: cookie
                    for name, kept in cookie.files.items()
                    if name in files and hashes[name] == kept
                }
        return found

    def mark(self, exports: Iterable[Cookie], batch: str) -> None:
        """Note which batch is about to be published from exports."""
        for cookie in exports:
            _write(self._of(cookie.connection) / cookie.name, replace(cookie, batch=batch))

    def switch(self, exports: Iterable[Cookie]) -> None:
        """Make the cookies of exports current: the batch made from them was published."""
        for cookie in exports:
            self._make_current(cookie)

    def retire(self, files: Collection[str], exports: Iterable[Cookie], why: str) -> list[str]:
        """Forget the cookies of connections whose files, as they are read now, were not exported by them.

        A Complete is about to make the repository what such files say, however old they are: what changed between
        them and the cookie would be lost.

        :param files: names of the source files that are read.
        :param exports: those that source files come from.
        :return: the connections.
        """
        known = {cookie.connection for cookie in exports}
        retired = []
        for folder in self._folders():
            for cookie in _read_all([folder / _CURRENT]):
                is_read = not cookie.files.keys().isdisjoint(files)
                if is_read and cookie.text is not None and cookie.connection not in known:
                    _write(folder / _CURRENT, replace(cookie, text=None, why=why))
                    retired.append(cookie.connection)
        return retired

    # ------------------------------------------------------------------------------------------------- details

    def _make_current(self, cookie: Cookie) -> None:
        folder = self._of(cookie.connection)
        _write(folder / _CURRENT, cookie)
        (folder / cookie.name).unlink(missing_ok=True)

    def _of(self, connection: str) -> Path:
        return self._folder / folder_name(connection.casefold())

    def _folders(self) -> list[Path]:
        return sorted(p for p in self._folder.iterdir() if p.is_dir()) if self._folder.is_dir() else []


class _Hashes(dict[str, "str | None"]):
    """SHA-256 of source files by name, worked out when asked for; None for one that is no file."""

    def __init__(self, files: Mapping[str, Path | None]) -> None:
        super().__init__()
        self._files = files

    def __missing__(self, name: str) -> str | None:
        path = self._files[name]
        self[name] = None if path is None else sha256_of(path)
        return self[name]


def _kept_aside(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if path.name != _CURRENT]


def _read_all(paths: Iterable[Path]) -> list[Cookie]:
    """Read cookies; one that another process has just taken away is left out."""
    return [cookie for path in paths if (cookie := _read(path)) is not None]


def _read(path: Path) -> Cookie | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") == _FORMAT:
            return Cookie(**data)
        reason = "it is of another format"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = type(error).__name__
    raise CookieError(
        f"{path} cannot be read ({reason}): it keeps how far a connection's exports have got. Remove it, and let a "
        "Complete export and prepare everything"
    )


def _write(path: Path, cookie: Cookie) -> None:
    """Write a cookie as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, **asdict(cookie)}, file, indent=2, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
