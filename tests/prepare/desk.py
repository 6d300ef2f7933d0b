"""A desk to prepare at: folders, source files, mappings, and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.configuration import SynchronizationMode
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.prepare import PrepareRequest, PrepareResult, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.configuration import ConnectorMappings

INITIAL = SynchronizationMode.INITIAL
COMPLETE = SynchronizationMode.COMPLETE
INCREMENTAL = SynchronizationMode.INCREMENTAL


@dataclass
class Desk:
    folder: Path
    mappings: ConnectorMappings

    @property
    def sources(self) -> Path:
        path = self.folder / "ExportOutput"
        path.mkdir(exist_ok=True)
        return path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def connector(self) -> Path:
        return self.work / self.mappings.connector.identifier

    @property
    def collect(self) -> Path:
        return self.connector / "Collect"

    @property
    def exchange(self) -> Exchange:
        return Exchange.open(self.folder / "exchange")

    @property
    def batches(self) -> list[str]:
        channel = self.exchange.channel(self.mappings.connector.identifier)
        return [m.batch for m in channel.manifests(plan_only=True)]

    def write(self, table: str, content: str | bytes) -> Path:
        path = self.sources / f"{table}.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def request(self, mode: SynchronizationMode = COMPLETE, **options: Any) -> PrepareRequest:
        values: dict[str, Any] = {
            "mappings": self.mappings,
            "mode": mode,
            "sources": self.sources,
            "exchange": self.exchange,
            "work": self.work,
            "threads": 1,
        }
        return PrepareRequest(**values | options)

    def prepare(self, mode: SynchronizationMode = COMPLETE, **options: Any) -> PrepareResult:
        return prepare(self.request(mode, **options))

    def collected(self, name: str) -> str:
        return (self.collect / name).read_bytes().decode()

    def state(self) -> dict[str, bytes]:
        """Everything that a refused prepare must leave as it was: batches, ``previous``, ``staged``."""
        places = [self.folder / "exchange", self.connector / "previous", self.connector / "staged"]
        return {
            str(p.relative_to(self.folder)): p.read_bytes()
            for place in places
            if place.exists()
            for p in sorted(place.rglob("*"))
            if p.is_file()
        }
