"""Tables given instead of source files: each is written as a source file, and from there on is one like any other."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_idm.configuration.names import suggestion, table_name
from airflow_provider_idm.errors import PrepareError, SourceFileError
from airflow_provider_idm.synchronization.prepare.header import check_names
from airflow_provider_idm.synchronization.prepare.source import SourceFile
from airflow_provider_idm.synchronization.prepare.table_sources import open_table
from airflow_provider_idm.synchronization.prepare.table_values import ValueKindError, column_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pyarrow as pa

    from airflow_provider_idm.synchronization.prepare.request import PrepareRequest
    from airflow_provider_idm.synchronization.prepare.targets import Target


def named_tables(tables: Mapping[str, Any] | None, targets: Iterable[Target]) -> dict[str, Any]:
    """Return the given tables by the name of the source file that each replaces.

    :raises PrepareError: if no mapping of the connector reads one of them.
    """
    if tables is not None and not hasattr(tables, "items"):
        raise PrepareError(
            f"tables is a {type(tables).__name__}; expected tables by their ConnectionTable, as in "
            '{"HR_Person": frame}'
        )
    known = {target.table for target in targets}
    named: dict[str, Any] = {}
    for name, table in (tables or {}).items():
        wanted = table_name(name)
        if wanted not in known:
            raise PrepareError(
                f"a table is given as {name}, but no mapping of the connector has this ConnectionTable"
                f"{suggestion(wanted, known) or '; they have ' + ', '.join(sorted(known))}"
            )
        if wanted in named:
            raise PrepareError(f"two tables are given as {wanted}, one of them with .csv")
        named[wanted] = table
    return named


def write_table(
    name: str, table: Any, targets: Iterable[Target], command: str | None, folder: Path
) -> SourceFile:
    """Write a table as a source file.

    :param table: what ``open_table`` takes.
    :param targets: those that read it; a column that none of them uses may hold anything.
    :param command: the command column's name, in any case; None if there is none.
    :param folder: made if it does not exist.
    :raises SourceFileError: naming table, row and column, if it cannot be written so.
    """
    label = f"table {name}"
    wanted = list(dict.fromkeys(c.source for t in targets for c in t.read_columns))
    with open_table(label, table) as (columns, batches):
        check_names(columns, wanted, label, None)
        needed = {
            *wanted,
            *(c for c in columns if command is not None and c.casefold() == command.casefold()),
        }
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.csv"
        _write(path, label, columns, batches, needed)
    return SourceFile.of_table(path, label, place_of(table))


def source_places(request: PrepareRequest) -> dict[str, str | None]:
    """Return path or URL of the source of each table that a connector's mappings read; None for one in memory."""
    mappings, given = request.mappings, request.tables if hasattr(request.tables, "items") else None
    places = {table_name(str(name)): place_of(table) for name, table in (given or {}).items()}
    names = [*(e.table for e in mappings.entity_types), *(a.table for a in mappings.associations)]
    return {
        name: places[name] if name in places else str((request.sources / f"{name}.csv").absolute())
        for name in names
    }


def place_of(table: Any) -> str | None:
    """Return path or URL of a table that is a file, without login; None for one in memory."""
    if not isinstance(table, (str, PathLike)) and not hasattr(table, "open"):
        return None
    place = str(table)
    if "://" not in place:
        return str(Path(place).absolute())
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _write(
    path: Path, label: str, columns: Sequence[str], batches: Iterable[Sequence[Any]], needed: Collection[str]
) -> None:
    import pyarrow as pa  # noqa: PLC0415 - heavy
    from pyarrow import csv  # noqa: PLC0415 - heavy

    schema = pa.schema([pa.field(name, pa.large_string()) for name in columns])
    first = 0
    with csv.CSVWriter(str(path), schema) as writer:
        for arrays in batches:
            texts = []
            for name, array in zip(columns, arrays, strict=True):
                try:
                    texts.append(_text(array))
                except ValueKindError as error:
                    if name in needed:
                        raise _refused(label, name, error, first) from None
                    texts.append(pa.nulls(error.rows, pa.large_string()))
            if len(texts) == 1:
                texts = [texts[0].fill_null("")]  # else a row without a value would be a blank line
            writer.write_batch(pa.record_batch(texts, schema=schema))
            first += len(texts[0])


def _text(array: Any) -> pa.Array:
    if isinstance(array, ValueKindError):
        raise array
    return column_text(array)


def _refused(label: str, column: str, error: ValueKindError, first: int) -> SourceFileError:
    row = "" if error.row is None else f", row {first + error.row + 1}"
    return SourceFileError(f"{label}{row}, column {column}: {error}")
