"""What becomes of a job's tasks, worked out naively from the rules alone: no DAG, no Airflow, no trigger rules.

The rules, in the order in which they are asked:

* A task waits for the tasks before it (of a lower rank) that are of its connector, for those without a connector, and,
  if it has none itself, for all; and for its parents.
* A task that fails without ``ContinueOnError`` stops the later tasks of its connector and those without one; if it has
  no connector itself, all later ones. One that fails with it stops only what depends on it.
* A task with parents is stopped if one of them failed, is blocked or was stopped. If none of them had an effect, it is
  skipped. A SetRecentlyModifiedFlagTask with parents asks for one effect alone, whatever failed before; without one it
  is stopped if a parent was, and skipped otherwise.
* A connector never waits for another's decision, unless a parent does: not through a task without a connector either.
* The run fails if a task without ``ContinueOnError`` failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

SET_FLAG = "SetRecentlyModifiedFlagTask"


class Outcome(Enum):
    """What would happen to a task if it ran."""

    EFFECT = "succeeds, with an effect"
    UNTOLD = "succeeds and does not tell whether it had an effect, which counts as one"
    NO_EFFECT = "succeeds, without an effect"
    FAILS = "fails"
    HELD_BACK = "skips itself, for a batch of its connector awaits a decision elsewhere"
    BLOCKED = "is blocked, and nobody has decided yet"


class Became(Enum):
    """What a task became."""

    SUCCEEDED = "ran, succeeded and had an effect"
    CHANGED_NOTHING = "ran, succeeded and had no effect"
    FAILED = "ran and failed"
    HELD_BACK = "skipped itself"
    BLOCKED = "awaits a decision"
    STOPPED = "stopped by a failed task that comes before it"
    STOPPED_BY_PARENT = "stopped by what became of a parent"
    NO_EFFECT = "skipped, for no parent had an effect"
    WAITING = "waits for others"


_RAN = {
    Outcome.EFFECT: Became.SUCCEEDED,
    Outcome.UNTOLD: Became.SUCCEEDED,
    Outcome.NO_EFFECT: Became.CHANGED_NOTHING,
    Outcome.FAILS: Became.FAILED,
    Outcome.HELD_BACK: Became.HELD_BACK,
    Outcome.BLOCKED: Became.BLOCKED,
}
ENDED = frozenset(Became) - {Became.BLOCKED, Became.WAITING}
_STOPS_CHILDREN = {Became.FAILED, Became.HELD_BACK, Became.STOPPED, Became.STOPPED_BY_PARENT}


@dataclass(frozen=True)
class Task:
    """One task of a job.

    :param rank: its level, or its place in reading order.
    """

    identifier: str
    element: str
    connector: str | None
    rank: int
    parents: tuple[str, ...] = ()
    continue_on_error: bool = False


@dataclass(frozen=True)
class Fate:
    """What a task became, and the tasks that are the reason.

    :param by: the tasks that stopped it, or that it waits for, sorted.
    """

    became: Became
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a run came to: the fate of every task by identifier, and the state ``success``, ``failed`` or ``running``."""

    fates: Mapping[str, Fate]
    state: str


def judge(tasks: Sequence[Task], outcomes: Mapping[str, Outcome], before: Verdict | None = None) -> Verdict:
    """Work out what becomes of a job when everything that can run has run.

    :param tasks: in reading order; parents have a lower rank than their children.
    :param outcomes: what would happen to each task, by identifier.
    :param before: what had become of them before somebody decided about what was blocked: what had begun stays.
    """
    settled = before.fates if before else {}
    fates: dict[str, Fate] = {name: fate for name, fate in settled.items() if fate.became in ENDED}
    for task in sorted(tasks, key=lambda t: t.rank):
        name = task.identifier
        if name in settled and settled[name].became is Became.BLOCKED:
            fates[name] = Fate(_RAN[outcomes[name]])
        elif name not in fates:
            fates[name] = _fate(task, tasks, fates, outcomes[name])
    return Verdict(fates, _state(tasks, fates))


def waits_for(task: Task, other: Task) -> bool:
    """Return whether a task starts only when another has ended."""
    return other.identifier in task.parents or _comes_after(task, other)


def _comes_after(task: Task, other: Task) -> bool:
    is_tied = task.connector is None or other.connector is None or task.connector == other.connector
    return other.rank < task.rank and is_tied


def _fate(task: Task, tasks: Sequence[Task], fates: Mapping[str, Fate], outcome: Outcome) -> Fate:
    asks_for_an_effect_alone = task.element == SET_FLAG and bool(task.parents)
    before = [other for other in tasks if other is not task and waits_for(task, other)]
    if not asks_for_an_effect_alone:
        stoppers = [other for other in before if _stops_later(other, fates) and _comes_after(task, other)]
        if stoppers:
            return Fate(Became.STOPPED, _names(stoppers))
    unfinished = [other for other in before if fates[other.identifier].became not in ENDED]
    if task.connector is not None:
        # What waits here, waits for a decision: one about the own connector is among these, too.
        unfinished = [o for o in unfinished if o.connector is not None or o.identifier in task.parents]
    if unfinished:
        return Fate(Became.WAITING, _names(unfinished))
    bad = tuple(sorted(name for name in task.parents if fates[name].became in _STOPS_CHILDREN))
    has_effect = any(fates[name].became is Became.SUCCEEDED for name in task.parents)
    if bad and not (asks_for_an_effect_alone and has_effect):
        return Fate(Became.STOPPED_BY_PARENT, bad)
    if task.parents and not has_effect:
        return Fate(Became.NO_EFFECT, tuple(sorted(task.parents)))
    return Fate(_RAN[outcome])


def _stops_later(other: Task, fates: Mapping[str, Fate]) -> bool:
    return fates[other.identifier].became is Became.FAILED and not other.continue_on_error


def _names(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(sorted(task.identifier for task in tasks))


def _state(tasks: Sequence[Task], fates: Mapping[str, Fate]) -> str:
    if any(fate.became not in ENDED for fate in fates.values()):
        return "running"
    return "failed" if any(_stops_later(task, fates) for task in tasks) else "success"
