"""The benchmark's configuration for many connectors: each has entity types of its own, all read the same files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

SHARED = ("Agent",)
NAMES = ("AD", "User", "Group", "GroupMembers")
"""What each connector has its own of; a number is put behind."""
TYPED = (
    "Connector",
    "Connection",
    "EntityType",
    "EntityAssociation",
    "EntityTypeMapping",
    "EntityAssociationMapping",
)
"""Elements whose attributes name these."""


def write_configuration(source: Path, target: Path, number: int) -> list[str]:
    """Write one file of ``number`` connectors and return their identifiers."""
    root = ET.parse(source).getroot()
    written = ET.Element(root.tag)
    written.extend(element for element in root if element.tag in SHARED)
    for n in range(1, number + 1):
        written.extend(numbered(element, n) for element in root if element.tag in TYPED)
    target.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(written).write(target / "AD.xml", encoding="utf-8", xml_declaration=True)
    return [f"AD{n}" for n in range(1, number + 1)]


def numbered(element: ET.Element, n: int) -> ET.Element:
    """Return a copy of an element, and of all in it, that names what the n-th connector has."""
    copy = ET.Element(element.tag, {name: _numbered(value, n) for name, value in element.items()})
    # a mapped or declared property keeps its name
    copy.extend(child if child.tag == "Property" else numbered(child, n) for child in element)
    return copy


def _numbered(value: str, n: int) -> str:
    name, colon, rest = value.partition(":")
    return f"{name}{n}{colon}{rest}" if name in NAMES else value
