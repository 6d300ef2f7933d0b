"""A batch that blocks its connector, and what must be true of a connector that is blocked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_idm.synchronization.synchronize import find_block
from tests.oracle.changes import kept_changes, planned_changes
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.safeguards.sources import SMALL, Files, as_batch, changed, limits, model_of, without

LIMITS = limits("Person", {"MaximumDeletedLines": "3"})
GONE = {f"p{n:05}" for n in range(5, 10)}
ATTEMPTS = ("UJ_TaskInstances", "UJ_JobInstances", "UJ_Counters")
"""Tables that record an attempt whatever became of it."""
STORED = ("UR_Resources", "UR_ResourceLinks", "UR_ResourceFiles", "UR_UnresolvedLinks", "UM_EntityTypes")
HISTORY = (*STORED, "UM_EntityAssociations", "UJ_Batches")
"""Tables that nothing but an apply may change."""


def too_much(extra: int = 0) -> Files:
    """Write a source with every kind of change, of which five deleted persons are too many.

    :param extra: makes it another such source.
    """
    files = without(changed(SMALL, "Updated", {"Person": 2, "Organization": 1 + extra}), "Person", GONE)
    persons = files["Person"]
    new = [["p00100", "login100", "New"], ["p00101", "", ""]]
    files["Person"] = CleanFile(persons.columns, sorted(persons.lines + new))
    members = files["Person_Organization"]
    files["Person_Organization"] = CleanFile(
        members.columns, sorted([*members.lines, ["p00100", "o00000"], ["p00101", "nowhere"]])
    )
    files["Organization_Parent"].lines[0][1] = "o00019"
    return files


def within() -> Files:
    """Write a source whose changes are within the limits."""
    return changed(SMALL, "Deleted", {"Person": 3})


def block(harness: Harness, mode: str = "Complete", **options: Any) -> str:
    """Publish and synchronize a batch that is too much; check that it blocks."""
    batch = harness.publish(as_batch(SMALL, too_much(), mode), mode, dated=options.pop("dated", None))
    result = harness.synchronize(batch=batch, **options)
    assert (result.state, result.blocked_by) == ("blocked", batch)
    return batch


def model_after(mode: str = "Complete", files: Files | None = None) -> Model:
    model = model_of(SMALL)
    model.apply(mode, as_batch(SMALL, files or too_much(), mode))
    return model


def stored(harness: Harness) -> Mapping[str, list[tuple[Any, ...]]]:
    """Read all that only an apply may change, row for row."""
    dump = harness.dump()
    return {name: dump[name] for name in HISTORY}


def everything(harness: Harness) -> Mapping[str, list[tuple[Any, ...]]]:
    """Read every table, but for the record of attempts."""
    return {name: rows for name, rows in harness.dump().items() if name not in ATTEMPTS}


def state_row(harness: Harness) -> dict[str, Any]:
    return harness.table("UJ_ConnectorStates")[0]


def task_row(harness: Harness, number: int) -> dict[str, Any]:
    return next(row for row in harness.table("UJ_TaskInstances") if row["Id"] == number)


def check_blocked(harness: Harness, batch: str, expected: Model | None = None) -> None:
    """Check what repository and exchange tell of a block, and that what is kept is what would be applied."""
    row = state_row(harness)
    assert (row["State"], row["StateBatch_Id"]) == ("blocked", batch)
    task = task_row(harness, row["StateTask_Id"])
    assert (task["State"], task["Batch_Id"], task["DecidedBy"], task["DecidedAt"]) == (
        "blocked",
        batch,
        None,
        None,
    )
    assert json.loads(task["ThresholdsExceeded"]) == json.loads(task["Counters"])["thresholds"] != []
    assert [t["Id"] for t in harness.table("UJ_TaskInstances") if t["State"] == "blocked"] == [task["Id"]]
    found = find_block(harness.repository, harness.shape.connector)
    assert found is not None
    assert (found.batch, found.change_set, found.since is not None) == (batch, row["ChangeSet"], True)
    assert harness.repository.status(harness.shape.connector).state == "blocked"
    told = harness.channel.state()
    assert (told.state, told.batch) == ("blocked", batch)
    assert batch not in {b["Id"] for b in harness.table("UJ_Batches")}
    assert batch not in harness.channel.finished()
    assert harness.snapshot() == expected_snapshot(expected or model_of(SMALL))
    with harness.plan(batch) as plan:
        assert plan.review is not None
        assert plan.review.change_set == row["ChangeSet"]
        changes = planned_changes(plan.to_frame(), batch)
    assert kept_changes(harness) == kept_changes(harness, task["Id"]) == changes != []
    check_ids(harness)


def check_ids(harness: Harness) -> None:
    """Check that change rows of a block name existing resources by id, and new ones by key alone."""
    types = harness.type_ids()
    ids = {(r["Type"], r["PrimaryKey"]): r["Id"] for r in harness.table("UR_Resources")}
    for row in harness.table("UR_ResourceChanges"):
        assert row["Resource_Id"] == ids.get((row["Type"], row["R1_PK"]))
        assert (row["Resource_Id"] is None) == (row["ChangeOperation"] == "insert")
    ends = {a.identifier: (types[a.type1], types[a.type2]) for a in harness.shape.associations}
    names = {row["Id"]: row["Identifier"] for row in harness.table("UM_EntityAssociations")}
    for row in harness.table("UR_ResourceLinkChanges"):
        one, two = ends[names[row["Type"]]]
        assert row["R1_Id"] == ids.get((one, row["R1_PK"]))
        assert row["R2_Id"] == ids.get((two, row["R2_PK"]))


def check_ready(harness: Harness, state: str = "ready") -> None:
    """Check that nothing of a block is left."""
    row = state_row(harness)
    assert row["State"] == state
    assert [row[c] for c in ("StateTask_Id", "ChangeSet", "Options")] == [None] * 3
    assert find_block(harness.repository, harness.shape.connector) is None
    assert harness.repository.status(harness.shape.connector).state == state
    assert harness.channel.state().state == state
    assert not [t for t in harness.table("UJ_TaskInstances") if t["State"] in {"blocked", "running"}]
