"""The order of a job's tasks: levels or reading order, per connector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """What decides about a task's place in its job.

    :param rank: its level, or its number in reading order; a higher rank comes later.
    :param connector: its connector, or None.
    :param parents: the places (by number) that it depends on explicitly, each of a lower rank.
    """

    rank: int
    connector: str | None
    parents: frozenset[int] = frozenset()


def upstream(places: Sequence[Place]) -> list[frozenset[int]]:
    """Return for each task those that must have ended right before it.

    The order holds among the tasks of one connector, and between tasks without a connector and all others; tasks of two
    connectors do not wait for one another, unless one is the other's parent. Dependencies that follow from others are
    left out.
    """
    direct = [
        {
            number
            for number, before in enumerate(places)
            if number in place.parents or (before.rank < place.rank and _share_order(before, place))
        }
        for place in places
    ]
    before = [0] * len(places)  # as bits: everything that a task waits for, directly or not
    for number in sorted(range(len(places)), key=lambda n: places[n].rank):
        for other in direct[number]:
            before[number] |= before[other] | (1 << other)

    def is_implied(number: int, other: int) -> bool:
        return any(before[between] >> other & 1 for between in direct[number])

    return [
        frozenset(other for other in direct[number] if not is_implied(number, other))
        for number in range(len(places))
    ]


def _share_order(first: Place, second: Place) -> bool:
    if first.connector is None or second.connector is None:
        return True
    return first.connector.casefold() == second.connector.casefold()
