"""Kinds of attributes: each turns the text of an attribute into a value, or says what it expected.

A kind is a function from the attribute's text to its value. It raises ValueError with a phrase that begins with
"expected".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from airflow_provider_idm.configuration.model import PropertyReference
from airflow_provider_idm.configuration.names import (
    FORBIDDEN_IN_FILE_NAMES,
    MAX_LENGTH,
    is_connection_identifier,
    is_property_identifier,
    names_a_file,
    suggestion,
)

Kind = Callable[[str], Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an element.

    :param default: its value where it is absent, or wrong.
    """

    name: str
    kind: Kind
    required: bool = False
    default: Any = None


def text(value: str) -> str | None:
    """Take any text; empty counts as absent."""
    return value or None


def reference(value: str) -> str | None:
    """Take an identifier of something else; empty counts as absent."""
    return value.strip() or None


def file_identifier(value: str) -> str | None:
    """Take an identifier that names files or folders too."""
    name = value.strip()
    if name and not names_a_file(name):
        raise ValueError(
            f"expected a name that a file can have: at most {MAX_LENGTH} bytes, none of "
            f"{FORBIDDEN_IN_FILE_NAMES}, no dot at either end"
        )
    return name or None


def connection_identifier(value: str) -> str | None:
    """Take an identifier of a connection."""
    name = value.strip()
    if name and not (is_connection_identifier(name) and names_a_file(name)):
        raise ValueError("expected a letter first, then letters, digits, '.' and '-'")
    return name or None


def property_identifier(value: str) -> str | None:
    """Take an identifier of an entity type's property."""
    name = value.strip()
    if name.casefold() == "id":
        raise ValueError("expected another name: Id is the resource's own number")
    if name and not is_property_identifier(name):
        raise ValueError("expected a letter first, then letters, digits and '_'")
    return name or None


def property_reference(value: str) -> PropertyReference | None:
    """Take ``EntityType:Property``."""
    if not value.strip():
        return None
    entity_type, colon, name = (part.strip() for part in value.partition(":"))
    if not (entity_type and colon and name) or ":" in name:
        raise ValueError("expected EntityType:Property")
    return PropertyReference(entity_type, name)


def boolean(value: str) -> bool:
    """Take ``true/false/1/0``, in any case."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[value.strip().casefold()]
    except KeyError:
        raise ValueError("expected true, false, 1 or 0") from None


def integer(minimum: int, maximum: int | None = None) -> Kind:
    """Return the kind of a whole number within bounds."""
    bounds = f"{minimum} to {maximum}" if maximum is not None else f"{minimum} or more"

    def parse(value: str) -> int:
        number = value.strip()
        if not _INTEGER.fullmatch(number) or not minimum <= int(number) <= (maximum or 2**63 - 1):
            raise ValueError(f"expected a whole number, {bounds}")
        return int(number)

    return parse


def number(minimum: float | None = None) -> Kind:
    """Return the kind of a decimal number, with a point."""
    bounds = "" if minimum is None else f", {minimum:g} or more"

    def parse(value: str) -> float:
        found = float(value) if _NUMBER.fullmatch(value.strip()) else math.nan
        if not math.isfinite(found) or (minimum is not None and found < minimum):
            raise ValueError(f"expected a number{bounds}")
        return found

    return parse


def enumeration(names: Mapping[str, Any], numbers: Mapping[int, str] | None = None) -> Kind:
    """Return the kind of an enumeration: a name in any case or its number.

    :param names: value by name.
    :param numbers: name by number; without it the names are numbered from 0.
    """
    name_of = dict(enumerate(names)) if numbers is None else numbers
    by_text = {name.casefold(): value for name, value in names.items()}
    by_text |= {str(code): names[name] for code, name in name_of.items()}
    allowed = ", ".join(f"{name} ({code})" for code, name in sorted(name_of.items()))

    def parse(value: str) -> object:
        key = value.strip().casefold()
        if key not in by_text:
            raise ValueError(f"expected one of {allowed}{suggestion(key, names) if key else ''}")
        return by_text[key]

    return parse


def enumeration_of(names: Mapping[str, IntEnum]) -> Kind:
    """Return the kind of an enumeration whose members carry their numbers."""
    return enumeration(names, {int(member): name for name, member in names.items()})
