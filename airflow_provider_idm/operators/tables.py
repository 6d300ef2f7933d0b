"""Tables given to a prepare, once they have been fetched: what the UI may show of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FetchedTables:
    """Tables by name, as other tasks returned them; of their rows only the number is shown.

    Airflow keeps the rendered fields of each task in its metadata database and shows them in the UI: there the values of
    personal attributes have no place.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.tables = dict(tables)

    def serialize(self) -> dict[str, str]:
        """Return what Airflow keeps and shows."""
        return {name: _described(table) for name, table in self.tables.items()}

    def __str__(self) -> str:
        return str(self.serialize())


def shown_without_values(tables: Any) -> Any:
    """Return tables as an operator may keep them in a templated field: those that were fetched, without their rows."""
    if not isinstance(tables, Mapping) or all(isinstance(t, str) or _is_promised(t) for t in tables.values()):
        return tables
    return FetchedTables(tables)


def fetched(tables: Any) -> Any:
    """Return the tables themselves."""
    return tables.tables if isinstance(tables, FetchedTables) else tables


def _is_promised(table: Any) -> bool:
    """Tell whether a table is yet to be returned by another task."""
    return hasattr(table, "resolve") and hasattr(table, "iter_references")


def _described(table: Any) -> str:
    if isinstance(table, str):
        return table
    kind = type(table).__name__
    try:
        return f"{kind}, {len(table)} rows"
    except TypeError:
        return str(table) if hasattr(table, "open") or hasattr(table, "__fspath__") else kind
