"""Small configurations for tests: a whole one that is right, and folders made of texts."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_idm.configuration import Configuration, check_configuration

RIGHT = """\
<Agent Identifier="Local" DisplayName_L1="Local" URI="https://agent.example" />
<Connector Identifier="HR" DisplayName_L1="HR" Agent="Local" />
<Connection Identifier="HR" Connector="HR" DisplayName_L1="HR" Package="Usercube.CSV@0000001" />
<EntityType Identifier="Person" DisplayName_L1="Person">
  <Property Identifier="Code" TargetColumnIndex="4" IsKey="true" />
  <Property Identifier="Mail" TargetColumnIndex="5" />
  <Property Identifier="Flags" Type="Int32" TargetColumnIndex="6" />
  <Property Identifier="Disabled" Type="Bool" TargetColumnIndex="7" />
  <Property Identifier="Photo" Type="Binary" />
  <Property Identifier="Organization" Type="ForeignKey" TargetColumnIndex="128" />
  <Property Identifier="Groups" Type="ForeignKey" />
</EntityType>
<EntityType Identifier="Organization">
  <Property Identifier="Number" Type="Int64" TargetColumnIndex="4" />
  <Property Identifier="Persons" Type="ForeignKey" />
  <Property Identifier="Members" Type="ForeignKey" />
</EntityType>
<EntityAssociation Identifier="Person_Organization" Property1="Person:Organization" Property2="Organization:Persons" IsProperty2Collection="true" />
<EntityAssociation Identifier="Members" Property1="Person:Groups" Property2="Organization:Members" IsProperty1Collection="1" IsProperty2Collection="1" />
<EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR_Persons.csv">
  <Property Identifier="Code" ConnectionColumn="code" IsPrimaryKey="true" />
  <Property Identifier="Mail" ConnectionColumn="mail" IsUniqueKey="true" />
  <Property Identifier="Flags" ConnectionColumn="flags" Format="Int32" />
  <Property Identifier="Disabled" Format="Bit:Flags:1" />
  <Property Identifier="Photo" ConnectionColumn="photo" Format="Binary" />
  <Property Identifier="Organization" />
</EntityTypeMapping>
<EntityTypeMapping Identifier="Organization" Connector="HR" ConnectionTable="HR_Organizations">
  <Property Identifier="Number" ConnectionColumn="number" IsPrimaryKey="true" />
</EntityTypeMapping>
<EntityAssociationMapping Identifier="Person_Organization" Connector="HR" ConnectionTable="HR_Persons" Column1="code" Column2="org" EntityPropertyMapping1="Person:Code" EntityPropertyMapping2="Organization:Number" />
<EntityAssociationMapping Identifier="Members" Connector="HR" ConnectionTable="HR_Members" Column1="mail" Column2="org" EntityPropertyMapping1="Person:Mail" EntityPropertyMapping2="Organization:Number" />
"""  # noqa: E501 - one element a line, so that places are easy to tell
"""Every element of a synchronization, with nothing wrong."""


def document(body: str) -> str:
    """Put elements into a root element whose tag stands on the first line, so that the body begins on line 2."""
    return f"<ConfigurationFile>\n{body}</ConfigurationFile>\n"


def write(folder: Path, **files: str | bytes) -> Path:
    """Write ``<name>.xml`` files: bytes as they are, texts inside a root element."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else document(content).encode()
        (folder / f"{name}.xml").write_bytes(data)
    return folder


def check(folder: Path, **files: str | bytes) -> Configuration:
    """Write files and check them."""
    return check_configuration(write(folder, **files))


def problems(folder: Path, **files: str | bytes) -> list[str]:
    """Write files and return every problem as text."""
    return [str(problem) for problem in check(folder, **files).problems]


def changed(old: str, new: str, base: str = RIGHT) -> str:
    """Return the right configuration with one thing changed."""
    assert base.count(old) == 1, f"{old} stands {base.count(old)} times"
    return base.replace(old, new)


def line_of(text: str, needle: str) -> int:
    """Return the line of a text's only occurrence in a body that ``document`` wraps."""
    assert text.count(needle) == 1, f"{needle} stands {text.count(needle)} times"
    return text[: text.index(needle)].count("\n") + 2
