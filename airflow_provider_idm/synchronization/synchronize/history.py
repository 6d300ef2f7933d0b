"""Keeping former versions: what the apply is about to change or delete goes to the history tables before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, insert, select
from sqlalchemy import literal as sql_literal

from airflow_provider_idm.repository.schema import Moment, Tables


class HistoryKeeper:
    """Copies former versions, a statement per table, in the transaction that then changes or deletes them.

    A version that began on the very date on which it ends was nobody's state at any date, and is not kept. That nobody
    else changed the rows in between needs no check of its own: the statement that changes them is in the same
    transaction, sees the same rows, and must find as many as the comparison did.

    :param effective_date: when the versions end (UTC): they were valid until, but no longer at, it.
    :param wanted: False keeps nothing.
    """

    def __init__(
        self, connection: Connection, tables: Tables, effective_date: datetime, *, wanted: bool
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._effective_date = effective_date
        self._wanted = wanted

    def resources(self, ids: Select[Any], type_: int) -> None:
        """Keep the resources of an entity type that a query names."""
        resources = self._tables.resources
        self._keep(
            resources, self._tables.resources_history, resources.c.Id.in_(ids), resources.c.Type == type_
        )

    def referring(self, column: Column[Any], ids: Select[Any], type_: int) -> None:
        """Keep the resources of an entity type that refer, in a column, to those that a query names."""
        resources = self._tables.resources
        self._keep(resources, self._tables.resources_history, column.in_(ids), resources.c.Type == type_)

    def links(self, *where: ColumnElement[bool]) -> None:
        """Keep links."""
        self._keep(self._tables.resource_links, self._tables.resource_links_history, *where)

    def files(self, *where: ColumnElement[bool]) -> None:
        """Keep the hashes of files; their contents go."""
        self._keep(self._tables.resource_files, self._tables.resource_files_history, *where)

    def _keep(self, source: Table, target: Table, *where: ColumnElement[bool]) -> None:
        if not self._wanted:
            return
        names = [c.name for c in target.columns if c.name != target.c.ValidTo.name]
        ends = sql_literal(self._effective_date, Moment)
        rows = select(*(source.c[name] for name in names), ends).where(
            source.c.ValidFrom < self._effective_date, *where
        )
        statement = insert(target).from_select([*names, target.c.ValidTo.name], rows, include_defaults=False)
        self._connection.execute(statement)
