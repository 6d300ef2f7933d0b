"""A source file in DuckDB: its mapped columns as canonical values, one row per record, in file order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.engine import literal, scalar
from airflow_provider_idm.errors import SourceFileError
from airflow_provider_idm.synchronization.prepare.header import Header, read_header
from airflow_provider_idm.synchronization.prepare.side import line_size
from airflow_provider_idm.synchronization.prepare.source import SourceFile, is_utf8, rewrite, transcode
from airflow_provider_idm.synchronization.prepare.structure import Structure, fail, scan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from airflow_provider_idm.synchronization.prepare.targets import Target, TargetColumn

_COMMANDS: Final = {
    "insert": ("ADD", "INSERT"),
    "update": ("UPDATE", "MODIFY"),
    "delete": ("DELETE", "REMOVE"),
    "merge": ("MERGE",),
}

_FEW: Final = 8
"""Source columns that are kept as they stand, however few are mapped."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How source files are read.

    :param encoding: None for UTF-8; ``separator``: None to tell it by the header.
    :param command: the command column's name, or None where there is none or it is ignored.
    """

    encoding: str | None
    separator: str | None
    command: str | None


@dataclass(slots=True)
class LoadedTable:
    """A source file that has been read.

    :param relation: the table in DuckDB; its ``rowid`` is the record's number, from 0 in file order.
    :param values: the name of the canonical column for a source column and a likeness.
    :param reader: SQL that reads all source columns as ``c0``, ``c1`` …, in file order.
    :param verbatim: if ``relation`` holds every source column as it stands: its canonical column by ``c<n>``.
    """

    source: SourceFile
    header: Header
    structure: Structure
    relation: str
    reader: str
    targets: Sequence[Target]
    nul: bool
    values: dict[tuple[str, tuple[object, ...]], str] = field(default_factory=dict)
    command: str | None = None
    verbatim: dict[str, str] = field(default_factory=dict)

    def value(self, column: TargetColumn) -> str:
        """Return the column of ``relation`` that holds a target's column."""
        return self.values[column.source, column.likeness]

    def text(self, name: str) -> str:
        """Return the column of ``reader`` that holds a source column."""
        return f"c{self.header.names.index(name)}"

    def invalid(self, target: Target) -> str:
        """Return the column of ``relation`` that is true if a value of a target did not convert."""
        return f"invalid{self.targets.index(target)}"


def load(
    connection: duckdb.DuckDBPyConnection,
    source: SourceFile,
    targets: Sequence[Target],
    reading: Reading,
    folder: Path,
) -> LoadedTable:
    """Read one source file for all targets that need it.

    :param folder: an empty one, to keep a copy if the file must be transcoded or rewritten to be read.
    :raises SourceFileError: naming file and line, for whatever is wrong with its structure.
    """
    path = source.path
    if source.table is not None:
        reading = Reading(None, ",", reading.command)
    if not is_utf8(reading.encoding):
        path = folder / "transcoded.csv"
        transcode(source.path, reading.encoding or "", path)
    wanted = list(dict.fromkeys(c.source for t in targets for c in t.read_columns))
    header = read_header(path, source.name, wanted, reading.separator)
    if source.table is not None:
        header = replace(header, layout=replace(header.layout, header=b""))
    command = None if reading.command is None else _find_command(header, reading.command, source)
    table = LoadedTable(
        source,
        header,
        Structure(0),
        "source_values",
        _reader(path, header, longest=0, rewritten=False),
        targets,
        nul=False,
    )
    table.command = command
    table.verbatim = _verbatim(table)
    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(scan, path, header.layout)
        failure = _try_create(connection, table)
        structure = table.structure = scanning.result()
    if source.table is not None:
        structure.count_rows()
    fits = structure.plain and not structure.nul
    if failure is None and fits and _rows(connection, table) == structure.records:
        return table
    table.verbatim = {}
    if not structure.plain:
        rewritten = folder / "rewritten.csv"
        rewrite(path, header, rewritten)
        table.reader = _reader(rewritten, header, longest=structure.longest, rewritten=True)
    else:
        table.reader = _reader(path, header, longest=structure.longest, rewritten=False)
    table.nul = structure.nul
    failure = _try_create(connection, table)
    if failure is not None:
        raise failure
    if (rows := _rows(connection, table)) != structure.records:
        raise SourceFileError(
            f"{source.name} has {structure.records} records, but {rows} were read; is it still being written?"
        )
    return table


def _find_command(header: Header, name: str, source: SourceFile) -> str:
    found = [n for n in header.names if n.casefold() == name.casefold()]
    if len(found) != 1:
        what = "is missing" if not found else f"stands there more than once ({', '.join(found)})"
        line = header.layout.line - 1 if source.table is None else None
        listed = ", ".join(header.names)
        fail(source.name, line, f"the command column {name!r} {what}; the header has: {listed}")
    return found[0]


def _reader(path: Path, header: Header, *, longest: int, rewritten: bool) -> str:
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(header.names)))
    # DuckDB tells line ends by the first line, which may hold others inside quotes; CR LF it must find out itself
    ends = "" if header.layout.crlf and not rewritten else r"new_line='\n', "
    return (
        f"read_csv({literal(str(path))}, delim={literal(header.separator)}, quote='\"', escape='\"', "
        f"header={'false' if rewritten else 'true'}, auto_detect=false, strict_mode=true, nullstr='', "
        f"{ends}"
        f"columns={{{columns}}}{line_size(longest)})"
    )


def _try_create(connection: duckdb.DuckDBPyConnection, table: LoadedTable) -> SourceFileError | None:
    import duckdb  # noqa: PLC0415 - heavy

    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {table.relation} AS {_select(table)}").fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        reason = str(error).strip().splitlines()[0]
        return SourceFileError(f"{table.source.name} cannot be read as CSV: {reason}")
    return None


def _select(table: LoadedTable) -> str:
    """Return the statement that reads canonical values, commands, and what did not convert."""
    inner: dict[str, str] = {}
    outer: list[str] = []
    for target in table.targets:
        for column in target.read_columns:
            key = (column.source, column.likeness)
            name = table.values.setdefault(key, f"v{len(table.values)}")
            if name not in inner:
                text = table.text(column.source)
                inner[text] = text
                inner[name] = column.conversion.expression(text, nul=table.nul)
                outer.append(f"nullif({name}, '') AS {name}" if column.conversion.steps else name)
    for text in table.verbatim:
        if table.verbatim[text] == text:
            inner[text] = text
            outer.append(text)
    if table.command is not None:
        text = table.text(table.command)
        branches = " ".join(
            f"WHEN upper({text}) IN ({', '.join(map(literal, words))}) THEN '{command}'"
            for command, words in _COMMANDS.items()
        )
        inner["command"] = f"CASE {branches} END"
        outer.append("command")
    outer += [f"{_invalid(table, target)} AS {table.invalid(target)}" for target in table.targets]
    fields = ", ".join(f"{expression} AS {name}" for name, expression in inner.items())
    return f"SELECT {', '.join(outer)} FROM (SELECT {fields} FROM {table.reader})"


def _invalid(table: LoadedTable, target: Target) -> str:
    """Return the condition that a value of a row did not convert; of a delete only the keys matter."""
    keys: list[str] = []
    others: list[str] = []
    for column in target.read_columns:
        failed = f"({table.text(column.source)} IS NOT NULL AND {table.value(column)} IS NULL)"
        (keys if column.is_key else others).append(failed)
    condition = " OR ".join(keys)
    if others and table.command is not None:
        return f"({condition} OR (command IS DISTINCT FROM 'delete' AND ({' OR '.join(others)})))"
    return f"({' OR '.join([*keys, *others])})"


def _verbatim(table: LoadedTable) -> dict[str, str]:
    """Return where each source column is kept as it stands, so that none has to be read again to be shown.

    Those that are not mapped, or are converted, are kept beside the canonical values, unless they are many.
    """
    read = [c for t in table.targets for c in t.read_columns]
    unchanged = {
        table.text(c.source): table.values.setdefault((c.source, c.likeness), f"v{len(table.values)}")
        for c in read
        if not c.conversion.steps
    }
    more = len(table.header.names) - len(unchanged)
    if more > max(_FEW, len(read)):
        return {}
    return {f"c{n}": unchanged.get(f"c{n}", f"c{n}") for n in range(len(table.header.names))}


def _rows(connection: duckdb.DuckDBPyConnection, table: LoadedTable) -> int:
    return int(scalar(connection, f"SELECT count(*) FROM {table.relation}"))
