"""What is tried again, and how often."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_idm
from airflow_provider_idm.errors import (
    BatchCancelledError,
    BatchRejectedError,
    ConnectorBlockedError,
    IdmError,
    RepositoryUnavailableError,
    TerminalError,
    TransientError,
)
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException, AirflowSkipException
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from tests.airflow.conftest import AirflowHome

pytestmark = pytest.mark.airflow

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
NO_OBJECT = pytest.mark.skipif(
    AIRFLOW < (3, 2), reason="Airflow 3.1 itself refuses such a connection: it is one that is missing"
)
CONF = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Job Identifier="night" DisplayName_L1="Night">
    <SynchronizeTask Identifier="load" DisplayName_L1="Load" Connector="HR" Level="0" />
    <FulfillTask Identifier="fulfill" DisplayName_L1="Fulfill" Connector="HR" Level="1" />
  </Job>
</ConfigurationFile>
"""


class Told:
    """A task instance that takes what it is told."""

    def xcom_push(self, **_: object) -> None:
        pass


def as_state(error: Exception) -> BaseException | None:
    """Have a task meet an error; return what Airflow is told."""
    task = ExportTaskOperator(task_id="export", connection="HR-Persons")
    context: Any = {"ti": Told()}
    try:
        with task.errors_as_states(context):
            raise error  # noqa: TRY301
    except BaseException as told:  # noqa: BLE001
        return told
    return None


def subclasses(family: type[Exception]) -> list[type[Exception]]:
    return [family, *(found for one in family.__subclasses__() for found in subclasses(one))]


@pytest.fixture(scope="module")
def every_error() -> list[type[Exception]]:
    """Every error of the provider, wherever it is defined."""
    for module in pkgutil.walk_packages(airflow_provider_idm.__path__, "airflow_provider_idm."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return subclasses(IdmError)


# -------------------------------------------------------------------------------------------------------- families


def test_every_error_is_of_one_family(every_error: list[type[Exception]]) -> None:
    bases = {IdmError, TerminalError, TransientError}
    families = {
        error.__name__: issubclass(error, TerminalError) + issubclass(error, TransientError)
        for error in every_error
        if error not in bases
    }

    assert len(families) > 20
    assert {name: count for name, count in families.items() if count != 1} == {}


def made(error: type[Exception]) -> Exception:
    """Make an error, whatever it wants to be given."""
    instance = error.__new__(error)
    Exception.__init__(instance, "what is wrong, and what to do")
    vars(instance).update(batch="b", replaced_by=None, connector="HR")
    return instance


def test_a_terminal_error_never_retries_and_a_transient_one_may(every_error: list[type[Exception]]) -> None:
    skips = (BatchCancelledError, ConnectorBlockedError)
    expected = {
        error: AirflowSkipException
        if issubclass(error, skips)
        else AirflowFailException
        if issubclass(error, TerminalError)
        else error
        for error in every_error
    }

    found = {error: type(as_state(made(error))) for error in every_error}

    assert found == expected


def test_airflow_shows_one_message_and_nothing_of_where_it_came_from() -> None:
    told = as_state(BatchRejectedError("anna rejected the batch", batch="b"))

    assert isinstance(told, AirflowFailException)
    assert str(told) == "anna rejected the batch"
    assert (told.__cause__, told.__suppress_context__) == (None, True)


# --------------------------------------------------------------------------------------------------------- retries


def load(home: AirflowHome, **arguments: str) -> Any:
    home.write("conf/hr.xml", CONF)
    given = "".join(f", {name}={value}" for name, value in arguments.items())
    text = f"""\
        from airflow.providers.standard.operators.empty import EmptyOperator
        from airflow_provider_idm import generate_dags

        def fulfill(task, dag):
            return EmptyOperator(task_id=task.identifier)

        generate_dags("conf", task_operators={{"FulfillTask": fulfill}}{given})
        """
    return home.load(text).night


def test_tasks_of_jobs_are_tried_three_times_more_with_longer_and_longer_pauses(
    airflow_home: AirflowHome,
) -> None:
    task = load(airflow_home).get_task("load")

    assert (task.retries, task.retry_delay, task.max_retry_delay) == (
        3,
        timedelta(minutes=1),
        timedelta(minutes=10),
    )
    assert task.retry_exponential_backoff == (2 if AIRFLOW >= (3, 2) else True)


def test_an_operator_that_the_author_registered_is_left_alone(airflow_home: AirflowHome) -> None:
    assert load(airflow_home).get_task("fulfill").retries == 0


@pytest.mark.parametrize("retries", [0, 5])
def test_what_the_author_says_counts(airflow_home: AirflowHome, retries: int) -> None:
    task = load(airflow_home, default_args=repr({"retries": retries})).get_task("load")

    assert (task.retries, task.retry_delay) == (retries, timedelta(minutes=5))


def test_an_author_may_say_how_long_to_wait_alone(airflow_home: AirflowHome) -> None:
    task = load(airflow_home, default_args="{'retry_delay': 30}").get_task("load")

    assert (task.retries, task.retry_delay) == (3, timedelta(seconds=30))


def test_what_airflow_is_configured_to_do_counts(
    airflow_home: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TASK_RETRIES", "2")

    task = load(airflow_home).get_task("load")

    # what an operator has by itself is read when Airflow is first imported; ours are left out all the same
    assert task.retry_delay == timedelta(minutes=5)


def test_an_operator_by_hand_retries_as_any_other() -> None:
    assert SynchronizeTaskOperator(task_id="synchronize", connector="HR").retries == 0


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_a_database_that_does_not_answer_is_worth_a_retry(
    airflow_home: AirflowHome, connection: Any, tmp_path: Path
) -> None:
    connection(host="127.0.0.1", port=1, login="idm", password="secret-word", schema="idm")

    told = what_synchronize_meets(tmp_path)

    assert isinstance(told, RepositoryUnavailableError)
    assert "127.0.0.1" in str(told)
    assert "secret-word" not in str(told)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"repository": "nonsense"}, "is not a database URL"),
        ({"repository": "postgresql://idm:secret-word@host:port/idm"}, "is not a database URL"),
        ({"repository": "mysql://idm:secret-word@host/idm"}, "a mysql database; supported are"),
        ({"exchange": "nothing://bucket/idm"}, "ilesystem"),
        ({"exchange": "sftp://files/idm"}, "install apache-airflow-providers-sftp"),
        pytest.param([], "is no JSON object", marks=NO_OBJECT),
    ],
)
def test_a_connection_that_is_wrong_stays_wrong(
    airflow_home: AirflowHome, connection: Any, tmp_path: Path, extra: Any, message: str
) -> None:
    connection(extra=extra or "[]")

    told = what_synchronize_meets(tmp_path)

    assert isinstance(told, AirflowFailException)
    assert message in str(told)
    assert "secret-word" not in str(told)
    assert "\n" not in str(told)


def test_a_connection_that_is_missing_stays_missing(airflow_home: AirflowHome, tmp_path: Path) -> None:
    told = what_synchronize_meets(tmp_path, idm_conn_id="production")

    assert isinstance(told, AirflowFailException)
    assert str(told).startswith("There is no Airflow connection 'production'; add it, of type idm.")


def what_synchronize_meets(folder: Path, **arguments: Any) -> BaseException | None:
    from tests.airflow.conftest import CONFIGURATION

    (folder / "conf").mkdir()
    (folder / "conf" / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    task = SynchronizeTaskOperator(
        task_id="synchronize", connector="HR", configuration=str(folder / "conf"), **arguments
    )
    context: Any = {
        "ti": type("TI", (Told,), {"dag_id": "d", "run_id": "r", "task_id": "synchronize", "map_index": -1})()
    }
    try:
        with task.errors_as_states(context), task.request(context) as request:
            assert request.exchange.channel("HR").manifests() == []
    except Exception as told:  # noqa: BLE001
        return told
    return None
