"""A configuration of small connectors for whole runs, each with one CSV file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_idm.configuration.concerns import read_connector
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize

_CONNECTOR = """\
  <Connector Identifier="{name}" DisplayName_L1="Connector {name}" {attributes} MaximumDeletedLines="1"
             MaxPercentageInsertedLines="0" MaxPercentageUpdatedLines="0" MaxPercentageDeletedLines="0" />
  <Connection Identifier="{name}-File" Connector="{name}" DisplayName_L1="File" Package="Usercube.CSV@0000001" />
  <EntityType Identifier="{name}_Person" DisplayName_L1="Person of {name}">
    <Property Identifier="Key" DisplayName_L1="Key" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="Name" DisplayName_L1="Name" TargetColumnIndex="5" />
  </EntityType>
  <EntityTypeMapping Identifier="{name}_Person" Connector="{name}" ConnectionTable="{name}-File">
    <Property Identifier="Key" ConnectionColumn="key" IsPrimaryKey="true" />
    <Property Identifier="Name" ConnectionColumn="name" />
  </EntityTypeMapping>
"""


@dataclass
class Workshop:
    """Configuration, what the managed systems deliver, exchange and work folder.

    :param home: of all but the configuration, which lies beside the DAG file, in ``dags``.
    :param repository: URL of an empty database.
    """

    home: Path
    dags: Path
    repository: str

    @property
    def conf(self) -> Path:
        return self.dags / "conf"

    @property
    def work(self) -> Path:
        return self.home / "idm" / "work"

    @property
    def exchange(self) -> Path:
        return self.home / "idm" / "exchange"

    @property
    def places(self) -> dict[str, str]:
        """The extra of the Airflow connection."""
        return {"repository": self.repository, "exchange": str(self.exchange), "work": str(self.work)}

    def write(self, jobs: str, connectors: dict[str, str], broken: dict[str, str]) -> None:
        """Write the configuration.

        :param connectors: attributes by connector.
        :param broken: connector by further connection, whose file is never delivered.
        """
        for folder in (self.conf, self.work / "ExportOutput", self.exchange, self.home / "delivered"):
            folder.mkdir(parents=True)
        parts = [_CONNECTOR.format(name=name, attributes=text) for name, text in connectors.items()]
        parts += [
            f'  <Connection Identifier="{name}" Connector="{connector}" DisplayName_L1="{name}" '
            'Package="Usercube.CSV@0000001" />\n'
            for name, connector in broken.items()
        ]
        text = "".join(["<ConfigurationFile>\n", *parts, "</ConfigurationFile>\n"])
        (self.conf / "Connectors.xml").write_text(text, encoding="utf-8")
        (self.conf / "Jobs.xml").write_text(jobs, encoding="utf-8")
        names = [*(f"{name}-File" for name in connectors), *broken]
        settings = {name: {"Path": str(self.home / "delivered" / f"{name}.csv")} for name in names}
        (self.conf / "appsettings.agent.json").write_text(
            json.dumps({"Connections": settings}), encoding="utf-8"
        )

    def deliver(self, connector: str, persons: range) -> None:
        """Have a managed system deliver these persons, by number."""
        self._sources(self.home / "delivered", connector, persons)

    def export(self, connector: str, persons: range) -> None:
        """Write the source file itself."""
        self._sources(self.work / "ExportOutput", connector, persons)

    def store(self, connector: str, persons: range) -> None:
        """Have these persons stored already."""
        self.export(connector, persons)
        mappings = read_connector(self.conf, connector)[1]
        exchange = Exchange.open(str(self.exchange))
        prepare(
            PrepareRequest(
                mappings=mappings,
                mode=SynchronizationMode.INITIAL,
                sources=self.work / "ExportOutput",
                exchange=exchange,
                work=self.work,
            )
        )
        with Repository.open(self.repository) as repository:
            request = SynchronizeRequest(
                mappings=mappings, exchange=exchange, repository=repository, work=self.work
            )
            assert synchronize(request).state == "completed"

    def persons(self, connector: str) -> list[int]:
        """Return which persons are stored, by number."""
        mappings = read_connector(self.conf, connector)[1]
        with Repository.open(self.repository) as repository:
            keys = repository.query_entity_type(mappings, f"{connector}_Person")["Key"].to_pylist()
        return [int(key.removeprefix("P")) for key in keys]

    @staticmethod
    def _sources(folder: Path, connector: str, persons: range) -> None:
        text = "".join(["key,name\n", *(f"P{number},Person {number}\n" for number in persons)])
        (folder / f"{connector}-File.csv").write_text(text, encoding="utf-8")
