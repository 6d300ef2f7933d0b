"""Rolling windows: a connector's limits over the last days.

The XML has no attribute for them. They come from the Airflow connection or from a DAG file, as plain JSON values, with
the names that the XML gives the limits of a connector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from airflow_provider_idm.configuration.definitions import (
    LINK_CHANGES,
    LINK_MAXIMUM,
    LINK_PERCENTAGES,
    MAXIMUM,
    PERCENTAGE,
    RESOURCE_CHANGES,
)
from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from airflow_provider_idm.configuration.names import Identifiers, same, suggestion
from airflow_provider_idm.errors import ConfigurationError

DAYS: Final = "days"
MAX_DAYS: Final = 36_500
"""Length of a window in days: a hundred years, so that no date lies before the calendar's first."""
_TOO_MANY: Final = 2**63
_EXAMPLE: Final = '{"days": 7, "MaximumDeletedLines": 500}'


def parse_rolling_window(value: object, where: str) -> RollingWindow:
    """Read one connector's window.

    :param value: ``days`` and any of the XML's thresholds of a connector, by their names there; a limit that is 0 or
        left out is off.
    :param where: what messages call the place of the value.
    :raises ConfigurationError: naming everything that is wrong, one per line: an unknown name, a value that is none, no
        ``days``, no limit at all.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: expected an object such as {_EXAMPLE}, not {_shown(value)}")
    reader = _Reader(value)
    problems = [*reader.unknown(), *reader.twice()]
    days = reader.number(DAYS, _days, problems)
    resources = reader.thresholds(_RESOURCE_LIMITS, problems)
    links = reader.thresholds(_LINK_LIMITS, problems)
    if DAYS not in value:
        problems.append("days is missing: how many days back does the window reach?")
    if not problems and resources == links == Thresholds():
        problems.append(f"no limit is set (0 is none); expected one at least, as in {_EXAMPLE}")
    if problems:
        raise ConfigurationError("\n".join(f"{where}: {problem}" for problem in problems))
    return RollingWindow(days, resources, links)


def parse_rolling_windows(value: object, where: str) -> Mapping[str, RollingWindow]:
    """Read the windows of several connectors.

    :param value: a window by connector, as a mapping or as JSON text; None or empty text for none.
    :param where: what messages call the place of the value.
    :return: the windows by connector, found in any case.
    :raises ConfigurationError: naming everything that is wrong, one per line.
    """
    windows = []
    problems = []
    for connector, window in by_connector(value, where).items():
        try:
            windows.append((connector, parse_rolling_window(window, of_connector(where, connector))))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Identifiers(windows)


def by_connector(value: object, where: str) -> Mapping[str, object]:
    """Return what is given for each connector, as written; a wrong entry is left to the one who needs it.

    :param value: as for ``parse_rolling_windows``.
    :raises ConfigurationError: if the value is no object, or has a connector twice.
    """
    if isinstance(value, str):
        value = _from_json(value, where)
    if value is None:
        return Identifiers[object]()
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f'{where}: expected an object by connector such as {{"HR": {_EXAMPLE}}}, not {_shown(value)}'
        )
    found: dict[str, object] = {}
    for key, window in value.items():
        name = _connector(key, where)
        if any(same(name, other) for other in found):
            raise ConfigurationError(f"{where}: connector {name} is there twice; keep one")
        found[name] = window
    return Identifiers(found.items())


def check_connectors(windows: Iterable[str], connectors: Iterable[str], where: str) -> None:
    """Check that the connectors which have a window exist: a mistyped one would protect nothing.

    :param connectors: those of the configuration.
    :raises ConfigurationError: naming those that do not exist, one per line.
    """
    known = list(connectors)
    folded = {name.casefold() for name in known}
    problems = [
        f"{where}: the configuration has no connector {name}{suggestion(name, known)}"
        for name in windows
        if name.casefold() not in folded
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))


def of_connector(where: str, connector: str) -> str:
    """Return what messages call one connector's window of several."""
    return f"{where}, connector {connector}"


# ------------------------------------------------------------------------------------------------------------ limits


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit: the names it may have, its field in ``Thresholds`` and how it is read."""

    names: tuple[str, ...]
    field: str
    read: Callable[[object], Any]


def _lines(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _TOO_MANY:
        raise ValueError("expected a whole number, 0 or more")
    return value


def _percentage(value: object) -> float:
    if not _is_number(value) or not 0 <= value < _TOO_MANY:
        raise ValueError("expected a number, 0 or more")
    return value


def _days(value: object) -> float:
    if not _is_number(value) or not 0 < value <= MAX_DAYS:
        raise ValueError(f"expected a number of days above 0, at most {MAX_DAYS}")
    return value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limits(maximum: str, percentages: tuple[str, ...], changes: tuple[str, ...]) -> tuple[_Limit, ...]:
    return tuple(
        _Limit(
            tuple(f"{prefix}{change}Lines" for prefix in prefixes), f"{field}_{change.lower()}_lines", read
        )
        for prefixes, field, read in (
            ((maximum,), "maximum", _lines),
            (percentages, "max_percentage", _percentage),
        )
        for change in changes
    )


_RESOURCE_LIMITS: Final = _limits(MAXIMUM, (PERCENTAGE,), RESOURCE_CHANGES)
_LINK_LIMITS: Final = _limits(LINK_MAXIMUM, LINK_PERCENTAGES, LINK_CHANGES)
_NAMES: Final = (DAYS, *(name for limit in (*_RESOURCE_LIMITS, *_LINK_LIMITS) for name in limit.names))


class _Reader:
    """Reads the values of one window."""

    def __init__(self, values: Mapping[Any, object]) -> None:
        self._values = values

    def unknown(self) -> list[str]:
        """Say which names are no limit."""
        return [
            f"{name!r} is no name of a limit{suggestion(str(name), _NAMES)}"
            for name in self._values
            if name not in _NAMES
        ]

    def twice(self) -> list[str]:
        """Say which limits are given under both their names."""
        given = ([n for n in limit.names if n in self._values] for limit in _LINK_LIMITS)
        return [f"{' and '.join(names)} are the same limit: keep one" for names in given if len(names) > 1]

    def number(self, name: str, read: Callable[[object], Any], problems: list[str]) -> Any:
        """Read a value; 0 if it is absent, or wrong, which is noted."""
        if name not in self._values:
            return 0
        try:
            return read(self._values[name])
        except ValueError as error:
            problems.append(f"{name} cannot be {_shown(self._values[name])}: {error}")
            return 0

    def thresholds(self, limits: Iterable[_Limit], problems: list[str]) -> Thresholds:
        """Read some limits."""
        found = {
            limit.field: self.number(name, limit.read, problems)
            for limit in limits
            for name in limit.names
            if name in self._values
        }
        return Thresholds(**found)


# ------------------------------------------------------------------------------------------------------------- values


def _connector(key: object, where: str) -> str:
    name = key.strip() if isinstance(key, str) else ""
    if not name:
        raise ConfigurationError(f"{where}: {_shown(key)} is no identifier of a connector")
    return name


def _from_json(text: str, where: str) -> object:
    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"{where}: not JSON ({place}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} is there twice; keep one")
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
