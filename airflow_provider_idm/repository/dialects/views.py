"""What differs between the databases where views are concerned, behind one interface."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select

from airflow_provider_idm.configuration.enums import PropertyType

PREFIX: Final = "zz_"
"""What the names of all views begin with."""
SIGN: Final = "Made by airflow-provider-idm, which replaces and drops it: "
"""What views of ours are known by; hashes of their name and their query follow, and of some a date."""
_SIGNED: Final = re.compile(
    rf"{re.escape(SIGN)}(?P<name>[0-9a-f]{{64}}) (?P<query>[0-9a-f]{{64}})(?: as of (?P<date>[0-9T:.+-]+))?"
)
INTEGERS: Final = {
    PropertyType.BYTE: (0, 2**8 - 1),
    PropertyType.INT16: (-(2**15), 2**15 - 1),
    PropertyType.INT32: (-(2**31), 2**31 - 1),
    PropertyType.INT64: (-(2**63), 2**63 - 1),
}
"""The integer types and what they hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something in the database whose name begins as those of views.

    :param kind: what it is: ``view``, ``table`` …
    :param signature: hash of the query of a view of ours; None if it is not ours.
    :param date: as of which a view of ours shows what was stored; None if it shows what is stored now.
    """

    name: str
    kind: str
    signature: str | None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A view as it should be: its name and its query as SQL.

    :param date: as of which it shows what was stored (UTC); None if it shows what is stored now.
    """

    name: str
    query: str
    date: datetime | None = None

    @property
    def signature(self) -> str:
        """SHA-256 (hex) of the query."""
        return _hash(self.query)

    @property
    def sign(self) -> str:
        """What it is known by."""
        date = f" as of {self.date.isoformat()}" if self.date else ""
        return f"{SIGN}{_hash(self.name)} {self.signature}{date}"


class ViewDialect(ABC):
    """Views on one kind of database."""

    @abstractmethod
    def typed(self, text: ColumnElement[Any], type_: PropertyType) -> ColumnElement[Any]:
        """Turn canonical text into a value of its type, where the database has one.

        Never an error: a text that is none of the type's (stored by mappings of before, or of another entity type while
        the database still sorts out the rows that are wanted) becomes NULL.
        """

    @abstractmethod
    def compiled(self, statement: Select[Any]) -> str:
        """Write a query as SQL with its values in it."""

    @abstractmethod
    def key(self, name: str) -> str:
        """Return what is equal for names that the database takes for the same."""

    @abstractmethod
    def begin(self, connection: Connection) -> None:
        """Prepare a transaction that changes views: it must not wait for long, since others then wait for it."""

    @abstractmethod
    def find(self, connection: Connection, schema: str | None) -> list[Found]:
        """Return everything whose name begins with the prefix."""

    @abstractmethod
    def create(self, connection: Connection, schema: str | None, view: View) -> None:
        """Create a view, signed."""

    @abstractmethod
    def replace(self, connection: Connection, schema: str | None, old: str, view: View) -> None:
        """Put a view in the place of one of ours, whose name is the same to the database.

        :raises RepositoryError: if something of somebody else's depends on the old one and would not survive.
        :raises LockedError: if somebody uses it for too long.
        """

    @abstractmethod
    def drop(self, connection: Connection, schema: str | None, name: str) -> None:
        """Drop a view of ours.

        :raises RepositoryError: if something of somebody else's depends on it.
        :raises LockedError: if somebody uses it for too long.
        """


def found_view(name: str, text: str | None) -> Found:
    """Return a view, ours if it has its sign: one that somebody gave another name is theirs.

    :param text: has the sign in it, if there is one.
    """
    found = _SIGNED.search(text or "")
    if not found or found["name"] != _hash(name):
        return Found(name, "view", None)
    date = found["date"]
    return Found(name, "view", found["query"], datetime.fromisoformat(date) if date else None)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
