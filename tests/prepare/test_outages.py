"""Storage and disk go away while a prepare works: one clear message, and no batch is lost or there twice."""

from __future__ import annotations

import errno
import itertools
import uuid

import pytest

from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError, LockedError
from airflow_provider_idm.file_lock import locked
from airflow_provider_idm.synchronization.exchange import Exchange
from tests.failing_storage import FailingFileSystem
from tests.prepare.desk import COMPLETE, INCREMENTAL, Desk

FIRST = "id,name,level\n1,Ada,3\n2,Alan,4\n"
SECOND = "id,name,level\n1,Ada,5\n3,Grace,1\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError("no answer"), ExchangeUnavailableError),
        (OSError(errno.ENOSPC, "No space left on device"), ExchangeUnavailableError),
        (PermissionError("access denied"), ExchangeError),
    ],
    ids=["timeout", "full", "refused"],
)
def test_a_storage_that_goes_away_at_any_moment(
    desk: Desk, error: Exception, expected: type[Exception]
) -> None:
    messages = []
    for moment in itertools.count():
        here = Desk(desk.folder / str(moment), desk.mappings)
        here.folder.mkdir()
        storage = FailingFileSystem()
        exchange = Exchange(storage, f"/{uuid.uuid4().hex}")
        here.write("persons", FIRST)
        first = here.prepare(COMPLETE, exchange=exchange).manifest
        here.write("persons", SECOND)

        storage.error, storage.calls, storage.fails_at = error, 0, moment
        try:
            here.prepare(INCREMENTAL, exchange=exchange)
        except expected as caught:
            messages.append(str(caught))
        reached, storage.fails_at = storage.calls > moment, None
        last = here.prepare(INCREMENTAL, exchange=exchange).manifest

        # One batch, or two if the storage went away after the first was there; what changed is told once.
        batches = exchange.channel("HR").manifests()
        assert (batches[0], batches[-1]) == (first, last)
        assert [batch.based_on for batch in batches[1:]] == [batch.batch for batch in batches[:-1]]
        told = [batch.files[0].commands for batch in batches[1:]]
        assert told[0] == {"insert": 1, "update": 1, "delete": 1}
        assert [sum(commands.values()) for commands in told[1:]] == [0] * (len(told) - 1)
        if not reached:
            break

    assert len(messages) >= 3
    assert [message for message in messages if "\n" in message] == []


def test_a_lock_that_another_prepare_holds(desk: Desk) -> None:
    desk.write("persons", FIRST)
    before = desk.state()
    desk.connector.mkdir(parents=True)

    with (
        locked(desk.connector / ".prepare.lock", "prepare of connector HR", 0),
        pytest.raises(LockedError, match=r"another prepare of connector HR holds .*try again later"),
    ):
        desk.prepare(lock_timeout=0.1)

    assert desk.state() == before
