"""What a task keeps in Airflow of what it did (XCom, asset event): counts, and lists that cannot grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LONGEST_LIST: Final = 20
"""Entries that are kept of a list; how many there were beyond that is kept as ``<name>_omitted``."""
LONGEST_TEXT: Final = 500
"""Characters that are kept of an entry that is a text."""
MOST_COUNTS: Final = 100
"""Entity types and associations, each, of an asset event; if there are more, those that changed are kept first."""

_CHANGES: Final = ("inserted", "updated", "deleted")


def shortened(told: Mapping[str, Any]) -> dict[str, Any]:
    """Cut the lists in what is told; of batches and the like the last ones are kept, they are what the task was for.

    :param told: e.g. the JSON of a synchronization.
    """
    short: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, (list, tuple)):
            kept = value[-LONGEST_LIST:] if name == "batches" else value[:LONGEST_LIST]
            short[name] = [_short_text(entry) for entry in kept]
            if len(value) > LONGEST_LIST:
                short[f"{name}_omitted"] = len(value) - LONGEST_LIST
        else:
            short[name] = value
    return short


def short_counts(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Any]:
    """Cut counts by entity type and association to the number of an asset event."""
    short: dict[str, Any] = {}
    for kind, by_name in counts.items():
        names = sorted(by_name, key=lambda name: not _has_changed(by_name[name]))[:MOST_COUNTS]
        short[kind] = {name: dict(numbers) for name, numbers in by_name.items() if name in set(names)}
        if len(by_name) > MOST_COUNTS:
            short[f"{kind}_omitted"] = len(by_name) - MOST_COUNTS
    return short


def _has_changed(numbers: Mapping[str, int]) -> bool:
    return any(numbers.get(name) for name in _CHANGES)


def _short_text(entry: Any) -> Any:
    if isinstance(entry, str) and len(entry) > LONGEST_TEXT:
        return f"{entry[:LONGEST_TEXT]}…"
    return entry
