"""The Excel exporter: each sheet of a workbook becomes a source file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.configuration.names import names_a_file, same, table_name
from airflow_provider_idm.errors import ExportError, SourceFileError
from airflow_provider_idm.synchronization.export.csv_copy import trim
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter
from airflow_provider_idm.synchronization.export.excel_values import CellError
from airflow_provider_idm.synchronization.export.excel_workbook import cell_name, open_workbook
from airflow_provider_idm.synchronization.export.exporter import Exported, ExportedFile
from airflow_provider_idm.synchronization.export.extras import missing_extra
from airflow_provider_idm.synchronization.export.settings import read_options
from airflow_provider_idm.synchronization.export.source_path import INCREMENTAL, find_source, unchanged

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.configuration.model import EntityAssociationMapping, EntityTypeMapping
    from airflow_provider_idm.synchronization.export.excel_workbook import Workbook
    from airflow_provider_idm.synchronization.export.exporter import ExportJob
    from airflow_provider_idm.synchronization.export.settings import Settings

logger = logging.getLogger(__name__)

SETTINGS: Final = (
    "Path",
    "PathIncremental",
    "IsFileNameRegex",
    "SheetOptions",
    "ValuesToTrim",
    "ErrorsAsEmpty",
)
"""Every setting of an Excel connection."""
SHEET_OPTIONS: Final = ("SheetIgnored", "NumberOfLinesToSkip")
"""Every setting of one sheet."""

_NOT_IN_FILE_NAMES: Final = re.compile(r"[<>:\"/\\|?*\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One sheet to export: its place, its name, the tables that it becomes, and the lines before its header."""

    index: int
    name: str
    tables: tuple[str, ...]
    lines_to_skip: int


def export_excel(job: ExportJob) -> list[ExportedFile] | Exported:
    """Export each sheet of an Excel connection's workbook to ``<connection>_<sheet>.csv``.

    A sheet that a mapping or a transformation names by its number, from 0, is written to ``<connection>_<number>.csv``
    too. A sheet without any cell is left out.

    :raises ExportError: if a setting, the file, a sheet that a mapping reads, or the extra is missing.
    :raises SourceFileError: if the file is not a workbook that can be read.
    :raises airflow_provider_idm.errors.ExportUnavailableError: if the file is written to while it is read.
    """
    settings = job.settings
    settings.warn_of_unknown(SETTINGS)
    name, path = find_source(job)
    try:
        with unchanged(path), open_workbook(path) as workbook:
            options = _sheet_options(settings, workbook, path)
            sheets = _sheets(job, workbook, options)
            exported = [_export_sheet(job, path, workbook, sheet) for sheet in sheets]
    except ImportError as error:
        raise missing_extra(job.connection.identifier, "excel", error) from error
    except OSError as error:
        raise ExportError(f"{path} cannot be exported to {job.output}: {error}") from error
    files = [file for written in exported for file in written]
    _check_tables(job, path, workbook, {file.path.stem for file in files})
    return Exported(files, cookie=None, incremental=True) if name == INCREMENTAL else files


def _sheet_options(settings: Settings, workbook: Workbook, path: Path) -> list[Settings]:
    """Return each sheet's options, in the order of the sheets; the list of the settings may be shorter."""
    options = read_options(settings, "SheetOptions")
    for given in options:
        given.warn_of_unknown(SHEET_OPTIONS)
    if len(options) > len(workbook.sheets):
        logger.warning(
            "connection %s: SheetOptions has %d elements, but %s only %d sheets",
            settings.connection,
            len(options),
            path,
            len(workbook.sheets),
        )
    return options


def _sheets(job: ExportJob, workbook: Workbook, options: list[Settings]) -> list[_Sheet]:
    wanted = _wanted_tables(job)
    name = job.connection.identifier
    sheets = []
    taken: dict[str, str] = {}
    for index, sheet in enumerate(workbook.sheets):
        given = options[index] if index < len(options) else None
        if given is not None and given.flag("SheetIgnored"):
            continue
        table = f"{name}_{_file_name(sheet)}"
        if (other := taken.setdefault(table.casefold(), sheet)) != sheet:
            raise ExportError(
                f"connection {name}: the sheets {other!r} and {sheet!r} would both be written to {table}.csv; rename "
                "one, or ignore it in SheetOptions"
            )
        numbered = f"{name}_{index}"
        tables = (table, numbered) if numbered in wanted and numbered != table else (table,)
        sheets.append(_Sheet(index, sheet, tables, given.count("NumberOfLinesToSkip") if given else 0))
    return sheets


def _file_name(sheet: str) -> str:
    name = _NOT_IN_FILE_NAMES.sub("_", sheet).strip(". ")
    return name if names_a_file(name) else "_"


def _wanted_tables(job: ExportJob) -> dict[str, str]:
    """Return the connection's tables that mappings read and transformations name, and who does."""
    configuration = job.configuration
    prefix = f"{job.connection.identifier}_"
    wanted = {table_name(t.table): f"a Transformation ({t.location})" for t in job.connection.transformations}
    if configuration is None:
        return wanted
    mappings: tuple[EntityTypeMapping | EntityAssociationMapping, ...] = (
        *configuration.entity_type_mappings.values(),
        *configuration.entity_association_mappings.values(),
    )
    for mapping in mappings:
        table = table_name(mapping.connection_table)
        if same(mapping.connector, job.connection.connector) and table.startswith(prefix):
            wanted[table] = f"the mapping {mapping.identifier} ({mapping.location})"
    return wanted


def _check_tables(job: ExportJob, path: Path, workbook: Workbook, tables: set[str]) -> None:
    """Refuse a workbook that lacks a sheet that is read: an older file of it must not be taken for new."""
    for table, reader in _wanted_tables(job).items():
        if table not in tables:
            sheet = table.removeprefix(f"{job.connection.identifier}_")
            raise SourceFileError(
                f"{path} has no sheet {sheet!r} to export, with a header, that {reader} reads as {table}; its sheets "
                f"are {', '.join(map(repr, workbook.sheets))}. Is it ignored in SheetOptions, empty, or renamed?"
            )


def _export_sheet(job: ExportJob, path: Path, workbook: Workbook, sheet: _Sheet) -> list[ExportedFile]:
    place = f"{path}: sheet {sheet.name!r}"
    rows = _Rows(job.settings, place, sheet.lines_to_skip)
    lines = rows.read(workbook.rows(sheet.index))
    header = next(lines, None)
    if header is None:
        logger.info("%s has no cells and is left out", place)
        return []
    first, *others = (job.output / f"{table}.csv" for table in sheet.tables)
    count = 0
    with first.open("w", encoding="utf-8", newline="") as file:
        writer = CsvWriter(file)
        writer.write(header)
        for row in lines:
            writer.write(row)
            count += 1
    for other in others:
        other.write_bytes(first.read_bytes())
    return [ExportedFile(target, count, tuple(header)) for target in (first, *others)]


class _Rows:
    """A sheet's header and rows: columns without a header and rows without a value are left out."""

    def __init__(self, settings: Settings, place: str, lines_to_skip: int) -> None:
        self._trim = settings.texts("ValuesToTrim")
        self._errors_as_empty = settings.flag("ErrorsAsEmpty")
        self._place = place
        self._skip = lines_to_skip

    def read(self, rows: Iterator[list[str | CellError]]) -> Iterator[list[str]]:
        """Give the header, then the rows; nothing at all if the sheet has no cells."""
        header: list[str] = []
        keep: list[int] = []
        empty = True
        for number, row in enumerate(rows, 1):
            empty = empty and not any(row)
            if number <= self._skip:
                continue
            if not keep:
                header = [self._text(value, number, column) for column, value in enumerate(row, 1)]
                keep = [index for index, name in enumerate(header) if name]
                if not keep and not empty:
                    break
                if keep:
                    yield [header[index] for index in keep]
                continue
            values = [self._text(row[i], number, i + 1) if i < len(row) else "" for i in keep]
            if any(values):
                yield values
        if not keep and not empty:
            raise SourceFileError(
                f"{self._place}: expected a header in row {self._skip + 1}, found none; set NumberOfLinesToSkip of this "
                "sheet in SheetOptions, or ignore it with SheetIgnored"
            )

    def _text(self, value: Any, row: int, column: int) -> str:
        if isinstance(value, CellError):
            if self._errors_as_empty:
                return ""
            raise SourceFileError(
                f"{self._place}, cell {cell_name(row, column)}: {value}; correct the workbook, or set ErrorsAsEmpty to "
                "leave such cells empty"
            )
        return trim(value, self._trim) if self._trim else value
