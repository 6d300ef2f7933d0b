"""Where an export writes before it has succeeded: a folder beside the files that it is to replace."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_idm.synchronization.export.exporter import ExportedFile

_PREFIX: Final = ".export-"
_LEFT_BEHIND: Final = 86_400.0
"""Seconds after which a folder is no longer one that an export is writing to."""


@contextmanager
def staging_folder(output: Path, connection: str) -> Iterator[Path]:
    """Make a folder within the export folder, on the same disk, and remove it in the end.

    :raises ExportError: if it cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        _remove_left(output)
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{connection}-", dir=output))
    except OSError as error:
        raise ExportError(
            f"connection {connection}: the export folder {output} cannot be used: {error}"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(files: Iterable[ExportedFile], output: Path) -> tuple[ExportedFile, ...]:
    """Move files to the export folder, each as a whole; one that was written elsewhere stays there.

    :raises ExportError: if a file is not there, or cannot be moved.
    """
    written = tuple(files)
    for file in written:
        if not file.path.is_file():
            raise ExportError(f"the exporter says that it wrote {file.path}, but there is no such file")
    return tuple(_publish(file, output) for file in written)


def _publish(file: ExportedFile, output: Path) -> ExportedFile:
    path = file.path
    if not path.parent.name.startswith(_PREFIX) or path.parent.parent != output:
        return file
    try:
        return replace(file, path=path.replace(output / path.name))
    except OSError as error:
        raise ExportError(f"{output / path.name} cannot be written: {error}") from error


def _remove_left(output: Path) -> None:
    """Remove what exports that were killed left behind."""
    for folder in output.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _LEFT_BEHIND:
                shutil.rmtree(folder, ignore_errors=True)
