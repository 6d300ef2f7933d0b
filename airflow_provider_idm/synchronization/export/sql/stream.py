"""Run a statement and read its result in parts, so that memory does not grow with it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from airflow_provider_idm.errors import ExportError, IdmError
from airflow_provider_idm.synchronization.export.sql.database import DatabaseUnavailableError, Session
from airflow_provider_idm.synchronization.export.sql.parameters import bind, only_reads

_ROWS: Final = 2_000
"""Rows that are read at once."""

_TRANSIENT_STATES: Final = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE: connection, rollback, resources, object in use, intervention, system."""
_CONFIDENTIAL: Final = frozenset({"DataError", "IntegrityError"})
"""Errors (PEP 249) whose text quotes values."""


_CAPITAL: Final = re.compile("[A-Z]")
_LEVELS: Final = ("ReadUncommitted", "ReadCommitted", "RepeatableRead", "Serializable", "Snapshot")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a query: its columns as the database names them, and its rows, in parts."""

    columns: tuple[str, ...]
    parts: Iterator[Sequence[Sequence[Any]]]


def isolation_level(name: str) -> str:
    """Return an isolation level in the words of SQL.

    :param name: ``ReadUncommitted``, ``ReadCommitted``, ``RepeatableRead``, ``Serializable`` or ``Snapshot``.
    :raises ValueError: with a phrase that begins with "expected", if it is none of these.
    """
    for level in _LEVELS:
        if level.casefold() == name.replace(" ", "").casefold():
            return _CAPITAL.sub(r" \g<0>", level).strip().upper()
    raise ValueError(f"expected {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}, found {name!r}")


def begin(session: Session, isolation: str | None, what: str, *, snapshot: bool = True) -> None:
    """Begin the transaction that all statements run in.

    :param isolation: an isolation level of SQL, in words.
    :param what: what is read, for messages.
    :param snapshot: let PostgreSQL show all queries the same state of the database (``REPEATABLE READ``), unless the
        isolation level is given. SQLite does so anyway, others as they are set up to.
    """
    with _errors(session, what):
        if session.driver == "sqlite3":
            if not session.connection.in_transaction:
                session.connection.execute("BEGIN")
            return
        if session.driver in {"psycopg", "psycopg2"}:
            if session.connection.autocommit:
                session.connection.autocommit = False
            isolation = isolation or ("REPEATABLE READ" if snapshot else None)
        if isolation:
            cursor = session.connection.cursor()
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            cursor.close()


def commit(session: Session, what: str) -> None:
    """Keep what statements have changed.

    :raises ExportError: if the database refuses it.
    :raises DatabaseUnavailableError: if the database goes away.
    """
    with _errors(session, what):
        session.connection.commit()


@contextmanager
def run(
    session: Session,
    statement: str,
    parameters: Mapping[str, object] | None = None,
    *,
    what: str,
    timeout: int = 0,
) -> Iterator[Result | None]:
    """Run a statement; give its result, or None if it has none.

    :param parameters: value by name, for ``:name`` in the statement.
    :param what: what is read, for messages.
    :param timeout: seconds that it may take until the last row is read; 0 for as long as it needs.
    :raises ExportError: if the database refuses the statement.
    :raises DatabaseUnavailableError: if the database goes away, or it takes too long; a retry may succeed.
    """
    text, values = bind(statement, parameters or {}, session.paramstyle)
    with _errors(session, what):
        streams = only_reads(text)
        cursor = _cursor(session, streams=streams)
    watch = _Watch(session, cursor, timeout)
    try:
        with _errors(session, what, watch):
            cursor.execute(text) if values is None else cursor.execute(text, values)
            has_result = streams or cursor.description is not None
            first = cursor.fetchmany(_ROWS) if has_result else []
            columns = tuple(str(column[0]) for column in cursor.description or ())
        yield Result(columns, _parts(session, cursor, first, what, watch)) if has_result else None
    finally:
        watch.end()
        with suppress(Exception):  # what was read is read
            cursor.close()


def _parts(
    session: Session, cursor: Any, first: Sequence[Sequence[Any]], what: str, watch: _Watch
) -> Iterator[Sequence[Sequence[Any]]]:
    rows = first
    while rows:
        yield rows
        with _errors(session, what, watch):
            watch.check()
            rows = cursor.fetchmany(_ROWS)


def _cursor(session: Session, *, streams: bool) -> Any:
    """Make a cursor; one of the server's, where the client's would read the whole result into memory."""
    connection, driver = session.connection, session.driver
    name = {"name": "idm_export"} if streams else {}
    if driver == "psycopg":
        return connection.cursor(row_factory=import_module("psycopg.rows").tuple_row, **name)
    if driver == "psycopg2":
        return connection.cursor(cursor_factory=import_module("psycopg2.extensions").cursor, **name)
    if driver in {"pymysql", "MySQLdb"}:
        return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    return connection.cursor()


class _Watch:
    """Interrupts a statement that takes too long."""

    def __init__(self, session: Session, cursor: Any, timeout: int) -> None:
        self.timeout = timeout
        self.expired = False
        self._interrupts = [
            found
            for owner, name in (
                (session.connection, "cancel"),
                (session.connection, "interrupt"),
                (cursor, "cancel"),
            )
            if callable(found := getattr(owner, name, None))
        ]
        self._timer = threading.Timer(timeout, self._expire) if timeout else None
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def check(self) -> None:
        """Stop where nothing runs that could be interrupted."""
        if self.expired:
            raise TimeoutError

    def end(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        for interrupt in self._interrupts[:1]:
            with suppress(Exception):  # the statement has just ended
                interrupt()


@contextmanager
def _errors(session: Session, what: str, watch: _Watch | None = None) -> Iterator[None]:
    """Turn what a driver raises into this provider's errors, without values."""
    try:
        yield
    except IdmError:
        raise
    except Exception as error:
        if watch is not None and watch.expired:
            raise DatabaseUnavailableError(
                f"{what}: the database did not answer in full within {watch.timeout} seconds; raise the Timeout, or "
                "make the query cheaper"
            ) from None
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & _CONFIDENTIAL:
            raise ExportError(
                f"{what}: the database could not work out the result ({_kind(error)}; its message may quote values and "
                "is left out). Run the query by hand to see which"
            ) from None
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if _is_transient(session, error, kinds):
            raise DatabaseUnavailableError(
                f"{what}: the database failed: {reason} ({_kind(error)})"
            ) from error
        raise ExportError(
            f"{what}: the database refuses the statement: {reason} ({_kind(error)}). Correct it, or give the user the "
            "right to read what it names"
        ) from error


def _is_transient(session: Session, error: Exception, kinds: set[str]) -> bool:
    if session.driver == "sqlite3":
        return "locked" in str(error) or "busy" in str(error)
    state = _state(error)
    if state:
        return state.startswith(_TRANSIENT_STATES)
    return bool(kinds & {"OperationalError", "InterfaceError", "ConnectionError", "TimeoutError"})


def _state(error: Exception) -> str:
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def _kind(error: Exception) -> str:
    state = _state(error)
    return f"{type(error).__name__}, SQLSTATE {state}" if state else type(error).__name__
