"""Writing a staged difference into the repository: resources, then links, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    CursorResult,
    Select,
    Table,
    case,
    delete,
    func,
    null,
    select,
    tuple_,
    union,
    union_all,
    update,
)
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.dml import Delete, Update

from airflow_provider_idm.errors import ConcurrentChangeError
from airflow_provider_idm.repository.catalogue import StoredAssociation
from airflow_provider_idm.repository.dialects import BulkSession, Gathered
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.synchronization.synchronize.history import HistoryKeeper
from airflow_provider_idm.synchronization.synchronize.staging import (
    Staged,
    StagedAssociation,
    StagedEntityType,
    StagedRows,
)


class Applier:
    """Applies a staged difference.

    Every statement must touch exactly the rows that the comparison found; anything else means that somebody changed the
    repository meanwhile, and raises ``ConcurrentChangeError`` (the transaction is then rolled back).

    :param history: whether the versions that are changed or deleted are kept.
    """

    def __init__(
        self,
        session: BulkSession,
        connection: Connection,
        tables: Tables,
        *,
        effective_date: datetime,
        now: datetime,
        history: bool = True,
    ) -> None:
        self._session = session
        self._connection = connection
        self._tables = tables
        self._effective_date = effective_date
        self._now = now
        self._history = HistoryKeeper(connection, tables, effective_date, wanted=history)

    def apply(self, staged: Staged) -> None:
        """Apply all of it."""
        for association in staged.associations:
            self._delete_links(association)
        if any(e.deleted for e in staged.entity_types):
            gone = union_all(
                *(select(e.deleted.table.c.Id) for e in staged.entity_types if e.deleted)
            ).subquery()
            for other, lost in staged.lost_links.items():
                self._lose_links(other, lost, gone)
        for entity_type in staged.entity_types:
            self._change_resources(entity_type)
        for entity_type in staged.entity_types:
            self._insert(entity_type.inserted, self._tables.resources)
            self._insert(entity_type.inserted_files, self._tables.resource_files)
        for association in staged.associations:
            self._insert(association.inserted, self._tables.resource_links)
            self._remember(association)

    def _change_resources(self, staged: StagedEntityType) -> None:
        files, resources = self._tables.resource_files, self._tables.resources
        if staged.deleted_files:
            pairs = select(staged.deleted_files.table.c.Resource_Id, staged.deleted_files.table.c.Property_Id)
            among = tuple_(files.c.Resource_Id, files.c.Property_Id).in_(pairs)
            self._history.files(among)
            self._execute(delete(files).where(among), staged.deleted_files, files)
        if staged.deleted:
            wanted = select(staged.deleted.table.c.Id)
            # Files of properties that have no mapping any more go with their resource too.
            left = files.c.Resource_Id.in_(wanted)
            self._history.files(left)
            self._connection.execute(delete(files).where(left))
            self._history.resources(wanted, staged.layout.type)
            statement = delete(resources).where(
                resources.c.Id.in_(wanted), resources.c.Type == staged.layout.type
            )
            self._execute(statement, staged.deleted, resources)
        if staged.updated:
            self._history.resources(select(staged.updated.table.c.Id), staged.layout.type)
            self._execute(self._update(staged, staged.updated.table), staged.updated, resources)

    def _update(self, staged: StagedEntityType, source: Table) -> Update:
        resources = self._tables.resources
        changed = source.c.Changed == 1
        references = staged.layout.navigations
        values = {
            # Without references in play every staged row brings all its values.
            name: case((changed, source.c[name]), else_=resources.c[name]) if references else source.c[name]
            for name in staged.layout.column_names
        }
        for name in references:
            values[name] = case((source.c[f"{name}_set"] == 1, source.c[name]), else_=resources.c[name])
        return (
            update(resources)
            .where(resources.c.Id == source.c.Id, resources.c.Type == staged.layout.type)
            .values(**values, WhenChanged=self._now, ValidFrom=self._effective_date)
        )

    def _delete_links(self, staged: StagedAssociation) -> None:
        links = self._tables.resource_links
        if staged.deleted:
            source = staged.deleted.table
            pairs = select(source.c.R1_Id, source.c.R2_Id)
            among = (links.c.Type == staged.layout.type, tuple_(links.c.R1_Id, links.c.R2_Id).in_(pairs))
            self._history.links(*among)
            self._execute(delete(links).where(*among), staged.deleted, links)

    def _remember(self, staged: StagedAssociation) -> None:
        rows = self._tables.unresolved_links
        if staged.forgotten:
            source = staged.forgotten.table
            pairs = select(source.c.Key1, source.c.Key2)
            statement = delete(rows).where(
                rows.c.Type == staged.layout.type, tuple_(rows.c.Key1, rows.c.Key2).in_(pairs)
            )
            self._execute(statement, staged.forgotten, rows)
        self._insert(staged.remembered, rows)

    def _lose_links(self, other: StoredAssociation, lost: int, gone: FromClause) -> None:
        """Delete an association's links with the resources that go, or clear the references that make them.

        :param lost: how many there must be.
        :param gone: ``Id`` of the resources that go.
        """
        ids = select(gone.c.Id)
        if other.columns:
            self._lose_references(other, lost, ids)
            return
        links, found = self._tables.resource_links, 0
        for end in (links.c.R1_Id, links.c.R2_Id):
            among = (links.c.Type == other.id, end.in_(ids))
            self._history.links(*among)
            found += self._connection.execute(delete(links).where(*among)).rowcount
        self._check(links, lost, found)

    def _lose_references(self, other: StoredAssociation, lost: int, ids: Select[Any]) -> None:
        resources = self._tables.resources
        entity_type, column = other.columns[0][0], resources.c[other.columns[0][1]]
        held = select(resources.c.Id).where(resources.c.Type == entity_type, column.is_not(None))
        either = union(*(held.where(end.in_(ids)) for end in (column, resources.c.Id))).subquery()
        self._check(resources, lost, self._connection.scalar(select(func.count()).select_from(either)))
        for entity_type, name in other.columns:
            column = resources.c[name]
            self._history.referring(column, ids, entity_type)
            self._connection.execute(
                update(resources)
                .where(resources.c.Type == entity_type, column.in_(ids))
                .values({column: null(), "WhenChanged": self._now, "ValidFrom": self._effective_date})
            )

    def _insert(self, rows: Gathered | None, table: Table) -> None:
        if rows:
            self._session.insert(self._connection, rows, table)

    def _execute(self, statement: Update | Delete, staged: StagedRows, table: Table) -> None:
        result = self._connection.execute(statement)
        self._check(table, staged.rows, result.rowcount if isinstance(result, CursorResult) else -1)

    @staticmethod
    def _check(table: Table, expected: int, found: int | None) -> None:
        if found != expected:
            raise ConcurrentChangeError(
                f"{table.name} changed while it was compared: {expected} rows were to change, {found} were found; "
                "nothing was applied. Try again, and look for another program that writes to the repository"
            )
