"""A database that queries are sent to, whoever knows how to reach it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_idm.errors import TransientError


class DatabaseUnavailableError(TransientError):
    """The database of a managed system does not answer."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection to a database.

    :param connection: as PEP 249 has it.
    :param paramstyle: how the driver marks parameters (PEP 249): ``qmark``, ``format``, ``pyformat``, ``numeric`` or
        ``named``.
    :param driver: name of the driver's top module, e.g. ``psycopg`` or ``sqlite3``.
    """

    connection: Any
    paramstyle: str
    driver: str


class Database(Protocol):
    """A database that can be opened."""

    @property
    def name(self) -> str:
        """What messages call it; without a password."""
        ...

    def open(self) -> AbstractContextManager[Session]:
        """Open a connection, and close it at the end of the ``with``; what was not committed is rolled back.

        :raises DatabaseUnavailableError: if the database does not answer.
        :raises airflow_provider_idm.errors.ExportError: if a driver is missing.
        """
        ...
