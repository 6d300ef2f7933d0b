"""What the tables of elements and attributes are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_idm.configuration.attributes import Attribute, boolean, reference


def _no_child(_: str) -> Element | None:
    return None


@dataclass(frozen=True, slots=True)
class Element:
    """What one element may hold.

    :param open: attributes that are not listed are kept as written, without a warning.
    :param display_names: has ``DisplayName_L1`` to ``DisplayName_L16``.
    :param child: what a child of a name may hold, or None if such a child is not known.
    :param keep_xml: the element is kept as text, too.
    """

    name: str
    attributes: Mapping[str, Attribute]
    child: Callable[[str], Element | None] = _no_child
    open: bool = False
    display_names: bool = True
    keep_xml: bool = False
    defaults: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    """The values of an element that has none of the attributes; ``""`` for a required one."""

    def __post_init__(self) -> None:
        defaults = {name: "" if a.required else a.default for name, a in self.attributes.items()}
        object.__setattr__(self, "defaults", defaults)


def table(*attributes: Attribute) -> dict[str, Attribute]:
    """Return attributes by their name."""
    return {attribute.name: attribute for attribute in attributes}


def elements(*listed: Element) -> dict[str, Element]:
    """Return elements by their name."""
    return {element.name: element for element in listed}


def flag(name: str) -> Attribute:
    """Return a boolean attribute, false by default."""
    return Attribute(name, boolean, default=False)


def required(name: str) -> Attribute:
    """Return a required reference."""
    return Attribute(name, reference, required=True)


IDENTIFIER: Final = Attribute("Identifier", reference, required=True)
