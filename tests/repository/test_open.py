"""Opening a repository and asking it: nothing is made, written or waited for without need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository import Repository
from tests.oracle.harness import Harness
from tests.oracle.shapes import HR
from tests.repository.plain import connect
from tests.synchronize.scenario import FIRST

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

PATIENCE = 20.0
"""Seconds after which a call that should not wait for anybody has waited."""
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "LOCK", "BEGIN IMMEDIATE")


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    made = make_harness(HR)
    made.synchronize(batch=made.publish(FIRST, "Complete"))
    return made


@contextmanager
def writer(url: str) -> Iterator[None]:
    """Be another program in the middle of changing resources."""
    sqlite = url.startswith("sqlite")
    with connect(url) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
        connection.exec_driver_sql('UPDATE "UR_Resources" SET "C0" = \'changed\'')
        yield
        connection.exec_driver_sql("ROLLBACK")


def without_waiting(call: Callable[[], Any]) -> Any:
    """Call in a thread, which must end while whoever is at work stays at work."""
    returned: list[Any] = []
    thread = threading.Thread(target=lambda: returned.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for somebody"
    return returned[0]


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is said to the database."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement.strip().upper())

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_known_mappings_are_registered_without_a_write(harness: Harness) -> None:
    known = harness.repository.register(harness.mappings)
    before = harness.dump()

    with statements() as said:
        assert harness.repository.register(harness.mappings) == known

    assert said
    assert not [statement for statement in said if statement.startswith(WRITES)]
    assert harness.dump() == before


def test_nobody_who_asks_waits_for_a_writer(harness: Harness) -> None:
    repository, mappings = harness.repository, harness.mappings
    known = repository.register(mappings)
    with writer(harness.url):
        assert without_waiting(lambda: repository.register(mappings)) == known
        persons = without_waiting(lambda: repository.query_entity_type(mappings, "Person")).to_pylist()
        links = without_waiting(lambda: repository.query_association(mappings, "Person_Organization"))
        without_waiting(lambda: Repository.open(harness.url, create=False).close())
    assert [row["LastName"] for row in persons] == ["Lovelace", "Turing", "Hopper", "Dijkstra"]
    assert links.num_rows == 3


# ------------------------------------------------------------------------------------------------ without making


def test_a_database_without_a_repository_stays_without(repository_url: str) -> None:
    with pytest.raises(RepositoryError, match="there is no identity repository at"):
        Repository.open(repository_url, create=False)
    with connect(repository_url) as plain:
        assert sa.inspect(plain).get_table_names() == []


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "not there"
    with pytest.raises(RepositoryError, match="there is no identity repository at"):
        Repository.open(f"sqlite:///{folder}/repository.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_is_not_there_is_not_made(postgresql_url: str) -> None:
    Repository.open(postgresql_url, schema="one").close()
    with pytest.raises(RepositoryError, match="there is no identity repository at"):
        Repository.open(postgresql_url, schema="two", create=False)
    with connect(postgresql_url) as plain:
        assert "two" not in sa.inspect(plain).get_schema_names()


def test_a_repository_that_is_there_is_opened(repository_url: str) -> None:
    Repository.open(repository_url).close()
    with Repository.open(repository_url, create=False) as repository:
        assert repository.status("HR").state == "empty"
