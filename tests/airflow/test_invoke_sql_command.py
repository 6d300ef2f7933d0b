"""SQL through Airflow's own hooks: InvokeSqlCommandTask, and exports of databases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration import check_configuration, connector_mappings
from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ConfigurationError, ExportError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException
from airflow_provider_idm.hooks.database import AirflowDatabase
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.invoke_sql_command import InvokeSqlCommandTaskOperator
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.export.sql.database import DatabaseUnavailableError
from airflow_provider_idm.synchronization.export.sql.stream import run
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from tests.airflow.conftest import AirflowHome
from tests.conftest import Databases

pytestmark = pytest.mark.airflow

PERSONS = (
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(50), changed TIMESTAMP)",
    "INSERT INTO person VALUES (1, 'Quaderer', '2024-01-01 10:00:00'), (2, 'Żółkiewski', '2024-01-02 10:00:00.5')",
)


class TaskInstance:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def fill(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(query)]
    engine.dispose()
    return found


@pytest.fixture
def hr_db(databases: Databases, connection: Callable[..., None]) -> Any:
    """A database of persons, known to Airflow as ``hr_db``."""
    text = databases.empty()
    fill(text, *PERSONS)
    url = sa.make_url(text)
    if databases.kind == "sqlite":
        connection("hr_db", conn_type="sqlite", host=url.database)
    else:
        connection(
            "hr_db", conn_type="postgres", host=url.query["host"], login=url.username, schema=url.database
        )
    yield text
    databases.drop(text)


@pytest.fixture
def invoke(airflow_home: AirflowHome, tmp_path: Path, connection: Callable[..., None]) -> Any:
    """Run an InvokeSqlCommandTask; return its XCom and the files that are there then, by name."""
    connection(extra={"configuration": str(tmp_path), "work": str(tmp_path / "work")})

    def run(**parameters: Any) -> tuple[dict[str, Any], dict[str, str]]:
        operator = InvokeSqlCommandTaskOperator(
            task_id="Ask", **{"database_identifier": "hr_db"} | parameters
        )
        result = operator.execute({"ti": TaskInstance()})
        folder = tmp_path / "work" / "ExportOutput"
        return result, {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.*"))}

    return run


def test_the_result_of_a_command_is_a_source_file(invoke: Any, hr_db: str, tmp_path: Path) -> None:
    result, files = invoke(sql_command="SELECT id, name FROM person ORDER BY id")

    assert files == {"Ask.csv": "id,name\n1,Quaderer\n2,Żółkiewski\n"}
    path = str(tmp_path / "work" / "ExportOutput" / "Ask.csv")
    assert result == {"rows": 2, "files": {"Ask.csv": {"path": path, "rows": 2, "columns": ["id", "name"]}}}


def test_a_file_may_hold_several_statements(invoke: Any, hr_db: str, tmp_path: Path) -> None:
    (tmp_path / "ask.sql").write_text(
        "-- first this; then that\nCREATE TABLE boss AS SELECT id FROM person WHERE name = 'a;b' OR id = 1;\n"
        "SELECT id FROM boss;\nSELECT count(*) AS n FROM person;\n-- the end;\n",
        encoding="utf-8",
    )

    result, files = invoke(sql_input_file="ask.sql", output_path="HR.csv")

    assert files == {"HR.csv": "id\n1\n", "HR_2.csv": "n\n2\n"}
    assert result["rows"] == 2
    assert rows(hr_db, "SELECT id FROM boss") == [(1,)]


def test_a_statement_without_a_result_writes_no_file(invoke: Any, hr_db: str) -> None:
    result, files = invoke(sql_command="DELETE FROM person WHERE id = 2")

    assert (result, files) == ({"rows": 0, "files": {}}, {})
    assert rows(hr_db, "SELECT id FROM person") == [(1,)]


def test_a_file_of_a_former_result_is_not_taken_for_one_of_now(invoke: Any, hr_db: str) -> None:
    _, files = invoke(sql_command="SELECT id FROM person; SELECT 2 AS n")
    assert len(files) == 2
    output = next(name for name in files if not name.endswith("_2.csv"))

    with pytest.raises(
        AirflowFailException, match="no statement has a result, but there is a file of a former one"
    ):
        invoke(sql_command="DELETE FROM person", output_path=output)

    assert len(rows(hr_db, "SELECT id FROM person")) == 2


def test_what_is_not_a_query_writes_no_file_either(invoke: Any, hr_db: str) -> None:
    _, files = invoke(sql_command="UPDATE person SET name = 'x' RETURNING id", is_not_a_query=True)

    assert files == {}
    assert rows(hr_db, "SELECT DISTINCT name FROM person") == [("x",)]


def test_a_command_that_fails_changes_nothing(invoke: Any, hr_db: str) -> None:
    _, before = invoke(sql_command="SELECT id FROM person WHERE id = 1")

    with pytest.raises(AirflowFailException) as caught:
        invoke(sql_command="SELECT id FROM person; DELETE FROM person; SELECT id FROM persn")

    assert str(caught.value).startswith("task Ask, statement 3: the database refuses the statement: ")
    assert invoke(sql_command="SELECT id FROM person WHERE id = 1")[1] == before
    assert len(rows(hr_db, "SELECT id FROM person")) == 2


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_where_and_how_the_file_is_written(invoke: Any, hr_db: str, tmp_path: Path) -> None:
    command = "SELECT 'Müller' AS name"

    invoke(sql_command=command, output_path=str(tmp_path / "folder"), encoding="windows-1252")
    invoke(sql_command=command, output_path="sub/File.CSV")

    assert (tmp_path / "folder" / "Ask.csv").read_bytes() == b"name\nM\xfcller\n"
    assert (tmp_path / "work" / "ExportOutput" / "sub" / "File.CSV").is_file()


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_without_a_database_the_repository_is_asked(
    invoke: Any, hr_db: str, connection: Callable[..., None], tmp_path: Path
) -> None:
    connection(extra={"repository": hr_db, "work": str(tmp_path / "work")})

    _, files = invoke(sql_command="SELECT id FROM person", database_identifier=None)

    assert files == {"Ask.csv": "id\n1\n2\n"}


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sql_input_file": "nowhere.sql"}, "nowhere.sql cannot be read: No such file or directory"),
        ({"sql_command": " ; -- nothing"}, "task Ask: there is no SQL statement in the command"),
        ({"sql_command": "SELECT 1 AS a", "encoding": "klingon"}, "task Ask: unknown encoding 'klingon'"),
        (
            {"sql_command": "SELECT 1 AS a", "isolation_level": "Chaos"},
            "task Ask: isolation_level: expected ReadUncommitted",
        ),
        (
            {"sql_command": "SELECT 'Ż' AS a", "encoding": "windows-1252"},
            "the result holds characters that windows-1252 has not",
        ),
    ],
)
def test_what_cannot_be_run(parameters: dict[str, str], message: str, invoke: Any, hr_db: str) -> None:
    with pytest.raises(AirflowFailException) as caught:
        invoke(**parameters)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [({}, "neither"), ({"sql_command": "SELECT 1", "sql_input_file": "a.sql"}, "both")],
)
def test_either_a_command_or_a_file_is_run(parameters: dict[str, str], found: str) -> None:
    with pytest.raises(ConfigurationError, match=f"either sql_command or sql_input_file, found {found}"):
        InvokeSqlCommandTaskOperator(task_id="Ask", **parameters)


JOB = """\
<ConfigurationFile>
  <Job Identifier="Ask_HR" DisplayName_L1="Ask HR">
    <InvokeSqlCommandTask Identifier="Ask" DisplayName_L1="Ask" Connector="HR" DatabaseIdentifier="hr_db" Timeout="60"
        SQLCommand="SELECT id, name, '2020-01-01' AS since, NULL AS manager FROM person" OutputPath="HR-Persons.csv"
        IsolationLevel="Serializable" Provider="Npgsql" />
    <PrepareSynchronizationTask Identifier="Prepare" DisplayName_L1="Prepare" Connector="HR"
        SynchronizationMode="Complete" />
  </Job>
</ConfigurationFile>
"""


def test_a_job_asks_a_database_and_prepares_what_it_said(
    hr_db: str, airflow_home: AirflowHome, configuration: Path, connection: Callable[..., None]
) -> None:
    connection(extra={"configuration": str(configuration)})
    (configuration / "Jobs.xml").write_text(JOB, encoding="utf-8")
    module = airflow_home.load(
        f"from airflow_provider_idm import generate_dags\ngenerate_dags({str(configuration)!r})\n"
    )

    done = airflow_home.run(module.Ask_HR)

    assert done.states == {"Ask": "success", "Prepare": "success"}
    assert done.xcoms["Ask", "has_effect"] is True
    assert done.xcoms["Prepare", "counts"]["files"]["Person"]["rows"] == 2


# ------------------------------------------------------------------------------------------------- exports


def a_run_of(task: Any, instance: TaskInstance) -> Any:
    """Return the context of a task in a run that was triggered by hand."""
    run = SimpleNamespace(logical_date=None, run_type="manual")
    return {"ti": instance, "dag_run": run, "dag": SimpleNamespace(tasks=[task])}


def test_an_export_goes_through_the_hook_of_the_airflow_connection(
    hr_db: str,
    airflow_home: AirflowHome,
    configuration: Path,
    connection: Callable[..., None],
    tmp_path: Path,
) -> None:
    text = (configuration / "HR.xml").read_text(encoding="utf-8")
    (configuration / "HR.xml").write_text(text.replace("Usercube.CSV@", "Usercube.SQL@"), encoding="utf-8")
    connection(extra={"configuration": str(configuration)})
    columns = "id, name, '2020-01-01' AS since, NULL AS manager, changed FROM person"
    settings = {
        "ConnectionId": "hr_db",
        "SqlCommand": f"SELECT {columns} WHERE name LIKE '%r%' OR 1 = 1 ORDER BY id",
        "SqlCommandIncremental": f"SELECT {columns} WHERE changed > :cookie AND name NOT LIKE '50%:cookie'",
        "CookieColumn": "changed",
    }
    (configuration / "appsettings.agent.json").write_text(
        json.dumps({"Connections": {"HR-Persons": settings}}), encoding="utf-8"
    )
    path = airflow_home.work / "ExportOutput" / "HR-Persons.csv"

    def export(**options: Any) -> dict[str, Any]:
        task = ExportTaskOperator(task_id="export", connection="HR-Persons", **options)
        instance = TaskInstance()
        done: dict[str, Any] = task.execute(a_run_of(task, instance))
        return done | instance.xcoms

    assert export(ignore_cookie_file=True)["rows"] == 2
    with pytest.raises(AirflowFailException, match="the batch made from it was not published"):
        export()
    mappings = connector_mappings(check_configuration(configuration), "HR")
    exchange = Exchange.open(tmp_path / "exchange")
    for mode in (SynchronizationMode.COMPLETE, SynchronizationMode.INCREMENTAL):
        prepare(
            PrepareRequest(
                mappings=mappings,
                mode=mode,
                type=SourceType.CHANGES,
                sources=path.parent,
                exchange=exchange,
                work=airflow_home.work,
            )
        )
        done = export()
        assert (done["rows"], done["has_effect"]) == (0, False)
        fill(
            hr_db, "INSERT INTO person VALUES (3, 'Nakamura', '2024-01-02 10:00:00.6') ON CONFLICT DO NOTHING"
        )
        done = export()
        assert (done["rows"], done["has_effect"]) == (
            (1, True) if mode is SynchronizationMode.COMPLETE else (0, False)
        )
    assert path.read_text(encoding="utf-8") == "command,id,name,since,manager,changed\n"


def test_the_airflow_connection_of_the_same_name_may_be_the_database_itself(
    hr_db: str, airflow_home: AirflowHome, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (configuration / "HR.xml").read_text(encoding="utf-8")
    (configuration / "HR.xml").write_text(text.replace("Usercube.CSV@", "Usercube.SQL@"), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_CONN_HR-PERSONS", os.environ["AIRFLOW_CONN_HR_DB"])
    settings = {"Connections": {"HR-Persons": {"SqlCommand": "SELECT id FROM person ORDER BY id"}}}
    (configuration / "appsettings.agent.json").write_text(json.dumps(settings), encoding="utf-8")

    task = ExportTaskOperator(
        task_id="export",
        connection="HR-Persons",
        configuration=str(configuration),
        sources_directory=str(configuration / "out"),
    )
    task.execute(a_run_of(task, TaskInstance()))

    assert (configuration / "out" / "HR-Persons.csv").read_text(encoding="utf-8") == "id\n1\n2\n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"conn_type": "mysql"},
            "is of type mysql, whose hook cannot be had .* install apache-airflow-providers-mysql",
        ),
        (
            {"conn_type": "generic"},
            "is of type generic and leads to no database; name the Airflow connection",
        ),
        ({"conn_type": "fs"}, "leads to no database: its hook FSHook has no connection that takes SQL"),
        (
            None,
            "there is no Airflow connection other_db; add it, or name another in the setting ConnectionId",
        ),
    ],
)
def test_a_connection_that_leads_to_no_database(
    values: dict[str, Any] | None, message: str, airflow_home: AirflowHome, connection: Callable[..., None]
) -> None:
    if values is not None:
        connection("other_db", **values)

    with pytest.raises(ExportError, match=message), AirflowDatabase("other_db").open():
        pass


def test_a_provider_that_this_package_has_an_extra_for_is_named(
    airflow_home: AirflowHome, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import BaseHook

    def get_hook(*_: Any, **__: Any) -> Any:
        raise ImportError("No module named 'airflow.providers.postgres'")

    connection("other_db", conn_type="postgres")
    kind = type(BaseHook.get_connection("other_db"))  # Airflow 3.1 has another one outside of a task
    monkeypatch.setattr(kind, "get_hook", get_hook)

    with pytest.raises(ExportError) as caught, AirflowDatabase("other_db").open():
        pass

    assert "install apache-airflow-providers-postgres (pip install 'airflow-provider-idm[postgres]')" in str(
        caught.value
    )


def test_a_database_that_does_not_answer_may_later(
    airflow_home: AirflowHome, connection: Callable[..., None]
) -> None:
    connection("other_db", conn_type="postgres", host="127.0.0.1", port=1, login="u", password="top-secret")

    with pytest.raises(DatabaseUnavailableError) as caught, AirflowDatabase("other_db").open():
        pass

    assert str(caught.value).startswith("the database of Airflow connection other_db cannot be reached: ")
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_cursor_that_gives_dictionaries_is_of_no_matter(
    hr_db: str, airflow_home: AirflowHome, connection: Callable[..., None]
) -> None:
    url = sa.make_url(hr_db)
    connection(
        "hr_db",
        conn_type="postgres",
        host=url.query["host"],
        login=url.username,
        schema=url.database,
        extra={"cursor": "dictcursor"},
    )

    with (
        AirflowDatabase("hr_db").open() as session,
        run(session, "SELECT id FROM person", what="x") as result,
    ):
        assert result is not None
        assert [list(part) for part in result.parts] == [[(1,), (2,)]]
