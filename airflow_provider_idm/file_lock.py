"""One at a time: a lock on a file, which the system lets go when its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import time
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAUSE: Final = 0.1
"""Seconds between two attempts."""


@contextlib.contextmanager
def locked(path: Path, what: str, timeout: float) -> Iterator[None]:
    """Hold a lock.

    :param path: the lock file; made if need be, and left there.
    :param what: what it is for, for messages: ``prepare of connector HR``.
    :param timeout: seconds to wait for it.
    :raises LockedError: if another process holds it all that time.
    """
    end = time.monotonic() + timeout
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise LockedError(
                        f"another {what} holds {path} and did not end within "
                        f"{timeout:g} seconds; try again later"
                    ) from None
                time.sleep(_PAUSE)
        yield
