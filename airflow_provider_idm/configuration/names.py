"""Identifiers: unique ignoring case, looked up in any case, and the nearest one where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final, Protocol, TypeVar

Value = TypeVar("Value")

FORBIDDEN_IN_FILE_NAMES: Final = '< > : " / \\ | ? *'
_FILE_NAME = re.compile(r"[^<>:\"/\\|?*\x00-\x1f\x7f]+")
_PROPERTY = re.compile(r"[^\W\d_]\w*")
_CONNECTION = re.compile(r"[^\W\d_](?:[^\W_]|[.-])*")
_NOT_IN_DAG_IDS = re.compile(r"[^\w.-]")
MAX_LENGTH: Final = 200
"""Bytes of an identifier that names files: leaves room for ``.duplicates.csv`` and the like."""
MAX_ID_LENGTH: Final = 250
"""Characters of a DAG id or task id: Airflow takes no longer ones."""
_ALIKE: Final = 0.5
"""How much of two names must be the same: half, so that HX still suggests HR."""


class Identifiers(Mapping[str, Value]):
    """An immutable mapping by identifier: keys are kept as written and found in any case."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, Value]] = ()) -> None:
        self._items: dict[str, tuple[str, Value]] = {}
        for key, value in items:
            self._items.setdefault(key.casefold(), (key, value))

    def __getitem__(self, key: str) -> Value:
        return self._items[key.casefold()][1]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)})"


class Identified(Protocol):
    """Anything that has an identifier."""

    @property
    def identifier(self) -> str:
        """The identifier."""


Element = TypeVar("Element", bound=Identified)


def identified(elements: Iterable[Element]) -> Identifiers[Element]:
    """Return elements by their identifier; the first of each counts."""
    return Identifiers((element.identifier, element) for element in elements)


def same(first: str, second: str) -> bool:
    """Return whether two identifiers are the same one, ignoring case."""
    return first.casefold() == second.casefold()


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name most like a mistyped one, or None if none is alike."""
    return _nearest(name.casefold(), tuple(names))


@lru_cache(maxsize=64)  # where one element is missing, many refer to it
def _nearest(name: str, names: tuple[str, ...]) -> str | None:
    matcher = SequenceMatcher(b=name)
    best, nearest_key, found = _ALIKE, "", None
    for candidate in names:
        key = candidate.casefold()
        matcher.set_seq1(key)
        # From the cheapest bound to the ratio itself: most candidates cannot be better than one that was seen before.
        if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
            continue
        if (alike := (matcher.ratio(), key)) >= (best, nearest_key):
            (best, nearest_key), found = alike, candidate
    return found


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean X?`` with the nearest name, or nothing."""
    found = nearest(name, names)
    return f"; did you mean {found}?" if found else ""


def table_name(connection_table: str) -> str:
    """Return a ``ConnectionTable`` as written but without a trailing ``.csv``."""
    return connection_table[:-4] if connection_table.casefold().endswith(".csv") else connection_table


def dag_id(job: str) -> str:
    """Return the DAG id of a job's identifier: characters that Airflow does not allow become ``_``."""
    return _NOT_IN_DAG_IDS.sub("_", job)


def names_a_file(name: str) -> bool:
    """Return whether an identifier can be (part of) a file or folder name anywhere."""
    stem = name.strip(". ")
    return stem == name and len(name.encode()) <= MAX_LENGTH and _FILE_NAME.fullmatch(name) is not None


def is_property_identifier(name: str) -> bool:
    """Return whether a name is one for a property: starts with a letter; letters, digits, ``_``."""
    return _PROPERTY.fullmatch(name) is not None


def is_connection_identifier(name: str) -> bool:
    """Return whether a name is one for a connection: starts with a letter; letters, digits, ``.`` and ``-``."""
    return _CONNECTION.fullmatch(name) is not None
