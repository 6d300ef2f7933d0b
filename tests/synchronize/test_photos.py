"""Binary properties that are kept as files."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.engine import open_engine
from airflow_provider_idm.synchronization.synchronize.source import read_clean_file
from tests.conftest import Databases
from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile
from tests.oracle.shapes import NO_THRESHOLDS, Property, Shape, Type
from tests.synchronize.conftest import make_tables

COLUMNS = ["Number", "Photo", "Badge"]


@dataclass(frozen=True)
class Staff(Shape):
    """Employees with two pictures; ``photo`` says whether the first one still has a mapping."""

    photo: bool = True

    def to_xml(self) -> str:
        mapped = '<Property Identifier="Photo" ConnectionColumn="photo" />' if self.photo else ""
        return f"""<ConfigurationFile>
            <Connector Identifier="Staff" DisplayName_L1="Staff" {NO_THRESHOLDS} />
            <Connection Identifier="Files" Connector="Staff" DisplayName_L1="Files" Package="Usercube.CSV@0000001" />
            <EntityType Identifier="Employee" DisplayName_L1="Employee">
              <Property Identifier="Number" DisplayName_L1="Number" Type="String" TargetColumnIndex="4" IsKey="true" />
              <Property Identifier="Photo" DisplayName_L1="Photo" Type="Binary" TargetColumnIndex="-1" />
              <Property Identifier="Badge" DisplayName_L1="Badge" Type="Binary" TargetColumnIndex="-1" />
            </EntityType>
            <EntityTypeMapping Identifier="Employee" Connector="Staff" ConnectionTable="employees">
              <Property Identifier="Number" ConnectionColumn="number" IsPrimaryKey="true" />
              {mapped}
              <Property Identifier="Badge" ConnectionColumn="badge" />
            </EntityTypeMapping>
            </ConfigurationFile>"""


EMPLOYEE = Type("Employee", "employees", (Property("Number", "number", 4, primary=True),))
STAFF = Staff("staff", (EMPLOYEE,), (), connector="Staff")
STAFF_WITHOUT_PHOTO = Staff("staff", (EMPLOYEE,), (), connector="Staff", photo=False)


def picture(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def hashed(content: str) -> str:
    return sha256(content.encode()).hexdigest()


ALL = {
    "Employee": CleanFile(
        COLUMNS,
        [
            ["1", picture("ada"), picture("A")],
            ["2", picture("alan"), ""],
            ["3", "", ""],
            ["4", "", picture("D")],
        ],
    )
}
CHANGES = {
    "Employee": CleanFile(
        ["command", *COLUMNS],
        [
            ["merge", "1", picture("ada, older"), ""],
            ["update", "2", "", picture("B")],
            ["update", "3", "", ""],
            ["delete", "4", "", ""],
            ["insert", "5", picture("tony"), ""],
        ],
    )
}
AFTER = [
    {"Number": "1", "Photo": picture("ada, older"), "Badge": picture("A")},
    {"Number": "2", "Photo": None, "Badge": picture("B")},
    {"Number": "3", "Photo": None, "Badge": None},
    {"Number": "5", "Photo": picture("tony"), "Badge": None},
]


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = databases.prepared(make_tables)
    yield made
    databases.drop(made)


@pytest.fixture
def harness(url: str, tmp_path: Path) -> Iterator[Harness]:
    made = Harness(STAFF, url, tmp_path)
    yield made
    made.close()


def employees(harness: Harness) -> list[dict[str, Any]]:
    return harness.repository.query_entity_type(harness.mappings, "Employee").to_pylist()


def test_photos_come_change_and_go(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(ALL, "Complete"))
    assert [(row["Number"], row["Photo"], row["Badge"]) for row in employees(harness)] == [
        tuple(value or None for value in line) for line in ALL["Employee"].lines
    ]

    result = harness.synchronize(batch=harness.publish(CHANGES, "Incremental"), do_not_delete_changes=True)

    counts = result.entity_types["Employee"]
    assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged) == (1, 2, 1, 1)
    assert employees(harness) == AFTER
    properties = {row["Id"]: row["Identifier"] for row in harness.table("UM_EntityProperties")}
    assert sorted(
        (row["R1_PK"], properties[row["Property_Id"]], row["ChangeOperation"], row["OldHash"], row["NewHash"])
        for row in harness.table("UR_ResourceFileChanges")
    ) == [
        ("1", "Photo", "update", hashed("ada"), hashed("ada, older")),
        ("2", "Badge", "insert", None, hashed("B")),
        ("2", "Photo", "delete", hashed("alan"), None),
        ("4", "Badge", "delete", hashed("D"), None),
        ("5", "Photo", "insert", None, hashed("tony")),
    ]
    harness.repository.set_recently_modified_flag()
    assert harness.dirty() == {("Employee", "1"), ("Employee", "2"), ("Employee", "5")}
    after = CleanFile(COLUMNS, [[row[name] or "" for name in COLUMNS] for row in AFTER])
    assert not harness.synchronize(batch=harness.publish({"Employee": after}, "Complete")).has_effect


def test_a_file_goes_with_its_resource_though_its_property_has_no_mapping_any_more(
    harness: Harness, url: str, tmp_path: Path
) -> None:
    harness.synchronize(batch=harness.publish(ALL, "Complete"))
    later = Harness(STAFF_WITHOUT_PHOTO, url, tmp_path)
    left = {"Employee": CleanFile(["Number", "Badge"], [["2", ""], ["4", picture("D")]])}

    later.synchronize(batch=later.publish(left, "Complete"))

    keys = {row["Id"]: row["PrimaryKey"] for row in later.table("UR_Resources")}
    files = later.table("UR_ResourceFiles")
    assert sorted((keys[row["Resource_Id"]], row["Content"]) for row in files) == [
        ("2", picture("alan")),  # untouched: nothing says what it should be
        ("4", picture("D")),
    ]
    later.synchronize(batch=later.publish({"Employee": CleanFile(["Number", "Badge"], [])}, "Complete"))
    assert later.table("UR_ResourceFiles") == []
    later.close()


def test_many_photos_pass_through_little_memory(harness: Harness) -> None:
    """Thirty of a megabyte each: a line holds one, and never all of them are in memory."""
    chance = random.Random(1)
    photos = {f"{n:02}": picture(chance.randbytes(1_000_000)) for n in range(30)}
    lines = [[number, photo, ""] for number, photo in photos.items()]

    harness.synchronize(
        batch=harness.publish({"Employee": CleanFile(COLUMNS, lines)}, "Complete"), memory_limit="300MB"
    )

    stored = {row["Hash"]: len(row["Content"]) for row in harness.table("UR_ResourceFiles")}
    assert stored == {sha256(base64.b64decode(photo)).hexdigest(): len(photo) for photo in photos.values()}
    lines[7][1] = picture("another")
    delta = {"Employee": CleanFile(["command", *COLUMNS], [["update", *line] for line in lines])}
    result = harness.synchronize(batch=harness.publish(delta, "Incremental"), memory_limit="300MB")
    assert (result.entity_types["Employee"].updated, result.entity_types["Employee"].unchanged) == (1, 29)


def test_a_file_larger_than_the_memory_is_read(tmp_path: Path) -> None:
    """What is read ahead does not grow with the longest line there may be."""
    path, photo, rows = tmp_path / "photos.csv", picture(bytes(750_000)), 320
    with path.open("w") as file:
        file.write("Number,Photo\n")
        file.writelines(f"{number},{photo}\n" for number in range(rows))
    try:
        with open_engine(tmp_path, "300MB", threads=1) as duck:
            source = read_clean_file(path, ["Number", "Photo"], long_lines=True)
            read = duck.execute(f'SELECT count(*), sum(length("Photo")) FROM {source}').fetchall()
    finally:
        path.unlink()
    assert read == [(rows, rows * len(photo))]
