"""The difference on its way to the repository: which rows each statement of the apply needs.

Everything is computed in DuckDB and handed over before the apply begins. Ids of inserted resources are provisional
(negative) in DuckDB and get their real numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Integer, Table

from airflow_provider_idm.engine import count_rows, has_rows, identifier, literal
from airflow_provider_idm.repository.catalogue import StoredAssociation
from airflow_provider_idm.repository.dialects import BulkSession, Gathered
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout, EntityLayout
from airflow_provider_idm.synchronization.synchronize.stored import stored_references


@dataclass(frozen=True, slots=True)
class StagedRows:
    """A staged table and how many rows it has: every one of them must find its counterpart."""

    table: Table
    rows: int


@dataclass(slots=True)
class StagedEntityType:
    """What the apply does to one entity type; None where there is nothing to do."""

    layout: EntityLayout
    deleted: StagedRows | None = None
    updated: StagedRows | None = None
    inserted: Gathered | None = None
    deleted_files: StagedRows | None = None
    inserted_files: Gathered | None = None


@dataclass(slots=True)
class StagedAssociation:
    """What the apply does to one association."""

    layout: AssociationLayout
    deleted: StagedRows | None = None
    inserted: Gathered | None = None
    forgotten: StagedRows | None = None
    remembered: Gathered | None = None


@dataclass(slots=True)
class Staged:
    """Everything the apply needs.

    :param lost_links: how many links associations without a mapping lose with the resources that are deleted.
    """

    entity_types: list[StagedEntityType] = field(default_factory=list)
    associations: list[StagedAssociation] = field(default_factory=list)
    lost_links: Mapping[StoredAssociation, int] = field(default_factory=dict)

    @property
    def overwrites(self) -> bool:
        """Whether anything that is stored is changed or deleted."""
        return any(e.deleted or e.updated for e in self.entity_types) or any(
            a.deleted for a in self.associations
        )


class Stager:
    """Stages a difference.

    :param first_id: the first of the ids that were allocated for inserted resources.
    :param effective_date: ``ValidFrom`` of all that is written (UTC); ``now`` goes to ``WhenChanged``.
    """

    def __init__(
        self,
        session: BulkSession,
        tables: Tables,
        difference: Difference,
        *,
        first_id: int,
        effective_date: datetime,
        now: datetime,
    ) -> None:
        self._session = session
        self._tables = tables
        self._difference = difference
        self._first_id = first_id
        self._valid_from = _moment(effective_date)
        self._now = _moment(now)

    def stage(self) -> Staged:
        """Stage all of it."""
        staged = Staged()
        for entity in self._difference.layout.entity_types:
            staged.entity_types.append(self._entity_type(entity))
        for association in self._difference.concerned:
            staged.associations.append(self._association(association))
        lost = self._difference.lost_links
        staged.lost_links = {o: lost.get(o.id, 0) for o in self._difference.layout.catalogue.others}
        return staged

    def real(self, column: str) -> str:
        """Return the expression that turns provisional ids into real ones."""
        return f"CASE WHEN {column} < 0 THEN {self._first_id - 1} - {column} ELSE {column} END"

    # ------------------------------------------------------------------------------------------- entity types

    def _entity_type(self, entity: EntityLayout) -> StagedEntityType:
        resources = self._tables.resources
        staged = StagedEntityType(entity)
        staged.deleted = self._stage(
            f"deleted_{entity.index}",
            f"SELECT id AS \"Id\" FROM {entity.change} WHERE op = 'delete'",
            [resources.c.Id],
        )
        references = {name: self._references(entity, name) for name in entity.navigations}
        staged.updated = self._updated(entity, references)
        staged.inserted = self._inserted(entity, references)
        if entity.files:
            self._files(entity, staged)
        return staged

    def _references(self, entity: EntityLayout, column: str) -> str:
        """Make the table (``id``, ``value``) of what a reference column changes to, and return its name."""
        parts = ["SELECT NULL::BIGINT AS id, NULL::BIGINT AS value WHERE false"]
        for association in self._difference.concerned:
            for number in (1, 2):
                mapped = association.mapped
                navigation = mapped.navigation1 if number == 1 else mapped.navigation2
                if navigation == column and association.side(number).index == entity.index:
                    parts.append(self._reference_changes(association, number))
        name = f"reference_{entity.index}_{column}"
        self._difference.duck.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {' UNION ALL '.join(parts)}")
        return name

    def _reference_changes(self, association: AssociationLayout, number: int) -> str:
        near, far = f"r{number}", f"r{3 - number}"
        changes = association.table("link_change")
        both = association.mapped.navigation1 is not None and association.mapped.navigation2 is not None
        if both and number == 2 and not self._difference.incremental:
            # What counts as stored is side 1's column; side 2's own may have drifted from it.
            return (
                f"SELECT coalesce(d.r2, s.r2) AS id, d.r1 AS value FROM {association.table('desired')} d "
                f"FULL JOIN ({stored_references(association, 2)}) s ON s.r2 = d.r2 WHERE d.r1 IS DISTINCT FROM s.r1"
            )
        return (
            f"SELECT {near} AS id, max(CASE WHEN op = 'insert' THEN {far} END) AS value FROM {changes} "
            f"GROUP BY {near}"
        )

    def _updated(self, entity: EntityLayout, references: dict[str, str]) -> StagedRows | None:
        """Stage one row per resource that changes: ``Changed`` tells of its values, ``I40_set`` of a reference."""
        resources = self._tables.resources
        ids = f"SELECT id FROM {entity.change} WHERE op = 'update'"
        columns: list[Column[Any]] = [resources.c.Id, Column("Changed", Integer)]
        select = ['u.id AS "Id"', '(c.id IS NOT NULL)::INTEGER AS "Changed"']
        joins = f"LEFT JOIN {entity.change} c ON c.id = u.id AND c.op = 'update'"
        for name in entity.column_names:
            columns.append(resources.c[name])
            select.append(f"c.{identifier(name)}")
        for name, table in references.items():
            ids += f" UNION SELECT id FROM {table} WHERE id > 0"
            columns += [Column(f"{name}_set", Integer), resources.c[name]]
            select += [
                f'({name}.id IS NOT NULL)::INTEGER AS "{name}_set"',
                f'{self.real(f"{name}.value")} AS "{name}"',
            ]
            joins += f" LEFT JOIN {table} AS {name} ON {name}.id = u.id"
        gone = f"SELECT id FROM {entity.change} WHERE op = 'delete'"
        query = f"SELECT {', '.join(select)} FROM ({ids}) u {joins} WHERE u.id NOT IN ({gone})"
        return self._stage(f"updated_{entity.index}", query, columns)

    def _inserted(self, entity: EntityLayout, references: dict[str, str]) -> Gathered | None:
        resources = self._tables.resources
        values = {
            "Id": self.real("c.id"),
            "Type": str(entity.type),
            "PrimaryKey": "c.pk",
            **{name: f"c.{identifier(name)}" for name in entity.column_names},
            **{name: self.real(f"{name}.value") for name in references},
            "Dirty": "0",
            "WhenCreated": self._now,
            "WhenChanged": self._now,
            "ValidFrom": self._valid_from,
        }
        joins = "".join(
            f" LEFT JOIN {table} AS {name} ON {name}.id = c.id" for name, table in references.items()
        )
        order = " ORDER BY 1" if joins else ""
        return self._gather(
            f"inserted_{entity.index}",
            f"SELECT {_aliased(values)} FROM {entity.change} c{joins} WHERE c.op = 'insert'{order}",
            [resources.c[name] for name in values],
        )

    def _files(self, entity: EntityLayout, staged: StagedEntityType) -> None:
        files = self._tables.resource_files
        stored = entity.stored
        gone, come = [], []
        values: dict[str, str] = {}
        for file in entity.files:
            column = identifier(file.column)
            differs = f"(c.op = 'delete' OR c.{column} IS DISTINCT FROM s.{column})"
            gone.append(
                f'SELECT c.id AS "Resource_Id", {file.id} AS "Property_Id" FROM {entity.change} c '
                f"JOIN {stored} s ON s.id = c.id WHERE s.{column} IS NOT NULL AND {differs}"
            )
            values = {
                "Resource_Id": self.real("c.id"),
                "Property_Id": str(file.id),
                "Hash": f"c.{column}",
                "Content": _unchanged(f"n.{identifier(file.column + '_value')}", f"c.{column}"),
                "ValidFrom": self._valid_from,
            }
            come.append(
                f"SELECT {_aliased(values)} FROM {entity.change} c JOIN {entity.new} n ON n.pk = c.pk "
                f"LEFT JOIN {stored} s ON s.id = c.id "
                f"WHERE c.op <> 'delete' AND c.{column} IS NOT NULL AND c.{column} IS DISTINCT FROM s.{column}"
            )
        staged.deleted_files = self._stage(
            f"deleted_files_{entity.index}",
            " UNION ALL ".join(gone),
            [files.c.Resource_Id, files.c.Property_Id],
        )
        staged.inserted_files = self._gather(
            f"inserted_files_{entity.index}", " UNION ALL ".join(come), [files.c[name] for name in values]
        )

    # ------------------------------------------------------------------------------------------- associations

    def _association(self, association: AssociationLayout) -> StagedAssociation:
        links, remembered = self._tables.resource_links, self._tables.unresolved_links
        staged = StagedAssociation(association)
        changes, rows = association.table("link_change"), association.table("remembered_change")
        if association.mapped.has_link_table:
            staged.deleted = self._stage(
                f"deleted_links_{association.index}",
                f'SELECT r1 AS "R1_Id", r2 AS "R2_Id" FROM {changes} WHERE op = \'delete\'',
                [links.c.R1_Id, links.c.R2_Id],
            )
            values = {
                "Type": str(association.type),
                "R1_Id": self.real("r1"),
                "R2_Id": self.real("r2"),
                "ValidFrom": self._valid_from,
            }
            staged.inserted = self._gather(
                f"inserted_links_{association.index}",
                f"SELECT {_aliased(values)} FROM {changes} WHERE op = 'insert' ORDER BY 2, 3",
                [links.c[name] for name in values],
            )
        staged.forgotten = self._stage(
            f"forgotten_{association.index}",
            f'SELECT key1 AS "Key1", key2 AS "Key2" FROM {rows} WHERE op = \'delete\'',
            [remembered.c.Key1, remembered.c.Key2],
        )
        staged.remembered = self._gather(
            f"remembered_{association.index}",
            f'SELECT {association.type} AS "Type", key1 AS "Key1", key2 AS "Key2", reason AS "Reason" '
            f"FROM {rows} WHERE op = 'insert'",
            list(remembered.c),
        )
        return staged

    # ---------------------------------------------------------------------------------------------- internals

    def _stage(self, name: str, query: str, columns: list[Column[Any]]) -> StagedRows | None:
        rows = count_rows(self._difference.duck, f"({query})")
        return StagedRows(self._session.stage(name, query, columns), rows) if rows else None

    def _gather(self, name: str, query: str, columns: list[Column[Any]]) -> Gathered | None:
        wanted = has_rows(self._difference.duck, f"({query})")
        return self._session.gather(name, query, columns) if wanted else None


def _unchanged(value: str, hash_: str) -> str:
    """Return the expression for a file's value, which is read again; it must be the one that was compared."""
    return (
        f"CASE WHEN sha256(from_base64({value})) = {hash_} THEN {value} "
        "ELSE error('a file of the batch changed after it was compared') END"
    )


def _moment(moment: datetime) -> str:
    """Write a moment as both databases read it: PostgreSQL's session runs in UTC, SQLite keeps the text."""
    return literal(f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}")


def _aliased(values: dict[str, str]) -> str:
    return ", ".join(f"{expression} AS {identifier(name)}" for name, expression in values.items())
