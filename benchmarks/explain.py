"""Asks PostgreSQL for the plans of the statements that a call sends, just before it sends them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "UR_ResourceLinks"
EXPLAINABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True)
class Plan:
    """A statement on the links, and how the database goes about it."""

    statement: str
    plan: tuple[str, ...]

    @property
    def scans_all(self) -> bool:
        """Whether it reads the table of links from its beginning to its end."""
        return any("Seq Scan" in line and f'"{TABLE}"' in line for line in self.plan)


def explained(call: Callable[[], Any]) -> list[dict[str, Any]]:
    """Make a call and return the plans of its statements on the links, by either driver."""
    import adbc_driver_manager.dbapi as adbc  # noqa: PLC0415 - only here, and heavy
    import psycopg  # noqa: PLC0415

    found: list[Plan] = []
    executes: dict[Any, Any] = {psycopg.Cursor: psycopg.Cursor.execute, adbc.Cursor: adbc.Cursor.execute}

    def by_psycopg(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        execute = executes[psycopg.Cursor]
        if is_on_links(query):
            execute(cursor, f"EXPLAIN {query}", *arguments, **options)
            found.append(Plan(query, tuple(row[0] for row in cursor.fetchall())))
        return execute(cursor, query, *arguments, **options)

    def by_adbc(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        execute = executes[adbc.Cursor]
        if is_on_links(query):
            cursor.adbc_statement.set_options(
                **{"adbc.postgresql.use_copy": "false"}
            )  # it cannot copy a plan
            execute(cursor, f"EXPLAIN {query}", *arguments, **options)
            found.append(Plan(query, tuple(row[0] for row in cursor.fetchall())))
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "true"})
        return execute(cursor, query, *arguments, **options)

    for cursor, function in ((psycopg.Cursor, by_psycopg), (adbc.Cursor, by_adbc)):
        setattr(cursor, "execute", function)  # noqa: B010 - a method
    try:
        call()
    finally:
        for cursor, execute in executes.items():
            cursor.execute = execute
    return [asdict(plan) | {"scans_all": plan.scans_all} for plan in found]


def is_on_links(query: Any) -> bool:
    return isinstance(query, str) and f'"{TABLE}"' in query and query.lstrip().upper().startswith(EXPLAINABLE)
