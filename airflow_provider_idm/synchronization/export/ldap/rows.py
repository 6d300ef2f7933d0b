"""From entries to the rows of a source file."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections import Counter
from typing import IO, TYPE_CHECKING, Self

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.csv_writer import CsvWriter
from airflow_provider_idm.synchronization.export.exporter import ExportedFile
from airflow_provider_idm.synchronization.export.ldap.tables import DN, PARENT_DN
from airflow_provider_idm.synchronization.export.ldap.values import join, parent_dn, rdn_values, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_idm.synchronization.export.ldap.client import Entry
    from airflow_provider_idm.synchronization.export.ldap.tables import Column, Table

logger = logging.getLogger(__name__)

COMMAND = "command"
"""The column of commands in a file of changes."""


class TableWriter:
    """Writes a table's source file, to be used in a ``with``.

    :param connection: identifier of the connection, for messages.
    :param lower_case_dn: write distinguished names in lower case.
    :param commands: the file is one of changes, with a column for commands.
    """

    def __init__(
        self,
        connection: str,
        table: Table,
        folder: Path,
        *,
        lower_case_dn: bool = False,
        commands: bool = False,
    ) -> None:
        self.table = table
        self._connection = connection
        self._path = folder / f"{table.names[0]}.csv"
        self._lower_case_dn = lower_case_dn
        self._columns = list(table.columns.values())
        self._commands = commands
        self._stack = contextlib.ExitStack()
        self._file: IO[str]
        self._writer: CsvWriter
        self._rows = 0
        self._filled: set[str] = set()
        self._several: Counter[str] = Counter()

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of the file."""
        return ((COMMAND,) if self._commands else ()) + tuple(column.name for column in self._columns)

    def __enter__(self) -> Self:
        """Begin the file with its header."""
        with self._guarded():
            self._file = self._stack.enter_context(self._path.open("w", encoding="utf-8", newline=""))
            self._writer = CsvWriter(self._file)
            self._writer.write(self.header)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        with self._guarded():
            self._stack.close()

    def add(self, entry: Entry, command: str | None = None) -> None:
        """Write an entry's row, or a row for each of its links."""
        with self._guarded():
            for row in self._rows_of(entry):
                self._writer.write([command, *row] if command is not None else row)
                self._rows += 1

    def finish(self) -> list[ExportedFile]:
        """Write what is left, copy the file for every other spelling of its name, and return what was written."""
        with self._guarded():
            self._file.flush()
            paths = [self._path]
            for name in self.table.names[1:]:
                other = self._path.with_name(f"{name}.csv")
                if not other.exists():  # it does where the file system knows no case
                    shutil.copyfile(self._path, other)
                    paths.append(other)
        self._tell()
        return [ExportedFile(path, self._rows, self.header) for path in paths]

    def _rows_of(self, entry: Entry) -> Iterator[list[str]]:
        links = [column for column in self._columns if column.name in self.table.links]
        if not links:
            yield [self._value(column, entry) for column in self._columns]
            return
        held = [column for column in links if entry.attributes.get(column.key)]
        if not held:
            return
        own = {
            column.name: self._value(column, entry)
            for column in self._columns
            if column.name not in self.table.links
        }
        for link in held:
            self._filled.add(link.name)
            for raw in entry.attributes[link.key]:
                value = self._cased(link, to_text(raw, link.kind, link.key))
                yield [own.get(column.name, value if column is link else "") for column in self._columns]

    def _value(self, column: Column, entry: Entry) -> str:
        if column.key in DN:
            return self._cased(column, entry.dn)
        if column.key == PARENT_DN:
            return self._cased(column, parent_dn(entry.dn))
        values = [to_text(raw, column.kind, column.key) for raw in entry.attributes.get(column.key, ())]
        if values:
            self._filled.add(column.name)
        if len(values) <= 1:
            value = values[0] if values else ""
        elif column.separator is not None:
            value = join(values, column.separator)
        elif column.association is not None:
            raise ExportError(
                f"connection {self._connection}: the attribute {column.name} of an entry has {len(values)} values, but "
                f"association {column.association} reads it from {self.table.names[0]}, where an entry has one row. Map "
                f"it from ConnectionTable {self._connection}_{column.name}, where each value has a row"
            )
        else:
            self._several[column.name] += 1
            named = set(rdn_values(entry.dn, column.key))
            value = next((value for value in values if value in named), values[0])
        return self._cased(column, value)

    def _cased(self, column: Column, value: str) -> str:
        return value.lower() if self._lower_case_dn and column.is_dn else value

    def _tell(self) -> None:
        table = self.table.names[0]
        for name, count in self._several.items():
            logger.warning(
                "connection %s: %s has several values in %d entries of %s; the one in the entry's name is taken, or "
                "the first. Format Concat:<separator> or MultivaluedText on its property keeps all",
                self._connection,
                name,
                count,
                table,
            )
        if not self._rows and not self._commands:
            logger.warning("connection %s: nothing was found for %s", self._connection, table)
        empty = [c.name for c in self._columns if c.is_attribute and c.name not in self._filled]
        if self._rows and empty and not self._commands:
            logger.warning(
                "connection %s: no entry has a value of %s for %s: is it written as the directory writes it, and may "
                "this account read it?",
                self._connection,
                ", ".join(empty),
                table,
            )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ExportError(
                f"connection {self._connection}: {self._path} cannot be written: {error.strerror or error}"
            ) from error
