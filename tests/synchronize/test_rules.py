"""The rules of applying a batch, one by one."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration import SourceType
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import BADGES, DIRECTORY, HR, Shape
from tests.synchronize.scenario import FIRST, SECOND, delta, full, model_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

PEOPLE = "1/ada/Lovelace 2/alan/Turing"
UNITS = "A/Research B/Sales"


@pytest.fixture
def harness(make_harness: MakeHarness) -> Harness:
    return make_harness(HR)


def complete(harness: Harness, files: dict[str, CleanFile], **options: object):
    return harness.synchronize(batch=harness.publish(files, "Complete"), **options)


def incremental(harness: Harness, files: dict[str, CleanFile], source_type: str = "None", **options: object):
    batch = harness.publish(files, "Incremental", source_type)
    return harness.synchronize(batch=batch, type=SourceType(source_type), **options)


def report(harness: Harness, name: str) -> str | None:
    file = harness.work / harness.shape.connector / "Synchronize" / name
    return file.read_bytes().decode() if file.exists() else None


# ------------------------------------------------------------------------------------------------------ orphans


def test_a_row_whose_resource_is_missing_makes_no_link(harness: Harness) -> None:
    result = complete(
        harness, full(PEOPLE, UNITS, members="1/A 2/X 8/B 9/Y"), orphans=True, do_not_delete_changes=True
    )

    assert asdict(result.associations["Person_Organization"]) == {
        "inserted": 1,
        "deleted": 0,
        "unchanged": 0,
        "orphans": 3,
        "conflicts": 0,
    }
    assert report(harness, "Person_Organization.orphans.csv") == "key1,key2,missing\n2,X,2\n8,B,1\n9,Y,both\n"
    assert harness.snapshot().links["Person_Organization"] == {("1", "A")}


def test_orphans_are_counted_but_not_saved_by_default(harness: Harness) -> None:
    result = complete(harness, full(PEOPLE, UNITS, members="1/X"))
    assert result.associations["Person_Organization"].orphans == 1
    assert report(harness, "Person_Organization.orphans.csv") is None


def test_an_orphan_becomes_a_link_when_its_resource_arrives(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/C 3/A"))

    result = incremental(harness, delta("insert/3/grace/Hopper", "insert/C/Support"))

    assert harness.snapshot().links["Person_Organization"] == {("1", "C"), ("3", "A")}
    assert result.associations["Person_Organization"].inserted == 2
    assert harness.table("UR_UnresolvedLinks") == []


def test_a_key_of_two_resources_is_ambiguous(harness: Harness) -> None:
    people = "1/ada/Lovelace 2/ada/Byron"
    result = complete(harness, full(people, UNITS, managers="A/ada"), orphans=True)

    assert result.associations["Organization_Manager"].orphans == 1
    assert report(harness, "Organization_Manager.orphans.csv") == "key1,key2,missing\nA,ada,ambiguous\n"
    assert harness.snapshot().links["Organization_Manager"] == set()

    incremental(harness, delta("delete/2//"))
    assert harness.snapshot().links["Organization_Manager"] == {("A", "1")}


def test_a_key_that_becomes_ambiguous_breaks_its_link(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, managers="A/ada"))

    result = incremental(harness, delta("update/2/ada/Turing"))

    assert result.associations["Organization_Manager"].deleted == 1
    assert harness.snapshot().links["Organization_Manager"] == set()

    incremental(harness, delta("update/1/x/Lovelace"))
    assert harness.snapshot().links["Organization_Manager"] == {("A", "2")}


# ------------------------------------------------------------------------------------------------ deleted, back


def test_links_go_with_their_resource_and_come_back_with_it(harness: Harness) -> None:
    files = full(PEOPLE, UNITS, members="1/A 2/A", parents="B/A", managers="B/ada")
    complete(harness, files)

    result = incremental(harness, delta(organizations="delete/A/", persons="delete/1//"))

    assert result.entity_types["Organization"].deleted == 1
    assert {n: c.deleted for n, c in result.associations.items()} == {
        "Person_Organization": 2,
        "Organization_Parent": 1,
        "Organization_Manager": 1,
    }
    assert harness.snapshot().links == {
        "Person_Organization": set(),
        "Organization_Parent": set(),
        "Organization_Manager": set(),
    }

    incremental(harness, delta(organizations="insert/A/Again", persons="insert/1/ada/Again"))

    assert harness.snapshot().links == {
        "Person_Organization": {("1", "A"), ("2", "A")},
        "Organization_Parent": {("B", "A")},
        "Organization_Manager": {("B", "1")},
    }


def test_an_id_is_never_used_again(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS))
    before = harness.snapshot().ids
    incremental(harness, delta("delete/1// delete/2//", "delete/A/ delete/B/"))
    incremental(harness, delta("insert/1/ada/Lovelace", "insert/A/Research"))
    after = harness.snapshot().ids
    assert min(after.values()) > max(before.values())


def test_a_delete_command_forgets_a_remembered_row(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/A 2/C"))
    incremental(harness, delta(organizations="delete/A/"))

    incremental(harness, delta(members="delete/1/A delete/2/C"))
    incremental(harness, delta(organizations="insert/A/Again insert/C/New"))

    assert harness.snapshot().links["Person_Organization"] == set()


def test_a_complete_replaces_the_remembered_rows(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/C"))
    complete(harness, full(PEOPLE, UNITS, members="1/D"))
    incremental(harness, delta(organizations="insert/C/Late"))
    assert harness.snapshot().links["Person_Organization"] == set()
    incremental(harness, delta(organizations="insert/D/Late"))
    assert harness.snapshot().links["Person_Organization"] == {("1", "D")}


def test_a_changed_key_breaks_its_links_until_it_is_back(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, managers="A/ada B/augusta"))

    incremental(harness, delta("update/1/augusta/Lovelace"))
    assert harness.snapshot().links["Organization_Manager"] == {("B", "1")}

    incremental(harness, delta("update/1/ada/Lovelace"))
    assert harness.snapshot().links["Organization_Manager"] == {("A", "1")}


def test_two_resources_exchange_their_keys(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, managers="A/ada B/alan"))

    result = incremental(harness, delta("update/1/alan/Lovelace update/2/ada/Turing"))

    assert harness.snapshot().links["Organization_Manager"] == {("A", "2"), ("B", "1")}
    assert (
        result.associations["Organization_Manager"].inserted,
        result.associations["Organization_Manager"].deleted,
    ) == (2, 2)


# ---------------------------------------------------------------------------------------------------- conflicts


def test_the_first_row_in_sorted_order_wins_a_mono_valued_side(harness: Harness) -> None:
    result = complete(harness, full(PEOPLE, UNITS + " C/x", members="1/B 1/C 1/A 2/X 2/C"))

    assert harness.snapshot().links["Person_Organization"] == {("1", "A"), ("2", "C")}
    assert result.associations["Person_Organization"].conflicts == 2
    assert report(harness, "Person_Organization.conflicts.csv") == "key1,key2\n1,B\n1,C\n"


def test_a_loser_takes_over_when_the_winner_goes(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS + " C/x", members="1/A 1/B 1/C"))

    incremental(harness, delta(organizations="delete/A/"))
    assert harness.snapshot().links["Person_Organization"] == {("1", "B")}
    incremental(harness, delta(members="delete/1/B"))
    assert harness.snapshot().links["Person_Organization"] == {("1", "C")}
    incremental(harness, delta(organizations="insert/A/Back"))
    assert harness.snapshot().links["Person_Organization"] == {("1", "A")}


def test_a_row_that_sorts_before_takes_the_place(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/B"))
    result = incremental(harness, delta(members="insert/1/A"))
    assert harness.snapshot().links["Person_Organization"] == {("1", "A")}
    counts = result.associations["Person_Organization"]
    assert (counts.inserted, counts.deleted, counts.conflicts) == (1, 1, 1)


def test_a_moved_reference_is_one_link_deleted_and_one_inserted(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/A 2/A"))
    result = incremental(harness, delta(members="delete/1/A insert/1/B"))
    counts = result.associations["Person_Organization"]
    assert (counts.inserted, counts.deleted, counts.conflicts) == (1, 1, 0)
    assert harness.snapshot().links["Person_Organization"] == {("1", "B"), ("2", "A")}


def badges(holders: str, things: str, *rows: str) -> dict[str, CleanFile]:
    pairs = dict.fromkeys(("Holder_Badge", "Holder_Locker", "Holder_Desk", "Holder_Car"), "") | dict(
        zip(("Holder_Badge", "Holder_Locker", "Holder_Desk", "Holder_Car"), rows, strict=False)
    )
    return {
        "Holder": CleanFile(["HolderId", "Mail"], [r.split("/") for r in holders.split()]),
        "Thing": CleanFile(["Serial", "Tag", "Chip"], [r.split("/") for r in things.split()]),
    } | {n: CleanFile(["key1", "key2"], [r.split("/") for r in t.split()]) for n, t in pairs.items()}


def test_one_to_one_rows_are_taken_greedily(make_harness: MakeHarness) -> None:
    """1-a is first; 1-b and 2-a find a side taken; 2-b is free. All on both sides, and in the link table."""
    harness = make_harness(BADGES)
    files = badges(
        "1/m1 2/m2 3/m3", "a/ta/ca b/tb/cb c/tc/cc", "1/a 1/b 2/a 2/b 3/b", "", "1/ta 1/tb 2/ta 2/tb 3/tb"
    )

    result = complete(harness, files)

    assert harness.snapshot().links["Holder_Badge"] == {("1", "a"), ("2", "b")}
    assert harness.snapshot().links["Holder_Desk"] == {("1", "a"), ("2", "b")}
    assert result.associations["Holder_Badge"].conflicts == 3
    assert result.associations["Holder_Desk"].conflicts == 3


# ------------------------------------------------------------------------------------------------ command rules


def test_commands_that_do_not_fit(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS))

    result = incremental(harness, delta("insert/1/ada/King update/9/x/Unknown delete/8//"))

    counts = result.entity_types["Person"]
    assert (counts.inserted, counts.updated, counts.deleted, counts.anomalies) == (0, 1, 0, 1)
    assert set(harness.snapshot().resources["Person"]) == {"1", "2"}
    assert harness.snapshot().resources["Person"]["1"]["LastName"] == "King"
    assert report(harness, "Person.anomalies.csv") == "command,PersonId\nupdate,9\n"


def test_a_merge_overwrites_only_what_it_brings(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS))
    result = incremental(harness, delta("merge/1//King merge/2/al/ merge/3//New", owned=True), "Changes")
    assert harness.snapshot().resources["Person"] == {
        "1": {"PersonId": "1", "Login": "ada", "LastName": "King"},
        "2": {"PersonId": "2", "Login": "al", "LastName": "Turing"},
        "3": {"PersonId": "3", "Login": "", "LastName": "New"},
    }
    counts = result.entity_types["Person"]
    assert (counts.inserted, counts.updated) == (1, 2)


def test_an_update_empties_what_it_does_not_bring(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, managers="A/ada"))
    incremental(harness, delta("update/1//", owned=True), "Changes")
    assert harness.snapshot().resources["Person"]["1"] == {"PersonId": "1", "Login": "", "LastName": ""}
    assert harness.snapshot().links["Organization_Manager"] == set()


def test_commands_of_an_entity_rule_the_links_of_its_row(harness: Harness) -> None:
    complete(harness, full(PEOPLE + " 3/g/H 4/e/D 5/t/H", UNITS, members="1/A 2/A 3/A 4/A 5/A 1/B"))

    incremental(
        harness,
        delta(
            "update/1/ada/L update/2/alan/T merge/3//X delete/4// insert/6/n/N",
            members="update/1/B/1 update/2//2 delete/4//4 insert/6/B/6",
            owned=True,
        ),
        "Changes",
    )

    assert harness.snapshot().links["Person_Organization"] == {("1", "B"), ("3", "A"), ("5", "A"), ("6", "B")}
    assert harness.table("UR_UnresolvedLinks") == []


def entries(
    rows: str, parents: str = "", members: str = "", *, changes: bool = False
) -> dict[str, CleanFile]:
    first = ["command"] if changes else []
    return {
        "Entry": CleanFile([*first, "Guid", "Dn", "Cn"], [r.split("/") for r in rows.split()]),
        "Entry_Parent": CleanFile(
            [*first, "key1", "key2", *(["owner"] if changes else [])], [r.split("/") for r in parents.split()]
        ),
        "Group_Members": CleanFile([*first, "key1", "key2"], [r.split("/") for r in members.split()]),
    }


@pytest.fixture
def directory(make_harness: MakeHarness) -> Harness:
    harness = make_harness(DIRECTORY)
    complete(
        harness,
        entries(
            "o/root/ p/ou1/ q/ou2/ u/ada/ g/grp/", "ou1/root ou2/root ada/ou1 grp/ou1", "grp/ada grp/nobody"
        ),
    )
    return harness


def test_an_entry_moves_with_its_dn(directory: Harness) -> None:
    """Its parent comes with its row; what names it by its former dn loses it."""
    incremental(directory, entries("merge/u/ada2/", "merge/ada2/ou2/u", changes=True), "ActiveDirectory")
    snapshot = directory.snapshot()
    assert snapshot.links["Entry_Parent"] == {("p", "o"), ("q", "o"), ("u", "q"), ("g", "p")}
    assert snapshot.links["Group_Members"] == set()
    assert snapshot.unresolved == {
        "Entry_Parent": set(),
        "Group_Members": {("grp", "ada"), ("grp", "nobody")},
    }

    incremental(
        directory, entries("", members="delete/grp/ada insert/grp/ada2", changes=True), "ActiveDirectory"
    )
    assert directory.snapshot().links["Group_Members"] == {("g", "u")}


def test_the_key_of_an_entity_is_looked_up_where_its_row_leaves_it_out(directory: Harness) -> None:
    incremental(
        directory,
        entries("merge/u//Ada delete/g//", "merge//ou2/u delete///g", changes=True),
        "ActiveDirectory",
    )
    snapshot = directory.snapshot()
    assert snapshot.links["Entry_Parent"] == {("p", "o"), ("q", "o"), ("u", "q")}
    assert snapshot.unresolved["Entry_Parent"] == set()


def test_entries_exchange_their_dns(directory: Harness) -> None:
    incremental(
        directory,
        entries("update/p/ou2/ update/q/ou1/", "update/ou2/root/p update/ou1//q", changes=True),
        "Changes",
    )
    snapshot = directory.snapshot()
    assert snapshot.links["Entry_Parent"] == {("p", "o"), ("u", "q"), ("g", "q")}
    assert snapshot.unresolved["Entry_Parent"] == set()


@pytest.mark.parametrize("command", ["delete/u//", "delete/u/grp/"])
def test_an_entity_that_goes_takes_only_links_of_its_own_key_along(directory: Harness, command: str) -> None:
    """Its last row names a dn that it never had in the repository: renamed and deleted in one list, and another's."""
    incremental(directory, entries(command, "delete/grp//u", changes=True), "Changes")
    assert directory.snapshot().links["Entry_Parent"] == {("p", "o"), ("q", "o"), ("g", "p")}


def test_a_merge_that_changes_the_key_alone_takes_the_links_of_its_row_along(directory: Harness) -> None:
    """A full extract would name the same parent under the new dn; what names the entry by the former one is lost."""
    result = incremental(directory, entries("merge/u/ada2/", changes=True), "ActiveDirectory")
    snapshot = directory.snapshot()
    assert snapshot.links["Entry_Parent"] == {("p", "o"), ("q", "o"), ("u", "p"), ("g", "p")}
    assert snapshot.unresolved == {
        "Entry_Parent": set(),
        "Group_Members": {("grp", "ada"), ("grp", "nobody")},
    }
    counts = result.associations["Entry_Parent"]
    assert (counts.inserted, counts.deleted) == (0, 0)


@pytest.mark.parametrize(
    ("leaves", "row"),
    [("merge/g/grp2/", "merge/grp2/root/g"), ("delete/g//", "delete///g"), ("delete/g//", "delete/grp//g")],
)
def test_an_entry_takes_the_dn_that_another_leaves(directory: Harness, leaves: str, row: str) -> None:
    """It keeps its own parent, whatever happens to the links of the other in the same batch."""
    incremental(directory, entries(f"merge/u/grp/ {leaves}", row, changes=True), "ActiveDirectory")
    links = directory.snapshot().links["Entry_Parent"]
    assert {pair for pair in links if pair[0] == "u"} == {("u", "p")}
    assert {pair for pair in links if pair[0] == "g"} == (
        {("g", "o")} if leaves.startswith("merge") else set()
    )


# ------------------------------------------------------------------------------------------------------ content


def test_complete_twice_touches_nothing(harness: Harness) -> None:
    complete(harness, FIRST)
    stored = [t for t in harness.dump() if t.startswith(("UR_", "UM_"))]
    before = {t: rows for t, rows in harness.dump().items() if t in stored}
    digest = harness.repository.content_hash(harness.mappings)

    result = complete(harness, FIRST)

    assert not result.has_effect
    assert {t: rows for t, rows in harness.dump().items() if t in stored} == before
    assert harness.repository.content_hash(harness.mappings) == digest


def test_only_what_changed_gets_a_new_date(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/A 2/A"))
    before = {r["PrimaryKey"]: r for r in harness.table("UR_Resources")}
    incremental(harness, delta("update/1/ada/King", members="delete/2/A insert/2/B"))
    after = {r["PrimaryKey"]: r for r in harness.table("UR_Resources")}
    for key in ("1", "2"):
        assert after[key]["ValidFrom"] > before[key]["ValidFrom"]
        assert after[key]["WhenChanged"] > before[key]["WhenChanged"]
        assert after[key]["WhenCreated"] == before[key]["WhenCreated"]
    assert after["A"] == before["A"]
    assert after["B"] == before["B"]


STRANGE = [
    "\\N",
    "\\.",
    "NULL",
    "null",
    '"',
    '""',
    "a\tb",
    "a\\tb",
    "a\nb",
    "a\r\nb",
    " x ",
    "'",
    "𝒜",
    "e\u0301",
    "%s",
    "{}",
]


def test_strange_values_are_stored_as_they_are(harness: Harness) -> None:
    lines = sorted([f"{value}", f"{value}#", value] for value in STRANGE)
    files = full() | {"Person": CleanFile(["PersonId", "Login", "LastName"], lines)}
    files["Organization"].lines.extend([["A", "x"], ["B", "y"]])
    files["Person_Organization"].lines.extend([[value, "A"] for value, _, _ in lines])
    files["Organization_Manager"].lines.extend([["A", "\\N#"], ["B", '""#']])
    model = model_of(files)

    complete(harness, files)

    assert harness.snapshot() == expected_snapshot(model)
    assert harness.snapshot().links["Organization_Manager"] == {("A", "\\N"), ("B", '""')}
    assert not complete(harness, files).has_effect
    changes = delta() | {
        "Person": CleanFile(
            ["command", "PersonId", "Login", "LastName"], [["update", a, b, c + "'"] for a, b, c in lines]
        )
    }
    result = incremental(harness, changes)
    assert result.entity_types["Person"].updated == len(STRANGE)
    model.apply("Incremental", changes)
    assert harness.snapshot() == expected_snapshot(model)


def test_long_values_fit(harness: Harness) -> None:
    files = full() | {
        "Person": CleanFile(["PersonId", "Login", "LastName"], [["k" * 442, "é" * 442, "😀" * 4000]])
    }
    complete(harness, files)
    assert harness.snapshot() == expected_snapshot(model_of(files))


def test_keys_compare_by_code_point(harness: Harness) -> None:
    keys = ["A", "Z", "a", "z", "Ä", "ä", "ﬁ", "😀", "é", "e\u0301", "10", "9", "-", "_", "a b", "ab"]
    files = full() | {
        "Person": CleanFile(["PersonId", "Login", "LastName"], [[k, "", ""] for k in sorted(keys)])
    }
    complete(harness, files)
    found = harness.repository.query_entity_type(harness.mappings, "Person").column("PersonId").to_pylist()
    assert found == sorted(keys)
    assert not complete(harness, files).has_effect


# -------------------------------------------------------------------------------------------------- change rows


def test_change_rows_are_kept_only_on_request(harness: Harness) -> None:
    complete(harness, FIRST)
    assert harness.table("UR_ResourceChanges") == []
    incremental(harness, SECOND, do_not_delete_changes=True)

    types = {v: k for k, v in harness.type_ids().items()}
    rows = {(types[r["Type"]], r["ChangeOperation"], r["R1_PK"]) for r in harness.table("UR_ResourceChanges")}
    assert rows >= {
        ("Person", "update", "1"),
        ("Person", "delete", "2"),
        ("Person", "insert", "5"),
        ("Organization", "insert", "D"),
        ("Organization", "delete", "C"),
    }
    assert ("Person", "update", "9") not in rows


def test_dirty_is_what_kept_change_rows_name(harness: Harness) -> None:
    complete(harness, FIRST)
    incremental(harness, delta("update/4/edsger/D"))
    assert harness.repository.set_recently_modified_flag() == 0
    incremental(
        harness, delta("update/1/ada/King", members="delete/3/B insert/3/C"), do_not_delete_changes=True
    )
    assert harness.dirty() == set()

    assert harness.repository.set_recently_modified_flag() == 4

    assert harness.dirty() == {("Person", "1"), ("Person", "3"), ("Organization", "B"), ("Organization", "C")}
    assert harness.table("UR_ResourceChanges") == []
    assert harness.table("UR_ResourceLinkChanges") == []


def test_a_cleared_reference_makes_its_resource_dirty(harness: Harness) -> None:
    complete(harness, full(PEOPLE, UNITS, members="1/A 2/B", parents="B/A"))
    incremental(harness, delta(organizations="delete/A/"), do_not_delete_changes=True)
    harness.repository.set_recently_modified_flag()
    assert harness.dirty() == {("Person", "1"), ("Organization", "B")}


# ----------------------------------------------------------------------------------------- what is not mapped any more


def test_what_has_no_mapping_any_more_is_left_untouched(make_harness: MakeHarness) -> None:
    harness = make_harness(HR)
    complete(harness, full(PEOPLE, UNITS, members="1/A 2/B", parents="B/A", managers="A/ada"))
    smaller = replace(
        HR, associations=tuple(a for a in HR.associations if a.identifier == "Person_Organization")
    )
    less = make_harness(smaller)
    files = {
        k: v for k, v in full("1/ada/King", UNITS, members="1/B").items() if not k.startswith("Organization_")
    }
    result = complete(less, files)

    assert result.warnings
    snapshot = harness.snapshot()
    assert snapshot.links == {
        "Person_Organization": {("1", "B")},
        "Organization_Parent": {("B", "A")},
        "Organization_Manager": {("A", "1")},
    }


# --------------------------------------------------------------------------------------------------------- plan


def test_a_plan_counts_what_a_synchronize_does_and_changes_nothing(harness: Harness) -> None:
    from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization

    complete(harness, FIRST)
    batch = harness.publish(SECOND, "Incremental")
    before = harness.dump()

    with plan_synchronization(
        PlanRequest(
            mappings=harness.mappings,
            exchange=harness.exchange,
            repository=harness.repository,
            work=harness.work,
            batch=batch,
        )
    ) as plan:
        planned = plan.as_dict()

    assert harness.dump() == before
    done = harness.synchronize(batch=batch).as_dict()
    assert planned["entity_types"] == done["entity_types"]
    assert planned["associations"] == done["associations"]


# ------------------------------------------------------------------------------------------- the same everywhere


@pytest.mark.parametrize("shape", [HR])
def test_the_hash_is_that_of_the_content_alone(make_harness: MakeHarness, shape: Shape) -> None:
    """However it came about: other ids, other order, other remembered rows."""
    straight, around = make_harness(shape, apart=True), make_harness(shape, apart=True)
    final = full(
        "1/ada/King 3/grace/Hopper",
        "A/Research D/Design",
        members="1/A 3/D",
        parents="D/A",
        managers="A/grace",
    )
    complete(straight, final)
    complete(around, FIRST)
    incremental(around, SECOND)
    complete(around, full())
    complete(around, full(members="1/A", parents="D/A"))
    complete(around, final)

    digest = straight.repository.content_hash(straight.mappings)
    assert around.repository.content_hash(around.mappings) == digest
    assert len(digest) == 64
    incremental(around, delta(members="delete/3/D"))
    assert around.repository.content_hash(around.mappings) != digest


def test_the_hash_is_the_same_in_every_database(make_harness: MakeHarness) -> None:
    harness = make_harness(HR)
    complete(harness, FIRST)
    assert harness.repository.content_hash(harness.mappings) == EXPECTED_HASH


EXPECTED_HASH = "b57927fff3a200e4d4ff6c836b8fd1ba2b3f3c82f35ce0a6c2a394efcb9cb4fe"


def test_model_of_this_file_agrees(harness: Harness) -> None:
    complete(harness, FIRST)
    incremental(harness, SECOND)
    model = Model(HR)
    model.apply("Complete", FIRST)
    model.apply("Incremental", SECOND)
    assert harness.snapshot() == expected_snapshot(model)


def test_two_schemas_of_one_database_are_two_repositories(
    postgresql_databases: Databases, tmp_path: Path
) -> None:
    from airflow_provider_idm.repository import Repository

    url = postgresql_databases.empty()
    contents = {"one": FIRST, "two": full("7/z/Only", "Z/Zero", members="7/Z")}
    for schema, files in contents.items():
        harness = Harness(HR, url, tmp_path / schema)
        with Repository.open(url, schema=schema) as repository:
            harness.use(repository)
            complete(harness, files)
        harness.close()
    for schema, files in contents.items():
        harness = Harness(HR, url, tmp_path / schema)
        with Repository.open(url, schema=schema) as repository:
            found = repository.query_association(harness.mappings, "Person_Organization").to_pylist()
            assert [(r["key1"], r["key2"]) for r in found] == sorted(
                model_of(files).links("Person_Organization").links
            )
        harness.close()
    postgresql_databases.drop(url)
