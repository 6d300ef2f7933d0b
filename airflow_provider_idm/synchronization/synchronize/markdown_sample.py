"""Some of the changes, as Markdown: keys and properties, values if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from airflow_provider_idm.synchronization.synchronize.markdown_text import code, more, table
from airflow_provider_idm.synchronization.synchronize.review import Change, ChangeGroup

_SHOWN_PROPERTIES = 10
_DONE: Final = {"insert": "inserted", "update": "updated", "delete": "deleted"}


def sample(groups: Sequence[ChangeGroup], most: int | None, *, show_values: bool, limit: int) -> list[str]:
    """Return the lines of a sample.

    :param most: changes of each kind that are shown at most; 0: only how many there are; None: not even that.
    :param show_values: show old and new values, not only keys and the names of changed properties.
    :param limit: the characters that everything had to fit into, for the reader to know.
    """
    if not groups:
        return []
    if most is None:
        left_out = f"The sample of the changes is left out: it does not fit into {limit:,} characters."
        return [f"{left_out} `idm plan` writes all changes with `--changes FILE`.", ""]
    lines: list[str] = []
    for group in groups:
        lines += _group(group, most, show_values=show_values)
    if most < max(len(group.shown) for group in groups):
        shown = f"{most:,} of each kind {'is' if most == 1 else 'are'} shown"
        lines += [f"Shortened to fit into {limit:,} characters: at most {shown}.", ""]
    return lines


def _group(group: ChangeGroup, most: int, *, show_values: bool) -> list[str]:
    kind = {"link": " links", "file": " files"}.get(group.kind, "")
    done = _DONE.get(group.operation, group.operation)
    lines = [f"**{code(group.type)}: {group.total:,}{kind} {done}**", ""]
    shown = group.shown[:most]
    if not shown:
        return lines
    if group.kind == "link":
        lines += table(("key1", "key2"), ((code(c.key1), code(c.key2 or "")) for c in shown))
    elif show_values:
        lines += table(("key", "values"), ((code(c.key1), _values(c)) for c in shown))
    elif group.operation == "update" or group.kind == "file":
        lines += table(("key", "properties"), ((code(c.key1), _names(c)) for c in shown))
    else:  # the names alone of all the properties of a whole resource say nothing
        lines += table(("key",), ((code(c.key1),) for c in shown))
    return [*lines, *more(group.total - len(shown))]


def _names(change: Change) -> str:
    return ", ".join(_some([code(name) for name in change.properties]))


def _values(change: Change) -> str:
    return "; ".join(_some([f"{code(name)}: {_value(change, name)}" for name in change.properties]))


def _value(change: Change, name: str) -> str:
    old, new = ((values or {}).get(name) for values in (change.old, change.new))
    if change.old is None:
        return code(new or "")
    if change.new is None:
        return code(old or "")
    return f"{code(old or '')} → {code(new or '')}"


def _some(told: list[str]) -> list[str]:
    left = len(told) - _SHOWN_PROPERTIES
    return [*told[:_SHOWN_PROPERTIES], *([f"and {left:,} more"] if left > 0 else [])]
