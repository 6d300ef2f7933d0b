"""The difference as rows of the change tables: one per change, with keys, old and new values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Table

from airflow_provider_idm.engine import identifier, literal
from airflow_provider_idm.repository.catalogue import StoredAssociation
from airflow_provider_idm.repository.dialects import BulkSession, Gathered
from airflow_provider_idm.repository.schema import Tables
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout, EntityLayout
from airflow_provider_idm.synchronization.synchronize.stored import LOST_LINKS, Stored


class ChangeRows:
    """Queries for a difference's change rows inside DuckDB.

    Their columns: ``op``, ``type``, ``id``, ``pk``, ``old``, ``new`` (resources; JSON objects of the changed columns);
    ``op``, ``type``, ``r1``, ``r2``, ``pk1``, ``pk2`` (links); ``op``, ``type``, ``id``, ``property``, ``pk``, ``old``,
    ``new`` (files; hashes).

    :param by_property: name values by property, as people do, instead of by column of ``UR_Resources``.
    """

    def __init__(self, difference: Difference, stored: Stored, *, by_property: bool = False) -> None:
        self._difference = difference
        self._stored = stored
        self._by_property = by_property

    def resources(self, entity: EntityLayout) -> str:
        """Return the query for an entity type's changes; those of its files alone are not among them."""
        values = self._values(entity)
        differs = " OR ".join(["c.op <> 'update'", *(v.differs for v in values)])
        return f"""SELECT c.op, {entity.type} AS type, c.id, c.pk,
            CASE WHEN c.op <> 'insert' THEN {_changed_values(values, "s")} END AS old,
            CASE WHEN c.op <> 'delete' THEN {_changed_values(values, "c")} END AS new
            FROM {entity.change} c LEFT JOIN {entity.stored} s ON s.id = c.id WHERE {differs}"""

    def _values(self, entity: EntityLayout) -> list[_Value]:
        """Return the columns of an entity type's values; those that repeat another one's come into play on their own.

        A unique key or display name follows its property's column. It differs alone where a property was made a key, or
        somebody else wrote to the repository.
        """
        own = {item: identifier(name) for name, item in entity.columns if name.startswith("C")}
        values = []
        for name, item in entity.columns:
            repeats = None if name.startswith("C") else own[item]
            told = item if repeats is None else f"{item} ({name})"
            values.append(_Value(identifier(name), told if self._by_property else name, repeats))
        return values

    def links(self, association: AssociationLayout) -> str:
        """Return the query for an association's changes; the ends' primary keys are looked up first."""
        changes = association.table("link_change")
        keys = []
        for number in (1, 2):
            side, ends = association.side(number), association.side(number).stored
            if self._difference.incremental:
                ends = association.table(f"end_{number}")
                fresh = f"SELECT id FROM {side.change} WHERE op = 'insert'"
                wanted = f"SELECT DISTINCT r{number} AS id FROM {changes} WHERE r{number} NOT IN ({fresh})"
                self._stored.load_primary_keys(wanted, ends)
            keys.append(
                f"SELECT id, pk FROM {ends} UNION ALL SELECT id, pk FROM {side.change} WHERE op = 'insert'"
            )
        return f"""SELECT l.op, {association.type} AS type, l.r1, l.r2, a.pk AS pk1, b.pk AS pk2 FROM {changes} l
            LEFT JOIN ({keys[0]}) a ON a.id = l.r1 LEFT JOIN ({keys[1]}) b ON b.id = l.r2"""

    def lost_links(self, other: StoredAssociation) -> str | None:
        """Return the query for the links that an association without a mapping loses, or None if it loses none."""
        if other.id not in self._difference.lost_links:
            return None
        return f"SELECT 'delete' AS op, type, r1, r2, pk1, pk2 FROM {LOST_LINKS} WHERE type = {other.id}"

    def files(self, entity: EntityLayout) -> str | None:
        """Return the query for an entity type's changed files, or None if it has no file properties."""
        parts = []
        for file in entity.files:
            column = identifier(file.column)
            parts.append(
                f"""SELECT CASE WHEN s.{column} IS NULL THEN 'insert' WHEN c.{column} IS NULL THEN 'delete'
                           ELSE 'update' END AS op, {entity.type} AS type, c.id, {file.id} AS property, c.pk,
                           s.{column} AS old, c.{column} AS new
                    FROM {entity.change} c LEFT JOIN {entity.stored} s ON s.id = c.id
                    WHERE c.{column} IS DISTINCT FROM s.{column}"""
            )
        return " UNION ALL ".join(parts) or None


@dataclass(frozen=True, slots=True)
class ChangeRowGatherer:
    """Brings change rows over to the repository.

    :param real: the expression that turns a column of provisional ids into real ones.
    """

    session: BulkSession
    tables: Tables
    real: Callable[[str], str]
    job_instance: int
    task_instance: int

    def gather(self, rows: ChangeRows, difference: Difference) -> list[tuple[Gathered, Table]]:
        """Gather all change rows of a difference, each part with the table it goes to."""
        tables, gathered = self.tables, []
        for entity in difference.layout.entity_types:
            values = {"Resource_Id": self.real("id"), "R1_PK": "pk", "OldValues": "old", "NewValues": "new"}
            gathered.append(
                self._part(f"changes_{entity.index}", rows.resources(entity), tables.resource_changes, values)
            )
            files = rows.files(entity)
            if files:
                values = {
                    "Resource_Id": self.real("id"),
                    "Property_Id": "property",
                    "R1_PK": "pk",
                    "OldHash": "old",
                    "NewHash": "new",
                }
                gathered.append(
                    self._part(f"file_changes_{entity.index}", files, tables.resource_file_changes, values)
                )
        for association in difference.concerned:
            values = {"R1_Id": self.real("r1"), "R2_Id": self.real("r2"), "R1_PK": "pk1", "R2_PK": "pk2"}
            name, query = f"link_changes_{association.index}", rows.links(association)
            gathered.append(self._part(name, query, tables.resource_link_changes, values))
        for other in difference.layout.catalogue.others:
            if lost := rows.lost_links(other):
                values = {"R1_Id": "r1", "R2_Id": "r2", "R1_PK": "pk1", "R2_PK": "pk2"}
                name = f"lost_links_{other.id}"
                gathered.append(self._part(name, lost, tables.resource_link_changes, values))
        return gathered

    def _part(self, name: str, query: str, table: Table, values: dict[str, str]) -> tuple[Gathered, Table]:
        columns = {
            "JobInstance_Id": str(self.job_instance),
            "TaskInstance_Id": str(self.task_instance),
            "ChangeOperation": "op",
            "Type": "type",
            **values,
        }
        selected = ", ".join(
            f"{expression} AS {identifier(column)}" for column, expression in columns.items()
        )
        rows = self.session.gather(
            name, f"SELECT {selected} FROM ({query})", [table.c[column] for column in columns]
        )
        return rows, table


@dataclass(frozen=True, slots=True)
class _Value:
    """One column of a resource.

    :param column: quoted; ``name`` what it is called in a change's JSON object.
    :param repeats: the column (quoted) whose value it repeats, or None.
    """

    column: str
    name: str
    repeats: str | None

    @property
    def differs(self) -> str:
        """The condition that it changes."""
        return f"c.{self.column} IS DISTINCT FROM s.{self.column}"

    def is_told(self, alias: str) -> str:
        """Return the condition that it is named: it changes, or a whole resource does; a repeated one changes alone."""
        if self.repeats is None:
            return f"CASE WHEN c.op = 'update' THEN {self.differs} ELSE {alias}.{self.column} IS NOT NULL END"
        return (
            f"c.op = 'update' AND {self.differs} AND c.{self.repeats} IS NOT DISTINCT FROM s.{self.repeats}"
        )


def _changed_values(values: list[_Value], alias: str) -> str:
    """Return the expression for a JSON object: of an update's changed columns, else of all that have a value."""

    def member(value: _Value) -> str:
        prefix = literal(f"{json.dumps(value.name)}: ")
        text = f"coalesce(to_json({alias}.{value.column})::VARCHAR, 'null')"
        return f"CASE WHEN {value.is_told(alias)} THEN {prefix} || {text} END"

    members = ", ".join(member(value) for value in values)
    return f"'{{' || array_to_string(list_filter([{members}], lambda m: m IS NOT NULL), ', ') || '}}'"
