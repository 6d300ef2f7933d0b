"""One Airflow whose tasks run in three ways, each with a repository and an exchange of its own.

| executor | the agent's tasks | the server's tasks | exchange |
|---|---|---|---|
| Local | the server itself | the server itself | a folder |
| Celery | a worker of the queue ``Local`` | a worker of the queue ``default`` | S3 |
| Edge | an edge worker of the queue ``Local`` | the server itself | S3 |

An agent has what the managed systems deliver, and nothing that would open the repository.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
import sqlalchemy as sa

from tests.airflow.conftest import ROOT
from tests.airflow.stack import DagRun
from tests.conftest import Databases
from tests.executors.machines import Machine, Redis, Server
from tests.executors.storage import BUCKET, ObjectStorage

EXECUTORS = ("Local", "Celery", "Edge")
AGENTS = {"Local": "server", "Celery": "celery-agent", "Edge": "edge-agent"}
"""Which machine runs the agent's tasks."""
SERVERS = {"Local": "server", "Celery": "celery-server", "Edge": "server"}
"""Which machine runs the server's tasks."""
UNUSABLE = "postgresql+psycopg://nobody@repository.invalid:1/none"
"""The repository in an agent's connection: the name stands for no machine."""
STORAGE = "exchange_storage"
SAMPLE = ROOT / "dags" / "conf"

JOBS = """\
<ConfigurationFile>
  <Agent Identifier="Local" DisplayName_L1="The agent" />

  <Job Identifier="{name}_Complete" DisplayName_L1="Human Resources, complete" Agent="Local">
    <ExportTask Identifier="{name}_Export_Organizations" DisplayName_L1="Export organizations"
                Connection="HR-Organizations" Level="0" IgnoreCookieFile="true" />
    <ExportTask Identifier="{name}_Export_Persons" DisplayName_L1="Export persons"
                Connection="HR-Persons" Level="0" IgnoreCookieFile="true" />
    <PrepareSynchronizationTask Identifier="{name}_Prepare" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Complete" Level="1" />
    <SynchronizeTask Identifier="{name}_Synchronize" DisplayName_L1="Synchronize" Connector="HR" Level="2" />
    <ComputeRoleModelTask Identifier="{name}_Look" DisplayName_L1="Look what can be seen" Level="3" />
  </Job>

  <Job Identifier="{name}_Changes" DisplayName_L1="Human Resources, changes" Agent="Local" IsIncremental="true">
    <Step Identifier="{name}_Export_Organizations_2" Level="0" />
    <Step Identifier="{name}_Export_Persons_2" Level="0" />
    <PrepareSynchronizationTask Identifier="{name}_Prepare_2" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Incremental" Level="1" />
    <SynchronizeTask Identifier="{name}_Synchronize_2" DisplayName_L1="Synchronize" Connector="HR" Level="2"
                     DoNotDeleteChanges="true" />
    <SetRecentlyModifiedFlagTask Identifier="{name}_Flag" DisplayName_L1="Mark what was modified" Level="3" />
  </Job>
  <ExportTask Identifier="{name}_Export_Organizations_2" DisplayName_L1="Export organizations"
              Connection="HR-Organizations" />
  <ExportTask Identifier="{name}_Export_Persons_2" DisplayName_L1="Export persons" Connection="HR-Persons" />
</ConfigurationFile>
"""

LOADER = """\
from datetime import timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Connection

from airflow_provider_idm import generate_dags


def look(names):
    found = {{}}
    for name in names:
        try:
            found[name] = Connection.get(name).extra_dejson.get("repository")
        except Exception as error:
            found[name] = type(error).__name__
    return found


def make(task, dag):
    names = ["idm_{executor}", "idm_{executor}_agent"]
    return PythonOperator(task_id=task.identifier, python_callable=look, op_args=[names], dag=dag)


generate_dags(
    "conf",
    idm_conn_id="idm_{executor}",
    agent_queues=True,
    agent_conn_ids="idm_{executor}_agent",
    {arguments}
    default_args={{"retries": 3, "retry_delay": timedelta(seconds=2), {defaults}}},
    task_operators={{"ComputeRoleModelTask": make}},
)
"""
ARGUMENTS = {"Edge": 'agent_executors="EdgeExecutor",'}
DEFAULTS = {"Celery": '"executor": "CeleryExecutor"'}


class Deployment:
    """All the machines.

    :param folder: an empty folder for them.
    """

    def __init__(self, folder: Path, databases: Databases) -> None:
        self.folder = folder
        self.databases = databases
        self.metadata = databases.empty()
        self.repositories = {name: _protected(databases.empty(), secrets.token_hex(16)) for name in EXECUTORS}
        self.storage = ObjectStorage()
        self.redis = Redis(folder / "redis")
        self.server = self._server()
        self.agents: dict[str, Machine] = {}
        self.workers: list[Machine] = []

    # -------------------------------------------------------------------------------------------------- machines

    @contextmanager
    def running(self) -> Iterator[Deployment]:
        """Start everything, and end it."""
        self.storage.start()
        self.redis.wait()
        try:
            with self.server.running():
                self.workers = [self._celery_agent(), self._celery_server()]
                self.server.client()
                self.workers.append(self._edge_agent())
                try:
                    yield self
                finally:
                    self._switch_off()  # before the server, which waits for those that talk to it
        finally:
            self._switch_off()
            self.redis.stop()
            self.storage.stop()
            for url in (self.metadata, *self.repositories.values()):
                self.databases.drop(url)

    def _switch_off(self) -> None:
        for machine in self.workers:
            machine.kill()

    def _server(self) -> Server:
        home = self.folder / "server"
        home.mkdir()
        for name in EXECUTORS:
            write_dags(home, name, with_sources=AGENTS[name] == "server")
        connections = {
            "AIRFLOW_CONN_IDM_LOCAL": self._connection("Local", home),
            "AIRFLOW_CONN_IDM_LOCAL_AGENT": self._connection("Local", home, is_agent=True),
            "AIRFLOW_CONN_IDM_EDGE": self._connection("Edge", home),
            **self._of_storage,
        }
        environment = {
            "AIRFLOW__CORE__EXECUTOR": (
                "LocalExecutor,CeleryExecutor,EdgeExecutor:airflow.providers.edge3.executors.EdgeExecutor"
            ),
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "60",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS": "airflow.providers.edge3.models.db.EdgeDBManager",
            "AIRFLOW__EDGE__API_ENABLED": "True",
            "AIRFLOW__EDGE__HEARTBEAT_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            **self._celery,
        }
        return Server(
            home,
            connections=connections,
            users={"anna": "admin"},
            database=self.metadata,
            environment=environment,
        )

    @property
    def _celery(self) -> dict[str, str]:
        return {
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url(0),
            "AIRFLOW__CELERY__RESULT_BACKEND": self.redis.url(1),
        }

    @property
    def _of_storage(self) -> dict[str, str]:
        return {f"AIRFLOW_CONN_{STORAGE.upper()}": self.storage.connection}

    def _machine(self, name: str, executor: str, *, is_agent: bool, **environment: str) -> Machine:
        home = self.folder / name
        suffix = "_AGENT" if is_agent else ""
        machine = Machine(
            home,
            name,
            {
                f"AIRFLOW_CONN_IDM_{executor.upper()}{suffix}": self._connection(
                    executor, home, is_agent=is_agent
                ),
                **self._of_storage,
                **environment,
            },
        )
        write_dags(home, executor, with_sources=is_agent)
        if is_agent:
            self.agents[executor] = machine
        return machine

    def _celery_agent(self) -> Machine:
        machine = self._machine("celery-agent", "Celery", is_agent=True, **self._of_a_celery_worker)
        machine.start(*_celery_worker("celery-agent", "Local"))
        return machine

    def _celery_server(self) -> Machine:
        machine = self._machine("celery-server", "Celery", is_agent=False, **self._of_a_celery_worker)
        machine.start(*_celery_worker("celery-server", "default"))
        return machine

    @property
    def _of_a_celery_worker(self) -> dict[str, str]:
        execution = f"{self.server.url}/execution/"
        return {
            **self._celery,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": execution,
        }

    def _edge_agent(self) -> Machine:
        secret = "AIRFLOW__API_AUTH__JWT_SECRET"
        settings = {
            "AIRFLOW__CORE__EXECUTOR": "airflow.providers.edge3.executors.EdgeExecutor",
            "AIRFLOW__EDGE__API_URL": f"{self.server.url}/edge_worker/v1/rpcapi",
            "AIRFLOW__EDGE__JOB_POLL_INTERVAL": "1",
            "AIRFLOW__EDGE__HEARTBEAT_INTERVAL": "2",
            secret: self.server.environment[secret],
        }
        machine = self._machine("edge-agent", "Edge", is_agent=True, **settings)
        self.start_edge_worker("edge-agent")
        return machine

    def start_edge_worker(self, name: str) -> None:
        """Start the worker of the edge agent, under a name that none has that still counts as running."""
        self.agents["Edge"].start(
            "edge", "worker", "--queues", "Local", "--edge-hostname", name, "--concurrency", "2"
        )

    # ------------------------------------------------------------------------------------------------------ data

    def _connection(self, executor: str, home: Path, *, is_agent: bool = False) -> str:
        local = str(self.folder / "exchange")
        extra = {
            "repository": UNUSABLE if is_agent else self.repositories[executor],
            "exchange": local if executor == "Local" else f"s3://{STORAGE}@{BUCKET}/{executor}",
            "work": str(home / "work" / executor),
        }
        return json.dumps({"conn_type": "idm", "extra": extra})

    def sources(self, executor: str) -> Path:
        """Return where the managed systems deliver what an executor's agent exports."""
        home = self.folder / AGENTS[executor]
        return home / "dags" / executor / "conf" / "sources" / "hr"

    def run(self, executor: str, job: str) -> DagRun:
        return DagRun(self.server, f"{executor}_{job}", "anna")

    def end(self, run: DagRun) -> str:
        """Wait for the end of a run; return its state."""

        def check() -> str | None:
            ended = [machine.name for machine in self.workers if not machine.is_running()]
            assert not ended, f"the workers {', '.join(ended)} ended by themselves\n{self.told()}"
            state = run.state()
            return state if state in {"success", "failed"} else None

        state: str = self.server.wait_for(f"the end of {run.dag}", check)
        return state

    def visitors(self, executor: str) -> set[str]:
        """Return who ever opened a repository, as PostgreSQL's log has it: machines, and these tests."""
        database = sa.make_url(self.repositories[executor]).database
        with _administrator(self.metadata) as connection:
            log = _value(connection, "SELECT pg_read_file('log')")
        found = re.findall(r"connection authorized: user=\S+ database=(\S+)(?: application_name=(\S+))?", log)
        return {machine for name, machine in found if name == database}

    def told(self) -> str:
        """Return what all machines wrote."""
        return "\n".join(machine.told()[-6000:] for machine in self.workers)


def write_dags(home: Path, executor: str, *, with_sources: bool) -> None:
    """Write an executor's DAG file and configuration, and what the managed systems deliver, if that is to be there."""
    conf = home / "dags" / executor / "conf"
    conf.mkdir(parents=True)
    for name in ("HR.xml", "Metadata.xml", "appsettings.agent.json"):
        shutil.copy(SAMPLE / name, conf / name)
    (conf / "Jobs.xml").write_text(JOBS.format(name=executor), encoding="utf-8")
    if with_sources:
        shutil.copytree(SAMPLE / "sources" / "hr", conf / "sources" / "hr")
    text = LOADER.format(
        executor=executor.lower(), arguments=ARGUMENTS.get(executor, ""), defaults=DEFAULTS.get(executor, "")
    )
    (home / "dags" / executor / "load.py").write_text(text, encoding="utf-8")


def _celery_worker(name: str, queue: str) -> list[str]:
    return [
        *("celery", "worker", "--queues", queue, "--celery-hostname", name, "--concurrency", "2"),
        *("--without-mingle", "--without-gossip", "--skip-serve-logs"),
    ]


def _protected(url: str, password: str) -> str:
    """Give a database to a user with a password, and let nobody else in; return the URL with both."""
    database = sa.make_url(url).database
    user = f"user_{database}"
    with _administrator(url) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        connection.execute(f'ALTER DATABASE "{database}" OWNER TO {user}')
        rules = Path(_value(connection, "SHOW hba_file"))
        lines = [f'local "{database}" all scram-sha-256', f'host "{database}" all all scram-sha-256']
        rules.write_text("\n".join([*lines, rules.read_text()]), encoding="utf-8")
        connection.execute("ALTER SYSTEM SET log_connections = 'on'")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.2)  # until the server has read its rules
    return sa.make_url(url).set(username=user, password=password).render_as_string(hide_password=False)


def _value(connection: psycopg.Connection, query: LiteralString) -> str:
    row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def _administrator(url: str) -> Iterator[psycopg.Connection]:
    made = sa.make_url(url).set(
        database="postgres", drivername="postgresql", username="postgres", password=None
    )
    with psycopg.connect(made.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection
