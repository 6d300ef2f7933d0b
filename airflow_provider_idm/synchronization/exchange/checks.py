"""Whether a batch's files are what its manifest says: names, sizes, hashes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.hashing import sha256_of
from airflow_provider_idm.synchronization.exchange.manifest import BatchFile, Manifest

MANIFEST = "manifest.json"
FINISHED = "finished.json"


def check_names(manifest: Manifest, source: str) -> None:
    """Refuse file names that leave the batch's folder, clash, or belong to the exchange itself.

    :param source: where the manifest stands, for messages.
    :raises ExchangeError: naming the file.
    """
    seen: set[str] = set()
    for file in manifest.files:
        name = file.name
        if not name or name in {".", "..", MANIFEST, FINISHED} or set(name) & {"/", "\\", ":", "\0"}:
            raise ExchangeError(f"{source}: {name!r} cannot be the name of a file of a batch")
        if name.casefold() in seen:
            raise ExchangeError(f"{source}: the file {name} is named twice")
        seen.add(name.casefold())


def check_files(manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Refuse to publish other files than those that the manifest names, or of another size.

    :raises ExchangeError: naming the files.
    """
    named = {file.name for file in manifest.files}
    if named != set(files):
        differing = ", ".join(sorted(named ^ set(files)))
        raise ExchangeError(f"the files of batch {manifest.batch} are not those of its manifest: {differing}")
    for file in manifest.files:
        path = files[file.name]
        if not path.is_file():
            raise ExchangeError(f"{path} is missing: it cannot be published in batch {manifest.batch}")
        check_size(file, path.stat().st_size, str(path))


def check_size(file: BatchFile, size: int, place: str) -> None:
    """Compare a file's size in bytes with the manifest.

    :raises ExchangeError: naming ``place``, what was expected and what was found.
    """
    if size != file.size:
        raise ExchangeError(
            f"{place} is not the file of the manifest: expected {file.size} bytes, found {size}; "
            "prepare again"
        )


def check_hash(file: BatchFile, sha256: str, place: str) -> None:
    """Compare a file's SHA-256 (hex) with the manifest.

    :raises ExchangeError: naming ``place``, what was expected and what was found.
    """
    if sha256 != file.sha256:
        raise ExchangeError(
            f"{place} is not the file of the manifest: expected SHA-256 {file.sha256}, found {sha256}; "
            "prepare again"
        )


def is_copy(path: Path, file: BatchFile) -> bool:
    """Tell whether a former attempt downloaded the file already."""
    return path.is_file() and path.stat().st_size == file.size and sha256_of(path) == file.sha256
