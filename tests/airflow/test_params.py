"""What a run of a generated DAG may be asked by whoever triggers it: typed params, read by the tasks."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.jobs.params import RunParams
from airflow_provider_idm.jobs.tasks import _PARAMETERS
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.run_options import NAMES, check_run_options, read_run_options
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.cookies import Cookie, CookieStore
from airflow_provider_idm.synchronization.exchange import Exchange, Manifest
from tests.airflow.conftest import CONFIGURATION, AirflowHome, Run

pytestmark = pytest.mark.airflow

LOADER = """\
from airflow_provider_idm import generate_dags

generate_dags("conf", on_threshold="fail"{more})
"""
JOBS = """\
<ConfigurationFile>
  <Job Identifier="Complete" DisplayName_L1="Complete" CronTabExpression="0 2 * * *">
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="S" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Forced" DisplayName_L1="Forced, and all that is kept">
    <PrepareSynchronizationTask Identifier="PF" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SF" DisplayName_L1="S" Connector="HR" ForceSynchronization="true" Orphans="true" />
  </Job>
  <Job Identifier="Dated" DisplayName_L1="Dated">
    <PrepareSynchronizationTask Identifier="PD" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete"
                                SourcesDirectory="{folder}/{{{{ ds }}}}" />
    <SynchronizeTask Identifier="SD" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Incremental" DisplayName_L1="Incremental" IsIncremental="true">
    <PrepareSynchronizationTask Identifier="PI" DisplayName_L1="P" Connector="HR" SynchronizationMode="Incremental" />
    <SynchronizeTask Identifier="SI" DisplayName_L1="S" Connector="HR" />
  </Job>
  <Job Identifier="Whole" DisplayName_L1="All that there is" IsIncremental="true">
    <InvokeSqlCommandTask Identifier="Sql" DisplayName_L1="Sql" Level="0" SQLCommand="DELETE FROM UR_Resources"
                          IsNotAQuery="true" />
    <DeployConfigurationTask Identifier="Deploy" DisplayName_L1="Deploy" Level="0" />
    <CreateDatabaseViewsTask Identifier="Views" DisplayName_L1="Views" Level="0" />
    <ExportTask Identifier="E" DisplayName_L1="E" Connection="HR-Persons" Level="1">
      <TaskDependsOnTask ParentTask="Deploy" />
    </ExportTask>
    <PrepareSynchronizationTask Identifier="PW" DisplayName_L1="P" Connector="HR" Level="2" Type="Changes"
                                SynchronizationMode="Incremental">
      <TaskDependsOnTask ParentTask="E" />
    </PrepareSynchronizationTask>
    <SynchronizeTask Identifier="SW" DisplayName_L1="S" Connector="HR" Level="3" Type="Changes"
                     DoNotDeleteChanges="true" />
    <SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" Level="4" />
    <ComputeRoleModelTask Identifier="Roles" DisplayName_L1="Roles" Level="5" />
    <FulfillTask Identifier="Fulfill" DisplayName_L1="Fulfill" Level="5" />
    <ComputeRiskScoresTask Identifier="Scores" DisplayName_L1="Scores" Level="5" />
  </Job>
</ConfigurationFile>
"""
REGISTERED = """\
from airflow.providers.standard.operators.bash import BashOperator


def roles(task, dag):
    return BashOperator(task_id=task.identifier, dag=dag, bash_command="touch {folder}/roles")


def fulfill(task, dag):
    return BashOperator(
        task_id=task.identifier,
        dag=dag,
        params={{"dry_run": False}},
        bash_command="echo '{{{{ params.dry_run }}}} {{{{ params.orphans }}}}' > {folder}/fulfill",
    )
"""
OPERATORS = ', task_operators={"ComputeRoleModelTask": roles, "FulfillTask": fulfill}'
SQL_SETTINGS = {
    "SqlCommand": "SELECT id, name, since, manager, version FROM person",
    "SqlCommandIncremental": (
        "SELECT 'INSERT' AS command, id, name, since, manager, version FROM person WHERE version > :cookie"
    ),
    "CookieColumn": "version",
    "CookieStart": 0,
}
HEADER = "id,name,since,manager\n"
THREE = HEADER + "1,Zoë,2020-01-01,\n2,Łukasz,2021-02-03,1\n3,Anna,2022-05-06,9\n"
ONE = HEADER + "1,Zoë,2020-01-01,\n"


class Desk:
    """An Airflow with generated jobs for the connector HR, which may delete one person at once."""

    def __init__(self, home: AirflowHome, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.dags: dict[str, Any] = {}

    def generate(self, more: str = "", before: str = "") -> dict[str, Any]:
        conf = self.home.dags / "conf"
        conf.mkdir(exist_ok=True)
        hr = CONFIGURATION.replace('"Human Resources"', '"Human Resources" MaximumDeletedLines="1"')
        (conf / "HR.xml").write_text(hr, encoding="utf-8")
        (conf / "Jobs.xml").write_text(JOBS.format(folder=self.folder), encoding="utf-8")
        self.dags = vars(self.home.load(before + LOADER.format(more=more)))
        return self.dags

    def deliver(self, text: str, folder: Path | None = None) -> None:
        folder = folder or self.home.work / "ExportOutput"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "HR-Persons.csv").write_text(text, encoding="utf-8")

    def run(self, job: str, source: str | None = None, /, *, at: datetime | None = None, **conf: Any) -> Run:
        """Run a job as if it was triggered with some params.

        :param at: its logical date; without it the run has none.
        """
        if source is not None:
            self.deliver(source)
        return self.home.run(self.generate()[job], logical_date=at, run_conf=conf or None)

    @property
    def mappings(self) -> Any:
        return connector_mappings(read_configuration(self.home.dags / "conf"), "HR")

    @property
    def manifests(self) -> list[Manifest]:
        return Exchange.open(str(self.home.home / "idm" / "exchange")).channel("HR").manifests()

    @property
    def persons(self) -> list[str]:
        with Repository.open(self.home.repository) as repository:
            return list(repository.query_entity_type(self.mappings, "Person")["Id_"].to_pylist())

    @property
    def orphans(self) -> Path:
        return self.home.work / "HR" / "Synchronize" / "Person_Manager.orphans.csv"

    @property
    def hash(self) -> str:
        with Repository.open(self.home.repository) as repository:
            return repository.content_hash(self.mappings)

    def ask(self, statement: str) -> Any:
        engine = create_engine(self.home.repository)
        try:
            with engine.connect() as connection:
                return connection.execute(text(statement)).scalar_one()
        finally:
            engine.dispose()


@pytest.fixture
def desk(airflow_home: AirflowHome, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(airflow_home, tmp_path)
    desk.generate()
    return desk


def shown(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join("".join(capfd.readouterr()).split())


def value_of(dag: Any, name: str, value: Any) -> Any:
    """Return what a DAG takes a value for, as its form does.

    :raises ParamValidationError: if it refuses it.
    """
    return dag.params.get_param(name).resolve(value)


# ------------------------------------------------------------------------------------------------ which there are


def test_every_generated_dag_has_typed_params_with_a_description(desk: Desk) -> None:
    for job in ("Complete", "Forced", "Dated", "Whole"):
        params = desk.dags[job].params
        assert tuple(params) == NAMES
        for name in NAMES:
            param = params.get_param(name)
            assert param.resolve() in (False, None, "as configured"), "by default, as the job says"
            assert len(param.description) > 50
            assert {"title", "type"} <= param.schema.keys()


def test_tasks_have_no_params_of_their_own_and_dags_share_none(desk: Desk) -> None:
    complete, forced = desk.dags["Complete"], desk.dags["Forced"]

    assert not complete.get_task("P").params
    complete.params.get_param("dry_run").resolve(True)
    assert forced.params["dry_run"] is False


def test_the_params_are_those_that_the_operators_read() -> None:
    operators = {kind.__name__: kind for kind in _subclasses(IdmOperator)}
    assert len(operators) >= len(_PARAMETERS)

    assert set().union(*(kind.reads for kind in operators.values())) == set(NAMES)
    assert RunParams().names == set(NAMES)


def _subclasses(kind: type[IdmOperator]) -> Iterator[type[IdmOperator]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def test_the_author_says_which_params_there_are(desk: Desk) -> None:
    assert not desk.generate(", params=False")["Complete"].params
    assert tuple(desk.generate(', params=["orphans", "dry_run"]')["Complete"].params) == (
        "dry_run",
        "orphans",
    )
    own = desk.generate(', params=["dry_run"], default_args={"params": {"orphans": "ours"}}')["Complete"]
    assert own.params.dump() == {"orphans": "ours", "dry_run": False}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            ', params=["dryrun"]',
            "generate_dags(params=…): there is no param 'dryrun'; known are dry_run, force",
        ),
        (
            ', params="dry_run"',
            "generate_dags(params=…) cannot be 'dry_run'; expected True, False, or some of",
        ),
        (
            ', params={"dry_run": False}',
            "generate_dags(params=…) cannot be {'dry_run': False}; expected True",
        ),
        (
            ', default_args={"params": {"orphans": "ours"}}',
            "generate_dags(default_args=…): generated DAGs have a param 'orphans' already; rename this one",
        ),
    ],
)
def test_what_are_no_params_is_told_by_every_job(desk: Desk, more: str, reason: str) -> None:
    dag = desk.generate(more)["Complete"]

    assert reason in dag.doc_md
    assert "idm-config-error" in dag.tags


def test_an_operator_of_this_provider_that_is_registered_reads_them_too(desk: Desk) -> None:
    before = """\
from airflow_provider_idm.operators.set_recently_modified_flag import SetRecentlyModifiedFlagTaskOperator


def fulfill(task, dag):
    return SetRecentlyModifiedFlagTaskOperator(task_id=task.identifier, dag=dag)


"""
    more = ', params=["dry_run"], task_operators={"FulfillTask": fulfill}'

    task = desk.generate(more, before)["Whole"].get_task("Fulfill")

    assert task.run_params == {"dry_run"}
    assert not task.works_in_dry_run()


def test_a_job_that_cannot_run_has_no_params(desk: Desk) -> None:
    (desk.home.dags / "conf" / "Broken.xml").write_text(
        '<ConfigurationFile><Job Identifier="Broken"><Step Identifier="None" /></Job></ConfigurationFile>'
    )

    dag = desk.generate()["Broken"]

    assert "idm-config-error" in dag.tags
    assert not dag.params


# -------------------------------------------------------------------------------------------- what the form refuses


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dry_run", "yes"),
        ("dry_run", 1),
        ("dry_run", None),
        ("force_synchronization", "true"),
        ("on_invalid_value", "ignore"),
        ("on_invalid_value", None),
        ("source_date", "yesterday"),
        ("source_date", "2026-13-01"),
        ("source_date", "2026-11-01T02:00:00"),
        ("source_date", 20261101),
        ("sources_directory", "hr"),
        ("sources_directory", "../hr"),
        ("sources_directory", "/hr/{{ var.value.secret }}"),
        ("sources_directory", "/hr/{{ conn.idm_default.password }}"),
        ("sources_directory", "/hr/{{ ds | upper }}"),
        ("sources_directory", "/hr/{% if 1 %}{% endif %}"),
        ("sources_directory", "/hr/{ds}"),
        ("sources_directory", "/hr/{{ ds }"),
        ("sources_directory", "/hr/\n"),
        ("sources_directory", ["/hr"]),
    ],
)
def test_wrong_values_are_refused(desk: Desk, name: str, value: Any) -> None:
    from airflow.sdk.definitions.param import ParamValidationError

    with pytest.raises(ParamValidationError):
        value_of(desk.dags["Complete"], name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dry_run", True),
        ("on_invalid_value", "null"),
        ("source_date", "2026-11-01"),
        ("source_date", None),
        ("sources_directory", None),
        ("sources_directory", ""),
        ("sources_directory", "/data/hr/{{ ds }}/{{ds_nodash}}/{{ ts_nodash }}"),
        ("sources_directory", "/data/Personal & Söhne (alt)"),
    ],
)
def test_right_values_are_taken(desk: Desk, name: str, value: Any) -> None:
    assert value_of(desk.dags["Complete"], name, value) == value


def test_a_run_given_what_its_dag_does_not_offer_does_nothing(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.deliver(THREE)
    dag = desk.generate(', params=["orphans"]')["Complete"]

    run = desk.home.run(dag, run_conf={"dry_run": True, "force_synchronization": False})

    assert run.states == {"P": "failed", "S": "upstream_failed"}
    assert desk.manifests == []
    told = "This run was given dry_run, which this DAG does not offer; nothing was done. It offers orphans"
    assert told in shown(capfd)


@pytest.mark.parametrize("offered", ["False", '["orphans"]'])
def test_nor_do_operators_of_others_what_was_to_be_a_dry_run(desk: Desk, offered: str) -> None:
    job = (
        '<ConfigurationFile><Job Identifier="Roles" DisplayName_L1="Roles">'
        '<ComputeRoleModelTask Identifier="R" DisplayName_L1="R" /></Job></ConfigurationFile>'
    )
    (desk.home.dags / "conf" / "Roles.xml").write_text(job, encoding="utf-8")
    more = f"{OPERATORS}, params={offered}"
    dag = vars(desk.home.load(REGISTERED.format(folder=desk.folder) + LOADER.format(more=more)))["Roles"]

    assert desk.home.run(dag, run_conf={"dry_run": True}).states == {"R": "failed"}
    assert not (desk.folder / "roles").exists()
    assert desk.home.run(dag).states == {"R": "success"}
    assert (desk.folder / "roles").exists()


def test_where_airflow_keeps_params_from_tasks_a_run_that_was_given_some_does_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    loader = REGISTERED.format(folder=desk.folder) + LOADER.format(more=OPERATORS)
    jobs = (desk.home.dags / "conf" / "Jobs.xml").read_text(encoding="utf-8")
    registered = (
        '  <Job Identifier="Roles" DisplayName_L1="Roles">\n'
        '    <ComputeRoleModelTask Identifier="R" DisplayName_L1="R" />\n  </Job>\n</ConfigurationFile>'
    )
    (desk.home.dags / "conf" / "Jobs.xml").write_text(
        jobs.replace("</ConfigurationFile>", registered), encoding="utf-8"
    )
    dags = vars(desk.home.load(loader))
    desk.deliver(THREE)
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")

    own = desk.home.run(dags["Complete"], run_conf={"dry_run": True, "orphans": False})
    roles = desk.home.run(dags["Roles"], run_conf={"dry_run": True})

    assert own.states == {"P": "failed", "S": "upstream_failed"}
    assert roles.states == {"R": "failed"}
    assert desk.manifests == []
    assert not (desk.folder / "roles").exists()
    assert (
        shown(capfd).count("This run was given dry_run, but this Airflow keeps params as the DAG has them")
        >= 2
    )


def test_a_source_date_is_no_date_of_a_backfill_and_not_to_come() -> None:
    def check(kind: str, date: str) -> None:
        run = SimpleNamespace(run_type=kind, conf={"source_date": date})
        context = {"dag_run": run, "params": {"source_date": date}, "dag": SimpleNamespace(params={})}
        check_run_options(context, NAMES, read_run_options(context, NAMES))

    today = datetime.now(UTC).date()
    check("manual", today.isoformat())
    with pytest.raises(ConfigurationError, match="was given to a backfill, whose runs have a date each"):
        check("backfill", today.isoformat())
    with pytest.raises(ConfigurationError, match="lies in the future"):
        check("manual", (today + timedelta(days=3)).isoformat())


# ---------------------------------------------------------------------------------------------------- what they do


def test_force_synchronization_ignores_the_thresholds(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.run("Complete", THREE)
    capfd.readouterr()

    assert desk.run("Complete", ONE, force_synchronization=True).state == "success"

    assert desk.persons == ["1"]
    assert "This run was triggered with force_synchronization." in shown(capfd)
    assert not desk.orphans.exists()
    assert desk.ask("SELECT count(*) FROM UR_ResourceChanges") == 0


def test_what_the_job_says_stays_where_a_param_is_left_alone(desk: Desk) -> None:
    desk.run("Complete", THREE)

    run = desk.run("Forced", ONE, force_synchronization=False, orphans=False)

    assert (run.state, desk.persons) == ("success", ["1"])
    assert desk.orphans.exists()


def test_orphans_are_saved_and_change_rows_kept(desk: Desk) -> None:
    desk.run("Complete", THREE, orphans=True, do_not_delete_changes=True)

    assert desk.orphans.read_text(encoding="utf-8") == "key1,key2,missing\n3,9,2\n"
    assert desk.ask("SELECT count(*) FROM UR_ResourceChanges") == 3


def test_several_params_at_once(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.run("Complete", THREE)
    desk.deliver(HEADER + "1,Zoë,at noon,8\n", desk.folder / "old")
    capfd.readouterr()

    run = desk.run(
        "Complete",
        force_synchronization=True,
        orphans=True,
        on_invalid_value="null",
        sources_directory=str(desk.folder / "old"),
    )

    assert (run.state, desk.persons) == ("success", ["1"])
    told = shown(capfd)
    folder = f"sources_directory = {desk.folder / 'old'}, on_invalid_value = null."
    assert f"This run was triggered with {folder}" in told
    assert "This run was triggered with force_synchronization, orphans." in told


# -------------------------------------------------------------------------------------------------------- dry runs


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.run("Complete", THREE)
    before, queue = desk.hash, desk.manifests
    capfd.readouterr()

    run = desk.run("Complete", ONE, dry_run=True, force_synchronization=True)

    assert run.states == {"P": "success", "S": "success"}
    assert (desk.hash, desk.manifests) == (before, queue)
    result = run.xcoms["S", "return_value"]
    assert result["entity_types"]["Person"]["deleted"] == 2
    assert result["state"] == "completed", "it would not be blocked"
    assert run.xcoms["S", "has_effect"] is False
    told = shown(capfd)
    assert "This run was triggered with dry_run." in told
    assert "This run was triggered with dry_run, force_synchronization." in told
    assert "Nothing is changed; this is what a synchronization would do." in told


def test_a_dry_run_does_not_mind_that_a_batch_awaits_a_decision(desk: Desk) -> None:
    desk.run("Complete", THREE)
    assert desk.run("Complete", ONE).states == {"P": "success", "S": "failed"}
    queue = desk.manifests

    dry = desk.run("Incremental", ONE + "4,Björk,2023-01-01,1\n", dry_run=True)

    assert dry.states == {"PI": "success", "SI": "success"}
    result = dry.xcoms["SI", "return_value"]
    assert (result["state"], [t["actual"] for t in result["thresholds"]]) == ("blocked", [2])
    assert (desk.persons, desk.manifests) == (["1", "2", "3"], queue)


class Source:
    """A database of persons that knows what changed."""

    def __init__(self, desk: Desk) -> None:
        self.path = desk.folder / "hr.db"
        self.desk = desk
        text = CONFIGURATION.replace("Usercube.CSV@", "Usercube.SQL@")
        (desk.home.dags / "conf" / "HR.xml").write_text(text, encoding="utf-8")
        settings = SQL_SETTINGS | {"ConnectionString": f"sqlite:///{self.path}"}
        (desk.home.dags / "conf" / "appsettings.agent.json").write_text(
            json.dumps({"Connections": {"HR-Persons": settings}}), encoding="utf-8"
        )
        self.ask("CREATE TABLE person (id TEXT, name TEXT, since TEXT, manager TEXT, version INTEGER)")
        self.ask("INSERT INTO person VALUES ('1', 'Zoë', '2020-01-01', NULL, 1)")

    def ask(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement)

    @property
    def cookie(self) -> Cookie | None:
        return CookieStore(self.desk.home.work, "HR").current("HR-Persons")


def test_a_dry_run_of_everything_there_is(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    # given a connector whose export knows what changed
    source = Source(desk)
    first = """\
<ConfigurationFile>
  <Job Identifier="Begin" DisplayName_L1="Begin">
    <ExportTask Identifier="EB" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="PB" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SB" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
    (desk.home.dags / "conf" / "Begin.xml").write_text(first, encoding="utf-8")
    loader = REGISTERED.format(folder=desk.folder) + LOADER.format(more=OPERATORS)
    dags = vars(desk.home.load(loader))
    assert desk.home.run(dags["Begin"]).state == "success"
    before, queue, cookie = desk.hash, desk.manifests, source.cookie
    views = desk.ask("SELECT count(*) FROM sqlite_master WHERE type = 'view'")
    assert (desk.persons, views) == (["1"], 0)
    source.ask("INSERT INTO person VALUES ('2', 'Łukasz', '2021-02-03', '1', 2)")
    capfd.readouterr()

    # when all of a job runs dry
    run = desk.home.run(dags["Whole"], run_conf={"dry_run": True, "orphans": True})

    # then what would change is told, and nothing else has happened
    assert run.states == {
        "Sql": "skipped",
        "Deploy": "skipped",
        "Views": "skipped",
        "E": "success",
        "PW": "success",
        "SW": "success",
        "F": "skipped",
        "Roles": "skipped",
        "Fulfill": "success",
        "Scores": "success",
    }
    assert run.state == "success"
    assert run.xcoms["SW", "return_value"]["entity_types"]["Person"]["inserted"] == 1
    assert (desk.hash, desk.manifests, source.cookie) == (before, queue, cookie)
    assert desk.ask("SELECT count(*) FROM sqlite_master WHERE type = 'view'") == 0
    assert desk.ask("SELECT count(*) FROM UR_ResourceChanges") == 0
    assert not (desk.folder / "roles").exists()
    assert (desk.folder / "fulfill").read_text() == "True True\n", "it has a param dry_run of its own"
    told = shown(capfd)
    assert told.count("Skipped: this run is a dry run, which changes nothing") == 4
    assert "Skipped: this run is a dry run, and whether BashOperator changes anything is not known" in told


def test_what_sql_changes_in_a_dry_run_is_not_kept(desk: Desk) -> None:
    desk.run("Complete", THREE)
    sql = """\
<ConfigurationFile>
  <Job Identifier="Sql" DisplayName_L1="Sql">
    <InvokeSqlCommandTask Identifier="Q" DisplayName_L1="Q"
                          SQLCommand="DELETE FROM UR_Resources; SELECT count(*) AS number FROM UR_Resources" />
  </Job>
</ConfigurationFile>
"""
    (desk.home.dags / "conf" / "Sql.xml").write_text(sql, encoding="utf-8")

    run = desk.run("Sql", dry_run=True)

    assert run.states == {"Q": "success"}
    assert (desk.home.work / "ExportOutput" / "Q.csv").read_text(encoding="utf-8") == "number\n0\n"
    assert desk.persons == ["1", "2", "3"]


# ------------------------------------------------------------------------------------------------- exports, sources


def test_ignore_cookie_file_exports_everything(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    # given a connection whose export knows what changed, and what it exported was applied
    source = Source(desk)
    job = """\
<ConfigurationFile>
  <Job Identifier="First" DisplayName_L1="First">
    <ExportTask Identifier="E1" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="P1" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" />
  </Job>
  <Job Identifier="Changes" DisplayName_L1="Changes" IsIncremental="true">
    <ExportTask Identifier="E2" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="P2" DisplayName_L1="P" Connector="HR" SynchronizationMode="Incremental"
                                Type="Changes" />
  </Job>
</ConfigurationFile>
"""
    (desk.home.dags / "conf" / "Jobs.xml").write_text(job, encoding="utf-8")
    dags = vars(desk.home.load(LOADER.format(more="")))
    assert desk.home.run(dags["First"]).state == "success"
    source.ask("INSERT INTO person VALUES ('2', 'Łukasz', '2021-02-03', '1', 2)")

    # when it is exported as the job says, and then everything
    changes = desk.home.run(dags["Changes"], run_conf={"dry_run": True})
    everything = desk.home.run(dags["Changes"], run_conf={"ignore_cookie_file": True})

    # then the second export has all rows, which no list of changes may have
    assert changes.xcoms["E2", "return_value"]["files"]["HR-Persons.csv"]["rows"] == 1
    assert everything.xcoms["E2", "return_value"]["files"]["HR-Persons.csv"]["rows"] == 2
    assert everything.states["P2"] == "failed"
    assert "As a list of changes it would not tell what was deleted" in shown(capfd)


def test_a_folder_that_is_given_is_read_and_nothing_is_exported(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    delivered, old = desk.folder / "delivered.csv", desk.folder / "old"
    delivered.write_text(THREE, encoding="utf-8")
    connection = json.dumps({"conn_type": "generic", "extra": {"Path": str(delivered)}})
    monkeypatch.setenv("AIRFLOW_CONN_HR-PERSONS", connection)
    job = """\
<ConfigurationFile>
  <Job Identifier="Exported" DisplayName_L1="Exported">
    <ExportTask Identifier="E3" DisplayName_L1="E" Connection="HR-Persons" />
    <PrepareSynchronizationTask Identifier="P3" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete">
      <TaskDependsOnTask ParentTask="E3" />
    </PrepareSynchronizationTask>
    <SynchronizeTask Identifier="S3" DisplayName_L1="S" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
    (desk.home.dags / "conf" / "Jobs.xml").write_text(job, encoding="utf-8")
    dag = vars(desk.home.load(LOADER.format(more="")))["Exported"]
    desk.deliver(ONE, old)

    run = desk.home.run(dag, run_conf={"sources_directory": str(old)})

    assert (run.state, run.states) == ("success", {"E3": "skipped", "P3": "success", "S3": "success"})
    assert desk.persons == ["1"]
    assert not (desk.home.work / "ExportOutput" / "HR-Persons.csv").exists()
    assert "Skipped: this run reads source files that are there already" in shown(capfd)
    (manifest,) = desk.manifests
    assert not manifest.dated


def test_a_folder_with_a_date_dates_the_sources(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.deliver(THREE, desk.folder / "20261101" / "2026-11-01")
    given = f"{desk.folder}/{{{{ ds_nodash }}}}/{{{{ds}}}}"

    run = desk.run("Complete", at=datetime(2026, 11, 1, 2, 30, tzinfo=UTC), sources_directory=given)

    assert (run.state, desk.persons) == ("success", ["1", "2", "3"])
    (manifest,) = desk.manifests
    assert (manifest.dated, manifest.effective_date) == (True, datetime(2026, 11, 1, 2, 30, tzinfo=UTC))
    assert "The sources are of 2026-11-01T02:30:00+00:00." in shown(capfd)


def test_a_source_date_is_the_date_of_the_batch(desk: Desk) -> None:
    run = desk.run("Complete", THREE, source_date="2026-11-01")

    assert run.state == "success"
    (manifest,) = desk.manifests
    assert (manifest.dated, manifest.effective_date) == (True, datetime(2026, 11, 1, tzinfo=UTC))


def test_a_source_date_says_which_of_the_jobs_dated_folders_is_read(desk: Desk) -> None:
    desk.deliver(ONE, desk.folder / "2026-11-01")
    desk.deliver(THREE, desk.folder / "2026-11-05")

    run = desk.run("Dated", at=datetime(2026, 11, 5, tzinfo=UTC), source_date="2026-11-01")

    assert (run.state, desk.persons) == ("success", ["1"])
    assert desk.manifests[0].effective_date == datetime(2026, 11, 1, tzinfo=UTC)


def test_allow_backwards_applies_what_is_dated_before_the_last_batch(desk: Desk) -> None:
    # given a batch whose date was a mistake: it was applied, and then removed from the exchange
    desk.run("Complete", THREE, source_date="2026-11-05")
    (mistaken,) = desk.manifests
    shutil.rmtree(desk.home.home / "idm" / "exchange" / "HR" / mistaken.batch)

    refused = desk.run("Complete", ONE + "2,Łukasz,2021-02-03,1\n", source_date="2026-11-01")
    applied = desk.run("Complete", source_date="2026-11-01", allow_backwards=True)

    assert (refused.states, applied.state) == ({"P": "success", "S": "failed"}, "success")
    assert desk.persons == ["1", "2"]


def test_a_run_without_logical_date_reads_the_folder_of_the_day_it_was_to_run(desk: Desk) -> None:
    today = datetime.now(UTC)
    for day in (today, today + timedelta(days=1)):  # should midnight come
        desk.deliver(THREE, desk.folder / f"{day:%Y-%m-%d}")

    run = desk.run("Dated")

    assert (run.state, desk.persons) == ("success", ["1", "2", "3"])
    (manifest,) = desk.manifests
    assert manifest.dated
    assert today - timedelta(minutes=1) < manifest.effective_date < today + timedelta(minutes=5)


def test_a_dag_of_its_author_is_not_altered(desk: Desk) -> None:
    desk.deliver(THREE)
    text = f"""\
from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

own = {{"configuration": {str(desk.home.dags / "conf")!r}, "connector": "HR"}}
with DAG("own", schedule=None, params={{"dry_run": Param(False, type="boolean")}}) as dag:
    prepare = PrepareSynchronizationTaskOperator(task_id="prepare", synchronization_mode="Complete", **own)
    SynchronizeTaskOperator(task_id="synchronize", batch=prepare.output, **own)
"""
    dag = desk.home.load(text, "own.py").dag

    run = desk.home.run(dag, run_conf={"dry_run": True})

    assert (run.state, desk.persons) == ("success", ["1", "2", "3"])
