"""The order of a job's tasks, as Airflow is told it.

Airflow knows edges and one trigger rule per task; a job knows more. A task that fails stops what comes later of its
connector, unless it may fail (ContinueOnError); tasks of other connectors go on; some tasks go on whatever became of
those before. ``arrange`` says with which edges both come to the same:

* a **strict** edge, of a task with the trigger rule ``none_failed``: a failure before stops the task, and Airflow
  itself carries that on as ``upstream_failed``;
* a **lenient** one: the task only waits for an end. If all edges of a task are lenient its trigger rule is
  ``all_done``. If it has strict ones too, the lenient lead through a node that succeeds when the task has ended;
* a **watched** task is waited for when the task is about to run, see ``condition.py`` of the operators.

A run fails if one of its last tasks does. Where a failure would not get there by strict edges, a last node is needed
that it does get to (``guarded``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """What decides about a task's place in its job.

    :param rank: its level, or its number in reading order; a higher rank comes later.
    :param connector: its connector, or None.
    :param parents: the tasks (by number) that it depends on explicitly, each of a lower rank.
    :param may_fail: whether others go on if it fails (ContinueOnError).
    :param goes_on: whether it runs whatever became of the tasks before it.
    """

    rank: int
    connector: str | None
    parents: frozenset[int] = frozenset()
    may_fail: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """What one task waits for, by number; what follows from others is left out.

    :param strict: a failure of these stops it.
    :param lenient: it only waits for their end.
    :param watched: tasks without a connector that may be held up by other connectors: no edges.
    """

    strict: frozenset[int] = frozenset()
    lenient: frozenset[int] = frozenset()
    watched: frozenset[int] = frozenset()

    @property
    def needs_nodes(self) -> bool:
        """Whether the lenient edges lead through nodes: one trigger rule cannot serve both kinds."""
        return bool(self.strict and self.lenient)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All edges of a job.

    :param links: by task.
    :param ended: the tasks that need a node which succeeds when they have ended.
    :param guarded: the tasks whose failure reaches the end of the run through one more node only.
    """

    links: tuple[Links, ...]
    ended: frozenset[int]
    guarded: frozenset[int]


def arrange(places: Sequence[Place]) -> Arrangement:
    """Return the edges of a job's tasks."""
    return _Arranging(places).run()


class _Levels:
    """The tasks by rank and connector, filled in the order of ranks."""

    def __init__(self) -> None:
        self._all: list[tuple[int, int]] = []
        self._by_connector: dict[str | None, list[tuple[int, int]]] = {}
        self._first: dict[str, int] = {}

    def add(self, number: int, place: Place) -> None:
        key = None if place.connector is None else place.connector.casefold()
        for ranks in (self._all, self._by_connector.setdefault(key, [])):
            collected = ranks[-1][1] if ranks else 0
            ranks.append((place.rank, collected | (1 << number)))
        if key is not None:
            self._first.setdefault(key, place.rank)

    def before(self, place: Place) -> int:
        """Return the tasks of a lower rank that share their order with a task."""
        if place.connector is None:
            return _below(self._all, place.rank)
        own = self._by_connector.get(place.connector.casefold(), [])
        return _below(own, place.rank) | _below(self._by_connector.get(None, []), place.rank)

    def has_others(self, rank: int, connector: str) -> bool:
        """Tell whether a task of another connector comes before a rank."""
        return any(first < rank for name, first in self._first.items() if name != connector)


@dataclass
class _Arranging:
    """Tasks in the order of their ranks; sets of tasks as bits, for jobs of thousands of tasks."""

    places: Sequence[Place]
    awaited: list[int] = field(default_factory=list)
    """What it waits for by edges, directly or not."""
    stopping: list[int] = field(default_factory=list)
    """Whose failure stops it, by strict edges."""
    levels: _Levels = field(default_factory=_Levels)

    def run(self) -> Arrangement:
        count = len(self.places)
        self.awaited, self.stopping = [0] * count, [0] * count
        links: list[Links] = [Links()] * count
        order = sorted(range(count), key=lambda number: self.places[number].rank)
        for number in order:
            self.levels.add(number, self.places[number])
        for number in order:
            links[number] = self._link(number)
        ended, guarded = _ends(self.places, links, order)
        return Arrangement(tuple(links), ended, guarded)

    def _link(self, number: int) -> Links:
        place = self.places[number]
        strict = lenient = watched = 0
        ordered = self.levels.before(place)
        for other in _numbers(ordered | _bits(place.parents)):
            bit = 1 << other
            if self._is_independent(place, other):
                if other in place.parents:
                    lenient |= bit
                else:
                    watched |= bit
            elif place.goes_on or self.places[other].may_fail:
                lenient |= bit
            else:
                strict |= bit
        return self._without_implied(number, strict, lenient, watched)

    def _without_implied(self, number: int, strict: int, lenient: int, watched: int) -> Links:
        place = self.places[number]
        # What lies between may end early, as soon as anything before it failed: what decides must have ended itself.
        decisive = _bits(place.parents) if place.goes_on else 0
        stopping = awaited = 0
        for other in _numbers(strict):
            stopping |= self.stopping[other]
            awaited |= self.awaited[other]
        for other in _numbers(lenient):
            awaited |= self.awaited[other]
        kept = Links(
            frozenset(_numbers(strict & ~stopping)),
            frozenset(_numbers(lenient & (~awaited | decisive))),
            frozenset(_numbers(watched)),
        )
        self.stopping[number] = strict | stopping
        self.awaited[number] = strict | lenient | awaited
        return kept

    def _is_independent(self, place: Place, other: int) -> bool:
        """Tell whether what becomes of another task is no matter for a task's connector.

        So it is with tasks of other connectors, and with one without a connector that waits for such tasks.
        """
        if place.connector is None:
            return False
        own = place.connector.casefold()
        connector = self.places[other].connector
        if connector is not None:
            return connector.casefold() != own
        return self.levels.has_others(self.places[other].rank, own)


def _below(ranks: list[tuple[int, int]], rank: int) -> int:
    return next((bits for known, bits in reversed(ranks) if known < rank), 0)


def _ends(
    places: Sequence[Place], links: Sequence[Links], order: Sequence[int]
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the tasks that need a node for their end, and those whose failure needs one to end the run as failed."""
    ended = {other for link in links if link.needs_nodes for other in link.lenient}
    followed = {other for link in links for other in link.strict | link.lenient}
    ended |= {number for number, place in enumerate(places) if place.may_fail and number not in followed}
    guarded: set[int] = set()
    fails: set[int] = set()
    for number in reversed(order):
        if places[number].may_fail:
            continue
        if number in followed and number not in fails:
            guarded.add(number)
        for other in links[number].strict:
            fails.add(other)
    return frozenset(ended), frozenset(guarded)


def _bits(numbers: frozenset[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
