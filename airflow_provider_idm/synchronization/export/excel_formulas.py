"""Formulas of an xlsx workbook that were never calculated: what wrote the workbook left their values to Excel."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

if TYPE_CHECKING:
    from pathlib import Path

_WORKBOOK: Final = "xl/workbook.xml"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"
_ID: Final = re.compile(r"\{[^}]*/relationships\}id")
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s/>]")
_LONGEST_TAG: Final = 64
_PIECE: Final = 1 << 20
_PLACE: Final = re.compile(r"([A-Z]{1,3})(\d+)")


def find_uncalculated(path: Path, sheet: str) -> frozenset[tuple[int, int]]:
    """Return row and column, from 1, of each formula of a sheet that has no value.

    One whose value is an empty text has one. A workbook whose parts have other names than usual gives none.
    """
    with zipfile.ZipFile(path) as file:
        part = _part(file, sheet)
        if part is None:
            return frozenset()
        with file.open(part) as content:
            if not _has_formulas(content):
                return frozenset()
        with file.open(part) as content:
            return frozenset(_uncalculated(content))


def _part(file: zipfile.ZipFile, sheet: str) -> str | None:
    names = set(file.namelist())
    if not {_WORKBOOK, _RELATIONS} <= names:
        return None
    targets = {
        node.get("Id"): node.get("Target") for node in _parse(file, _RELATIONS).iter("{*}Relationship")
    }
    for node in _parse(file, _WORKBOOK).iter("{*}sheet"):
        if node.get("name") == sheet:
            relation = next((value for key, value in node.attrib.items() if _ID.fullmatch(key)), None)
            part = posixpath.normpath(posixpath.join("/xl", targets.get(relation) or ".")).lstrip("/")
            return part if part in names else None
    return None


def _parse(file: zipfile.ZipFile, name: str) -> Any:
    return etree.fromstring(file.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


def _has_formulas(content: Any) -> bool:
    """Look for a formula in the text, which takes a fraction of the time that reading it takes."""
    end = b""
    while piece := content.read(_PIECE):
        if _FORMULA.search(end + piece):
            return True
        end = piece[-_LONGEST_TAG:]
    return False


def _uncalculated(content: Any) -> Iterator[tuple[int, int]]:
    tags = ("{*}c", "{*}row")
    events: Any = etree.iterparse(content, tag=tags, resolve_entities=False, no_network=True)
    for _, node in events:
        if node.tag.endswith("}c"):
            place = _PLACE.fullmatch(node.get("r") or "")
            if (
                place
                and node.get("t") != "str"
                and node.find("{*}f") is not None
                and not node.findtext("{*}v")
            ):
                yield int(place[2]), _column(place[1])
        else:
            # what was read of a sheet is not kept: it may be large
            node.clear()
            while node.getprevious() is not None:
                del node.getparent()[0]


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
