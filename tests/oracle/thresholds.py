"""Which thresholds a batch exceeds, by the specification's words and from the model's counts alone.

Limits are read from the XML's text as exact fractions; nothing of the product takes part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS

if TYPE_CHECKING:
    from tests.oracle.model import Outcome
    from tests.oracle.shapes import Shape

RESOURCES = ("Inserted", "Updated", "Deleted")
LINKS = ("Inserted", "Deleted")
DEFAULTS = dict(zip(CONNECTOR_THRESHOLDS, ["100"] * 3 + ["5"] * 3 + ["1000"] * 2 + ["5"] * 2, strict=True))
"""What applies to a connector where nothing is written; elsewhere that is 0."""


@dataclass(frozen=True)
class Exceeded:
    """A threshold that is exceeded; a percentage of nothing has no actual value."""

    scope: str
    name: str
    limit: Fraction
    actual: Fraction | None
    stored: int


@dataclass(frozen=True)
class Numbers:
    """Changes and what was stored before them, of one scope."""

    stored: int
    changes: Mapping[str, int]

    def __add__(self, other: Numbers) -> Numbers:
        changes = {n: count + other.changes.get(n, 0) for n, count in self.changes.items()}
        return Numbers(self.stored + other.stored, changes)

    def following(self, earlier: Mapping[str, int]) -> Numbers:
        """Add earlier changes to those that are made now; what is not changed now is not asked about again."""
        changes = {n: count and count + earlier.get(n, 0) for n, count in self.changes.items()}
        return Numbers(self.stored, changes)


@dataclass(frozen=True)
class Unmapped:
    """What is stored for the connector without a mapping, and links of it that go with their resources."""

    resources: int = 0
    links: int = 0
    deleted_links: int = 0


@dataclass(frozen=True)
class Window:
    """Limits over some days, by attribute of a connector; what counted in these days before this batch."""

    days: str
    limits: Mapping[str, str]
    resources: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)


def exceeded(
    shape: Shape, outcome: Outcome, unmapped: Unmapped | None = None, window: Window | None = None
) -> list[Exceeded]:
    """Name every threshold that a batch exceeds."""
    unmapped = unmapped or Unmapped()
    types, associations = _numbers(outcome)
    resources = sum(types.values(), Numbers(unmapped.resources, dict.fromkeys(RESOURCES, 0)))
    links = sum(
        associations.values(), Numbers(unmapped.links, {"Inserted": 0, "Deleted": unmapped.deleted_links})
    )
    found: list[Exceeded] = []
    for name, numbers in types.items():
        found += _check(f"EntityTypeMapping {name}", shape.thresholds.get(name, {}), "", numbers)
    for name, numbers in associations.items():
        # Here the names may be written with "Link" in them; they mean the same.
        written = {a.replace("Link", ""): text for a, text in shape.thresholds.get(name, {}).items()}
        found += _check(f"EntityAssociationMapping {name}", written, "", numbers)
    scope = f"Connector {shape.connector}"
    limits = DEFAULTS | _one_spelling(shape.thresholds.get(CONNECTOR, {}))
    found += _check(scope, limits, "", resources) + _check(scope, limits, "Link", links)
    if window is not None:
        scope, limits = f"{scope}, last {window.days} days", _one_spelling(window.limits)
        found += _check(scope, limits, "", resources.following(window.resources))
        found += _check(scope, limits, "Link", links.following(window.links))
    return found


def told(thresholds: Iterable[Any]) -> list[tuple[str, str, float, float | None, int]]:
    """Return thresholds, the product's or these, as the numbers that a report tells, sorted."""
    return sorted(
        (t.scope, t.name, float(t.limit), None if t.actual is None else float(t.actual), t.stored)
        for t in thresholds
    )


def _numbers(outcome: Outcome) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    types = {
        name: Numbers(
            c.unchanged + c.updated + c.deleted,
            {"Inserted": c.inserted, "Updated": c.updated, "Deleted": c.deleted},
        )
        for name, c in outcome.entity_types.items()
    }
    associations = {
        name: Numbers(c.unchanged + c.deleted, {"Inserted": c.inserted, "Deleted": c.deleted})
        for name, c in outcome.associations.items()
    }
    return types, associations


def _one_spelling(written: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("MaxPercentageLink", "MaxLinkPercentage"): text for name, text in written.items()}


def _check(scope: str, limits: Mapping[str, str], what: str, numbers: Numbers) -> list[Exceeded]:
    found = []
    for change, count in numbers.changes.items():
        absolute, relative = f"Maximum{what}{change}Lines", f"Max{what}Percentage{change}Lines"
        lines, percent = Fraction(limits.get(absolute, "0")), Fraction(limits.get(relative, "0"))
        if lines and count > lines:
            found.append(Exceeded(scope, absolute, lines, Fraction(count), numbers.stored))
        actual = Fraction(100 * count, numbers.stored) if numbers.stored else None
        if percent and count and (actual is None or actual > percent):
            found.append(Exceeded(scope, relative, percent, actual, numbers.stored))
    return found
