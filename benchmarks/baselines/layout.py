"""The tables that the baselines fill: resources with 32 text columns, links by number, two indexes each."""

from __future__ import annotations

from dataclasses import dataclass

USER, GROUP, MEMBER = 1, 2, 1
WIDTH = 32
"""Text columns of a resource, used or not."""
LIMIT = 0.3
"""Share of what is stored that may change before the change is refused."""


@dataclass(frozen=True)
class EntityType:
    """One clean file of resources: its key, then ``width`` values, of which the first is the distinguished name."""

    identifier: str
    type: int
    width: int

    @property
    def values(self) -> list[str]:
        return values(self.width)


def values(width: int, alias: str = "") -> list[str]:
    """Return the names of a resource's first value columns."""
    return [f"{alias}c{n}" for n in range(width)]


ENTITY_TYPES = (EntityType("User", USER, 14), EntityType("Group", GROUP, 3))
WIDEST = max(of.width for of in ENTITY_TYPES)
ASSOCIATION = "GroupMembers"


def counted(resources: list[tuple[int, str, int]], links: list[tuple[str, int]]) -> dict[str, dict[str, int]]:
    """Name what was counted by type and operation (``I``, ``U``, ``D``)."""
    operations = {"I": "inserted", "U": "updated", "D": "deleted"}
    names = {of.type: of.identifier for of in ENTITY_TYPES}
    found: dict[str, dict[str, int]] = {name: {} for name in (*names.values(), ASSOCIATION)}
    for kind, operation, number in resources:
        found[names[kind]][operations[operation]] = number
    for operation, number in links:
        found[ASSOCIATION][operations[operation]] = number
    return found


def refuse_too_many(counts: dict[str, dict[str, int]], stored: dict[str, int]) -> None:
    """Compare the changes with what is stored, before anything is applied."""
    for target, operations in counts.items():
        for operation, number in operations.items():
            if number > LIMIT * stored[target]:
                raise SystemExit(f"{target}: {number} {operation} of {stored[target]}: a limit is exceeded")
