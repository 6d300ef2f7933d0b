"""One thing wrong, one message: every rule about connectors, metadata and mappings, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configuration.texts import RIGHT, changed, problems


def test_a_right_configuration_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, c=RIGHT) == []


ATTRIBUTES = {
    "required attribute missing": (
        'Connector="HR" DisplayName_L1="HR" Package',
        'DisplayName_L1="HR" Package',
        ["c.xml:4: Connection HR: the required attribute Connector is missing"],
    ),
    "required attribute empty": (
        'Package="Usercube.CSV@0000001"',
        'Package=""',
        ["c.xml:4: Connection HR: the required attribute Package is missing"],
    ),
    "unknown attribute": (
        'URI="https://agent.example"',
        'Uri="https://agent.example"',
        ["c.xml:2: warning: Agent Local: the unknown attribute Uri is ignored; did you mean URI?"],
    ),
    "seventeenth language": (
        'URI="https://agent.example"',
        'DisplayName_L16="L" DisplayName_L17="L"',
        [
            (
                "c.xml:2: warning: Agent Local: the unknown attribute DisplayName_L17 is ignored; "
                "did you mean DisplayName_L1?"
            )
        ],
    ),
    "boolean": (
        'Connector Identifier="HR"',
        'Connector IsDeactivated="yes" Identifier="HR"',
        ['c.xml:3: Connector HR: IsDeactivated="yes": expected true, false, 1 or 0'],
    ),
    "enumeration by an unknown name": (
        'Connector Identifier="HR"',
        'Connector CompleteJob="NotUse" Identifier="HR"',
        [
            (
                'c.xml:3: Connector HR: CompleteJob="NotUse": expected one of Used (0), NotUsed (1), '
                "OnlySynchronization (2), OnlyProvisioning (3); did you mean NotUsed?"
            )
        ],
    ),
    "enumeration by an unknown number": (
        'Connection Identifier="HR"',
        'Connection DeactivationExportFulfill="3" Identifier="HR"',
        [
            'c.xml:4: Connection HR: DeactivationExportFulfill="3": expected one of None (0), Export (1), Fulfill (2)'
        ],
    ),
    "whole number": (
        'Connector Identifier="HR"',
        'Connector MaximumLinkDeletedLines="-1" Identifier="HR"',
        ['c.xml:3: Connector HR: MaximumLinkDeletedLines="-1": expected a whole number, 0 or more'],
    ),
    "number": (
        'Connector Identifier="HR"',
        'Connector MaxPercentageDeletedLines="5 %" Identifier="HR"',
        ['c.xml:3: Connector HR: MaxPercentageDeletedLines="5 %": expected a number, 0 or more'],
    ),
    "identifier that names a folder": (
        '<EntityType Identifier="Organization">',
        '<EntityType Identifier="../../Person"/><EntityType Identifier="Organization">',
        [
            (
                'c.xml:14: EntityType ../../Person: Identifier="../../Person": expected a name that a file can have: at '
                'most 200 bytes, none of < > : " / \\ | ? *, no dot at either end'
            ),
        ],
    ),
    "connection identifier": (
        'Connection Identifier="HR"',
        'Connection Identifier="HR_1"',
        [
            "c.xml:4: Connection HR_1: Identifier=\"HR_1\": expected a letter first, then letters, digits, '.' and '-'"
        ],
    ),
    "property identifier": (
        'Identifier="Photo" Type="Binary"',
        'Identifier="1Photo" Type="Binary"',
        [
            "c.xml:10: Property 1Photo: Identifier=\"1Photo\": expected a letter first, then letters, digits and '_'",
            "c.xml:26: EntityTypeMapping Person: the entity type Person has no property Photo; did you mean 1Photo?",
        ],
    ),
    "property named Id": (
        'Identifier="Number" Type="Int64" TargetColumnIndex="4"',
        'Identifier="Number" Type="Int64" TargetColumnIndex="4"/><Property Identifier="ID" TargetColumnIndex="5"',
        ['c.xml:15: Property ID: Identifier="ID": expected another name: Id is the resource\'s own number'],
    ),
    "one limit under two names": (
        'ConnectionTable="HR_Members"',
        'ConnectionTable="HR_Members" MaximumDeletedLines="1" MaximumLinkDeletedLines="2"',
        [
            (
                "c.xml:33: EntityAssociationMapping Members: MaximumDeletedLines and MaximumLinkDeletedLines are the "
                "same limit: keep one"
            )
        ],
    ),
    "transformation": (
        'Package="Usercube.CSV@0000001" />',
        'Package="P"><Transformation Type="Where" Table="HR_x" MinYear="0" AddedDays="-1.5"/></Connection>',
        [
            'c.xml:4: Transformation: MinYear="0": expected a whole number, 1 to 9999',
            (
                'c.xml:4: Transformation: Type="Where": expected one of ConcatColumns (0), TransformDate (1), '
                "WhereValue (2); did you mean WhereValue?"
            ),
        ],
    ),
}

REFERENCES = {
    "agent of a connector": (
        'Agent="Local" />',
        'Agent="Locl" />',
        ["c.xml:3: Connector HR: there is no Agent Locl; did you mean Local?"],
    ),
    "connector of a connection": (
        'Connector="HR" DisplayName_L1="HR" Package',
        'Connector="HX" Package',
        ["c.xml:4: Connection HR: there is no Connector HX; did you mean HR?"],
    ),
    "entity type of an association": (
        'Property1="Person:Groups"',
        'Property1="Persn:Groups"',
        [
            "c.xml:20: EntityAssociation Members: Property1: there is no EntityType Persn; did you mean Person?"
        ],
    ),
    "property of an association": (
        'Property1="Person:Groups"',
        'Property1="Person:Group"',
        [
            (
                "c.xml:20: EntityAssociation Members: Property1: the entity type Person has no property Group; "
                "did you mean Groups?"
            )
        ],
    ),
    "reference without a property": (
        'Property1="Person:Groups"',
        'Property1="Groups"',
        ['c.xml:20: EntityAssociation Members: Property1="Groups": expected EntityType:Property'],
    ),
    "entity type of a mapping": (
        '<EntityTypeMapping Identifier="Organization" Connector="HR" ConnectionTable="HR_Organizations">',
        '<EntityTypeMapping Identifier="Organisation" Connector="HR" ConnectionTable="HR_Organizations">',
        [
            "c.xml:29: EntityTypeMapping Organisation: there is no EntityType Organisation; did you mean Organization?",
            (
                "c.xml:32: EntityAssociationMapping Person_Organization: EntityPropertyMapping2: there is no "
                "EntityTypeMapping Organization; did you mean Organisation?"
            ),
            (
                "c.xml:33: EntityAssociationMapping Members: EntityPropertyMapping2: there is no "
                "EntityTypeMapping Organization; did you mean Organisation?"
            ),
        ],
    ),
    "property of a mapping": (
        '<Property Identifier="Photo" ConnectionColumn',
        '<Property Identifier="Phot" ConnectionColumn',
        [
            "c.xml:26: EntityTypeMapping Person: the entity type Person has no property Phot; did you mean Photo?"
        ],
    ),
    "association of a mapping": (
        'AssociationMapping Identifier="Members"',
        'AssociationMapping Identifier="Member"',
        [
            "c.xml:33: EntityAssociationMapping Member: there is no EntityAssociation Member; did you mean Members?"
        ],
    ),
    "key of an association mapping": (
        'EntityPropertyMapping1="Person:Mail"',
        'EntityPropertyMapping1="Person:Mial"',
        [
            (
                "c.xml:33: EntityAssociationMapping Members: EntityPropertyMapping1: the EntityTypeMapping Person has "
                "no property Mial; did you mean Mail?"
            )
        ],
    ),
    "key of another connector": (
        '<Connector Identifier="HR" DisplayName_L1="HR" Agent="Local" />\n',
        '<Connector Identifier="HR" /><Connector Identifier="AD" />\n',
        [],
    ),
    "connection of a table": (
        '<EntityType Identifier="Organization">',
        '<ConnectionTable Identifier="HR_x" Connection="HRR" Anything="kept"/><EntityType Identifier="Organization">',
        ["c.xml:14: ConnectionTable HR_x: there is no Connection HRR; did you mean HR?"],
    ),
    "column that a table does not have": (
        '<EntityType Identifier="Organization">',
        (
            '<ConnectionTable Identifier="HR_Members"><Column Identifier="mail"/><Column Identifier="organization"/>'
            '</ConnectionTable><EntityType Identifier="Organization">'
        ),
        [
            "c.xml:33: warning: EntityAssociationMapping Members: the ConnectionTable HR_Members has no column org"
        ],
    ),
}

METADATA = {
    "two properties in one column": (
        'Identifier="Mail" TargetColumnIndex="5"',
        'Identifier="Mail" TargetColumnIndex="4"',
        ["c.xml:7: Property Person:Mail: TargetColumnIndex 4 is already that of Code (c.xml:6)"],
    ),
    "index beyond the last": (
        'Identifier="Mail" TargetColumnIndex="5"',
        'Identifier="Mail" TargetColumnIndex="153"',
        ['c.xml:7: Property Mail: TargetColumnIndex="153": expected a whole number, -1 to 152'],
    ),
    "scalar without a column": (
        'Identifier="Mail" TargetColumnIndex="5"',
        'Identifier="Mail"',
        [
            (
                "c.xml:7: Property Person:Mail: TargetColumnIndex -1 is out of range: a property that no "
                "EntityAssociation names has 0 to 127"
            )
        ],
    ),
    "scalar in a navigation column": (
        'Identifier="Mail" TargetColumnIndex="5"',
        'Identifier="Mail" TargetColumnIndex="130"',
        [
            (
                "c.xml:7: Property Person:Mail: TargetColumnIndex 130 is out of range: a property that no "
                "EntityAssociation names has 0 to 127"
            )
        ],
    ),
    "binary in a navigation column": (
        'Identifier="Photo" Type="Binary"',
        'Identifier="Photo" Type="Binary" TargetColumnIndex="130"',
        [
            (
                "c.xml:10: Property Person:Photo: TargetColumnIndex 130 is out of range: a Binary property has -1 "
                "(a file) or 0 to 127"
            )
        ],
    ),
    "navigation in a scalar column, whatever its type": (
        'Identifier="Organization" Type="ForeignKey" TargetColumnIndex="128"',
        'Identifier="Organization" Type="Int64" TargetColumnIndex="9"',
        [
            (
                "c.xml:11: Property Person:Organization: TargetColumnIndex 9 is out of range: a navigation property has "
                "-1 or 128 to 152"
            )
        ],
    ),
    "navigation that no association names": (
        'Identifier="Number" Type="Int64" TargetColumnIndex="4"',
        (
            'Identifier="Number" Type="Int64" TargetColumnIndex="4"/><Property Identifier="Parent" Type="12" '
            'TargetColumnIndex="5"'
        ),
        [
            (
                "c.xml:15: Property Organization:Parent: TargetColumnIndex 5 is out of range: a navigation property has "
                "-1 or 128 to 152"
            )
        ],
    ),
    "collection in one column": (
        'IsProperty2Collection="true" />',
        'IsProperty1Collection="true" IsProperty2Collection="true" />',
        [
            (
                "c.xml:19: EntityAssociation Person_Organization: Property1 Person:Organization is a collection and "
                "cannot be kept in one column (TargetColumnIndex 128): expected -1"
            )
        ],
    ),
    "two associations in one column": (
        'Property1="Person:Groups" Property2="Organization:Members" IsProperty1Collection="1"',
        'Property1="Person:Organization" Property2="Organization:Members"',
        [
            (
                "c.xml:20: EntityAssociation Members: Property1 Person:Organization is already where EntityAssociation "
                "Person_Organization (c.xml:19) keeps its links"
            )
        ],
    ),
    "both sides in one column": (
        'Property2="Organization:Persons" IsProperty2Collection="true"',
        'Property2="Person:Organization"',
        [
            (
                "c.xml:19: EntityAssociation Person_Organization: Property2 Person:Organization is already where its "
                "other side keeps its links"
            ),
            (
                "c.xml:32: EntityAssociationMapping Person_Organization: EntityPropertyMapping2 is of Organization, but "
                "Property2 of Person"
            ),
        ],
    ),
}

MAPPINGS = {
    "the name of the command column": (
        '<Property Identifier="Photo" ConnectionColumn="photo" Format="Binary" />',
        '<Property Identifier="Command" ConnectionColumn="photo" />',
        [
            (
                "c.xml:26: EntityTypeMapping Person: Property Command: command is the name of the column that lists "
                "of changes carry: name it otherwise"
            ),
            "c.xml:26: EntityTypeMapping Person: the entity type Person has no property Command; did you mean Code?",
        ],
    ),
    "no primary key": (
        'ConnectionColumn="number" IsPrimaryKey="true"',
        'ConnectionColumn="number" IsUniqueKey="true"',
        ["c.xml:29: EntityTypeMapping Organization: no property is the primary key: exactly one must be"],
    ),
    "two primary keys": (
        'ConnectionColumn="mail" IsUniqueKey="true"',
        'ConnectionColumn="mail" IsPrimaryKey="true"',
        ["c.xml:23: EntityTypeMapping Person: Mail is a second primary key beside Code"],
    ),
    "primary key without a column": (
        'ConnectionColumn="number" IsPrimaryKey="true"',
        'IsPrimaryKey="true"',
        [
            "c.xml:30: EntityTypeMapping Organization: Property Number is a primary key and needs a ConnectionColumn"
        ],
    ),
    "unique key without a column": (
        'ConnectionColumn="mail" IsUniqueKey="true"',
        'IsUniqueKey="true"',
        ["c.xml:23: EntityTypeMapping Person: Property Mail is a unique key and needs a ConnectionColumn"],
    ),
    "file as a key": (
        'ConnectionColumn="photo"',
        'ConnectionColumn="photo" IsUniqueKey="true"',
        ["c.xml:26: EntityTypeMapping Person: Property Photo is kept as a file and cannot be a key"],
    ),
    "bit as a key": (
        'Format="Bit:Flags:1"',
        'ConnectionColumn="flags" Format="Bit:Flags:1" IsUniqueKey="true"',
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled is one bit of another property and cannot be a "
                "unique key"
            ),
            (
                "c.xml:25: warning: EntityTypeMapping Person: Property Disabled: ConnectionColumn is not read: the "
                "value is a bit of Flags"
            ),
        ],
    ),
    "column for a navigation property": (
        '<Property Identifier="Organization" />',
        '<Property Identifier="Organization" ConnectionColumn="org" />',
        [
            (
                "c.xml:27: EntityTypeMapping Person: Property Organization is a navigation property: its values come "
                "from an EntityAssociationMapping, not from a column"
            )
        ],
    ),
    "unknown format": (
        'Format="Int32"',
        'Format="Intt32"',
        [
            (
                'c.xml:24: Property Flags: Format="Intt32": expected one of Concat, MultivaluedText, RDN, SID, Bool, '
                "Byte, Int16, Int32, Int64, Bit, Double, DateTime, Date, 1601Date, Guid, Bytes, Binary; "
                "did you mean Int32?"
            )
        ],
    ),
    "format of a larger type": (
        'Format="Int32"',
        'Format="Int64"',
        [
            (
                "c.xml:24: EntityTypeMapping Person: Property Flags: the Format Int64 does not suit its type: expected "
                "Byte, Int16, Int32, Bit"
            )
        ],
    ),
    "bit without a number": (
        "Bit:Flags:1",
        "Bit:Flags",
        [
            (
                'c.xml:25: Property Disabled: Format="Bit:Flags": expected Bit:<property>:<number of the bit, 0 being '
                "the lowest>"
            )
        ],
    ),
    "bit of an unknown property": (
        "Bit:Flags:1",
        "Bit:Flag:1",
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled: the Format Bit names Flag, which is not mapped; "
                "did you mean Flags?"
            )
        ],
    ),
    "bit of a text": (
        "Bit:Flags:1",
        "Bit:Mail:1",
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled: the Format Bit names Mail, which is no integer "
                "property"
            )
        ],
    ),
    "bit of a bit": (
        "Bit:Flags:1",
        "Bit:Disabled:1",
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled: the Format Bit names Disabled, which is a Bit "
                "itself"
            )
        ],
    ),
    "bit of a property that is not read": (
        'ConnectionColumn="flags" Format="Int32"',
        "",
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled: the Format Bit names Flags, which has no "
                "ConnectionColumn"
            )
        ],
    ),
    "bit beyond the last": (
        "Bit:Flags:1",
        "Bit:Flags:32",
        [
            (
                "c.xml:25: EntityTypeMapping Person: Property Disabled: the Format Bit names bit 32, but Flags has bits "
                "0 to 31"
            )
        ],
    ),
    "association by a property that is no key": (
        'EntityPropertyMapping1="Person:Mail"',
        'EntityPropertyMapping1="Person:Flags"',
        [
            (
                "c.xml:33: EntityAssociationMapping Members: EntityPropertyMapping1 Person:Flags is neither the primary "
                "key nor a unique key of its mapping"
            )
        ],
    ),
    "association by a key of the wrong side": (
        'EntityPropertyMapping1="Person:Mail"',
        'EntityPropertyMapping1="Organization:Number"',
        [
            (
                "c.xml:33: EntityAssociationMapping Members: EntityPropertyMapping1 is of Organization, but Property1 "
                "of Person"
            )
        ],
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(*case, id=name)
        for group in (ATTRIBUTES, REFERENCES, METADATA, MAPPINGS)
        for name, case in group.items()
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert problems(tmp_path, c=changed(old, new)) == expected


def test_there_may_be_three_unique_keys_beside_the_primary_key(tmp_path: Path) -> None:
    names = "ABCDE"
    text = (
        '<Connector Identifier="HR"/><EntityType Identifier="E">'
        + "".join(f'<Property Identifier="{n}" TargetColumnIndex="{i}"/>' for i, n in enumerate(names))
        + '</EntityType>\n<EntityTypeMapping Identifier="E" Connector="HR" ConnectionTable="T">\n'
        + "".join(
            f'<Property Identifier="{n}" ConnectionColumn="{n}" Is{"Unique" if n != "A" else "Primary"}Key="1"/>\n'
            for n in names
        )
        + "</EntityTypeMapping>\n"
    )

    assert problems(tmp_path, c=text) == [
        "c.xml:8: EntityTypeMapping E: E is one unique key too many: there may be 3"
    ]


def test_an_association_mapping_stays_within_its_connector(tmp_path: Path) -> None:
    text = changed('ConnectionTable="HR_Organizations"', 'ConnectionTable="HR_Organizations" C0="x"').replace(
        '<EntityTypeMapping Identifier="Organization" Connector="HR"',
        '<EntityTypeMapping Identifier="Organization" Connector="AD"',
    )

    assert problems(tmp_path, c=text, d='<Connector Identifier="AD"/>') == [
        f"c.xml:{line}: EntityAssociationMapping {name}: EntityPropertyMapping2 is of the connector AD, "
        "expected one of HR"
        for line, name in ((32, "Person_Organization"), (33, "Members"))
    ]


def test_an_entity_type_and_an_association_of_one_name_would_share_their_files(tmp_path: Path) -> None:
    text = RIGHT.replace('Identifier="Members"', 'Identifier="organization"', 3).replace(
        '<Property Identifier="organization" Type', '<Property Identifier="Members" Type'
    )

    assert problems(tmp_path, c=text) == [
        (
            "c.xml:33: EntityAssociationMapping organization has the name of the EntityTypeMapping at c.xml:29: "
            "their files would be the same"
        )
    ]


def test_every_error_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        b='<Connector/>\n<Connector Identifier="HR" Agent="None" CompleteJob="9"/>\n',
        a="<Connector Identifier='X' IsDeactivated='maybe'/>",
        c=b"<ConfigurationFile>",
    )

    assert found[:-1] == [
        'a.xml:2: Connector X: IsDeactivated="maybe": expected true, false, 1 or 0',
        "b.xml:2: Connector: the required attribute Identifier is missing",
        (
            'b.xml:3: Connector HR: CompleteJob="9": expected one of Used (0), NotUsed (1), OnlySynchronization (2), '
            "OnlyProvisioning (3)"
        ),
        "b.xml:3: Connector HR: there is no Agent None",
    ]
    assert found[-1].startswith("c.xml:1: not well-formed XML: ")
