"""Values of a database as text, in a notation that prepare understands."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID


class UnsupportedValueError(Exception):
    """A value is of a type that has no notation in a source file.

    :param kind: name of the type.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _base64(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _duration(value: timedelta) -> str:
    """Write a time of day, as some drivers give it, in hours, minutes and seconds."""
    seconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if value < timedelta(0) else "") + text + (f".{microseconds:06}" if microseconds else "")


def _from_large_object(value: Any) -> str:
    return as_text(value.read())


_CONVERSIONS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (str, str),
    (type(None), lambda _: ""),
    (bool, lambda value: "1" if value else "0"),
    (int, int.__repr__),
    (float, float.__repr__),
    (Decimal, lambda value: format(value, "f")),
    (datetime, _moment),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, _duration),
    (bytes, _base64),
    (bytearray, _base64),
    (memoryview, _base64),
    (UUID, str),
    (ipaddress._IPAddressBase, str),  # noqa: SLF001 - what all of the module's addresses and networks are
)


class _Conversions(dict[type, Callable[[Any], str]]):
    """The conversion of each type, found once for a subclass or a driver's own type."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        found = next((convert for known, convert in _CONVERSIONS if issubclass(kind, known)), None)
        if found is None and callable(getattr(kind, "read", None)):
            found = _from_large_object
        if found is None:
            raise UnsupportedValueError(kind.__name__)
        self[kind] = found
        return found


_conversions = _Conversions(_CONVERSIONS)


def as_text(value: object) -> str:
    """Return a value as it stands in a source file.

    Nothing for null, ``1`` and ``0`` for booleans, decimal numbers without exponent, ISO 8601 for dates and times (those
    with a time zone in UTC), base64 for bytes.

    :raises UnsupportedValueError: if it has no such notation: an array, a composite.
    """
    return _conversions[type(value)](value)


def as_row(values: Any) -> list[str]:
    """Return the values of a row as text.

    :raises UnsupportedValueError: if one has no such notation.
    """
    return [_conversions[type(value)](value) for value in values]
