"""A plan tells what synchronizing the pending batches would do, and does nothing."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from airflow_provider_idm.errors import SynchronizeError
from airflow_provider_idm.synchronization.synchronize import Plan, PlanRequest, plan_synchronization
from tests.oracle.harness import Harness
from tests.oracle.shapes import HR
from tests.synchronize.scenario import delta, full

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

PEOPLE = "1/ada/Lovelace 2/alan/Turing"
UNITS = "A/Research B/Sales"


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


def plan(harness: Harness, batch: str | None = None) -> Plan:
    return plan_synchronization(
        PlanRequest(
            mappings=harness.mappings,
            exchange=harness.exchange,
            repository=harness.repository,
            work=harness.work,
            batch=batch,
        )
    )


def counts(told: dict[str, object]) -> dict[str, object]:
    return {key: told[key] for key in ("connector", "entity_types", "associations")}


def test_a_plan_names_every_change_and_makes_none(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full(PEOPLE, UNITS, members="1/A"), "Complete"))
    before = harness.dump()
    harness.publish(full("1/ada/King 3/grace/Hopper", UNITS, members="1/B 3/A"), "Complete")

    with plan(harness) as planned:
        changes = planned.to_frame().fillna("")

    assert harness.dump() == before
    resources = changes[changes.kind == "resource"]
    assert [
        tuple(row) for row in resources[["type", "operation", "key1", "old", "new"]].itertuples(index=False)
    ] == [
        ("Person", "update", "1", '{"LastName": "Lovelace"}', '{"LastName": "King"}'),
        (
            "Person",
            "delete",
            "2",
            '{"PersonId": "2", "Login": "alan", "LastName": "Turing"}',
            "",
        ),
        ("Person", "insert", "3", "", '{"PersonId": "3", "Login": "grace", "LastName": "Hopper"}'),
    ]
    links = changes[changes.kind == "link"]
    assert [tuple(row) for row in links[["type", "operation", "key1", "key2"]].itertuples(index=False)] == [
        ("Person_Organization", "delete", "1", "A"),
        ("Person_Organization", "insert", "1", "B"),
        ("Person_Organization", "insert", "3", "A"),
    ]


def test_several_pending_batches_are_planned_one_after_the_other(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full(PEOPLE, UNITS, members="1/A 2/C"), "Complete"))
    harness.publish(delta("insert/3/grace/Hopper", "insert/C/Support", members="insert/3/C"), "Incremental")
    harness.publish(delta("update/3/grace/Murray delete/1//", members="delete/2/C"), "Incremental")
    before = harness.dump()

    with plan(harness) as planned:
        told = planned.as_dict()
        lines = planned.to_frame()

    assert harness.dump() == before
    assert [b["state"] for b in told["batches"]] == ["pending", "pending"]
    applied = harness.synchronize()
    assert counts(told) == counts(applied.as_dict())
    assert sum(lines.kind == "resource") == 4
    assert len(lines) == 4 + sum(c.inserted + c.deleted for c in applied.associations.values())


def test_several_dated_completes_are_planned_as_they_are_applied(harness: Harness) -> None:
    """Persons and links come, move, go and come again; orphans and losers become links."""
    contents = [
        full(PEOPLE, UNITS, members="1/A 2/C", managers="A/ada"),
        full("1/ada/King", "A/Research", members="1/B"),
        full("1/ada/King 2/x/Turing 3/ada/Twin", UNITS, members="1/B 2/B", managers="A/ada B/x"),
        full("2/x/Turing 4/y/New", f"{UNITS} C/Support", members="2/C 2/A 4/C", parents="C/A A/C"),
        full(PEOPLE, UNITS, members="1/A 2/C", managers="A/ada"),
    ]
    days = [datetime(2026, 1, n, tzinfo=UTC) for n in range(1, 6)]
    harness.synchronize(batch=harness.publish(contents[0], "Complete", dated=days[0]))
    for files, date in zip(contents[1:], days[1:], strict=True):
        harness.publish(files, "Complete", dated=date)
    before = harness.dump()

    with plan(harness) as planned:
        told, lines = planned.as_dict(), planned.to_frame()

    assert harness.dump() == before
    applied = harness.synchronize(do_not_delete_changes=True)
    assert counts(told) == counts(applied.as_dict())
    assert [b["id"] for b in told["batches"]] == [b.id for b in applied.batches]
    for kind, table in (("resource", "UR_ResourceChanges"), ("link", "UR_ResourceLinkChanges")):
        kept = harness.table(table)
        planned_ones = lines[lines.kind == kind]
        assert sorted(zip(planned_ones.operation, planned_ones.key1, strict=True)) == sorted(
            (row["ChangeOperation"], row["R1_PK"]) for row in kept
        )


def test_a_complete_that_makes_others_superfluous_is_planned_alone(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full(PEOPLE, UNITS), "Complete"))
    harness.publish(delta("delete/1//"), "Incremental")
    harness.publish(full(PEOPLE, UNITS, members="1/A"), "Complete")

    with plan(harness) as planned:
        told = planned.as_dict()

    assert [b["state"] for b in told["batches"]] == ["cancelled", "pending"]
    assert told["entity_types"]["Person"]["deleted"] == 0
    assert counts(told) == counts(harness.synchronize().as_dict())


def test_changes_are_written_as_csv_parquet_and_json(harness: Harness, tmp_path: Path) -> None:
    harness.publish(full(PEOPLE, UNITS), "Complete")
    with plan(harness) as planned:
        assert planned.write_changes(tmp_path / "changes.csv") == 4
        assert planned.write_changes(tmp_path / "changes.parquet") == 4
        assert planned.write_changes(tmp_path / "changes.json") == 4
        with pytest.raises(
            SynchronizeError, match=r"changes\.txt: changes are written as \.csv, \.parquet, \.json"
        ):
            planned.write_changes(tmp_path / "changes.txt")
    with (tmp_path / "changes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["type"], row["operation"], row["key1"]) for row in rows] == [
        (type_, "insert", key)
        for type_, key in (("Organization", "A"), ("Organization", "B"), ("Person", "1"), ("Person", "2"))
    ]
    assert pq.read_table(tmp_path / "changes.parquet").num_rows == 4
    told = json.loads((tmp_path / "changes.json").read_text(encoding="utf-8"))
    assert [(row["key1"], row["old"], row["new"]) for row in told[2:]] == [
        ("1", None, {"PersonId": "1", "Login": "ada", "LastName": "Lovelace"}),
        ("2", None, {"PersonId": "2", "Login": "alan", "LastName": "Turing"}),
    ]


def test_nothing_pending_is_an_empty_plan(harness: Harness, tmp_path: Path) -> None:
    with plan(harness) as planned:
        assert planned.as_dict()["state"] == "nothing"
        assert planned.write_changes(tmp_path / "changes.csv") == 0
        assert len(planned.to_frame()) == 0


def test_a_plan_refuses_what_a_synchronization_would_refuse(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full(PEOPLE, UNITS), "Complete"))
    batch = harness.publish(full(PEOPLE, UNITS), "Initial")
    with pytest.raises(SynchronizeError, match="holds 4 resources"):
        plan(harness, batch)
