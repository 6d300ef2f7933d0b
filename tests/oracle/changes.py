"""Changes as a plan tells them and as the change tables keep them, written alike to be compared row for row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.oracle.shapes import column_of

if TYPE_CHECKING:
    import pandas as pd

    from tests.oracle.harness import Harness, Snapshot

Values = tuple[tuple[str, str | None], ...]
Change = tuple[str, str, str, str, str | None, str | None, Values | str | None, Values | str | None]
"""Kind, entity type or association, operation, key1, key2, property of a file, old, new; values by property."""

TABLES = ("UR_ResourceChanges", "UR_ResourceLinkChanges", "UR_ResourceFileChanges")


def planned_changes(frame: pd.DataFrame, batch: str | None = None) -> list[Change]:
    """Read a plan's changes, of one batch or of all."""
    rows = [
        {c: None if v != v or v is None else v for c, v in row.items()} for row in frame.to_dict("records")
    ]
    changes = []
    for row in rows:
        if batch not in {None, row["batch"]}:
            continue
        old, new = row["old"], row["new"]
        if row["kind"] == "resource":
            old, new = _values(old), _values(new)
        head = (row["kind"], row["type"], row["operation"], row["key1"], row["key2"], row["property"])
        changes.append((*head, old, new))
    return sorted(changes, key=repr)


def kept_changes(harness: Harness, task_instance: int | None = None) -> list[Change]:
    """Read the change rows in the repository, of one task instance or of all, by plain SQL."""
    types = {row["Id"]: row["Identifier"] for row in harness.table("UM_EntityTypes")}
    associations = {row["Id"]: row["Identifier"] for row in harness.table("UM_EntityAssociations")}
    properties = {row["Id"]: row["Identifier"] for row in harness.table("UM_EntityProperties")}
    changes: list[Change] = []
    for table in TABLES:
        for row in harness.table(table):
            if task_instance not in {None, row["TaskInstance_Id"]}:
                continue
            operation = row["ChangeOperation"]
            if table == "UR_ResourceChanges":
                name = types[row["Type"]]
                old, new = (_by_property(harness, name, row[c]) for c in ("OldValues", "NewValues"))
                changes.append(("resource", name, operation, row["R1_PK"], None, None, old, new))
            elif table == "UR_ResourceLinkChanges":
                name = associations[row["Type"]]
                changes.append(("link", name, operation, row["R1_PK"], row["R2_PK"], None, None, None))
            else:
                name, file = types[row["Type"]], properties[row["Property_Id"]]
                hashes = (row["OldHash"], row["NewHash"])
                changes.append(("file", name, operation, row["R1_PK"], None, file, *hashes))
    return sorted(changes, key=repr)


def differences(before: Snapshot, after: Snapshot) -> list[Change]:
    """Say by which changes of resources and links two contents differ; files are not in them."""
    changes: list[Change] = []
    for name, olds in before.resources.items():
        news = after.resources[name]
        for key in olds.keys() | news.keys():
            # The model writes nothing as an empty text.
            old, new = ({p: v for p, v in rows.get(key, {}).items() if v} for rows in (olds, news))
            operation = "insert" if key not in olds else "delete" if key not in news else "update"
            changed = sorted(p for p in old.keys() | new.keys() if old.get(p) != new.get(p))
            if changed or operation != "update":
                values = [tuple((p, row.get(p)) for p in changed) for row in (old, new)]
                told = (values[0] if key in olds else None, values[1] if key in news else None)
                changes.append(("resource", name, operation, key, None, None, *told))
    for name, pairs in before.links.items():
        for operation, found in (
            ("delete", pairs - after.links[name]),
            ("insert", after.links[name] - pairs),
        ):
            changes += [("link", name, operation, *pair, None, None, None) for pair in found]
    return sorted(changes, key=repr)


def without_nulls(changes: list[Change]) -> list[Change]:
    """Leave out the properties that a resource which comes or goes does not have."""
    found: list[Change] = []
    for change in changes:
        kind, _, operation, *_, old, new = change
        if kind == "resource" and operation != "update":
            old, new = (
                None if values is None else tuple(v for v in values if v[1] is not None)
                for values in (old, new)
            )
        found.append((*change[:6], old, new))
    return sorted(found, key=repr)


def _values(text: str | None) -> Values | None:
    return None if text is None else tuple(sorted(json.loads(text).items()))


def _by_property(harness: Harness, entity_type: str, text: str | None) -> Values | None:
    if text is None:
        return None
    names: dict[str, Any] = {
        column_of(p.index): p.identifier for p in harness.shape.type(entity_type).properties
    }
    return tuple(sorted((names[column], value) for column, value in json.loads(text).items()))
