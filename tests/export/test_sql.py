"""The SQL exporter, on a real SQLite and a real PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration import check_configuration
from airflow_provider_idm.configuration.model import Configuration
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export import (
    ExportJob,
    ExportRequest,
    ExportResult,
    export_connection,
    exporter_for,
    read_settings,
)
from airflow_provider_idm.synchronization.export.sql.database import DatabaseUnavailableError
from airflow_provider_idm.synchronization.export.sql.entitlements import export_entitlements
from airflow_provider_idm.synchronization.export.sql.exporter import export_sql
from tests.conftest import Databases

CONFIGURATION = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR"/>
  <Connection Identifier="HRDB" Connector="HR" DisplayName_L1="HR" Package="Usercube.SQL.PostgreSQL@0000001"/>
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="Key" Type="String" TargetColumnIndex="4" DisplayName_L1="Key"/>
  </EntityType>
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HRDB_person.csv">
    <Property Identifier="Key" ConnectionColumn="id" IsPrimaryKey="true"/>
  </EntityTypeMapping>
</ConfigurationFile>
"""
PERSONS = (
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(50), boss INTEGER)",
    "INSERT INTO person VALUES (1, 'Quaderer', NULL), (2, 'Żółkiewski, Ada', 1), (3, 'O\"Neil', 1)",
)

Export = Callable[..., ExportResult]
POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = databases.empty()
    yield made
    databases.drop(made)


def fill(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    folder = tmp_path / "Conf"
    folder.mkdir()
    (folder / "HR.xml").write_text(CONFIGURATION, encoding="utf-8")
    return check_configuration(folder)


@pytest.fixture
def export(configuration: Configuration, tmp_path: Path, url: str) -> Export:
    """Export the connection HRDB; settings are those of ``appsettings.agent.json``."""

    def run(*, incremental: bool = False, **settings: Any) -> ExportResult:
        content = {"Connections": {"HRDB": {"ConnectionString": url} | settings}}
        file = Path(configuration.folder) / "appsettings.agent.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        request = ExportRequest(
            configuration=configuration,
            connection="HRDB",
            output=tmp_path / "out",
            incremental=incremental,
            work=tmp_path / "work",
        )
        return export_connection(request)

    return run


def read(result: ExportResult) -> dict[str, str]:
    return {file.path.name: file.path.read_text(encoding="utf-8") for file in result.files}


@pytest.mark.parametrize(
    "package",
    [
        "Usercube.SQL@0000001",
        *(f"Usercube.SQL.{name}@0000001" for name in ("Oracle", "MySQL", "ODBC", "SQLServer")),
    ],
)
def test_the_packages_of_all_vendors_are_served(package: str) -> None:
    assert exporter_for(package) is export_sql


def test_a_command_fills_the_file_of_the_connection(export: Export, url: str) -> None:
    fill(url, *PERSONS)

    result = export(SqlCommand='SELECT id AS "Id", name, boss FROM person ORDER BY id')

    assert read(result) == {"HRDB.csv": 'Id,name,boss\n1,Quaderer,\n2,"Żółkiewski, Ada",1\n3,"O""Neil",1\n'}
    assert [(file.rows, file.columns) for file in result.files] == [(3, ("Id", "name", "boss"))]


def test_a_file_of_sql_is_found_from_the_configuration_folder(
    export: Export, url: str, configuration: Configuration
) -> None:
    fill(url, *PERSONS)
    sql = Path(configuration.folder) / "person.sql"
    sql.write_text(
        "-- who there is; all of them\nSELECT id FROM person\nWHERE name LIKE 'Q%'; -- one; two\n",
        encoding="utf-8",
    )

    assert read(export(SqlFile="person.sql")) == {"HRDB.csv": "id\n1\n"}


def test_queries_fill_a_file_each(export: Export, url: str) -> None:
    fill(url, *PERSONS)

    result = export(
        Queries={
            "Person": "SELECT id FROM person ORDER BY id",
            "Boss": {"SqlCommand": "SELECT id, boss FROM person WHERE boss IS NOT NULL ORDER BY id"},
        }
    )

    assert read(result) == {"HRDB_Person.csv": "id\n1\n2\n3\n", "HRDB_Boss.csv": "id,boss\n2,1\n3,1\n"}


def test_tables_are_exported_whole(export: Export, url: str) -> None:
    fill(url, *PERSONS, 'CREATE TABLE "Org Unit" (id INTEGER)')

    assert {
        name: text.splitlines()[0] for name, text in read(export(Tables=["person", '"Org Unit"'])).items()
    } == {
        "HRDB_person.csv": "id,name,boss",
        "HRDB_Org Unit.csv": "id",
    }
    assert list(read(export(Tables={"Units": '"Org Unit"'}))) == ["HRDB_Units.csv"]


def test_without_a_query_the_tables_of_the_mappings_are_exported(export: Export, url: str) -> None:
    fill(url, *PERSONS)

    assert list(read(export())) == ["HRDB_person.csv"]


@POSTGRESQL
def test_values_are_text_that_prepare_understands(
    export: Export,
) -> None:
    result = export(
        SqlCommand="""SELECT true AS yes, false AS no, 12345678901234567890.50::numeric AS amount,
            1e-7::numeric AS small, 0.1::float8 AS ratio, date '2024-02-29' AS day,
            timestamp '2024-02-29 13:14:15.5' AS moment, timestamptz '2024-02-29 01:00+02' AS zoned,
            time '07:30' AS clock, '\\x00ff'::bytea AS photo, null::int AS nothing,
            'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid AS guid, inet '10.0.0.1/24' AS address,
            E'two\\nlines' AS text, '' AS empty"""
    )

    assert read(result)["HRDB.csv"].split("\n", 1)[1] == (
        "1,0,12345678901234567890.50,0.0000001,0.1,2024-02-29,2024-02-29T13:14:15.500000,2024-02-28T23:00:00Z,"
        '07:30:00,AP8=,,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,10.0.0.1/24,"two\nlines",\n'
    )


@POSTGRESQL
def test_an_array_is_no_value(export: Export, url: str) -> None:
    with pytest.raises(ExportError) as caught:
        export(Queries={"Group": "SELECT 1 AS id, array['Secret'] AS members"})

    assert str(caught.value).startswith(
        "connection HRDB, dataset Group: column members holds a value of type list, which is no single value"
    )
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT 1 AS id, 2 AS id", "the result has the column id more than once"),
        ("CREATE TABLE other (id INTEGER)", "the statement gives no rows; expected a query"),
        ("SELECT id FROM persn", "the database refuses the statement: "),
        ("SELECT FROM WHERE", "the database refuses the statement: "),
    ],
)
def test_a_wrong_statement_is_told_and_leaves_the_former_files(
    statement: str, message: str, export: Export, url: str, tmp_path: Path
) -> None:
    fill(url, *PERSONS)
    export(Queries={"A": "SELECT id FROM person WHERE id = 1", "B": "SELECT 1 AS one"})

    with pytest.raises(ExportError) as caught:
        export(Queries={"A": "SELECT id FROM person", "B": statement})

    assert str(caught.value).startswith(f"connection HRDB, dataset B: {message}")
    assert (tmp_path / "out" / "HRDB_A.csv").read_text(encoding="utf-8") == "id\n1\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["HRDB_A.csv", "HRDB_B.csv"]


def test_a_file_that_a_mapping_reads_and_that_is_not_exported_any_more_is_warned_of(
    export: Export, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(url, *PERSONS)
    export(Queries={"person": "SELECT id FROM person"})
    assert not [record for record in caplog.records if record.levelname == "WARNING"]

    export(Queries={"persons": "SELECT id FROM person"})

    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert f"connection HRDB: {tmp_path / 'out' / 'HRDB_person.csv'}, which a mapping (" in warning
    assert "was not exported now" in warning


@POSTGRESQL
def test_messages_that_quote_values_are_left_out(export: Export, url: str) -> None:
    fill(url, *PERSONS)

    with pytest.raises(ExportError) as caught:
        export(SqlCommand="SELECT CAST(name AS INTEGER) AS n FROM person")

    assert "InvalidTextRepresentation, SQLSTATE 22P02" in str(caught.value)
    assert "Quaderer" not in str(caught.value)


def test_a_query_that_takes_too_long_is_stopped(export: Export, url: str) -> None:
    slow = (
        "SELECT pg_sleep(30)::text AS x"
        if url.startswith("postgresql")
        else "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS x FROM n"
    )
    start = time.monotonic()

    with pytest.raises(DatabaseUnavailableError, match="within 1 seconds; raise the Timeout"):
        export(SqlCommand=slow, Timeout=1)

    assert time.monotonic() - start < 10
    assert not any(isinstance(thread, threading.Timer) for thread in threading.enumerate())


@POSTGRESQL
def test_all_queries_see_the_same_moment(export: Export, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_idm.synchronization.export.sql import exporter

    fill(url, *PERSONS)
    write = exporter.write_result

    def write_and_change(*args: Any, **kwargs: Any) -> Any:
        done = write(*args, **kwargs)
        fill(url, "DELETE FROM person WHERE id = 3")
        return done

    monkeypatch.setattr(exporter, "write_result", write_and_change)

    result = export(Queries=dict.fromkeys("AB", "SELECT id FROM person ORDER BY id"))

    assert set(read(result).values()) == {"id\n1\n2\n3\n"}


MEASURE = """
import json, resource, sys
from pathlib import Path
from airflow_provider_idm.configuration import check_configuration
from airflow_provider_idm.synchronization.export import ExportRequest, export_connection

folder, url, query = sys.argv[1:]
configuration = check_configuration(Path(folder) / "Conf")

def export(rows):
    settings = {"ConnectionString": url, "SqlCommand": query.replace("ROWS", str(rows))}
    request = ExportRequest(
        configuration=configuration, connection="HRDB", output=Path(folder) / "out", settings=settings
    )
    done = export_connection(request).rows
    return done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

print(json.dumps([export(10_000), export(200_000)]))
"""


@pytest.mark.parametrize("driver", ["sqlite", "postgresql+psycopg", "postgresql+psycopg2"])
def test_memory_does_not_grow_with_the_result(
    driver: str, request: pytest.FixtureRequest, configuration: Configuration, tmp_path: Path
) -> None:
    """A hundred megabytes of rows, in a process of its own, whose memory is that of the driver too."""
    numbers, text = "generate_series(1, ROWS) AS n(i)", "repeat('x', 500)"
    if driver == "sqlite":
        numbers = (
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROWS) SELECT i FROM n)"
        )
        text = "printf('%500s', 'x')"
    databases: Databases = request.getfixturevalue(f"{driver.partition('+')[0]}_databases")
    url = sa.make_url(databases.empty()).set(drivername=driver).render_as_string(hide_password=False)
    query = f"SELECT i AS id, {text} AS text FROM {numbers}"

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), url, query],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (few, before), (many, after) = json.loads(done.stdout)
    assert (few, many) == (10_000, 200_000)
    assert after - before < 20, "megabytes"


# ---------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"SqlCommand": "SELECT 1 AS a", "Tables": ["b"]},
            "expected one of SqlCommand, Tables, found all of them",
        ),
        ({"Queries": ["SELECT 1"]}, "expected an object of texts and objects"),
        ({"Queries": {"A/B": "SELECT 1 AS a"}}, "'A/B' cannot be part of a file's name"),
        ({"Queries": {"A": "SELECT 1", "a": "SELECT 2"}}, "the datasets A and a would be one file"),
        ({"Queries": {"A": {}}}, "dataset A: there is no query; set SqlCommand or SqlFile"),
        ({"Tables": ["person; DROP TABLE person"]}, "is no table's name"),
        ({"SqlFile": "nowhere.sql"}, "nowhere.sql cannot be read: No such file or directory"),
        ({"SqlCommand": "SELECT 1 AS a", "IsolationLevel": "Chaos"}, "expected ReadUncommitted"),
        (
            {"SqlCommand": "SELECT 1 AS a", "ConnectionId": "hr_db"},
            "expected this or ConnectionId, found both",
        ),
        (
            {"SqlCommand": "SELECT 1 AS a", "SqlCommandIncremental": "SELECT 1 AS a"},
            "SqlCommandIncremental does not use :cookie",
        ),
        (
            {"SqlCommand": "SELECT 1 AS a", "SqlCommandIncremental": "SELECT 1 AS a WHERE 1 > :cookie"},
            "nothing says what :cookie is; set CookieColumn",
        ),
        (
            {
                "CookieSql": "SELECT 1",
                "Queries": {
                    "A": {"SqlCommand": "SELECT 1", "SqlCommandIncremental": "SELECT :cookie"},
                    "B": "SELECT 1",
                },
            },
            "the datasets B have no SqlCommandIncremental, but others have",
        ),
        (
            {"SqlCommand": "SELECT 1 AS a", "SqlCommandIncremental": "SELECT :cookie", "CookieColumn": "b"},
            "the result has no column b, which CookieColumn names; it has a",
        ),
        (
            {
                "SqlCommand": "SELECT 1 AS a",
                "SqlCommandIncremental": "SELECT :cookie",
                "CookieSql": "SELECT 1, 2",
            },
            "CookieSql: expected one row with one value",
        ),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str, export: Export, url: str) -> None:
    with pytest.raises(ExportError) as caught:
        export(**settings)

    assert str(caught.value).startswith("connection HRDB")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("database", "error", "message"),
    [
        ("Server=db;Password=top-secret", ExportError, "expected an SQLAlchemy URL"),
        ("sqlite:////nowhere/hr.db", ExportError, "there is no SQLite database /nowhere/hr.db"),
        ("nosuch://u:top-secret@h/d", ExportError, "the driver of nosuch is not installed"),
        (
            "postgresql://u:top-secret@127.0.0.1:1/d?connect_timeout=2",
            DatabaseUnavailableError,
            "the postgresql database d on 127.0.0.1 cannot be reached",
        ),
        (None, ExportError, "an Airflow connection cannot be used outside of Airflow; set ConnectionString"),
    ],
)
def test_a_database_that_cannot_be_reached(
    database: str | None,
    error: type[Exception],
    message: str,
    configuration: Configuration,
    tmp_path: Path,
) -> None:
    settings = {"SqlCommand": "SELECT 1 AS a"} | ({} if database is None else {"ConnectionString": database})

    with pytest.raises(error) as caught:
        export_connection(
            ExportRequest(
                configuration=configuration, connection="HRDB", output=tmp_path / "out", settings=settings
            )
        )

    assert message in str(caught.value)
    assert "top-secret" not in str(caught.value)


def test_settings_of_the_former_product_are_no_mistake(
    export: Export, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    export(SqlCommand="SELECT 1 AS a", CsvEncoding="UTF-8", IsolationLevel=None, SqlComand="x")

    assert [r.message.partition(" of /")[0] for r in caplog.records if r.levelname == "WARNING"] == [
        "connection HRDB: the unknown setting SqlComand"
    ]


# ------------------------------------------------------------------------------ the principals of a SQL Server


@POSTGRESQL
def test_the_principals_of_a_sql_server(configuration: Configuration, tmp_path: Path, url: str) -> None:
    """A PostgreSQL stands in: it has the names and views that are asked for, and no second database."""
    name = sa.make_url(url).database
    fill(
        url,
        "CREATE SCHEMA sys",
        "CREATE FUNCTION has_dbaccess(name text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"CREATE TABLE sys.databases AS SELECT '{name}' AS name, 0 AS state UNION SELECT 'offline', 6",
        "CREATE TABLE sys.server_principals AS SELECT 'sa' AS name, 1 AS principal_id, '\\x01'::bytea AS sid",
        "CREATE TABLE sys.server_role_members AS SELECT 3 AS role_principal_id, 1 AS member_principal_id",
        "CREATE TABLE sys.database_principals AS SELECT 'dbo' AS name, 1 AS principal_id, true AS is_fixed_role",
        "CREATE TABLE sys.database_role_members (role_principal_id INTEGER, member_principal_id INTEGER)",
    )
    (connection,) = configuration.connections.values()

    def export(**settings: Any) -> dict[str, str]:
        job = ExportJob(
            connection=replace(connection, package="Usercube.SQL.SQLServerEntitlements@0000001"),
            settings=read_settings("HRDB", configuration.folder, {"ConnectionString": url} | settings),
            output=tmp_path,
            incremental=False,
        )
        files = export_entitlements(job)
        return {file.path.name: file.path.read_text(encoding="utf-8") for file in files}

    assert exporter_for("Usercube.SQL.SQLServerEntitlements@0000001") is export_entitlements
    assert export() == {
        "HRDB_serverPrincipals.csv": "name,principal_id,sid\nsa,1,AQ==\n",
        "HRDB_serverRoleMembers.csv": "role_principal_id,member_principal_id\n3,1\n",
        "HRDB_databasePrincipals.csv": f"database_name,name,principal_id,is_fixed_role\n{name},dbo,1,1\n",
        "HRDB_databaseRoleMembers.csv": "database_name,role_principal_id,member_principal_id\n",
    }
    both = export(Databases=[name, name])["HRDB_databasePrincipals.csv"]
    assert both.splitlines()[1:] == [f"{name},dbo,1,1"] * 2
