"""A configuration's identifiers are stored once, with numbers that never change, whoever stores them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository import Repository, repository
from airflow_provider_idm.repository.catalogue import Catalogue
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import BADGES, DIRECTORY, HR
from tests.repository.test_open import without_waiting, writer
from tests.synchronize.scenario import FIRST, SECOND, model_of

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

CATALOGUE = ("UC_Connectors", "UM_EntityTypes", "UM_EntityProperties", "UM_EntityAssociations")


def identifiers(harness: Harness) -> dict[str, dict[tuple[int, str], int]]:
    """Give the numbers of all identifiers, by table."""
    return {
        name: {(row.get("EntityType_Id", 0), row["Identifier"]): row["Id"] for row in harness.table(name)}
        for name in CATALOGUE
    }


def test_all_that_is_configured_is_stored(make_harness: MakeHarness) -> None:
    hr, directory = make_harness(HR), make_harness(DIRECTORY)

    assert hr.repository.deploy([hr.mappings, directory.mappings]) == ("HR", "AD")

    stored = identifiers(hr)
    assert [name for _, name in stored["UC_Connectors"]] == ["HR", "AD"]
    assert {name for _, name in stored["UM_EntityTypes"]} == {"Person", "Organization", "Entry"}
    shapes = (HR, DIRECTORY)
    assert sorted(name for _, name in stored["UM_EntityProperties"]) == sorted(
        name
        for shape in shapes
        for entity in shape.types
        for name in (*entity.columns, *(navigation for navigation, _ in entity.navigations))
    )
    assert {name for _, name in stored["UM_EntityAssociations"]} == {
        association.identifier for shape in shapes for association in shape.associations
    }
    assert hr.repository.status("HR").state == "empty"


def test_numbers_stay_whoever_stores_them_and_whatever_comes(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    hr, badges = make_harness(HR), make_harness(replace(BADGES, connector="Badges"))
    hr.repository.deploy([hr.mappings])
    deployed = identifiers(hr)

    hr.synchronize(batch=hr.publish(FIRST, "Complete"))
    assert identifiers(hr) == deployed
    assert hr.repository.deploy([badges.mappings, hr.mappings]) == ("Badges",)
    without_organizations = replace(
        HR, types=(replace(HR.types[0], navigations=()),), associations=()
    ).mappings(tmp_path / "less")
    hr.repository.deploy([without_organizations])
    hr.repository.deploy([hr.mappings])

    after = identifiers(hr)
    assert {table: rows.items() <= after[table].items() for table, rows in deployed.items()} == dict.fromkeys(
        CATALOGUE, True
    )
    assert hr.snapshot() == expected_snapshot(model_of(FIRST))


def test_what_is_stored_already_is_neither_written_nor_waited_for(make_harness: MakeHarness) -> None:
    hr = make_harness(HR)
    hr.synchronize(batch=hr.publish(FIRST, "Complete"))

    with writer(hr.url):
        assert without_waiting(lambda: hr.repository.deploy([hr.mappings])) == ()


def test_what_is_stored_is_read_in_as_many_statements_however_many_identifiers_there_are(
    make_harness: MakeHarness,
) -> None:
    counts = set()
    for connector in (make_harness(HR), make_harness(DIRECTORY)):  # which has fewer of each kind
        connector.repository.deploy([connector.mappings])
        with counted(connector.repository) as statements:
            assert connector.repository.deploy([connector.mappings]) == ()
        counts.add(len(statements))

    assert len(counts) == 1


@contextmanager
def counted(repository: Repository) -> Iterator[list[str]]:
    """Gather the statements that are executed."""
    statements: list[str] = []

    def gather(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        statements.append(statement)

    sa.event.listen(repository.engine, "before_cursor_execute", gather)
    yield statements
    sa.event.remove(repository.engine, "before_cursor_execute", gather)


def test_all_of_it_or_nothing(make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    hr, directory = make_harness(HR), make_harness(DIRECTORY)
    register, registered = repository.register, []

    def fail_at_the_second(connection: sa.Connection, *others: Any) -> Catalogue:
        registered.append(others)
        if len(registered) > 1:
            connection.exec_driver_sql("SELECT no_such_column FROM no_such_table")
        return register(connection, *others)

    monkeypatch.setattr(repository, "register", fail_at_the_second)
    with pytest.raises(RepositoryError):
        hr.repository.deploy([hr.mappings, directory.mappings])

    assert identifiers(hr) == {name: {} for name in CATALOGUE}


def test_beside_synchronizations(make_harness: MakeHarness) -> None:
    """Several deploy, one synchronizes, all of them for the first time."""
    hr, directory = make_harness(HR), make_harness(DIRECTORY)
    everything = [hr.mappings, directory.mappings]
    batch = hr.publish(FIRST, "Complete")
    barrier = threading.Barrier(3, timeout=30)
    failures: list[BaseException] = []

    def deploy() -> None:
        try:
            with Repository.open(hr.url) as opened:
                barrier.wait()
                opened.deploy(everything)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    barrier.wait()
    hr.synchronize(batch=batch)
    for thread in threads:
        thread.join(60)
    hr.synchronize(batch=hr.publish(SECOND, "Incremental"))

    assert failures == []
    assert hr.repository.deploy(everything) == ()
    assert hr.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    for rows in identifiers(hr).values():
        assert len(set(rows.values())) == len(rows)
