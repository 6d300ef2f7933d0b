"""Where the hook finds repository, exchange, work folder and configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.hooks.idm import IdmHook
from tests.airflow.conftest import AirflowHome

pytestmark = pytest.mark.airflow


def test_without_a_connection_everything_lies_under_the_airflow_home(airflow_home: AirflowHome) -> None:
    hook = IdmHook()

    home = airflow_home.home / "idm"
    assert hook.repository_url == f"sqlite:///{home}/repository.db"
    assert hook.exchange_url == str(home / "exchange")
    assert hook.work == home / "work"
    assert hook.configuration is None
    assert hook.database_schema is None


def test_only_the_default_connection_may_be_missing(airflow_home: AirflowHome) -> None:
    with pytest.raises(Exception, match="production"):
        _ = IdmHook("production").repository_url


def test_host_and_login_mean_postgresql(airflow_home: AirflowHome, connection) -> None:
    connection(host="db.example.org", port=5433, login="idm", password="p@ss/word:1", schema="identities")

    assert (
        IdmHook().repository_url
        == "postgresql+psycopg://idm:p%40ss%2Fword%3A1@db.example.org:5433/identities"
    )


def test_another_driver(airflow_home: AirflowHome, connection) -> None:
    connection(schema="/data/idm.db", extra={"driver": "sqlite"})

    assert IdmHook().repository_url == "sqlite:////data/idm.db"


def test_a_whole_url_wins(airflow_home: AirflowHome, connection) -> None:
    connection(host="ignored", extra={"repository": "sqlite:////data/idm.db"})

    assert IdmHook().repository_url == "sqlite:////data/idm.db"


def test_the_extra_names_folders_and_schema(airflow_home: AirflowHome, connection) -> None:
    extra = {
        "exchange": "/x/exchange",
        "work": "/x/work",
        "configuration": "/x/conf",
        "database_schema": "idm",
    }
    connection("other", extra=extra)

    hook = IdmHook("other")

    assert hook.repository_url == f"sqlite:///{airflow_home.home}/idm/repository.db"
    assert (hook.exchange_url, hook.work, hook.configuration) == (
        "/x/exchange",
        Path("/x/work"),
        Path("/x/conf"),
    )
    assert hook.database_schema == "idm"


def test_the_exchange_may_be_a_folder(airflow_home: AirflowHome) -> None:
    assert IdmHook().get_exchange().channel("HR").manifests() == []


def test_the_exchange_may_be_any_storage_that_airflow_reaches(
    airflow_home: AirflowHome, connection, tmp_path: Path
) -> None:
    connection(extra={"exchange": f"file://{tmp_path}/exchange"})

    assert IdmHook().get_exchange().channel("HR").manifests() == []
    assert str(tmp_path) in str(IdmHook().get_exchange())


def test_the_repository_is_made_where_there_is_none(airflow_home: AirflowHome) -> None:
    with IdmHook().get_repository():
        pass

    assert (airflow_home.home / "idm" / "repository.db").is_file()


def test_testing_the_connection_changes_nothing(airflow_home: AirflowHome) -> None:
    works, message = IdmHook().test_connection()

    assert works
    assert "will be created in" in message
    assert not (airflow_home.home / "idm").exists()


def test_testing_a_connection_that_does_not_answer(airflow_home: AirflowHome, connection) -> None:
    connection(host="127.0.0.1", port=1, login="idm", password="secret-word", schema="idm")

    works, message = IdmHook().test_connection()

    assert not works
    assert "127.0.0.1" in message
    assert "secret-word" not in message
