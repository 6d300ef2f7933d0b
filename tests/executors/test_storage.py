"""An S3-compatible storage as exchange, by Airflow's own file system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tests.airflow.conftest  # noqa: F401  sets Airflow's home before Airflow is imported
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange import ConnectorState

if TYPE_CHECKING:
    from tests.executors.storage import ObjectStorage


@pytest.fixture
def storage() -> Iterator[ObjectStorage]:
    from tests.executors.storage import ObjectStorage

    made = ObjectStorage()
    made.start()
    yield made
    made.stop()


def test_a_bucket_that_is_not_there_is_said_and_not_made(
    storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_idm.hooks.idm import IdmHook

    monkeypatch.setenv("AIRFLOW_CONN_IDM_STORAGE", storage.connection)
    hooks = []
    for bucket in ("idm", "idmm"):
        extra = {
            "exchange": f"s3://idm_storage@{bucket}/exchange",
            "repository": f"sqlite:///{tmp_path}/repository.db",
        }
        name = f"exchange_in_{bucket}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "idm", "extra": extra}))
        hooks.append(IdmHook(name))
    right, wrong = hooks
    told = "s3://idmm/exchange.*: The specified bucket does not exist; make it, or name another place"

    # the folder in the bucket need not be there
    assert right.test_connection()[0]
    assert right.get_exchange().channel("HR").manifests() == []

    works, message = wrong.test_connection()
    assert not works
    assert "The specified bucket does not exist; make it" in message
    channel = wrong.get_exchange().channel("HR")
    with pytest.raises(ExchangeError, match=told):
        channel.manifests()
    with pytest.raises(ExchangeError, match=told):
        channel.write_state(ConnectorState())
    assert [bucket["Name"] for bucket in storage.client().list_buckets()["Buckets"]] == ["idm"]
