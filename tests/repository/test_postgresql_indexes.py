"""Indexes left away for great loads on PostgreSQL, while others read, write, or are at it themselves."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryUnavailableError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.dialects.base import lock_key
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import DIRECTORY
from tests.repository.plain import connect, execute, with_parts
from tests.synchronize.indexes import OF_LINKS, OF_RESOURCES, SECONDARY, indexes, left_away, missing

PAIR = ["key1", "key2"]
NAMES = [f"e{n}" for n in range(5)]
ENTRIES = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [[name] * 3 for name in NAMES]),
    "Entry_Parent": CleanFile(PAIR, []),
    "Group_Members": CleanFile(PAIR, [[NAMES[0], name] for name in NAMES]),
}
DROP_ALL = [f'DROP INDEX "{name}"' for name in sorted(SECONDARY)]


@pytest.fixture
def harness(postgresql_url: str, tmp_path: Path) -> Iterator[Harness]:
    made = Harness(DIRECTORY, postgresql_url, tmp_path)
    made.repository.register(made.mappings)
    yield made
    made.close()


@pytest.fixture
def role(postgresql_server: str) -> Iterator[str]:
    """Give the name of a role that may log in and has no right of its own."""
    name = f"role_{uuid.uuid4().hex}"
    execute(postgresql_server, f"CREATE ROLE {name} LOGIN")
    yield name
    execute(postgresql_server, f"DROP ROLE {name}")


def lock_of(schema: str) -> int:
    return lock_key(f"indexes of {schema}")


def is_filled(harness: Harness) -> bool:
    model = Model(DIRECTORY)
    model.apply("Complete", ENTRIES)
    return harness.snapshot() == expected_snapshot(model)


# ---------------------------------------------------------------------------------------------------- somebody reads


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ('SELECT count(*) FROM "UR_Resources"', OF_LINKS),
        ('SELECT count(*) FROM "UR_ResourceLinks"', OF_RESOURCES),
        ('DELETE FROM "UR_ResourceLinks" WHERE false', OF_RESOURCES),
    ],
)
def test_indexes_of_a_table_in_use_are_kept(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, read: str, expected: set[str]
) -> None:
    """Whoever reads never waits for long, and is never waited for."""
    away = left_away(monkeypatch, harness.url)
    reader = sa.create_engine(harness.url)

    with reader.connect() as connection:  # a transaction that stays open
        connection.exec_driver_sql(read)
        harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))
        assert connection.exec_driver_sql("SELECT 42").scalar() == 42

    reader.dispose()
    assert away == [expected]
    assert not missing(harness.url)
    assert is_filled(harness)


def test_readers_do_not_wait_while_rows_come(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def query() -> None:
        with connect(harness.url, options="-c lock_timeout=1000") as plain:
            read.extend(
                plain.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar_one()
                for table in ("UR_Resources", "UR_ResourceLinks")
            )

    away = left_away(monkeypatch, harness.url, then=query)
    harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))

    assert away == [SECONDARY]
    assert read == [0, 0]


# --------------------------------------------------------------------------------------------------- somebody is at it


def test_while_somebody_else_leaves_indexes_away_they_are_left_to_him(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = left_away(monkeypatch, harness.url)
    execute(harness.url, 'DROP INDEX "UR_Resources_U1"')

    with connect(harness.url) as other:
        other.exec_driver_sql("SELECT pg_advisory_lock(%s)", (lock_of("public"),))
        harness.repository.mend_indexes()
        assert missing(harness.url) == {"UR_Resources_U1"}
        harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))
        assert away == [{"UR_Resources_U1"}]
        assert missing(harness.url) == {"UR_Resources_U1"}
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []

    harness.repository.mend_indexes()
    assert not missing(harness.url)
    assert is_filled(harness)


def test_the_lock_is_given_back(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    left_away(monkeypatch, harness.url)
    harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))
    with connect(harness.url) as plain:
        assert plain.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (lock_of("public"),)).scalar()
        assert plain.exec_driver_sql("SHOW lock_timeout").scalar() == "0"


def test_whoever_names_the_default_schema_uses_the_same_lock(harness: Harness) -> None:
    execute(harness.url, *DROP_ALL)
    with connect(harness.url) as other, Repository.open(harness.url, "public") as named:
        other.exec_driver_sql("SELECT pg_advisory_lock(%s)", (lock_of("public"),))
        named.mend_indexes()
        harness.repository.mend_indexes()
        assert missing(harness.url) == SECONDARY


# ----------------------------------------------------------------------------------------------------------- mending


def test_what_is_missing_is_made(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    before = indexes(harness.url)
    execute(harness.url, *DROP_ALL)

    harness.repository.mend_indexes()

    assert indexes(harness.url) == before
    (message,) = caplog.messages
    assert all(name in message for name in SECONDARY)


def test_where_nothing_is_missing_nothing_is_done(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    statements: list[str] = []

    def record(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    sa.event.listen(harness.repository.engine, "before_cursor_execute", record)
    harness.repository.mend_indexes()

    assert len(statements) == 1
    assert statements[0].startswith("SELECT")
    assert caplog.messages == []


def test_a_load_whose_indexes_could_not_be_made_is_applied(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection that was to make them is cut; the next run makes them."""

    def cut() -> None:
        key = lock_of("public") % 2**64
        with connect(harness.url) as plain:
            holders = (
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )
            ended = plain.exec_driver_sql(
                f"{holders} AND classid::bigint = %s AND objid::bigint = %s", (key >> 32, key % 2**32)
            ).all()
        assert ended == [(True,)]

    left_away(monkeypatch, harness.url, then=cut)
    published = harness.publish(ENTRIES, "Initial")

    result = harness.synchronize(batch=published)

    assert (result.state, result.has_effect) == ("completed", True)
    assert is_filled(harness)
    assert missing(harness.url) == SECONDARY
    (message,) = [m for m in caplog.messages if "could be made" in m]
    assert "UR_ResourceLinks_R2" in message
    assert harness.synchronize(batch=published).already_applied
    assert not missing(harness.url)


def test_a_connection_that_is_cut_before_rows_come_is_told_as_such(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_away(monkeypatch, harness.url)
    published = harness.publish(ENTRIES, "Initial")
    cut: list[int] = []

    def before(_c: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if not cut and statement.lstrip().startswith("DROP INDEX"):
            cut.append(cursor.connection.info.backend_pid)
            execute(harness.url, f"SELECT pg_terminate_backend({cut[0]}, 5000)")

    sa.event.listen(harness.repository.engine, "before_cursor_execute", before)
    with pytest.raises(RepositoryUnavailableError):
        harness.synchronize(batch=published)

    assert len(cut) == 1
    assert harness.table("UR_Resources") == []
    harness.synchronize(batch=published)
    assert not missing(harness.url)
    assert is_filled(harness)


# ----------------------------------------------------------------------------------------------- schemas and rights


def test_in_a_schema_of_its_own(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of the default schema are another repository's."""
    schema = "Identity Store's"
    found: list[set[str]] = []

    def there() -> set[str]:
        with connect(harness.url) as plain:
            inspector = sa.inspect(plain)
            return {
                str(i["name"])
                for table in ("UR_Resources", "UR_ResourceLinks")
                for i in inspector.get_indexes(table, schema=schema)
            }

    with Repository.open(harness.url, schema) as repository:
        repository.register(harness.mappings)
        harness.close()
        harness.use(repository)
        before = there()
        away = left_away(monkeypatch, harness.url, then=lambda: found.append(before - there()))

        harness.synchronize(batch=harness.publish(ENTRIES, "Initial"))

        assert found == [SECONDARY]
        assert away == [set()]  # of the other repository
        assert there() == before
        assert repository.query_association(harness.mappings, "Group_Members").num_rows == 5
        execute(harness.url, *(f'DROP INDEX "{schema}"."{name}"' for name in sorted(SECONDARY)))
        repository.mend_indexes()
        assert there() == before
    assert harness.table("UR_Resources") == []


def test_who_does_not_own_the_tables_keeps_the_indexes(
    harness: Harness,
    role: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execute(
        harness.url,
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    away = left_away(monkeypatch, harness.url)
    guest = Harness(DIRECTORY, with_parts(harness.url, username=role), tmp_path / "guest")

    guest.synchronize(batch=guest.publish(ENTRIES, "Initial"))

    assert away == [set()]
    assert is_filled(harness)
    execute(harness.url, *DROP_ALL)
    with caplog.at_level(logging.WARNING):
        guest.synchronize(batch=guest.publish(ENTRIES, "Complete"))
    assert "InsufficientPrivilege" in caplog.text
    assert missing(harness.url) == SECONDARY
    guest.close()
    execute(harness.url, f"DROP OWNED BY {role}")
