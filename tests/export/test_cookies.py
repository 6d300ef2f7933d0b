"""Cookies: whatever fails between a source and its published batch, the next incremental export starts early enough."""

from __future__ import annotations

import csv
import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_idm.cli import main
from airflow_provider_idm.configuration import check_configuration, connector_mappings
from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.configuration.model import Configuration
from airflow_provider_idm.errors import ExportError, LockedError, PrepareError
from airflow_provider_idm.file_lock import locked
from airflow_provider_idm.synchronization.cookies import CookieError, CookieStore
from airflow_provider_idm.synchronization.exchange import Exchange, Origin
from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange
from airflow_provider_idm.synchronization.export import ExportRequest, ExportResult, export_connection
from airflow_provider_idm.synchronization.export import connection as connection_module
from airflow_provider_idm.synchronization.prepare import PrepareRequest, PrepareResult, prepare
from airflow_provider_idm.synchronization.prepare.exports import Exports

CONFIGURATION = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR"/>
  <Connection Identifier="HRDB" Connector="HR" DisplayName_L1="HR" Package="Usercube.SQL@0000001"/>
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="Key" Type="String" TargetColumnIndex="4" DisplayName_L1="Key"/>
    <Property Identifier="Name" Type="String" TargetColumnIndex="5" DisplayName_L1="Name"/>
  </EntityType>
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HRDB">
    <Property Identifier="Key" ConnectionColumn="id" IsPrimaryKey="true"/>
    <Property Identifier="Name" ConnectionColumn="name"/>
  </EntityTypeMapping>
</ConfigurationFile>
"""
SETTINGS = {
    "SqlCommand": "SELECT id, name, version FROM person WHERE gone = 0",
    "SqlCommandIncremental": (
        "SELECT CASE gone WHEN 1 THEN 'DELETE' ELSE 'INSERT' END AS command, id, name, version FROM person "
        "WHERE version > :cookie"
    ),
    "CookieColumn": "version",
    "CookieStart": 0,
}
COMPLETE, INCREMENTAL = SynchronizationMode.COMPLETE, SynchronizationMode.INCREMENTAL


class Killed(BaseException):
    """The process ends here."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


@dataclass
class Office:
    """A database of persons, and what is made of it."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    exported: SynchronizationMode = COMPLETE

    def __post_init__(self) -> None:
        conf = self.folder / "Conf"
        conf.mkdir(parents=True)
        (conf / "HR.xml").write_text(CONFIGURATION, encoding="utf-8")
        self.configuration: Configuration = check_configuration(conf)
        self.mappings: ConnectorMappings = connector_mappings(self.configuration, "HR")
        self.settings["ConnectionString"] = f"sqlite:///{self.folder}/hr.db"
        self.sql("CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT, version INTEGER, gone INTEGER)")

    # ---------------------------------------------------------------------------------------------- the source

    def sql(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "hr.db")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def change(self) -> None:
        """Add a person, rename one, and let one go."""
        for change in range(3):
            number = next(self.numbers)
            if change == 0:
                self.sql("INSERT INTO person VALUES (?, ?, ?, 0)", f"P{number:03}", f"Name {number}", number)
            else:
                self.sql(
                    "UPDATE person SET name = ?, version = ?, gone = ? WHERE id = (SELECT id FROM person WHERE gone = 0 "
                    "ORDER BY id LIMIT 1)",
                    *(f"Name {number}", number, int(change == 2 and number % 2)),
                )

    @property
    def source(self) -> dict[str, str]:
        return dict(self.sql("SELECT id, name FROM person WHERE gone = 0"))

    # ------------------------------------------------------------------------------------------------- the tasks

    def export(self, mode: SynchronizationMode = INCREMENTAL, output: str = "out") -> ExportResult:
        result = export_connection(
            ExportRequest(
                configuration=self.configuration,
                connection="hrdb",
                output=self.folder / output,
                settings=self.settings,
                incremental=mode is INCREMENTAL,
                work=self.folder / "work",
            )
        )
        self.exported = mode
        return result

    def prepare(self, mode: SynchronizationMode | None = None, **options: Any) -> PrepareResult:
        mode = mode or self.exported
        values: dict[str, Any] = {
            "mappings": self.mappings,
            "mode": mode,
            "type": SourceType.CHANGES if mode is INCREMENTAL else SourceType.NONE,
            "sources": self.folder / "out",
            "exchange": Exchange.open(self.folder / "exchange"),
            "work": self.folder / "work",
            "threads": 1,
        }
        return prepare(PrepareRequest(**values | options))

    # ------------------------------------------------------------------------------------------------ what came out

    @property
    def cookie(self) -> int | None:
        """The version that the next incremental export starts from."""
        cookie = CookieStore(self.folder / "work", "HR").current("HRDB")
        if cookie is None or cookie.text is None:
            return None
        value = json.loads(cookie.text)["."][2]
        return None if value is None else int(value)

    @property
    def published(self) -> dict[str, str]:
        """What all published batches make, one after the other."""
        persons: dict[str, str] = {}
        channel = Exchange.open(self.folder / "exchange").channel("HR")
        for manifest in channel.manifests():
            (path,) = channel.fetch(manifest, self.folder / "fetched").values()
            if manifest.mode is COMPLETE:
                persons = {}
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    if row.get("command") == "delete":
                        persons.pop(row["Key"], None)
                    else:
                        persons[row["Key"]] = row["Name"]
        return persons


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office whose first Complete has been published."""
    made = Office(tmp_path / "office")
    made.change()
    made.change()
    made.export(COMPLETE)
    made.prepare()
    return made


# ------------------------------------------------------------------------------------------ one after the other


def test_a_complete_export_says_where_the_next_incremental_one_starts(office: Office) -> None:
    start = office.cookie
    office.change()

    result = office.export()

    assert start is not None
    assert result.incremental
    assert office.cookie == start, "nothing was published yet"
    batch = office.prepare()
    assert office.cookie == next(office.numbers) - 1
    assert office.published == office.source
    assert not batch.reused


def test_the_cookie_is_kept_aside_until_the_batch_is_published(office: Office) -> None:
    folder = office.folder / "work" / "HR" / "cookies" / "hrdb"
    assert [path.name for path in folder.iterdir()] == ["current.json"]
    office.change()
    office.export()

    (aside,) = (path for path in folder.iterdir() if path.name != "current.json")

    kept = json.loads(aside.read_text(encoding="utf-8"))
    assert kept["format"] == 1
    assert (kept["connection"], kept["incremental"], kept["batch"]) == ("HRDB", True, None)
    assert list(kept["files"]) == ["HRDB.csv"]
    office.prepare()
    assert [path.name for path in folder.iterdir()] == ["current.json"]
    current = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    assert current == kept


def test_an_incremental_export_needs_one_of_everything_before(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.change()

    with pytest.raises(ExportError, match="no export has told yet from where an incremental one can start"):
        office.export()

    office.export(COMPLETE)
    with pytest.raises(ExportError, match="or the batch made from it was not published"):
        office.export()


def test_two_exports_of_a_connection_do_not_run_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_LOCK_SECONDS", 0.0)
    [lock] = office.folder.rglob("export/.*.lock")

    with (
        locked(lock, "export", 0),
        pytest.raises(LockedError, match=r"another export of connection .* did not end"),
    ):
        office.export()

    assert office.export().files


def test_an_incremental_export_without_a_change_has_no_effect_and_keeps_its_place(office: Office) -> None:
    start = office.cookie

    result = office.export()

    assert (result.rows, result.has_effect) == (0, False)
    assert office.export(COMPLETE).has_effect
    office.export()
    office.prepare()
    assert office.cookie == start


def test_a_table_that_was_empty_is_followed_from_the_start_that_is_set(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.export(COMPLETE)
    office.prepare()
    office.change()

    office.export()
    office.prepare()

    assert office.published == office.source
    del office.settings["CookieStart"]
    other = Office(tmp_path / "other", settings=dict(office.settings))
    other.export(COMPLETE)
    other.prepare()
    with pytest.raises(ExportError, match=r"the former export held no version.*Set CookieStart"):
        other.export()


def test_a_cookie_of_another_column_is_of_no_use(office: Office) -> None:
    office.settings["CookieColumn"] = "id"

    with pytest.raises(ExportError, match="is not for 'id', for the settings have changed"):
        office.export()


def test_the_place_is_asked_for_before_the_queries_where_the_database_knows_it(office: Office) -> None:
    del office.settings["CookieColumn"]
    office.settings["CookieSql"] = "SELECT max(version) FROM person"
    office.export(COMPLETE)
    office.prepare()
    office.change()

    office.export()
    office.prepare()

    assert office.published == office.source


def test_a_plan_does_not_move_the_cookie(office: Office) -> None:
    start = office.cookie
    office.change()
    office.export()

    office.prepare(plan_only=True)

    assert office.cookie == start
    office.prepare()
    assert office.cookie != start


def test_a_prepare_with_a_folder_of_its_own_finds_the_exports(office: Office) -> None:
    office.export(COMPLETE)
    office.change()
    start = office.cookie
    office.export(COMPLETE)

    office.prepare(work=office.folder / "elsewhere", exports=office.folder / "work")

    assert office.cookie != start


def test_a_file_that_another_has_rewritten_is_not_what_was_exported(office: Office) -> None:
    start = office.cookie
    office.change()
    office.export()
    path = office.folder / "out" / "HRDB.csv"
    path.write_text(path.read_text(encoding="utf-8") + "INSERT,X1,Somebody,0\n", encoding="utf-8")

    office.prepare()

    assert office.cookie == start


def test_changes_are_never_taken_for_everything(office: Office) -> None:
    office.change()
    office.export()

    with pytest.raises(PrepareError) as caught:
        office.prepare(COMPLETE)

    assert str(caught.value).startswith(
        f"{office.folder / 'out' / 'HRDB.csv'} holds only what has changed: connection HRDB was exported incrementally"
    )


def test_changes_are_not_compared_with_everything_either(office: Office) -> None:
    start = office.cookie
    office.change()
    office.export()

    with pytest.raises(
        PrepareError, match=r"(?s)only what has changed.*Type None needs everything.*Type Changes"
    ):
        office.prepare(INCREMENTAL, type=SourceType.NONE)

    assert office.cookie == start
    office.prepare()
    assert office.published == office.source


def test_everything_is_never_taken_for_changes(office: Office) -> None:
    office.settings["SqlCommand"] = str(office.settings["SqlCommand"]).replace(
        "id,", "'INSERT' AS command, id,"
    )
    start = office.cookie
    office.change()
    office.export(COMPLETE)

    with pytest.raises(
        PrepareError, match="holds everything: connection HRDB was not exported incrementally"
    ):
        office.prepare(INCREMENTAL)

    assert office.cookie == start
    office.prepare(COMPLETE)
    assert office.published == office.source


def test_files_of_two_exports_that_ran_at_once_are_told_apart_one_by_one(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("HRDB_Person.csv", "HRDB_Member.csv")}
    for path in files.values():
        path.write_text(f"command,{path.stem}\n", encoding="utf-8")
    store = CookieStore(tmp_path / "work", "HR")
    changes = store.keep("HRDB", "2", files, incremental=True)
    files["HRDB_Person.csv"].write_text("id\n1\n", encoding="utf-8")  # by an export of everything

    assert store.exports_of(files) == []
    assert store.origins_of(files) == {"HRDB_Member.csv": changes}


def test_a_complete_export_of_the_file_that_an_incremental_one_read_is_one_of_everything(
    tmp_path: Path,
) -> None:
    conf = tmp_path / "Conf"
    conf.mkdir()
    (conf / "HR.xml").write_text(CONFIGURATION.replace("Usercube.SQL@", "Usercube.CSV@"), encoding="utf-8")
    configuration = check_configuration(conf)
    (tmp_path / "hr.csv").write_text("id,name\nP1,Quaderer\n", encoding="utf-8")

    def export(*, incremental: bool) -> None:
        export_connection(
            ExportRequest(
                configuration=configuration,
                connection="HRDB",
                output=tmp_path / "out",
                settings={"Path": str(tmp_path / "hr.csv"), "PathIncremental": str(tmp_path / "hr.csv")},
                incremental=incremental,
                work=tmp_path / "work",
            )
        )

    export(incremental=True)
    export(incremental=False)

    result = prepare(
        PrepareRequest(
            mappings=connector_mappings(configuration, "HR"),
            mode=COMPLETE,
            sources=tmp_path / "out",
            exchange=Exchange.open(tmp_path / "exchange"),
            work=tmp_path / "work",
            threads=1,
        )
    )
    assert result.as_dict()["files"]["Person"]["rows"] == 1


def test_after_a_complete_from_other_files_everything_must_be_exported_once(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.export(COMPLETE, output="old")
    office.export(COMPLETE)
    office.prepare()
    for _ in range(2):
        office.change()
        office.export()
        office.prepare()

    office.prepare(COMPLETE, sources=office.folder / "old")

    assert office.cookie is None
    assert "connection HRDB needs a complete export before the next incremental one" in caplog.text
    with pytest.raises(ExportError):
        office.export()
    office.export(COMPLETE)
    office.prepare()
    assert office.published == office.source


def test_each_connection_of_a_connector_has_its_own_place(tmp_path: Path) -> None:
    def versions() -> dict[str, int]:
        store = CookieStore(tmp_path / "work", "HR")
        found = {name: store.current(name) for name in ("A", "B")}
        return {name: json.loads(c.text)["value"] for name, c in found.items() if c and c.text}

    def export(name: str, version: int) -> dict[str, Path]:
        path = tmp_path / f"{name}.csv"
        path.write_text(f"command,id\nINSERT,{version}\n", encoding="utf-8")
        store = CookieStore(tmp_path / "work", "HR")
        store.forget_former(store.keep(name, f'{{"value": {version}}}', {path.name: path}, incremental=True))
        return {path.name: path}

    def publish(batch: str, files: dict[str, Path]) -> None:
        store = CookieStore(tmp_path / "work", "HR")
        exports = store.exports_of(files)
        store.mark(exports, batch)
        store.switch(exports)

    files = export("A", 1) | export("B", 1)
    publish("first", files)
    assert versions() == {"A": 1, "B": 1}
    export("A", 2)  # and the export of B fails: its former file is sent once more
    publish("second", files)
    assert versions() == {"A": 2, "B": 1}
    export("B", 2)
    export("B", 3)  # the prepare in between was skipped
    publish("third", files)
    assert versions() == {"A": 2, "B": 3}


def test_a_batch_made_just_before_the_process_ended_counts_but_one_that_was_not_does_not(
    office: Office,
) -> None:
    start = office.cookie
    store = CookieStore(office.folder / "work", "HR")
    office.change()
    office.export()
    exports = store.exports_of({"HRDB.csv": office.folder / "out" / "HRDB.csv"})
    store.mark(exports, "batch")

    store.settle({"another"})
    assert office.cookie == start
    store.mark(exports, "batch")
    store.settle({"another", "batch"})

    assert office.cookie != start


def test_a_cookie_that_cannot_be_read_is_told(office: Office) -> None:
    path = office.folder / "work" / "HR" / "cookies" / "hrdb" / "current.json"
    path.write_text("{", encoding="utf-8")

    with pytest.raises(CookieError, match=r"current\.json cannot be read \(JSONDecodeError\)"):
        office.export()


# --------------------------------------------------------------------------------------- whatever fails


EXPORTS = (
    "runs",
    "runs for everything",
    "dies before it keeps its cookie",
    "dies before its file is there",
    "dies for everything before its file is there",
)
PREPARES = (
    "runs",
    "does not run",
    "fails before it publishes",
    "dies before it publishes",
    "dies after it has published",
    "dies after it has published, and is retried",
    "only plans",
)


def export_that(office: Office, fate: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if "before it keeps its cookie" in fate:
            patch.setattr(CookieStore, "keep", killed)
        if "before its file is there" in fate:
            patch.setattr(connection_module, "publish", killed)
        with suppress(Killed):
            office.export(COMPLETE if "for everything" in fate else INCREMENTAL)


def prepare_that(office: Office, fate: str, run: str) -> None:
    if fate == "does not run":
        return
    origin = Origin(job="job", run=run, task="prepare")
    with pytest.MonkeyPatch.context() as patch:
        if fate == "fails before it publishes":
            patch.setattr(ConnectorExchange, "batches", lambda *_, **__: 1 / 0)
        if fate == "dies before it publishes":
            patch.setattr(ConnectorExchange, "publish", killed)
        if fate.startswith("dies after it has published"):
            patch.setattr(Exports, "published", killed)
        with suppress(Killed, ZeroDivisionError):
            office.prepare(origin=origin, plan_only=fate == "only plans")
    if fate.endswith("is retried"):
        assert office.prepare(origin=origin).reused


def run_rounds(office: Office, rounds: list[tuple[str, str]]) -> None:
    for number, (exporting, preparing) in enumerate(rounds):
        office.change()
        before = office.published
        export_that(office, exporting)
        prepare_that(office, preparing, f"run {number}")
        if exporting.startswith("runs") and preparing in {"runs", "dies after it has published"}:
            assert office.published == office.source
        elif preparing in {"does not run", "only plans"}:
            assert office.published == before
    office.change()
    office.export()
    office.prepare()


@pytest.mark.parametrize("exporting", EXPORTS)
@pytest.mark.parametrize("preparing", PREPARES)
def test_no_change_is_lost_whatever_step_fails(exporting: str, preparing: str, office: Office) -> None:
    run_rounds(office, [(exporting, preparing)])

    assert office.published == office.source


@given(
    rounds=st.lists(st.tuples(st.sampled_from(EXPORTS), st.sampled_from(PREPARES)), min_size=2, max_size=5)
)
def test_no_change_is_lost_whatever_steps_fail(
    rounds: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    office = Office(tmp_path_factory.mktemp("office") / "office")
    office.change()
    office.export(COMPLETE)
    office.prepare()

    run_rounds(office, rounds)

    assert office.published == office.source


# ------------------------------------------------------------------------------------- from the command line


def test_idm_export_and_idm_prepare_follow_the_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path / "office")
    office.sql("INSERT INTO person VALUES ('P001', 'Quaderer', 1, 0)")
    settings = {"Connections": {"HRDB": office.settings}}
    (office.folder / "appsettings.agent.json").write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.chdir(office.folder)

    def idm(command: str, *arguments: str) -> Any:
        code = main([command, "Conf", *arguments, "--work", "work", "--json"])
        out, err = capsys.readouterr()
        return json.loads(out) if code == 0 else (code, err)

    def prepare_as(mode: str, source_type: str) -> Any:
        arguments = ("--connector", "HR", "--mode", mode, "--type", source_type, "--exchange", "exchange")
        return idm("prepare", *arguments)["files"]["Person"]

    code, error = idm("export", "--connection", "HRDB", "--incremental")
    assert code == 1
    assert "no export has told yet from where an incremental one can start" in error
    assert idm("export", "--connection", "HRDB")["rows"] == 1
    assert prepare_as("complete", "None")["rows"] == 1
    office.sql("INSERT INTO person VALUES ('P100', 'Nakamura', 100, 0)")

    assert idm("export", "--connection", "HRDB", "--incremental")["rows"] == 1

    assert prepare_as("incremental", "Changes")["inserts"] == 1
    assert office.published == office.source
