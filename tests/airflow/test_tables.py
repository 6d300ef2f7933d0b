"""Tables that a TaskFlow task returns, prepared and synchronized by a real Airflow."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import AirflowHome, Run
from tests.airflow.test_operators import persons

pytestmark = pytest.mark.airflow

DAG_FILE = """\
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

ROWS = [
    {{"id": 1, "name": "Zoë Müller", "since": datetime(2020, 1, 1), "manager": None}},
    {{"id": 2, "name": "Łukasz O'Neill", "since": None, "manager": 1}},
]

with DAG("{dag_id}", schedule=None, start_date=datetime(2020, 1, 1)) as dag:

    @task
    def extract():
        {extract}

    prepare = PrepareSynchronizationTaskOperator(
        task_id="prepare", connector="HR", synchronization_mode="Complete", tables={tables}
    )
    SynchronizeTaskOperator(task_id="synchronize", connector="HR", batch=prepare.output)
"""
ONE = '{"HR-Persons": extract()}'
_numbers = itertools.count()


@pytest.fixture
def run(airflow_home: AirflowHome, configuration: Path, connection: Any) -> Any:
    connection(extra={"configuration": str(configuration)})

    def run(extract: str, tables: str = ONE) -> tuple[Run, Any]:
        text = DAG_FILE.format(dag_id=f"tables_{next(_numbers)}", extract=extract, tables=tables)
        dag = airflow_home.load(text).dag
        return airflow_home.run(dag), dag

    return run


@pytest.mark.parametrize(
    ("extract", "tables"),
    [
        ("return pd.DataFrame(ROWS)", ONE),
        ('return [{**row, "since": str(row["since"] or "")} for row in ROWS]', ONE),
        ('return {"HR-Persons": pd.DataFrame(ROWS)}', "extract()"),
    ],
)
def test_what_a_task_returns_is_prepared(
    run: Any, airflow_home: AirflowHome, configuration: Path, extract: str, tables: str
) -> None:
    result, dag = run(extract, tables)

    assert result.states == {"extract": "success", "prepare": "success", "synchronize": "success"}
    assert dag.get_task("prepare").upstream_task_ids == {"extract"}
    assert persons(airflow_home, configuration) == [("1", "Zoë Müller", None), ("2", "Łukasz O'Neill", "1")]
    shown = rendered_fields(dag.dag_id)
    assert "Zoë" not in shown
    assert "2 rows" in shown


def test_a_pyarrow_table_goes_by_a_parquet_file(
    run: Any, airflow_home: AirflowHome, configuration: Path, tmp_path: Path
) -> None:
    path = tmp_path / "persons.parquet"
    write = f"pq.write_table(pa.Table.from_pylist(ROWS), {str(path)!r}); return "

    for returned in (repr(str(path)), f"ObjectStoragePath('file://{path}')"):
        result, dag = run(write + returned)

        assert result.states == {"extract": "success", "prepare": "success", "synchronize": "success"}
        assert str(path) in rendered_fields(dag.dag_id)
    assert persons(airflow_home, configuration) == [("1", "Zoë Müller", None), ("2", "Łukasz O'Neill", "1")]


def test_airflow_itself_refuses_a_pyarrow_table(run: Any) -> None:
    result, _ = run("return pa.Table.from_pylist(ROWS)")

    assert result.states["extract"] == "failed"


def test_a_task_that_returns_nothing(run: Any, airflow_home: AirflowHome) -> None:
    result, _ = run("return None")

    assert result.states == {"extract": "success", "prepare": "failed", "synchronize": "upstream_failed"}


def test_a_path_may_be_templated_and_then_dates_the_batch(
    run: Any, airflow_home: AirflowHome, configuration: Path, tmp_path: Path
) -> None:
    import pandas as pd

    pd.DataFrame({"id": ["7"], "name": "Ada", "since": None, "manager": None}).to_parquet(
        tmp_path / "hr_persons.parquet"
    )

    result, _ = run("return 0", repr({"HR-Persons": f"{tmp_path}/{{{{ 'hr' }}}}_persons.parquet"}))

    assert result.states["synchronize"] == "success"
    assert persons(airflow_home, configuration) == [("7", "Ada", None)]
    from airflow_provider_idm.synchronization.exchange import Exchange

    (manifest,) = Exchange.open(airflow_home.home / "idm" / "exchange").channel("HR").manifests()
    assert manifest.dated


def test_tables_go_with_mapped_tasks_too(
    airflow_home: AirflowHome, configuration: Path, connection: Any
) -> None:
    connection(extra={"configuration": str(configuration)})
    module = airflow_home.load(
        """\
        from datetime import datetime

        import pandas as pd
        from airflow.sdk import DAG, task

        from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator

        with DAG("mapped_tables", schedule=None, start_date=datetime(2020, 1, 1)) as dag:

            @task
            def extract():
                frame = pd.DataFrame({"id": ["7"], "name": "Zoë", "since": None, "manager": None})
                return [{"HR-Persons": frame}]

            PrepareSynchronizationTaskOperator.partial(
                task_id="prepare", connector="HR", synchronization_mode="Complete"
            ).expand(tables=extract())
        """
    )

    assert airflow_home.run(module.dag).states == {"extract": "success", "prepare": "success"}
    assert "Zoë" not in rendered_fields("mapped_tables")


def rendered_fields(dag_id: str) -> str:
    """What Airflow keeps of the fields of the prepare task."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(
            select(RenderedTaskInstanceFields).where(
                RenderedTaskInstanceFields.dag_id == dag_id, RenderedTaskInstanceFields.task_id == "prepare"
            )
        ).one()
        return str(row.rendered_fields["tables"])
