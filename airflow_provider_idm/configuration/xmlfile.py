"""The XML files of a folder, each parsed on its own: no DTD, no entities, no network, every element's line known.

A file with a document type declaration is refused before any of its declarations is read, so that neither an entity
bomb nor an external entity is ever looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from airflow_provider_idm.configuration.model import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from airflow_provider_idm.configuration.problems import Problems

ROOT = "ConfigurationFile"
XINCLUDE = "http://www.w3.org/2001/XInclude"
_PLACE = re.compile(r", line \d+, column \d+$")
_TAG = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<(?P<start>[^\s/>!?])", re.DOTALL)
_PROLOG = re.compile(rb"(?:\s|<!--.*?-->|<\?.*?\?>|[\x80-\xff])*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class XmlFile:
    """A parsed file: its name, its root element and the line in which each element begins."""

    name: str
    root: _Element
    lines: dict[_Element, int]

    def location(self, element: _Element) -> Location:
        """Return where an element begins."""
        return Location(self.name, self.lines.get(element) or int(element.sourceline or 1))


class _DoctypeError(Exception):
    """There is a document type declaration."""


class _RootReachedError(Exception):
    """The root element begins: what came before holds no document type declaration."""


class _PrologTarget:
    """Looks at a file up to its root element."""

    def doctype(self, *_: object) -> None:
        raise _DoctypeError

    def start(self, *_: object) -> None:
        raise _RootReachedError

    def end(self, *_: object) -> None:
        """Do nothing; lxml asks for it."""

    def close(self) -> None:
        """Do nothing; lxml asks for it."""


def local_name(name: object) -> str:
    """Return the name of an element or attribute without its namespace."""
    return str(name).rpartition("}")[2]


def find_files(folder: Path, problems: Problems) -> list[Path]:
    """Return every ``*.xml`` of a folder and its sub-folders, in the order of their names.

    Files and folders whose name begins with a dot are left out (version control, mounted volumes' own copies).
    """

    def unreadable(error: OSError) -> None:
        place = Location(_relative(Path(error.filename or folder), folder), 1)
        problems.error(place, f"the folder cannot be read: {error.strerror}")

    if wrong := _why_no_folder(folder):
        problems.error(Location(_printable(str(folder)), 1), wrong)
        return []
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        real = str(Path(parent).resolve())
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if _is_configuration(name)]
    return sorted(found, key=lambda path: _relative(path, folder))


def _why_no_folder(folder: Path) -> str:
    try:
        if folder.is_dir():
            return ""
        return "is a file, expected a folder of XML files" if folder.exists() else "the folder does not exist"
    except OSError as error:
        return f"the folder cannot be read: {error.strerror}"


def read_file(path: Path, folder: Path, problems: Problems) -> XmlFile | None:
    """Parse one file; None, and an error noted, if it cannot be used."""
    name = _relative(path, folder)
    try:
        if path.exists() and not path.is_file():
            problems.error(Location(name, 1), "is a device or pipe, expected a file")
            return None
        data = path.read_bytes()
    except OSError as error:
        problems.error(Location(name, 1), f"the file cannot be read: {error.strerror}")
        return None
    try:
        _refuse_doctype(data)
        root = etree.fromstring(data, _parser())
    except _DoctypeError:
        message = (
            "a document type declaration (DOCTYPE) is not allowed: remove it, with the entities it declares"
        )
        problems.error(Location(name, _line_of_doctype(data)), message)
        return None
    except etree.XMLSyntaxError as error:
        problems.error(Location(name, max(error.lineno or 1, 1)), f"not well-formed XML: {_one_line(error)}")
        return None
    file = XmlFile(name, root, _start_lines(data, root))
    return file if _is_usable(file, problems) else None


def _is_usable(file: XmlFile, problems: Problems) -> bool:
    root = local_name(file.root.tag)
    if root != ROOT:
        problems.error(file.location(file.root), f"the root element is {root}, expected {ROOT}")
        return False
    included = list(file.root.iter(f"{{{XINCLUDE}}}*"))
    for element in included:
        message = "XInclude is not followed: put the included file into the folder instead"
        problems.error(file.location(element), message)
    return not included


def _parser(target: object = None) -> etree.XMLParser:
    # Comments and instructions are of no use; without a DTD huge_tree cannot be misused by entities.
    make: Any = etree.XMLParser
    parser: etree.XMLParser = make(
        target=target,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,
    )
    return parser


def _refuse_doctype(data: bytes) -> None:
    """Look at a file up to its root element, with a parser of the same settings as the one that reads on."""
    with contextlib.suppress(_RootReachedError):
        etree.fromstring(data, _parser(_PrologTarget()))


def _line_of_doctype(data: bytes) -> int:
    text = data.replace(b"\0", b"")  # UTF-16 and UTF-32 become readable enough for counting lines
    prolog = _PROLOG.match(text)
    return text.count(b"\n", 0, prolog.end() if prolog else 0) + 1


def _start_lines(data: bytes, root: _Element) -> dict[_Element, int]:
    """Return the line in which each start tag begins (the parser knows where it ends, and not beyond line 65535)."""
    try:
        text = data.decode(root.getroottree().docinfo.encoding or "utf-8", errors="replace")
    except LookupError:
        return {}
    elements = list(root.iter(etree.Element))
    lines = list(_lines_of_tags(text))
    return dict(zip(elements, lines, strict=True)) if len(lines) == len(elements) else {}


def _lines_of_tags(text: str) -> Iterator[int]:
    line, position = 1, 0
    for match in _TAG.finditer(text):
        if match["start"]:
            line += text.count("\n", position, match.start())
            position = match.start()
            yield line


def _is_configuration(name: str) -> bool:
    return name.casefold().endswith(".xml") and not name.startswith(".")


def _relative(path: Path, folder: Path) -> str:
    return _printable(path.relative_to(folder).as_posix() if path != folder else str(folder))


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace").replace("\n", "\\n")


def _one_line(error: etree.XMLSyntaxError) -> str:
    return _PLACE.sub("", " ".join((error.msg or "unknown error").split()))
