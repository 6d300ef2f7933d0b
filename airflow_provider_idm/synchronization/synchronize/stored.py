"""Reading what the repository holds into DuckDB: everything, or just what an Incremental touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Select, Table, and_, select, union
from sqlalchemy import literal as sql_literal
from sqlalchemy.sql import FromClause

from airflow_provider_idm.repository.dialects import BulkSession
from airflow_provider_idm.repository.schema import ID, Tables, text
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout, EntityLayout, Layout

LOST_LINKS: Final = "lost_links"
"""DuckDB's table of links that go with their resources, their association having no mapping: ``type``, ``r1``, ``r2``,
``pk1``, ``pk2``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The repository's side of a comparison."""

    session: BulkSession
    tables: Tables

    # ------------------------------------------------------------------------------------------- everything

    def load_entity_type(self, layout: EntityLayout, target: str, query: str) -> None:
        """Make ``target`` of a query over every resource of an entity type, with its reference columns.

        :param query: over ``INCOMING``, whose columns are ``id``, ``pk``, those compared and those of references.
        """
        resources = self.tables.resources
        columns = [resources.c[name] for name in layout.navigations]
        statement = self._resources(layout, resources, resources, columns)
        self.session.load(statement.where(resources.c.Type == layout.type), target, query)

    def load_links(self, layout: AssociationLayout) -> None:
        """Make ``link_n`` (``r1``, ``r2``): every link of an association, from where it is kept."""
        links = self.tables.resource_links
        if layout.mapped.has_link_table:
            statement = select(links.c.R1_Id.label("r1"), links.c.R2_Id.label("r2"))
            self.session.load(statement.where(links.c.Type == layout.type), layout.table("link"))
            return
        number = 1 if layout.mapped.navigation1 else 2
        self.session.duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {layout.table('link')} AS {stored_references(layout, number)}"
        )

    def load_unresolved(self, layout: AssociationLayout) -> None:
        """Make ``remembered_n`` (``key1``, ``key2``, ``reason``): every remembered row of an association."""
        rows = self.tables.unresolved_links
        statement = select(
            rows.c.Key1.label("key1"), rows.c.Key2.label("key2"), rows.c.Reason.label("reason")
        )
        self.session.load(statement.where(rows.c.Type == layout.type), layout.table("remembered"))

    # ------------------------------------------------------------------------------------- what is touched

    def load_touched_entity_type(self, layout: EntityLayout) -> None:
        """Make ``stored_n``: the resources whose primary keys ``new_n`` names."""
        resources = self.tables.resources
        wanted = self.push_keys(f"SELECT DISTINCT pk AS k FROM {layout.new}")
        source = wanted.join(
            resources, and_(resources.c.Type == layout.type, resources.c.PrimaryKey == wanted.c.k)
        )
        self.session.load(self._resources(layout, resources, source, []), layout.stored)

    def load_key_ids(self, layout: AssociationLayout, number: int, query: str, target: str) -> None:
        """Make ``target`` (``k``, ``id``): which stored resources of a side have the keys that ``query`` names."""
        wanted = self.push_keys(query)
        end = self._end(layout, number, "r")
        source = wanted.join(end.table, and_(end.of_type, end.key == wanted.c.k))
        self.session.load(select(wanted.c.k, end.id.label("id")).select_from(source), target)

    def load_rows_of_keys(self, layout: AssociationLayout, number: int, query: str, target: str) -> None:
        """Make ``target`` of every row whose key on a side ``query`` names.

        Its columns: ``key1``, ``key2``, ``r1``, ``r2``, ``reason``.

        Rows that make a link have both ids, remembered rows none.
        """
        wanted = self.push_keys(query)
        ends = {1: self._end(layout, 1, "r1"), 2: self._end(layout, 2, "r2")}
        near, far = ends[number], ends[3 - number]
        source = wanted.join(near.table, and_(near.of_type, near.key == wanted.c.k))
        joined = self._join_far_end(layout, number, source, ends)
        keys = {number: wanted.c.k, 3 - number: far.key}
        self._load_links(joined, keys, ends, target)
        rows = self.tables.unresolved_links
        key = rows.c.Key1 if number == 1 else rows.c.Key2
        self._append_remembered(
            wanted.join(rows, and_(rows.c.Type == layout.type, key == wanted.c.k)), target
        )

    def load_rows_of_pairs(self, layout: AssociationLayout, query: str, target: str) -> None:
        """Make ``target`` (columns as ``load_rows_of_keys``) of the rows among the pairs that ``query`` names.

        The keys are looked up first, and then the links by both their ends. In one statement, databases take few of the
        pairs for linked, and look at all links of each end.
        """
        for number in (1, 2):
            self.load_key_ids(
                layout, number, f"SELECT DISTINCT key{number} AS k FROM ({query})", f"pair_ids_{number}"
            )
        duck = self.session.duck
        duck.execute(
            "CREATE OR REPLACE TEMP TABLE pairs AS SELECT w.key1, w.key2, a.id AS r1, b.id AS r2 "
            f"FROM ({query}) w JOIN pair_ids_1 a ON a.k = w.key1 JOIN pair_ids_2 b ON b.k = w.key2"
        )
        ids = [Column("r1", ID), Column("r2", ID)]
        found = self._linked(
            layout, self.session.push("wanted_ends", "SELECT DISTINCT r1, r2 FROM pairs", ids)
        )
        self.session.load(found, "links_found")
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT p.key1, p.key2, p.r1, p.r2, NULL::VARCHAR AS reason "
            "FROM pairs p JOIN links_found f ON f.r1 = p.r1 AND f.r2 = p.r2"
        )
        columns = [Column("key1", text()), Column("key2", text())]
        wanted = self.session.push("wanted_pairs", query, columns)
        rows = self.tables.unresolved_links
        same = and_(rows.c.Type == layout.type, rows.c.Key1 == wanted.c.key1, rows.c.Key2 == wanted.c.key2)
        self._append_remembered(wanted.join(rows, same), target)

    def load_primary_keys(self, query: str, target: str) -> None:
        """Make ``target`` (``id``, ``pk``): the primary keys of the resources whose ids ``query`` names."""
        wanted = self.session.push("wanted_ids", query, [Column("id", ID)])
        resources = self.tables.resources
        source = wanted.join(resources, resources.c.Id == wanted.c.id)
        self.session.load(select(wanted.c.id, resources.c.PrimaryKey.label("pk")).select_from(source), target)

    def load_lost_links(self, layout: Layout) -> None:
        """Make ``LOST_LINKS``: the links of associations without a mapping that go with the resources to be deleted.

        A select for each end, as databases find few rows among many only if a condition names one column.
        """
        ids = select(self.session.push("wanted_ids", deleted_resources(layout), [Column("id", ID)]).c.id)
        links, resources = self.tables.resource_links, self.tables.resources
        lost = []
        for other in layout.catalogue.others:
            if other.columns:
                entity_type, name = other.columns[0]
                column, own = resources.c[name], resources.c.Id
                held = and_(resources.c.Type == entity_type, column.is_not(None))
                pair = (own, column) if other.navigation1 else (column, own)
            else:
                held, pair = links.c.Type == other.id, (links.c.R1_Id, links.c.R2_Id)
            number = sql_literal(other.id).label("type")
            ends = select(number, pair[0].label("r1"), pair[1].label("r2")).where(held)
            lost += [ends.where(end.in_(ids)) for end in pair]
        found = union(*lost).subquery()
        first, second = resources.alias("first"), resources.alias("second")
        keys = (first.c.PrimaryKey.label("pk1"), second.c.PrimaryKey.label("pk2"))
        source = found.outerjoin(first, first.c.Id == found.c.r1)
        source = source.outerjoin(second, second.c.Id == found.c.r2)
        self.session.load(select(found, *keys).select_from(source), LOST_LINKS)

    def push_keys(self, query: str) -> Table:
        """Make the keys ``k`` of a DuckDB query a table that a statement may join."""
        return self.session.push("wanted_keys", query, [Column("k", text())])

    # -------------------------------------------------------------------------------------------- internals

    def _resources(
        self, layout: EntityLayout, resources: Table, source: FromClause, more: Sequence[Column[Any]]
    ) -> Select[Any]:
        columns: list[Any] = [resources.c.Id.label("id"), resources.c.PrimaryKey.label("pk")]
        columns += [resources.c[name] for name in (*layout.column_names, *(c.name for c in more))]
        for item in layout.files:
            file = self.tables.resource_files.alias()
            here = and_(file.c.Resource_Id == resources.c.Id, file.c.Property_Id == item.id)
            source = source.outerjoin(file, here)
            columns.append(file.c.Hash.label(item.column))
        return select(*columns).select_from(source)

    def _end(self, layout: AssociationLayout, number: int, alias: str) -> _End:
        resources = self.tables.resources.alias(alias)
        return _End(
            resources,
            resources.c.Id,
            resources.c[layout.key_column(number)],
            resources.c.Type == layout.side(number).type,
        )

    def _linked(self, layout: AssociationLayout, ends: Table) -> Select[Any]:
        """Return the statement for those of the pairs ``r1``, ``r2`` that are linked."""
        links, resources = self.tables.resource_links, self.tables.resources
        pair = (ends.c.r1.label("r1"), ends.c.r2.label("r2"))
        own, other = layout.mapped.navigation1, layout.mapped.navigation2
        if own:
            same = and_(resources.c.Id == ends.c.r1, resources.c[own] == ends.c.r2)
            return select(*pair).select_from(ends.join(resources, same))
        if other:
            same = and_(resources.c.Id == ends.c.r2, resources.c[other] == ends.c.r1)
            return select(*pair).select_from(ends.join(resources, same))
        same = and_(links.c.Type == layout.type, links.c.R1_Id == ends.c.r1, links.c.R2_Id == ends.c.r2)
        return select(*pair).select_from(ends.join(links, same))

    def _join_far_end(
        self, layout: AssociationLayout, number: int, source: FromClause, ends: Mapping[int, _End]
    ) -> FromClause:
        """Join the resources linked with those of side ``number``."""
        near, far = ends[number], ends[3 - number]
        own, other = layout.mapped.navigation1, layout.mapped.navigation2
        if number == 2:
            own, other = other, own
        if own:
            return source.join(far.table, far.id == near.table.c[own])
        if other:
            return source.join(far.table, and_(far.of_type, far.table.c[other] == near.id))
        links = self.tables.resource_links
        near_id, far_id = (links.c.R1_Id, links.c.R2_Id) if number == 1 else (links.c.R2_Id, links.c.R1_Id)
        linked = source.join(links, and_(links.c.Type == layout.type, near_id == near.id))
        return linked.join(far.table, far.id == far_id)

    def _load_links(
        self, source: FromClause, keys: Mapping[int, Any], ends: Mapping[int, _End], target: str
    ) -> None:
        columns = (
            keys[1].label("key1"),
            keys[2].label("key2"),
            ends[1].id.label("r1"),
            ends[2].id.label("r2"),
        )
        self.session.load(select(*columns).select_from(source), "links_found")
        self.session.duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT *, NULL::VARCHAR AS reason FROM links_found"
        )

    def _append_remembered(self, source: FromClause, target: str) -> None:
        rows = self.tables.unresolved_links
        columns = (rows.c.Key1.label("key1"), rows.c.Key2.label("key2"), rows.c.Reason.label("reason"))
        self.session.load(select(*columns).select_from(source), "remembered_found")
        self.session.duck.execute(
            f"INSERT INTO {target} SELECT key1, key2, NULL, NULL, reason FROM remembered_found"
        )


@dataclass(frozen=True, slots=True)
class _End:
    table: FromClause
    id: Column[Any]
    key: Column[Any]
    of_type: Any


def stored_references(layout: AssociationLayout, number: int) -> str:
    """Return the query for the links (``r1``, ``r2``) that side 1's or 2's reference column holds in ``stored_n``."""
    column = layout.mapped.navigation1 if number == 1 else layout.mapped.navigation2
    ids = ("id AS r1", f'"{column}" AS r2') if number == 1 else (f'"{column}" AS r1', "id AS r2")
    return f'SELECT {", ".join(ids)} FROM {layout.side(number).stored} WHERE "{column}" IS NOT NULL'


def deleted_resources(layout: Layout) -> str:
    """Return the query for the ids of the resources that a difference deletes."""
    return " UNION ALL ".join(f"SELECT id FROM {e.change} WHERE op = 'delete'" for e in layout.entity_types)
