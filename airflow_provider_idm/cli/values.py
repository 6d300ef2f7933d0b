"""What options accept: text becomes a value, or a usage error that says what was expected.

No option takes an empty text: that is a shell variable which is not set, hardly the wish to leave the option out.
"""

from __future__ import annotations

import codecs
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TypeVar

import typer

from airflow_provider_idm.engine import check_memory_limit
from airflow_provider_idm.errors import ConfigurationError

Choice = TypeVar("Choice", bound=Enum)

_NO_SEPARATORS = '"\r\n\0'


def text(given: str) -> str:
    """Return a text that is not empty.

    :raises typer.BadParameter: if it is.
    """
    if not given.strip():
        raise typer.BadParameter("the value is empty; leave the option out, or give it a value")
    return given


def path(given: str) -> Path:
    """Return a file or folder.

    :raises typer.BadParameter: if nothing is named.
    """
    return Path(text(given))


def choice(kind: type[Choice]) -> Callable[[str], Choice]:
    """Return what finds a value of an enumeration by its text, in any case."""

    def find(given: str | Choice) -> Choice:
        wanted = given.value if isinstance(given, Enum) else text(given).strip()
        for member in kind:
            if str(member.value).casefold() == wanted.casefold():
                return member
        expected = ", ".join(str(member.value) for member in kind)
        raise typer.BadParameter(f"{given!r} is not one of {expected}")

    return find


def choices(kind: type[Enum]) -> str:
    """Return the values of an enumeration as help shows them."""
    return "|".join(str(member.value) for member in kind)


def batch_id(given: str) -> str:
    """Return the id of a batch.

    :raises typer.BadParameter: if the text is no GUID.
    """
    try:
        return str(uuid.UUID(text(given).strip()))
    except ValueError:
        raise typer.BadParameter(
            f"{given!r} is not a batch id; expected a GUID as printed by prepare"
        ) from None


def change_set(given: str) -> str:
    """Return the hash of a change set, or its beginning.

    :raises typer.BadParameter: if the text is neither.
    """
    if not re.fullmatch("[0-9a-f]{12,64}", wanted := text(given).strip().casefold()):
        raise typer.BadParameter(
            f"{given!r} is no change set; expected its SHA-256, or 12 characters of it at least, as plan prints it"
        )
    return wanted


def memory_limit(given: str) -> str:
    """Return a size of memory.

    :raises typer.BadParameter: if the text is none.
    """
    try:
        return check_memory_limit(text(given))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def encoding(given: str) -> str:
    """Return the name of an encoding of text.

    :raises typer.BadParameter: if there is no such encoding.
    """
    try:
        b"x".decode(text(given), "replace")  # refuses what is no encoding of text
        codecs.lookup(given)
    except (LookupError, ValueError):
        raise typer.BadParameter(
            f"there is no encoding {given!r}; expected a name such as UTF-8, UTF-16 or Windows-1252"
        ) from None
    return given


def separator(given: str) -> str:
    """Return what stands between fields; a blank or a tab may.

    :raises typer.BadParameter: if the text is not one ASCII character.
    """
    if len(given) != 1 or not given.isascii() or given in _NO_SEPARATORS:
        raise typer.BadParameter(
            f"{given!r} cannot be a separator; expected one ASCII character such as ',' or ';'"
        )
    return given


def repository_url(given: str) -> str:
    """Return the URL of a repository.

    :raises typer.BadParameter: if its port is no number; the message never holds the URL, for it may hold a password.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(text(given))
    except ArgumentError:
        return given  # the repository says what is wrong with it
    except ValueError:
        raise typer.BadParameter(
            "the port of the URL is not a number; expected e.g. postgresql://user@host:5432/database"
        ) from None
    return given


def date(given: str) -> datetime:
    """Return a date or a date and time as a moment in UTC; without a zone it is UTC.

    :raises typer.BadParameter: if the text is neither, or lies outside the calendar once it is in UTC.
    """
    try:
        moment = datetime.fromisoformat(text(given).strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        raise typer.BadParameter(
            f"{given!r} is no date; expected e.g. 2026-03-01, 2026-03-01T06:00 or 2026-03-01T06:00+02:00"
        ) from None
    except OverflowError:
        raise typer.BadParameter(f"{given!r} lies outside the years 1 to 9999 in UTC") from None
