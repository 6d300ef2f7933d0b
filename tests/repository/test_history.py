"""History: former versions are kept with the dates between which they were valid, and can be read as of any of them."""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import ConcurrentChangeError
from airflow_provider_idm.repository.history import Forgotten
from airflow_provider_idm.synchronization.synchronize.staging import Staged, Stager
from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile
from tests.oracle.shapes import DIRECTORY, HR, Shape
from tests.repository.plain import execute
from tests.synchronize.scenario import delta, full
from tests.synchronize.test_photos import ALL, CHANGES, STAFF, STAFF_WITHOUT_PHOTO, hashed

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

START = full(
    persons="1/ada/Lovelace 2/alan/Turing",
    organizations="A/Research B/Sales",
    members="1/A 2/B",
    parents="B/A",
    managers="A/ada B/alan",
)


def day(number: int) -> datetime:
    return datetime(2026, 2, 28, tzinfo=UTC) + timedelta(days=number)


@pytest.fixture
def hr(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


def apply(
    harness: Harness, files: dict[str, CleanFile], dated: datetime, mode: str = "Incremental", **options: Any
) -> None:
    """Publish a dated batch and apply it."""
    result = harness.synchronize(batch=harness.publish(files, mode, dated=dated), **options)
    assert result.state == "completed"


def people(harness: Harness, as_of: date | str) -> list[str]:
    rows = harness.repository.resources_as_of(harness.mappings, "Person", as_of).to_pylist()
    return ["/".join(row[name] or "" for name in ("PersonId", "Login", "LastName")) for row in rows]


def links(harness: Harness, association: str, as_of: date | str) -> list[str]:
    rows = harness.repository.links_as_of(harness.mappings, association, as_of).to_pylist()
    return [f"{row['key1']}/{row['key2']}" for row in rows]


def versions(harness: Harness, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Read former versions: the columns and the days of March on which they began and ended."""
    own = harness.repository.tables.metadata.tables[table]
    with harness.repository.reading() as connection:
        rows = connection.execute(sa.select(*(own.c[n] for n in (*columns, "ValidFrom", "ValidTo")))).all()
    return sorted((*row[:-2], row[-2].day, row[-1].day) for row in rows)


def since(harness: Harness) -> datetime | None:
    states, connectors = harness.repository.tables.connector_states, harness.repository.tables.connectors
    own = states.join(connectors, connectors.c.Id == states.c.Connector_Id)
    with harness.repository.reading() as connection:
        return connection.scalar(
            sa.select(states.c.HistorySince)
            .select_from(own)
            .where(connectors.c.Identifier == harness.shape.connector)
        )


# ------------------------------------------------------------------------------------------------------- versions


def test_a_former_version_is_valid_from_its_batch_s_date_until_the_next_one_s(hr: Harness) -> None:
    # Given three batches: made on the 1st, changed on the 5th, deleted on the 9th
    apply(hr, START, day(1), "Complete")
    apply(hr, delta(persons="update/1/ada/King"), day(5))
    apply(hr, delta(persons="delete/1//"), day(9))

    # Then every moment has its state: a version holds from its date on, and no longer on the next one's
    lovelace, king, turing = "1/ada/Lovelace", "1/ada/King", "2/alan/Turing"
    moment = timedelta(microseconds=1)
    assert people(hr, day(1) - moment) == []
    assert people(hr, day(1)) == people(hr, day(5) - moment) == [lovelace, turing]
    assert people(hr, day(5)) == people(hr, day(9) - moment) == [king, turing]
    assert people(hr, day(9)) == people(hr, day(30)) == [turing]
    assert versions(hr, "UR_ResourcesHistory", "PrimaryKey") == [("1", 1, 5), ("1", 5, 9), ("A", 1, 9)]


def test_dates_are_read_as_people_write_them(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    apply(hr, full(), day(2), "Complete", force=True)

    for before in (date(2026, 3, 1), datetime(2026, 3, 1, 23, 59), "2026-03-01", "2026-03-02T00:30+01:00"):  # noqa: DTZ001
        assert len(people(hr, before)) == 2
    for after in (date(2026, 3, 2), datetime(2026, 3, 2), "2026-03-02", "2026-03-02T00:30-01:00"):  # noqa: DTZ001
        assert people(hr, after) == []


def test_of_several_versions_of_one_date_the_last_is_its_state(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    for name in ("King", "Byron", "Noel"):
        apply(hr, delta(persons=f"update/1/ada/{name}"), day(2))
    apply(hr, delta(persons="insert/3/tony/Hoare"), day(2))
    apply(hr, delta(persons="delete/3//"), day(2))
    apply(hr, delta(persons="update/1/ada/Milbanke"), day(3))

    assert people(hr, day(1)) == ["1/ada/Lovelace", "2/alan/Turing"]
    assert people(hr, day(2)) == ["1/ada/Noel", "2/alan/Turing"]
    assert people(hr, day(3)) == ["1/ada/Milbanke", "2/alan/Turing"]
    assert versions(hr, "UR_ResourcesHistory", "PrimaryKey") == [("1", 1, 2), ("1", 2, 3)]


def test_a_reference_cleared_because_its_target_was_deleted_is_a_version(hr: Harness) -> None:
    # Given an organization whose manager and whose parent go
    apply(hr, START, day(1), "Complete")
    apply(hr, delta(persons="delete/2//"), day(2))
    apply(hr, delta(organizations="delete/A/"), day(3))

    assert links(hr, "Organization_Manager", day(1)) == ["A/1", "B/2"]
    assert links(hr, "Organization_Manager", day(2)) == ["A/1"]
    assert links(hr, "Organization_Manager", day(3)) == []
    assert links(hr, "Organization_Parent", day(2)) == ["B/A"]
    assert links(hr, "Organization_Parent", day(3)) == []
    assert links(hr, "Person_Organization", day(2)) == ["1/A"]
    assert links(hr, "Person_Organization", day(3)) == []
    assert versions(hr, "UR_ResourcesHistory", "PrimaryKey") == [
        ("1", 1, 3),
        ("2", 1, 2),
        ("A", 1, 3),
        ("B", 1, 2),
        ("B", 2, 3),
    ]


def test_a_key_that_comes_back_is_another_resource(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    apply(hr, delta(persons="delete/1//"), day(2))
    apply(hr, delta(persons="insert/1/lovelace/Byron", managers="delete/A/ada insert/A/lovelace"), day(3))

    assert [people(hr, day(n))[0] for n in (1, 2, 3)] == [
        "1/ada/Lovelace",
        "2/alan/Turing",
        "1/lovelace/Byron",
    ]
    assert [links(hr, "Person_Organization", day(n)) for n in (1, 2, 3)] == [
        ["1/A", "2/B"],
        ["2/B"],
        ["1/A", "2/B"],  # the row was remembered
    ]
    assert [links(hr, "Organization_Manager", day(n)) for n in (1, 2, 3)] == [
        ["A/1", "B/2"],
        ["B/2"],
        ["A/1", "B/2"],
    ]


def directory(members: str, entries: str = "g/group m/member n/other") -> dict[str, CleanFile]:
    """Write a Complete of a directory, whose members are kept in the link table."""
    rows = [[guid, dn, ""] for guid, dn in (word.split("/") for word in entries.split())]
    return {
        "Entry": CleanFile(["Guid", "Dn", "Cn"], rows),
        "Entry_Parent": CleanFile(["key1", "key2"], []),
        "Group_Members": CleanFile(["key1", "key2"], [word.split("/") for word in members.split()]),
    }


def test_a_link_goes_and_comes_back(make_harness: MakeHarness) -> None:
    ad = make_harness(DIRECTORY)
    both, one = directory("group/member group/other"), directory("group/other")
    for number, files in ((1, both), (2, one), (3, both), (4, one), (4, both)):
        apply(ad, files, day(number), "Complete")

    assert [links(ad, "Group_Members", day(n)) for n in range(6)] == [
        [],
        ["g/m", "g/n"],
        ["g/n"],
        ["g/m", "g/n"],
        ["g/m", "g/n"],
        ["g/m", "g/n"],
    ]
    assert versions(ad, "UR_ResourceLinksHistory") == [(1, 2), (3, 4)]


def test_links_go_with_their_resources(make_harness: MakeHarness) -> None:
    ad = make_harness(DIRECTORY)
    apply(ad, directory("group/member group/other"), day(1), "Complete")
    apply(ad, directory("group/member", entries="g/group n/other"), day(2), "Complete")

    assert links(ad, "Group_Members", day(1)) == ["g/m", "g/n"]
    assert links(ad, "Group_Members", day(2)) == []
    assert versions(ad, "UR_ResourceLinksHistory") == [(1, 2), (1, 2)]


def test_an_initial_keeps_no_former_versions(hr: Harness) -> None:
    apply(hr, START, day(1), "Initial")

    assert versions(hr, "UR_ResourcesHistory") == versions(hr, "UR_ResourceLinksHistory") == []
    assert people(hr, day(1)) == ["1/ada/Lovelace", "2/alan/Turing"]


def test_what_changes_nothing_keeps_nothing(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    apply(hr, START, day(2), "Complete")

    assert versions(hr, "UR_ResourcesHistory") == versions(hr, "UR_ResourceLinksHistory") == []
    assert people(hr, day(1)) == people(hr, day(2))


def test_a_backwards_batch_is_dated_like_the_last_one(hr: Harness) -> None:
    apply(hr, START, day(5), "Complete")
    apply(hr, delta(persons="update/1/ada/King"), day(8))
    batch = hr.publish(delta(persons="update/1/ada/Byron"), "Incremental", dated=day(2))
    hr.synchronize(batch=batch, allow_backwards=True)

    assert people(hr, day(2)) == []
    assert people(hr, day(5)) == ["1/ada/Lovelace", "2/alan/Turing"]
    assert people(hr, day(8)) == ["1/ada/Byron", "2/alan/Turing"]
    assert versions(hr, "UR_ResourcesHistory") == [(5, 8)]


# --------------------------------------------------------------------------------------------------------- files


def test_of_a_file_the_hash_is_kept(make_harness: MakeHarness) -> None:
    harness = make_harness(STAFF)
    apply(harness, ALL, day(1), "Complete")
    apply(harness, CHANGES, day(2))

    def employees(as_of: date) -> list[tuple[str | None, ...]]:
        found = harness.repository.resources_as_of(harness.mappings, "Employee", as_of).to_pylist()
        return [(row["Number"], row["Photo"], row["Badge"]) for row in found]

    assert employees(day(1)) == [
        ("1", hashed("ada"), hashed("A")),
        ("2", hashed("alan"), None),
        ("3", None, None),
        ("4", None, hashed("D")),
    ]
    assert employees(day(2)) == [
        ("1", hashed("ada, older"), hashed("A")),
        ("2", None, hashed("B")),
        ("3", None, None),
        ("5", hashed("tony"), None),
    ]
    whole = harness.repository.content_hash
    assert whole(harness.mappings, day(2)) == whole(harness.mappings) != whole(harness.mappings, day(1))


def test_files_without_a_mapping_go_with_their_resource_and_leave_their_hash(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    harness = make_harness(STAFF)
    apply(harness, ALL, day(1), "Complete")
    harness.mappings = STAFF_WITHOUT_PHOTO.mappings(tmp_path / "without")
    rows = {"Employee": type(ALL["Employee"])(["Number", "Badge"], [["3", ""]])}
    apply(harness, rows, day(2), "Complete", force=True)

    assert [row[0] for row in versions(harness, "UR_ResourceFilesHistory", "Hash")] == sorted(
        hashed(content) for content in ("ada", "A", "alan", "D")
    )


# ----------------------------------------------------------------------------------------------- without a mapping


def test_references_cleared_in_associations_without_a_mapping_are_kept(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    harness = make_harness(HR)
    apply(harness, START, day(1), "Complete")
    with_all = harness.mappings
    harness.mappings = WithoutAssociations(**vars(HR)).mappings(tmp_path / "without")
    apply(harness, full("2/alan/Turing", "A/Research B/Sales"), day(2), "Complete")

    harness.mappings = with_all
    assert links(harness, "Organization_Manager", day(1)) == ["A/1", "B/2"]
    assert links(harness, "Person_Organization", day(1)) == ["1/A", "2/B"]
    assert links(harness, "Organization_Manager", day(2)) == ["B/2"]
    assert links(harness, "Person_Organization", day(2)) == ["2/B"]
    assert versions(harness, "UR_ResourcesHistory", "PrimaryKey") == [("1", 1, 2), ("A", 1, 2)]


def test_links_cleared_in_associations_without_a_mapping_are_kept(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    harness = make_harness(DIRECTORY)
    apply(harness, directory("group/member group/other member/group"), day(1), "Complete")
    with_all = harness.mappings
    harness.mappings = WithoutAssociations(**vars(DIRECTORY)).mappings(tmp_path / "without")
    apply(harness, directory("", entries="g/group n/other"), day(2), "Complete")

    harness.mappings = with_all
    assert links(harness, "Group_Members", day(1)) == ["g/m", "g/n", "m/g"]
    assert links(harness, "Group_Members", day(2)) == ["g/n"]
    assert versions(harness, "UR_ResourceLinksHistory") == [(1, 2), (1, 2)]


class WithoutAssociations(Shape):
    """The same connector, its associations known but not mapped any more."""

    def to_xml(self) -> str:
        return re.sub(r"<EntityAssociationMapping .*/>", "", super().to_xml())


# ----------------------------------------------------------------------------------------------- without history


def test_without_history_nothing_is_kept_and_a_warning_says_so(
    hr: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    # Given history that is kept, then not, then kept again
    apply(hr, START, day(1), "Complete")
    apply(hr, delta(persons="update/1/ada/King"), day(2))
    assert since(hr) is None
    apply(hr, delta(persons="update/1/ada/Byron"), day(3), history=False)
    assert since(hr) == day(3)
    apply(hr, delta(persons="update/1/ada/Noel"), day(4))

    # Then what was kept is there, what was not is missing, and whoever reads before it was whole is told
    assert versions(hr, "UR_ResourcesHistory", "PrimaryKey") == [("1", 1, 2), ("1", 3, 4)]
    assert versions(hr, "UR_ResourceLinksHistory") == []
    with caplog.at_level(logging.WARNING):
        assert people(hr, day(4)) == ["1/ada/Noel", "2/alan/Turing"]
        assert people(hr, day(3)) == ["1/ada/Byron", "2/alan/Turing"]
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        assert people(hr, day(2)) == ["2/alan/Turing"]
        assert people(hr, day(1)) == ["1/ada/Lovelace", "2/alan/Turing"]
    assert caplog.messages == [
        f"the history of HR is whole from 2026-03-03 00:00:00 UTC on: of 2026-03-0{n} 00:00:00 UTC only what had not "
        "changed by then, or was kept, is shown"
        for n in (2, 1)
    ]


def test_history_stays_whole_while_nothing_is_overwritten(hr: Harness) -> None:
    apply(hr, START, day(1), "Initial", history=False)
    apply(hr, delta(persons="insert/3/grace/Hopper", members="insert/3/B"), day(2), history=False)
    apply(hr, START, day(3), "Complete")

    assert since(hr) is None
    assert len(people(hr, day(1))) == 2
    assert len(people(hr, day(2))) == 3


def test_a_block_remembers_that_no_history_is_kept(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    hr.limit({"Person": {"MaximumDeletedLines": "1"}})
    batch = hr.publish(full(organizations="A/Research"), "Complete", dated=day(2))
    assert hr.synchronize(batch=batch, history=False).state == "blocked"
    assert since(hr) is None

    hr.resume(batch=batch)

    assert versions(hr, "UR_ResourcesHistory") == []
    assert since(hr) == day(2)


def test_a_block_keeps_nothing_until_it_is_resumed(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    hr.limit({"Person": {"MaximumDeletedLines": "1"}})
    batch = hr.publish(full(organizations="A/Research B/Sales"), "Complete", dated=day(2))
    assert hr.synchronize(batch=batch).state == "blocked"
    assert versions(hr, "UR_ResourcesHistory") == []

    hr.resume(batch=batch)

    assert versions(hr, "UR_ResourcesHistory", "PrimaryKey") == [
        ("1", 1, 2),
        ("2", 1, 2),
        ("A", 1, 2),
        ("B", 1, 2),
    ]


# ------------------------------------------------------------------------------------------------- all or nothing


def test_what_cannot_be_applied_leaves_no_history(hr: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(hr, START, day(1), "Complete")
    before = hr.dump()
    batch = hr.publish(
        delta(persons="update/1/ada/King delete/2//", members="delete/1/A"), "Incremental", dated=day(2)
    )
    stage = Stager.stage

    def meanwhile(stager: Stager) -> Staged:
        """Let somebody else delete a resource after it was compared."""
        staged = stage(stager)
        execute(hr.url, """DELETE FROM "UR_Resources" WHERE "PrimaryKey" = '2'""")
        return staged

    monkeypatch.setattr(Stager, "stage", meanwhile)
    with pytest.raises(ConcurrentChangeError):
        hr.synchronize(batch=batch)

    after = hr.dump()
    for table in ("UR_ResourcesHistory", "UR_ResourceLinksHistory", "UR_ResourceLinks"):
        assert after[table] == before[table]
    assert len(after["UR_Resources"]) == len(before["UR_Resources"]) - 1


# --------------------------------------------------------------------------------------------------------- forget


def test_versions_that_ended_are_forgotten(hr: Harness, caplog: pytest.LogCaptureFixture) -> None:
    apply(hr, START, day(1), "Complete")
    apply(hr, delta(persons="update/1/ada/King", members="delete/1/A"), day(5))
    apply(hr, delta(persons="delete/2//"), day(9))
    states = [hr.queried(day(n)) for n in (5, 7, 9)]

    forgotten = hr.repository.forget_history(day(5))

    # of the 1st, but not what ended later
    assert forgotten == Forgotten(resources=1, links=0, files=0)
    assert since(hr) == day(5)
    assert [hr.queried(day(n)) for n in (5, 7, 9)] == states
    assert caplog.messages == []
    assert people(hr, day(1)) == ["2/alan/Turing"]
    assert "is whole from 2026-03-05" in caplog.messages[0]
    assert hr.repository.forget_history("2026-03-05") == Forgotten(0, 0, 0)


def test_forgetting_everything_leaves_what_is_stored(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")
    apply(hr, full(organizations="A/Research"), day(5), "Complete", force=True)
    now = hr.queried()

    hr.repository.forget_history(date(2999, 1, 1))

    assert since(hr) == day(5)  # and not in the future, for what comes is kept again
    assert hr.queried(day(5)) == hr.queried() == now
    apply(hr, full(organizations="A/Labs"), day(6), "Complete", force=True)
    assert hr.queried(day(5)) == now


def test_forgetting_what_nobody_remembers_changes_nothing(hr: Harness) -> None:
    apply(hr, START, day(1), "Complete")

    assert hr.repository.forget_history(day(20)) == Forgotten(0, 0, 0)
    assert since(hr) is None


def test_what_one_connector_forgets_leaves_another_whole(
    make_harness: MakeHarness, caplog: pytest.LogCaptureFixture
) -> None:
    hr, ad, staff = make_harness(HR), make_harness(DIRECTORY), make_harness(STAFF)
    apply(hr, START, day(1), "Complete")
    apply(hr, full(organizations="A/Research"), day(9), "Complete", force=True)
    apply(ad, directory("group/member group/other"), day(1), "Complete")
    apply(staff, ALL, day(1), "Complete")
    apply(ad, directory("group/member"), day(2), "Complete")
    apply(staff, {**CHANGES}, day(3))

    # when what had ended by the 2nd goes, then that was a link of the directory alone
    assert hr.repository.forget_history(day(2)) == Forgotten(resources=0, links=1, files=0)
    assert [since(one) for one in (hr, ad, staff)] == [None, day(2), None]
    assert len(people(hr, day(1))) == 2
    assert caplog.messages == []

    # and when what had ended by the 5th goes, persons with their photos
    hr.repository.forget_history(day(5))
    assert [since(one) for one in (hr, ad, staff)] == [None, day(2), day(3)]
