"""The file that a connection reads: ``Path`` or ``PathIncremental``, or the newest whose name matches."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import ExportError, ExportUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.synchronization.export.exporter import ExportJob
    from airflow_provider_idm.synchronization.export.settings import Settings

INCREMENTAL: Final = "PathIncremental"
"""The setting that names the file of an incremental export, which holds changes alone."""
_COMPLETE_ONLY: Final = re.compile(r"\.complete(@|$)|@\w+\.complete$", re.IGNORECASE)


def find_source(job: ExportJob) -> tuple[str, Path]:
    """Return the setting that names a connection's source, and the file.

    An incremental export reads ``PathIncremental`` if it is set, else ``Path``; a complete one, and every one of a
    ``.Complete`` package, reads ``Path``.

    :raises ExportError: if the setting or the file is missing.
    """
    settings = job.settings
    incremental = job.incremental and not _COMPLETE_ONLY.search(job.connection.package)
    name = INCREMENTAL if incremental and settings.path(INCREMENTAL) else "Path"
    return name, _find(settings, name)


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Read a source within this: one that is written to meanwhile may be half a file, with half of the accounts.

    :raises ExportUnavailableError: if it was written to; whatever else is wrong with it may be right then.
    """
    before = _state(path)
    try:
        yield
    except Exception:
        _check_state(path, before)
        raise
    _check_state(path, before)


def _check_state(path: Path, before: tuple[int, ...]) -> None:
    if _state(path) != before:
        raise ExportUnavailableError(
            f"{path} changed while it was read, so that nothing was exported; try again once it has been delivered as a "
            "whole (written under another name first, then renamed)"
        ) from None


def _state(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _find(settings: Settings, name: str) -> Path:
    text = settings.path(name)
    if text is None:
        raise settings.missing(name)
    if settings.flag("IsFileNameRegex"):
        return _newest_match(settings, name, text)
    path = Path(text)
    if not path.is_file():
        kind = "not a regular file" if path.exists() else "no such file"
        raise settings.error(name, f"{path}: {kind}. Was it delivered, and may this user read it?")
    return path


def _newest_match(settings: Settings, name: str, text: str) -> Path:
    folder, _, pattern = text.rpartition("/")
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise settings.error(name, f"{pattern!r} is not a regular expression: {error}") from error
    try:
        files = [
            path
            for path in Path(folder or "/").iterdir()
            if expression.fullmatch(path.name) and path.is_file()
        ]
    except OSError as error:
        raise settings.error(
            name, f"the folder {folder} cannot be read: {error.strerror or error}"
        ) from error
    if not files:
        raise settings.error(name, f"no file in {folder} has a name that matches {pattern!r} as a whole")
    try:
        return max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
    except OSError as error:
        raise ExportError(
            f"connection {settings.connection}: a file went while it was looked at: {error}"
        ) from error
