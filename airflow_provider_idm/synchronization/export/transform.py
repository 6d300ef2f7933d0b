"""Transformations of a connection, applied to what was exported: row by row, all of a table's in one pass."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.names import suggestion, table_name
from airflow_provider_idm.configuration.transformations import parse_transformation
from airflow_provider_idm.errors import ExportError, SourceFileError
from airflow_provider_idm.synchronization.export.csv_copy import CsvFormat, CsvReader
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter
from airflow_provider_idm.synchronization.export.exporter import ExportedFile
from airflow_provider_idm.synchronization.export.transform_row import NotADateError, RowFunction, row_function

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_provider_idm.configuration.model import Connection, Transformation

logger = logging.getLogger(__name__)

_SHOWN: Final = 20
"""Places of bad dates that an error names; the rest are counted."""


def transform(
    connection: Connection, files: Sequence[ExportedFile], *, incremental: bool
) -> tuple[ExportedFile, ...]:
    """Apply a connection's transformations, in file order, to the files of an export.

    Each file is replaced by a new one of the same name; memory is bounded by the longest row.

    :param incremental: the export may lack tables without changes; else each transformation's table must be there.
    :raises ExportError: naming the transformation's place, if its table or a column is not there.
    :raises SourceFileError: naming file, lines and column, if what should be a date is none.
    """
    by_table = {file.path.name.removesuffix(".csv"): file for file in files}
    steps: dict[str, list[Transformation]] = {}
    for transformation in connection.transformations:
        table = table_name(transformation.table)
        if table in by_table:
            steps.setdefault(table, []).append(transformation)
        elif not incremental:
            raise ExportError(
                f"{transformation.location}: connection {connection.identifier} exported no table {table} to transform"
                f"{suggestion(table, by_table) or '; it exported ' + (', '.join(by_table) or 'none')}"
            )
    return tuple(
        _transform_file(file, steps[table]) if table in steps else file for table, file in by_table.items()
    )


def _transform_file(file: ExportedFile, transformations: Sequence[Transformation]) -> ExportedFile:
    path = file.path
    temporary = path.with_name(f".{path.name}.transformed")
    try:
        reader = CsvReader(path, CsvFormat())
        with temporary.open("w", encoding="utf-8", newline="") as target:
            writer = CsvWriter(target)
            rows = reader.rows()
            columns = next(rows)
            functions = [(t, _function(t, columns, path)) for t in transformations]
            writer.write(columns)
            count = 0
            problems = _Problems(path)
            for row in _transformed(rows, functions, len(columns), reader, problems):
                writer.write(row)
                count += 1
            problems.check()
        temporary.replace(path)
    except OSError as error:
        raise ExportError(f"{path.name} cannot be transformed: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    logger.info("%s: %d transformations kept %d of %d rows", path.name, len(functions), count, file.rows)
    return ExportedFile(path, count, tuple(columns))


def _function(transformation: Transformation, columns: list[str], path: Path) -> RowFunction:
    """Return what a transformation does to a row; a column that it adds is added to ``columns``."""
    try:
        return row_function(parse_transformation(transformation), columns)
    except (ValueError, KeyError) as error:
        message = error.args[0]
        if isinstance(error, KeyError):
            hint = suggestion(message, columns) or f"; it has {', '.join(columns)}"
            message = f"{path.name} has no column {message} to transform{hint}"
        raise ExportError(f"{transformation.location}: {message}") from None


def _transformed(
    rows: Iterator[list[str]],
    functions: Sequence[tuple[Transformation, RowFunction]],
    width: int,
    reader: CsvReader,
    problems: _Problems,
) -> Iterator[list[str]]:
    for values in rows:
        row: list[str] | None = values
        added = width - len(values)
        if added:
            values.extend([""] * added)
        for transformation, function in functions:
            try:
                row = function(row) if row is not None else None
            except NotADateError as error:
                problems.add(reader.line, error, transformation)
        if row is not None:
            yield row


class _Problems:
    """Values of a file that are no dates: where they stand, never what they are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._shown: list[str] = []

    def add(self, line: int, error: NotADateError, transformation: Transformation) -> None:
        self._count += 1
        if self._count <= _SHOWN:
            self._shown.append(
                f"{self._path.name}:{line}: column {error.column}: {error} ({transformation.location})"
            )
            logger.debug("%s:%d: %r", self._path.name, line, error.value)

    def check(self) -> None:
        if not self._count:
            return
        rest = f"\n… and {self._count - _SHOWN:,} more" if self._count > _SHOWN else ""
        listed = "\n".join(self._shown)
        raise SourceFileError(
            f"{self._count:,} values of {self._path.name} cannot be transformed:\n{listed}{rest}\nCorrect the source, "
            "or give the transformation another DatePattern, MinYear or MaxYear, or a WhereValue before it"
        )
