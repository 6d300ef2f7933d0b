"""Which association rows an Incremental concerns, and what they are after it.

Links are a function of all association rows and all resources, so it is enough to look at the rows that a change can
reach, and to treat these exactly as a Complete treats all of them:

* rows that the batch inserts, deletes or replaces;
* rows, linked or remembered, with a key that some resource gains or loses;
* where a side holds one link at most, every row that shares this side's key with one of those.
"""

from __future__ import annotations

from airflow_provider_idm.engine import has_rows, identifier
from airflow_provider_idm.synchronization.synchronize.keys import after_keys_of_some, touched_keys
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout
from airflow_provider_idm.synchronization.synchronize.stored import Stored


class RowScope:
    """Collects the rows of one association that a batch concerns.

    :param commands: FROM item of the association's file, or None if the batch has none. Columns ``command``, ``key1``,
        ``key2`` and, if ``owned``, ``owner``.
    """

    def __init__(
        self, stored: Stored, layout: AssociationLayout, commands: str | None, *, owned: bool
    ) -> None:
        self._stored = stored
        self._duck = stored.session.duck
        self._layout = layout
        self._rows = layout.table("before")
        self._commands(commands, owned=owned)

    def collect(self) -> bool:
        """Make ``link_n``, ``remembered_n`` and ``rows_n`` (rows after the batch), and the keys ``after_n_1``/``_2``.

        :return: False if the batch does not concern the association at all.
        """
        duck, layout = self._duck, self._layout
        self._create(
            self._rows,
            "SELECT NULL::VARCHAR AS key1, NULL::VARCHAR AS key2, NULL::BIGINT AS r1, "
            "NULL::BIGINT AS r2, NULL::VARCHAR AS reason WHERE false",
        )
        for number in (1, 2):
            seeds = touched_keys(layout.side(number), layout.duck_key(number))
            if number == layout.mapped.owner:
                seeds += f" UNION SELECT k FROM {layout.table('replaced')}"
            self._create(self._wide(number), f"SELECT k FROM ({seeds}) WHERE k IS NOT NULL")
        concerned = any(
            has_rows(self._duck, t) for t in (self._wide(1), self._wide(2), layout.table("command"))
        )
        if not concerned:
            return False
        self._add_pairs()
        self._add_rows_of(1, self._wide(1))
        self._add_rows_of(2, self._wide(2))
        self._close_over_mono_sides()
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {layout.table('link')} AS "
            f"SELECT DISTINCT r1, r2 FROM {self._rows} WHERE r1 IS NOT NULL"
        )
        self._remembered()
        self._after()
        for number in (1, 2):
            self._keys(number)
        return True

    # ------------------------------------------------------------------------------------------------ commands

    def _commands(self, commands: str | None, *, owned: bool) -> None:
        """Make ``command_n`` (op, key1, key2), ``replaced_n`` (k) and ``renamed_n`` (k_from, k_to)."""
        layout = self._layout
        command, replaced, renamed = (layout.table(t) for t in ("command", "replaced", "renamed"))
        empty = "SELECT NULL::VARCHAR AS {0} WHERE false"
        self._create(replaced, empty.format("k"))
        self._create(renamed, "SELECT NULL::VARCHAR AS k_from, NULL::VARCHAR AS k_to WHERE false")
        if commands is None:
            self._create(
                command,
                "SELECT NULL::VARCHAR AS op, NULL::VARCHAR AS key1, NULL::VARCHAR AS key2 WHERE false",
            )
        elif not owned:
            self._create(
                command,
                f"SELECT CASE command WHEN 'delete' THEN 'delete' ELSE 'insert' END AS op, "
                f"key1, key2 FROM {commands}",
            )
        else:
            self._owned_commands(commands)

    def _owned_commands(self, commands: str) -> None:
        """Read the commands of entities whose row brings a link: each replaces all rows of that entity's key.

        The entity's key may have changed with the same row, or be missing in it: the stored one and the one that the
        difference gives it count too.
        """
        layout = self._layout
        number = layout.mapped.owner or 1
        side, key = layout.side(number), identifier(layout.duck_key(number))
        own, other = f"key{number}", f"key{3 - number}"
        self._create(
            "owned",
            f"""SELECT d.command, d.owner, d.{own} AS given, d.{other} AS other, s.{key} AS before,
                       CASE WHEN c.op = 'delete' THEN NULL WHEN c.op IS NULL THEN s.{key} ELSE c.{key} END AS after
                FROM {commands} d LEFT JOIN {side.stored} s ON s.pk = d.owner
                LEFT JOIN {side.change} c ON c.pk = d.owner
                WHERE d.command = 'delete' OR s.id IS NOT NULL OR c.id IS NOT NULL""",
        )
        # A merge that brings a new key but no new link leaves the entity its link, under the new key.
        self._create(
            layout.table("renamed"),
            f"""SELECT s.{key} AS k_from, c.{key} AS k_to FROM {side.change} c JOIN {side.stored} s ON s.id = c.id
                WHERE c.command = 'merge' AND c.{key} IS DISTINCT FROM s.{key} AND s.{key} IS NOT NULL
                AND c.pk NOT IN (SELECT owner FROM owned)""",
        )
        # A key that a merge takes away from an entity may be another's in the same batch: only the other's rows go.
        # One that goes may have been renamed before, to what is another's key: its rows are those of its stored key.
        self._create(
            layout.table("replaced"),
            f"""SELECT before AS k FROM owned UNION (
                    SELECT given FROM owned WHERE command <> 'delete' OR before IS NULL UNION SELECT after FROM owned
                    EXCEPT SELECT k_from FROM {layout.table("renamed")})""",
        )
        self._create(
            layout.table("command"),
            f"""SELECT 'insert' AS op, coalesce(given, after) AS {own}, other AS {other} FROM owned
                WHERE command <> 'delete' AND other IS NOT NULL AND coalesce(given, after) IS NOT NULL""",
        )
        self._duck.execute("DROP TABLE owned")

    # -------------------------------------------------------------------------------------------- rows before

    def _add_pairs(self) -> None:
        pairs = f"SELECT DISTINCT key1, key2 FROM {self._layout.table('command')}"
        if has_rows(self._duck, self._layout.table("command")):
            self._stored.load_rows_of_pairs(self._layout, pairs, "found")
            self._add_found()

    def _add_rows_of(self, number: int, keys: str) -> None:
        if has_rows(self._duck, keys):
            self._stored.load_rows_of_keys(self._layout, number, f"SELECT DISTINCT k FROM {keys}", "found")
            self._add_found()

    def _add_found(self) -> None:
        self._duck.execute(f"INSERT INTO {self._rows} SELECT * FROM found EXCEPT SELECT * FROM {self._rows}")

    def _close_over_mono_sides(self) -> None:
        """Add the rows that compete with those in scope, until there are no more."""
        sides = [number for number in (1, 2) if self._layout.mono(number)]
        for number in sides:
            self._create(self._seen(number), f"SELECT k FROM {self._wide(number)}")
        growing = bool(sides)
        while growing:
            growing = False
            for number in sides:
                fresh = (
                    f"SELECT key{number} AS k FROM {self._rows} UNION "
                    f"SELECT key{number} FROM {self._layout.table('command')} UNION "
                    f"SELECT k_to FROM {self._layout.table('renamed')} WHERE {self._layout.mapped.owner == number}"
                )
                self._create(
                    "fresh",
                    f"SELECT k FROM ({fresh}) WHERE k IS NOT NULL EXCEPT SELECT k FROM {self._seen(number)}",
                )
                if has_rows(self._duck, "fresh"):
                    self._duck.execute(f"INSERT INTO {self._seen(number)} SELECT k FROM fresh")
                    self._add_rows_of(number, "fresh")
                    growing = True

    def _remembered(self) -> None:
        self._create(
            self._layout.table("remembered"),
            f"SELECT DISTINCT key1, key2, reason FROM {self._rows} WHERE r1 IS NULL",
        )

    # --------------------------------------------------------------------------------------------- rows after

    def _after(self) -> None:
        """Make the rows after the batch: deletes first, then inserts."""
        layout = self._layout
        owner = layout.mapped.owner or 1
        own, other = f"key{owner}", f"key{3 - owner}"
        self._create(
            layout.table("rows"),
            f"""SELECT key1, key2 FROM (
                    SELECT coalesce(m.k_to, b.{own}) AS {own}, b.{other} AS {other} FROM {self._rows} b
                    LEFT JOIN {layout.table("renamed")} m ON m.k_from = b.{own}
                    WHERE NOT EXISTS (SELECT 1 FROM {layout.table("replaced")} p WHERE p.k = b.{own})
                    AND NOT EXISTS (SELECT 1 FROM {layout.table("command")} d
                                    WHERE d.op = 'delete' AND d.key1 = b.key1 AND d.key2 = b.key2))
                WHERE key1 IS NOT NULL AND key2 IS NOT NULL
                UNION SELECT key1, key2 FROM {layout.table("command")} WHERE op = 'insert'""",
        )

    def _keys(self, number: int) -> None:
        layout, side = self._layout, self._layout.side(number)
        wanted = f"SELECT DISTINCT key{number} AS k FROM {layout.table('rows')}"
        before = layout.table(f"before_{number}")
        self._stored.load_key_ids(layout, number, wanted, before)
        after_keys_of_some(
            self._duck,
            side,
            layout.duck_key(number),
            before=before,
            wanted=wanted,
            target=layout.table(f"after_{number}"),
        )

    # ----------------------------------------------------------------------------------------------- internals

    def _wide(self, number: int) -> str:
        return self._layout.table(f"wide_{number}")

    def _seen(self, number: int) -> str:
        return self._layout.table(f"seen_{number}")

    def _create(self, table: str, query: str) -> None:
        self._duck.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")
