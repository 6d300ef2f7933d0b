"""Whether a task of a job is to run, once what comes before it has ended: decided from states and effects alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

SUCCESS: Final = "success"
SKIPPED: Final = "skipped"
FAILED: Final = frozenset({"failed", "upstream_failed"})
ENDED: Final = FAILED | {SUCCESS, SKIPPED, "removed"}
AWAITING_ANSWER: Final = frozenset({"awaiting_input", "deferred"})
"""States of a synchronize that waits for a person: Airflow 3.3 has one of its own, before it is deferred."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A task without a connector that comes earlier, and itself waits for tasks of other connectors.

    What depends on such a task has it as a parent. All others wait for it too, but not if it waits for another
    connector's decision: that is why Airflow is not told of the dependency.

    :param holders: the synchronizes of other connectors that it waits for.
    :param may_fail: whether others go on if it fails (ContinueOnError).
    """

    task_id: str
    holders: tuple[str, ...] = ()
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What a task's run depends on beside the order of tasks.

    :param parents: the tasks that it depends on (TaskDependsOnTask).
    :param any_effect: one parent with an effect suffices, whatever became of the others.
    :param watched: what is waited for while the task is about to run.
    """

    parents: tuple[str, ...] = ()
    any_effect: bool = False
    watched: tuple[Watched, ...] = ()

    @property
    def task_ids(self) -> list[str]:
        """The tasks whose state decides."""
        holders = (holder for watched in self.watched for holder in watched.holders)
        return sorted({*self.parents, *(watched.task_id for watched in self.watched), *holders})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    :param state: Airflow's; None if it has not begun.
    :param had_effect: what it told, None if it told nothing.
    :param stopped: it was skipped because a task it depends on failed, was blocked or was itself stopped.
    """

    state: str | None
    had_effect: bool | None = None
    stopped: bool = False


class Verb(Enum):
    """What a task is to do."""

    RUN = "run"
    SKIP = "skip"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a task is to do, and why it does not run.

    :param stopped: it does not run because of a failure or a block; what depends on it does not run either.
    """

    verb: Verb
    reason: str = ""
    stopped: bool = False


_RUN: Final = Verdict(Verb.RUN)


def decide(condition: Condition, outcomes: Mapping[str, Outcome]) -> Verdict:
    """Say whether a task is to run.

    A parent that has not ended (it was cleared meanwhile) counts as having had an effect: the task was started because
    it had ended.

    :param outcomes: of all tasks that the condition names.
    """
    for watched in condition.watched:
        if (verdict := _watch(watched, outcomes)) is not _RUN:
            return verdict
    if not condition.parents:
        return _RUN
    obstacles = [text for parent in condition.parents if (text := _obstacle(parent, outcomes[parent]))]
    if obstacles and not condition.any_effect:
        return Verdict(Verb.SKIP, f"{_joined(obstacles)}, and this task depends on it", stopped=True)
    if any(_had_effect(outcomes[parent]) for parent in condition.parents):
        return _RUN
    nothing = "none of the tasks that this one depends on had an effect"
    told = [
        *obstacles,
        *(_without_effect(p, outcomes[p]) for p in condition.parents if not _stops(outcomes[p])),
    ]
    return Verdict(Verb.SKIP, f"{nothing}: {_joined(told)}", stopped=bool(obstacles))


def _watch(watched: Watched, outcomes: Mapping[str, Outcome]) -> Verdict:
    state = outcomes[watched.task_id].state
    if state == "failed" and not watched.may_fail:
        return Verdict(
            Verb.SKIP, f"task {watched.task_id}, which comes before this one, failed", stopped=True
        )
    if state in ENDED:
        return _RUN
    if any(outcomes[holder].state in AWAITING_ANSWER for holder in watched.holders):
        return _RUN
    return Verdict(Verb.WAIT, f"task {watched.task_id} comes first and has not ended")


def _stops(outcome: Outcome) -> bool:
    return outcome.state in FAILED or outcome.stopped


def _obstacle(task_id: str, outcome: Outcome) -> str:
    """Say what keeps a parent's children from running; nothing if nothing does."""
    if outcome.state == "upstream_failed":
        return f"task {task_id} was stopped by a failure before it"
    if outcome.state in FAILED:
        return f"task {task_id} failed"
    if outcome.stopped:
        return f"task {task_id} was skipped because of a failure or a block before it"
    return ""


def _had_effect(outcome: Outcome) -> bool:
    if outcome.state in FAILED or outcome.state == "removed":
        return False
    if outcome.state == SKIPPED:  # one that says so was left out on purpose, and counts as done
        return outcome.had_effect is True
    return outcome.had_effect is not False


def _without_effect(task_id: str, outcome: Outcome) -> str:
    return f"task {task_id} {'was skipped' if outcome.state == SKIPPED else 'changed nothing'}"


def _joined(texts: list[str]) -> str:
    return ", ".join(texts)
