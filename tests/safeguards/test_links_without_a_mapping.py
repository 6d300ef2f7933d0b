"""Associations without a mapping keep their links, but for those whose resources go: planned, counted, kept, applied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from airflow_provider_idm.errors import ConcurrentChangeError
from airflow_provider_idm.synchronization.synchronize.staging import Stager
from tests.oracle.changes import differences, kept_changes, planned_changes
from tests.oracle.harness import Harness, Snapshot
from tests.oracle.model import CleanFile, difference
from tests.oracle.shapes import BADGES, DIRECTORY
from tests.oracle.thresholds import told
from tests.safeguards.sources import COMPANY, EMPTY, Files, Size, changed, content, limits, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.synchronization.synchronize.staging import Staged
    from tests.oracle.shapes import Shape
    from tests.safeguards.conftest import MakeFilled

KEYS = ["key1", "key2"]
HOLDERS = [[f"h{n}", f"h{n}@example.org"] for n in range(6)]
THINGS = [[f"t{n}", f"tag{n}", f"chip{n}"] for n in range(6)]
IN_USE = {
    "Holder": CleanFile(["HolderId", "Mail"], HOLDERS),
    "Thing": CleanFile(["Serial", "Tag", "Chip"], THINGS),
    "Holder_Badge": CleanFile(KEYS, [[f"h{n}", f"t{n}"] for n in range(5)]),
    "Holder_Locker": CleanFile(KEYS, [[f"h{n // 2}@example.org", f"chip{n}"] for n in range(5)]),
    "Holder_Desk": CleanFile(KEYS, [[f"h{n}", f"tag{5 - n}"] for n in range(5)]),
    "Holder_Car": CleanFile(KEYS, [[f"h{n}@example.org", f"t{n // 2}"] for n in range(5)]),
}
ENTRIES = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [[f"g{n}", f"cn={n}", f"Entry {n}"] for n in range(6)]),
    "Entry_Parent": CleanFile(KEYS, [["cn=1", "cn=0"], ["cn=2", "cn=0"], ["cn=3", "cn=1"], ["cn=4", "cn=4"]]),
    "Group_Members": CleanFile(KEYS, [[f"cn={a}", f"cn={b}"] for a in range(3) for b in range(1, 6)]),
}
CASES = {
    "badges": (BADGES, IN_USE, {"Holder": {"h1", "h3"}, "Thing": {"t1", "t2"}}),
    "directory": (DIRECTORY, ENTRIES, {"Entry": {"g1", "g4"}}),
}
"""What is stored, with links on side 1, side 2, both and in the link table, and what goes of it."""


class Left:
    """A connector whose associations have no mapping any more: ``whole`` looks at it with them, ``bare`` without."""

    def __init__(self, make_filled: MakeFilled, name: str) -> None:
        shape, files, self.gone = CASES[name]
        self.whole = make_filled(None, EMPTY, shape)
        self.whole.synchronize(
            batch=self.whole.publish(files, "Initial", dated=datetime(2024, 1, 1, tzinfo=UTC))
        )
        bare: Shape = replace(shape, associations=())
        self.bare = Harness(bare, self.whole.url, self.whole.folder / "bare")
        self.files: Files = {t.identifier: files[t.identifier] for t in shape.types}
        self.batch = self.bare.publish(self.files, "Complete")
        self.bare.synchronize(batch=self.batch)

    def without(self, gone: dict[str, set[str]]) -> Files:
        """Return the files without some resources."""
        files = self.files
        for name, keys in gone.items():
            files = without(files, name, keys)
        return files

    def meddle(self) -> str:
        """Write the statement that links something with what goes."""
        if self.whole.shape is BADGES:
            car = BADGES.navigation(BADGES.associations[3], 1)
            thing = """SELECT "Id" FROM "UR_Resources" WHERE "PrimaryKey" = 't1'"""
            return f"""UPDATE "UR_Resources" SET "{car}" = ({thing}) WHERE "PrimaryKey" = 'h5'"""
        return """INSERT INTO "UR_ResourceLinks" ("Type", "R1_Id", "R2_Id", "ValidFrom")
            SELECT l."Type", a."Id", a."Id", l."ValidFrom" FROM "UR_ResourceLinks" l, "UR_Resources" a
            WHERE a."PrimaryKey" = 'g4' LIMIT 1"""

    def check(self, batch: str, before: Snapshot) -> None:
        """Compare what is planned with what is then applied, with the change rows and with the contents."""
        with self.bare.plan(batch) as plan:
            planned, changes = plan.result, planned_changes(plan.to_frame())
        result = self.bare.synchronize(batch=batch, do_not_delete_changes=True)
        after = self.whole.snapshot()
        told_of = [c for c in differences(before, after) if c[0] == "link"]
        assert [c for c in changes if c[0] == "link"] == told_of != []
        assert kept_changes(self.bare) == changes
        assert (planned.associations, planned.warnings) == (result.associations, result.warnings)
        lost = {name: len(links - after.links[name]) for name, links in before.links.items()}
        assert {name: c.deleted for name, c in result.associations.items()} == {
            n: c for n, c in lost.items() if c
        }
        assert {n: c.unchanged for n, c in result.associations.items()} == {
            n: len(after.links[n]) for n, c in lost.items() if c
        }


@pytest.fixture(params=sorted(CASES))
def left(request: pytest.FixtureRequest, make_filled: MakeFilled) -> Iterator[Left]:
    found = Left(make_filled, request.param)
    yield found
    found.bare.close()


@pytest.mark.parametrize("mode", ["Complete", "Incremental"])
def test_links_that_go_with_their_resources_are_planned_kept_and_applied(left: Left, mode: str) -> None:
    before = left.whole.snapshot()
    files = left.without(left.gone)
    if mode == "Incremental":
        files = difference(left.bare.shape, left.files, files)

    left.check(left.bare.publish(files, mode), before)

    went = {(t, k) for t, keys in left.gone.items() for k in keys}
    ends = {k for c in kept_changes(left.bare) if c[0] == "link" for k in c[3:5]} - {k for _, k in went}
    assert left.bare.repository.set_recently_modified_flag()
    assert {key for _, key in left.whole.dirty()} == ends
    assert left.whole.snapshot(datetime(2024, 6, 1, tzinfo=UTC)).links == before.links


def test_each_of_several_planned_batches_has_its_own(left: Left) -> None:
    """What the first one takes is not there for the second one to take."""
    former, batches = left.files, []
    steps = [{name: set(sorted(keys)[:n]) for name, keys in left.gone.items()} for n in (1, 2)]
    for gone in steps:
        files = left.without(gone)
        batches.append(left.bare.publish(difference(left.bare.shape, former, files), "Incremental"))
        former = files
    with left.bare.plan() as plan:
        frame, planned = plan.to_frame(), plan.result
    before, seen = left.whole.snapshot(), []
    for batch in batches:
        result = left.bare.synchronize(batch=batch, do_not_delete_changes=True)
        after = left.whole.snapshot()
        links = [c for c in planned_changes(frame, batch) if c[0] == "link"]
        assert links == [c for c in differences(before, after) if c[0] == "link"]
        before = after
        seen.append(result)
    both = seen[0].followed_by(seen[1])
    assert {n: c.deleted for n, c in planned.associations.items()} == {
        n: c.deleted for n, c in both.associations.items()
    }


def test_a_link_that_came_meanwhile_is_not_taken_unseen(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else links what goes after it was compared."""
    stage = Stager.stage

    def meddled(self: Stager) -> Staged:
        staged = stage(self)
        with left.whole.connect() as connection:
            connection.execute(sa.text(left.meddle()))
            connection.commit()
        return staged

    monkeypatch.setattr(Stager, "stage", meddled)
    batch = left.bare.publish(left.without(left.gone), "Complete")
    with left.bare.plan(batch) as plan:
        planned = plan.result.associations

    if left.bare.url.startswith("postgresql"):  # compares and applies on one snapshot
        assert left.bare.synchronize(batch=batch).associations == planned
        return
    with pytest.raises(ConcurrentChangeError, match=r"changed while it was compared"):
        left.bare.synchronize(batch=batch)
    monkeypatch.undo()
    gone = {key for keys in left.gone.values() for key in keys}
    assert gone <= {row["PrimaryKey"] for row in left.whole.table("UR_Resources")}
    assert left.bare.synchronize(batch=batch).state == "completed"


# --------------------------------------------------------------------------------------------------- thresholds

LEFT = replace(COMPANY, associations=COMPANY.associations[1:])
"""The same connector, persons' organizations having no mapping any more."""
SIZE = Size(20, 20, 10, 8)


@pytest.fixture
def unmapped(make_filled: MakeFilled) -> Iterator[Harness]:
    filled = make_filled(size=SIZE)
    shape = LEFT.with_thresholds(limits("Connector", {"MaxLinkPercentageDeletedLines": "40"}))
    harness = Harness(shape, filled.url, filled.folder / "unmapped")
    yield harness
    harness.close()


def gone(numbers: range, parents: int = 0) -> Files:
    files = without(
        changed(SIZE, "Deleted", {"Organization_Parent": parents}), "Person", {f"p{n:05}" for n in numbers}
    )
    del files["Person_Organization"]
    return files


def test_links_that_went_are_stored_no_more(unmapped: Harness) -> None:
    """Of 18 links six go with their persons; then four of twelve are 33 %, of eighteen they would be 22 %."""
    first = unmapped.publish(gone(range(6)), "Complete")
    with unmapped.plan(first) as plan:
        told_of = plan.result.warnings
    result = unmapped.synchronize(batch=first)
    assert (result.state, result.warnings) == ("completed", told_of)
    assert "Person_Organization loses 6 of its links all the same: a resource at their end goes" in told_of
    unmapped.limit(limits("Connector", {"MaxLinkPercentageDeletedLines": "30"}))
    result = unmapped.synchronize(batch=unmapped.publish(gone(range(6), 4), "Complete"))
    assert [(t.stored, round(t.actual or 0, 2)) for t in result.thresholds] == [(12, 33.33)]


def test_several_batches_are_planned_as_they_are_applied(unmapped: Harness) -> None:
    """The first one takes six of eighteen links with it; what the second one takes is 25 % of what is left."""
    unmapped.limit(
        limits("Connector", {"MaxLinkPercentageDeletedLines": "34", "MaximumLinkDeletedLines": "8"})
    )
    complete = unmapped.publish(gone(range(0)), "Complete")
    with unmapped.plan(complete) as plan:
        told_of = plan.result.warnings
    assert told_of == unmapped.synchronize(batch=complete).warnings
    assert told_of == ("Person_Organization has no mapping any more: what is stored of it stays as it is",)
    former, limited = gone(range(0)), []
    for files in (gone(range(6)), gone(range(9)), gone(range(9), 4)):
        limited.append(unmapped.publish(difference(LEFT, former, files), "Incremental"))
        former = files
    with unmapped.plan() as plan:
        planned = plan.result
    result = unmapped.synchronize()
    assert [(b.id, b.state) for b in result.batches] == [
        (limited[0], "applied"),
        (limited[1], "applied"),
        (limited[2], "blocked"),
    ]
    assert [b.id for b in planned.batches] == limited
    assert [(t.name, t.stored) for t in result.thresholds] == [("MaxLinkPercentageDeletedLines", 9)]
    assert told(planned.thresholds) == told(result.thresholds)
    assert planned.state == result.state


def test_a_block_shows_them_and_what_was_shown_is_applied(unmapped: Harness) -> None:
    unmapped.limit(limits("Person", {"MaximumDeletedLines": "3"}))
    batch = unmapped.publish(gone(range(4)), "Complete")

    result = unmapped.synchronize(batch=batch)

    assert result.review is not None
    groups = {(g.type, g.operation): g.total for g in result.review.groups}
    assert groups == {("Person", "delete"): 4, ("Person_Organization", "delete"): 4}
    kept = kept_changes(unmapped)
    assert [c[1] for c in kept].count("Person_Organization") == 4
    assert unmapped.resume(change_set=result.review.change_set).state == "completed"


def test_they_count_for_a_window(unmapped: Harness) -> None:
    """Three, then three more: six in seven days are more than five."""
    rolling = RollingWindow(7, Thresholds(), Thresholds(maximum_deleted_lines=5))
    states = []
    for persons in (3, 6):
        result = unmapped.synchronize(
            batch=unmapped.publish(gone(range(persons)), "Complete"), rolling=rolling
        )
        states.append((result.state, [(t.name, t.actual) for t in result.thresholds]))
    assert states == [("completed", []), ("blocked", [("MaximumLinkDeletedLines", 6)])]


# ------------------------------------------------------------------------------------------- columns taken over


def renamed(name: str) -> Shape:
    """Return the company with persons' organizations under another name, in the same column."""
    return replace(
        COMPANY, associations=(replace(COMPANY.associations[0], identifier=name), *COMPANY.associations[1:])
    )


def under(name: str, files: Files) -> Files:
    """Return the files with persons' organizations under another name."""
    left = {target: file for target, file in files.items() if target != "Person_Organization"}
    return left | {name: files["Person_Organization"]}


def test_who_took_over_a_column_alone_has_its_links(make_filled: MakeFilled) -> None:
    """An association that is renamed, twice, keeps its column: the former names lose nothing when a resource goes."""
    filled = make_filled(size=SIZE)
    full, made = content(SIZE), []
    try:
        for name in ("Person_Unit", "Person_Team"):
            harness = Harness(renamed(name), filled.url, filled.folder / name)
            made.append(harness)
            result = harness.synchronize(batch=harness.publish(under(name, full), "Complete"))
            assert (result.state, result.has_effect, result.warnings) == ("completed", False, ())
        stored = {r["Identifier"]: r["Links"] for r in filled.table("UM_EntityAssociations")}
        assert stored == {
            "Person_Organization": 0, "Person_Unit": 0, "Person_Team": 10, "Organization_Parent": 8,
        }  # fmt: skip
        harness = made[-1]
        files = without(under("Person_Team", full), "Organization", {"o00000"})
        for name, sides in (("Person_Team", (1,)), ("Organization_Parent", (0, 1))):
            lines = [line for line in files[name].lines if "o00000" not in {line[side] for side in sides}]
            files[name] = CleanFile(KEYS, lines)
        result = harness.synchronize(
            batch=harness.publish(files, "Complete"), force=True, do_not_delete_changes=True
        )
        assert {n: (c.deleted, c.unchanged) for n, c in result.associations.items()} == {
            "Person_Team": (2, 8), "Organization_Parent": (8, 0),
        }  # fmt: skip
        assert [c[1] for c in kept_changes(harness) if c[0] == "link"] == ["Organization_Parent"] * 8 + [
            "Person_Team"
        ] * 2
    finally:
        for harness in made:
            harness.close()


def test_what_is_dropped_after_a_rename_has_the_links(make_filled: MakeFilled) -> None:
    """The newer name's, once, and also where the former name was configured again but not synchronized."""
    filled = make_filled(size=SIZE)
    unit = Harness(renamed("Person_Unit"), filled.url, filled.folder / "unit")
    bare = Harness(LEFT, filled.url, filled.folder / "bare")
    try:
        unit.synchronize(batch=unit.publish(under("Person_Unit", content(SIZE)), "Complete"))
        with filled.connect() as connection:
            column = COMPANY.navigation(COMPANY.associations[0], 1)
            again = f"""UPDATE "UM_EntityAssociations" SET "Navigation1" = '{column}' """
            connection.execute(sa.text(again + """WHERE "Identifier" = 'Person_Organization'"""))
            connection.commit()
        result = bare.synchronize(batch=bare.publish(gone(range(3)), "Complete"))
        assert result.state == "completed"
        assert {n: (c.deleted, c.unchanged) for n, c in result.associations.items()} == {
            "Organization_Parent": (0, 8), "Person_Unit": (3, 7),
        }  # fmt: skip
        assert [w for w in result.warnings if "Person_Organization" in w] == []
    finally:
        unit.close()
        bare.close()


def test_the_other_side_is_cleared_where_only_it_has_a_reference(make_filled: MakeFilled) -> None:
    """The sides of an association may have drifted apart; nothing must point at what is gone."""
    left = Left(make_filled, "badges")
    first, second = (BADGES.navigation(BADGES.associations[0], side) for side in (1, 2))
    with left.whole.connect() as connection:
        connection.execute(sa.text(f"""UPDATE "UR_Resources" SET "{first}" = NULL"""))
        connection.commit()
    try:
        left.bare.synchronize(
            batch=left.bare.publish(left.without({"Holder": {"h1"}}), "Complete"), force=True
        )
        held = {row["PrimaryKey"]: row[second] for row in left.whole.table("UR_Resources")}
        assert (held["t1"], held["t0"] is None) == (None, False)
    finally:
        left.bare.close()
