"""Notes how long a call writes to PostgreSQL: from a transaction's first change of the repository to its end."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = re.compile(
    r'\s*(?:INSERT INTO|UPDATE|DELETE FROM|COPY|LOCK(?: TABLE)?)\s+(?:"?\w+"?\.)?"U[RJMC]_', re.IGNORECASE
)


def noting_writes(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make a call; return what it returns and, as ``apply``, the seconds of the longest writing transaction."""
    import psycopg  # noqa: PLC0415 - where SQLite is measured it is not needed

    execute, copy, commit = psycopg.Cursor.execute, psycopg.Cursor.copy, psycopg.Connection.commit
    begun: dict[int, float] = {}
    spans: list[float] = []

    def note(cursor: Any, query: Any) -> None:
        if isinstance(query, str) and WRITES.match(query):
            begun.setdefault(id(cursor.connection), time.monotonic())

    def noted_execute(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        note(cursor, query)
        return execute(cursor, query, *arguments, **options)

    def noted_copy(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        note(cursor, query)
        return copy(cursor, query, *arguments, **options)

    def noted_commit(connection: Any) -> None:
        commit(connection)
        if (since := begun.pop(id(connection), None)) is not None:
            spans.append(time.monotonic() - since)

    patched = {"execute": noted_execute, "copy": noted_copy}
    for name, function in patched.items():
        setattr(psycopg.Cursor, name, function)
    setattr(psycopg.Connection, "commit", noted_commit)  # noqa: B010 - a method, for this process alone
    return call() | {"apply": {"seconds": max(spans, default=0.0)}}
