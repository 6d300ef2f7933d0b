"""The cookie of an SQL connection: how far its queries have got, with the types that the database gave."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TYPES: Final[dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "int": (int, str, int),
    "float": (float, repr, float),
    "decimal": (Decimal, str, Decimal),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode("ascii"), base64.b64decode),
    "text": (str, str, str),
}


@dataclass(frozen=True, slots=True)
class Position:
    """How far a query has got.

    :param by: what tells it: a column's name, or the SQL of the connection's ``CookieSql``.
    :param value: as the database gave it; None if it gave none.
    """

    by: str
    value: Any


def write_cookie(positions: Mapping[str, Position], what: str) -> str:
    """Return positions, by dataset, as a cookie.

    :raises ExportError: if a value is of a type that no cookie can be.
    """
    written = {name: [position.by, *_written(position, what)] for name, position in positions.items()}
    return json.dumps(written, ensure_ascii=False, sort_keys=True)


def read_cookie(text: str, what: str) -> dict[str, Position]:
    """Return the positions that a cookie holds.

    :raises ExportError: if it is none that this version has written.
    """
    try:
        return {
            name: Position(by, None if kind is None else _TYPES[kind][2](value))
            for name, (by, kind, value) in json.loads(text).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        raise ExportError(
            f"{what}: the cookie of the former export cannot be read; export everything once (IgnoreCookieFile)"
        ) from None


def later(one: Any, other: Any) -> Any:
    """Return the greater of two values; None is less than any, and what cannot be compared gives way to the second."""
    if one is None or other is None:
        return one if other is None else other
    try:
        return max(one, other)
    except TypeError:
        return other


def _written(position: Position, what: str) -> tuple[str | None, str | None]:
    value = position.value
    if value is None:
        return None, None
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if not isinstance(value, bool):
        for name, (kind, write, _) in _TYPES.items():
            if isinstance(value, kind):
                return name, write(value)
    raise ExportError(
        f"{what}: a cookie cannot be of type {type(value).__name__}; expected a number, a text, or a date"
    )
