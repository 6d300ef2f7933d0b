"""Changes of nothing but a unique key, which repeats a property: a person sees them, and approves no others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.oracle.harness import Harness
from tests.oracle.shapes import CONNECTOR
from tests.safeguards.sources import COMPANY, SMALL, content

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled

ORGANIZATION = COMPANY.type("Organization")
WITH_KEY = replace(
    COMPANY,
    types=tuple(
        replace(t, properties=tuple(replace(p, unique=not p.primary) for p in t.properties))
        if t == ORGANIZATION
        else t
        for t in COMPANY.types
    ),
)
"""The same connector after an organization's label was made a unique key."""


@pytest.fixture
def harness(make_filled: MakeFilled) -> Harness:
    filled = make_filled()
    return Harness(
        WITH_KEY.with_thresholds({CONNECTOR: {"MaximumUpdatedLines": "19"}}),
        filled.url,
        filled.folder / "keyed",
    )


def test_a_property_that_became_a_unique_key_is_reviewed(harness: Harness) -> None:
    batch = harness.publish(content(SMALL), "Complete")
    result = harness.synchronize(batch=batch, do_not_delete_changes=True)

    assert (result.state, result.entity_types["Organization"].updated) == ("blocked", 20)
    assert result.review is not None
    (group,) = result.review.groups
    assert (group.kind, group.type, group.operation, group.total) == (
        "resource",
        "Organization",
        "update",
        20,
    )
    assert (group.shown[0].old, group.shown[0].new) == ({"Label (U0)": None}, {"Label (U0)": "Label 0"})
    kept = harness.table("UR_ResourceChanges")
    assert [(json.loads(r["OldValues"]), json.loads(r["NewValues"])) for r in kept] == [
        ({"U0": None}, {"U0": f"Label {n}"}) for n in range(20)
    ]

    assert harness.resume(change_set=result.review.change_set).state == "completed"
    assert {r["U0"] for r in harness.table("UR_Resources") if r["PrimaryKey"].startswith("o")} == {
        f"Label {n}" for n in range(20)
    }
    harness.repository.set_recently_modified_flag()
    assert len(harness.dirty()) == 20
    harness.close()


def test_an_approval_covers_no_other_keys_than_those_reviewed(harness: Harness) -> None:
    """Somebody removes the unique keys of persons meanwhile: that they come back is a change that nobody reviewed."""
    harness.synchronize(batch=harness.publish(content(SMALL), "Complete"))
    with harness.connect() as connection:
        connection.exec_driver_sql('UPDATE "UR_Resources" SET "U0" = NULL')
        connection.commit()

    result = harness.resume()

    assert (result.state, result.entity_types["Person"].updated) == ("blocked", 20)
    assert result.review is not None
    assert {(g.type, g.total) for g in result.review.groups} == {("Organization", 20), ("Person", 20)}
    harness.close()


def test_a_changed_property_is_told_once_though_its_key_follows(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(content(SMALL), "Complete"), force=True)
    files = content(SMALL)
    files["Organization"].lines[3][1] = "Another label"
    files["Organization"].lines.append(["o99999", "New"])

    with harness.plan(harness.publish(files, "Complete")) as plan:
        assert plan.review is not None
        told = [(g.operation, c.key1, c.old, c.new) for g in plan.review.groups for c in g.shown]

    assert told == [
        ("insert", "o99999", None, {"Code": "o99999", "Label": "New"}),
        ("update", "o00003", {"Label": "Label 3"}, {"Label": "Another label"}),
    ]
    harness.close()
