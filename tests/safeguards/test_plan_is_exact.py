"""What a plan says of any batches is what is then applied, or kept for review: the same set, row for row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.changes import kept_changes, planned_changes
from tests.oracle.guarded import GuardedRunner, Scenario, scenarios
from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile
from tests.oracle.shapes import SHAPES, Shape
from tests.synchronize.conftest import make_tables
from tests.synchronize.test_photos import COLUMNS, STAFF, picture

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import ConnectorMappings
    from tests.conftest import Databases

EXAMPLES = settings.default.max_examples  # type: ignore[union-attr]
SHORT = EXAMPLES <= 10
"""Whether only a few examples are wanted."""
THOROUGH = EXAMPLES >= 400
"""Whether everything is run on both databases."""


def play(
    databases: Databases, folder: Path, shape: Shape, scenario: Scenario, *, prepared: bool, plans: int = 2
) -> GuardedRunner:
    """Play a scenario in a repository of its own; return who played it."""
    url = databases.prepared(make_tables)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        harness = Harness(shape.with_thresholds(scenario.limits), url, Path(place))
        try:
            runner = GuardedRunner(harness, prepared=prepared, plans=plans)
            runner.play(scenario)
        finally:
            harness.close()
            databases.drop(url)
    return runner


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_plan_is_what_is_applied_row_for_row(databases: Databases, tmp_path: Path, name: str) -> None:
    """Two of three scenarios have thresholds; every fourth goes through the real prepare."""
    shape = SHAPES[name]
    drawn = st.one_of(*(scenarios(shape, limited=limited) for limited in (False, True, True)))

    @settings(max_examples=2 if SHORT else EXAMPLES)
    @given(drawn, st.sampled_from([False, False, False, True]))
    def plays(scenario: Scenario, prepared: bool) -> None:
        play(databases, tmp_path, shape, scenario, prepared=prepared)

    plays()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_both_databases_say_the_same(
    sqlite_databases: Databases, postgresql_databases: Databases, tmp_path: Path, name: str
) -> None:
    """The hash that an approval is bound to does not depend on the database."""
    shape = SHAPES[name]

    @settings(max_examples=1 if SHORT else EXAMPLES // 10)
    @given(scenarios(shape, limited=True))
    def plays(scenario: Scenario) -> None:
        hashes = [
            play(databases, tmp_path, shape, scenario, prepared=False).hashes_seen
            for databases in (sqlite_databases, postgresql_databases)
        ]
        assert hashes[0] == hashes[1] != []

    plays()


# ------------------------------------------------------------------------------------------------------- pictures

PICTURES = st.sampled_from(["", picture("one"), picture("two"), picture("three" * 1000)])
EMPLOYEES = st.dictionaries(st.sampled_from("123456"), st.tuples(PICTURES, PICTURES), max_size=6)


def test_files_are_planned_as_they_are_kept(databases: Databases, tmp_path: Path) -> None:
    """Pictures have no values in a plan, but their hashes; a change of a picture alone is an update of its resource."""

    @settings(max_examples=3 if SHORT else max(10, EXAMPLES // 10))
    @given(st.lists(EMPLOYEES, min_size=2, max_size=5), st.sampled_from(["0", "1", "2"]))
    def plays(contents: list[dict[str, tuple[str, str]]], limit: str) -> None:
        url = databases.prepared(make_tables)
        with tempfile.TemporaryDirectory(dir=tmp_path) as place:
            harness = Harness(STAFF, url, Path(place))
            attributes = f'Identifier="Employee" Connector="Staff" MaximumUpdatedLines="{limit}"'
            xml = STAFF.to_xml().replace('Identifier="Employee" Connector="Staff"', attributes)
            harness.mappings = mappings_of(xml, Path(place) / "limited")
            try:
                for content in contents:
                    check_pictures(harness, content)
            finally:
                harness.close()
                databases.drop(url)

    plays()


def check_pictures(harness: Harness, content: dict[str, tuple[str, str]]) -> None:
    rows = [[number, *content[number]] for number in sorted(content)]
    batch = harness.publish({"Employee": CleanFile(COLUMNS, rows)}, "Complete")
    with harness.plan(batch) as plan:
        planned, changes, review = plan.result, planned_changes(plan.to_frame()), plan.review
    result = harness.synchronize(batch=batch, do_not_delete_changes=True)
    assert (planned.state, planned.thresholds) == (result.state, result.thresholds)
    assert planned.entity_types == result.entity_types
    assert kept_changes(harness) == changes
    if result.state == "blocked":
        assert review is not None
        assert result.review is not None
        assert result.review.change_set == review.change_set
        assert harness.resume(change_set=review.change_set).state == "completed"
        assert kept_changes(harness) == changes
    stored = {row["PrimaryKey"]: row["Id"] for row in harness.table("UR_Resources")}
    files = {(f["Resource_Id"], f["Content"]) for f in harness.table("UR_ResourceFiles")}
    assert files == {(stored[n], p) for n, pictures in content.items() for p in pictures if p}
    harness.repository.set_recently_modified_flag()


def mappings_of(xml: str, folder: Path) -> ConnectorMappings:
    from airflow_provider_idm.configuration import connector_mappings, read_configuration

    folder.mkdir()
    (folder / "Staff.xml").write_text(xml, encoding="utf-8")
    return connector_mappings(read_configuration(folder), "Staff")
