"""Copy a CSV file row by row into the form of a source file; memory is bounded by the longest row."""

from __future__ import annotations

import contextlib
import csv
import secrets
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING

from airflow_provider_idm.errors import ExportError, SourceFileError
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter
from airflow_provider_idm.synchronization.export.exporter import ExportedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LONGEST_VALUE = 1 << 28
"""Characters: far above a photo in base64, far below what would exhaust memory on a quote that never ends."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a file is written.

    :param encoding: None for UTF-8, with or without a byte order mark.
    :param separator: None for comma or semicolon, whichever the header holds more of.
    :param lines_to_skip: lines before the header.
    :param values_to_trim: texts removed, each in order and as often as it occurs, at both ends of a value.
    """

    encoding: str | None = None
    separator: str | None = None
    lines_to_skip: int = 0
    values_to_trim: tuple[str, ...] = ()


def copy_csv(source: Path, target: Path, source_format: CsvFormat) -> ExportedFile:
    """Write a CSV file anew as UTF-8 with commas and line feeds, quotes only where needed, the header first.

    Columns without a header are left out, blank lines too; the rest of the rows, their order and their values
    stay as they are. The target is replaced as a whole, or not at all.

    :raises SourceFileError: naming file and line, if the source is not such a CSV file.
    :raises ExportError: if a file cannot be read or written.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_VALUE))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        reader = CsvReader(source, source_format)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            columns, rows = _write(reader, file)
        temporary.replace(target)
    except OSError as error:
        raise ExportError(f"{source} cannot be exported to {target}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return ExportedFile(target, rows, columns)


def trim(value: str, texts: Iterable[str]) -> str:
    """Remove texts from both ends of a value, each in order and as often as it occurs there."""
    for text in texts:
        if len(text) == 1:
            value = value.strip(text)
            continue
        while value.startswith(text):
            value = value[len(text) :]
        while value.endswith(text):
            value = value[: -len(text)]
    return value


def _write(reader: CsvReader, file: IO[str]) -> tuple[tuple[str, ...], int]:
    writer = CsvWriter(file)
    rows = reader.rows()
    header = next(rows)
    count = -1
    for count, row in enumerate(_with_header(header, rows)):  # noqa: B007 - counted after the loop
        writer.write(row)
    return tuple(header), count


def _with_header(header: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield header
    yield from rows


class CsvReader:
    """Reads the rows of one file, each problem with its line.

    :ivar line: in which the row that was given last begins, from 1.
    """

    def __init__(self, path: Path, source_format: CsvFormat) -> None:
        self._path = path
        self._format = source_format
        self._encoding = source_format.encoding or "utf-8-sig"
        self._line = 0
        self.line = 1

    def rows(self) -> Iterator[list[str]]:
        """Give the header, then every row, trimmed and without the columns that have no header."""
        with self._path.open(encoding=self._encoding, newline="") as file:
            try:
                yield from self._read(file)
            except UnicodeError as error:
                raise self._undecodable(error) from error
            except csv.Error as error:
                raise self._error(
                    self._line + 1, f"broken CSV: {error}; look at the quotes of this row"
                ) from error

    def _read(self, file: IO[str]) -> Iterator[list[str]]:
        skipped = self._format.lines_to_skip
        self._line = sum(1 for _ in islice(file, skipped))
        first = next(file, "")
        lines = _chain(first, file)
        separator = self._format.separator or _guess_separator(first)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        header = [trim(name, self._format.values_to_trim) for name in next(reader, [])]
        self._line = skipped + reader.line_num
        if not any(header):
            expected = f"a header after {skipped} skipped lines" if skipped else "a header in the first line"
            raise self._error(self._line or 1, f"expected {expected}, found none")
        texts = self._format.values_to_trim
        keep = [index for index, name in enumerate(header) if name]
        complete = len(keep) == len(header)
        yield [header[index] for index in keep]
        for values in reader:
            if len(values) != len(header):
                if not values:
                    self._line = skipped + reader.line_num
                    continue
                raise self._ragged(len(header), len(values), separator)
            self.line, self._line = self._line + 1, skipped + reader.line_num
            row = values if complete else [values[index] for index in keep]
            yield [trim(value, texts) for value in row] if texts else row

    def _ragged(self, expected: int, found: int, separator: str) -> SourceFileError:
        return self._error(
            self._line + 1,
            f"expected {expected} fields as in the header, found {found} (separator {separator!r}). A value that "
            "holds the separator needs quotes",
        )

    def _undecodable(self, error: UnicodeError) -> SourceFileError:
        encoding = self._format.encoding or "UTF-8"
        return self._error(
            self._undecodable_line(),
            f"not {encoding} text ({error.reason if isinstance(error, UnicodeDecodeError) else error}); "
            "set the connection's Encoding",
        )

    def _undecodable_line(self) -> int:
        """Look for the line again: a decoder works ahead of the reader."""
        with (
            contextlib.suppress(UnicodeError),
            self._path.open(encoding=self._encoding, errors="surrogateescape", newline="") as file,
        ):
            for number, line in enumerate(file, 1):
                if any("\udc80" <= character <= "\udcff" for character in line):
                    return number
        return self._line + 1

    def _error(self, line: int, message: str) -> SourceFileError:
        return SourceFileError(f"{self._path}:{line}: {message}")


def _chain(first: str, rest: IO[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _guess_separator(header: str) -> str:
    """Return the separator that stands more often outside quotes."""
    bare = "".join(header.split('"')[::2])
    return ";" if bare.count(";") > bare.count(",") else ","
