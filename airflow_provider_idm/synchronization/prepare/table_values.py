"""Values of tables in memory as the text of a source file: what an export to CSV would have written."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

_TRAILING_ZEROS: Final = r"^(-?\d+)(?:\.0*|(\.\d*[1-9])0*)$"
_EXPECTED: Final = "expected texts, numbers, dates, booleans or bytes"
_EXACT: Final = 2**53
"""From here on not every whole number is a float: pandas makes other ones of those in a column that lacks a value."""
_INEXACT: Final = (
    "a whole number as a float, too long for all of its digits; give the column as whole numbers (Int64), or as "
    "texts"
)
_JOIN: Final = (
    "a list of values; a field holds one value: join them to a text (with a Format such as MultivaluedText), or give "
    "each pair as a row of a table of its own"
)


class ValueKindError(ValueError):
    """A value, or a column of values, that no field of a source file could hold.

    :param rows: how many the column has.
    :param row: the row, from 0, where one value is meant; None for a whole column.
    """

    def __init__(self, message: str, rows: int = 1, row: int | None = None) -> None:
        super().__init__(message)
        self.rows = rows
        self.row = row


def value_text(value: Any) -> str | None:
    """Return the text of one Python value; None for what stands for no value (``None``, NaN, NaT).

    :raises ValueKindError: if no field could hold it.
    """
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "item"):
        value = value.tolist()  # a scalar as Python has it, an array as a list
    if value is None or kind.__name__ in {"NAType", "NaTType"}:
        return None
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        raise ValueKindError(_JOIN)
    raise ValueKindError(f"a value of the kind {kind.__name__}; {_EXPECTED}")


def column_text(column: pa.Array) -> pa.Array:
    """Return a column of an Arrow table as texts; null for what stands for no value.

    :raises ValueKindError: if no field could hold such values.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    types, kind, text = pa.types, column.type, pa.large_string()

    def is_any(*tests: Callable[[pa.DataType], bool]) -> bool:
        return any(test(kind) for test in tests)

    if types.is_float32(kind):
        column = column.cast(text).cast(pa.float64())  # the shortest decimal of single precision
    if isinstance(kind, pa.BaseExtensionType) or types.is_dictionary(kind):
        return column_text(column.dictionary_decode() if types.is_dictionary(kind) else column.storage)
    if types.is_boolean(kind):
        column = pc.if_else(column, "true", "false")
    elif types.is_decimal(kind):
        column = pc.replace_substring_regex(column.cast(text), pattern=_TRAILING_ZEROS, replacement=r"\1\2")
    elif types.is_timestamp(kind):
        column = _moments(column)
    elif types.is_date64(kind):
        column = column.cast(pa.date32())
    elif is_any(types.is_floating, types.is_time, types.is_binary, types.is_large_binary) or is_any(
        types.is_fixed_size_binary, types.is_binary_view
    ):
        column = texts_of(column.to_pylist())
    elif is_any(types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view):
        raise ValueKindError(_JOIN, len(column))
    elif not is_any(types.is_null, types.is_integer, types.is_date32) and not is_any(
        types.is_string, types.is_large_string, types.is_string_view
    ):
        raise ValueKindError(f"values of the kind {kind}; {_EXPECTED}", len(column))
    return column.cast(text)


def texts_of(values: list[Any]) -> pa.Array:
    """Return Python values as texts.

    :raises ValueKindError: with its row, for the first one that no field could hold.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    texts = []
    for row, value in enumerate(values):
        try:
            texts.append(value_text(value))
        except ValueKindError as error:
            raise ValueKindError(str(error), len(values), row) from None
    return pa.array(texts, pa.large_string())


def _moments(column: pa.Array) -> pa.Array:
    """Write moments in UTC, whatever their zone, with as much of the second as one of them has."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    plain = column.cast(pa.timestamp(column.type.unit))  # moments are kept in UTC: this only drops the zone
    whole = pc.floor_temporal(plain, unit="second")
    if pc.all(pc.equal(plain, whole)).as_py() is not False:
        plain = whole.cast(pa.timestamp("s"))
    return pc.strftime(plain, format="%Y-%m-%dT%H:%M:%S").cast(pa.large_string())


def _float(value: float) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueKindError("an infinite number")
    if value.is_integer() and _EXACT < abs(value) < 2**63:
        raise ValueKindError(_INEXACT)
    return str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)


def _decimal(value: Decimal) -> str | None:
    if not value.is_finite():
        return _float(float(value))
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(value: datetime) -> str:
    moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_WRITERS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], str | None]], ...]] = (
    ((str, UUID), str),
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (float, _float),
    (Decimal, _decimal),
    (datetime, _moment),
    ((date, time), lambda value: value.isoformat()),
    ((bytes, bytearray, memoryview), _bytes),
)
"""What writes which kind of value; the first that fits counts."""
