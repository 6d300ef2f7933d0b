"""A real Airflow for the tests: a home of its own, a metadata database on SQLite, DAG runs through ``dag.test()``.

Airflow reads its settings when it is first imported: they must be in the environment before.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from airflow.sdk import DAG

ROOT = Path(__file__).parents[2]
HOME = Path(tempfile.mkdtemp(prefix="idm-airflow-"))
SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),  # dag.test() of Airflow 3.2 needs one
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
}
_numbers = itertools.count()

os.environ.update(SETTINGS)
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """What a DAG run came to.

    :param states: state by task id.
    :param tries: how often each task was tried.
    :param xcoms: value by (task id, key).
    """

    state: str
    states: dict[str, str]
    tries: dict[str, int]
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AirflowHome:
    """The test's Airflow: its DAG folder and what the provider keeps under ``$AIRFLOW_HOME/idm``."""

    home: Path

    @property
    def dags(self) -> Path:
        return self.home / "dags"

    @property
    def work(self) -> Path:
        return self.home / "idm" / "work"

    @property
    def repository(self) -> str:
        return f"sqlite:///{self.home / 'idm' / 'repository.db'}"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the DAG folder."""
        path = self.dags / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def load(self, text: str, name: str = "dag_file.py") -> ModuleType:
        """Write a DAG file and import it."""
        return self.import_file(self.write(name, text))

    def import_file(self, path: Path) -> ModuleType:
        """Import a DAG file."""
        spec = importlib.util.spec_from_file_location(f"dag_file_{next(_numbers)}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def run(self, dag: DAG, **arguments: Any) -> Run:
        """Run a DAG as ``dag.test()`` does."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        try:
            done = dag.test(**arguments)
        finally:
            os.environ.pop("_AIRFLOW_PARSING_CONTEXT_DAG_ID", None)  # Airflow 3.1 leaves them behind
            os.environ.pop("_AIRFLOW_PARSING_CONTEXT_TASK_ID", None)
        with create_session() as session:
            tasks = done.get_task_instances(session=session)
            states = {task.task_id: str(getattr(task.state, "value", task.state)) for task in tasks}
            tries = {task.task_id: task.try_number for task in tasks}
            rows = XComModel.get_many(run_id=done.run_id, dag_ids=dag.dag_id)
            rows = session.scalars(rows) if hasattr(rows, "compile") else rows.all()
            xcoms = {(row.task_id, row.key): XComModel.deserialize_value(row) for row in rows}
        return Run(str(getattr(done.state, "value", done.state)), states, tries, xcoms)

    def command(self, *arguments: str, **environment: str) -> str:
        """Run an ``airflow`` command and return its standard output."""
        return self._execute("-m", "airflow", *arguments, **environment)

    def python(self, code: str, *arguments: str, **environment: str) -> str:
        """Run Python code in a process of its own and return its standard output."""
        return self._execute("-c", code, *arguments, **environment)

    def _execute(self, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def migrated() -> AirflowHome:
    """An Airflow home whose metadata database is there."""
    home = AirflowHome(HOME)
    home.dags.mkdir(exist_ok=True)
    home.command("db", "migrate")
    return home


@pytest.fixture
def airflow_home(migrated: AirflowHome) -> Iterator[AirflowHome]:
    """An Airflow home without DAGs and without a repository."""
    yield migrated
    for folder in (migrated.dags, migrated.home / "idm"):
        shutil.rmtree(folder, ignore_errors=True)
    migrated.dags.mkdir()
    if "airflow.models.dagrun" in sys.modules:
        _forget_dags()


def _forget_dags() -> None:
    """Remove the test's DAGs from the metadata database: before 3.3, Airflow tests a DAG as it was first stored."""
    from airflow.api.common.delete_dag import delete_dag
    from airflow.models.dag import DagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(sa.delete(TaskInstance))  # those of a run that was broken off would keep their DAG
        for dag_id in session.scalars(sa.select(DagModel.dag_id)).all():
            delete_dag(dag_id, session=session)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Define an Airflow connection for the test."""

    def define(conn_id: str = "idm_default", **values: Any) -> None:
        text = json.dumps({"conn_type": "idm", **values})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)

    return define


CONFIGURATION = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="Human Resources" MaxPercentageInsertedLines="0"
             MaxPercentageUpdatedLines="0" MaxPercentageDeletedLines="0" MaxLinkPercentageInsertedLines="0"
             MaxLinkPercentageDeletedLines="0" />
  <Connection Identifier="HR-Persons" Connector="HR" DisplayName_L1="Persons" Package="Usercube.CSV@0000001" />
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="Id_" DisplayName_L1="Number" Type="String" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="Name" DisplayName_L1="Name" Type="String" TargetColumnIndex="5" />
    <Property Identifier="Since" DisplayName_L1="Since" Type="DateTime" TargetColumnIndex="6" />
    <Property Identifier="Manager" DisplayName_L1="Manager" Type="ForeignKey" TargetColumnIndex="128" />
    <Property Identifier="Reports" DisplayName_L1="Reports" Type="ForeignKey" />
  </EntityType>
  <EntityAssociation Identifier="Person_Manager" DisplayName_L1="Manager" Property1="Person:Manager"
                     Property2="Person:Reports" IsProperty2Collection="true" />
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR-Persons">
    <Property Identifier="Id_" ConnectionColumn="id" IsPrimaryKey="true" />
    <Property Identifier="Name" ConnectionColumn="name" />
    <Property Identifier="Since" ConnectionColumn="since" Format="Date" />
  </EntityTypeMapping>
  <EntityAssociationMapping Identifier="Person_Manager" Connector="HR" ConnectionTable="HR-Persons"
                            Column1="id" EntityPropertyMapping1="Person:Id_"
                            Column2="manager" EntityPropertyMapping2="Person:Id_" />
</ConfigurationFile>
"""
"""One connector with persons and their managers, both in ``HR-Persons.csv`` (id, name, since, manager)."""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The folder of an XML configuration with one connector."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "HR.xml").write_text(CONFIGURATION, encoding="utf-8")
    return folder
