"""A lifelike connector, and the good export of its system: 400 persons, 20 organizations, who is a member of which.

The configuration writes no threshold, so that the defaults hold: 100 resources or 5 %, 1000 links or 5 %. Of these 420
resources and 1592 links that is more than 21 resources (a percentage) and more than 79 links.
"""

from __future__ import annotations

import csv
import io
import uuid
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration import connector_mappings, read_configuration

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.configuration import ConnectorMappings

CONNECTOR: Final = "HR"
PERSONS: Final = "HR-Persons"
ORGANIZATIONS: Final = "HR-Organizations"
MEMBERSHIPS: Final = "HR-Memberships"
RESOURCES: Final = 420
LINKS: Final = 1592

Rows = list[list[str]]
"""A table of text, the header first."""

CONFIGURATION: Final = """<?xml version="1.0" encoding="utf-8"?>
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="Human Resources" />
  <Connection Identifier="HR" Connector="HR" DisplayName_L1="Files" Package="Usercube.CSV@0000001" />

  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="EmployeeId" Type="String" TargetColumnIndex="4" IsKey="true" DisplayName_L1="Number" />
    <Property Identifier="Login" Type="String" TargetColumnIndex="5" DisplayName_L1="Login" />
    <Property Identifier="FirstName" Type="String" TargetColumnIndex="6" DisplayName_L1="First name" />
    <Property Identifier="LastName" Type="String" TargetColumnIndex="7" DisplayName_L1="Last name" />
    <Property Identifier="Title" Type="String" TargetColumnIndex="8" DisplayName_L1="Title" />
    <Property Identifier="Mail" Type="String" TargetColumnIndex="9" DisplayName_L1="E-mail" />
    <Property Identifier="City" Type="String" TargetColumnIndex="0" DisplayName_L1="City" />
    <Property Identifier="StartDate" Type="DateTime" TargetColumnIndex="10" DisplayName_L1="Start" />
    <Property Identifier="EndDate" Type="DateTime" TargetColumnIndex="11" DisplayName_L1="End" />
    <Property Identifier="IsExternal" Type="Bool" TargetColumnIndex="13" DisplayName_L1="External" />
    <Property Identifier="Level" Type="Int32" TargetColumnIndex="14" DisplayName_L1="Level" />
    <Property Identifier="Fte" Type="Double" TargetColumnIndex="15" DisplayName_L1="Full-time equivalent" />
    <Property Identifier="Badge" Type="Guid" TargetColumnIndex="16" DisplayName_L1="Badge" />
    <Property Identifier="Manager" Type="ForeignKey" TargetColumnIndex="128" DisplayName_L1="Manager" />
    <Property Identifier="Reports" Type="ForeignKey" DisplayName_L1="Reports" />
    <Property Identifier="Organizations" Type="ForeignKey" DisplayName_L1="Organizations" />
  </EntityType>
  <EntityType Identifier="Organization" DisplayName_L1="Organization">
    <Property Identifier="Code" Type="String" TargetColumnIndex="4" IsKey="true" DisplayName_L1="Code" />
    <Property Identifier="Name" Type="String" TargetColumnIndex="5" DisplayName_L1="Name" />
    <Property Identifier="Site" Type="String" TargetColumnIndex="6" DisplayName_L1="Site" />
    <Property Identifier="Members" Type="ForeignKey" DisplayName_L1="Members" />
  </EntityType>
  <EntityAssociation Identifier="Person_Manager" DisplayName_L1="Manager"
                     Property1="Person:Manager" Property2="Person:Reports" IsProperty2Collection="true" />
  <EntityAssociation Identifier="Person_Organization" DisplayName_L1="Organizations"
                     Property1="Person:Organizations" Property2="Organization:Members"
                     IsProperty1Collection="true" IsProperty2Collection="true" />

  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR-Persons">
    <Property Identifier="EmployeeId" ConnectionColumn="EmployeeId" IsPrimaryKey="true" />
    <Property Identifier="Login" ConnectionColumn="Login" IsUniqueKey="true" />
    <Property Identifier="FirstName" ConnectionColumn="FirstName" />
    <Property Identifier="LastName" ConnectionColumn="LastName" />
    <Property Identifier="Title" ConnectionColumn="Title" />
    <Property Identifier="Mail" ConnectionColumn="Mail" />
    <Property Identifier="City" ConnectionColumn="City" />
    <Property Identifier="StartDate" ConnectionColumn="StartDate" Format="Date" />
    <Property Identifier="EndDate" ConnectionColumn="EndDate" Format="Date" />
    <Property Identifier="IsExternal" ConnectionColumn="External" Format="Bool" />
    <Property Identifier="Level" ConnectionColumn="Level" />
    <Property Identifier="Fte" ConnectionColumn="Fte" />
    <Property Identifier="Badge" ConnectionColumn="Badge" Format="Guid" />
  </EntityTypeMapping>
  <EntityTypeMapping Identifier="Organization" Connector="HR" ConnectionTable="HR-Organizations">
    <Property Identifier="Code" ConnectionColumn="Code" IsPrimaryKey="true" />
    <Property Identifier="Name" ConnectionColumn="Name" />
    <Property Identifier="Site" ConnectionColumn="Site" />
  </EntityTypeMapping>
  <EntityAssociationMapping Identifier="Person_Manager" Connector="HR" ConnectionTable="HR-Persons"
                            Column1="EmployeeId" EntityPropertyMapping1="Person:EmployeeId"
                            Column2="ManagerId" EntityPropertyMapping2="Person:EmployeeId" />
  <EntityAssociationMapping Identifier="Person_Organization" Connector="HR" ConnectionTable="HR-Memberships"
                            Column1="Login" EntityPropertyMapping1="Person:Login"
                            Column2="Code" EntityPropertyMapping2="Organization:Code" />
</ConfigurationFile>
"""

_FIRST = [
    "Adélaïde",
    "Bob",
    "Chloé",
    "Davor",
    "Éloïse",
    "Frank",
    "Göran",
    "Hana",
    "Ольга",
    "Jon",
    "健太",
    "Lars",
    "Noël",
]
_LAST = [
    "Müller",
    "O'Brien",
    "Lefèvre",
    "Smith",
    "Núñez",
    "Dubois, Jr.",
    "Ångström",
    "Weber",
    'von "Hof" und Sohn',
]
_LAST += ["Papadopoulos", "Παππάς", "Jones; Sr.", "Žižek", "Rossi", "Żółć", "Kim", "Łukasz"]
_TITLES = ["", "Engineer", "Ingénieure", "", "Buyer", "Sachbearbeiter für Löhne", "Head of R&D"]
_CITIES = ["Paris", "Genève", "Zürich", "Lyon", "Malmö", "Köln", "Oslo", "São Paulo", "Rome", "Łódź", "Bern"]


def persons() -> Rows:
    """Return the 400 persons; a person's manager stands in its row, the first eight have none."""
    names = "EmployeeId Login FirstName LastName Title Mail City Remark StartDate EndDate External Level Fte Badge"
    return [[*names.split(), "ManagerId"], *map(_person, range(400))]


def _person(n: int) -> list[str]:
    return [
        employee_id(n),
        login(n),
        _FIRST[n % len(_FIRST)],
        _LAST[n % len(_LAST)],
        _TITLES[n % len(_TITLES)],
        f"p{n:03d}@example.org",
        _CITIES[n % len(_CITIES)],
        "two\nlines" if n == 390 else "",
        f"{1990 + n % 30}-{1 + n % 12:02d}-{1 + n % 28:02d}",
        "" if n % 4 else f"20{30 + n % 9}-{1 + n % 12:02d}-{1 + n % 7:02d}",
        "yes" if n % 5 == 0 else "no",
        str(1 + n % 9),
        ("1", "0.8", "0.5")[n % 3],
        str(uuid.UUID(int=0x1234567890ABCDEF0000 + n)),
        employee_id(n // 8 - 1) if n >= 8 else "",
    ]


def organizations() -> Rows:
    """Return the 20 organizations."""
    return [
        ["Code", "Name", "Site"],
        *([organization(n), f"Département {n}", _CITIES[n % len(_CITIES)]] for n in range(20)),
    ]


def memberships() -> Rows:
    """Return the 1200 memberships: three organizations of each person."""
    return [
        ["Login", "Code"],
        *([login(n), organization(n + offset)] for n in range(400) for offset in (0, 7, 13)),
    ]


def employee_id(n: int) -> str:
    """Return the key of person n: digits with leading zeros."""
    return f"{1001 + n * 250:07d}"


def login(n: int) -> str:
    """Return the unique key of person n."""
    return f"user{n:03d}"


def organization(n: int) -> str:
    """Return the key of organization n (of 20, counted round)."""
    return f"org-{n % 20:02d}"


def export() -> dict[str, Rows]:
    """Return the whole export by connection table."""
    return {PERSONS: persons(), ORGANIZATIONS: organizations(), MEMBERSHIPS: memberships()}


def as_csv(rows: Rows, separator: str) -> bytes:
    """Write a table: with commas as most programs do, with semicolons as Excel does (byte-order mark, CR LF)."""
    excel = separator == ";"
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="\r\n" if excel else "\n").writerows(rows)
    return text.getvalue().encode("utf-8-sig" if excel else "utf-8")


def write_export(folder: Path, separator: str = ",") -> None:
    """Write the good export."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in export().items():
        (folder / f"{table}.csv").write_bytes(as_csv(rows, separator))


def read_mappings(folder: Path) -> ConnectorMappings:
    """Write the configuration into a folder and resolve it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "HR.xml").write_text(CONFIGURATION, encoding="utf-8")
    return connector_mappings(read_configuration(folder), CONNECTOR)
