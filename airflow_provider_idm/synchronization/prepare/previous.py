"""The sorted files of the last full extract, with which the next one is compared.

``previous/`` belongs to one batch. A new one is staged under the batch's id before the manifest is published, and
promoted after; whatever ends the process in between, the next prepare promotes it if the manifest is there and
discards it otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import PrepareError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_idm.synchronization.exchange import Batches

_NOTE: Final = "previous.json"


@dataclass(frozen=True, slots=True)
class Previous:
    """What ``previous/`` holds.

    :param batch: the batch that it belongs to; ``fingerprint`` of that batch's mappings.
    :param files: (size, modification time in ns) by target.
    """

    folder: Path
    batch: str
    fingerprint: str
    files: Mapping[str, Sequence[int]]

    def file(self, target: str) -> Path:
        """Return a target's sorted file.

        :raises PrepareError: if it is missing or is not what was put there.
        """
        path = self.folder / f"{target}.sorted.csv"
        if not path.is_file() or list(_state(path)) != list(self.files.get(target, ())):
            raise PrepareError(
                f"{path} is missing or was altered since the last prepare; run a Complete first"
            )
        return path


class PreviousStore:
    """``previous/`` and ``staged/`` in a connector's work folder."""

    def __init__(self, folder: Path) -> None:
        self._previous = folder / "previous"
        self._replaced = folder / ".previous.replaced"
        self._staged = folder / "staged"

    def settle(self, batches: Batches) -> None:
        """Promote what was staged for a published batch, and discard the rest.

        :param batches: those of the connector.
        """
        staged = [p for p in self._staged.iterdir() if p.is_dir()] if self._staged.is_dir() else []
        if published := batches.find(p.name for p in staged):
            self.promote(published[-1].batch)
        for path in staged:
            shutil.rmtree(path, ignore_errors=True)
        if self._replaced.exists():
            if not self._previous.exists():
                self._replaced.rename(self._previous)
            shutil.rmtree(self._replaced, ignore_errors=True)

    def stage(self, batch: str, fingerprint: str, files: Mapping[str, Path]) -> None:
        """Keep sorted files under a batch's id.

        :param files: the sorted file of each target; it is linked, not copied, where the file system can.
        """
        folder = self._staged / batch
        folder.mkdir(parents=True)
        states: dict[str, tuple[int, int]] = {}
        for target, path in files.items():
            kept = folder / f"{target}.sorted.csv"
            try:
                os.link(path, kept)
            except OSError:
                shutil.copy2(path, kept)
            states[target] = _state(kept)
        note = {"batch": batch, "fingerprint": fingerprint, "files": states}
        (folder / _NOTE).write_text(json.dumps(note, indent=2), encoding="utf-8")

    def promote(self, batch: str) -> None:
        """Make what was staged for a batch the previous one."""
        shutil.rmtree(self._replaced, ignore_errors=True)
        if self._previous.exists():
            self._previous.rename(self._replaced)
        (self._staged / batch).rename(self._previous)
        shutil.rmtree(self._replaced, ignore_errors=True)

    def read(self) -> Previous | None:
        """Return what ``previous/`` holds, or None if there is none.

        :raises PrepareError: if its note cannot be read.
        """
        path = self._previous / _NOTE
        try:
            note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Previous(self._previous, note["batch"], note["fingerprint"], note["files"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrepareError(f"{path} cannot be read ({error}); run a Complete first") from error


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns)
