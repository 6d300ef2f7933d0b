"""PostgreSQL as others have set it up: their tables, their settings, their names and rights."""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryError, RepositoryRefusedError, RepositoryUnavailableError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.state import start_task
from airflow_provider_idm.synchronization.synchronize import batch
from airflow_provider_idm.synchronization.synchronize.apply import Applier
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.repository.plain import connect, database_of, execute, with_parts
from tests.synchronize.scenario import FIRST, SECOND, THIRD, delta, full, model_of

PASSWORD = "a b%@:/?#+'é\\"
OTHER_PASSWORD = "open sesame"
SESAME = OTHER_PASSWORD.split()[1]


@pytest.fixture
def harness(postgresql_url: str, tmp_path: Path) -> Iterator[Harness]:
    made = Harness(HR, postgresql_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def role(postgresql_server: str) -> Iterator[str]:
    """Give the name of a role that may log in and has no right of its own."""
    name = f"role_{uuid.uuid4().hex}"
    execute(postgresql_server, f"CREATE ROLE {name} LOGIN")
    yield name
    execute(postgresql_server, f"DROP ROLE {name}")


# ------------------------------------------------------------------------------------------------ what is theirs


def test_tables_of_somebody_else_with_names_of_ours_survive(harness: Harness) -> None:
    names = [
        f"{what}_{n}" for what in ("updated", "deleted", "forgotten", "deleted_links") for n in (0, 1, 2)
    ]
    names += ["wanted_keys", "wanted_pairs", "wanted_ids"]
    execute(harness.url, *(f"CREATE TABLE {name} AS SELECT 42 AS mine" for name in names))

    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    for files in (SECOND, THIRD):
        harness.synchronize(batch=harness.publish(files, "Incremental"), do_not_delete_changes=True)

    assert {name: harness.table(name) for name in names} == {name: [{"mine": 42}] for name in names}
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND, THIRD))


# ------------------------------------------------------------------------------------------------------ settings

WIDE = full("1/äda/日本 2/alan/Ünal", "A/Ö", members="1/A", managers="A/äda")
WIDER = delta("update/1/äda/東京 insert/3/łucja/Żak", managers="insert/A/äda")


ADVISORY_LOCKS = sa.text(
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
    "WHERE locktype = 'advisory' AND datname = current_database()"
)
SETTINGS = (
    "client_encoding = 'LATIN1'",
    "timezone = 'America/New_York'",
    "datestyle = 'SQL, DMY'",
    "standard_conforming_strings = off",
    "idle_in_transaction_session_timeout = '50ms'",
    "idle_session_timeout = '50ms'",
)


def test_the_settings_of_a_database_change_nothing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    database = database_of(harness.url)
    execute(harness.url, *(f'ALTER DATABASE "{database}" SET {setting}' for setting in SETTINGS))
    build, locks = batch.build_difference, []

    def slowly(*arguments: Any, **options: Any) -> Difference:
        time.sleep(0.2)  # every connection is idle meanwhile
        with connect(harness.url) as plain:
            locks.append(plain.execute(ADVISORY_LOCKS).scalar_one())
        return build(*arguments, **options)

    monkeypatch.setattr(batch, "build_difference", slowly)
    day = datetime(2026, 2, 1, 12, tzinfo=UTC)

    harness.synchronize(batch=harness.publish(WIDE, "Complete", dated=day))
    harness.synchronize(
        batch=harness.publish(WIDER, "Incremental", dated=day.replace(day=3)), do_not_delete_changes=True
    )

    assert locks == [1, 1]
    with connect(harness.url, client_encoding="utf8", options="-c timezone=UTC -c datestyle=ISO") as plain:
        rows = plain.execute(
            sa.text('SELECT "PrimaryKey", "U0", "C0", "ValidFrom" FROM "UR_Resources" ORDER BY 1')
        )
        assert [tuple(row) for row in rows] == [
            ("1", "äda", "東京", day.replace(day=3)),
            ("2", "alan", "Ünal", day),
            ("3", "łucja", "Żak", day.replace(day=3)),
            ("A", None, None, day),
        ]
    found = harness.repository.query_entity_type(harness.mappings, "Person").to_pylist()
    assert [(row["Login"], row["LastName"]) for row in found] == [
        ("äda", "東京"),
        ("alan", "Ünal"),
        ("łucja", "Żak"),
    ]
    assert harness.repository.query_association(harness.mappings, "Organization_Manager").to_pylist() == [
        {"key1": "A", "key2": "1"}
    ]
    assert harness.repository.status("HR").last_effective_date == day.replace(day=3)


def test_a_database_that_does_not_hold_all_characters_is_refused(postgresql_server: str) -> None:
    name = f"latin_{uuid.uuid4().hex}"
    execute(
        postgresql_server,
        f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    url = with_parts(postgresql_server, database=name)
    try:
        with pytest.raises(RepositoryError, match=r"LATIN1.*ENCODING 'UTF8'"):
            Repository.open(url)
        with connect(url) as plain:
            assert sa.inspect(plain).get_table_names() == []
    finally:
        execute(postgresql_server, f"DROP DATABASE {name}")


# ------------------------------------------------------------------------------------------------ names and rights


@pytest.fixture
def odd_url(postgresql_server: str) -> Iterator[str]:
    """Give the URL of a database of an odd name, owned by a role of an odd name with an odd password."""
    name = f"odd %41 'é@ {uuid.uuid4().hex}"
    password = PASSWORD.replace("'", "''").replace(":", "\\:")  # a colon would begin a parameter
    execute(
        postgresql_server,
        f"""CREATE ROLE "{name}" LOGIN PASSWORD '{password}'""",
        f'CREATE DATABASE "{name}" OWNER "{name}" TEMPLATE template0',
    )
    yield with_parts(postgresql_server, username=name, password=PASSWORD, database=name)
    execute(postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)', f'DROP ROLE "{name}"')


def test_odd_names_and_passwords_reach_both_drivers(odd_url: str, tmp_path: Path) -> None:
    harness = Harness(HR, odd_url, tmp_path)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    harness.synchronize(batch=harness.publish(SECOND, "Incremental"))
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))
    assert harness.repository.query_entity_type(harness.mappings, "Person").num_rows == 4
    harness.close()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"database": "no such database"}, RepositoryError),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, RepositoryUnavailableError),
        ({"host": "no-such-host.invalid", "query": {}}, RepositoryUnavailableError),
    ],
    ids=["database", "port", "host"],
)
def test_no_error_names_the_password(
    odd_url: str, wrong: dict[str, object], expected: type[Exception]
) -> None:
    with pytest.raises(expected) as raised:
        Repository.open(with_parts(odd_url, password=OTHER_PASSWORD, **wrong))
    assert SESAME not in "".join(traceback.format_exception(raised.value))


def test_a_bulk_read_that_fails_does_not_name_the_password(
    odd_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Arrow driver's own messages may quote what it connects with."""
    from airflow_provider_idm.repository.dialects import postgresql

    harness = Harness(HR, odd_url, tmp_path)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    monkeypatch.setattr(postgresql, "_conninfo", lambda _engine: f"password={OTHER_PASSWORD}")

    with pytest.raises(RepositoryUnavailableError) as raised:
        harness.repository.query_entity_type(harness.mappings, "Person")

    assert SESAME not in "".join(traceback.format_exception(raised.value))
    harness.close()


@pytest.mark.parametrize("create", [False, True])
def test_who_may_only_read_may_query(harness: Harness, role: str, create: bool) -> None:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    execute(harness.url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")

    with Repository.open(with_parts(harness.url, username=role), create=create) as repository:
        persons = repository.query_entity_type(harness.mappings, "Person").to_pylist()
        links = repository.query_association(harness.mappings, "Person_Organization").to_pylist()
        assert [row["Login"] for row in persons] == ["ada", "alan", "grace", "edsger"]
        assert [(row["key1"], row["key2"]) for row in links] == [("1", "A"), ("2", "A"), ("3", "B")]
        assert repository.content_hash(harness.mappings) == harness.repository.content_hash(harness.mappings)
        assert repository.status("HR").resources == {"Person": 4, "Organization": 3}
    execute(harness.url, f"DROP OWNED BY {role}")


# ----------------------------------------------------------------------------------------------------- not now


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        # what a client meets that still reaches the former primary
        ("default_transaction_read_only = on", "in a read-only transaction"),
        ("transaction_timeout = '100ms'", "terminating connection due to transaction timeout"),
    ],
)
def test_a_database_that_takes_no_changes_just_now_is_worth_a_retry(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, setting: str, told: str
) -> None:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    second = harness.publish(SECOND, "Incremental")
    name = database_of(harness.url)
    execute(harness.url, f'ALTER DATABASE "{name}" SET {setting}')
    harness.repository.close()
    apply = Applier.apply

    def slowly(*arguments: Any) -> None:
        time.sleep(0.5)
        apply(*arguments)

    monkeypatch.setattr(Applier, "apply", slowly)
    with pytest.raises(RepositoryUnavailableError, match=told):
        harness.synchronize(batch=second)
    monkeypatch.undo()

    execute(harness.url, "SET default_transaction_read_only = off", f'ALTER DATABASE "{name}" RESET ALL')
    harness.repository.close()
    assert harness.synchronize(batch=second).state == "completed"
    assert harness.snapshot() == expected_snapshot(model_of(FIRST, SECOND))


# ------------------------------------------------------------------------------------------------------- values

SECRET = "Geheimniskrämer"


@pytest.mark.parametrize(
    ("files", "mode"),
    [(full(f"1/ada/{SECRET}", "A/R"), "Complete"), (delta(f"update/1/ada/{SECRET}"), "Incremental")],
    ids=["update by a Complete", "update by an Incremental"],
)
def test_a_value_that_the_database_refuses_is_not_told(harness: Harness, files: dict, mode: str) -> None:
    harness.synchronize(batch=harness.publish(full("1/ada/Lee", "A/R"), "Complete"))
    execute(harness.url, 'ALTER TABLE "UR_Resources" ALTER COLUMN "C0" TYPE varchar(3)')
    _refused_without_the_value(harness, harness.publish(files, mode))


def test_a_value_refused_with_a_new_resource_is_not_told(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(full("1/ada/Lee", "A/R"), "Complete"))
    execute(harness.url, 'ALTER TABLE "UR_Resources" ALTER COLUMN "C0" TYPE varchar(3)')
    files = full(f"1/ada/Lee 2/x/{SECRET}", "A/R")
    _refused_without_the_value(harness, harness.publish(files, "Complete"))


def _refused_without_the_value(harness: Harness, published: str) -> None:
    with pytest.raises(RepositoryRefusedError, match=r"SQLSTATE 22001.*nothing was applied") as raised:
        harness.synchronize(batch=published)
    assert SECRET not in str(raised.value)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert not any(SECRET in str(task["Message"]) for task in harness.table("UJ_TaskInstances"))
    assert harness.snapshot() == expected_snapshot(model_of(full("1/ada/Lee", "A/R")))


# ---------------------------------------------------------------------------------------------------- beginnings


def test_two_tasks_of_one_run_that_start_at_once_share_its_job_instance(harness: Harness) -> None:
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    repository, rounds = harness.repository, 8
    barrier = threading.Barrier(2, timeout=20)
    started: list[tuple[int, int]] = []

    def start(task: str) -> None:
        for n in range(rounds):
            barrier.wait()
            with repository.writing() as connection:
                started.append(
                    start_task(
                        connection,
                        repository.tables,
                        job="nightly",
                        run=f"run {n}",
                        task=task,
                        map_index=-1,
                        connector=1,
                        at=datetime.now(UTC),
                    )
                )
                time.sleep(0.005)  # the other one meets a row that is not committed yet

    threads = [threading.Thread(target=start, args=(task,)) for task in ("HR", "AD")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(started) == 2 * rounds
    assert len({job for job, _ in started}) == rounds
    assert len({task for _, task in started}) == 2 * rounds
