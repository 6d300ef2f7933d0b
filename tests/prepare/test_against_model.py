"""Random source files, written in every way that CSV allows, against the plain model."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.synchronization.prepare import delta, structure
from tests.builders import make_association, make_entity_type, make_mappings, make_property
from tests.prepare import model
from tests.prepare.desk import COMPLETE, INCREMENTAL, Desk

COLUMNS = ["k", "x", "ref", "v"]
PERSON = make_entity_type(
    "P",
    make_property("Key", "k", is_primary_key=True),
    make_property("V", "v"),
    make_property("X", "x", unique_key=0),
)
OTHER = make_entity_type("O", make_property("Code", "c", is_primary_key=True))
OWNED = make_association("Owned", (PERSON, "X"), (OTHER, "Code"), table="P", columns=("x", "ref"), owner=1)
OWNED_BACK = make_association(
    "Back", (OTHER, "Code"), (PERSON, "Key"), table="P", columns=("ref", "k"), owner=2
)
PAIRS = make_association("Pairs", (PERSON, "Key"), (OTHER, "Code"), columns=("a", "b"))
MAPPINGS = make_mappings(PERSON, OTHER, OWNED, OWNED_BACK, PAIRS)

keys = st.sampled_from(["", "", "a", "A", "b", "é", "z", "￿", "😀", "ab"])
texts = st.one_of(
    st.sampled_from(
        ["", "", "x", "y", '"', 'a"b', ' "q"', "#", "a,b", "a;b", "l\nm", "l\r\nm", "\r", " ", "NULL", "\t"]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
)
person_rows = st.lists(
    st.tuples(keys, st.sampled_from(["", "1", "2"]), st.sampled_from(["", "p", "q"]), texts), max_size=12
)
pair_rows = st.lists(
    st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["", "c", "d", "é"])), max_size=10
)


@dataclass(frozen=True)
class Style:
    """How a file is written: ``quote`` and ``blank`` are read cyclically, one for each field and line."""

    separator: str
    ends: list[str]
    bom: bool
    quote: list[bool]
    blank: list[int]
    last_end: bool

    def write(self, header: list[str], rows: list[list[str]]) -> tuple[bytes, list[int]]:
        """Return the file, and the line on which each row begins."""
        text, lines, fields, line = "", [], 0, 1
        for number, row in enumerate([header, *rows]):
            for _ in range(self.blank[number % len(self.blank)]):
                text += self.ends[line % len(self.ends)]
                line += 1
            lines.append(line)
            written = []
            for value in row:
                must = bool(set(value) & {self.separator, "\n", "\r"}) or value.startswith('"')
                must = must or (len(row) == 1 and not value)
                quoted = must or self.quote[fields % len(self.quote)]
                written.append('"' + value.replace('"', '""') + '"' if quoted else value)
                fields += 1
            record = self.separator.join(written)
            last = number == len(rows) and not self.last_end
            text += record + ("" if last else self.ends[line % len(self.ends)])
            line += record.count("\n") + 1
        return (b"\xef\xbb\xbf" if self.bom else b"") + text.encode(), lines[1:]


sizes = st.sampled_from([1, 3, 20, 1 << 20])
"""Bytes read at a time: pieces and blocks end anywhere."""
styles = st.builds(
    Style,
    separator=st.sampled_from(",;"),
    ends=st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]]),
    bom=st.booleans(),
    quote=st.lists(st.booleans(), min_size=1, max_size=3),
    blank=st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=5),
    last_end=st.booleans(),
)
commands = st.sampled_from(["ADD", "insert", "Update", "MODIFY", "delete", "REMOVE", "merge"])
CANONICAL = {
    "add": "insert",
    "insert": "insert",
    "update": "update",
    "modify": "update",
    "delete": "delete",
    "remove": "delete",
    "merge": "merge",
}


def expected_files(
    name: str,
    header: list[str],
    source: list[list[str]],
    lines: list[int],
    columns: list[str],
    picked: list[int],
    key: list[int],
) -> dict[str, bytes]:
    clean, nullpk, duplicates = model.cleanse([[row[i] for i in picked] for row in source], key)
    aside = {"nullpk": nullpk, "duplicates": duplicates}
    return {f"{name}.sorted.csv": model.csv_bytes(columns, clean)} | {
        f"{name}.{kind}.csv": model.csv_bytes(
            [*header, "line"], [[*source[n], str(lines[n])] for n in numbers]
        )
        for kind, numbers in aside.items()
    }


@given(persons=person_rows, pairs=pair_rows, style=styles, size=sizes)
def test_full_extracts(
    persons: list[tuple[str, ...]], pairs: list[tuple[str, ...]], style: Style, size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(structure, "PIECE", size):
        desk = Desk(Path(folder), MAPPINGS)
        source, links = [list(row) for row in persons], [list(row) for row in pairs]
        content, lines = style.write(COLUMNS, source)
        desk.write("P", content)
        content, link_lines = style.write(["a", "b"], links)
        desk.write("Pairs", content)
        content, code_lines = style.write(["c"], [["o"], [""], ["o"]])
        desk.write("O", content)
        desk.prepare(COMPLETE)
        found = {p.name: p.read_bytes() for p in desk.collect.iterdir()}
        expected = expected_files("P", COLUMNS, source, lines, ["Key", "V", "X"], [0, 3, 1], [0])
        expected |= expected_files("Owned", COLUMNS, source, lines, ["key1", "key2"], [1, 2], [0, 1])
        expected |= expected_files("Back", COLUMNS, source, lines, ["key1", "key2"], [2, 0], [0, 1])
        expected |= expected_files("Pairs", ["a", "b"], links, link_lines, ["key1", "key2"], [0, 1], [0, 1])
        expected |= expected_files("O", ["c"], [["o"], [""], ["o"]], code_lines, ["Code"], [0], [0])
        assert found == expected


@given(persons=st.lists(person_rows, min_size=2, max_size=4), style=styles, size=sizes)
def test_deltas_of_full_extracts(persons: list[list[tuple[str, ...]]], style: Style, size: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.multiple(delta, _BLOCK=size, _SHORTEST_RUN=2),
    ):
        desk = Desk(Path(folder), MAPPINGS)
        desk.write("Pairs", "a,b\n")
        desk.write("O", "c\n")
        former: dict[str, list[list[str]]] = {}
        for number, rows in enumerate(persons):
            desk.write("P", style.write(COLUMNS, [list(row) for row in rows])[0])
            desk.prepare(INCREMENTAL if number else COMPLETE)
            current = {
                "P": model.cleanse([[k, v, x] for k, x, _, v in rows], [0])[0],
                "Owned": model.cleanse([[x, ref] for _, x, ref, _ in rows], [0, 1])[0],
            }
            if number:
                entity = model.csv_bytes(
                    ["command", "Key", "V", "X"], model.delta(former["P"], current["P"], [0])
                )
                links = model.delta(former["Owned"], current["Owned"], [0, 1])
                assert (desk.collect / "P.sorted.delta").read_bytes() == entity
                assert (desk.collect / "Owned.sorted.delta").read_bytes() == model.csv_bytes(
                    ["command", "key1", "key2"], links
                )
            former = current


@given(
    persons=st.lists(
        st.tuples(commands, person_rows.map(lambda rows: rows[0] if rows else ("a", "1", "p", "v"))),
        max_size=14,
    ),
    pairs=st.lists(
        st.tuples(commands, st.sampled_from(["", "a", "b"]), st.sampled_from(["", "c"])), max_size=10
    ),
    style=styles,
    directory=st.booleans(),
)
def test_lists_of_changes(
    persons: list[tuple[str, tuple[str, ...]]],
    pairs: list[tuple[str, str, str]],
    style: Style,
    directory: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), MAPPINGS)
        for table, header in (("P", COLUMNS), ("Pairs", ["a", "b"]), ("O", ["c"])):
            desk.write(table, ",".join(header) + "\n")
        desk.prepare(COMPLETE)
        desk.write("O", "command,c\n")
        desk.write("P", style.write(["Command", *COLUMNS], [[c, *row] for c, row in persons])[0])
        desk.write("Pairs", style.write(["a", "b", "COMMAND"], [[a, b, c] for c, a, b in pairs])[0])
        type_ = SourceType.ACTIVE_DIRECTORY if directory else SourceType.CHANGES
        desk.prepare(INCREMENTAL, type=type_)
        known = [(CANONICAL[c.lower()], row) for c, row in persons]
        if directory:
            known = [("merge" if c == "update" else c, row) for c, row in known]
        entity = model.fold_entity([(c, [k, v, x]) for c, (k, x, _, v) in known], 0)
        owned = model.fold_owned([(c, k, x, ref) for c, (k, x, ref, _) in known])
        back = [
            [c, other, own, owner]
            for c, own, other, owner in model.fold_owned([(c, k, k, r) for c, (k, _, r, _) in known])
        ]
        links = model.fold_pairs([(CANONICAL[c.lower()], [a, b]) for c, a, b in pairs])
        pair = ["command", "key1", "key2"]
        expected = {
            "P": model.csv_bytes(["command", "Key", "V", "X"], entity),
            "Owned": model.csv_bytes([*pair, "owner"], owned),
            "Back": model.csv_bytes([*pair, "owner"], back),
            "Pairs": model.csv_bytes(pair, links),
        }
        assert {name: (desk.collect / f"{name}.sorted.delta").read_bytes() for name in expected} == expected
