"""What prepare and synchronize mean, in plain Python and without regard to speed.

The state of a connector is its resources and, per association, the *set of rows* (pairs of keys) that the sources
hold. Links, orphans and conflicts are never stored: they are worked out from scratch from all rows. So whatever the
order of batches, the model ends where a Complete would.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.oracle.shapes import Association, Shape, Type

Row = dict[str, str]
"""A line of a source file or of a clean file: column → text, empty = null."""
Pair = tuple[str, str]

COMMANDS = {
    "ADD": "insert",
    "INSERT": "insert",
    "UPDATE": "update",
    "MODIFY": "update",
    "DELETE": "delete",
    "REMOVE": "delete",
    "MERGE": "merge",
}


@dataclass
class CleanFile:
    """One file of a batch: its columns and its lines, in order."""

    columns: list[str]
    lines: list[list[str]]

    def rows(self) -> list[Row]:
        return [dict(zip(self.columns, line, strict=True)) for line in self.lines]


@dataclass
class Cleansed:
    """What cleansing a table for one entity type or association leaves, and how many rows it set aside."""

    file: CleanFile
    nullpk: int = 0
    duplicates: int = 0


# ------------------------------------------------------------------------------------------------------ prepare


def cleanse(shape: Shape, tables: dict[str, list[Row]]) -> dict[str, Cleansed]:
    """Cleanse full extracts: what a Complete or Initial batch holds."""
    clean = {}
    for entity in shape.types:
        lines = [[row[p.column] for p in entity.properties] for row in tables[entity.table]]
        at = entity.columns.index(entity.primary.identifier)
        clean[entity.identifier] = _cleanse(entity.columns, lines, [at])
    for association in shape.associations:
        lines = [[row[association.column1], row[association.column2]] for row in tables[association.table]]
        clean[association.identifier] = _cleanse(["key1", "key2"], lines, [0, 1])
    return clean


def _cleanse(columns: list[str], lines: list[list[str]], key: list[int]) -> Cleansed:
    kept: dict[tuple[str, ...], list[str]] = {}
    nullpk = duplicates = 0
    for line in lines:
        values = tuple(line[i] for i in key)
        if "" in values:
            nullpk += 1
        elif values in kept:
            duplicates += 1
        else:
            kept[values] = line
    return Cleansed(CleanFile(list(columns), [kept[k] for k in sorted(kept)]), nullpk, duplicates)


def difference(
    shape: Shape, former: dict[str, CleanFile], current: dict[str, CleanFile]
) -> dict[str, CleanFile]:
    """Compare full extracts: what an Incremental batch of Type None holds."""
    delta = {}
    for target, file in current.items():
        entity = next((t for t in shape.types if t.identifier == target), None)
        key = [file.columns.index(entity.primary.identifier)] if entity else [0, 1]
        old = {tuple(line[i] for i in key): line for line in former[target].lines}
        new = {tuple(line[i] for i in key): line for line in file.lines}
        lines = []
        for k in sorted(old.keys() | new.keys()):
            if k not in old:
                lines.append(["insert", *new[k]])
            elif k not in new:
                lines.append(["delete", *(v if i in key else "" for i, v in enumerate(old[k]))])
            elif old[k] != new[k]:
                lines.append(["update", *new[k]])
        delta[target] = CleanFile(["command", *file.columns], lines)
    return delta


def fold_changes(
    shape: Shape, changes: dict[str, list[tuple[str, Row]]], source_type: str
) -> dict[str, CleanFile]:
    """Fold lists of changes: what an Incremental batch of Type Changes or ActiveDirectory holds.

    :param changes: per table, (command as written, source row) in file order.
    """
    delta = {}
    for entity in shape.types:
        commands = [(_entity_command(c, source_type), row) for c, row in changes[entity.table]]
        delta[entity.identifier] = _fold_entity(entity, commands)
    for association in shape.associations:
        owner = shape.owner(association)
        if owner is None:
            pairs: dict[Pair, str] = {}
            for command, row in changes[association.table]:
                pair = (row[association.column1], row[association.column2])
                if all(pair):
                    pairs[pair] = "delete" if COMMANDS[command.upper()] == "delete" else "insert"
            lines = [[pairs[p], *p] for p in sorted(pairs)]
            delta[association.identifier] = CleanFile(["command", "key1", "key2"], lines)
        else:
            entity = shape.type(association.type1 if owner == 1 else association.type2)
            commands = [(_entity_command(c, source_type), row) for c, row in changes[entity.table]]
            delta[association.identifier] = _fold_owned(association, owner, entity, commands)
    return delta


def _entity_command(text: str, source_type: str) -> str:
    command = COMMANDS[text.upper()]
    return "merge" if command == "update" and source_type == "ActiveDirectory" else command


def _fold_entity(entity: Type, commands: list[tuple[str, Row]]) -> CleanFile:
    folded: dict[str, tuple[str, list[str]]] = {}
    at = entity.columns.index(entity.primary.identifier)
    for command, source in commands:
        row = [source[p.column] for p in entity.properties]
        key = row[at]
        if key == "":
            continue
        former, values = folded.get(key, ("", []))
        merged = [new or old for new, old in zip(row, values or row, strict=True)]
        if command == "delete":
            folded[key] = ("delete", [v if i == at else "" for i, v in enumerate(row)])
        elif former == "delete":
            folded[key] = ("update", row)
        elif command == "merge" and former in {"insert", "update", "merge"}:
            folded[key] = (former, merged)
        elif command == "insert" and former == "update":
            folded[key] = ("update", row)
        elif former in {"insert", "merge"} and command in {"insert", "update"}:
            folded[key] = ("insert", row)
        else:
            folded[key] = (command, row)
    lines = [[folded[k][0], *folded[k][1]] for k in sorted(folded)]
    return CleanFile(["command", *entity.columns], lines)


def _fold_owned(
    association: Association, owner: int, entity: Type, commands: list[tuple[str, Row]]
) -> CleanFile:
    folded: dict[str, tuple[str, str, str]] = {}
    own_column = association.column1 if owner == 1 else association.column2
    other_column = association.column2 if owner == 1 else association.column1
    known: dict[str, str] = {}
    complete: set[str] = set()
    for command, row in commands:
        primary = row[entity.primary.column]
        if primary == "":
            continue
        whole = command in {"insert", "update"}
        own = row[own_column] if whole else row[own_column] or known.get(primary, "")
        known[primary] = "" if command == "delete" else own
        if command != "merge":
            complete.add(primary)
        other = row[other_column]
        if command == "delete":
            folded[primary] = ("delete", own, "")
        elif whole or other:
            folded[primary] = (command, own, other)
    lines = []
    for primary in sorted(folded):
        command, own, other = folded[primary]
        if command != "delete":
            own = known[primary]  # the entity's key after all of its rows
            if own == "" and primary in complete:
                command, other = "delete", ""  # a whole row without the key: nothing to link, links to remove
        keys = [own, other] if owner == 1 else [other, own]
        lines.append([command, *keys, primary])
    return CleanFile(["command", "key1", "key2", "owner"], lines)


# -------------------------------------------------------------------------------------------------- synchronize


@dataclass
class EntityCounts:
    """``entity_types`` of the result."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    anomalies: int = 0


@dataclass
class AssociationCounts:
    """``associations`` of the result."""

    inserted: int = 0
    deleted: int = 0
    unchanged: int = 0
    orphans: int = 0
    conflicts: int = 0


@dataclass
class Links:
    """What an association's rows come to: links by primary keys, orphans with what is missing, losers."""

    links: set[Pair] = field(default_factory=set)
    orphans: dict[Pair, str] = field(default_factory=dict)
    conflicts: set[Pair] = field(default_factory=set)


@dataclass
class Outcome:
    """What applying a batch counted, and which resources (entity type, primary key) it touched."""

    entity_types: dict[str, EntityCounts]
    associations: dict[str, AssociationCounts]
    touched: set[tuple[str, str]]
    anomalies: dict[str, list[Row]]
    own: dict[str, dict[str, int]]
    """Per association, orphans and conflicts among the rows that the batch brought."""


class Model:
    """One connector's stored state."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.resources: dict[str, dict[str, Row]] = {t.identifier: {} for t in shape.types}
        self.rows: dict[str, set[Pair]] = {a.identifier: set() for a in shape.associations}

    # ---------------------------------------------------------------- reading

    def links(self, identifier: str) -> Links:
        """Work an association out from all its rows."""
        association = self.shape.association(identifier)
        keys1 = self._by_key(association.type1, association.key1)
        keys2 = self._by_key(association.type2, association.key2)
        result = Links()
        taken1: set[str] = set()
        taken2: set[str] = set()
        for pair in sorted(self.rows[identifier]):
            found1, found2 = keys1.get(pair[0], []), keys2.get(pair[1], [])
            if len(found1) == 1 and len(found2) == 1:
                one, two = found1[0], found2[0]
                if (not association.many1 and one in taken1) or (not association.many2 and two in taken2):
                    result.conflicts.add(pair)
                else:
                    taken1.add(one)
                    taken2.add(two)
                    result.links.add((one, two))
            elif len(found1) > 1 or len(found2) > 1:
                result.orphans[pair] = "ambiguous"
            else:
                result.orphans[pair] = "both" if not found1 and not found2 else "2" if found1 else "1"
        return result

    def _by_key(self, type_id: str, key: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for primary, row in self.resources[type_id].items():
            if row[key]:
                found.setdefault(row[key], []).append(primary)
        return found

    def all_links(self) -> dict[str, set[Pair]]:
        """Every association's links, by primary keys."""
        return {a.identifier: self.links(a.identifier).links for a in self.shape.associations}

    def to_files(self) -> dict[str, CleanFile]:
        """Write the state as the clean files of a Complete batch."""
        files = {}
        for entity in self.shape.types:
            stored = self.resources[entity.identifier]
            files[entity.identifier] = CleanFile(
                entity.columns, [[stored[k][c] for c in entity.columns] for k in sorted(stored)]
            )
        for association in self.shape.associations:
            pairs = sorted(self.rows[association.identifier])
            files[association.identifier] = CleanFile(["key1", "key2"], [list(p) for p in pairs])
        return files

    # --------------------------------------------------------------- applying

    def apply(self, mode: str, files: dict[str, CleanFile]) -> Outcome:
        """Apply a batch.

        :param mode: Initial, Complete or Incremental.
        :param files: its clean files by entity type or association.
        """
        resources_before = {t: {k: dict(r) for k, r in rows.items()} for t, rows in self.resources.items()}
        rows_before = {a: set(rows) for a, rows in self.rows.items()}
        links_before = self.all_links()
        anomalies: dict[str, list[Row]] = {t.identifier: [] for t in self.shape.types}
        for entity in self.shape.types:
            rows = files[entity.identifier].rows()
            if mode == "Incremental":
                anomalies[entity.identifier] = self._change_resources(entity, rows)
            else:
                self.resources[entity.identifier] = {r[entity.primary.identifier]: r for r in rows}
        for association in self.shape.associations:
            file = files[association.identifier]
            if mode != "Incremental":
                self.rows[association.identifier] = {(r["key1"], r["key2"]) for r in file.rows()}
            elif "owner" in file.columns:
                entity = association.type1 if self.shape.owner(association) == 1 else association.type2
                primary = self.shape.type(entity).primary.identifier
                merged = {r[primary] for r in files[entity].rows() if r["command"] == "merge"}
                self._change_owned(association, file.rows(), merged, resources_before)
            else:
                rows_now = self.rows[association.identifier]
                rows_now -= {(r["key1"], r["key2"]) for r in file.rows() if r["command"] == "delete"}
                rows_now |= {(r["key1"], r["key2"]) for r in file.rows() if r["command"] == "insert"}
        return self._outcome(resources_before, rows_before, links_before, anomalies)

    def _change_resources(self, entity: Type, rows: Sequence[Row]) -> list[Row]:
        stored = self.resources[entity.identifier]
        anomalies = []
        for row in rows:
            key = row[entity.primary.identifier]
            values = {c: row[c] for c in entity.columns}
            match row["command"]:
                case "insert":
                    stored[key] = values
                case "update" if key in stored:
                    stored[key] = values
                case "update":
                    anomalies.append(row)
                case "merge":
                    former = stored.get(key, dict.fromkeys(entity.columns, ""))
                    stored[key] = {c: values[c] or former[c] for c in entity.columns}
                case "delete":
                    stored.pop(key, None)
        return anomalies

    def _change_owned(
        self,
        association: Association,
        rows: Sequence[Row],
        merged: set[str],
        before: dict[str, dict[str, Row]],
    ) -> None:
        """Let each entity's row replace its links; a merge without a new link renames the entity in its old one."""
        owner = self.shape.owner(association)
        own_key = association.key1 if owner == 1 else association.key2
        type_id = association.type1 if owner == 1 else association.type2
        own, other = ("key1", "key2") if owner == 1 else ("key2", "key1")
        at = 0 if owner == 1 else 1

        def key_of(state: dict[str, dict[str, Row]], primary: str) -> str:
            return state[type_id].get(primary, {}).get(own_key, "")

        gone: set[str] = set()
        taken: set[str] = set()
        new: set[Pair] = set()
        for row in rows:
            known = row["owner"] in before[type_id] or row["owner"] in self.resources[type_id]
            if row["command"] != "delete" and not known:
                continue  # an anomaly is not applied, and neither is what its row says of links
            stored_key = key_of(before, row["owner"])
            current_key = row[own] or key_of(self.resources, row["owner"])
            gone.add(stored_key or current_key)
            if row["command"] != "delete":
                taken.add(current_key)
                if current_key and row[other]:
                    new.add((current_key, row[other]) if owner == 1 else (row[other], current_key))
        renamed: dict[str, set[str]] = {}
        for primary in merged - {row["owner"] for row in rows}:
            former, current = key_of(before, primary), key_of(self.resources, primary)
            if former and former != current:
                renamed.setdefault(former, set()).add(current)
        kept: set[Pair] = set()
        for pair in self.rows[association.identifier]:
            key = pair[at]
            if key in gone:
                continue
            if key in renamed:
                kept |= {(k, pair[1]) if owner == 1 else (pair[0], k) for k in renamed[key]}
            elif key not in taken:
                kept.add(pair)
        self.rows[association.identifier] = kept | new

    def _outcome(
        self,
        resources_before: dict[str, dict[str, Row]],
        rows_before: dict[str, set[Pair]],
        links_before: dict[str, set[Pair]],
        anomalies: dict[str, list[Row]],
    ) -> Outcome:
        touched: set[tuple[str, str]] = set()
        entity_types, associations, own = {}, {}, {}
        for t, before in resources_before.items():
            after = self.resources[t]
            updated = {k for k in before.keys() & after.keys() if before[k] != after[k]}
            inserted, deleted = after.keys() - before.keys(), before.keys() - after.keys()
            touched |= {(t, k) for k in updated | inserted}
            entity_types[t] = EntityCounts(
                len(inserted),
                len(updated),
                len(deleted),
                len(before.keys() & after.keys()) - len(updated),
                len(anomalies[t]),
            )
        for association in self.shape.associations:
            now, former = self.links(association.identifier), links_before[association.identifier]
            brought = self.rows[association.identifier] - rows_before[association.identifier]
            own[association.identifier] = {
                "orphans": len(brought & now.orphans.keys()),
                "conflicts": len(brought & now.conflicts),
            }
            for one, two in now.links ^ former:
                touched |= {(association.type1, one), (association.type2, two)}
            associations[association.identifier] = AssociationCounts(
                len(now.links - former),
                len(former - now.links),
                len(former & now.links),
                len(now.orphans),
                len(now.conflicts),
            )
        touched = {(t, k) for t, k in touched if k in self.resources[t]}
        return Outcome(entity_types, associations, touched, anomalies, own)


def command_counts(rows: Iterable[Row]) -> dict[str, int]:
    """Count rows per command, as a manifest does."""
    return dict(Counter(r["command"] for r in rows if "command" in r))
