"""What each type of transformation does to one row."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.transformations import ConcatColumns, TransformDate, WhereValue

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.transformations import Step

RowFunction = Callable[[list[str]], "list[str] | None"]
"""Changes a row, which may be changed in place, or takes it out (None)."""

_ISO: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.IGNORECASE
)
_BASIC: Final = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_GENERALIZED: Final = re.compile(r"(\d{14}|\d{8})(\.0+)?(Z?)")
_DATES: Final = 8192
"""Dates whose results are kept: few files have more different ones."""
_MIDNIGHT: Final = (0, 0, 0, 0)


class NotADateError(ValueError):
    """A value that should be a date is none, or no date comes of it.

    :param column: where it stands; ``value``: what stands there, which is nobody's business.
    """

    def __init__(self, message: str, column: str, value: str) -> None:
        super().__init__(message)
        self.column = column
        self.value = value


def row_function(step: Step, columns: list[str]) -> RowFunction:
    """Return what a transformation does to each row.

    :param columns: of the rows; a column that the transformation makes is added at the end.
    :raises KeyError: with its name, if a column that it reads is not there.
    """
    if isinstance(step, WhereValue):
        return _where(step, _index(columns, step.column))
    if isinstance(step, ConcatColumns):
        indexes = [_index(columns, name) for name in step.inputs]
        return _concat(step, indexes, _output(columns, step.column))
    read = _index(columns, step.input)
    return _date(step, read, _output(columns, step.column))


def _index(columns: list[str], name: str) -> int:
    if name not in columns:
        raise KeyError(name)
    return columns.index(name)


def _output(columns: list[str], name: str) -> int:
    if name not in columns:
        columns.append(name)
    return columns.index(name)


def _where(step: WhereValue, index: int) -> RowFunction:
    wanted = step.value
    search = (step.expression or re.compile("")).search
    tests: dict[str, Callable[[str], bool]] = {
        "Equals": lambda value: value == wanted,
        "NotEquals": lambda value: value != wanted,
        "Contains": lambda value: wanted in value,
        "NotContains": lambda value: wanted not in value,
        "StartsWith": lambda value: value.startswith(wanted),
        "EndsWith": lambda value: value.endswith(wanted),
        "Regex": lambda value: search(value) is not None,
    }
    test = tests[step.operator]
    return lambda row: row if test(row[index]) else None


def _concat(step: ConcatColumns, indexes: list[int], output: int) -> RowFunction:
    def concat(row: list[str]) -> list[str]:
        values = [row[index] for index in indexes]
        if step.remove_empty:
            values = [value for value in values if value]
        if step.remove_duplicates:
            values = [value for value, _ in groupby(values)]
        if step.sort_values:
            values.sort()
        row[output] = step.separator.join(values)
        return row

    return concat


def _date(step: TransformDate, read: int, output: int) -> RowFunction:
    first = step.min_year if step.min_year is not None else 1
    last = step.max_year if step.max_year is not None else 9999
    added = timedelta(days=step.added_days)

    @lru_cache(_DATES)
    def moved(value: str) -> str:
        text = value.strip()
        if not text:
            return value
        moment, write = _parse(step, text)
        if not first <= moment.year <= last:
            return value
        try:
            return write(moment + added)
        except OverflowError:
            message = f"a date {step.added_days:g} days away from it is outside of the years 1 to 9999"
            raise NotADateError(message, step.input, value) from None

    def date(row: list[str]) -> list[str]:
        row[output] = moved(row[read])
        return row

    return date


def _parse(step: TransformDate, text: str) -> tuple[datetime, Callable[[datetime], str]]:
    """Return a date, and how a date is to be written: by the pattern, or as this one is."""
    pattern = step.pattern
    moment = None
    if pattern is not None and (moment := pattern.parse(text)) is not None:
        return moment, pattern.format
    write: Callable[[datetime], str] = _as_iso(text)
    try:
        if _ISO.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
        elif match := _GENERALIZED.fullmatch(text):
            moment = datetime.strptime(match[1], _BASIC[len(match[1])])  # noqa: DTZ007 - its zone is written back
            write = _as_basic(len(match[1]), match[3])
    except ValueError:
        moment = None
    if moment is None:
        expected = (
            f"the DatePattern {pattern.text} or ISO 8601"
            if pattern
            else "ISO 8601, for there is no DatePattern"
        )
        raise NotADateError(f"not a date; expected one in {expected}", step.input, text)
    return moment, pattern.format if pattern is not None else write


def _as_iso(text: str) -> Callable[[datetime], str]:
    separator = text[10:11] or "T"
    zulu = text[-1:] in {"Z", "z"}

    def write(moment: datetime) -> str:
        if len(text) == 10 and _time(moment) == _MIDNIGHT:
            return moment.date().isoformat()
        written = moment.isoformat(separator)
        return f"{written.removesuffix('+00:00')}Z" if zulu else written

    return write


def _as_basic(length: int, zone: str) -> Callable[[datetime], str]:
    def write(moment: datetime) -> str:
        digits = 8 if length == 8 and _time(moment) == _MIDNIGHT else 14
        return f"{moment:%Y%m%d%H%M%S}".rjust(14, "0")[:digits] + zone

    return write


def _time(moment: datetime) -> tuple[int, int, int, int]:
    return (moment.hour, moment.minute, moment.second, moment.microsecond)
