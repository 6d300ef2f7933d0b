"""The CSV exporter: a file that the managed system wrote becomes a source file, UTF-8 and with commas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_idm.synchronization.export.csv_copy import CsvFormat, copy_csv
from airflow_provider_idm.synchronization.export.exporter import Exported
from airflow_provider_idm.synchronization.export.source_path import INCREMENTAL, find_source, unchanged

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportedFile, ExportJob
    from airflow_provider_idm.synchronization.export.settings import Settings

SETTINGS: Final = (
    "Path",
    "PathIncremental",
    "IsFileNameRegex",
    "Encoding",
    "Separator",
    "NumberOfLinesToSkip",
    "ValuesToTrim",
)
"""Every setting of a CSV connection."""


def export_csv(job: ExportJob) -> list[ExportedFile] | Exported:
    """Export a CSV connection to ``<connection>.csv``.

    An incremental export reads ``PathIncremental`` if it is set, else ``Path``; a complete one, and every one
    of a ``.Complete`` package, reads ``Path``.

    :raises ExportError: if a setting or the file is missing.
    :raises airflow_provider_idm.errors.SourceFileError: if the file is not the CSV that the settings say.
    :raises airflow_provider_idm.errors.ExportUnavailableError: if the file is written to while it is read.
    """
    settings = job.settings
    settings.warn_of_unknown(SETTINGS)
    name, source = find_source(job)
    target = job.target()
    published = (job.destination or job.output) / target.name
    if published.exists() and source.samefile(published):
        raise settings.error(
            name, f"{source} is the source file itself: a connection cannot export onto its input"
        )
    source_format = _format(settings)
    with unchanged(source):
        files = [copy_csv(source, target, source_format)]
    return Exported(files, cookie=None, incremental=True) if name == INCREMENTAL else files


def _format(settings: Settings) -> CsvFormat:
    separator = settings.text("Separator")
    if separator is not None:
        separator = "\t" if separator.casefold() in {"\\t", "tab"} else separator
        if len(separator) != 1 or separator in '"\r\n':
            raise settings.error("Separator", f"expected one character, found {separator!r}")
    encoding = settings.text("Encoding")
    if encoding is not None:
        try:
            "".encode(encoding)
        except (LookupError, ValueError):
            message = f"unknown encoding {encoding!r}; known are utf-8, utf-16, windows-1252, iso-8859-15 …"
            raise settings.error("Encoding", message) from None
    return CsvFormat(
        encoding=encoding,
        separator=separator,
        lines_to_skip=settings.count("NumberOfLinesToSkip"),
        values_to_trim=settings.texts("ValuesToTrim"),
    )
