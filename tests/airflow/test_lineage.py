"""OpenLineage is told where data comes from and goes to, by its own provider; metrics are sent on the same occasion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import CONFIGURATION, ROOT, AirflowHome
from tests.airflow.observed import Observed, observe

pytest.importorskip("airflow.providers.openlineage")
pytest.importorskip("statsd")

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PERSONS = (
    "id,name,since,manager\n1,Zoë Müller,2020-01-01,\n2,Łukasz O'Neill,2021-02-03,1\n2,Twice,2021-02-03,\n"
)
DAGS = """\
from airflow.sdk import DAG
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

dags = {{}}
kinds = {{"good": {{}}, "dry": {{"dry_run": True}}, "blocked": {{"on_threshold": "fail"}}, "missing": {{}}}}
for name, options in kinds.items():
    with DAG("lineage_" + name, schedule=None) as dag:
        prepare = PrepareSynchronizationTaskOperator(
            task_id="prepare", connector="HR", synchronization_mode="Complete", sources_directory="{folder}/sources"
        )
        SynchronizeTaskOperator(task_id="synchronize", connector="HR", batch=prepare.output, **options)
    dags[name] = globals()[dag.dag_id] = dag
"""
CODE = """\
import importlib.util, pathlib, sys

spec = importlib.util.spec_from_file_location("lineage", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

def run(name):
    state = module.dags[name].test().state
    return str(getattr(state, "value", state))

source = pathlib.Path(sys.argv[2])
assert run("good") == "success"
assert run("dry") == "success"
source.write_text(source.read_text().splitlines()[0] + "\\n")
assert run("blocked") == "failed"
source.unlink()
assert run("missing") == "failed"
"""


@pytest.fixture(scope="module")
def observed(
    migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Observed]]:
    """Run a synchronization, a dry run of it, one that is blocked and one without a source file."""
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "conf").mkdir()
    limit = '"Human Resources" MaximumDeletedLines="1"'
    text = CONFIGURATION.replace('"Human Resources"', limit)
    (folder / "conf" / "HR.xml").write_text(text, encoding="utf-8")
    (folder / "sources").mkdir()
    (folder / "sources" / "HR-Persons.csv").write_text(PERSONS, encoding="utf-8")
    extra = {
        "configuration": str(folder / "conf"),
        "repository": f"sqlite:///{folder}/repository.db",
        "exchange": str(folder / "exchange"),
        "work": str(folder / "work"),
    }
    file = migrated.write("lineage.py", DAGS.format(folder=folder))
    connection = json.dumps({"conn_type": "idm", "extra": extra})
    source = str(folder / "sources" / "HR-Persons.csv")
    arguments = (str(file), source)
    yield folder, observe(migrated, CODE, folder, *arguments, AIRFLOW_CONN_IDM_DEFAULT=connection)
    file.unlink(missing_ok=True)


def test_a_prepare_tells_source_files_and_the_batch(observed: tuple[Path, Observed]) -> None:
    folder, seen = observed
    event = seen.event("lineage_good.prepare", "COMPLETE")

    # its input is the source file, with all its rows
    (source,) = event["inputs"]
    assert (source["namespace"], source["name"]) == ("file", f"{folder}/sources/HR-Persons.csv")
    assert names(source) == ["id", "name", "since", "manager"]
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 3

    # its outputs are the clean files, called alike whatever the batch, which is their version
    person, manager = event["outputs"]
    assert (person["namespace"], person["name"]) == ("file", f"{folder}/exchange/HR/Person")
    assert manager["name"] == f"{folder}/exchange/HR/Person_Manager"
    assert names(person) == ["Id_", "Name", "Since"]
    written = person["outputFacets"]["outputStatistics"]
    assert (written["rowCount"], written["fileCount"]) == (2, 1)
    facet = event["run"]["facets"]["idm_prepare"]
    assert person["facets"]["version"]["datasetVersion"] == facet["batch"]
    assert facet["files"]["Person"] == {"rows": 2, "duplicates": 1, "nullpk": 0, "invalid": 0}

    # and each of their columns comes from a column of the source
    assert lineage(person) == {
        "Id_": [("HR-Persons.csv", "id", "IDENTITY", "Person.Id_")],
        "Name": [("HR-Persons.csv", "name", "IDENTITY", "Person.Name")],
        "Since": [("HR-Persons.csv", "since", "TRANSFORMATION", "Person.Since")],
    }
    assert [column for _, column, *_ in lineage(manager)["key2"]] == ["manager"]


def test_a_synchronize_tells_the_batch_and_the_tables(observed: tuple[Path, Observed]) -> None:
    folder, seen = observed
    event = seen.event("lineage_good.synchronize", "COMPLETE")
    batch = seen.event("lineage_good.prepare", "COMPLETE")["run"]["facets"]["idm_prepare"]["batch"]

    # its inputs are the outputs of the prepare
    assert [(d["name"], d["facets"]["version"]["datasetVersion"]) for d in event["inputs"]] == [
        (f"{folder}/exchange/HR/Person", batch),
        (f"{folder}/exchange/HR/Person_Manager", batch),
    ]
    assert [d["inputFacets"]["inputStatistics"]["rowCount"] for d in event["inputs"]] == [2, 1]

    # its outputs are the repository's table, and the asset
    table, asset = event["outputs"]
    assert (table["namespace"], table["name"]) == (f"sqlite://{folder}/repository.db", "UR_Resources")
    assert (asset["namespace"], asset["name"]) == ("idm://idm_default", "HR")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 2

    # each of its columns comes from one of the batch, and through that from one of the source
    ways = lineage(table)
    assert list(ways) == ["C4", "C5", "C6", "I40", "PrimaryKey"]
    assert ways["C5"] == [
        ("Person", "Name", "IDENTITY", "Person.Name"),
        ("HR-Persons.csv", "name", "IDENTITY", "Person.Name"),
    ]
    assert [column for _, column, *_ in ways["C6"]] == ["Since", "since"]
    assert [column for _, column, *_ in ways["I40"]] == ["key2", "manager"]
    assert event["run"]["facets"]["idm_synchronize"]["entityTypes"]["Person"]["inserted"] == 2


def test_what_changed_nothing_or_failed_tells_its_inputs_alone(observed: tuple[Path, Observed]) -> None:
    folder, seen = observed
    inputs = [f"{folder}/exchange/HR/Person", f"{folder}/exchange/HR/Person_Manager"]
    for task, kind, expected in (
        ("lineage_dry.synchronize", "COMPLETE", inputs),
        ("lineage_blocked.synchronize", "FAIL", inputs),
        ("lineage_missing.prepare", "FAIL", [f"{folder}/sources/HR-Persons.csv"]),
    ):
        event = seen.event(task, kind)
        assert ([d["name"] for d in event["inputs"]], event["outputs"]) == (expected, []), task


def test_no_value_of_a_person_is_told(observed: tuple[Path, Observed]) -> None:
    _, seen = observed
    told = json.dumps(seen.events, ensure_ascii=False) + "".join(seen.metrics.lines)

    assert len(seen.events) > 15
    assert not [value for value in ("Müller", "O'Neill", "Twice", "2021-02-03", "20210203") if value in told]


# ------------------------------------------------------------------------------------------------------------ metrics


def test_durations_and_counts_are_sent_to_statsd(observed: tuple[Path, Observed]) -> None:
    _, seen = observed
    metrics = seen.metrics
    tags = {"connector": "HR", "mode": "complete"}

    # each run of a task, by how it ended, with its duration in milliseconds
    assert metrics.values("idm.prepare.runs", **tags, state="success") == [1, 1, 1]
    assert metrics.values("idm.prepare.runs", **tags, state="failed") == [1]
    assert metrics.values("idm.synchronize.runs", **tags, state="success") == [1]
    assert metrics.values("idm.synchronize.runs", **tags, state="failed") == [1]
    (duration,) = metrics.values("idm.synchronize.duration", **tags, state="success")
    assert 1 < duration < 600_000

    # what a prepare read and set aside
    expected = {"rows": 3, "duplicates": 1, "nullpk": 2, "invalid": 0, "inserts": 0}
    assert {name: metrics.values(f"idm.prepare.{name}", **tags)[0] for name in expected} == expected

    # what a synchronize did; what only would be done is not counted
    expected = {
        "batches": 1,
        "resources_inserted": 2,
        "resources_updated": 0,
        "resources_deleted": 0,
        "links_inserted": 1,
        "links_deleted": 0,
        "anomalies": 0,
        "orphans": 0,
        "conflicts": 0,
        "warnings": 0,
    }
    found = {name: metrics.values(f"idm.synchronize.{name}", **tags) for name in expected}
    assert found == {name: [number] for name, number in expected.items()}
    assert metrics.values("idm.synchronize.blocked", **tags) == [1]


def test_every_metric_that_is_sent_is_documented(observed: tuple[Path, Observed]) -> None:
    _, seen = observed
    sent = {line.split(",")[0].rpartition(":")[0] or line.split(",")[0] for line in seen.metrics.lines}
    sent = {name.removeprefix("airflow.") for name in sent if name.startswith("airflow.idm.")}

    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    documented = set()
    for cell in re.findall(r"^\| (`idm\..*?) \|", text, re.MULTILINE):
        first, *others = re.findall(r"`([\w.<>]+)`", cell)
        stem = first.rpartition(".")[0]
        documented |= {first, *(name if name.startswith("idm.") else stem + name for name in others)}
    steps = {name.replace("<step>", step) for name in documented for step in ("prepare", "synchronize")}

    assert sent
    assert sent <= steps


def names(dataset: dict[str, Any]) -> list[str]:
    """Return the columns of a dataset."""
    return [field["name"] for field in dataset["facets"]["schema"]["fields"]]


def lineage(dataset: dict[str, Any]) -> dict[str, list[tuple[str, str, str, str]]]:
    """Return by column the file and column that it comes from, how, and what it is."""
    return {
        column: [
            (
                Path(found["name"]).name,
                found["field"],
                found["transformations"][0]["subtype"],
                found["transformations"][0]["description"],
            )
            for found in way["inputFields"]
        ]
        for column, way in sorted(dataset["facets"]["columnLineage"]["fields"].items())
    }
