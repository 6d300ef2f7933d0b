"""What one connector's synchronization needs, resolved from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import ConnectorMappings, connector_mappings, read_configuration
from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.configuration.mappings import MappedProperty
from airflow_provider_idm.configuration.model import Format, Thresholds
from airflow_provider_idm.errors import ConfigurationError
from tests.configuration.texts import RIGHT, changed, check, write


def resolve(folder: Path, text: str = RIGHT, connector: str = "HR") -> ConnectorMappings:
    return connector_mappings(read_configuration(write(folder, c=text)), connector)


def test_entity_types_have_their_read_properties_in_mapping_order(tmp_path: Path) -> None:
    person = resolve(tmp_path, connector="hr").entity_type("PERSON")

    assert person.table == "HR_Persons"
    assert person.properties == (
        MappedProperty(
            "Code", PropertyType.STRING, None, "code", "C4", 442, is_primary_key=True, unique_key=None
        ),
        MappedProperty(
            "Mail", PropertyType.STRING, None, "mail", "C5", 442, is_primary_key=False, unique_key=0
        ),
        MappedProperty(
            "Flags",
            PropertyType.INT32,
            Format(FormatName.INT32),
            "flags",
            "C6",
            442,
            is_primary_key=False,
            unique_key=None,
        ),
        MappedProperty(
            "Disabled",
            PropertyType.BOOL,
            Format(FormatName.BIT, bit_property="Flags", bit=1),
            None,
            "C7",
            442,
            is_primary_key=False,
            unique_key=None,
        ),
        MappedProperty(
            "Photo",
            PropertyType.BINARY,
            Format(FormatName.BINARY),
            "photo",
            None,
            None,
            is_primary_key=False,
            unique_key=None,
        ),
    )


def test_a_long_column_holds_4000_characters_but_a_key_in_it_442(tmp_path: Path) -> None:
    long = changed('"Mail" TargetColumnIndex="5"', '"Mail" TargetColumnIndex="0"')

    as_key = resolve(tmp_path, long).entity_type("Person").find_property("Mail")
    alone = resolve(
        tmp_path,
        long.replace('IsUniqueKey="true"', "").replace("Person:Mail", "Person:Code"),
    )

    assert (as_key.column, as_key.max_length) == ("C0", 442)
    assert alone.entity_type("Person").find_property("Mail").max_length == 4000


def test_names_are_those_of_the_metadata_in_whatever_case_the_mapping_writes_them(tmp_path: Path) -> None:
    text = RIGHT.replace(
        'Property Identifier="Code" ConnectionColumn', 'Property Identifier="CODE" ConnectionColumn'
    )
    text = text.replace("Bit:Flags:1", "bit:FLAGS:1").replace(
        'TypeMapping Identifier="Person"', 'TypeMapping Identifier="person"'
    )

    person = resolve(tmp_path, text).entity_type("Person")

    assert (person.identifier, person.primary_key.identifier) == ("Person", "Code")
    assert person.find_property("Disabled").format == Format(FormatName.BIT, bit_property="Flags", bit=1)


def test_a_mono_valued_association_of_an_entity_types_own_table(tmp_path: Path) -> None:
    association = resolve(tmp_path).association("Person_Organization")

    assert (association.table, association.column1, association.column2) == ("HR_Persons", "code", "org")
    assert (association.key1.entity_type, association.key1.key.identifier, association.key1.column) == (
        "Person",
        "Code",
        "PrimaryKey",
    )
    assert (association.navigation1, association.navigation2) == ("I40", None)
    assert (association.mono1, association.mono2) == (True, False)
    assert association.owner == 1
    assert not association.has_link_table


def test_a_multi_valued_association_of_a_table_of_its_own(tmp_path: Path) -> None:
    association = resolve(tmp_path).association("Members")

    assert (association.key1.key.identifier, association.key1.column) == ("Mail", "U0")
    assert (association.mono1, association.mono2, association.owner) == (False, False, None)
    assert association.has_link_table


@pytest.mark.parametrize(
    ("old", "new", "owner"),
    [
        ('Column1="code" Column2="org"', 'Column1="chief" Column2="org"', None),
        ('ConnectionTable="HR_Persons" Column1="code"', 'ConnectionTable="hr_persons" Column1="code"', None),
        (
            'ConnectionTable="HR_Persons" Column1="code" Column2="org"',
            'ConnectionTable="HR_Organizations.csv" Column1="chief" Column2="number"',
            2,
        ),
    ],
    ids=["by another column", "table in another case", "of side 2"],
)
def test_an_association_belongs_to_the_entity_whose_row_and_key_it_reads(
    tmp_path: Path, old: str, new: str, owner: int | None
) -> None:
    assert resolve(tmp_path, changed(old, new)).association("Person_Organization").owner == owner


def test_an_association_that_both_sides_could_own_is_side_1s(tmp_path: Path) -> None:
    text = """\
<Connector Identifier="HR"/>
<EntityType Identifier="P">
  <Property Identifier="A" TargetColumnIndex="4"/><Property Identifier="B" TargetColumnIndex="5"/>
  <Property Identifier="Next" TargetColumnIndex="152"/><Property Identifier="Former"/>
</EntityType>
<EntityAssociation Identifier="Chain" Property1="P:Former" Property2="P:Next"/>
<EntityTypeMapping Identifier="P" Connector="HR" ConnectionTable="T">
  <Property Identifier="A" ConnectionColumn="a" IsPrimaryKey="1"/>
  <Property Identifier="B" ConnectionColumn="b" IsUniqueKey="1"/>
</EntityTypeMapping>
<EntityAssociationMapping Identifier="Chain" Connector="HR" ConnectionTable="T" Column1="a" Column2="b"
  EntityPropertyMapping1="P:A" EntityPropertyMapping2="P:B"/>
"""

    association = resolve(tmp_path, text).association("Chain")

    assert (association.owner, association.navigation1, association.navigation2) == (1, None, "I4O")
    assert (association.mono1, association.mono2) == (True, True)


def test_thresholds_of_a_connector_have_defaults_and_those_of_mappings_are_off(tmp_path: Path) -> None:
    mappings = resolve(tmp_path)

    assert mappings.connector.resource_thresholds == Thresholds(100, 100, 100, 5, 5, 5)
    assert mappings.connector.link_thresholds == Thresholds(1000, 0, 1000, 5, 0, 5)
    assert mappings.entity_type("Person").thresholds == Thresholds()
    assert mappings.association("Members").thresholds == Thresholds()


def test_thresholds_are_read_by_every_spelling(tmp_path: Path) -> None:
    text = changed(
        '<Connector Identifier="HR"',
        '<Connector MaximumInsertedLines="0" MaxPercentageUpdatedLines="2.5" MaximumLinkInsertedLines="7" '
        'MaxLinkPercentageDeletedLines="0" Identifier="HR"',
    )
    text = text.replace(
        'ConnectionTable="HR_Persons.csv"', 'ConnectionTable="HR_Persons" MaximumUpdatedLines="3"'
    )
    text = text.replace(
        'ConnectionTable="HR_Members"',
        'ConnectionTable="HR_Members" MaximumLinkDeletedLines="4" MaxPercentageInsertedLines="50"',
    )

    mappings = resolve(tmp_path, text)

    assert mappings.connector.resource_thresholds == Thresholds(0, 100, 100, 5, 2.5, 5)
    assert mappings.connector.link_thresholds == Thresholds(7, 0, 1000, 5, 0, 0)
    assert mappings.entity_type("Person").thresholds == Thresholds(maximum_updated_lines=3)
    assert mappings.association("Members").thresholds == Thresholds(
        maximum_deleted_lines=4, max_percentage_inserted_lines=50
    )


def test_metadata_holds_everything_that_the_mappings_name(tmp_path: Path) -> None:
    mappings = resolve(tmp_path)

    assert [e.identifier for e in mappings.metadata] == ["Organization", "Person"]
    assert len(mappings.metadata[1].properties) == 7
    assert [a.identifier for a in mappings.association_metadata] == ["Members", "Person_Organization"]


def test_an_unknown_connector_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no connector HRR; did you mean HR\?$"):
        resolve(tmp_path, connector="HRR")


def test_a_connector_whose_mappings_are_wrong_is_refused(tmp_path: Path) -> None:
    configuration = check(
        tmp_path, c=changed('Format="Int32"', 'Format="Int23"'), d='<Connector Identifier="AD"/>'
    )

    assert connector_mappings(configuration, "AD").entity_types == ()
    with pytest.raises(ConfigurationError, match=r'^c.xml:24: Property Flags: Format="Int23"'):
        connector_mappings(configuration, "HR")


def test_a_mapping_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    configuration = check(tmp_path, c=RIGHT.replace("Organization:Number", "Organization:Numbr"))

    with pytest.raises(ConfigurationError, match=r"^c.xml:32: "):
        connector_mappings(configuration, "HR")


MATTERS: dict[str, tuple[str, str]] = {
    "type": ('"Flags" Type="Int32"', '"Flags" Type="Int64"'),
    "index": ('"Mail" TargetColumnIndex="5"', '"Mail" TargetColumnIndex="9"'),
    "table": ("HR_Persons.csv", "HR_People.csv"),
    "column": ('ConnectionColumn="mail"', 'ConnectionColumn="email"'),
    "format": ('ConnectionColumn="flags" Format="Int32"', 'ConnectionColumn="flags"'),
    "bit": ("Bit:Flags:1", "Bit:Flags:2"),
    "key": ('EntityPropertyMapping1="Person:Mail"', 'EntityPropertyMapping1="Person:Code"'),
    "association's column": ('Column1="mail" Column2="org"', 'Column1="mail" Column2="organization"'),
    "navigation column": ('TargetColumnIndex="128"', 'TargetColumnIndex="129"'),
    "collection": ('IsProperty1Collection="1"', ""),
}
DOES_NOT_MATTER: dict[str, Callable[[str], str]] = {
    "display name": lambda text: text.replace('DisplayName_L1="Person"', 'DisplayName_L1="Personne"'),
    "threshold": lambda text: text.replace('Agent="Local"', 'Agent="Local" MaximumDeletedLines="3"'),
    "agent": lambda text: text.replace('Agent="Local" />', "/>"),
    "place": lambda text: "\n\n" + text,
    "order of elements": lambda text: "\n".join([*text.splitlines()[19:], *text.splitlines()[:19]]),
    "case of references": lambda text: text.replace('"Person:', '"PERSON:').replace(
        'Connector="HR"', 'Connector="hr"'
    ),
    "property that is not read": lambda text: text.replace('  <Property Identifier="Organization" />\n', ""),
    "csv": lambda text: text.replace("HR_Persons.csv", "HR_Persons"),
}


@pytest.mark.parametrize(("old", "new"), MATTERS.values(), ids=MATTERS.keys())
def test_the_fingerprint_changes_with_what_clean_files_mean(tmp_path: Path, old: str, new: str) -> None:
    assert resolve(tmp_path / "b", changed(old, new)).fingerprint != resolve(tmp_path / "a").fingerprint


@pytest.mark.parametrize("change", DOES_NOT_MATTER.values(), ids=DOES_NOT_MATTER.keys())
def test_the_fingerprint_does_not_change_with_anything_else(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    text = change(RIGHT)

    assert text != RIGHT
    assert resolve(tmp_path / "b", text).fingerprint == resolve(tmp_path / "a").fingerprint
