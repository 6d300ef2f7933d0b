"""Connectors, folders and files of any name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization
from tests.conftest import Databases
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR, Shape
from tests.synchronize.conftest import MakeHarness, make_tables
from tests.synchronize.scenario import FIRST, SECOND, model_of

FOLDER = "a#b %41% what? é it's [x]*"


@dataclass(frozen=True)
class Renamed(Shape):
    """A connector whose connection keeps a plain name."""

    def to_xml(self) -> str:
        return super().to_xml().replace(f'"{self.connector}Connection"', '"Files"')


def check(harness: Harness) -> None:
    """Synchronize, plan and ask, and find what should be there."""
    harness.synchronize(batch=harness.publish(FIRST, "Complete"), orphans=True)
    (orphans,) = harness.work.rglob("Organization_Manager.orphans.csv")
    assert orphans.read_text() == "key1,key2,missing\nB,nobody,2\n"
    batch = harness.publish(SECOND, "Incremental")
    request = PlanRequest(
        mappings=harness.mappings, exchange=harness.exchange, repository=harness.repository, work=harness.work
    )
    with plan_synchronization(request) as planned:
        assert planned.write_changes(harness.work / "changes.csv") > 0
    harness.synchronize(batch=batch, do_not_delete_changes=True)
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    assert harness.repository.query_entity_type(harness.mappings, "Person").num_rows == 4


@pytest.mark.parametrize("connector", ["HR é", "人 50%#1"])
def test_a_connector_of_any_name(make_harness: MakeHarness, connector: str) -> None:
    described = {name: getattr(HR, name) for name in ("name", "types", "associations")}
    harness = make_harness(replace(Renamed(**described), connector=connector))
    check(harness)
    assert harness.repository.status(connector).resources == {"Person": 4, "Organization": 3}


def test_a_work_folder_of_any_name(databases: Databases, tmp_path: Path) -> None:
    url = databases.prepared(make_tables)
    harness = Harness(HR, url, tmp_path / FOLDER)
    check(harness)
    harness.close()
    databases.drop(url)


def test_an_sqlite_file_of_any_name(tmp_path: Path) -> None:
    place = tmp_path / FOLDER.replace("?", "")  # what follows a question mark is an option of the URL
    url = sa.URL.create("sqlite", database=str(place / f"{place.name}.sqlite"))
    harness = Harness(HR, url.render_as_string(), tmp_path)
    check(harness)
    with Repository.open(harness.url, create=False) as repository:
        assert repository.status("HR").state == "ready"
    harness.close()
    assert place.joinpath(f"{place.name}.sqlite").is_file()
    assert {path.name.split(".")[0] for path in place.iterdir()} == {place.name}
