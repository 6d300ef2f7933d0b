"""What stands in a cell of a workbook, as the text of a CSV source file."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Final

_PADDED: Final = re.compile(r"0{2,}")


class CellError(ValueError):
    """A cell that holds an error such as ``#REF!``, or nothing that could be written."""


def cell_text(value: object, number_format: str = "") -> str:
    """Return the text of a cell's value.

    Whole numbers have no decimal point, dates are ISO 8601 (without a time if that is midnight), booleans ``true`` and
    ``false``. A number shown with leading zeros (number format ``00000``) keeps them.

    :raises CellError: if the value is of an unknown kind.
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value, number_format)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    raise CellError(f"a value of the unknown kind {type(value).__name__}")


def _number(value: float, number_format: str) -> str:
    if not float(value).is_integer():
        return f"{value:.15g}"  # what a workbook keeps of a number
    text = str(int(value))
    return text.zfill(len(number_format)) if value >= 0 and _PADDED.fullmatch(number_format) else text


def _moment(value: datetime) -> str:
    # a moment is a fraction of a day in the file: less than a millisecond is noise
    rounded = value + timedelta(microseconds=500)
    rounded = rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)
    if rounded.time() == time():
        return rounded.date().isoformat()
    return rounded.isoformat(timespec="milliseconds" if rounded.microsecond else "seconds")


def _duration(value: timedelta) -> str:
    seconds = round(abs(value).total_seconds())
    sign = "-" if value < timedelta() else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
