"""The views ``zz_…`` show what is stored, as the configuration says, and are the only ones that are ever dropped."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.dialects.views import View, ViewDialect
from tests.oracle.harness import Harness
from tests.oracle.runner import Runner
from tests.oracle.sequences import steps
from tests.oracle.shapes import BADGES, DIRECTORY, HR, SHAPES, Association, Property, Shape, Type
from tests.repository.plain import connect, execute
from tests.repository.test_open import without_waiting, writer
from tests.repository.test_upgrade import back_to_version_1
from tests.synchronize.conftest import make_tables
from tests.synchronize.scenario import FIRST, SECOND

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

OTHERS = 'CREATE VIEW "zz_Report" AS SELECT 42 AS mine'


@pytest.fixture
def hr(make_harness: MakeHarness) -> Harness:
    made = make_harness(HR)
    made.synchronize(batch=made.publish(FIRST, "Complete"))
    return made


def views_of(url: str) -> dict[str, list[str]]:
    """Name the views of a database and their columns."""
    with connect(url) as connection:
        inspector = sa.inspect(connection)
        return {
            name: [str(c["name"]) for c in inspector.get_columns(name)]
            for name in sorted(inspector.get_view_names())
        }


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with connect(url) as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def keys(found: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return sorted(row[name] for row in found)


@contextmanager
def reader(url: str, view: str) -> Iterator[None]:
    """Be another program that has read a view and has not ended its transaction."""
    with connect(url) as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f'SELECT * FROM "{view}"').all()
        yield
        connection.exec_driver_sql("ROLLBACK")


# ------------------------------------------------------------------------------------------------------ contents


def check_contents(harness: Harness) -> None:
    """Compare the views with what the queries give."""
    entities, links = harness.queried()
    shape = harness.shape
    primary = {row["Id"]: row["PrimaryKey"] for row in harness.table("UR_Resources")}
    for entity in shape.types:
        found = harness.table(f"zz_{entity.identifier}")
        found.sort(key=lambda row: row[entity.primary.identifier])
        references = {f"{name}_Id": name for name, _ in entity.navigations}
        shown = [{n: v for n, v in row.items() if n != "Id" and n not in references} for row in found]
        assert shown == entities[entity.identifier]
        for row in found:
            assert primary[row["Id"]] == row[entity.primary.identifier]
            for column, name in references.items():
                assert primary.get(row.get(column)) == row.get(name), (entity.identifier, column)
    for association in shape.associations:
        if shape.navigation(association, 1) or shape.navigation(association, 2):
            continue
        found = harness.table(f"zz_{association.identifier}")
        assert sorted((row["key1"], row["key2"]) for row in found) == links[association.identifier]
        assert [(primary[row["R1_Id"]], primary[row["R2_Id"]]) for row in found] == [
            (row["key1"], row["key2"]) for row in found
        ]


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_views_give_what_the_queries_give(databases: Databases, tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]

    @settings(max_examples=max(1, settings.default.max_examples * 2 // 10))
    @given(steps(shape))
    def sequences(drawn: list) -> None:
        url = databases.prepared(make_tables)
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            harness = Harness(shape, url, Path(folder))
            try:
                harness.repository.create_views([harness.mappings])  # before anything is stored
                Runner(harness, prepared=False).run(drawn)
                check_contents(harness)
            finally:
                harness.close()
                databases.drop(url)

    sequences()


def test_a_view_per_entity_type_and_per_association_with_a_link_table(make_harness: MakeHarness) -> None:
    badges, directory = make_harness(BADGES), make_harness(DIRECTORY)

    result = badges.repository.create_views([badges.mappings, directory.mappings])

    assert views_of(badges.url) == {
        "zz_Entry": ["Id", "Guid", "Dn", "Cn", "ParentEntry", "ParentEntry_Id"],
        "zz_Group_Members": ["R1_Id", "key1", "R2_Id", "key2"],
        "zz_Holder": ["Id", "HolderId", "Mail", "Badge", "Badge_Id", "Desk", "Desk_Id", "Car", "Car_Id"],
        "zz_Holder_Desk": ["R1_Id", "key1", "R2_Id", "key2"],
        "zz_Thing": [
            *(
                "Id",
                "Serial",
                "Tag",
                "Chip",
                "Bearer",
                "Bearer_Id",
                "Keeper",
                "Keeper_Id",
                "Sitter",
                "Sitter_Id",
            ),
        ],
    }
    assert result.views == tuple(views_of(badges.url)) == tuple(sorted(result.created))


# --------------------------------------------------------------------------------------------------- what changes


def test_views_that_are_as_they_should_be_are_left_alone(hr: Harness) -> None:
    hr.repository.create_views([hr.mappings])

    with writer(hr.url), reader(hr.url, "zz_Person"):
        result = without_waiting(lambda: hr.repository.create_views([hr.mappings]))

    assert result.as_dict() == {
        "views": ["zz_Organization", "zz_Person"],
        "created": [],
        "replaced": [],
        "dropped": [],
        "unchanged": ["zz_Organization", "zz_Person"],
    }
    assert result.as_text() == "2 views: 0 created, 0 replaced, 2 unchanged; 0 dropped"


def test_views_follow_the_configuration(hr: Harness, tmp_path: Path) -> None:
    execute(hr.url, OTHERS)
    hr.repository.create_views([hr.mappings])
    person, organization = HR.types
    changed = replace(
        HR,
        types=(
            replace(
                person,
                properties=(
                    *person.properties[:2],
                    Property("Surname", "name", 0),
                    Property("Mail", "mail", 9),
                ),
            ),
            replace(organization, identifier="Unit"),
        ),
        associations=(
            replace(HR.associations[0], type2="Unit"),
            *(
                replace(a, type1="Unit", type2=a.type2.replace("Organization", "Unit"))
                for a in HR.associations[1:]
            ),
        ),
    )

    result = hr.repository.create_views([changed.mappings(tmp_path / "changed")])

    assert (result.created, result.replaced, result.dropped) == (
        ("zz_Unit",),
        ("zz_Person",),
        ("zz_Organization",),
    )
    assert views_of(hr.url) == {
        "zz_Person": ["Id", "PersonId", "Login", "Surname", "Mail", "Organization", "Organization_Id"],
        "zz_Report": ["mine"],
        "zz_Unit": ["Id", "Code", "Label", "Parent", "Parent_Id", "Manager", "Manager_Id"],
    }
    assert keys(hr.table("zz_Person"), "Surname") == ["Dijkstra", "Hopper", "Lovelace", "Turing"]
    assert hr.table("zz_Report") == [{"mine": 42}]


def test_views_of_a_connector_that_is_gone_are_dropped(make_harness: MakeHarness) -> None:
    badges, directory = make_harness(BADGES), make_harness(DIRECTORY)
    badges.repository.create_views([badges.mappings, directory.mappings])

    result = badges.repository.create_views([badges.mappings])

    assert result.dropped == ("zz_Entry", "zz_Group_Members")
    assert list(views_of(badges.url)) == ["zz_Holder", "zz_Holder_Desk", "zz_Thing"]


@pytest.mark.parametrize(
    ("there", "kind"),
    [
        ('CREATE VIEW "zz_Person" AS SELECT 42 AS mine', "view"),
        ('CREATE TABLE "zz_Person" AS SELECT 42 AS mine', "table"),
    ],
)
def test_what_somebody_else_made_is_never_touched(hr: Harness, there: str, kind: str) -> None:
    execute(hr.url, there)

    with pytest.raises(RepositoryError, match=rf"belong: {kind} zz_Person; rename or drop it"):
        hr.repository.create_views([hr.mappings])

    assert hr.table("zz_Person") == [{"mine": 42}]
    assert "zz_Organization" not in views_of(hr.url)


def test_what_somebody_made_of_a_view_of_ours_is_theirs(hr: Harness) -> None:
    hr.repository.create_views([hr.mappings])
    if hr.url.startswith("sqlite"):
        [sql] = rows(hr.url, "SELECT sql FROM sqlite_master WHERE name = 'zz_Person'")
        text = sql["sql"].replace("zz_Person", "zz_Adults")
        execute(hr.url, text)
    else:
        execute(hr.url, 'ALTER VIEW "zz_Person" RENAME TO "zz_Adults"')

    hr.repository.create_views([hr.mappings])

    assert {"zz_Organization", "zz_Person", "zz_Adults"} <= views_of(hr.url).keys()
    assert len(hr.table("zz_Adults")) == len(hr.table("zz_Person")) == 4


def test_a_failure_leaves_the_former_views(
    hr: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr.repository.create_views([hr.mappings])
    before = views_of(hr.url)
    dialect = hr.repository.dialect.views
    create, made = type(dialect).create, []

    def fail_at_the_second(
        self: ViewDialect, connection: sa.Connection, schema: str | None, view: View
    ) -> None:
        made.append(view.name)
        if len(made) > 1:
            connection.exec_driver_sql("SELECT no_such_column FROM no_such_table")
        create(self, connection, schema, view)

    monkeypatch.setattr(type(dialect), "create", fail_at_the_second)
    with pytest.raises(RepositoryError):
        hr.repository.create_views([BADGES.mappings(tmp_path / "badges")])

    assert made == ["zz_Holder", "zz_Thing"]
    assert views_of(hr.url) == before
    assert hr.table("UC_Connectors") == [{"Id": 1, "Identifier": "HR"}]


# ------------------------------------------------------------------------------------------------------ beside them


def test_views_neither_wait_for_a_synchronization_nor_stop_one(hr: Harness) -> None:
    """Where one is applying: SQLite has one writer, and the views wait for their turn there."""
    if hr.url.startswith("postgresql"):
        with writer(hr.url):
            without_waiting(lambda: hr.repository.create_views([hr.mappings]))
    hr.repository.create_views([hr.mappings])

    with reader(hr.url, "zz_Person"):
        hr.synchronize(batch=hr.publish(SECOND, "Incremental"))

    check_contents(hr)


def test_two_who_make_the_views_at_once_end_well(make_harness: MakeHarness) -> None:
    harness = make_harness(BADGES)
    barrier, results = threading.Barrier(2, timeout=20), []

    def make() -> None:
        with Repository.open(harness.url) as repository:
            barrier.wait()
            results.append(repository.create_views([harness.mappings]))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(len(result.created) for result in results) == [0, 3]
    assert sorted(len(result.unchanged) for result in results) == [0, 3]


def test_a_repository_with_views_is_upgraded(hr: Harness) -> None:
    hr.repository.create_views([hr.mappings])
    hr.close()
    back_to_version_1(hr.url)

    assert hr.repository.status("HR").state == "ready"

    check_contents(hr)
    assert len(hr.repository.create_views([hr.mappings]).unchanged) == 2


# ----------------------------------------------------------------------------------------------------------- names

LONG = "Ärztinnen und Ärzte der Universitätskliniken, " + "é" * 40


def odd(connector: str, friends: str, bosses: str, *types: str) -> Shape:
    """Make a connector of entity types of any names, with two associations from the first to itself."""
    navigations = (("Boss", 128), ("Staff", -1), ("Friends", -1), ("FriendOf", -1))
    first = types[0]
    return Shape(
        "odd names",
        tuple(
            Type(
                name,
                f"T{n}",
                (
                    Property("Key", "key", 4, primary=True),
                    Property("Boss_Id", "boss", 5),
                    Property("boss_id_2", "boss2", 6),
                    Property("Überschrift", "title", 7),
                    Property("select", "select", 8),
                    Property("é" * 40, "long", 9),
                    Property("é" * 41, "longer", 10),
                ),
                navigations if n == 0 else (),
            )
            for n, name in enumerate(types)
        ),
        (
            Association(
                friends, "L", "a", "b", first, "Key", "Friends", True, first, "Key", "FriendOf", True
            ),
            Association(bosses, "B", "a", "b", first, "Key", "Boss", False, first, "Key", "Staff", True),
        ),
        connector=connector,
    )


def test_names_of_any_kind(make_harness: MakeHarness) -> None:
    one = make_harness(odd("A", "It's 100%(x)s", "Bosses", "Person", "100 % d'été; --", LONG, LONG + "é"))
    other = make_harness(odd("B", "PERSON", "Chiefs", "bosses", "select"))

    result = one.repository.create_views([one.mappings, other.mappings])
    again = one.repository.create_views([one.mappings, other.mappings])

    assert result.dropped == result.replaced == again.created == again.replaced == ()
    long = [name for name in result.views if "rzt" in name]
    assert set(result.views) - set(long) == {
        "zz_Person",
        "zz_100 % d'été; --",
        "zz_It's 100%(x)s",
        "zz_bosses",
        "zz_select",
        "zz_PERSON_2",
    }
    found = views_of(one.url)
    assert sorted(found) == sorted(result.views)
    assert {len(name.encode()) for name in long} <= {62, 63}
    assert len(long) == 2
    *plain, longer, longest, boss, reference = found["zz_Person"]
    assert plain == ["Id", "Key", "Boss_Id", "boss_id_2", "Überschrift", "select"]
    assert [name[:26] for name in (longer, longest)] == ["é" * 26] * 2
    assert longer != longest
    assert (boss, reference) == ("Boss", "Boss_Id_3")


def test_a_name_that_changes_its_case_replaces_its_view(hr: Harness, tmp_path: Path) -> None:
    hr.repository.create_views([hr.mappings])
    renamed = replace(HR, types=(replace(HR.types[0], identifier="PERSON"), HR.types[1]))
    renamed = replace(
        renamed,
        associations=tuple(
            replace(a, type1=a.type1.replace("Person", "PERSON"), type2=a.type2.replace("Person", "PERSON"))
            for a in HR.associations
        ),
    )

    hr.repository.create_views([renamed.mappings(tmp_path / "renamed")])

    assert list(views_of(hr.url)) == ["zz_Organization", "zz_PERSON"]
    assert len(hr.table("zz_PERSON")) == 4
