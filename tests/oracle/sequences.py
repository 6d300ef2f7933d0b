"""Random sources and what happens to them, step by step, for any shape.

Small alphabets make keys collide: the same key twice, empty keys, references to what does not exist (yet), two
resources with one unique key, several targets for a mono-valued side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.oracle.model import Pair, Row
    from tests.oracle.shapes import Association, Shape, Type

PRIMARY = ("1", "10", "A", "a", "ﬁ", "😀")
UNIQUE = ("x", "X", "é", 'q"u,o', "cn=a;ou=b")
FREE = ("", "Ada", "Noël", "two\nlines")
WRITTEN = {
    "insert": ("ADD", "insert"),
    "update": ("Update", "MODIFY"),
    "delete": ("delete", "Remove"),
    "merge": ("MERGE", "merge"),
}


@dataclass(frozen=True)
class Edit:
    """One thing that happens to a source table.

    ``put`` writes a whole row by its key, ``drop`` removes it, ``extra`` adds a line that is a duplicate or has no
    key; on a table of links ``link`` and ``unlink``.
    """

    kind: str
    table: str
    row: tuple[tuple[str, str], ...]
    merge: bool = False

    @property
    def values(self) -> Row:
        return dict(self.row)


@dataclass(frozen=True)
class Step:
    """One batch.

    :param kind: Initial, Complete, None, Changes or ActiveDirectory (the last three are Incremental).
    :param raw: for the last two: commands that need not fit what is stored, instead of edits; per table, (command,
        row).
    :param keep: whether the change rows are kept and the Dirty flag set from them.
    """

    kind: str
    edits: tuple[Edit, ...]
    raw: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] | None = None
    keep: bool = False


# ------------------------------------------------------------------------------------------------------- tables


def table_columns(shape: Shape) -> dict[str, list[str]]:
    """Name the source tables and their columns."""
    tables: dict[str, list[str]] = {}
    for entity in shape.types:
        tables[entity.table] = [p.column for p in entity.properties]
    for association in shape.associations:
        columns = tables.setdefault(association.table, [])
        columns.extend(c for c in (association.column1, association.column2) if c not in columns)
    return tables


def entity_of(shape: Shape, table: str) -> Type | None:
    """Return the entity type that a table fills, if any."""
    return next((t for t in shape.types if t.table == table), None)


def _alphabet(shape: Shape, type_id: str, key: str) -> tuple[str, ...]:
    p = shape.type(type_id).property(key)
    return PRIMARY if p.primary else UNIQUE if p.unique else FREE


def column_values(shape: Shape, table: str) -> dict[str, tuple[str, ...]]:
    """Say which values the columns of a table are drawn from."""
    values: dict[str, tuple[str, ...]] = {}
    entity = entity_of(shape, table)
    if entity:
        for p in entity.properties:
            values[p.column] = _alphabet(shape, entity.identifier, p.identifier)
    for a in shape.associations:
        if a.table == table:
            values.setdefault(a.column1, _alphabet(shape, a.type1, a.key1))
            values.setdefault(a.column2, _alphabet(shape, a.type2, a.key2))
    return values


def _rows(
    shape: Shape, table: str, *, null_key: bool = False
) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    entity = entity_of(shape, table)
    columns = []
    for column, values in column_values(shape, table).items():
        required = entity is not None and column == entity.primary.column and not null_key
        choices = values if required or "" in values else ("", *values) if entity or null_key else values
        columns.append(st.tuples(st.just(column), st.sampled_from(choices)))
    return st.tuples(*columns)


# ---------------------------------------------------------------------------------------------------- strategies


def puts(shape: Shape) -> st.SearchStrategy[Edit]:
    """Draw a resource that comes, or changes."""
    tables = [entity.table for entity in shape.types]
    return st.one_of(*(st.builds(Edit, st.just("put"), st.just(t), _rows(shape, t)) for t in tables))


def edits(shape: Shape) -> st.SearchStrategy[Edit]:
    """Draw one thing that happens to a source."""
    choices: list[st.SearchStrategy[Edit]] = []
    for table in table_columns(shape):
        t, rows = st.just(table), _rows(shape, table)
        if entity_of(shape, table):
            put = st.builds(Edit, st.just("put"), t, rows, st.booleans())
            choices += [put, put, put, st.builds(Edit, st.just("drop"), t, rows)]
            choices.append(st.builds(Edit, st.just("extra"), t, _rows(shape, table, null_key=True)))
        else:
            link = st.builds(Edit, st.just("link"), t, rows)
            choices += [link, link, st.builds(Edit, st.just("unlink"), t, rows)]
            choices.append(st.builds(Edit, st.just("extra"), t, _rows(shape, table, null_key=True)))
    return st.one_of(choices)


def raw_commands(shape: Shape) -> st.SearchStrategy[tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]]:
    """Draw commands that need not fit what is stored: table, command as written, row."""
    words = [w for written in WRITTEN.values() for w in written]
    one = [
        st.tuples(st.just(t), st.sampled_from(words), _rows(shape, t, null_key=entity_of(shape, t) is None))
        for t in table_columns(shape)
    ]
    return st.lists(st.one_of(one), min_size=1, max_size=8).map(tuple)


def steps(shape: Shape) -> st.SearchStrategy[list[Step]]:
    """Draw a sequence of batches."""
    some = st.lists(edits(shape), min_size=0, max_size=8).map(tuple)
    many = st.lists(edits(shape), min_size=4, max_size=20).map(tuple)
    first = st.builds(Step, st.sampled_from(["Initial", "Complete"]), many)
    full = st.builds(Step, st.sampled_from(["Complete", "None", "None"]), some, keep=st.booleans())
    types = st.sampled_from(["Changes", "ActiveDirectory"])
    faithful = st.builds(Step, types, some, keep=st.booleans())
    raw = st.builds(Step, types, st.just(()), raw_commands(shape), keep=st.booleans())
    rest = st.lists(st.one_of(full, faithful, raw), min_size=1, max_size=5)
    return st.tuples(first, rest).map(lambda drawn: [drawn[0], *drawn[1]])


# -------------------------------------------------------------------------------------------------------- world


@dataclass
class World:
    """A managed system: its tables as a full extract would show them.

    ``exact`` says whether the commands sent since the last full extract tell all that happened: then a Complete
    changes nothing. Some things cannot be told by commands (see ``changes``).
    """

    shape: Shape
    tables: dict[str, list[Row]] = field(default_factory=dict)
    exact: bool = True

    def __post_init__(self) -> None:
        self.tables = {t: [] for t in table_columns(self.shape)}

    def key(self, table: str) -> str | None:
        entity = entity_of(self.shape, table)
        return entity.primary.column if entity else None

    def edit(self, edit: Edit) -> None:
        """Let something happen, as the next full extract shows it."""
        rows, row, key = self.tables[edit.table], edit.values, self.key(edit.table)
        if edit.kind == "put":
            at = next((i for i, r in enumerate(rows) if r[key or ""] == row[key or ""]), len(rows))
            rows[at : at + 1] = [row]
        elif edit.kind == "drop":
            rows[:] = [r for r in rows if r[key or ""] != row[key or ""]]
        elif edit.kind == "unlink":
            rows[:] = [r for r in rows if r != row]
        elif edit.kind == "extra" or row not in rows:
            rows.append(row)

    def changes(self, edits: tuple[Edit, ...], source_type: str) -> dict[str, list[tuple[str, Row]]]:
        """Let things happen and tell them as changes, per table (command as written, row) in order."""
        told: dict[str, list[tuple[str, Row]]] = {t: [] for t in self.tables}
        before = {t: {r[k] for r in rows} for t, rows in self.tables.items() if (k := self.key(t))}
        for n, edit in enumerate(edits):
            self._check_owners()
            if edit.kind == "extra":
                continue
            rows, key = self.tables[edit.table], self.key(edit.table)
            if key is None:
                self.edit(edit)
                command = "insert" if edit.kind == "link" else "delete"
                told[edit.table].append((WRITTEN[command][n % 2], edit.values))
                continue
            row = edit.values
            former = next((r for r in rows if r[key] == row[key]), None)
            known = row[key] in before[edit.table]
            recreated = former is None and any(r[key] == row[key] for _, r in told[edit.table])
            if edit.kind == "drop":
                if former is not None:
                    self.edit(edit)
                    told[edit.table].append((WRITTEN["delete"][n % 2], self._only_key(row, key)))
                continue
            if recreated and not known:
                continue  # made, deleted and made again: folds to an update of what nobody knows
            for command, values in self._put(former, row, key, source_type, merge=edit.merge, known=known):
                told[edit.table].append((WRITTEN[command][n % 2], values))
                rows[:] = [r for r in rows if r[key] != row[key]] + [row]
        self._check_owners()
        return told

    def _put(
        self, former: Row | None, row: Row, key: str, source_type: str, *, merge: bool, known: bool
    ) -> list[tuple[str, Row]]:
        if former is None:
            return [("insert", row)]
        if source_type == "Changes" and not merge:
            return [("update", row)]
        if any(former[c] and not row[c] for c in row):  # a merge cannot empty a value
            if source_type == "Changes":
                return [("update", row)]
            return [("delete", self._only_key(row, key)), ("insert", row)] if known else []
        changed = {c: v if c == key or v != former[c] else "" for c, v in row.items()}
        return [("merge" if source_type == "Changes" else "update", changed)]

    @staticmethod
    def _only_key(row: Row, key: str) -> Row:
        return {c: v if c == key else "" for c, v in row.items()}

    def _check_owners(self) -> None:
        """Note what commands cannot tell: several rows of one entity, or of one key by which links are owned."""
        for entity in self.shape.types:
            for a in self.shape.owned(entity):
                own = a.column1 if self.shape.owner(a) == 1 else a.column2
                keys = [r[own] for r in self.tables[entity.table] if r[own]]
                primary = [r[entity.primary.column] for r in self.tables[entity.table]]
                if len(set(keys)) < len(keys) or len(set(primary)) < len(primary) or "" in primary:
                    self.exact = False


def raw_changes(step: Step, shape: Shape) -> dict[str, list[tuple[str, Row]]]:
    """Arrange raw commands by table; a delete says the key alone."""
    told: dict[str, list[tuple[str, Row]]] = {t: [] for t in table_columns(shape)}
    for table, command, items in step.raw or ():
        row = dict(items)
        entity = entity_of(shape, table)
        if entity and command.upper() in {"DELETE", "REMOVE"}:
            row = {c: v if c == entity.primary.column else "" for c, v in row.items()}
        told[table].append((command, row))
    return told


def pairs_of(association: Association, rows: list[Row]) -> list[Pair]:
    """Read an association's pairs off a table."""
    return [(r[association.column1], r[association.column2]) for r in rows]
