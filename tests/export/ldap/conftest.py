"""A directory for all tests of a worker, and how to export it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import check_configuration
from airflow_provider_idm.synchronization.export import ExportRequest, ExportResult, export_connection
from tests.export.ldap import company
from tests.export.ldap.slapd import PASSWORD, READER, SUFFIX, Slapd, executable

MISSING = "slapd (OpenLDAP's server; Debian: apt-get install slapd) is not installed"


@pytest.fixture(scope="session")
def people() -> list[company.Member]:
    return company.company()


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory, people: list[company.Member]) -> Iterator[Slapd]:
    """Give a running server with the company."""
    if executable() is None:
        pytest.skip(MISSING)
    server = Slapd(tmp_path_factory.mktemp("slapd"), [person.entry for person in people])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_directory(tmp_path: Path) -> Iterator[Callable[..., Slapd]]:
    """Give a maker of servers that a test may harm."""
    if executable() is None:
        pytest.skip(MISSING)
    made: list[Slapd] = []

    def make(entries: list[company.Member], **options: Any) -> Slapd:
        server = Slapd(tmp_path / f"slapd{len(made)}", [entry.entry for entry in entries], **options)
        server.start()
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()


class Office:
    """A folder with a configuration, settings and an export folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "Conf"
        self.output = folder / "ExportOutput"
        self.conf.mkdir()
        self.configure()

    def configure(self, xml: str = "") -> None:
        (self.conf / "company.xml").write_text(xml or company.configuration(), encoding="utf-8")

    def settings(self, server: Slapd | None = None, **changes: Any) -> dict[str, Any]:
        """Return the settings of an account that may read all of a server."""
        own = {
            "Server": server.url if server else "ldap://127.0.0.1:1",
            "BaseDN": SUFFIX,
            "Login": READER,
            "Password": PASSWORD,
            "Filter": "(|(objectClass=organizationalUnit)(objectClass=person)(objectClass=groupOfNames))",
        } | changes
        return {name: value for name, value in own.items() if value is not None}

    def export(
        self, settings: dict[str, Any], *, given: dict[str, Any] | None = None, incremental: bool = False
    ) -> ExportResult:
        content = json.dumps({"Connections": {"Directory": settings}})
        (self.conf / "appsettings.agent.json").write_text(content)
        return export_connection(
            ExportRequest(
                configuration=check_configuration(self.conf),
                connection="Directory",
                output=self.output,
                settings=given,
                incremental=incremental,
            )
        )

    def read(self, table: str) -> list[list[str]]:
        """Return the rows of a source file, the header first."""
        with (self.output / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    def content(self) -> dict[str, bytes]:
        """Return every file in the export folder, hidden ones too."""
        return {path.name: path.read_bytes() for path in sorted(self.output.rglob("*")) if path.is_file()}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)
