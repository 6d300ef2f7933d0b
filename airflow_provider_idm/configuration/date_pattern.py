"""Custom date patterns as ``DatePattern`` writes them (``dd/MM/yyyy HH:mm``): parsed and written in English."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_TOKEN: Final = re.compile(
    r"(?P<letters>y+|M+|d+|H+|h+|m+|s+|f+|F+|t+|z+|K|g+)"
    r"|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)|(?P<other>.)",
    re.DOTALL,
)
_MONTHS: Final = (
    *("", "January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_READ: Final = {
    "yyyy": r"(?P<year>\d{4})",
    "yy": r"(?P<year2>\d{2})",
    "MMMM": f"(?P<month_name>{'|'.join(_MONTHS[1:])})",
    "MMM": f"(?P<month_abbreviation>{'|'.join(name[:3] for name in _MONTHS[1:])})",
    "MM": r"(?P<month>\d{2})",
    "M": r"(?P<month>\d{1,2})",
    "dddd": f"(?:{'|'.join(_DAYS)})",
    "ddd": f"(?:{'|'.join(name[:3] for name in _DAYS)})",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>\d{1,2})",
    "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d{1,2})",
    "hh": r"(?P<hour12>\d{2})",
    "h": r"(?P<hour12>\d{1,2})",
    "mm": r"(?P<minute>\d{2})",
    "m": r"(?P<minute>\d{1,2})",
    "ss": r"(?P<second>\d{2})",
    "s": r"(?P<second>\d{1,2})",
    "tt": r"(?P<half>AM|PM)",
    "t": r"(?P<half>A|P)",
}
_KNOWN: Final = frozenset(_READ) | {"f" * length for length in range(1, 7)}
_CENTURY_FROM: Final = 50
"""A year of two digits from here on is of the last century."""


@dataclass(frozen=True, slots=True)
class DatePattern:
    """A date pattern: letters such as ``yyyy``, ``MM``, ``dd``, ``HH``, ``mm``, ``ss``, and text between them."""

    text: str
    tokens: tuple[tuple[bool, str], ...]
    expression: re.Pattern[str]

    @classmethod
    def compile(cls, text: str) -> DatePattern:
        """Understand a pattern.

        :raises ValueError: with a phrase that begins with "expected".
        """
        tokens: list[tuple[bool, str]] = []
        for match in _TOKEN.finditer(text):
            letters = match["letters"]
            if letters is not None and letters not in _KNOWN:
                raise ValueError(
                    f"expected a date pattern such as yyyy-MM-dd HH:mm:ss; {letters!r} is unknown"
                )
            literals = (match["single"], match["double"], match["escaped"], match["other"])
            literal = next((part for part in literals if part is not None), "")
            tokens.append((letters is not None, letters or literal))
        parts = {text[0] for is_letters, text in tokens if is_letters and text not in {"ddd", "dddd"}}
        if not {"y", "M", "d"} <= parts:
            raise ValueError("expected a date pattern with a year, a month and a day, such as yyyy-MM-dd")
        try:
            expression = re.compile("".join(_to_read(*token) for token in tokens), re.IGNORECASE)
        except re.error:
            raise ValueError("expected a date pattern that names each part of a date once") from None
        return cls(text, tuple(tokens), expression)

    def parse(self, value: str) -> datetime | None:
        """Return the date and time that a text says, or None if it is not of this pattern."""
        match = self.expression.fullmatch(value)
        if match is None:
            return None
        found = {name: part for name, part in match.groupdict().items() if part is not None}
        try:
            return datetime(  # noqa: DTZ001 - a date without a zone stays one
                _year(found),
                _month(found),
                int(found["day"]),
                _hour(found),
                int(found.get("minute", 0)),
                int(found.get("second", 0)),
                int(found.get("fraction", "0").ljust(6, "0")),
            )
        except ValueError:
            return None

    def format(self, moment: datetime) -> str:
        """Write a date and time in this pattern."""
        return "".join(_write(text, moment) if is_letters else text for is_letters, text in self.tokens)


def _to_read(is_letters: bool, text: str) -> str:
    if not is_letters:
        return re.escape(text)
    return rf"(?P<fraction>\d{{{len(text)}}})" if text[0] == "f" else _READ[text]


def _year(found: dict[str, str]) -> int:
    if "year" in found:
        return int(found["year"])
    short = int(found["year2"])
    return short + (1900 if short >= _CENTURY_FROM else 2000)


def _month(found: dict[str, str]) -> int:
    if "month" in found:
        return int(found["month"])
    name = (found.get("month_name") or found["month_abbreviation"]).casefold()
    return next(n for n, known in enumerate(_MONTHS) if n and known.casefold().startswith(name[:3]))


def _hour(found: dict[str, str]) -> int:
    if "hour12" not in found:
        return int(found.get("hour", 0))
    hour = int(found["hour12"])
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if found.get("half", "a").casefold().startswith("p") else 0)


def _write(letters: str, moment: datetime) -> str:
    numbers = {
        "M": moment.month,
        "d": moment.day,
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
    }
    texts = {
        "yyyy": f"{moment.year:04}",
        "yy": f"{moment.year % 100:02}",
        "MMMM": _MONTHS[moment.month],
        "MMM": _MONTHS[moment.month][:3],
        "dddd": _DAYS[moment.weekday()],
        "ddd": _DAYS[moment.weekday()][:3],
        "tt": "AM" if moment.hour < 12 else "PM",
        "t": "A" if moment.hour < 12 else "P",
    }
    if letters in texts:
        return texts[letters]
    if letters[0] == "f":
        return f"{moment.microsecond:06}"[: len(letters)]
    return f"{numbers[letters[0]]:0{len(letters)}}"
