"""A connector's stored state as it would be after batches that are only planned, kept in DuckDB.

A plan of several pending batches needs, for the second one, what the first would leave behind. So everything stored is
read once, and each difference is applied to that copy.

Tables: ``state_n`` per entity type (as ``stored_n``), ``links_n`` (``r1``, ``r2``) and ``kept_n`` (``key1``, ``key2``,
``reason``) per association, ``gone`` with the ids of deleted resources.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_idm.engine import identifier
from airflow_provider_idm.repository.dialects import INCOMING
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout, EntityLayout, Layout
from airflow_provider_idm.synchronization.synchronize.stored import LOST_LINKS, Stored, deleted_resources


@dataclass(frozen=True, slots=True)
class SimulatedState(Stored):
    """Answers what ``Stored`` answers, from the copy."""

    layout: Layout

    def read(self) -> None:
        """Read everything that the repository holds."""
        for entity in self.layout.entity_types:
            Stored.load_entity_type(self, entity, entity.stored, f"SELECT * FROM {INCOMING}")
            self._make(_state(entity), f"SELECT * FROM {entity.stored}")
        for association in self.layout.associations:
            Stored.load_links(self, association)
            self._make(association.table("links"), f"SELECT r1, r2 FROM {association.table('link')}")
            Stored.load_unresolved(self, association)
            self._make(association.table("kept"), f"SELECT * FROM {association.table('remembered')}")
        self._make("gone", "SELECT NULL::BIGINT AS id WHERE false")

    def advance(self, difference: Difference) -> None:
        """Apply a difference to the copy."""
        duck = self.session.duck
        duck.execute(f"INSERT INTO gone {deleted_resources(self.layout)}")
        for entity in self.layout.entity_types:
            duck.execute(f"DELETE FROM {_state(entity)} WHERE id IN (SELECT id FROM {entity.change})")
            duck.execute(
                f"INSERT INTO {_state(entity)} BY NAME "
                f"SELECT id, pk{entity.list_columns()} FROM {entity.change} WHERE op <> 'delete'"
            )
        for association in difference.concerned:
            for table, changes, columns in (
                (association.table("links"), association.table("link_change"), "r1, r2"),
                (association.table("kept"), association.table("remembered_change"), "key1, key2"),
            ):
                gone = f"SELECT {columns} FROM {changes} WHERE op = 'delete'"
                duck.execute(f"DELETE FROM {table} WHERE ({columns}) IN ({gone})")
                duck.execute(
                    f"INSERT INTO {table} BY NAME SELECT * EXCLUDE (op) FROM {changes} WHERE op = 'insert'"
                )

    # ------------------------------------------------------------------------------- what ``Stored`` answers

    def load_entity_type(self, layout: EntityLayout, target: str, query: str) -> None:
        """Make ``target`` of a query over the copy."""
        self._make(target, f"WITH {INCOMING} AS (SELECT * FROM {_state(layout)}) {query}")

    def load_links(self, layout: AssociationLayout) -> None:
        """Make ``link_n`` from the copy."""
        self._make(layout.table("link"), f"SELECT r1, r2 FROM {layout.table('links')}")

    def load_unresolved(self, layout: AssociationLayout) -> None:
        """Make ``remembered_n`` from the copy."""
        self._make(layout.table("remembered"), f"SELECT key1, key2, reason FROM {layout.table('kept')}")

    def load_touched_entity_type(self, layout: EntityLayout) -> None:
        """Make ``stored_n`` of the resources that ``new_n`` names."""
        query = f"SELECT s.* FROM {_state(layout)} s WHERE s.pk IN (SELECT pk FROM {layout.new})"
        self._make(layout.stored, query)

    def load_key_ids(self, layout: AssociationLayout, number: int, query: str, target: str) -> None:
        """Make ``target`` (``k``, ``id``) from the copy."""
        key, state = identifier(layout.duck_key(number)), _state(layout.side(number))
        self._make(target, f"SELECT w.k, s.id FROM ({query}) w JOIN {state} s ON s.{key} = w.k")

    def load_rows_of_keys(self, layout: AssociationLayout, number: int, query: str, target: str) -> None:
        """Make ``target`` of every row whose key on a side ``query`` names."""
        self._make(target, f"SELECT * FROM ({_rows(layout)}) WHERE key{number} IN ({query})")

    def load_rows_of_pairs(self, layout: AssociationLayout, query: str, target: str) -> None:
        """Make ``target`` of the rows among the pairs that ``query`` names."""
        self._make(target, f"SELECT * FROM ({_rows(layout)}) WHERE (key1, key2) IN ({query})")

    def load_primary_keys(self, query: str, target: str) -> None:
        """Make ``target`` (``id``, ``pk``) from the copy."""
        states = " UNION ALL ".join(f"SELECT id, pk FROM {_state(e)}" for e in self.layout.entity_types)
        self._make(target, f"SELECT w.id, s.pk FROM ({query}) w JOIN ({states}) s ON s.id = w.id")

    def load_lost_links(self, layout: Layout) -> None:
        """Make ``LOST_LINKS`` of those that no earlier difference lost; these links are not in the copy."""
        Stored.load_lost_links(self, layout)
        gone = "SELECT id FROM gone"
        self.session.duck.execute(f"DELETE FROM {LOST_LINKS} WHERE r1 IN ({gone}) OR r2 IN ({gone})")

    def _make(self, table: str, query: str) -> None:
        self.session.duck.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")


def _state(entity: EntityLayout) -> str:
    return f"state_{entity.index}"


def _rows(layout: AssociationLayout) -> str:
    """Return the query for all rows of an association: those with a link have ids, remembered ones a reason."""
    key1, key2 = (identifier(layout.duck_key(number)) for number in (1, 2))
    return (
        f"SELECT a.{key1} AS key1, b.{key2} AS key2, l.r1, l.r2, NULL::VARCHAR AS reason "
        f"FROM {layout.table('links')} l JOIN {_state(layout.side1)} a ON a.id = l.r1 "
        f"JOIN {_state(layout.side2)} b ON b.id = l.r2 "
        f"UNION ALL SELECT key1, key2, NULL, NULL, reason FROM {layout.table('kept')}"
    )
