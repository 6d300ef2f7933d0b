"""What is to be reached, as ratios to others, and what was reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contest import FILES, POSTGRESQL, SQLITE, Run
from benchmarks.job import (
    COMPLETE,
    INCREMENTAL,
    INITIAL,
    NO_CHANGES,
    OURS,
    PLAN,
    PREPARE,
    PREPARE_INCREMENTAL,
    RAW,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MEMORY = 2 << 30
"""Bytes that none of our steps may exceed."""
HAND = {POSTGRESQL: "hand_sql_postgresql", SQLITE: "hand_sql_sqlite"}
GOALS = {
    (FILES, PREPARE, "duckdb_prepare"): 1.15,
    (FILES, PREPARE_INCREMENTAL, "duckdb_prepare"): 1.15,
    (POSTGRESQL, INITIAL, HAND[POSTGRESQL]): 0.75,
    (POSTGRESQL, NO_CHANGES, HAND[POSTGRESQL]): 0.50,
    (POSTGRESQL, PLAN, OURS): 1.0,
    (POSTGRESQL, COMPLETE, HAND[POSTGRESQL]): 0.55,
    (POSTGRESQL, COMPLETE, "dlt_merge"): 0.125,
    (POSTGRESQL, RAW, HAND[POSTGRESQL]): 1.0,
    (POSTGRESQL, INCREMENTAL, HAND[POSTGRESQL]): 1.15,
    (SQLITE, INITIAL, HAND[SQLITE]): 1.15,
    (SQLITE, COMPLETE, HAND[SQLITE]): 1.15,
    (SQLITE, INCREMENTAL, HAND[SQLITE]): 1.15,
}
"""The greatest ratio of our seconds to another's, by section, step and baseline. A plan is measured against our own
Complete, and the way from raw files (prepare and synchronize) against others' Complete alone, from clean ones."""


@dataclass(frozen=True)
class Line:
    """One contender's runs of a step.

    :param seconds: of each run, in the order of the pairs; ``process_seconds`` is a median.
    :param ratio: the median of ours to it, pair by pair; None for ours itself.
    :param goal: what that may be at most; ``against`` says whose.
    """

    section: str
    step: str
    contender: str
    seconds: tuple[float, ...]
    process_seconds: float
    cpu_seconds: float
    peak_bytes: int
    server_cpu_seconds: float
    server_bytes: int
    ratio: float | None = None
    ratios: tuple[float, float] | None = None
    goal: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None or self.goal is None else self.ratio <= self.goal


def summary(
    runs: Sequence[Run], steps: Iterable[str], goals: Mapping[tuple[str, str, str], float] = GOALS
) -> list[Line]:
    """Return one line per section, step and contender, ours first."""
    lines: list[Line] = []
    for section in dict.fromkeys(run.section for run in runs):
        of_section = [run for run in runs if run.section == section]
        for step in steps:
            if own := _seconds(of_section, step, OURS):
                lines += _lines(of_section, section, step, own, goals)
    return lines


def _lines(
    runs: list[Run],
    section: str,
    step: str,
    own: dict[int, float],
    goals: Mapping[tuple[str, str, str], float],
) -> list[Line]:
    found = []
    # The way from raw files has no runs of others: theirs is the Complete.
    theirs = COMPLETE if step == RAW else step
    others = dict.fromkeys(r.contender for r in runs if r.step == theirs and r.contender != OURS)
    for contender in (OURS, *sorted(others)):
        own_step = step if contender == OURS else theirs
        of = [r for r in runs if r.step in _parts(own_step) and r.contender == contender]
        seconds = _seconds(runs, own_step, contender)
        median = {
            what: statistics.median(_seconds(runs, own_step, contender, what).values())
            for what in ("process_seconds", "cpu_seconds", "server_cpu_seconds")
        }
        against = seconds
        if contender == OURS:
            against = _seconds(runs, COMPLETE, OURS) if step == PLAN else {}
        ratios = [own[pair] / other for pair, other in against.items() if pair in own]
        found.append(
            Line(
                section=section,
                step=step,
                contender=contender,
                seconds=tuple(seconds[pair] for pair in sorted(seconds)),
                **median,
                peak_bytes=max(r.peak_bytes for r in of),
                server_bytes=max(r.server_bytes for r in of),
                ratio=statistics.median(ratios) if ratios else None,
                ratios=(min(ratios), max(ratios)) if ratios else None,
                goal=goals.get((section, step, contender)),
            )
        )
    return found


def _parts(step: str) -> tuple[str, ...]:
    return (RAW, COMPLETE) if step == RAW else (step,)


def _seconds(runs: list[Run], step: str, contender: str, what: str = "seconds") -> dict[int, float]:
    """Return the seconds by pair: of a step, or of both parts of the way from raw files.

    :param what: which seconds, by the attribute of ``Run``.
    """
    parts = [
        {r.pair: getattr(r, what) for r in runs if (r.step, r.contender) == (part, contender)}
        for part in _parts(step)
    ]
    return {pair: sum(p[pair] for p in parts) for pair in parts[0] if all(pair in p for p in parts)}
