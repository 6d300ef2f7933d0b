"""The surroundings go away while a synchronization works: one clear message, worth a retry, and nothing half done."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import (
    ExchangeError,
    ExchangeUnavailableError,
    TransientError,
)
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from tests.conftest import Databases
from tests.failing_storage import FailingFileSystem
from tests.oracle.harness import Harness, expected_snapshot
from tests.oracle.shapes import HR
from tests.synchronize.conftest import make_tables
from tests.synchronize.scenario import FIRST, SECOND, model_of

STRIDE = 7
"""Every so many statements or calls of a synchronization one is tried: they repeat themselves."""


# -------------------------------------------------------------------------------------------------------- database


@pytest.fixture
def harness(postgresql_databases: Databases, tmp_path: Any) -> Iterator[Harness]:
    url = postgresql_databases.prepared(make_tables)
    made = Harness(HR, url, tmp_path)
    yield made
    made.close()
    postgresql_databases.drop(url)


@contextmanager
def before_statement(repository: Repository, act: Callable[[int], None]) -> Iterator[None]:
    """Have something done before each statement, which is told its number."""
    numbers = itertools.count()

    def listener(*_: object) -> None:
        act(next(numbers))

    sa.event.listen(repository.engine, "before_cursor_execute", listener)
    try:
        yield
    finally:
        sa.event.remove(repository.engine, "before_cursor_execute", listener)


def cut_all(url: str) -> None:
    """End every connection to a database, as a server does that is shut down."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


def test_a_database_that_goes_away_at_any_moment(harness: Harness) -> None:
    harness.publish(FIRST, "Complete")
    harness.synchronize()
    before, after = expected_snapshot(model_of(FIRST)), expected_snapshot(model_of(FIRST, SECOND))
    harness.publish(SECOND, "Incremental")
    messages = []

    for moment in range(0, 1000, STRIDE):
        reached = False

        def act(number: int, moment: int = moment) -> None:
            nonlocal reached
            if number == moment:
                reached = True
                cut_all(harness.url)

        try:
            with before_statement(harness.repository, act):
                harness.synchronize(force=True)
        except TransientError as error:
            messages.append(str(error))
            assert harness.snapshot() in (before, after)
        if not reached:
            break
    else:
        raise AssertionError("a synchronization has fewer statements than that")

    assert len(messages) > 3
    assert [message for message in messages if "\n" in message] == []
    harness.synchronize(force=True)
    assert harness.snapshot() == after


# --------------------------------------------------------------------------------------------------------- storage


@pytest.fixture
def stored(sqlite_databases: Databases, tmp_path: Any) -> Iterator[tuple[Harness, FailingFileSystem]]:
    url = sqlite_databases.prepared(make_tables)
    made = Harness(HR, url, tmp_path)
    storage = FailingFileSystem()
    made.exchange = Exchange(storage, f"/{uuid.uuid4().hex}")
    made.channel = made.exchange.channel(HR.connector)
    yield made, storage
    made.close()
    sqlite_databases.drop(url)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError("no answer"), ExchangeUnavailableError),
        (ConnectionResetError("reset by peer"), ExchangeUnavailableError),
        (PermissionError("access denied"), ExchangeError),
    ],
    ids=["timeout", "reset", "refused"],
)
def test_a_storage_that_goes_away_at_any_moment(
    stored: tuple[Harness, FailingFileSystem], error: Exception, expected: type[Exception]
) -> None:
    harness, storage = stored
    harness.publish(FIRST, "Complete")
    harness.synchronize()
    before, after = expected_snapshot(model_of(FIRST)), expected_snapshot(model_of(FIRST, SECOND))
    harness.publish(SECOND, "Incremental")
    storage.error, messages = error, []

    for moment in itertools.count(0, 2):
        storage.calls, storage.fails_at = 0, moment
        try:
            harness.synchronize(force=True)
        except expected as caught:
            messages.append(str(caught))
            assert harness.snapshot() == before
        if storage.calls <= moment or harness.snapshot() == after:
            break

    assert len(messages) >= 3
    assert [message for message in messages if "\n" in message] == []
    storage.fails_at = None
    harness.synchronize(force=True)
    assert harness.snapshot() == after
