"""``CronTabExpression``: five fields, or six with seconds first."""

from __future__ import annotations

import re
from typing import Final

_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_LAST_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,3}))?")


def crontab(value: str) -> str | None:
    """Return a cron expression in five fields; empty counts as absent.

    :raises ValueError: if it is none; the message says what was expected.
    """
    fields = value.split()
    if not fields:
        return None
    if len(fields) == len(_FIELDS) + 1:
        if fields[0] not in {"0", "00"}:
            raise ValueError(f"expected 0 seconds (the first of six fields), not {fields[0]}")
        fields = fields[1:]
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected 5 fields, or 6 with seconds first, not {len(fields)}")
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not all(_is_part(part, low, high, words) for part in field.split(",")):
            raise ValueError(f"expected a {name} from {low} to {high}, not {field}")
    _check_days(*fields[2:])
    return " ".join(fields)


def _check_days(day: str, month: str, weekday: str) -> None:
    """Check that there is a day that fits: a month that has so many days, unless a day of the week does too.

    :raises ValueError: if there is none.
    """
    if weekday != "*":
        return
    days, months = _values(day, 1, 31, ()), _values(month, 1, 12, _FIELDS[3][3])
    if min(days) > max(_LAST_DAYS[number - 1] for number in months):
        raise ValueError(f"expected a day that month {month} has, not {day}: it would never run")


def _values(field: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    """Return the numbers that a valid field stands for."""
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:  # checked before
            continue
        first = low if match["first"] is None else _number(match["first"], low, words) or low
        if match["last"] is not None:
            last = _number(match["last"], low, words) or high
        else:
            last = high if match["first"] is None or match["step"] else first
        values.update(range(first, last + 1, int(match["step"] or 1)))
    return values


def _is_part(part: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) == 0):
        return False
    if match["first"] is None:
        return True
    first = _number(match["first"], low, words)
    last = first if match["last"] is None else _number(match["last"], low, words)
    if last == 0 and high == 7:
        last = 7  # Sunday ends a week as well as beginning one
    return first is not None and last is not None and low <= first <= last <= high


def _number(text: str, low: int, words: tuple[str, ...]) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text[:4])
    return words.index(text.casefold()) + low if text.casefold() in words else None
