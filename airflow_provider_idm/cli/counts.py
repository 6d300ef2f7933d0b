"""The counts of a synchronization or a plan, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_idm.cli import output

_ENTITY_TYPES = ("inserted", "updated", "deleted", "unchanged", "anomalies")
_ASSOCIATIONS = ("inserted", "deleted", "unchanged", "orphans", "conflicts")


def show_counts(counts: Mapping[str, Any], *, on_stderr: bool = False) -> None:
    """Show entity types, associations and exceeded thresholds of a result's ``as_dict()``."""
    for title, key, columns in (
        ("entity type", "entity_types", _ENTITY_TYPES),
        ("association", "associations", _ASSOCIATIONS),
    ):
        rows = ((name, *(found[column] for column in columns)) for name, found in counts[key].items())
        output.table((title, *columns), rows, on_stderr=on_stderr)
    show_thresholds(counts["thresholds"], on_stderr=on_stderr)


def show_thresholds(thresholds: Iterable[Mapping[str, Any]], *, on_stderr: bool = False) -> None:
    """Show exceeded thresholds, each a dictionary of an ``ExceededThreshold``."""
    from airflow_provider_idm.synchronization.synchronize import ExceededThreshold

    exceeded = [ExceededThreshold(**t) for t in thresholds]
    rows = ((t.scope, t.name, t.limit_text, t.actual_text, t.stored) for t in exceeded)
    columns = ("threshold exceeded", "name", "limit", "actual", "stored")
    output.table(columns, rows, on_stderr=on_stderr)


def show_batches(counts: Mapping[str, Any]) -> None:
    """Show the batches of a result."""
    output.table(("batch", "mode", "state"), ((b["id"], b["mode"], b["state"]) for b in counts["batches"]))
