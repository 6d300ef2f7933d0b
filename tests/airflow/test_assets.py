"""The assets of what is synchronized: their URIs, and which tasks have them; what is kept of counts."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_idm.assets.uri import (
    asset_uri,
    convert_asset_to_openlineage,
    create_asset,
    sanitize_uri,
    synchronized,
)
from airflow_provider_idm.errors import RepositoryUnavailableError
from airflow_provider_idm.observability import outlet
from airflow_provider_idm.observability.lineage.facts import SynchronizeFacts
from airflow_provider_idm.observability.lineage.names import Name, file_name, table_name
from airflow_provider_idm.observability.outlet import extra_of
from airflow_provider_idm.observability.told import LONGEST_LIST, short_counts, shortened
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.synchronization.exchange import Origin
from airflow_provider_idm.synchronization.synchronize import SynchronizeResult, resume, synchronize
from airflow_provider_idm.synchronization.synchronize.result import (
    AssociationCounts,
    BatchOutcome,
    EntityTypeCounts,
)
from tests.airflow.conftest import ROOT, AirflowHome
from tests.oracle.harness import Harness
from tests.oracle.shapes import HR
from tests.synchronize.scenario import full

pytestmark = pytest.mark.airflow

# --------------------------------------------------------------------------------------------------------------- URIs


def test_the_asset_of_a_connector_is_the_one_that_its_uri_names() -> None:
    assert asset_uri("HR") == "idm://idm_default/HR"
    assert synchronized("HR") == Asset(uri="idm://idm_default/HR")
    assert create_asset(connector="HR", extra={"a": 1}) == Asset(uri="idm://idm_default/HR", extra={"a": 1})
    assert synchronized("HR").extra == {}


@pytest.mark.parametrize(
    ("connector", "connection", "uri"),
    [
        ("Human Resources", "idm_default", "idm://idm_default/Human%20Resources"),
        ("Lüneburg/HR", "idm-2", "idm://idm-2/L%C3%BCneburg%2FHR"),
        ("A?b#c%d", "idm:x", "idm://idm%3Ax/A%3Fb%23c%25d"),
    ],
)
def test_what_a_uri_may_not_have_is_encoded(connector: str, connection: str, uri: str) -> None:
    assert asset_uri(connector, connection) == uri
    assert sanitize_uri(urlsplit(uri)).geturl() == uri
    assert synchronized(connector, connection) == Asset(uri=uri)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("idm://idm_default", "expected idm://<connection>/<connector>"),
        ("idm://idm_default/", "expected idm://<connection>/<connector>"),
        ("idm:///HR", "expected idm://<connection>/<connector>"),
        ("idm://idm_default/HR/Person", "expected idm://<connection>/<connector>"),
        ("idm://idm_default/HR?a=1", "expected idm://<connection>/<connector>"),
        ("idm://idm_default/Human Resources", "expected idm://idm_default/Human%20Resources"),
        ("idm://idm_default/Lüneburg", "expected idm://idm_default/L%C3%BCneburg"),
    ],
)
def test_a_uri_of_another_form_is_refused_with_the_right_one(uri: str, expected: str) -> None:
    with pytest.raises(ValueError, match="is not the asset of a connector") as refused:
        sanitize_uri(urlsplit(uri))

    assert str(refused.value).endswith(expected)


def test_openlineage_is_told_connection_and_connector() -> None:
    pytest.importorskip("openlineage")
    found = convert_asset_to_openlineage(synchronized("Human Resources", "idm_2"), None)

    assert (found.namespace, found.name) == ("idm://idm_2", "Human Resources")


def test_making_the_asset_loads_no_handler_of_other_providers_uris() -> None:
    code = """
import sys
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
SynchronizeTaskOperator(task_id="synchronize", connector="HR")
print([m for m in sys.modules if m.startswith(("airflow.providers.common.io.assets", "openlineage"))])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip().endswith("[]")


# ------------------------------------------------------------------------------------------------------------ outlets


def outlets(**options: Any) -> list[Any]:
    """Return the outlets that a DAG shows of a synchronize."""
    with DAG("outlets", schedule=None):
        return list(SynchronizeTaskOperator(task_id="synchronize", **options).outlets)


def test_a_synchronize_has_the_asset_beside_its_author_s_outlets() -> None:
    own = Asset("own")

    assert outlets(connector="HR") == [synchronized("HR")]
    assert outlets(connector="HR", idm_conn_id="idm_2") == [synchronized("HR", "idm_2")]
    assert outlets(connector="HR", outlets=[own]) == [own, synchronized("HR")]


def test_an_author_who_names_the_asset_too_has_it_once() -> None:
    (found,) = outlets(connector="HR", outlets=[Asset(uri=asset_uri("HR"), extra={"team": "identity"})])

    assert found.extra == {"team": "identity"}


def test_what_can_never_change_anything_has_no_asset() -> None:
    assert outlets(connector="HR", dry_run=True) == []


def test_a_templated_connector_has_its_asset_when_it_runs() -> None:
    with DAG("templated", schedule=None):
        task = SynchronizeTaskOperator(task_id="synchronize", connector="{{ params.connector }}")
    assert task.outlets == []

    told = defaultdict(lambda: SimpleNamespace(extra={}))
    accessors = type("Accessors", (), {"__getitem__": lambda _, asset: told[asset.uri]})()
    result = applied(1, 1)
    assert task._outlet is not None
    assert task._outlet.announce(task, {"outlet_events": accessors}, result, "idm_default")  # type: ignore[typeddict-item]

    assert task.outlets == [synchronized("HR")]
    assert told["idm://idm_default/HR"].extra == extra_of(result)


def test_the_examples_of_the_documentation(airflow_home: AirflowHome) -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    downstream, own = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    dag = airflow_home.load(downstream).dag
    assert synchronized("HR") in dag.timetable.asset_condition.objects
    assert airflow_home.load(own)


DAG_FILE = """\
from airflow.sdk import DAG, Asset

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

with DAG("assets_tested", schedule=None) as dag:
    prepare = PrepareSynchronizationTaskOperator(task_id="prepare", connector="HR", synchronization_mode="Complete")
    SynchronizeTaskOperator(
        task_id="synchronize", connector="HR", batch=prepare.output, outlets=[Asset("tested_own")]
    )
"""


def test_events_come_where_a_dag_is_tested_too(
    airflow_home: AirflowHome, configuration: Path, connection: Any
) -> None:
    connection(extra={"configuration": str(configuration)})
    sources = airflow_home.work / "ExportOutput"
    sources.mkdir(parents=True)
    (sources / "HR-Persons.csv").write_text("id,name,since,manager\n1,Zoë,2020-01-01,\n", encoding="utf-8")
    dag = airflow_home.load(DAG_FILE).dag

    # when a person is new, and when nothing changed
    for _ in range(2):
        assert airflow_home.run(dag).state == "success"

    # then there is one event of the connector, and two of the author's outlet
    assert events(synchronized("HR"), dag) == [
        {
            "connector": "HR",
            "batches": [ANY],
            "entity_types": {
                "Person": {"inserted": 1, "updated": 0, "deleted": 0, "unchanged": 0, "anomalies": 0}
            },
            "associations": {
                "Person_Manager": {"inserted": 0, "deleted": 0, "unchanged": 0, "orphans": 0, "conflicts": 0}
            },
        }
    ]
    assert len(events(Asset("tested_own"), dag)) == 2


TRIES = """\
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

with DAG("{name}", schedule=None) as dag:
    complete = PrepareSynchronizationTaskOperator(
        task_id="complete", connector="HR", synchronization_mode="Complete"
    )
    changes = PrepareSynchronizationTaskOperator(
        task_id="changes", connector="HR", synchronization_mode="Incremental"
    )
    synchronize = SynchronizeTaskOperator(
        task_id="synchronize", connector="HR", batch={batch}, retries=1, retry_delay=timedelta(0)
    )
    complete >> changes >> synchronize
"""


@pytest.mark.parametrize(
    ("name", "batch", "when", "told"),
    [
        # the database goes away after the first of two batches, the second of which changes nothing
        ("between", "changes.output", 2, ["complete", "changes"]),
        # or once everything was applied, before the task could tell
        ("after", "changes.output", 3, ["complete", "changes"]),
        ("after_all", None, 3, ["complete"]),
    ],
)
def test_what_an_earlier_try_applied_is_announced_once(
    airflow_home: AirflowHome,
    configuration: Path,
    connection: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    batch: str | None,
    when: int,
    told: list[str],
) -> None:
    connection(extra={"configuration": str(configuration)})
    sources = airflow_home.work / "ExportOutput"
    sources.mkdir(parents=True)
    (sources / "HR-Persons.csv").write_text("id,name,since,manager\n1,Zoë,2020-01-01,\n", encoding="utf-8")
    dag = airflow_home.load(TRIES.format(name=f"assets_{name}", batch=batch)).dag
    fail_at(when, monkeypatch)

    run = airflow_home.run(dag)

    assert (run.state, run.tries["synchronize"]) == ("success", 2)
    (event,) = events(synchronized("HR"), dag)
    batches = [run.xcoms[task, "return_value"] for task in told]
    assert (event["batches"], event["entity_types"]["Person"]["inserted"]) == (batches, 1)
    assert run.xcoms["synchronize", "has_effect"] is True
    result = run.xcoms["synchronize", "return_value"]
    assert [one["id"] for one in result["batches"]] == batches
    assert result["entity_types"]["Person"]["inserted"] == 1


def fail_at(when: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database go away once: before the first or the second batch is applied, or after both were."""
    from airflow_provider_idm.operators import synchronize as operators
    from airflow_provider_idm.synchronization.synchronize.batch import BatchRun

    calls = itertools.count(1)

    def guarded(function: Any) -> Any:
        def guard(*arguments: Any) -> Any:
            if next(calls) == when:
                raise RepositoryUnavailableError("the database is gone")
            return function(*arguments)

        return guard

    monkeypatch.setattr(BatchRun, "process", guarded(BatchRun.process))
    conclude = operators.SynchronizeTaskOperator.conclude
    monkeypatch.setattr(operators.SynchronizeTaskOperator, "conclude", guarded(conclude))


def test_what_was_applied_before_a_block_is_told_with_what_was_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a task that applied a batch that was left behind, and waits for a decision about its own
    harness = Harness(HR, f"sqlite:///{tmp_path}/repository.db", tmp_path)
    harness.limit({"Person": {"MaximumDeletedLines": "1"}})
    start = full("1/ada/L 2/alan/T 3/grace/H")
    left = harness.publish(start, "Initial", dated=datetime(2026, 1, 1, tzinfo=UTC))
    own = harness.publish(full(), "Complete", dated=datetime(2026, 1, 2, tzinfo=UTC))
    task = SynchronizeTaskOperator(task_id="synchronize", connector="HR")
    origin = Origin(job="nightly", run="r1", task="synchronize")
    request = harness.request(batch=own, origin=origin)
    assert synchronize(request).state == "blocked"
    ended: list[Any] = []
    monkeypatch.setattr(outlet, "_events", lambda _: ended)

    def end() -> list[Any]:
        """Let the task end with what a person resumed; return what its events tell."""
        told = defaultdict(lambda: SimpleNamespace(extra={}))
        accessors = type("Accessors", (), {"__getitem__": lambda _, asset: told[asset.uri]})()
        ti = SimpleNamespace(dag_id="nightly", run_id="r1", task_id="synchronize", map_index=-1)
        context: Any = {
            "ti": SimpleNamespace(**vars(ti), xcom_push=lambda **_: None),
            "outlet_events": accessors,
        }
        task._keep_asset_back()
        task.conclude(resume(request, by="anna", batch=own), request, context)
        extras = [told[asset.uri].extra for asset in task.outlets]
        source = {f"source_{name}": value for name, value in vars(ti).items()}
        ended.extend(SimpleNamespace(**source, extra=extra) for extra in extras)
        counts = [extra["entity_types"]["Person"] for extra in extras]
        return [(e["batches"], c["inserted"], c["deleted"]) for e, c in zip(extras, counts, strict=True)]

    # when it is resumed, then both are told, and when the task is cleared, nothing
    assert end() == [([left, own], 3, 3)]
    assert end() == []
    harness.close()


def test_batches_that_were_cancelled_are_not_told_as_applied() -> None:
    result = SynchronizeResult(
        "HR",
        "completed",
        batches=(BatchOutcome("a", "Incremental", "cancelled"), BatchOutcome("b", "Complete", "applied")),
        entity_types={"Person": EntityTypeCounts(inserted=1)},
    )

    assert extra_of(result)["batches"] == ["b"]
    facts = SynchronizeFacts(SimpleNamespace(), Name("file", "/x"), "sqlite://", None, "idm_default")  # type: ignore[arg-type]
    facts.has_done(result, SimpleNamespace(channel=lambda _: SimpleNamespace(manifest=lambda batch: batch)))  # type: ignore[arg-type]
    assert facts.manifests == ("b",)


def events(asset: Asset, dag: DAG) -> list[dict[str, Any]]:
    """Return the extras of an asset's events that a DAG made: other tests synchronize a connector HR too."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        number = session.scalar(select(AssetModel.id).where(AssetModel.uri == asset.uri))
        found = session.scalars(
            select(AssetEvent)
            .where(AssetEvent.asset_id == number, AssetEvent.source_dag_id == dag.dag_id)
            .order_by(AssetEvent.id)
        )
        return [dict(event.extra) for event in found]


# -------------------------------------------------------------------------------------------------------------- sizes


def applied(entity_types: int, associations: int, batches: int = 1, warnings: int = 0) -> SynchronizeResult:
    """Return what a synchronization did in so many entity types and associations; the last of each changed."""
    return SynchronizeResult(
        "HR",
        "completed",
        batches=tuple(BatchOutcome(f"0000000{n:029}", "Complete", "applied") for n in range(1, batches + 1)),
        entity_types={
            f"EntityType_{n:04}": EntityTypeCounts(inserted=n == entity_types, unchanged=1_000_000)
            for n in range(1, entity_types + 1)
        },
        associations={
            f"Association_{n:04}": AssociationCounts(deleted=n == associations, unchanged=1_000_000)
            for n in range(1, associations + 1)
        },
        warnings=tuple(f"warning {n} {'x' * 2000}" for n in range(warnings)),
    )


def test_the_xcom_stays_small_whatever_happened() -> None:
    told = shortened(applied(200, 300, batches=400, warnings=1000).as_dict())

    # lists are cut, and say so; of the batches the last ones are kept
    assert (len(told["batches"]), told["batches_omitted"]) == (LONGEST_LIST, 380)
    assert told["batches"][-1]["id"].endswith("400")
    assert (len(told["warnings"]), told["warnings_omitted"]) == (LONGEST_LIST, 980)
    assert max(map(len, told["warnings"])) == 501
    # counts are complete: five numbers for each entity type and association of the configuration
    assert (len(told["entity_types"]), len(told["associations"])) == (200, 300)
    assert len(json.dumps(told)) < 15_000 + 130 * 500


def test_what_is_short_is_told_whole() -> None:
    result = applied(2, 1, batches=1, warnings=0)

    assert shortened(result.as_dict()) == result.as_dict()


def test_the_extra_of_an_event_has_a_bound() -> None:
    extra = extra_of(applied(200, 300, batches=400))

    # of what there is most of, that which changed is kept
    assert (len(extra["entity_types"]), extra["entity_types_omitted"]) == (100, 100)
    assert extra["entity_types"]["EntityType_0200"]["inserted"] == 1
    assert extra["associations"]["Association_0300"]["deleted"] == 1
    assert (len(extra["batches"]), extra["batches_omitted"]) == (LONGEST_LIST, 380)
    assert len(json.dumps(extra)) < 30_000


def test_counts_that_fit_keep_their_order() -> None:
    counts = applied(3, 0).counts()

    assert list(short_counts(counts)["entity_types"]) == list(counts["entity_types"])


# -------------------------------------------------------------------------------------------------- names of datasets


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/data/hr/HR-Persons.csv", ("file", "/data/hr/HR-Persons.csv")),
        ("s3://aws_default@bucket/idm/exchange", ("s3://bucket", "idm/exchange")),
        ("s3a://bucket/idm", ("s3://bucket", "idm")),
        ("gcs://bucket", ("gs://bucket", "")),
        ("sftp://user:secret@host:22/data", ("sftp://host:22", "data")),
        ("file:///data/x", ("file", "/data/x")),
    ],
)
def test_files_are_called_as_openlineage_calls_them(place: str, expected: tuple[str, str]) -> None:
    assert tuple(file_name(place)) == expected


def test_what_lies_in_a_folder_is_called_by_it() -> None:
    assert file_name("/exchange/").below("HR", "Person").name == "/exchange/HR/Person"
    assert file_name("s3://bucket").below("HR", "Person").name == "HR/Person"


@pytest.mark.parametrize(
    ("url", "schema", "expected"),
    [
        ("sqlite:////data/repository.db", None, ("sqlite:///data/repository.db", "UR_Resources")),
        (
            "postgresql+psycopg://idm:secret@db:5433/identity",
            None,
            ("postgres://db:5433", "identity.public.UR_Resources"),
        ),
        ("postgresql://db/identity", "hr", ("postgres://db:5432", "identity.hr.UR_Resources")),
        (
            "postgresql://u:p@/identity?host=/run/postgresql",
            None,
            ("postgres://localhost:5432", "identity.public.UR_Resources"),
        ),
    ],
)
def test_tables_are_called_as_openlineage_calls_them(
    url: str, schema: str | None, expected: tuple[str, str]
) -> None:
    assert tuple(table_name(url, schema, "UR_Resources")) == expected


def test_what_lineage_knows_shows_no_password() -> None:
    url = "postgresql+psycopg://idm:s3cret@db/idm"
    facts = SynchronizeFacts(SimpleNamespace(), Name("file", "/x"), url, None, "idm_default")  # type: ignore[arg-type]

    assert facts.repository == url
    assert "s3cret" not in repr(facts)
