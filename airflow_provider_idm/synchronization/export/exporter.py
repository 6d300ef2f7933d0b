"""What an exporter is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airflow_provider_idm.configuration.model import Configuration, Connection
    from airflow_provider_idm.synchronization.export.settings import Settings
    from airflow_provider_idm.synchronization.export.sql.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """One export to do.

    :param output: an existing empty folder; the exporter writes ``<connection>.csv`` (or
        ``<connection>_<dataset>.csv``) there, UTF-8, comma, first line the header. What it wrote is moved to the
        export folder once it has ended, so that a failed export leaves the former files.
    :param incremental: only what changed is wanted, from an exporter that can tell; else everything.
    :param configuration: what the connection is part of: its mappings say which tables and columns are read.
    :param destination: the export folder, for messages and checks; None if it is ``output`` itself.
    :param cookie: what the exporter returned as cookie with the last export whose batch was published; None if there
        is none, or everything is wanted.
    :param databases: opens the database of an Airflow connection, by its id; None without Airflow.
    """

    connection: Connection
    settings: Settings
    output: Path
    incremental: bool
    configuration: Configuration | None = None
    destination: Path | None = None
    cookie: str | None = None
    databases: Callable[[str], Database] | None = None

    def target(self, dataset: str | None = None) -> Path:
        """Return the file to write: ``<connection>.csv``, or ``<connection>_<dataset>.csv``."""
        name = self.connection.identifier
        return self.output / (f"{name}.csv" if dataset is None else f"{name}_{dataset}.csv")


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A source file that was written: its path, its data rows (the header not counted) and its columns."""

    path: Path
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter that knows changes has done.

    :param files: the source files that it wrote.
    :param cookie: a text that says how far they reach; the next incremental export starts from there, once the batch
        made from these files has been published. None if there is nothing to start from.
    :param incremental: whether they hold changes alone, and not everything.
    """

    files: Sequence[ExportedFile]
    cookie: str | None
    incremental: bool


class Exporter(Protocol):
    """Exports the connections of a package."""

    def __call__(self, job: ExportJob, /) -> Sequence[ExportedFile] | Exported:
        """Write the source files of one connection and return them.

        A list says that they hold everything, ``Exported`` whether they hold changes alone, with the cookie if the
        exporter keeps one.

        :raises airflow_provider_idm.errors.ExportError: if the connection cannot be exported so.
        :raises airflow_provider_idm.errors.SourceFileError: if what it reads is not what was expected.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export did.

    :param skipped: why nothing was exported, or None.
    """

    connection: str
    files: tuple[ExportedFile, ...]
    incremental: bool
    skipped: str | None = None

    @property
    def rows(self) -> int:
        """Data rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def has_effect(self) -> bool:
        """Whether there is anything to prepare: an incremental export without rows has none.

        A skipped one counts as having one, for another writes the source files of a deactivated connection.
        """
        return self.skipped is not None or not self.incremental or self.rows > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "connection": self.connection,
            "incremental": self.incremental,
            "rows": self.rows,
            "files": {
                file.path.name: {"path": str(file.path), "rows": file.rows, "columns": list(file.columns)}
                for file in self.files
            },
            "skipped": self.skipped,
        }
