"""Columns of views have the types of their properties, as far as the database has them; nothing stored breaks a view."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import Databases
from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile
from tests.oracle.shapes import NO_THRESHOLDS, Property, Shape, Type
from tests.repository.plain import connect
from tests.synchronize.conftest import make_tables

TYPES = {
    "Number": "Int32",
    "Text": "String",
    "Tiny": "Byte",
    "Small": "Int16",
    "Big": "Int64",
    "Real": "Double",
    "Flag": "Bool",
    "Moment": "DateTime",
    "Unique": "Guid",
    "Key": "Bytes",
    "Photo": "Binary",
}
"""Properties of a device by their types; the first one is its primary key, the last one is kept as a file."""
DEVICE = Type("Device", "devices", (Property("Number", "Number", 4, primary=True),))


@dataclass(frozen=True)
class Devices(Shape):
    """Devices, each with another one that it stands beside and others that it is wired to; and notes.

    :param type_of_lines: the type of what is written in notes.
    """

    type_of_lines: str = "String"

    def to_xml(self) -> str:
        device = [
            (name, kind, -1 if name == "Photo" else 4 + n) for n, (name, kind) in enumerate(TYPES.items())
        ]
        note = [("Title", "String", 4), *((f"Line{n}", self.type_of_lines, 4 + n) for n in range(1, 10))]
        return f"""<ConfigurationFile>
            <Connector Identifier="HR" DisplayName_L1="HR" {NO_THRESHOLDS} />
            <EntityType Identifier="Device" DisplayName_L1="Device">
              {_properties(device)}
              <Property Identifier="Beside" DisplayName_L1="Beside" Type="ForeignKey" TargetColumnIndex="128" />
              <Property Identifier="BesideOf" DisplayName_L1="BesideOf" Type="ForeignKey" />
              <Property Identifier="Wired" DisplayName_L1="Wired" Type="ForeignKey" />
              <Property Identifier="WiredTo" DisplayName_L1="WiredTo" Type="ForeignKey" />
            </EntityType>
            <EntityTypeMapping Identifier="Device" Connector="HR" ConnectionTable="devices">
              {_mapped(device)}
            </EntityTypeMapping>
            <EntityAssociation Identifier="Beside" DisplayName_L1="Beside" Property1="Device:Beside"
                               Property2="Device:BesideOf" IsProperty2Collection="true" />
            <EntityAssociationMapping Identifier="Beside" Connector="HR" ConnectionTable="beside"
                Column1="a" EntityPropertyMapping1="Device:Number" Column2="b" EntityPropertyMapping2="Device:Number" />
            <EntityAssociation Identifier="Wires" DisplayName_L1="Wires" Property1="Device:Wired"
                               Property2="Device:WiredTo" IsProperty1Collection="true" IsProperty2Collection="true" />
            <EntityAssociationMapping Identifier="Wires" Connector="HR" ConnectionTable="wires"
                Column1="a" EntityPropertyMapping1="Device:Number" Column2="b" EntityPropertyMapping2="Device:Number" />
            <EntityType Identifier="Note" DisplayName_L1="Note">
              {_properties(note)}
            </EntityType>
            <EntityTypeMapping Identifier="Note" Connector="HR" ConnectionTable="notes">
              {_mapped(note)}
            </EntityTypeMapping>
            </ConfigurationFile>"""


def _properties(properties: Sequence[tuple[str, str, int]]) -> str:
    return "".join(
        f'<Property Identifier="{name}" DisplayName_L1="{name}" Type="{kind}" TargetColumnIndex="{index}" />'
        for name, kind, index in properties
    )


def _mapped(properties: Sequence[tuple[str, str, int]]) -> str:
    return "".join(
        f'<Property Identifier="{name}" ConnectionColumn="{name}" IsPrimaryKey="{str(n == 0).lower()}" />'
        for n, (name, _, _) in enumerate(properties)
    )


DEVICES = Devices("devices", (DEVICE,), ())
GUID = "0123456789abcdef0123456789abcdef"
BLOB = base64.b64encode(bytes(range(256))).decode()
FULL = [
    "7",
    "50% 'x'",
    "255",
    "-32768",
    "9223372036854775807",
    "-1.5e-07",
    "1",
    "20240229235959",
    GUID,
    "AP8=",
    BLOB,
]
LEAST = [
    "-8",
    "n",
    "0",
    "32767",
    "-9223372036854775808",
    "5e-324",
    "0",
    "00010101000000",
    "f" * 32,
    "YQ==",
    "YWI=",
]
MOST = ["9", "é", "1", "0", "0", "1.7976931348623157e+308", "1", "99991231235959", "0" * 32, "YWJj", "AA=="]
EMPTY = ["10", *[""] * 10]
NOTES = [
    "999999999999",
    "20240230000000",
    "1e999",
    "x",
    "=",
    "-",
    "99999999999999999999",
    "00000101000000",
    "A",
    "1-2",
]


@pytest.fixture
def harness(databases: Databases, tmp_path: Path) -> Iterator[Harness]:
    url = databases.prepared(make_tables)
    made = Harness(DEVICES, url, tmp_path)
    files = {
        "Device": CleanFile(list(TYPES), [FULL, LEAST, MOST, EMPTY]),
        "Note": CleanFile(["Title", *(f"Line{n}" for n in range(1, 10))], [NOTES]),
        "Beside": CleanFile(["key1", "key2"], [["7", "10"]]),
        "Wires": CleanFile(["key1", "key2"], [["7", "-8"], ["7", "9"]]),
    }
    made.synchronize(batch=made.publish(files, "Complete"))
    made.repository.create_views([made.mappings])
    yield made
    made.close()
    databases.drop(url)


def asked(harness: Harness, query: str) -> list[tuple[Any, ...]]:
    with connect(harness.url) as connection:
        if not harness.url.startswith("sqlite"):
            connection.exec_driver_sql("SET TimeZone = 'America/New_York'")
        return [tuple(row) for row in connection.execute(sa.text(query))]


COLUMNS = ", ".join(f'"{name}"' for name in TYPES)


def test_every_type(harness: Harness) -> None:
    found = asked(harness, f'SELECT {COLUMNS} FROM "zz_Device" ORDER BY "Number"')

    if harness.url.startswith("sqlite"):
        assert found == [
            (-8, "n", 0, 32767, -(2**63), 5e-324, 0, "0001-01-01 00:00:00", "f" * 32, "YQ==", "YWI="),
            (
                *(7, "50% 'x'", 255, -32768, 2**63 - 1, -1.5e-07, 1),
                *("2024-02-29 23:59:59", GUID, "AP8=", BLOB),
            ),
            (9, "é", 1, 0, 0, 1.7976931348623157e308, 1, "9999-12-31 23:59:59", "0" * 32, "YWJj", "AA=="),
            (10, *[None] * 10),
        ]
        assert {type(value) for row in found for value in row} == {int, str, float, type(None)}
    else:
        assert found == [
            (
                *(-8, "n", 0, 32767, -(2**63), 5e-324, False, datetime(1, 1, 1)),  # noqa: DTZ001
                *(uuid.UUID("f" * 32), b"a", b"ab"),
            ),
            (
                *(7, "50% 'x'", 255, -32768, 2**63 - 1, -1.5e-07, True, datetime(2024, 2, 29, 23, 59, 59)),  # noqa: DTZ001
                *(uuid.UUID(GUID), b"\0\xff", bytes(range(256))),
            ),
            (
                *(9, "é", 1, 0, 0, 1.7976931348623157e308, True, datetime(9999, 12, 31, 23, 59, 59)),  # noqa: DTZ001
                *(uuid.UUID(int=0), b"abc", b"\0"),
            ),
            (10, *[None] * 10),
        ]
        types = "SELECT DISTINCT " + ", ".join(f"pg_typeof({name})::text" for name in COLUMNS.split(", "))
        assert asked(harness, f'{types} FROM "zz_Device"') == [
            (
                *(
                    "integer",
                    "character varying",
                    "smallint",
                    "smallint",
                    "bigint",
                    "double precision",
                    "boolean",
                ),
                *("timestamp without time zone", "uuid", "bytea", "bytea"),
            )
        ]


def test_keys_of_what_is_referred_to_have_the_type_of_that_key(harness: Harness) -> None:
    beside = 'SELECT a."Number", b."Number" FROM "zz_Device" a JOIN "zz_Device" b ON b."Number" = a."Beside"'
    assert asked(harness, beside) == [(7, 10)]
    wires = 'SELECT key1, key2 FROM "zz_Wires" ORDER BY 2'
    assert asked(harness, wires) == [(7, -8), (7, 9)]


@pytest.mark.parametrize(
    "condition",
    [
        '"Number" > 5 AND "Tiny" < 300',
        """"Moment" > '2000-01-01'""",
        '"Real" <> 0',
        '"Key" IS NULL OR "Photo" IS NOT NULL',
        '"Unique" IS NOT NULL OR "Flag" IS NOT NULL',
        '"Small" * 2 > -100000',
    ],
)
def test_what_other_entity_types_hold_breaks_no_condition(harness: Harness, condition: str) -> None:
    """The database may look at a column before it knows that the row is of another entity type."""
    assert asked(harness, f'SELECT "Number" FROM "zz_Device" WHERE {condition}')


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("Byte", {}),
        ("Int16", {}),
        ("Int32", {}),
        ("Int64", {1: 20240230000000}),
        ("Double", {1: 20240230000000.0, 6: 1e20}),
        ("Bool", {}),
        ("DateTime", {}),
        ("Guid", {}),
        ("Bytes", {6: base64.b64decode(NOTES[6])}),
    ],
)
def test_what_is_no_value_of_a_type_is_not_shown(
    harness: Harness, tmp_path: Path, kind: str, shown: dict[int, Any]
) -> None:
    """Texts that were stored before the configuration changed the properties' type."""
    changed = replace(DEVICES, type_of_lines=kind)
    harness.repository.create_views([changed.mappings(tmp_path / "changed")])
    expected = tuple(shown.get(n) for n in range(1, 10))
    if harness.url.startswith("sqlite") and kind in {"Guid", "Bytes"}:
        expected = tuple(NOTES[1:])  # text there

    lines = ", ".join(f'"Line{n}"' for n in range(1, 10))
    assert asked(harness, f'SELECT {lines} FROM "zz_Note"') == [expected]
