"""The rows of a result as a source file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter
from airflow_provider_idm.synchronization.export.exporter import ExportedFile
from airflow_provider_idm.synchronization.export.sql.values import UnsupportedValueError, as_row, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from airflow_provider_idm.synchronization.export.sql.stream import Result


def write_result(
    result: Result,
    target: Path,
    *,
    what: str,
    first: tuple[str, str] | None = None,
    look: Callable[[Sequence[Sequence[Any]]], None] | None = None,
    encoding: str = "utf-8",
) -> ExportedFile:
    """Write a result as CSV.

    :param what: what is read, for messages.
    :param first: name and value of a column to put before the others.
    :param look: is shown the rows, part by part.
    :param encoding: of the file.
    :raises ExportError: if columns lack a name or share one, or a value has no notation, or none in the encoding.
    """
    check_columns(result.columns, what)
    columns = result.columns if first is None else (first[0], *result.columns)
    lead = [] if first is None else [first[1]]
    try:
        with target.open("w", encoding=encoding, newline="") as file:
            writer = CsvWriter(file)
            writer.write(columns)
            count = _write_rows(writer, result, lead, look, what)
    except UnicodeEncodeError as error:
        raise ExportError(
            f"{what}: the result holds characters that {encoding} has not ({error.reason}); choose UTF-8"
        ) from None
    return ExportedFile(target, count, columns)


def _write_rows(
    writer: CsvWriter,
    result: Result,
    lead: list[str],
    look: Callable[[Sequence[Sequence[Any]]], None] | None,
    what: str,
) -> int:
    count = 0
    for rows in result.parts:
        if look is not None:
            look(rows)
        for row in rows:
            try:
                writer.write(lead + as_row(row))
            except UnsupportedValueError as error:
                raise _unsupported(error, row, result.columns, what) from None
        count += len(rows)
    return count


def check_columns(columns: Sequence[str], what: str) -> None:
    """Check that columns can be a header.

    :raises ExportError: if one has no name, or two have the same.
    """
    for number, name in enumerate(columns, 1):
        if not name.strip():
            raise ExportError(f"{what}: column {number} of the result has no name; give it one with AS")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ExportError(
            f"{what}: the result has the column {' and the column '.join(twice)} more than once; give each a name "
            "of its own with AS"
        )


def _unsupported(
    error: UnsupportedValueError, row: Sequence[Any], columns: Sequence[str], what: str
) -> ExportError:
    def is_unsupported(value: object) -> bool:
        try:
            as_text(value)
        except UnsupportedValueError:
            return True
        return False

    name = next((column for column, value in zip(columns, row, strict=True) if is_unsupported(value)), "?")
    return ExportError(
        f"{what}: column {name} holds a value of type {error.kind}, which is no single value; turn it into text in the "
        "query, with CAST, or array_to_string(…, chr(10)) for MultivaluedText"
    )
