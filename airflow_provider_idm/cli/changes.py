"""Some of the changes of a plan, as tables or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from airflow_provider_idm.cli import output

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import Change, ChangeGroup, Review

_DONE = {"insert": "inserted", "update": "updated", "delete": "deleted"}
_LONGEST = 60


def show_changes(review: Review, *, show_values: bool) -> None:
    """Show the first changes of each kind as tables: keys and changed properties, with values only if wanted."""
    for group in review.groups:
        kind = {"link": " links", "file": " files"}.get(group.kind, "")
        typer.echo(f"{group.type}: {group.total:,}{kind} {_DONE.get(group.operation, group.operation)}")
        _show_group(group, show_values=show_values)
        left = group.total - len(group.shown)
        if group.shown and left > 0:
            typer.echo(f"… and {left:,} more\n")


def changes_as_dicts(review: Review, *, show_values: bool) -> list[dict[str, Any]]:
    """Return the first changes of each kind as JSON takes them."""
    return [
        {
            "kind": group.kind,
            "type": group.type,
            "operation": group.operation,
            "total": group.total,
            "shown": [_as_dict(group, change, show_values=show_values) for change in group.shown],
        }
        for group in review.groups
    ]


def _as_dict(group: ChangeGroup, change: Change, *, show_values: bool) -> dict[str, Any]:
    if group.kind == "link":
        return {"key1": change.key1, "key2": change.key2}
    data: dict[str, Any] = {"key": change.key1, "properties": list(change.properties)}
    if show_values:
        data |= {name: dict(values) if values else None for name, values in _values(change)}
    return data


def _values(change: Change) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("old", change.old), ("new", change.new)


def _show_group(group: ChangeGroup, *, show_values: bool) -> None:
    if group.kind == "link":
        output.table(("key1", "key2"), ((_cut(c.key1), _cut(c.key2)) for c in group.shown))
    elif show_values:
        rows = (
            (
                _cut(c.key1) if first else "",
                name,
                *(_cut((values or {}).get(name)) for _, values in _values(c)),
            )
            for c in group.shown
            for first, name in _first(c.properties or ("",))
        )
        output.table(("key", "property", "old", "new"), rows)
    elif group.operation == "update" or group.kind == "file":
        rows = ((_cut(c.key1), ", ".join(c.properties)) for c in group.shown)
        output.table(("key", "properties"), rows)
    else:
        output.table(("key",), ((_cut(c.key1),) for c in group.shown))


def _first(names: tuple[str, ...]) -> list[tuple[bool, str]]:
    return [(number == 0, name) for number, name in enumerate(names)]


def _cut(text: str | None) -> str:
    """Return a text in one line, shortened; nothing in it moves a terminal's cursor."""
    from airflow_provider_idm.synchronization.synchronize.markdown_text import shorten, visible

    return shorten(visible(text), _LONGEST) if text else ""
