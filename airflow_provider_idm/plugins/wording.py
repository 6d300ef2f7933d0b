"""What the pages say of a task's state and of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airflow_provider_idm.plugins.contents import Report
from airflow_provider_idm.plugins.told import Key

_STATES: Final = {
    "": "The task has not run yet.",
    "scheduled": "The task has not run yet; it is about to.",
    "queued": "The task has not run yet; it is about to.",
    "running": "The task is running. It tells what it did when it ends.",
    "restarting": "The task is about to run again.",
    "up_for_retry": "The task failed and will be tried again; the error is in its log.",
    "up_for_reschedule": "The task waits, for the reason that its log has, and looks again soon.",
    "awaiting_input": "The task waits for a person's decision.",
    "deferred": "The task waits for a person's decision.",
    "success": "The task has ended, but told nothing of this.",
    "failed": "The task failed; the error is in its log.",
    "upstream_failed": "The task did not run, for one before it failed.",
    "skipped": "The task was skipped; the reason is in its log.",
    "removed": "The task is not part of the DAG any more.",
}
_WAITING: Final = frozenset({"awaiting_input", "deferred"})
"""Since Airflow 3.3, and before."""
_ENDED: Final = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A report that a page shows.

    :param blocks: it is of a batch that exceeds a threshold; nothing of that was applied when it was told.
    :param by: the task that told it, if that is another one.
    """

    report: Report
    blocks: bool
    by: Key | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome in a word and in a sentence; ``kind`` (good, calm, bad) makes the colour."""

    kind: str
    word: str
    sentence: str


def state_text(state: str) -> str:
    """Return what a task's state means for somebody who looks for what it told."""
    return _STATES.get(state, f"The task is {state}.")


def waits(state: str) -> bool:
    """Tell whether a task waits for a person's answer."""
    return state in _WAITING


def may_still_tell(state: str) -> bool:
    """Tell whether a task may tell something by itself soon."""
    return state not in _ENDED and state not in _WAITING


def verdict(shown: Shown, state: str) -> Verdict:
    """Say what became of what a report is about.

    :param state: the task's, if the report is its own.
    """
    report = shown.report
    if shown.blocks:
        return Verdict("bad", "Blocked", _blocked(state if shown.by is None else ""))
    if report.state == "blocked":  # no task but one that plans returns that
        return Verdict("bad", "Plan", "Nothing was changed. A synchronization would be blocked.")
    if report.is_plan:
        return Verdict("calm", "Plan", "Nothing was changed; this is what a synchronization would do.")
    if report.state == "nothing":
        return Verdict("calm", "Nothing to do", "No batch was pending.")
    if report.already_applied:
        return Verdict("calm", "Applied before", "Nothing was changed now; this is what was done then.")
    return Verdict("good", "Applied", "All of this is in the identity repository.")


def _blocked(state: str) -> str:
    told = "A threshold is exceeded, so that nothing of the batch was applied."
    if waits(state):
        return f"{told} The task waits for a person's decision."
    if state == "failed":
        return f"{told} The task failed: it was rejected, or could not wait for a decision. Its log has the reason."
    if may_still_tell(state) and state:
        return f"{told} The task goes on: {state_text(state)}"
    return told
