"""Ways to break an export: its rows, its text, its bytes, the file itself."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.safeguards.case import Damage
from tests.safeguards.export import Rows, as_csv, export


def rows(table: str, change: Callable[[Rows], Rows]) -> Damage:
    """Change the rows of a table, the header among them."""

    def damage(folder: Path, separator: str) -> None:
        _path(folder, table).write_bytes(as_csv(change(export()[table]), separator))

    return damage


def data(table: str, change: Callable[[Rows], Rows]) -> Damage:
    """Change the rows of a table, the header left as it is."""
    return rows(table, lambda all_rows: [all_rows[0], *change(all_rows[1:])])


def column(table: str, name: str, change: Callable[[str], str]) -> Damage:
    """Change all values of a column."""
    return columns(table, {name: change})


def columns(table: str, changes: Mapping[str, Callable[[str], str]]) -> Damage:
    """Change all values of some columns."""

    def change(all_rows: Rows) -> Rows:
        header = all_rows[0]
        same = str
        return [
            header,
            *([changes.get(n, same)(v) for n, v in zip(header, row, strict=True)] for row in all_rows[1:]),
        ]

    return rows(table, change)


def values(table: str, change: Callable[[str], str]) -> Damage:
    """Change every value, the header left as it is."""
    return data(table, lambda all_rows: [[change(value) for value in row] for row in all_rows])


def header(table: str, change: Callable[[str], str]) -> Damage:
    """Change the names of the columns."""
    return rows(table, lambda all_rows: [[change(name) for name in all_rows[0]], *all_rows[1:]])


def exchanged(table: str, one: str, other: str) -> Damage:
    """Exchange two names in the header."""
    return header(table, lambda name: {one: other, other: one}.get(name, name))


def whole_column(table: str, name: str, change: Callable[[list[str]], list[str]]) -> Damage:
    """Change the values of a column, all at once."""

    def damaged(all_rows: Rows) -> Rows:
        place = all_rows[0].index(name)
        changed = change([row[place] for row in all_rows[1:]])
        pairs = zip(all_rows[1:], changed, strict=True)
        return [all_rows[0], *([*row[:place], value, *row[place + 1 :]] for row, value in pairs)]

    return rows(table, damaged)


def raw(table: str, change: Callable[[bytes], bytes]) -> Damage:
    """Change the bytes of a file."""
    return on_file(table, lambda path: path.write_bytes(change(path.read_bytes())))


def text(table: str, change: Callable[[str], str]) -> Damage:
    """Change the text of a file; a byte-order mark stays."""
    return text_by_separator(table, lambda content, _: change(content))


def text_by_separator(table: str, change: Callable[[str, str], str]) -> Damage:
    """Change the text of a file, given its separator too."""

    def damage(folder: Path, separator: str) -> None:
        path = _path(folder, table)
        content = path.read_bytes()
        mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        path.write_bytes(mark + change(content.removeprefix(mark).decode(), separator).encode())

    return damage


def lines(table: str, change: Callable[[list[str]], Iterable[str]]) -> Damage:
    """Change the lines of a file, each with its line end."""
    return text(table, lambda content: "".join(change(content.splitlines(keepends=True))))


def instead(table: str, content: bytes) -> Damage:
    """Put other bytes in a file's place."""
    return raw(table, lambda _: content)


def on_file(table: str, change: Callable[[Path], object]) -> Damage:
    """Do something with the file itself."""

    def damage(folder: Path, _: str) -> None:
        change(_path(folder, table))

    return damage


def replaced(table: str, make: Callable[[Path], object]) -> Damage:
    """Remove the file and make something else in its place."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return on_file(table, change)


def all_of(*damages: Damage) -> Damage:
    """Do several damages."""

    def damage(folder: Path, separator: str) -> None:
        for one in damages:
            one(folder, separator)

    return damage


def changes(**commands: tuple[str, Rows]) -> Damage:
    """Make lists of changes of the export: the same command for some rows of a table, none for the other tables.

    :param commands: (command, rows) by ``persons``, ``organizations`` and ``memberships``.
    """

    def damage(folder: Path, separator: str) -> None:
        for table, good in export().items():
            command, chosen = commands.get(table.partition("-")[2].lower(), ("", []))
            made = [["Command", *good[0]], *([command, *row] for row in chosen)]
            _path(folder, table).write_bytes(as_csv(made, separator))

    return damage


def _path(folder: Path, table: str) -> Path:
    return folder / f"{table}.csv"
