"""An Incremental costs what it changes: databases find by their indexes what it touches, however much is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from benchmarks.explain import explained
from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile
from tests.oracle.shapes import DIRECTORY

if TYPE_CHECKING:
    from tests.conftest import Databases
    from tests.synchronize.conftest import MakeHarness

ENTRIES, GROUPS, MEMBERS = 4_000, 100, 200
PAIR = ["key1", "key2"]


def dn(number: int) -> str:
    return f"cn=e{number},o=x"


FULL = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [[f"g{n:05}", dn(n), f"Entry {n}"] for n in range(ENTRIES)]),
    "Entry_Parent": CleanFile(PAIR, [[dn(n), dn(n // 10)] for n in range(1, ENTRIES)]),
    "Group_Members": CleanFile(
        PAIR, [[dn(g), dn((g * 37 + m) % ENTRIES)] for g in range(GROUPS) for m in range(MEMBERS)]
    ),
}
DELTA = {
    "Entry": CleanFile(
        ["command", "Guid", "Dn", "Cn"],
        [
            ["update", "g00500", dn(500), "renamed"],
            ["update", "g00501", "cn=moved,o=x", "moved"],
            ["delete", "g00777", "", ""],
            ["insert", "g99999", dn(99_999), "new"],
        ],
    ),
    "Entry_Parent": CleanFile(
        ["command", *PAIR],
        [["delete", dn(600), dn(60)], ["insert", dn(600), dn(61)], ["insert", dn(99_999), dn(5)]],
    ),
    "Group_Members": CleanFile(
        ["command", *PAIR],
        [
            ["delete", dn(3), dn(111)],
            ["delete", dn(3), dn(112)],
            ["insert", dn(3), dn(2500)],
            ["insert", dn(4), dn(99_999)],
        ],
    ),
}


@pytest.fixture
def filled(make_harness: MakeHarness) -> Harness:
    """Give a connector of 4,000 entries and 20,000 memberships, whose statistics are up to date."""
    harness = make_harness(DIRECTORY)
    result = harness.synchronize(batch=harness.publish(FULL, "Initial"))
    assert result.associations["Group_Members"].inserted == GROUPS * MEMBERS
    return harness


@contextmanager
def plans_of_sqlite(engine: sa.Engine) -> Iterator[list[tuple[str, list[str]]]]:
    """Ask SQLite for the plan of each statement on resources or links, just before it is executed."""
    found: list[tuple[str, list[str]]] = []

    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if re.search(r"UR_Resource(s|Links)\b", statement):
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.append((statement, [row[3] for row in plan]))

    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)


def wasteful(statement: str, plan: list[str]) -> list[str]:
    """Return the steps that read a table of the repository from its beginning to its end."""
    ours = set(re.findall(r'"(UR_\w+)"', statement))
    ours |= set(re.findall(r'"UR_\w+" AS "?(\w+)', statement))
    return [
        step
        for step in plan
        if (match := re.match(r"SCAN (\w+)|BLOOM FILTER ON (\w+)", step)) and ours & set(match.groups())
    ]


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_sqlite_looks_up_what_an_incremental_touches(databases: Databases, filled: Harness) -> None:
    batch = filled.publish(DELTA, "Incremental")

    with plans_of_sqlite(filled.repository.engine) as plans:
        result = filled.synchronize(batch=batch)

    assert result.associations["Group_Members"].deleted >= 2
    for table in ("UR_Resources", "UR_ResourceLinks"):
        assert len([s for s, _ in plans if table in s and "SELECT" in s]) >= 3
    assert {statement: found for statement, plan in plans if (found := wasteful(statement, plan))} == {}


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_postgresql_looks_up_the_links_that_an_incremental_touches(
    databases: Databases, filled: Harness
) -> None:
    batch = filled.publish(DELTA, "Incremental")

    plans = explained(lambda: filled.synchronize(batch=batch))

    assert len(plans) >= 4
    assert [plan["statement"] for plan in plans if plan["scans_all"]] == []
    assert [line for plan in plans for line in plan["plan"] if 'Seq Scan on "UR_' in line] == []
    assert filled.repository.status("AD").resources == {"Entry": ENTRIES}
