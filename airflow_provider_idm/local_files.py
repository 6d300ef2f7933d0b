"""What the local disk refuses, in words for a person: a wrong folder stays wrong, a full disk may be emptied."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_idm.errors import ResourcesError, TerminalError, TransientError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR})
_REFUSED = frozenset({errno.EACCES, errno.EPERM})
_LASTING = _IN_THE_WAY | _REFUSED | {errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}


class FileAccessError(TerminalError):
    """A file, a folder or standard output cannot be used as it is: permissions, a file where a folder must be."""


class FileUnavailableError(TransientError):
    """A file or folder cannot be used just now: what it lies on does not answer, or it went away meanwhile."""


@contextmanager
def local_files() -> Iterator[None]:
    """Turn what the disk says of a file or folder into this provider's errors.

    :raises FileAccessError: if the path is refused, and will be again: permissions, a file where a folder must be.
    :raises ResourcesError: if the disk is full.
    :raises FileUnavailableError: if something else is wrong with it, which may pass.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            where = f" ({error.filename})" if error.filename else ""
            raise ResourcesError(f"the disk is full{where}; make room there") from error
        if error.filename is None:
            raise
        if not is_lasting(error):
            raise FileUnavailableError(f"{_text(error.filename)}: {error.strerror or error}") from error
        raise FileAccessError(
            f"{_text(error.filename2 or error.filename)}: {lasting_reason(error)}"
        ) from error


def is_full(error: BaseException) -> bool:
    """Tell whether there is no room left where something was to be written."""
    return isinstance(error, OSError) and error.errno in _FULL


def is_lasting(error: BaseException) -> bool:
    """Tell whether a storage refuses a path in a way that will not pass by itself."""
    if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError):
        return True  # file systems beyond the disk raise them without a number
    return isinstance(error, OSError) and error.errno in _LASTING


def lasting_reason(error: BaseException) -> str:
    """Return what is wrong with a path, and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, PermissionError) or number in _REFUSED:
        return "permission denied; give this user the right to read and write there, or name another place"
    if number == errno.EROFS:
        return "the file system is read-only; name another place"
    if isinstance(error, NotADirectoryError | FileExistsError):
        found = _obstacle(error.filename)
        return f"{found or 'something'} is a file where a folder is needed; remove it, or name another place"
    if isinstance(error, IsADirectoryError):
        return "this is a folder where a file is needed; remove it, or name another place"
    return f"{getattr(error, 'strerror', None) or error}; name another place"


def _obstacle(name: object) -> Path | None:
    """Find what on the way to a path is no folder."""
    if not isinstance(name, str | bytes):
        return None
    path = Path(_text(name))
    return next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
