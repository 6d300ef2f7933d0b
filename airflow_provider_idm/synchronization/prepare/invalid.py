"""Values that do not convert, and commands that mean nothing: reported with file, line, column, value, expectation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.engine import literal, scalar
from airflow_provider_idm.errors import SourceFileError
from airflow_provider_idm.synchronization.prepare.side import append, source_rows, write_header

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.load import LoadedTable
    from airflow_provider_idm.synchronization.prepare.targets import Target

NAMED: Final = 20
"""Problems that a message names; the others are counted."""
_LONGEST: Final = 100
"""Characters of a value that a message shows."""


class InvalidValuesError(SourceFileError):
    """Values of source files do not fit the properties that they are mapped to.

    :param count: how many.
    :param files: where all of them are listed: ``<name>.invalid.csv``.
    """

    def __init__(self, message: str, *, count: int, files: tuple[Path, ...]) -> None:
        super().__init__(message)
        self.count = count
        self.files = files


@dataclass(slots=True)
class InvalidValues:
    """What was found in all source files.

    :param counts: invalid values per target.
    :param named: the first ones, ready to be shown.
    :param in_keys: whether one of them is (part of) a primary key, which can never be emptied.
    """

    counts: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    in_keys: bool = False

    @property
    def total(self) -> int:
        """All invalid values."""
        return sum(self.counts.values())

    def error(self, folder: Path) -> InvalidValuesError:
        """Return the error that says so.

        :param folder: where the lists of all of them are.
        """
        files = tuple(folder / f"{target}.invalid.csv" for target, count in self.counts.items() if count)
        more = f"\n… and {self.total - len(self.named)} more" if self.total > len(self.named) else ""
        listed = ", ".join(map(str, files))
        return InvalidValuesError(
            f"{self.total} value{'s do' if self.total > 1 else ' does'} not convert:\n"
            + "\n".join(self.named)
            + f"{more}\nAll of them are listed in {listed}. Nothing was published; correct the source or its mapping.",
            count=self.total,
            files=files,
        )


def find_invalid(
    connection: duckdb.DuckDBPyConnection,
    table: LoadedTable,
    target: Target,
    folder: Path,
    into: InvalidValues,
) -> None:
    """Write ``<name>.invalid.csv`` if a target has invalid values, and add them to those found so far."""
    wanted = f"SELECT rowid FROM {table.relation} WHERE {table.invalid(target)}"
    if scalar(connection, f"{wanted} LIMIT 1") is None:
        return
    table.verbatim = {}  # the values that did not convert stand in the source alone
    rows = f"{table.relation}_invalid"
    texts = ", ".join(f"c{n}" for n in range(len(table.header.names)))
    commands = (
        "" if table.command is None else f"JOIN (SELECT rowid AS r, command FROM {table.relation}) USING (r)"
    )
    parts = [
        f"SELECT r, {place} AS place, {column.is_key} AS is_key, {texts}, {literal(column.source)} AS source_column, "
        f"{text} AS value, {literal(column.conversion.expected)} AS expected, line FROM source_rows {commands} "
        f"WHERE {text} IS NOT NULL AND ({column.conversion.expression(text, nul=table.nul)}) IS NULL"
        + ("" if table.command is None or column.is_key else " AND command IS DISTINCT FROM 'delete'")
        for place, column in enumerate(target.read_columns)
        for text in (table.text(column.source),)
    ]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {rows} AS WITH source_rows AS MATERIALIZED "
        f"({source_rows(connection, table, wanted)}) {' UNION ALL '.join(parts)}"
    ).fetchall()
    names = [*table.header.names, "column", "value", "expected", "line"]
    query = f"SELECT {texts}, source_column, value, expected, line FROM {rows} ORDER BY r, place"
    path = folder / f"{target.identifier}.invalid.csv"
    write_header(path, names)
    into.counts[target.identifier] = append(connection, query, path)
    into.in_keys |= bool(scalar(connection, f"SELECT bool_or(is_key) FROM {rows}"))
    first = connection.execute(
        f"SELECT line, source_column, value, expected FROM {rows} ORDER BY r, place LIMIT {NAMED - len(into.named)}"
    ).fetchall()
    into.named += [
        f"{table.source.place(line)}, column {column}: {_shown(value)}; expected {expected}"
        for line, column, value, expected in first
    ]


def check_commands(connection: duckdb.DuckDBPyConnection, table: LoadedTable) -> None:
    """Refuse commands that are not understood.

    :raises SourceFileError: naming the first ones with their lines.
    """
    if table.command is None:
        return
    wanted = f"SELECT rowid FROM {table.relation} WHERE command IS NULL"
    total = int(scalar(connection, f"SELECT count(*) FROM ({wanted})"))
    if not total:
        return
    text = table.text(table.command)
    first = connection.execute(
        f"SELECT line, {text} FROM ({source_rows(connection, table, wanted)}) ORDER BY r LIMIT {NAMED}"
    ).fetchall()
    named = [f"{table.source.place(line)}, column {table.command}: {_shown(value)}" for line, value in first]
    more = f"\n… and {total - len(named)} more" if total > len(named) else ""
    raise SourceFileError(
        "\n".join(named)
        + f"{more}\nexpected a command: ADD, INSERT, UPDATE, MODIFY, DELETE, REMOVE or MERGE. "
        "Nothing was published."
    )


def _shown(value: str | None) -> str:
    if value is None:
        return "nothing"
    shown = repr(value[:_LONGEST])
    return f"{shown}…" if len(value) > _LONGEST else shown
