"""What parsing a configuration costs and touches, and that it comes to the same every time and everywhere."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import ROOT, AirflowHome
from tests.company.conftest import CONF

pytestmark = pytest.mark.airflow

HEAVY = {
    "adbc_driver_postgresql",
    "adbc_driver_sqlite",
    "duckdb",
    "ldap3",
    "numpy",
    "openpyxl",
    "pandas",
    "psycopg",
    "pyarrow",
    "rich",
    "sqlalchemy",
    "typer",
    "xlrd",
}
LOADER = """\
from airflow_provider_idm import generate_dags

generate_dags("conf")
"""
BROKEN = """\
<ConfigurationFile>
  <Job Identifier="Broken" DisplayName_L1="Broken">
    <SynchronizeTask Identifier="Broken_S" DisplayName_L1="S" Connector="HR" Orphans="perhaps" />
  </Job>
</ConfigurationFile>
"""
PARSE = """\
import json, os, runpy, sys

import airflow.sdk
from airflow.sdk import DAG, BaseOperator, TaskGroup, get_parsing_context, timezone

with DAG("any", schedule="0 4 * * *", start_date=timezone.parse("2026-01-01")) as dag, TaskGroup("group"):
    BaseOperator(task_id="task")
dag.validate()
BEFORE = set(sys.modules)
FILES, ASKED = set(), set()
CODE = (".py", ".pyc", ".so")


def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "w" not in str(arguments[1] or ""):
        FILES.add(arguments[0])
    elif event == "open" and isinstance(arguments[0], str):
        ASKED.add(f"write {arguments[0]}")
    elif event.split(".")[0] in {"socket", "sqlite3", "subprocess", "urllib", "http", "ftplib", "smtplib"}:
        ASKED.add(event)
    elif event in {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.system", "os.fork", "os.exec"}:
        ASKED.add(f"{event} {arguments[0]}")


sys.addaudithook(note)
namespace = runpy.run_path(sys.argv[1])
found = {
    "dags": sorted(value.dag_id for value in namespace.values() if isinstance(value, DAG)),
    "imported": sorted({name.partition(".")[0] for name in set(sys.modules) - BEFORE}),
    "files": sorted(name for name in FILES if not name.endswith(CODE)),
    "asked": sorted(name for name in ASKED if "__pycache__" not in name),
}
print(json.dumps(found))
"""
SERIALIZE = """\
import json, os, runpy, sys

from airflow.sdk import DAG

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization
from airflow.models.serialized_dag import SerializedDagModel

walk = os.walk


def backwards(*arguments, **options):
    for parent, folders, files in walk(*arguments, **options):
        folders.sort(reverse=True)
        files.sort(reverse=True)
        yield parent, folders, files


if "backwards" in sys.argv:
    os.walk = backwards
namespace = runpy.run_path(sys.argv[1])
dags = [value for value in namespace.values() if isinstance(value, DAG)]
serialized = {dag.dag_id: DagSerialization.to_dict(dag) for dag in dags}
hashes = {name: SerializedDagModel.hash(data) for name, data in serialized.items()}
print(json.dumps([hashes, serialized]))
"""


@pytest.fixture
def dag_file(airflow_home: AirflowHome) -> Path:
    """A DAG file that makes the DAGs of a company's configuration, one of whose jobs is broken."""
    shutil.copytree(CONF, airflow_home.dags / "conf")
    airflow_home.write("conf/Jobs/Broken.xml", BROKEN)
    return airflow_home.write("dag_file.py", LOADER)


def parsed(home: AirflowHome, file: Path, code: str = PARSE, *arguments: str, **environment: str) -> Any:
    """Parse a DAG file in a process of its own and return what that found."""
    return json.loads(home.python(code, str(file), *arguments, **environment).splitlines()[-1])


# -------------------------------------------------------------------------------------------------- what it touches


@pytest.mark.parametrize("sample", [True, False], ids=["sample", "company"])
def test_parsing_imports_nothing_heavy(airflow_home: AirflowHome, dag_file: Path, sample: bool) -> None:
    """Beyond what Airflow itself imports for any DAG with a schedule and a task."""
    found = parsed(airflow_home, ROOT / "dags" / "idm.py" if sample else dag_file)

    assert len(found["dags"]) == (3 if sample else 26)
    assert HEAVY & set(found["imported"]) == set()


def test_parsing_reads_the_xml_files_and_nothing_else(airflow_home: AirflowHome, dag_file: Path) -> None:
    """No network, no repository, no source, no exchange, although a connection names them."""
    extra = {
        "repository": f"sqlite:///{airflow_home.home}/repository.db",
        "exchange": f"{airflow_home.home}/exchange",
        "work": f"{airflow_home.home}/work",
    }

    found = parsed(
        airflow_home,
        dag_file,
        AIRFLOW_CONN_IDM_DEFAULT=json.dumps({"conn_type": "idm", "extra": extra}),
        PYTHONDONTWRITEBYTECODE="1",
    )

    assert found["asked"] == []
    files = [Path(name) for name in found["files"]]
    assert sorted(f for f in files if f.is_relative_to(airflow_home.home)) == sorted(
        (dag_file.parent / "conf").rglob("*.xml")
    )
    assert [f for f in files if f.suffix in {".xml", ".csv", ".db", ".json", ".xlsx"}] == [
        f for f in files if f.is_relative_to(airflow_home.home)
    ]


# -------------------------------------------------------------------------------------------- the same every time


def test_parsing_comes_to_the_same_whatever_the_order_of_files_and_sets(
    airflow_home: AirflowHome, dag_file: Path
) -> None:
    """A DAG that serializes differently is a new version of it, to Airflow."""
    first = parsed(airflow_home, dag_file, SERIALIZE, PYTHONHASHSEED="1")
    second = parsed(airflow_home, dag_file, SERIALIZE, "backwards", PYTHONHASHSEED="2")

    assert len(first[0]) == 26
    assert first == second


def test_a_worker_builds_only_its_own_dag_and_the_same(airflow_home: AirflowHome, dag_file: Path) -> None:
    everything = parsed(airflow_home, dag_file, SERIALIZE)

    for name in ("HR_Night", "InitializationJob", "Broken"):  # written out, of a scaffolding, a placeholder
        own = parsed(airflow_home, dag_file, SERIALIZE, _AIRFLOW_PARSING_CONTEXT_DAG_ID=name)
        assert own == [{name: everything[0][name]}, {name: everything[1][name]}]


def test_a_worker_of_another_files_dag_builds_none(airflow_home: AirflowHome, dag_file: Path) -> None:
    assert parsed(airflow_home, dag_file, _AIRFLOW_PARSING_CONTEXT_DAG_ID="another")["dags"] == []


# ---------------------------------------------------------------------------------------------- with a DAG processor

PERSONS = """\
<ConfigurationFile>
  <Job Identifier="{name}" DisplayName_L1="{name}" {attributes}>
    <PrepareSynchronizationTask Identifier="{name}_P" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="{name}_S" DisplayName_L1="S" Connector="HR" {task} />
    {more}
  </Job>
</ConfigurationFile>
"""
PROCESSED = """\
from airflow_provider_idm import generate_dags


def fulfill(task, dag):
    raise RuntimeError("no such server")


generate_dags("conf", strict=True, task_operators={"FulfillTask": fulfill})
generate_dags("unreadable")
"""
LATER = """
<PrepareSynchronizationTask Identifier="Later_Q" Connector="HR" SynchronizationMode="Complete" Level="1">
  <TaskDependsOnTask ParentTask="Later_Z" />
</PrepareSynchronizationTask>
<SetRecentlyModifiedFlagTask Identifier="Later_Z" Level="2" />
"""
REASONS = {
    "Bad_Value": "Bad_Value.xml:4: ",
    "Bad_Cron": "Bad_Cron.xml:2: ",
    "No_Step": "No_Step.xml:5: ",
    "Later": "Later.xml",
    "Unknown": "no operator is registered for UnknownTask 'Unknown_T'",
    "Fulfill": "what is registered for it failed: RuntimeError: no such server",
    "Cut_off": "Cut_off.xml",
    "Suspected": "gone.xml:1: the file cannot be read",
}
"""The DAGs that stand for what is broken, and something of the reason that each must show."""


def person_job(name: str, attributes: str = "", task: str = "", more: str = "") -> str:
    return PERSONS.format(name=name, attributes=attributes, task=task, more=more)


def test_airflows_dag_processor_sees_broken_and_healthy_jobs_side_by_side(
    airflow_home: AirflowHome, configuration: Path
) -> None:
    """An exception in one DAG of a file would take all DAGs of the file away."""
    for name in ("conf", "unreadable"):
        shutil.copytree(configuration, airflow_home.dags / name)
    jobs = {
        "Healthy": person_job("Healthy", 'CronTabExpression="0 4 * * *"'),
        "Bad_Value": person_job("Bad_Value", task='Orphans="perhaps"'),
        "Bad_Cron": person_job("Bad_Cron", 'CronTabExpression="61 * * * *"'),
        "No_Step": person_job("No_Step", more='<Step Identifier="Nowhere" />'),
        "Later": person_job("Later", more=LATER),
        "Unknown": person_job("Unknown", more='<UnknownTask Identifier="Unknown_T" />'),
        "Fulfill": person_job("Fulfill", more='<FulfillTask Identifier="Fulfill_T" />'),
        "Cut_off": person_job("Cut_off").partition("</Job>")[0].replace("HR", "AD"),
        "AD": '<ConfigurationFile><Connector Identifier="AD" DisplayName_L1="AD" /></ConfigurationFile>',
    }
    for name, text in jobs.items():
        airflow_home.write(f"conf/{name}.xml", text)
    airflow_home.write("unreadable/Jobs.xml", person_job("Suspected"))
    gone = airflow_home.dags / "unreadable" / "gone.xml"  # it may hold a mapping of any connector
    gone.symlink_to("nowhere.xml")
    airflow_home.write("dag_file.py", PROCESSED)

    start = datetime.now(UTC).replace(tzinfo=None)
    airflow_home.command("dag-processor", "--num-runs", "1")

    found = _stored(airflow_home, start)
    assert {name for name, (tags, _, _) in found.items() if tags == {"idm"}} == {"Healthy"}
    broken = {name: doc for name, (tags, _, doc) in found.items() if tags == {"idm", "idm-config-error"}}
    assert set(broken) == set(REASONS)
    for name, reason in REASONS.items():
        assert reason in broken[name]
    assert {name for name, (_, schedule, _) in found.items() if "*" in (schedule or "")} == {"Healthy"}


def _stored(home: AirflowHome, start: datetime) -> dict[str, tuple[set[str], str | None, str]]:
    """Return tags, schedule and documentation of each DAG that the metadata database has of the file since a moment."""
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{home.home}/airflow.db")
    with engine.connect() as database:
        assert database.execute(text("select filename, stacktrace from import_error")).all() == []
        rows = database.execute(
            text(
                "select d.dag_id, d.timetable_summary, s.data from dag d "
                "join serialized_dag s on s.dag_id = d.dag_id "
                "where d.fileloc like '%/dag_file.py' and not d.is_stale and not d.has_import_errors "
                "and d.last_parsed_time >= :start order by s.created_at"
            ),
            {"start": start.isoformat(sep=" ")},
        ).all()
        tags = database.execute(text("select dag_id, name from dag_tag")).all()
    engine.dispose()
    return {
        dag: ({name for other, name in tags if other == dag}, schedule, json.loads(data)["dag"]["doc_md"])
        for dag, schedule, data in rows
    }
