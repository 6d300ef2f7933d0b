"""Where a case starts: the good export was prepared and applied by an Initial, in files and in a database."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.configuration import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.prepare import PrepareRequest, PrepareResult, prepare
from airflow_provider_idm.synchronization.synchronize import (
    SynchronizeRequest,
    SynchronizeResult,
    synchronize,
)
from tests.safeguards.export import CONNECTOR, read_mappings, write_export

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import ConnectorMappings

TABLES = ("UR_Resources", "UR_ResourceLinks", "UR_ResourceFiles", "UR_UnresolvedLinks")


@dataclass(frozen=True)
class Site:
    """An agent's and a server's folders: source files, work folder, exchange."""

    folder: Path
    mappings: ConnectorMappings

    @property
    def sources(self) -> Path:
        return self.folder / "ExportOutput"

    @property
    def exchange(self) -> Exchange:
        return Exchange.open(str(self.folder / "exchange"))

    def copy(self, folder: Path) -> Site:
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def prepare(self, mode: SynchronizationMode, **options: Any) -> PrepareResult:
        return prepare(
            PrepareRequest(
                mappings=self.mappings,
                mode=mode,
                sources=self.sources,
                exchange=self.exchange,
                work=self.folder / "work",
                threads=1,
                **options,
            )
        )

    def synchronize(self, repository: Repository) -> SynchronizeResult:
        return synchronize(
            SynchronizeRequest(
                mappings=self.mappings,
                exchange=self.exchange,
                repository=repository,
                work=self.folder / "work",
            )
        )

    def batches(self) -> list[str]:
        return [m.batch for m in self.exchange.channel(CONNECTOR).manifests()]

    def previous(self) -> dict[str, bytes]:
        """Return what the next Incremental is compared with."""
        folder = self.folder / "work" / CONNECTOR
        kept = [
            p for name in ("previous", "staged") for p in sorted((folder / name).rglob("*")) if p.is_file()
        ]
        return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def stored_rows(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of resources and links, as it stands."""
    with repository.engine.connect() as connection:
        return {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"'))
            for name in TABLES
        }


@dataclass(frozen=True)
class Contents:
    """What a repository holds: every row of resources and links, and the hash of all that people see of them."""

    rows: dict[str, list[tuple[Any, ...]]]
    hash: str

    @classmethod
    def read(cls, repository: Repository, mappings: ConnectorMappings) -> Contents:
        return cls(stored_rows(repository), repository.content_hash(mappings))


class Start:
    """The start state: made once, copied for each case."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder / "site", read_mappings(folder / "configuration"))
        write_export(self.site.sources)
        self.initial = self.site.prepare(SynchronizationMode.INITIAL).manifest

    def fill(self, url: str) -> None:
        """Apply the Initial to an empty database."""
        with Repository.open(url) as repository:
            assert self.site.synchronize(repository).state == "completed"
