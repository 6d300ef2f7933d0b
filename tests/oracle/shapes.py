"""Hand-picked configurations for the oracle: described once, written as XML for the product, read as is by the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.configuration import ConnectorMappings

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
CONNECTOR_THRESHOLDS = (
    "MaximumInsertedLines",
    "MaximumUpdatedLines",
    "MaximumDeletedLines",
    "MaxPercentageInsertedLines",
    "MaxPercentageUpdatedLines",
    "MaxPercentageDeletedLines",
    "MaximumLinkInsertedLines",
    "MaximumLinkDeletedLines",
    "MaxLinkPercentageInsertedLines",
    "MaxLinkPercentageDeletedLines",
)
NO_THRESHOLDS = " ".join(f'{name}="0"' for name in CONNECTOR_THRESHOLDS)
"""The attributes that switch off what applies where nothing is written."""
CONNECTOR = "Connector"
"""The scope of a connector's own thresholds; the others are named by their entity type or association."""
Limits = Mapping[str, Mapping[str, str]]
"""Thresholds as the XML writes them: scope → attribute → text."""


def column_of(index: int) -> str:
    """Name the column of a TargetColumnIndex: C or I, then the index in base 32."""
    text = DIGITS[index % 32]
    rest = index // 32
    while rest:
        text = DIGITS[rest % 32] + text
        rest //= 32
    return ("C" if index < 128 else "I") + text


@dataclass(frozen=True)
class Property:
    """A scalar property and the source column that fills it."""

    identifier: str
    column: str
    index: int
    primary: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Type:
    """An entity type; ``navigations`` are (property, TargetColumnIndex)."""

    identifier: str
    table: str
    properties: tuple[Property, ...]
    navigations: tuple[tuple[str, int], ...] = ()

    @property
    def primary(self) -> Property:
        return next(p for p in self.properties if p.primary)

    @property
    def unique(self) -> tuple[Property, ...]:
        return tuple(p for p in self.properties if p.unique)

    @property
    def columns(self) -> list[str]:
        return [p.identifier for p in self.properties]

    def property(self, identifier: str) -> Property:
        return next(p for p in self.properties if p.identifier == identifier)


@dataclass(frozen=True)
class Association:
    """An association with its mapping; keys are property identifiers, ``many`` says whether a side is a collection."""

    identifier: str
    table: str
    column1: str
    column2: str
    type1: str
    key1: str
    property1: str
    many1: bool
    type2: str
    key2: str
    property2: str
    many2: bool


@dataclass(frozen=True)
class Shape:
    """One connector's configuration.

    :param thresholds: those written in it; where the connector's are not, the defaults apply.
    """

    name: str
    types: tuple[Type, ...]
    associations: tuple[Association, ...]
    connector: str = "HR"
    thresholds: Limits = field(
        default_factory=lambda: {CONNECTOR: dict.fromkeys(CONNECTOR_THRESHOLDS, "0")}, compare=False
    )

    def with_thresholds(self, thresholds: Limits) -> Shape:
        """Return the same connector with these thresholds written, and no others."""
        return replace(self, thresholds=thresholds)

    def written(self, scope: str) -> str:
        """Write a scope's thresholds as attributes."""
        return "".join(f" {name}={quoteattr(text)}" for name, text in self.thresholds.get(scope, {}).items())

    def type(self, identifier: str) -> Type:
        return next(t for t in self.types if t.identifier == identifier)

    def association(self, identifier: str) -> Association:
        return next(a for a in self.associations if a.identifier == identifier)

    def owner(self, association: Association) -> int | None:
        """Say which side's entity type lends its table and key column to the association."""
        for side, type_id, key, column in (
            (1, association.type1, association.key1, association.column1),
            (2, association.type2, association.key2, association.column2),
        ):
            entity = self.type(type_id)
            if association.table == entity.table and column == entity.property(key).column:
                return side
        return None

    def owned(self, entity: Type) -> list[Association]:
        """Name the associations that the rows of an entity type's table bring."""
        return [
            a
            for a in self.associations
            if (owner := self.owner(a)) and (a.type1 if owner == 1 else a.type2) == entity.identifier
        ]

    def navigation(self, association: Association, side: int) -> str | None:
        """Name the column of ``UR_Resources`` in which a side keeps the other's id."""
        type_id, name = (
            (association.type1, association.property1)
            if side == 1
            else (association.type2, association.property2)
        )
        index = dict(self.type(type_id).navigations)[name]
        return None if index < 0 else column_of(index)

    def to_xml(self) -> str:
        """Write the configuration."""
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            "<ConfigurationFile>",
            f'<Connector Identifier="{self.connector}" DisplayName_L1="{self.connector}"{self.written(CONNECTOR)} />',
            f'<Connection Identifier="{self.connector}Connection" Connector="{self.connector}"',
            'DisplayName_L1="files" Package="Usercube.CSV@0000001" />',
        ]
        for entity in self.types:
            lines.append(
                f'<EntityType Identifier="{entity.identifier}" DisplayName_L1="{entity.identifier}">'
            )
            for p in entity.properties:
                key = ' IsKey="true"' if p.primary else ""
                lines.append(
                    f'<Property Identifier="{p.identifier}" DisplayName_L1="{p.identifier}" Type="String" '
                    f'TargetColumnIndex="{p.index}"{key} />'
                )
            for name, index in entity.navigations:
                lines.append(
                    f'<Property Identifier="{name}" DisplayName_L1="{name}" Type="ForeignKey" '
                    f'TargetColumnIndex="{index}" />'
                )
            lines.append("</EntityType>")
            lines.append(
                f'<EntityTypeMapping Identifier="{entity.identifier}" Connector="{self.connector}" '
                f"ConnectionTable={quoteattr(entity.table)}{self.written(entity.identifier)}>"
            )
            for p in entity.properties:
                flags = (' IsPrimaryKey="true"' if p.primary else "") + (
                    ' IsUniqueKey="true"' if p.unique else ""
                )
                lines.append(
                    f'<Property Identifier="{p.identifier}" ConnectionColumn={quoteattr(p.column)}{flags} />'
                )
            lines.append("</EntityTypeMapping>")
        for a in self.associations:
            lines.append(
                f'<EntityAssociation Identifier="{a.identifier}" DisplayName_L1="{a.identifier}" '
                f'Property1="{a.type1}:{a.property1}" Property2="{a.type2}:{a.property2}" '
                f'IsProperty1Collection="{str(a.many1).lower()}" IsProperty2Collection="{str(a.many2).lower()}" />'
            )
            lines.append(
                f'<EntityAssociationMapping Identifier="{a.identifier}" Connector="{self.connector}" '
                f"ConnectionTable={quoteattr(a.table)} Column1={quoteattr(a.column1)} "
                f'Column2={quoteattr(a.column2)} EntityPropertyMapping1="{a.type1}:{a.key1}" '
                f'EntityPropertyMapping2="{a.type2}:{a.key2}"{self.written(a.identifier)} />'
            )
        lines.append("</ConfigurationFile>")
        return "\n".join(lines) + "\n"

    def mappings(self, folder: Path) -> ConnectorMappings:
        """Write the configuration to a folder and read it with the product.

        It is put in place whole: several processes may do so at once, for one folder.
        """
        from airflow_provider_idm.configuration import connector_mappings, read_configuration

        folder.mkdir(parents=True, exist_ok=True)
        written = folder / f"{self.connector}.{os.getpid()}.part"
        written.write_text(self.to_xml(), encoding="utf-8")
        written.replace(folder / f"{self.connector}.xml")
        return connector_mappings(read_configuration(folder), self.connector)


HR = Shape(
    "persons and organizations",
    (
        Type(
            "Person",
            "HR_Person",
            (
                Property("PersonId", "id", 4, primary=True),
                Property("Login", "login", 5, unique=True),
                Property("LastName", "name", 0),
            ),
            (("Organization", 128), ("ManagedOrganizations", -1)),
        ),
        Type(
            "Organization",
            "HR_Organization",
            (Property("Code", "code", 31, primary=True), Property("Label", "label", 32)),
            (("Members", -1), ("Parent", 129), ("Children", -1), ("Manager", 152)),
        ),
    ),
    (
        Association(
            "Person_Organization",
            "HR_Person",
            "id",
            "org",
            "Person",
            "PersonId",
            "Organization",
            False,
            "Organization",
            "Code",
            "Members",
            True,
        ),
        Association(
            "Organization_Parent",
            "HR_Organization",
            "code",
            "parent",
            "Organization",
            "Code",
            "Parent",
            False,
            "Organization",
            "Code",
            "Children",
            True,
        ),
        Association(
            "Organization_Manager",
            "HR_Organization",
            "code",
            "manager",
            "Organization",
            "Code",
            "Manager",
            False,
            "Person",
            "Login",
            "ManagedOrganizations",
            True,
        ),
    ),
)
"""The person's organization, an organization's parent and its manager, each from the entity's own file."""

DIRECTORY = Shape(
    "directory",
    (
        Type(
            "Entry",
            "AD_Entries",
            (
                Property("Guid", "objectGUID", 10, primary=True),
                Property("Dn", "dn", 1, unique=True),
                Property("Cn", "cn", 127),
            ),
            (("ParentEntry", 130), ("ChildEntries", -1), ("Members", -1), ("MemberOf", -1)),
        ),
    ),
    (
        Association(
            "Entry_Parent",
            "AD_Entries",
            "dn",
            "parentdn",
            "Entry",
            "Dn",
            "ParentEntry",
            False,
            "Entry",
            "Dn",
            "ChildEntries",
            True,
        ),
        Association(
            "Group_Members",
            "AD_Members",
            "group",
            "member",
            "Entry",
            "Dn",
            "Members",
            True,
            "Entry",
            "Dn",
            "MemberOf",
            True,
        ),
    ),
    connector="AD",
)
"""A directory whose entries are named by dn: the parent from their own file, members from a table of links."""

BADGES = Shape(
    "badges",
    (
        Type(
            "Holder",
            "S_Holder",
            (Property("HolderId", "id", 7, primary=True), Property("Mail", "mail", 8, unique=True)),
            (("Badge", 140), ("Lockers", -1), ("Desk", -1), ("Car", 141)),
        ),
        Type(
            "Thing",
            "S_Thing",
            (
                Property("Serial", "serial", 4, primary=True),
                Property("Tag", "tag", 9, unique=True),
                Property("Chip", "chip", 2, unique=True),
            ),
            (("Bearer", 128), ("Keeper", 150), ("Sitter", -1), ("Driver", -1)),
        ),
    ),
    (
        Association(
            "Holder_Badge",
            "S_Badge",
            "holder",
            "badge",
            "Holder",
            "HolderId",
            "Badge",
            False,
            "Thing",
            "Serial",
            "Bearer",
            False,
        ),
        Association(
            "Holder_Locker",
            "S_Locker",
            "mail",
            "chip",
            "Holder",
            "Mail",
            "Lockers",
            True,
            "Thing",
            "Chip",
            "Keeper",
            False,
        ),
        Association(
            "Holder_Desk",
            "S_Desk",
            "holder",
            "tag",
            "Holder",
            "HolderId",
            "Desk",
            False,
            "Thing",
            "Tag",
            "Sitter",
            False,
        ),
        Association(
            "Holder_Car",
            "S_Thing",
            "driver",
            "serial",
            "Holder",
            "Mail",
            "Car",
            False,
            "Thing",
            "Serial",
            "Driver",
            True,
        ),
    ),
)
"""One-to-one links kept on both sides, on side 2, in the link table; one from the file of side 2."""

TEAMS = Shape(
    "teams",
    (
        Type(
            "Employee",
            "T_Employee",
            (Property("Number", "number", 4, primary=True), Property("Nick", "nick", 6, unique=True)),
            (("Teams", -1), ("Mentor", -1), ("Pupils", -1), ("Partner", 128), ("PartnerOf", -1)),
        ),
        Type(
            "Team",
            "T_Team",
            (Property("Name", "name", 4, primary=True), Property("Motto", "motto", 3)),
            (("People", -1),),
        ),
    ),
    (
        Association(
            "Employee_Teams",
            "T_Employee",
            "number",
            "team",
            "Employee",
            "Number",
            "Teams",
            True,
            "Team",
            "Name",
            "People",
            True,
        ),
        Association(
            "Employee_Mentor",
            "T_Mentor",
            "pupil",
            "mentor",
            "Employee",
            "Number",
            "Mentor",
            False,
            "Employee",
            "Nick",
            "Pupils",
            True,
        ),
        Association(
            "Employee_Partner",
            "T_Partner",
            "a",
            "b",
            "Employee",
            "Nick",
            "Partner",
            False,
            "Employee",
            "Nick",
            "PartnerOf",
            False,
        ),
    ),
)
"""Multi-valued links from the entity's own file (one row each), mono-valued ones kept in the link table, partners."""

SHAPES = {"hr": HR, "directory": DIRECTORY, "badges": BADGES, "teams": TEAMS}
