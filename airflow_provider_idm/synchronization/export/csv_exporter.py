"""The CSV exporter: a file that the managed system wrote becomes a source file, UTF-8 and with commas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.csv_copy import CsvFormat, copy_csv

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportedFile, ExportJob
    from airflow_provider_idm.synchronization.export.settings import Settings

_COMPLETE_ONLY = re.compile(r"\.complete(@|$)|@\w+\.complete$", re.IGNORECASE)

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


def export_csv(job: ExportJob) -> list[ExportedFile]:
    """Export a CSV connection to ``<connection>.csv``.

    An incremental export reads ``PathIncremental`` if it is set, else ``Path``; a complete one, and every one
    of a ``.Complete`` package, reads ``Path``.

    :raises ExportError: if a setting or the file is missing.
    :raises airflow_provider_idm.errors.SourceFileError: if the file is not the CSV that the settings say.
    """
    settings = job.settings
    settings.warn_of_unknown(SETTINGS)
    incremental = job.incremental and not _COMPLETE_ONLY.search(job.connection.package)
    name = "PathIncremental" if incremental and settings.path("PathIncremental") else "Path"
    source = _source(settings, name)
    target = job.target()
    published = (job.destination or job.output) / target.name
    if published.exists() and source.samefile(published):
        raise settings.error(
            name, f"{source} is the source file itself: a connection cannot export onto its input"
        )
    return [copy_csv(source, target, _format(settings))]


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


def _source(settings: Settings, name: str) -> Path:
    text = settings.path(name)
    if text is None:
        raise settings.missing(name)
    if settings.flag("IsFileNameRegex"):
        return _newest_match(settings, name, text)
    path = Path(text)
    if not path.is_file():
        kind = "not a regular file" if path.exists() else "no such file"
        raise settings.error(name, f"{path}: {kind}. Was it delivered, and may this user read it?")
    return path


def _newest_match(settings: Settings, name: str, text: str) -> Path:
    folder, _, pattern = text.rpartition("/")
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise settings.error(name, f"{pattern!r} is not a regular expression: {error}") from error
    try:
        files = [
            path
            for path in Path(folder or "/").iterdir()
            if expression.fullmatch(path.name) and path.is_file()
        ]
    except OSError as error:
        raise settings.error(
            name, f"the folder {folder} cannot be read: {error.strerror or error}"
        ) from error
    if not files:
        raise settings.error(name, f"no file in {folder} has a name that matches {pattern!r} as a whole")
    try:
        return max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
    except OSError as error:
        raise ExportError(
            f"connection {settings.connection}: a file went while it was looked at: {error}"
        ) from error
