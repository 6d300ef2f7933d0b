"""Where the hook finds repository, exchange, work folder and configuration."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from airflow_provider_idm.errors import ConfigurationError, ExchangeError
from airflow_provider_idm.hooks import object_storage
from airflow_provider_idm.hooks.airflow_exceptions import AirflowNotFoundException
from airflow_provider_idm.hooks.idm import IdmHook
from airflow_provider_idm.synchronization.export import read_settings
from tests.airflow.conftest import ROOT, AirflowHome

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


def test_a_login_in_the_address_of_the_exchange_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise AirflowNotFoundException(url)

    monkeypatch.setattr(object_storage, "ObjectStoragePath", missing)

    with pytest.raises(ExchangeError, match="has a login before the @; expected the id") as told:
        object_storage.open_object_storage("gs://reader:s3cret@bucket/idm", "idm_default")
    assert "s3cret" not in str(told.value)


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


def test_the_connection_of_the_hook_is_the_repository_which_a_with_closes(airflow_home: AirflowHome) -> None:
    with IdmHook().get_conn() as repository:
        assert repository.status("HR").state == "empty"

    left = [file.path for file in psutil.Process().open_files()]
    assert [path for path in left if path.startswith(str(airflow_home.home / "idm"))] == []


def test_the_hook_of_the_documentation(airflow_home: AirflowHome, configuration: Path, connection) -> None:
    connection(extra={"configuration": str(configuration)})
    text = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8").split("### In your own tasks")[1]
    (code,) = re.findall(r"^```python\n(.*?)^```$", text.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    told = airflow_home.load(code)

    assert told.headcount.function("2026-03-01") == 0


def test_testing_the_connection_changes_nothing(airflow_home: AirflowHome) -> None:
    works, message = IdmHook().test_connection()

    assert works
    assert "will be created in" in message
    assert not (airflow_home.home / "idm").exists()


def test_testing_a_connection_whose_repository_could_not_be_made(
    airflow_home: AirflowHome, connection, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    connection(extra={"repository": f"sqlite:///{tmp_path}/file/new/repository.db"})

    works, message = IdmHook().test_connection()

    assert not works
    assert f"{tmp_path}/file is a file where a folder is needed" in message


def test_testing_a_connection_whose_folders_nobody_may_write_to(
    airflow_home: AirflowHome, connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may do everything
    (tmp_path / "there.db").touch()
    for extra in (
        {"repository": f"sqlite:///{tmp_path}/new/repository.db"},
        {"repository": f"sqlite:///{tmp_path}/there.db", "exchange": f"{tmp_path}/new/exchange"},
    ):
        connection(extra={"exchange": "memory://exchange", **extra})
        works, message = IdmHook().test_connection()
        assert not works, message
        assert f"permission denied in {tmp_path}; give this user the right to write there" in message


def test_testing_a_connection_that_does_not_answer(airflow_home: AirflowHome, connection) -> None:
    connection(host="127.0.0.1", port=1, login="idm", password="secret-word", schema="idm")

    works, message = IdmHook().test_connection()

    assert not works
    assert "127.0.0.1" in message
    assert "secret-word" not in message


# --------------------------------------------------------------------------------------------------- rolling windows

WINDOWS = {"HR": {"days": 7, "MaximumDeletedLines": 500}}


@pytest.mark.parametrize("extra", [WINDOWS, json.dumps(WINDOWS)])
def test_the_extra_holds_limits_over_the_last_days_as_an_object_or_as_text(
    airflow_home: AirflowHome, connection, extra: object
) -> None:
    connection(extra={"rolling_thresholds": extra})

    window = IdmHook().rolling_window("hr")

    assert window is not None
    assert (window.days, window.resource_thresholds.maximum_deleted_lines) == (7, 500)
    assert IdmHook().rolling_window("AD") is None


@pytest.mark.parametrize("extra", [{}, {"rolling_thresholds": ""}, {"rolling_thresholds": None}])
def test_without_it_there_is_no_window(
    airflow_home: AirflowHome, connection, extra: dict[str, object]
) -> None:
    assert IdmHook().rolling_window("HR") is None
    connection(extra=extra)
    assert IdmHook().rolling_window("HR") is None


def test_a_wrong_window_concerns_its_connector(airflow_home: AirflowHome, connection) -> None:
    connection(extra={"rolling_thresholds": {**WINDOWS, "AD": {"days": 7, "MaximumDeleted": 5}}})

    assert IdmHook().rolling_window("HR") is not None
    with pytest.raises(ConfigurationError) as caught:
        IdmHook().rolling_window("AD")
    assert str(caught.value) == (
        "extra rolling_thresholds of the Airflow connection 'idm_default', connector AD: 'MaximumDeleted' is no name of "
        "a limit; did you mean MaximumDeletedLines?"
    )


def test_a_text_that_is_no_json_concerns_all(airflow_home: AirflowHome, connection) -> None:
    connection(extra={"rolling_thresholds": "{'HR': 7}"})

    with pytest.raises(ConfigurationError, match="connection 'idm_default': not JSON"):
        IdmHook().rolling_window("HR")


def test_testing_the_connection_finds_a_wrong_window(airflow_home: AirflowHome, connection) -> None:
    connection(extra={"rolling_thresholds": {"HR": {"days": 7}}})

    works, message = IdmHook().test_connection()

    assert not works
    assert "connector HR: no limit is set" in message


def test_the_fields_of_an_exporters_connection_are_settings_too(
    airflow_home: AirflowHome, connection
) -> None:
    connection(
        "directory",
        conn_type="ldap",
        host="dc.example.org",
        port=636,
        login="reader",
        password="s3cret",
        schema="DC=example,DC=org",
        extra={"EnableSSL": True, "login": "other"},
    )

    settings = read_settings("directory", ".", IdmHook().exporter_settings("directory"))

    assert [settings.text(name) for name in ("Host", "Login", "Password", "Schema")] == [
        "dc.example.org",
        "other",
        "s3cret",
        "DC=example,DC=org",
    ]
    assert (settings.count("Port"), settings.flag("EnableSSL")) == (636, True)
    assert IdmHook().exporter_settings("elsewhere") is None


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.1."),
    reason="Airflow 3.1 itself refuses such a connection: it is one that is missing",
)
@pytest.mark.parametrize("extra", ["[1, 2]", '"text"'])
def test_an_exporters_connection_with_an_extra_that_is_no_object_says_so(
    airflow_home: AirflowHome, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    told = json.dumps({"conn_type": "generic", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_NO_OBJECT", told)

    with pytest.raises(
        ConfigurationError, match="extra of the Airflow connection 'no_object' is no JSON object"
    ):
        IdmHook().exporter_settings("no_object")
