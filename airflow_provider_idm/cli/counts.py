"""The counts of a synchronization or a plan, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_idm.cli import output

_ENTITY_TYPES = ("inserted", "updated", "deleted", "unchanged", "anomalies")
_ASSOCIATIONS = ("inserted", "deleted", "unchanged", "orphans", "conflicts")


def show_counts(counts: Mapping[str, Any]) -> None:
    """Show entity types, associations and exceeded thresholds of a result's ``as_dict()``."""
    for title, key, columns in (
        ("entity type", "entity_types", _ENTITY_TYPES),
        ("association", "associations", _ASSOCIATIONS),
    ):
        rows = ((name, *(found[column] for column in columns)) for name, found in counts[key].items())
        output.table((title, *columns), rows)
    thresholds = ((t["scope"], t["name"], t["limit"], t["actual"], t["stored"]) for t in counts["thresholds"])
    output.table(("threshold exceeded", "name", "limit", "actual", "stored"), thresholds)


def show_batches(counts: Mapping[str, Any]) -> None:
    """Show the batches of a result."""
    output.table(("batch", "mode", "state"), ((b["id"], b["mode"], b["state"]) for b in counts["batches"]))
