"""The directory of a company, and the configuration that reads it."""

from __future__ import annotations

import base64
import random
import uuid
from dataclasses import dataclass, field

from tests.export.ldap.slapd import SUFFIX, Entry

PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"

ODD_NAMES = (
    "Müller, Zoë",
    'O"Brien',
    "plus+minus",
    "semi;colon",
    "back\\slash",
    "#hash",
    "<angle>",
    "日本 太郎",
    "eq=ual",
)
"""Names that a DN writes with escapes."""

MAPPINGS = """
  <EntityType Identifier="Entry" DisplayName_L1="Entry">
    <Property Identifier="uuid" DisplayName_L1="UUID" Type="Guid" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="dn" DisplayName_L1="DN" Type="String" TargetColumnIndex="0" />
    <Property Identifier="cn" DisplayName_L1="Name" Type="String" TargetColumnIndex="5" />
    <Property Identifier="mails" DisplayName_L1="Mails" Type="String" TargetColumnIndex="1" />
    <Property Identifier="classes" DisplayName_L1="Classes" Type="String" TargetColumnIndex="2" />
    <Property Identifier="photo" DisplayName_L1="Photo" Type="Binary" />
    <Property Identifier="created" DisplayName_L1="Created" Type="DateTime" TargetColumnIndex="6" />
    <Property Identifier="isParent" DisplayName_L1="Is a parent" Type="Bool" TargetColumnIndex="7" />
    <Property Identifier="unit" DisplayName_L1="Unit" Type="ForeignKey" TargetColumnIndex="128" />
    <Property Identifier="children" DisplayName_L1="Children" Type="ForeignKey" />
    <Property Identifier="boss" DisplayName_L1="Boss" Type="ForeignKey" TargetColumnIndex="129" />
    <Property Identifier="reports" DisplayName_L1="Reports" Type="ForeignKey" />
    <Property Identifier="members" DisplayName_L1="Members" Type="ForeignKey" />
    <Property Identifier="memberOf" DisplayName_L1="Member of" Type="ForeignKey" />
  </EntityType>
  <EntityAssociation Identifier="Unit" DisplayName_L1="Unit" Property1="Entry:unit" Property2="Entry:children"
                     IsProperty2Collection="true" />
  <EntityAssociation Identifier="Boss" DisplayName_L1="Boss" Property1="Entry:boss" Property2="Entry:reports"
                     IsProperty2Collection="true" />
  <EntityAssociation Identifier="Member" DisplayName_L1="Member" Property1="Entry:members"
                     Property2="Entry:memberOf" IsProperty1Collection="true" IsProperty2Collection="true" />
  <EntityTypeMapping Identifier="Entry" Connector="Company" ConnectionTable="Directory_entries">
    <Property Identifier="uuid" ConnectionColumn="entryUUID" IsPrimaryKey="true" Format="Guid" />
    <Property Identifier="dn" ConnectionColumn="dn" IsUniqueKey="true" />
    <Property Identifier="cn" ConnectionColumn="cn" />
    <Property Identifier="mails" ConnectionColumn="mail" Format="Concat:;" />
    <Property Identifier="classes" ConnectionColumn="objectClass" Format="MultivaluedText" />
    <Property Identifier="photo" ConnectionColumn="jpegPhoto" Format="Binary" />
    <Property Identifier="created" ConnectionColumn="createTimestamp" Format="DateTime" />
    <Property Identifier="isParent" ConnectionColumn="hasSubordinates" Format="Bool" />
  </EntityTypeMapping>
  <EntityAssociationMapping Identifier="Unit" Connector="Company" ConnectionTable="Directory_entries.csv"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="parentdn" EntityPropertyMapping2="Entry:dn" />
  <EntityAssociationMapping Identifier="Boss" Connector="Company" ConnectionTable="Directory_entries"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="manager" EntityPropertyMapping2="Entry:dn" />
  <EntityAssociationMapping Identifier="Member" Connector="Company" ConnectionTable="Directory_members"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="member" EntityPropertyMapping2="Entry:dn" />
"""


def configuration(
    package: str = "Usercube.LDAP@0000001", mappings: str = MAPPINGS, transformations: str = ""
) -> str:
    """Return the XML of a configuration with one connection, ``Directory``, of connector ``Company``."""
    return f"""<ConfigurationFile>
  <Connector Identifier="Company" DisplayName_L1="Company" />
  <Connection Identifier="Directory" Connector="Company" DisplayName_L1="Directory" Package="{package}">
    {transformations}
  </Connection>
{mappings}
</ConfigurationFile>
"""


@dataclass
class Member:
    """An entry as the tests know it."""

    dn: str
    uuid: str
    cn: str = ""
    mails: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    photo: bytes = b""
    boss: str = ""
    parent: str = ""
    members: list[str] = field(default_factory=list)
    created: str = "20240229113000Z"
    has_children: bool = False

    @property
    def row(self) -> list[str]:
        """Its row in ``Directory_entries.csv``."""
        return [
            self.uuid,
            self.dn,
            self.cn,
            ";".join(self.mails),
            "\n".join(self.classes),
            base64.b64encode(self.photo).decode(),
            self.created,
            "TRUE" if self.has_children else "FALSE",
            self.boss,
            self.parent,
        ]

    @property
    def entry(self) -> Entry:
        """What is put into the directory; many values in another order than that of the row."""
        own = {
            "objectClass": self.classes[::-1],
            "entryUUID": [self.uuid],
            "createTimestamp": [self.created],
            "cn": [self.cn] if self.cn else [],
            "mail": self.mails[::-1],
            "jpegPhoto": [self.photo] if self.photo else [],
            "manager": [self.boss] if self.boss else [],
            "member": self.members,
            "sn": [self.cn] if "person" in self.classes else [],
        }
        return self.dn, own


def company(people: int = 2000) -> list[Member]:
    """Return a company: people, most with a boss and some with a photo, and groups, one of all people."""
    chance = random.Random(7)
    found = [
        Member(PEOPLE, _uuid(PEOPLE), classes=["organizationalUnit"], parent=SUFFIX, has_children=True),
        Member(GROUPS, _uuid(GROUPS), classes=["organizationalUnit"], parent=SUFFIX, has_children=True),
    ]
    names = [*ODD_NAMES, *(f"Person {number:04}" for number in range(people - len(ODD_NAMES)))]
    persons: list[Member] = []
    for number, name in enumerate(names):
        dn = f"cn={escaped(name)},{PEOPLE}"
        persons.append(
            Member(
                dn,
                _uuid(dn),
                cn=name,
                mails=sorted(f"m{chance.randrange(10**6)}@example.com" for _ in range(number % 4)),
                classes=["inetOrgPerson", "organizationalPerson", "person"],
                photo=chance.randbytes(2000) if number % 50 == 3 else b"",
                boss=persons[number // 10].dn if number else "",
                parent=PEOPLE,
            )
        )
    groups = [("everyone", persons), *((f"group {n}", chance.sample(persons, 5)) for n in range(20))]
    for name, members in groups:
        dn = f"cn={name},{GROUPS}"
        found.append(
            Member(
                dn,
                _uuid(dn),
                cn=name,
                classes=["groupOfNames"],
                parent=GROUPS,
                members=[member.dn for member in members],
            )
        )
    return found + persons


def escaped(value: str) -> str:
    """Return a value as OpenLDAP writes it in a DN: with hexadecimal escapes."""
    text = "".join(f"\\{ord(c):02X}" if c in ',+"\\<>;=' else c for c in value)
    return f"\\{ord('#'):02X}{text[1:]}" if text.startswith("#") else text


def _uuid(dn: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_X500, dn))
