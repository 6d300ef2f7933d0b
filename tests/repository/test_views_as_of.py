"""The views ``zz_…_as_of_…`` show what was stored as of a date, and stay until somebody asks for other dates."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository.moments import as_moment
from tests.oracle.harness import Harness
from tests.oracle.runner import Runner
from tests.oracle.sequences import Step, steps
from tests.oracle.shapes import BADGES, DIRECTORY, HR, Property, Shape
from tests.repository.plain import connect, execute
from tests.repository.test_views import LONG, check_contents, odd, views_of
from tests.synchronize.conftest import make_tables
from tests.synchronize.scenario import FIRST, SECOND, THIRD
from tests.synchronize.test_photos import ALL, CHANGES, STAFF, hashed

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

DAYS = tuple(datetime(2026, 3, number, tzinfo=UTC) for number in (1, 2, 3))
AT_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def hr(make_harness: MakeHarness) -> Harness:
    """Persons and organizations of three days."""
    made = make_harness(HR)
    for day, files, mode in zip(
        DAYS, (FIRST, SECOND, THIRD), ("Complete", "Incremental", "Incremental"), strict=True
    ):
        made.synchronize(batch=made.publish(files, mode, dated=day))
    return made


def table(harness: Harness, view: str) -> list[dict[str, Any]]:
    """Read a view, its rows in a fixed order."""
    return sorted(harness.table(view), key=lambda row: [str(value) for value in row.values()])


def suffix(moment: datetime) -> str:
    """Say how the names of views as of a moment end."""
    if moment.microsecond:
        return f"_as_of_{moment:%Y%m%dT%H%M%S_%f}Z"
    return f"_as_of_{moment:%Y%m%d}" if moment.hour == 0 else f"_as_of_{moment:%Y%m%dT%H%M%S}Z"


def persons(harness: Harness, view: str) -> list[tuple[Any, ...]]:
    return sorted((r["PersonId"], r["Login"], r["LastName"], r["Organization"]) for r in harness.table(view))


def stored(harness: Harness) -> dict[str, list[dict[str, Any]]]:
    """Read the views of now."""
    return {name: table(harness, name) for name in views_of(harness.url) if "_as_of_" not in name}


# ------------------------------------------------------------------------------------------------------ contents


class Chronicler(Runner):
    """Notes after each batch what the views show, and since when that is so."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(harness, prepared=False)
        self.noted: dict[datetime, dict[str, list[dict[str, Any]]]] = {}

    def step(self, step: Step) -> None:
        super().step(step)
        with self.harness.repository.reading() as connection:
            states = self.harness.repository.tables.connector_states
            since = connection.execute(sa.select(states.c.LastEffectiveDate)).scalar_one()
        self.noted[since] = stored(self.harness)


def test_views_as_of_dates_give_what_views_gave_then(databases: Databases, tmp_path: Path) -> None:
    """With links kept on either side, on both, and in the link table."""
    shape = BADGES

    @settings(max_examples=max(1, settings.default.max_examples * 2 // 10))
    @given(steps(shape))
    def sequences(drawn: list[Step]) -> None:
        url = databases.prepared(make_tables)
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            harness = Harness(shape, url, Path(folder))
            try:
                harness.repository.create_views([harness.mappings])
                runner = Chronicler(harness)
                runner.run(drawn)
                harness.repository.create_views([harness.mappings], runner.noted)
                for since, shown in runner.noted.items():
                    assert {view: table(harness, view + suffix(since)) for view in shown} == shown
            finally:
                harness.close()
                databases.drop(url)

    sequences()


def test_each_day_shows_its_resources_and_what_they_referred_to(hr: Harness) -> None:
    result = hr.repository.create_views([hr.mappings], [DAYS[1], DAYS[0]])

    # Half-open: a day shows what its own batch brought, and nothing of the next one's.
    assert persons(hr, "zz_Person_as_of_20260301") == [
        ("1", "ada", "Lovelace", "A"),
        ("2", "alan", "Turing", "A"),
        ("3", "grace", "Hopper", "B"),
        ("4", "edsger", "Dijkstra", None),
    ]
    assert persons(hr, "zz_Person_as_of_20260302") == [
        ("1", "ada", "King", "A"),
        ("3", "grace", "Hopper", "A"),
        ("4", "edsger", "Dijkstra", "D"),
        ("5", "tony", "Hoare", "D"),
    ]
    assert persons(hr, "zz_Person") == [
        ("1", "ada", "King", "A"),
        ("2", "alan", "Turing", "B"),
        ("3", "grace", "Hopper", "A"),
        ("4", "edsger", "Dijkstra", "D"),
        ("5", "nobody", "Hoare", "D"),
    ]
    managers = {
        day: [(r["Code"], r["Label"], r["Parent"], r["Manager"]) for r in table(hr, f"zz_Organization{day}")]
        for day in ("_as_of_20260301", "_as_of_20260302", "")
    }
    assert managers == {
        "_as_of_20260301": [
            ("A", "Research", None, "1"),
            ("B", "Sales", "A", None),
            ("C", "Support", "A", None),
        ],
        "_as_of_20260302": [
            ("A", "Research", None, "5"),
            ("B", "Sales", "A", None),
            ("D", "Design", "A", None),
        ],
        "": [("A", "Headquarters", None, None), ("B", "Sales", "A", "5"), ("D", "Design", "A", None)],
    }
    assert result.created == (
        "zz_Organization",
        "zz_Person",
        "zz_Organization_as_of_20260301",
        "zz_Person_as_of_20260301",
        "zz_Organization_as_of_20260302",
        "zz_Person_as_of_20260302",
    )


def test_moments_between_batches_and_before_the_first_and_after_the_last(hr: Harness) -> None:
    zone = timezone(timedelta(hours=2))
    moments = [
        datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 2, 6, tzinfo=zone),
        date(2026, 2, 28),
        datetime(2026, 12, 31),  # noqa: DTZ001 - without a zone it is UTC
    ]

    hr.repository.create_views([hr.mappings], [*moments, *DAYS])

    for view, same in (
        ("zz_Person_as_of_20260301T235959_999999Z", "zz_Person_as_of_20260301"),
        ("zz_Person_as_of_20260302T040000Z", "zz_Person_as_of_20260302"),
        ("zz_Person_as_of_20260303", "zz_Person"),
        ("zz_Person_as_of_20261231", "zz_Person"),
    ):
        assert table(hr, view) == table(hr, same) != [], view
    assert table(hr, "zz_Person_as_of_20260228") == table(hr, "zz_Organization_as_of_20260228") == []


def test_a_date_of_which_versions_are_missing_is_warned_of(
    hr: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    hr.repository.forget_history(DAYS[1])

    hr.repository.create_views([hr.mappings], DAYS)

    [message] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert message.startswith("the history of HR is whole from 2026-03-02 00:00:00 UTC on: of 2026-03-01")
    assert len(persons(hr, "zz_Person_as_of_20260302")) == 4


def test_link_tables_of_a_day(make_harness: MakeHarness) -> None:
    """Collections, and links of mono-valued properties that have no column."""
    badges, directory = make_harness(BADGES), make_harness(DIRECTORY)
    shown = {}
    everyone = [badges.mappings, directory.mappings]
    badges.repository.create_views(everyone)
    for number, (harness, step) in enumerate(
        (harness, step) for step in range(3) for harness in (badges, directory)
    ):
        day = datetime(2026, 3, 1 + number, tzinfo=UTC)
        harness.synchronize(batch=harness.publish(_links(harness.shape, step), "Complete", dated=day))
        shown[f"_as_of_202603{1 + number:02}"] = stored(badges)

    badges.repository.create_views(everyone, [datetime(2026, 3, 1 + n, tzinfo=UTC) for n in range(6)])

    assert [
        [len(views[name]) for name in ("zz_Group_Members", "zz_Holder_Desk")] for views in shown.values()
    ] == [[0, 2], [3, 2], [3, 1], [1, 1], [1, 2], [2, 2]]
    for end, views in shown.items():
        assert {name: table(badges, name + end) for name in views} == views


def _links(shape: Shape, step: int) -> dict[str, Any]:
    from tests.oracle.model import CleanFile

    rows = {
        "Entry": ["1/cn=a/a", "2/cn=b/b", "3/cn=c/c"][: 3 if step != 1 else 2],
        "Group_Members": [["cn=a/cn=b", "cn=a/cn=c", "cn=b/cn=c"], ["cn=a/cn=b"], ["cn=a/cn=c", "cn=a/cn=b"]][
            step
        ],
        "Holder": ["h/h@x", "i/i@x"],
        "Thing": ["t/tag t/chip t", "u/tag u/chip u"],
        "Holder_Desk": [["h/tag t", "i/tag u"], ["h/tag u"], ["h/tag t", "i/tag u"]][step],
        "Holder_Badge": [["h/t"], ["h/u"], []][step],
    }
    columns = {t.identifier: t.columns for t in shape.types}
    columns |= {a.identifier: ["key1", "key2"] for a in shape.associations}
    return {
        name: CleanFile(names, [row.split("/") for row in rows.get(name, [])])
        for name, names in columns.items()
    }


def test_a_photo_is_shown_as_its_hash(make_harness: MakeHarness) -> None:
    staff = make_harness(STAFF)
    staff.synchronize(batch=staff.publish(ALL, "Complete", dated=DAYS[0]))
    staff.synchronize(batch=staff.publish(CHANGES, "Incremental", dated=DAYS[1]))

    staff.repository.create_views([staff.mappings], DAYS[:2])

    shown = {
        day: [(r["Number"], r["Photo"], r["Badge"]) for r in table(staff, f"zz_Employee_as_of_{day}")]
        for day in ("20260301", "20260302")
    }
    assert shown == {
        "20260301": [
            ("1", hashed("ada"), hashed("A")),
            ("2", hashed("alan"), None),
            ("3", None, None),
            ("4", None, hashed("D")),
        ],
        "20260302": [
            ("1", hashed("ada, older"), hashed("A")),
            ("2", None, hashed("B")),
            ("3", None, None),
            ("5", hashed("tony"), None),
        ],
    }


def test_a_date_means_the_same_in_every_time_zone(postgresql_databases: Databases, tmp_path: Path) -> None:
    url = postgresql_databases.prepared(make_tables)
    far = sa.make_url(url).update_query_dict({"options": "-c timezone=Pacific/Auckland"})
    harness = Harness(HR, far.render_as_string(hide_password=False), tmp_path)
    harness.synchronize(batch=harness.publish(FIRST, "Complete", dated=AT_NOON))

    harness.repository.create_views([harness.mappings], [AT_NOON, AT_NOON - timedelta(microseconds=1)])

    counted = [
        f'SELECT count(*) FROM "zz_Person_as_of_{suffix}"'
        for suffix in ("20260302T120000Z", "20260302T115959_999999Z")
    ]
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        with connect(url, options=f"-c timezone={zone}") as connection:
            assert [connection.exec_driver_sql(query).scalar_one() for query in counted] == [4, 0]
    harness.close()
    postgresql_databases.drop(url)


# ---------------------------------------------------------------------------------------------------- which there are


def test_views_of_dates_stay_until_other_dates_are_asked_for(hr: Harness) -> None:
    first, second = "_as_of_20260301", "_as_of_20260302T120000Z"
    names = ["zz_Organization", "zz_Person"]
    hr.repository.create_views([hr.mappings], [DAYS[0]])

    kept = hr.repository.create_views([hr.mappings])
    other = hr.repository.create_views([hr.mappings], [DAYS[0], AT_NOON, DAYS[0]])
    fewer = hr.repository.create_views([hr.mappings], [AT_NOON])
    none = hr.repository.create_views([hr.mappings], [])

    assert (kept.created, kept.replaced, kept.dropped) == ((), (), ())
    assert kept.unchanged == (*names, *(name + first for name in names))
    assert other.created == tuple(name + second for name in names)
    assert other.unchanged == kept.unchanged
    assert (fewer.created, fewer.dropped) == ((), tuple(name + first for name in names))
    assert none.dropped == tuple(name + second for name in names)
    assert list(views_of(hr.url)) == names


def test_views_of_dates_follow_the_configuration(hr: Harness, tmp_path: Path) -> None:
    hr.repository.create_views([hr.mappings], DAYS[:1])
    person, organization = HR.types
    added = replace(person, properties=(*person.properties, Property("Mail", "mail", 9)))
    renamed = replace(organization, identifier="Unit")
    changed = replace(
        HR,
        types=(added, renamed),
        associations=tuple(
            replace(
                a,
                type1=a.type1.replace("Organization", "Unit"),
                type2=a.type2.replace("Organization", "Unit"),
            )
            for a in HR.associations
        ),
    )

    result = hr.repository.create_views([changed.mappings(tmp_path / "changed")])

    assert (result.created, result.replaced, result.dropped) == (
        ("zz_Unit", "zz_Unit_as_of_20260301"),
        ("zz_Person", "zz_Person_as_of_20260301"),
        ("zz_Organization", "zz_Organization_as_of_20260301"),
    )
    found = hr.table("zz_Person_as_of_20260301")
    assert sorted((row["PersonId"], row["LastName"], row["Mail"]) for row in found) == [
        ("1", "Lovelace", None),
        ("2", "Turing", None),
        ("3", "Hopper", None),
        ("4", "Dijkstra", None),
    ]


def test_what_somebody_else_made_of_a_date_is_never_touched(hr: Harness) -> None:
    execute(
        hr.url,
        'CREATE VIEW "zz_Person_as_of_20260301" AS SELECT 42 AS mine',
        'CREATE VIEW "zz_Report_as_of_20260301" AS SELECT 43 AS mine',
    )

    hr.repository.create_views([hr.mappings], [AT_NOON])
    hr.repository.create_views([hr.mappings], [])
    with pytest.raises(RepositoryError, match=r"belong: view zz_Person_as_of_20260301; rename or drop it"):
        hr.repository.create_views([hr.mappings], DAYS)

    assert hr.table("zz_Person_as_of_20260301") == [{"mine": 42}]
    assert hr.table("zz_Report_as_of_20260301") == [{"mine": 43}]
    assert [name for name in views_of(hr.url) if "_as_of_" in name] == [
        "zz_Person_as_of_20260301",
        "zz_Report_as_of_20260301",
    ]


def test_a_view_of_a_date_with_another_name_is_somebodys_own(hr: Harness) -> None:
    hr.repository.create_views([hr.mappings], DAYS[:1])
    if hr.url.startswith("sqlite"):
        with connect(hr.url) as connection:
            found = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE name LIKE 'zz_Person_as%'"
            )
            execute(hr.url, found.scalar_one().replace("zz_Person_as_of_20260301", "zz_Audit"))
    else:
        execute(hr.url, 'ALTER VIEW "zz_Person_as_of_20260301" RENAME TO "zz_Audit"')

    result = hr.repository.create_views([hr.mappings], [])

    assert "zz_Audit" not in result.dropped
    assert len(persons(hr, "zz_Audit")) == 4


# ----------------------------------------------------------------------------------------------------------- names


def test_names_of_dates_collide_with_nothing_and_are_never_cut_off(make_harness: MakeHarness) -> None:
    one = make_harness(odd("A", "Friends", "Bosses", "Person", "Person_as_of_20260301", LONG, LONG + "é"))
    other = make_harness(odd("B", "PERSON", "Chiefs", "select"))
    mappings = [one.mappings, other.mappings]

    result = one.repository.create_views(mappings, [DAYS[0], AT_NOON])
    again = one.repository.create_views(mappings)

    assert again.unchanged == tuple(n for n in result.created if n in again.unchanged)
    assert (again.created, again.replaced, again.dropped) == ((), (), ())
    long = [name for name in result.views if "rzt" in name]
    assert set(result.views) - set(long) == {
        f"zz_{name}{suffix}"
        for name in ("Person_as_of_20260301", "Friends", "PERSON_2", "select")
        for suffix in ("", "_as_of_20260301", "_as_of_20260302T120000Z")
    } | {"zz_Person", "zz_Person_as_of_20260301_2", "zz_Person_as_of_20260302T120000Z"}
    assert sorted(views_of(one.url)) == sorted(result.views)
    assert {len(name.encode()) for name in long} <= {62, 63}
    # The same hash tells what belongs together.
    hashes = [name.partition("_as_of_")[0][-8:] for name in long]
    assert len(long) == 6
    assert {hashes.count(digest) for digest in hashes} == {3}


def test_a_configuration_that_brings_such_a_name_later(make_harness: MakeHarness) -> None:
    """The view of now gets it; that of the date moves on."""
    before, after = (
        odd("A", "Friends", "Bosses", "Person"),
        odd("A", "Friends", "Bosses", "Person", "Person_as_of_20260301"),
    )
    harness, later = make_harness(before), make_harness(after)
    harness.repository.create_views([harness.mappings], DAYS[:1])

    result = harness.repository.create_views([later.mappings])

    assert result.replaced == ("zz_Person_as_of_20260301",)
    assert set(result.created) == {"zz_Person_as_of_20260301_as_of_20260301", "zz_Person_as_of_20260301_2"}
    check_contents(later)


# ----------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("given_", "moment"),
    [
        ("2026-03-01", DAYS[0]),
        (date(2026, 3, 1), DAYS[0]),
        ("20260302T12", AT_NOON),
        (" 2026-03-02T14:00+02:00 ", AT_NOON),
        ("2026-03-02 12:00:00Z", AT_NOON),
    ],
)
def test_days_and_moments(given_: str | date, moment: datetime) -> None:
    assert as_moment(given_) == moment


@pytest.mark.parametrize("given_", ["", "yesterday", "2026-02-30", "0001-01-01T00:00+05:00"])
def test_what_is_no_date(given_: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_moment(given_)


# ------------------------------------------------------------------------------------------------- mapping changes


def moved(shape: Shape) -> Shape:
    """Let persons' names and logins change places, organizations' labels become codes, and parents have no column."""
    person, organization = shape.types
    key, login, name = person.properties
    code, label = organization.properties
    return replace(
        shape,
        types=(
            replace(
                person,
                properties=(
                    key,
                    replace(login, index=0),
                    replace(name, index=5),
                    Property("Nickname", "nickname", 6),
                ),
                navigations=(("Organization", 129), ("ManagedOrganizations", -1)),
            ),
            replace(
                organization,
                properties=(replace(code, index=32), replace(label, index=31)),
                navigations=(("Members", -1), ("Parent", -1), ("Children", -1), ("Manager", 128)),
            ),
        ),
    )


def test_what_was_in_other_columns_then_is_found_there(make_harness: MakeHarness, tmp_path: Path) -> None:
    # Given a day before the columns of properties and associations changed, and one after it
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete", dated=DAYS[0]))
    harness.repository.create_views([harness.mappings])
    before = stored(harness)
    harness.shape = moved(HR)
    harness.mappings = harness.shape.mappings(tmp_path / "moved")
    nicknamed = FIRST["Person"]
    files = FIRST | {
        "Person": replace(
            nicknamed,
            columns=[*nicknamed.columns, "Nickname"],
            lines=[[*line, "Nick" if line[0] == "1" else ""] for line in nicknamed.lines],
        )
    }
    harness.synchronize(batch=harness.publish(files, "Complete", dated=DAYS[1]))

    # When views as of both are made
    harness.repository.create_views([harness.mappings], DAYS)

    # Then each finds the values where they were then; what did not exist is empty
    nobody = {"Nickname": None}
    assert table(harness, "zz_Person_as_of_20260301") == [
        {n: (row | nobody)[n] for n in harness.table("zz_Person")[0]} for row in before["zz_Person"]
    ]
    assert table(harness, "zz_Organization_as_of_20260301") == before["zz_Organization"]
    assert harness.table("zz_Organization_Parent_as_of_20260301") != []
    for name in ("zz_Person", "zz_Organization", "zz_Organization_Parent"):
        assert table(harness, f"{name}_as_of_20260302") == table(harness, name) != []
        assert table(harness, f"{name}_as_of_20260303") == table(harness, name)
    assert sorted((r["PersonId"], r["Login"], r["Nickname"]) for r in harness.table("zz_Person")) == [
        ("1", "ada", "Nick"),
        ("2", "alan", None),
        ("3", "grace", None),
        ("4", "edsger", None),
    ]
    # And the queries say the same
    for name in ("Person", "Organization"):
        rows = harness.repository.resources_as_of(harness.mappings, name, DAYS[0]).to_pylist()
        shown = table(harness, f"zz_{name}_as_of_20260301")
        assert rows == [{n: v for n, v in row.items() if n in rows[0]} for row in shown]
    links = harness.repository.links_as_of(harness.mappings, "Organization_Parent", DAYS[0]).to_pylist()
    assert [(link["key1"], link["key2"]) for link in links] == [("B", "A"), ("C", "A")]


def test_an_association_that_came_later_had_no_links(make_harness: MakeHarness, tmp_path: Path) -> None:
    fewer = replace(HR, associations=HR.associations[:1])
    harness = make_harness(fewer)
    files = {
        name: file
        for name, file in FIRST.items()
        if name not in ("Organization_Parent", "Organization_Manager")
    }
    harness.synchronize(batch=harness.publish(files, "Complete", dated=DAYS[0]))
    harness.shape, harness.mappings = HR, HR.mappings(tmp_path / "more")
    harness.synchronize(batch=harness.publish(FIRST, "Complete", dated=DAYS[1]))

    parents = [
        harness.repository.links_as_of(harness.mappings, "Organization_Parent", day).num_rows
        for day in DAYS[:2]
    ]
    harness.repository.create_views([harness.mappings], DAYS[:1])

    assert parents == [0, 2]
    shown = table(harness, "zz_Organization_as_of_20260301")
    assert [(r["Code"], r["Parent"], r["Parent_Id"], r["Manager"]) for r in shown] == [
        ("A", None, None, None),
        ("B", None, None, None),
        ("C", None, None, None),
    ]
    assert [r["Organization"] for r in table(harness, "zz_Person_as_of_20260301")] == ["A", "A", "B", None]
