"""What an exporter is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_provider_idm.configuration.model import Connection
    from airflow_provider_idm.synchronization.export.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """One export to do.

    :param output: an existing folder; the exporter writes ``<connection>.csv`` (or
        ``<connection>_<dataset>.csv``) there, UTF-8, comma, first line the header, each file as a whole.
    :param incremental: only what changed is wanted, from an exporter that can tell; else everything.
    """

    connection: Connection
    settings: Settings
    output: Path
    incremental: bool


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A source file that was written: its path, its data rows (the header not counted) and its columns."""

    path: Path
    rows: int
    columns: tuple[str, ...]


class Exporter(Protocol):
    """Exports the connections of a package."""

    def __call__(self, job: ExportJob, /) -> Sequence[ExportedFile]:
        """Write the source files of one connection.

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
