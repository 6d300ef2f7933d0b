"""Exports that only look broken: the clean files are those of the good export."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.safeguards.case import Damage
from tests.safeguards.damage import column, data, lines, rows, text, text_by_separator
from tests.safeguards.export import MEMBERSHIPS, PERSONS


def each_twice(all_rows: Iterable[list[str]]) -> list[list[str]]:
    """Return each row twice."""
    return [again for row in all_rows for again in (row, row)]


def by_column(names: list[str]) -> list[int]:
    """Return the places of columns in the order of their names."""
    return sorted(range(len(names)), key=names.__getitem__)


def quoted(content: str, separator: str) -> str:
    """Put quotes around the values of all lines that have none."""
    made = [
        line
        if '"' in line or separator not in line
        else separator.join(f'"{v}"' for v in line.split(separator))
        for line in content.replace("\r\n", "\n").split("\n")
    ]
    return "\n".join(made)


def every(n: int, change: Callable[[str], str]) -> Callable[[list[str]], Iterable[str]]:
    """Change every n-th line."""
    return lambda all_lines: (change(line) if at % n == 0 else line for at, line in enumerate(all_lines))


HARMLESS: dict[str, Damage] = {
    "each row twice": data(PERSONS, each_twice),
    "all rows twice": data(PERSONS, lambda r: [*r, *r]),
    "each membership twice": data(MEMBERSHIPS, each_twice),
    "rows in another order": data(PERSONS, lambda r: r[::-1]),
    "columns in another order": rows(PERSONS, lambda r: [[row[n] for n in by_column(r[0])] for row in r]),
    "one more column": rows(PERSONS, lambda r: [[*row, "x"] for row in r]),
    "a separator at the end of every line": rows(PERSONS, lambda r: [[*row, ""] for row in r]),
    "mixed line ends": lines(PERSONS, every(7, lambda line: line.rstrip("\r\n") + "\r\n")),
    "blank lines": lines(PERSONS, every(5, lambda line: f"{line}\n" if line[0].isdigit() else line)),
    "no line end at the end": text(PERSONS, str.rstrip),
    "quotes around all values": text_by_separator(PERSONS, quoted),
    "dates without dashes": column(PERSONS, "StartDate", lambda v: v.replace("-", "")),
    "booleans as numbers": column(PERSONS, "External", {"yes": "1", "no": "0"}.__getitem__),
    "numbers with more digits": column(PERSONS, "Fte", lambda v: f"{float(v):.3f}"),
    "identifiers in braces": column(PERSONS, "Badge", lambda v: f"{{{v.upper()}}}"),
}
