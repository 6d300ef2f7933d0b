"""Names in the exchange: batch ids, and connector identifiers as folder names."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
import uuid

from airflow_provider_idm.errors import ExchangeError

_RANDOM_BITS = 74
_MAXIMUM_STEP = 1 << 32
_LONGEST_NAME = 180
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.-]")
_BATCH_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class _Clock:
    """Makes UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 random bits that grow within a millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._random = 0

    def next(self) -> uuid.UUID:
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._milliseconds:
                self._milliseconds = now
                self._random = secrets.randbits(_RANDOM_BITS - 1)
            else:  # the same millisecond, or a clock set back: stay behind what was given out
                self._random += 1 + secrets.randbelow(_MAXIMUM_STEP)
                if self._random >> _RANDOM_BITS:
                    self._milliseconds += 1
                    self._random = secrets.randbits(_RANDOM_BITS - 1)
            high, low = self._random >> 62, self._random & ((1 << 62) - 1)
            return uuid.UUID(int=self._milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


_clock = _Clock()


def new_batch_id() -> str:
    """Return a new batch id: a UUIDv7, later ones greater as text within this process, in all threads."""
    return str(_clock.next())


def canonical_batch_id(text: str) -> str:
    """Return a batch id in canonical form.

    :raises ExchangeError: if the text is not a GUID.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ExchangeError(f"{text!r} is not a batch id: expected a GUID as printed by prepare") from error


def is_batch_id(text: str) -> bool:
    """Tell whether a folder name is a batch id in canonical form."""
    return _BATCH_ID.fullmatch(text) is not None


def folder_name(identifier: str) -> str:
    """Return a connector's identifier as a folder name for any file system.

    Letters, digits, ``_``, ``-`` and inner dots stay; all else is written ``%XX`` per UTF-8 byte, so that
    identifiers that differ (ignoring case) have names that differ (ignoring case), and none leaves the exchange.

    :raises ExchangeError: if the identifier is empty.
    """
    if not identifier.strip():
        raise ExchangeError("a connector needs an identifier to have a folder in the exchange")
    name = _NOT_SAFE.sub(lambda match: _percent(match.group()), identifier)
    if name[0] == "." or _RESERVED.match(name):
        name = _percent(name[0]) + name[1:]
    if name[-1] == ".":
        name = name[:-1] + _percent(".")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(identifier.casefold().encode()).hexdigest()
        name = f"{name[: _LONGEST_NAME - 65]}%{digest}"
    return name


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
