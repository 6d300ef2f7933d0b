"""Where an agent's tasks run, with which connection, and that nothing of theirs needs the repository."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_idm.synchronization.exchange import ConnectorState, Exchange
from tests.airflow.conftest import CONFIGURATION, ROOT, AirflowHome

pytestmark = pytest.mark.airflow

UNUSABLE = "postgresql+psycopg://nobody@repository.invalid:1/none"
"""A repository that nobody can open: the name stands for no machine."""
AGENTS = """\
<ConfigurationFile>
  <Agent Identifier="Paris" DisplayName_L1="Paris" />
  <Agent Identifier="Tokyo" DisplayName_L1="Tokyo" />
</ConfigurationFile>
"""
JOBS = """\
<ConfigurationFile>
  <Job Identifier="First" DisplayName_L1="Complete" Agent="Paris">
    <InvokeSqlCommandTask Identifier="Query" DisplayName_L1="Of another database" DatabaseIdentifier="erp"
                          SQLCommand="SELECT 'P9' AS id" OutputPath="erp.csv" />
    <ExportTask Identifier="Export" DisplayName_L1="Export" Connection="HR-Persons" />
    <ComputeRoleModelTask Identifier="Roles" DisplayName_L1="Roles" />
    <PrepareSynchronizationTask Identifier="Prepare" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="Synchronize" DisplayName_L1="Synchronize" Connector="HR">
      <TaskDependsOnTask ParentTask="Prepare" />
    </SynchronizeTask>
    <InvokeSqlCommandTask Identifier="Command" DisplayName_L1="Of the repository" SQLCommand="SELECT 1" />
    <SetRecentlyModifiedFlagTask Identifier="Flag" DisplayName_L1="Flag" />
    <CreateDatabaseViewsTask Identifier="Views" DisplayName_L1="Views" />
    <DeployConfigurationTask Identifier="Deploy" DisplayName_L1="Deploy" />
  </Job>
  <Job Identifier="Agents_own" DisplayName_L1="What an agent does" Agent="Tokyo" IsIncremental="true">
    <ExportTask Identifier="Own_Export" DisplayName_L1="Export" Connection="HR-Persons" />
    <InvokeSqlCommandTask Identifier="Own_Query" DisplayName_L1="Of another database" DatabaseIdentifier="erp"
                          SQLCommand="SELECT 'P9' AS id" OutputPath="erp.csv" />
    <PrepareSynchronizationTask Identifier="Own_Complete" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Complete"><TaskDependsOnTask ParentTask="Own_Export" />
    </PrepareSynchronizationTask>
    <PrepareSynchronizationTask Identifier="Own_Changes" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Incremental"><TaskDependsOnTask ParentTask="Own_Complete" />
    </PrepareSynchronizationTask>
    <ComputeRoleModelTask Identifier="Own_Roles" DisplayName_L1="Roles">
      <TaskDependsOnTask ParentTask="Own_Changes" /></ComputeRoleModelTask>
  </Job>
  <Job Identifier="Elsewhere" DisplayName_L1="A task of an agent in a job without one">
    <PrepareSynchronizationTask Identifier="At_Tokyo" DisplayName_L1="Prepare" Connector="HR" Agent="Tokyo"
                                SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="Here" DisplayName_L1="Synchronize" Connector="HR" Agent="Tokyo" />
    <ExportTask Identifier="Anywhere" DisplayName_L1="Export" Connection="HR-Persons" />
  </Job>
</ConfigurationFile>
"""
LOADER = """\
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_idm import generate_dags
from airflow_provider_idm.operators.set_recently_modified_flag import SetRecentlyModifiedFlagTaskOperator


def roles(task, dag):
    return EmptyOperator(task_id=task.identifier)


def flag(task, dag):
    return SetRecentlyModifiedFlagTaskOperator(task_id=task.identifier, configuration="conf")


dags = generate_dags(
    "conf", idm_conn_id="idm_server", task_operators={{"ComputeRoleModelTask": roles}}, {arguments}
)
"""


@pytest.fixture
def load(airflow_home: AirflowHome) -> Any:
    for name, text in {"HR": CONFIGURATION, "Agents": AGENTS, "Jobs": JOBS}.items():
        airflow_home.write(f"conf/{name}.xml", text)

    def load(arguments: str, loader: str = LOADER) -> ModuleType:
        return airflow_home.load(loader.format(arguments=arguments))

    return load


AGENTS_TASKS = {"Query", "Export", "Roles", "Prepare"}
SERVERS_TASKS = {"Synchronize", "Command", "Flag", "Views", "Deploy"}


def test_an_agents_tasks_have_the_agents_queue_connection_and_executor(load) -> None:
    arguments = 'agent_queues=True, agent_conn_ids="idm_agent", agent_executors="EdgeExecutor"'

    tasks = load(arguments).dags["First"].tasks

    assert {task.task_id: task.queue for task in tasks} == {
        **dict.fromkeys(AGENTS_TASKS, "Paris"),
        **dict.fromkeys(SERVERS_TASKS, "default"),
    }
    assert {task.task_id: task.executor for task in tasks} == {
        **dict.fromkeys(AGENTS_TASKS, "EdgeExecutor"),
        **dict.fromkeys(SERVERS_TASKS, None),
    }
    assert {task.task_id: task.idm_conn_id for task in tasks if task.task_id != "Roles"} == {
        **dict.fromkeys(AGENTS_TASKS - {"Roles"}, "idm_agent"),
        **dict.fromkeys(SERVERS_TASKS, "idm_server"),
    }


def test_agents_may_have_connections_and_executors_of_their_own(load) -> None:
    dags = load('agent_conn_ids={"TOKYO": "idm_tokyo"}, agent_executors={"Tokyo": "EdgeExecutor"}').dags
    connections = {
        t.task_id: (t.idm_conn_id, t.executor, t.queue)
        for name in ("First", "Agents_own", "Elsewhere")
        for t in dags[name].tasks
        if hasattr(t, "idm_conn_id")
    }

    server, tokyo = ("idm_server", None, "default"), ("idm_tokyo", "EdgeExecutor", "default")
    assert {name: connections[name] for name in ("Export", "Synchronize")} == {
        "Export": server,
        "Synchronize": server,
    }
    assert connections["Own_Export"] == connections["Own_Complete"] == connections["At_Tokyo"] == tokyo
    # it was sent to Tokyo, but needs the repository
    assert connections["Here"] == ("idm_server", "EdgeExecutor", "default")
    assert connections["Anywhere"] == server


def test_what_is_registered_keeps_its_own_connection_and_executor(load) -> None:
    loader = """\
from airflow_provider_idm import generate_dags
from airflow_provider_idm.operators.export import ExportTaskOperator


def make(task, dag):
    own = {{}} if task.identifier == "Export" else {{"idm_conn_id": "idm_own", "executor": "LocalExecutor"}}
    return ExportTaskOperator(task_id=task.identifier, connection="HR-Persons", **own)


dags = generate_dags("conf", task_operators={{"ExportTask": make}}, {arguments})
"""

    dags = load('agent_conn_ids="idm_agent", agent_executors="EdgeExecutor"', loader).dags

    made = [dags["First"].get_task("Export"), dags["Agents_own"].get_task("Own_Export")]
    assert [(task.idm_conn_id, task.executor) for task in made] == [
        ("idm_agent", "EdgeExecutor"),
        ("idm_own", "LocalExecutor"),
    ]


@pytest.mark.parametrize("parameter", ["agent_conn_ids", "agent_executors"])
def test_an_agent_that_does_not_exist_is_said(load, parameter: str) -> None:
    dags = load(f'{parameter}={{"Pairs": "idm_agent"}}').dags

    for name in ("First", "Elsewhere"):
        assert "idm-config-error" in dags[name].tags
        message = f"generate_dags({parameter}=…): there is no agent 'Pairs'; known are Paris, Tokyo"
        assert message in dags[name].doc_md


class Agent:
    """An agent whose connection has an exchange and a work folder, and a repository that cannot be opened."""

    def __init__(self, folder: Path, connection: Any) -> None:
        self.exchange = folder / "exchange"
        self.work = folder / "work"
        delivered = folder / "persons.csv"
        delivered.write_text("id,name,since,manager\nP1,Ada,2020-01-01,\n", encoding="utf-8")
        connection(
            "idm_agent",
            extra={"repository": UNUSABLE, "exchange": str(self.exchange), "work": str(self.work)},
        )
        connection("HR-Persons", extra={"Path": str(delivered)})
        connection("erp", conn_type="sqlite", host=str(folder / "erp.db"))

    def channel(self) -> Any:
        return Exchange.open(str(self.exchange)).channel("HR")


@pytest.fixture
def agent(tmp_path: Path, connection: Any, monkeypatch: pytest.MonkeyPatch) -> Agent:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the repository was opened")

    monkeypatch.setattr("airflow_provider_idm.repository.Repository.open", refuse)
    return Agent(tmp_path, connection)


def test_nothing_of_an_agent_needs_the_repository(load, airflow_home: AirflowHome, agent: Agent) -> None:
    dag = load('agent_conn_ids="idm_agent"').dags["Agents_own"]

    run = airflow_home.run(dag)

    # nothing changed since the Complete, and still the tasks after it run: that one waits to be synchronized
    assert run.states == dict.fromkeys(
        ["Own_Export", "Own_Query", "Own_Complete", "Own_Changes", "Own_Roles"], "success"
    )
    assert [manifest.batch for manifest in agent.channel().manifests()] == [
        run.xcoms["Own_Complete", "return_value"],
        run.xcoms["Own_Changes", "return_value"],
    ]
    assert (agent.work / "ExportOutput" / "erp.csv").read_text(encoding="utf-8") == "id\nP9\n"


def test_an_agent_learns_of_a_block_from_the_exchange(load, airflow_home: AirflowHome, agent: Agent) -> None:
    dag = load('agent_conn_ids="idm_agent"').dags["Agents_own"]
    airflow_home.run(dag)
    batch = agent.channel().newest().batch
    since = agent.channel().newest().created_at
    agent.channel().write_state(ConnectorState("blocked", since, batch, "thresholds are exceeded"))

    run = airflow_home.run(dag)

    assert run.states == {
        "Own_Query": "success",
        **dict.fromkeys(["Own_Export", "Own_Complete", "Own_Changes", "Own_Roles"], "skipped"),
    }


def test_the_loader_of_the_documentation(airflow_home: AirflowHome) -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (loader,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for name, content in {"HR": CONFIGURATION, "Agents": AGENTS, "Jobs": JOBS}.items():
        airflow_home.write(f"conf/{name}.xml", content)

    dag = vars(airflow_home.load(loader))["First"]

    places = {t.task_id: (t.queue, t.executor, t.idm_conn_id, t.retries) for t in dag.tasks}
    assert {name: places[name] for name in ("Prepare", "Synchronize")} == {
        "Prepare": ("Paris", "EdgeExecutor", "idm_agent", 3),
        "Synchronize": ("default", None, "idm_default", 3),
    }
