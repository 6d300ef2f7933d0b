"""An element checked against its definition: typed values, problems noted, children read likewise."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lxml import etree

from airflow_provider_idm.configuration.names import suggestion
from airflow_provider_idm.configuration.xmlfile import XmlFile, local_name

if TYPE_CHECKING:
    from collections import Counter

    from lxml.etree import _Element

    from airflow_provider_idm.configuration.element import Element
    from airflow_provider_idm.configuration.model import Location
    from airflow_provider_idm.configuration.problems import Problems

_DISPLAY_NAME = re.compile(r"DisplayName_L([1-9]|1[0-6])")
_SHOWN = 80

Definitions = Callable[[str], "Element | None"]


@dataclass(frozen=True, slots=True)
class Node:
    """One element as read.

    :param values: by attribute name, for every attribute of the definition; ``""`` for a required one that is missing.
    :param written: every attribute that stands in the file, as written.
    :param broken: the attributes that are missing or have a bad value: an error was noted already for each.
    """

    name: str
    location: Location
    values: dict[str, Any]
    written: dict[str, str]
    display_names: dict[int, str]
    children: tuple[Node, ...]
    broken: frozenset[str]
    xml: str

    @property
    def identifier(self) -> str:
        """The identifier; empty if it is missing or bad."""
        return self.values.get("Identifier") or ""

    @property
    def subject(self) -> str:
        """What messages call the element."""
        identifier = self.written.get("Identifier", "").strip()
        return f"{self.name} {identifier}" if identifier else self.name


class NodeReader:
    """Reads the elements of one file after another.

    :param unknown: counts the elements that are not known, by name.
    """

    def __init__(self, problems: Problems, unknown: Counter[str]) -> None:
        self._problems = problems
        self._unknown = unknown

    def read_children(self, file: XmlFile, parent: _Element, definitions: Definitions) -> tuple[Node, ...]:
        """Read the children of an element that have a definition; count the others."""
        nodes = []
        for element in parent.iterchildren(etree.Element):
            name = local_name(element.tag)
            definition = definitions(name)
            if definition is None:
                self._unknown[name] += 1
            else:
                nodes.append(self._read(file, element, definition))
        return tuple(nodes)

    def _read(self, file: XmlFile, element: _Element, definition: Element) -> Node:
        written = {name: value for name, value in element.items() if not name.startswith("{")}
        values: dict[str, Any] = dict(definition.defaults)
        node = Node(
            definition.name,
            file.location(element),
            values,
            written,
            _display_names(written),
            self.read_children(file, element, definition.child),
            broken=frozenset(),
            xml=etree.tostring(element, encoding="unicode", with_tail=False) if definition.keep_xml else "",
        )
        broken = self._read_attributes(node, definition)
        self._warn_of_unknown_attributes(node, definition)
        return replace(node, broken=broken) if broken else node

    def _read_attributes(self, node: Node, definition: Element) -> frozenset[str]:
        broken = set()
        for name, attribute in definition.attributes.items():
            if name not in node.written and not attribute.required:
                continue
            value = None
            message = ""
            if name in node.written:
                try:
                    value = attribute.kind(node.written[name])
                except ValueError as error:
                    message = f'{name}="{_shortened(node.written[name])}": {error}'
            if value is None and attribute.required and not message:
                message = f"the required attribute {name} is missing"
            if message:
                broken.add(name)
                if name == "Identifier":  # a bad one still is what others refer to
                    value = node.written.get(name, "").strip() or None
                self._problems.error(node.location, f"{node.subject}: {message}")
            if value is not None:
                node.values[name] = value
        return frozenset(broken)

    def _warn_of_unknown_attributes(self, node: Node, definition: Element) -> None:
        if definition.open:
            return
        if node.written.keys() <= definition.attributes.keys():
            return
        for name in node.written:
            if name in definition.attributes or (definition.display_names and _DISPLAY_NAME.fullmatch(name)):
                continue
            known = [*definition.attributes, *(["DisplayName_L1"] if definition.display_names else [])]
            message = f"{node.subject}: the unknown attribute {name} is ignored{suggestion(name, known)}"
            self._problems.warning(node.location, message)


def _display_names(written: dict[str, str]) -> dict[int, str]:
    names = {}
    for name, value in written.items():
        if value and name.startswith("DisplayName_L") and (match := _DISPLAY_NAME.fullmatch(name)):
            names[int(match[1])] = value
    return names


def _shortened(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
