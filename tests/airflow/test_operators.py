"""Operators in DAGs of one's own, run by a real Airflow."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from tests.airflow.conftest import AirflowHome, Run

pytestmark = pytest.mark.airflow

DAY_1 = "id,name,since,manager\n1,Zoë Müller,2020-01-01,\n2,Łukasz O'Neill,2021-02-03,1\n3,Anna Brûlé,2022-05-06,9\n"
DAY_2 = (
    "id,name,since,manager\n1,Zoë Müller,2020-01-01,\n2,Łukasz O'Neill,2021-02-03,1\n9,Björk,2023-01-01,1\n"
)
DAG_FILE = """\
from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.set_recently_modified_flag import SetRecentlyModifiedFlagTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

with DAG("{dag_id}", schedule=None, start_date=datetime(2020, 1, 1), default_args={defaults}) as dag:
    prepare = PrepareSynchronizationTaskOperator(
        task_id="prepare", connector="HR", synchronization_mode="{mode}", {prepare}
    )
    synchronize = SynchronizeTaskOperator(
        task_id="synchronize", connector="HR", batch=prepare.output, {synchronize}
    )
    {more}
"""

_numbers = itertools.count()


@pytest.fixture
def hr(airflow_home: AirflowHome, configuration: Path, connection) -> Any:
    """Write the person's file and run a DAG of prepare and synchronize."""
    connection(extra={"configuration": str(configuration)})

    def run(
        text: str | None,
        *,
        mode: str = "Complete",
        prepare: str = "",
        synchronize: str = "",
        more: str = "",
        defaults: str = "{}",
        **arguments: Any,
    ) -> Run:
        if text is not None:
            sources = airflow_home.work / "ExportOutput"
            sources.mkdir(parents=True, exist_ok=True)
            (sources / "HR-Persons.csv").write_text(text, encoding="utf-8")
        # Airflow 3.1 tests a DAG as it first saw it: one with more tasks needs an id of its own.
        dag_id = f"hr_{next(_numbers)}" if "task_id" in more else "hr"
        module = airflow_home.load(
            DAG_FILE.format(
                dag_id=dag_id,
                mode=mode,
                prepare=prepare,
                synchronize=synchronize,
                more=more,
                defaults=defaults,
            )
        )
        return airflow_home.run(module.dag, **arguments)

    return run


def persons(home: AirflowHome, configuration: Path) -> list[tuple[str, str, str | None]]:
    mappings = connector_mappings(read_configuration(configuration), "HR")
    with Repository.open(home.repository) as repository:
        rows = repository.query_entity_type(mappings, "Person").to_pylist()
    return [(row["Id_"], row["Name"], row["Manager"]) for row in rows]


# --------------------------------------------------------------------------------------------------- the way through


def test_a_prepare_hands_its_batch_to_the_synchronize(
    hr, airflow_home: AirflowHome, configuration: Path
) -> None:
    run = hr(DAY_1, synchronize="orphans=True")

    assert run.states == {"prepare": "success", "synchronize": "success"}
    assert persons(airflow_home, configuration) == [
        ("1", "Zoë Müller", None),
        ("2", "Łukasz O'Neill", "1"),
        ("3", "Anna Brûlé", None),
    ]
    batch = run.xcoms["prepare", "return_value"]
    counts = run.xcoms["prepare", "counts"]
    assert counts["batch"] == batch
    assert {name: numbers["rows"] for name, numbers in counts["files"].items()} == {
        "Person": 3,
        "Person_Manager": 2,
    }
    result = run.xcoms["synchronize", "return_value"]
    assert (result["connector"], result["state"]) == ("HR", "completed")
    assert [(b["id"], b["mode"], b["state"]) for b in result["batches"]] == [(batch, "Complete", "applied")]
    assert result["entity_types"]["Person"]["inserted"] == 3
    assert (
        result["associations"]["Person_Manager"]["inserted"],
        result["associations"]["Person_Manager"]["orphans"],
    ) == (1, 1)
    orphans = airflow_home.work / "HR" / "Synchronize" / "Person_Manager.orphans.csv"
    assert orphans.read_text(encoding="utf-8") == "key1,key2,missing\n3,9,2\n"


def test_an_incremental_follows_and_marks_what_it_changed(
    hr, airflow_home: AirflowHome, configuration: Path
) -> None:
    flag = 'synchronize >> SetRecentlyModifiedFlagTaskOperator(task_id="flag")'
    hr(DAY_1)

    run = hr(DAY_2, mode="Incremental", synchronize="do_not_delete_changes=True", more=flag)

    assert run.states == {"prepare": "success", "synchronize": "success", "flag": "success"}
    assert persons(airflow_home, configuration) == [
        ("1", "Zoë Müller", None),
        ("2", "Łukasz O'Neill", "1"),
        ("9", "Björk", "1"),
    ]
    assert run.xcoms["prepare", "counts"]["files"]["Person"]["inserts"] == 1
    assert run.xcoms["flag", "return_value"] >= 1


def test_an_export_reads_the_airflow_connection_named_like_the_connection(
    hr, airflow_home: AirflowHome, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "delivered.csv").write_text(DAY_1.replace(",", ";"), encoding="utf-8")
    extra = {"Path": str(tmp_path / "delivered.csv"), "Separator": ";"}
    monkeypatch.setenv("AIRFLOW_CONN_HR-PERSONS", json.dumps({"conn_type": "generic", "extra": extra}))
    export = 'ExportTaskOperator(task_id="export", connection="HR-Persons") >> prepare'

    run = hr(None, more=export)

    assert run.states == {"export": "success", "prepare": "success", "synchronize": "success"}
    assert run.xcoms["export", "return_value"]["rows"] == 3
    assert len(persons(airflow_home, configuration)) == 3


def test_an_export_without_a_change_has_an_effect_only_while_a_batch_waits(
    hr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "changes.csv").write_text(DAY_1.splitlines()[0] + "\n", encoding="utf-8")
    extra = {"Path": "none.csv", "PathIncremental": str(tmp_path / "changes.csv")}
    monkeypatch.setenv("AIRFLOW_CONN_HR-PERSONS", json.dumps({"conn_type": "generic", "extra": extra}))
    export = (
        f'ExportTaskOperator(task_id="export", connection="HR-Persons", sources_directory="{tmp_path}/out")'
    )
    hr(DAY_1)

    nothing = hr(None, more=f"synchronize >> {export}")
    waiting = hr(DAY_2, more=f"prepare >> {export}", synchronize="dry_run=True")

    assert nothing.xcoms["export", "return_value"]["rows"] == 0
    assert nothing.xcoms["export", "has_effect"] is False
    assert waiting.xcoms["export", "has_effect"] is True
    assert waiting.xcoms["synchronize", "has_effect"] is False


def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    hr, airflow_home: AirflowHome, configuration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hr(DAY_1)

    run = hr(DAY_2, prepare="dry_run=True", synchronize="dry_run=True")

    assert run.state == "success"
    counts = run.xcoms["synchronize", "return_value"]["entity_types"]["Person"]
    assert (counts["inserted"], counts["deleted"], counts["unchanged"]) == (1, 1, 2)
    assert "Nothing is changed" in "".join(capfd.readouterr())
    assert [key for key, _, _ in persons(airflow_home, configuration)] == ["1", "2", "3"]
    assert hr(DAY_2, mode="Incremental").state == "success", "the dry run left 'previous' alone"


@pytest.mark.parametrize("name", ["changes.csv", "changes.parquet", "changes.json"])
def test_a_dry_run_writes_every_change_with_its_values(hr, tmp_path: Path, name: str) -> None:
    hr(DAY_1)

    file = tmp_path / "{{ dag.dag_id }}" / name
    run = hr(DAY_2, prepare="dry_run=True", synchronize=f"dry_run=True, changes={str(file)!r}")

    assert run.state == "success"
    with duckdb.connect() as duck:
        file = tmp_path / "hr" / name
        rows = duck.sql(f"SELECT kind, operation, key1::INT, key2::INT, old, new FROM '{file}'").fetchall()
    assert [row[:4] for row in rows] == [
        ("resource", "delete", 3, None),
        ("resource", "insert", 9, None),
        ("link", "insert", 9, 1),
    ]
    assert "Anna Brûlé" in str(rows[0][4])
    assert "Björk" in str(rows[1][5])


def test_a_file_of_changes_that_cannot_be_written_fails_at_once(
    hr, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").touch()

    run = hr(
        DAY_1, prepare="dry_run=True", synchronize=f"dry_run=True, changes='{tmp_path}/taken/changes.csv'"
    )

    assert run.state == "failed"
    assert f"{tmp_path}/taken is a file where a folder is needed" in "".join(capfd.readouterr())


def test_changes_are_written_by_a_dry_run_alone() -> None:
    with pytest.raises(
        ConfigurationError, match="task x: changes are written by a dry run; set dry_run=True"
    ):
        SynchronizeTaskOperator(task_id="x", connector="HR", changes="changes.csv")


@pytest.mark.parametrize(("force", "state"), [(False, "blocked"), (True, "completed")])
def test_a_dry_run_with_force_ignores_the_thresholds_as_the_synchronization_would(
    hr, configuration: Path, force: bool, state: str
) -> None:
    hr(DAY_1)
    limit = {"days": 7, "MaximumDeletedLines": 1}
    gone = "".join(DAY_1.splitlines(keepends=True)[:2])

    more = f"dry_run=True, force_synchronization={force}, rolling_thresholds={limit}"
    run = hr(gone, prepare="dry_run=True", synchronize=more)

    assert run.xcoms["synchronize", "return_value"]["state"] == state


def test_a_cleared_synchronize_reports_what_it_did_and_changes_nothing(hr) -> None:
    first = hr(DAY_1)
    batch = first.xcoms["prepare", "return_value"]

    again = hr(DAY_1, more=f'synchronize.batch = "{batch}"')

    result = again.xcoms["synchronize", "return_value"]
    assert result["already_applied"] is True
    assert result["entity_types"]["Person"]["inserted"] == 3


def test_a_prepare_can_be_mapped_over_connectors(hr, airflow_home: AirflowHome) -> None:
    hr(DAY_1)
    module = airflow_home.load(
        """
        from datetime import datetime

        from airflow.sdk import DAG

        from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator

        with DAG("mapped", schedule=None, start_date=datetime(2020, 1, 1)) as dag:
            PrepareSynchronizationTaskOperator.partial(
                task_id="prepare", synchronization_mode="Complete"
            ).expand(connector=["HR"])
        """
    )

    assert airflow_home.run(module.dag).states == {"prepare": "success"}
    manifests = Exchange.open(str(airflow_home.home / "idm" / "exchange")).channel("HR").manifests()
    assert [(m.origin.job, m.origin.task, m.origin.map_index) for m in manifests] == [
        ("hr", "prepare", -1),
        ("mapped", "prepare", 0),
    ]


# ------------------------------------------------------------------------------------------------------------ dates


def effective_dates(home: AirflowHome) -> list[tuple[bool, datetime]]:
    manifests = Exchange.open(str(home.home / "idm" / "exchange")).channel("HR").manifests()
    return [(manifest.dated, manifest.effective_date) for manifest in manifests]


def write_dated(folder: Path, day: str, text: str) -> None:
    (folder / day).mkdir(parents=True)
    (folder / day / "HR-Persons.csv").write_text(text, encoding="utf-8")


def test_a_templated_folder_dates_the_batch(hr, airflow_home: AirflowHome, tmp_path: Path) -> None:
    write_dated(tmp_path, "2026-03-01", DAY_1)

    run = hr(
        None,
        prepare=f'sources_directory="{tmp_path}/{{{{ ds }}}}"',
        logical_date=datetime(2026, 3, 1, 4, 30, tzinfo=UTC),
    )

    assert run.state == "success"
    assert effective_dates(airflow_home) == [(True, datetime(2026, 3, 1, 4, 30, tzinfo=UTC))]


def test_a_plain_folder_has_the_current_state(hr, airflow_home: AirflowHome) -> None:
    hr(DAY_1, logical_date=datetime(2026, 3, 1, tzinfo=UTC))

    [(dated, date)] = effective_dates(airflow_home)
    assert not dated
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=5)


def test_a_run_without_logical_date_is_dated_by_the_moment_it_was_to_run_after(
    hr, airflow_home: AirflowHome, tmp_path: Path
) -> None:
    write_dated(tmp_path, "x", DAY_1)

    run = hr(
        None,
        prepare=f"sources_directory=\"{tmp_path}/{{{{ 'x' }}}}\"",
        logical_date=None,
        run_after=datetime(2026, 4, 5, 6, tzinfo=UTC),
    )

    assert run.state == "success"
    assert effective_dates(airflow_home) == [(True, datetime(2026, 4, 5, 6, tzinfo=UTC))]


def test_a_backfill_going_backwards_is_refused_before_it_changes_anything(
    hr, airflow_home: AirflowHome, configuration: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_dated(tmp_path, "2026-03-02", DAY_2)
    write_dated(tmp_path, "2026-03-01", DAY_1)
    folder = f'sources_directory="{tmp_path}/{{{{ ds }}}}"'
    hr(None, prepare=folder, logical_date=datetime(2026, 3, 2, tzinfo=UTC))
    capfd.readouterr()

    run = hr(None, prepare=folder, logical_date=datetime(2026, 3, 1, tzinfo=UTC))

    assert run.states == {"prepare": "failed", "synchronize": "upstream_failed"}
    told = "".join(capfd.readouterr())
    assert "2026-03-01" in told
    assert "2026-03-02" in told
    assert [key for key, _, _ in persons(airflow_home, configuration)] == ["1", "2", "9"]


# --------------------------------------------------------------------------------------------------------- failures


def test_what_no_retry_can_mend_fails_at_once_with_a_clear_text(
    hr, airflow_home: AirflowHome, capfd: pytest.CaptureFixture[str]
) -> None:
    run = hr("id,name,since\n1,Zoë,2020-01-01\n", defaults="{'retries': 3, 'retry_delay': timedelta(0)}")

    assert run.states == {"prepare": "failed", "synchronize": "upstream_failed"}
    assert run.tries["prepare"] == 1
    told = "".join(capfd.readouterr())
    assert "AirflowFailException" in told
    assert "HR-Persons.csv" in told
    assert "manager" in told
    assert "During handling of the above exception" not in told


def test_what_may_pass_is_retried(hr, connection, configuration: Path, airflow_home: AirflowHome) -> None:
    hr(DAY_1)
    nowhere = "postgresql+psycopg://idm@127.0.0.1:1/idm"
    connection(extra={"configuration": str(configuration), "repository": nowhere})

    run = hr(DAY_1, defaults="{'retries': 1, 'retry_delay': timedelta(0)}")

    assert run.states == {"prepare": "success", "synchronize": "failed"}
    assert (run.tries["prepare"], run.tries["synchronize"]) == (1, 2)


def test_a_task_whose_batch_was_replaced_is_skipped_and_names_the_other(
    hr, airflow_home: AirflowHome, capfd: pytest.CaptureFixture[str]
) -> None:
    first = hr(DAY_1, synchronize="dry_run=True").xcoms["prepare", "return_value"]
    second = hr(DAY_2).xcoms["prepare", "return_value"]
    capfd.readouterr()

    run = hr(DAY_2, prepare="dry_run=True", more=f'synchronize.batch = "{first}"')

    assert run.states == {"prepare": "success", "synchronize": "skipped"}
    assert second in "".join(capfd.readouterr())


def test_a_missing_configuration_says_where_to_name_it(
    hr, connection, capfd: pytest.CaptureFixture[str]
) -> None:
    connection(extra={})

    run = hr(DAY_1)

    assert run.states["prepare"] == "failed"
    assert "give the operator 'configuration'" in "".join(capfd.readouterr())


def test_an_error_elsewhere_in_the_configuration_does_not_matter(hr, configuration: Path) -> None:
    (configuration / "AD.xml").write_text(
        '<ConfigurationFile>\n<Connector Identifier="AD" DisplayName_L1="AD" IsDeactivated="perhaps" />\n'
        "</ConfigurationFile>",
        encoding="utf-8",
    )

    assert hr(DAY_1).state == "success"


def test_an_error_of_the_connector_is_listed_with_file_and_line(
    hr, configuration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (configuration / "HR.xml").read_text(encoding="utf-8")
    (configuration / "HR.xml").write_text(text.replace('Format="Date"', 'Format="Datum"'), encoding="utf-8")

    run = hr(DAY_1)

    assert run.states["prepare"] == "failed"
    assert "HR.xml:18: " in "".join(capfd.readouterr())


def test_a_folder_that_cannot_be_used_fails_at_once_and_is_named(
    hr, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    run = hr(
        DAY_1,
        prepare=f'working_directory="{tmp_path}/file"',
        defaults="{'retries': 3, 'retry_delay': timedelta(0)}",
    )

    assert run.states["prepare"] == "failed"
    assert run.tries["prepare"] == 1
    assert f"{tmp_path}/file is a file where a folder is needed" in "".join(capfd.readouterr())


def test_a_memory_limit_that_is_none_fails_at_once(hr, capfd: pytest.CaptureFixture[str]) -> None:
    run = hr(DAY_1, prepare='memory_limit="lots"', defaults="{'retries': 3, 'retry_delay': timedelta(0)}")

    assert run.states["prepare"] == "failed"
    assert run.tries["prepare"] == 1
    assert "'lots' cannot be a memory limit; expected a number and a unit" in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("on_threshold", ["wait", "fail"])
def test_what_to_do_about_a_threshold_can_be_said(hr, on_threshold: str) -> None:
    assert hr(DAY_1, synchronize=f'on_threshold="{on_threshold}"').state == "success"


def test_a_task_waits_at_a_threshold_unless_it_says_otherwise() -> None:
    assert SynchronizeTaskOperator(task_id="s", connector="HR").on_threshold == "wait"


def test_parameters_with_few_values_refuse_others_when_the_dag_is_made() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SynchronizeTaskOperator(task_id="s", connector="HR", on_threshold="ask")  # type: ignore[arg-type]
    assert str(caught.value) == "task s: on_threshold cannot be 'ask'; expected one of wait, fail"

    with pytest.raises(ConfigurationError) as caught:
        SynchronizeTaskOperator(task_id="s", connector="HR", log_level="LOUD")
    assert str(caught.value) == (
        "task s: log_level cannot be 'LOUD'; expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    )
    assert SynchronizeTaskOperator(task_id="s", connector="HR", log_level="debug").log_level == "DEBUG"
