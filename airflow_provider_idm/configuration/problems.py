"""The list of everything that is wrong, collected while a configuration is read and checked."""

from __future__ import annotations

import re
from collections.abc import Collection

from airflow_provider_idm.configuration.enums import Severity
from airflow_provider_idm.configuration.model import Location, Problem
from airflow_provider_idm.errors import ConfigurationError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Problems:
    """Collects problems; each is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def error(self, location: Location, message: str) -> None:
        """Note something that stops the configuration from being used."""
        self._found.setdefault(Problem(location, _one_line(message)))

    def warning(self, location: Location, message: str) -> None:
        """Note something that is probably not meant."""
        self._found.setdefault(Problem(location, _one_line(message), Severity.WARNING))

    def take(self, other: Problems, places: Collection[Location]) -> None:
        """Note those problems of another list that are at certain places."""
        self._found |= {problem: None for problem in other.all() if problem.location in places}

    def all(self) -> tuple[Problem, ...]:
        """Return every problem, by file and line."""
        return tuple(sorted(self._found))


def _one_line(message: str) -> str:
    """Write control characters and line breaks of a value as escapes: a problem is one line."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], message)


def errors_of(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return the errors among problems."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


def configuration_error(
    errors: tuple[Problem, ...], problems: tuple[Problem, ...] = ()
) -> ConfigurationError:
    """Return the error that lists errors, one a line; its ``problems`` are these, or the ones given."""
    return ConfigurationError("\n".join(str(error) for error in errors), problems or errors)
