"""Great loads leave the secondary indexes away; whatever happens, these are there again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.errors import ConcurrentChangeError, RepositoryUnavailableError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.synchronize import batch
from airflow_provider_idm.synchronization.synchronize.record import Record
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import DIRECTORY, HR
from tests.synchronize.indexes import OF_RESOURCES, SECONDARY, indexes, left_away, missing
from tests.synchronize.processes import end, start
from tests.synchronize.scenario import FIRST, SECOND, model_of

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

PAIR = ["key1", "key2"]


def entries(number: int, members: int) -> dict[str, CleanFile]:
    """Write that many entries, and that many members of the first one."""
    names = [f"e{n}" for n in range(number)]
    return {
        "Entry": CleanFile(["Guid", "Dn", "Cn"], [[n, n, n] for n in names]),
        "Entry_Parent": CleanFile(PAIR, [[n, names[0]] for n in names[1:]]),
        "Group_Members": CleanFile(PAIR, [[names[0], n] for n in names[:members]]),
    }


ENTRIES = entries(5, 4)


def directory_of(files: dict[str, CleanFile]) -> Model:
    model = Model(DIRECTORY)
    model.apply("Complete", files)
    return model


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    made = make_harness(DIRECTORY)
    made.repository.register(made.mappings)
    assert indexes(made.url).keys() >= SECONDARY
    return made


# ----------------------------------------------------------------------------------------------------- great loads


@pytest.mark.parametrize("mode", ["Initial", "Complete"])
def test_a_first_load_leaves_them_away_and_makes_them_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    before = indexes(harness.url)
    away = left_away(monkeypatch, harness.url)

    harness.synchronize(batch=harness.publish(ENTRIES, mode))

    assert away == [SECONDARY]
    assert indexes(harness.url) == before
    assert harness.snapshot() == expected_snapshot(directory_of(ENTRIES))


def test_the_keys_are_never_without_an_index(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    guarantees = indexes(harness.url).keys() - SECONDARY
    seen = []
    left_away(monkeypatch, harness.url, then=lambda: seen.append(guarantees <= indexes(harness.url).keys()))
    harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))
    assert "UR_Resources_PrimaryKey" in guarantees
    assert seen == [True]


@pytest.mark.parametrize(
    ("resources", "links", "expected"),
    [
        (5, 4, set()),
        (6, 5, OF_RESOURCES),
        (7, 6, SECONDARY),
    ],
)
def test_only_those_of_tables_that_many_rows_come_into(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, resources: int, links: int, expected: set[str]
) -> None:
    away = left_away(monkeypatch, harness.url, many=6)
    harness.synchronize(batch=harness.publish(entries(resources, links), "Initial"))
    assert away == [expected]
    assert not missing(harness.url)


def test_a_small_load_keeps_them(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    away = left_away(monkeypatch, harness.url, many=None)
    assert batch.MANY == 50_000
    harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))
    assert away == [set()]


@pytest.mark.parametrize(("stored", "expected"), [(3, OF_RESOURCES), (4, set())])
def test_a_repository_that_holds_many_rows_is_filled_with_its_indexes_kept(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch, stored: int, expected: set[str]
) -> None:
    """Of whatever connector they are: they would be indexed again, too."""
    directory, persons = make_harness(DIRECTORY), make_harness(HR)
    directory.synchronize(batch=directory.publish(entries(stored, 1), "Initial"))
    away = left_away(monkeypatch, persons.url)

    persons.synchronize(batch=persons.publish(FIRST, "Initial"))  # seven resources

    assert away == [expected]
    assert not missing(persons.url)
    assert directory.snapshot() == expected_snapshot(directory_of(entries(stored, 1)))
    assert persons.snapshot() == expected_snapshot(model_of(FIRST))


def test_an_incremental_keeps_them(make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Initial"))
    away = left_away(monkeypatch, harness.url, many=1)
    harness.synchronize(batch=harness.publish(SECOND, "Incremental"))
    assert away == [set()]


# ---------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("error", [ConcurrentChangeError("somebody else"), KeyError("unforeseen")])
def test_a_load_that_fails_makes_them_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    before, published = indexes(harness.url), harness.publish(ENTRIES, "Initial")

    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        away = left_away(patch, harness.url)
        patch.setattr(Record, "finish", fail)
        with pytest.raises(type(error)):
            harness.synchronize(batch=published)

    assert away == [SECONDARY]
    assert indexes(harness.url) == before
    assert harness.table("UR_Resources") == harness.table("UR_ResourceLinks") == []
    harness.synchronize(batch=published)
    assert harness.snapshot() == expected_snapshot(directory_of(ENTRIES))


@pytest.mark.parametrize("kill", ["before_commit", "after_commit"])
def test_a_load_that_was_killed_has_them_made_by_the_next_synchronization(
    databases: Databases, harness: Harness, caplog: pytest.LogCaptureFixture, kill: str
) -> None:
    before, published = indexes(harness.url), harness.publish(ENTRIES, "Initial")

    status, said = end(start(harness, "directory", batch=published, kill=kill, many=2))

    assert status == -9, f"it was not killed: {said}"
    assert missing(harness.url) == (SECONDARY if databases.kind == "postgresql" else set())
    # Meanwhile everything can be read, if more slowly.
    expected = 5 if kill == "after_commit" else 0
    assert harness.repository.query_entity_type(harness.mappings, "Entry").num_rows == expected
    with Repository.open(harness.url, create=False) as repository:
        assert repository.query_association(harness.mappings, "Group_Members").num_rows == max(
            0, expected - 1
        )

    result = harness.synchronize(batch=published)

    assert result.already_applied == (kill == "after_commit")
    assert indexes(harness.url) == before
    assert harness.snapshot() == expected_snapshot(directory_of(ENTRIES))
    told = [r.getMessage() for r in caplog.records if "did not come to make" in r.getMessage()]
    assert len(told) == (databases.kind == "postgresql")
    assert all(name in message for message in told for name in SECONDARY)


def test_another_connector_makes_them_too(make_harness: MakeHarness, databases: Databases) -> None:
    directory, persons = make_harness(DIRECTORY), make_harness(HR)
    directory.repository.register(directory.mappings)
    published = directory.publish(ENTRIES, "Initial")
    status, _ = end(start(directory, "directory", batch=published, kill="after_commit", many=2))
    assert status == -9
    assert missing(persons.url) == (SECONDARY if databases.kind == "postgresql" else set())

    persons.synchronize()  # there is nothing to do

    assert not missing(persons.url)


def test_no_answer_while_rows_come(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even then is anything left as it should not be."""
    published = harness.publish(ENTRIES, "Initial")

    def fail() -> None:
        raise RepositoryUnavailableError("it does not answer")

    with monkeypatch.context() as patch:
        left_away(patch, harness.url, then=fail)
        with pytest.raises(RepositoryUnavailableError):
            harness.synchronize(batch=published)
    assert not missing(harness.url)
    (task,) = harness.table("UJ_TaskInstances")
    assert task["State"] == "error"
