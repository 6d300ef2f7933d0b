"""The examples of docs/airflow.md are DAG files that Airflow can load."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest

from tests.airflow.conftest import ROOT, AirflowHome

pytestmark = pytest.mark.airflow


def examples(document: str = "airflow.md") -> list[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def dag_bag() -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag
    return DagBag


def dags_of(home: AirflowHome, text: str) -> dict[str, Any]:
    shutil.copytree(ROOT / "dags" / "conf", home.dags / "conf")
    home.write("example.py", text)
    bag = dag_bag()(str(home.dags))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_the_loader(airflow_home: AirflowHome) -> None:
    dags = dags_of(airflow_home, examples()[0])

    assert "HR_Synchronize_Complete" in dags
    assert {task.retries for task in dags["HR_Synchronize_Complete"].tasks} == {2}


def test_the_dag_of_ones_own(airflow_home: AirflowHome) -> None:
    dag = dags_of(airflow_home, examples()[1])["hr_by_hand"]

    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "export_hr-organizations": set(),
        "export_hr-persons": set(),
        "prepare": {"export_hr-organizations", "export_hr-persons"},
        "synchronize": {"prepare"},
        "set_recently_modified_flag": {"synchronize"},
    }
    assert {task.configuration for task in dag.tasks} == {"/opt/idm/Conf"}


def test_the_dag_over_dated_extracts(airflow_home: AirflowHome) -> None:
    dag = dags_of(airflow_home, examples("backfills.md")[0])["hr_days"]

    assert dag.get_task("prepare").dated_folder
    assert dag.get_task("synchronize").upstream_task_ids == {"prepare"}


def test_an_operator_of_ones_own_for_an_element(airflow_home: AirflowHome) -> None:
    role_model = '<ComputeRoleModelTask Identifier="Roles" DisplayName_L1="Roles" EntityType="Person" />'
    job = f'<Job Identifier="J" DisplayName_L1="J">{role_model}</Job>'
    airflow_home.write("conf/Roles.xml", f"<ConfigurationFile>{job}</ConfigurationFile>")

    module = airflow_home.load(next(text for text in examples("jobs.md") if "compute_role_model" in text))

    task = module.J.get_task("Roles")
    assert (task.task_type, task.params["entity_type"]) == ("BashOperator", "Person")


def test_what_the_author_lets_be_asked_of_a_run(airflow_home: AirflowHome) -> None:
    dags = dags_of(airflow_home, next(text for text in examples("jobs.md") if "params=[" in text))

    assert set(dags["HR_Synchronize_Complete"].params) == {"dry_run", "orphans", "sources_directory"}


def test_an_operator_of_ones_own_that_is_told_of_dry_runs(airflow_home: AirflowHome) -> None:
    airflow_home.write(
        "conf/Jobs.xml",
        '<ConfigurationFile><Job Identifier="J" DisplayName_L1="J"><FulfillTask Identifier="F" DisplayName_L1="F" />'
        "</Job></ConfigurationFile>",
    )

    module = airflow_home.load(next(text for text in examples("jobs.md") if "def fulfill" in text))

    assert module.J.get_task("F").params["dry_run"] is False


def test_every_param_is_documented() -> None:
    from airflow_provider_idm.operators.run_options import NAMES

    text = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
    table = text.split("## Triggering a job")[1].split("\n\n")[2]

    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == NAMES


@pytest.mark.parametrize(
    "module",
    [
        "create_database_views",
        "deploy_configuration",
        "export",
        "invoke_sql_command",
        "prepare_synchronization",
        "set_recently_modified_flag",
        "synchronize",
    ],
)
def test_every_parameter_of_an_operator_is_documented(module: str) -> None:
    import importlib
    import inspect

    from airflow_provider_idm.operators.base import IdmOperator

    documented = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
    loaded = importlib.import_module(f"airflow_provider_idm.operators.{module}")
    [operator] = [
        value
        for value in vars(loaded).values()
        if isinstance(value, type) and issubclass(value, IdmOperator) and value.__module__ == loaded.__name__
    ]
    classes = operator.__mro__[: operator.__mro__.index(IdmOperator)]
    parameters = {name for one in classes for name in inspect.signature(one.__init__).parameters}
    parameters -= {"self", "kwargs", "args"}

    assert f"**{operator.__name__}**" in documented
    section = (
        documented.split(f"**{operator.__name__}**")[1].split("\n**")[0]
        + documented.split("All take")[1][:300]
    )
    assert {name for name in parameters if f"`{name}`" not in section} == set()
    templated = {name for name in operator.template_fields if name != "configuration"}
    assert {name for name in parameters if f"`{name}`†" in section} == templated


def test_every_parameter_of_generate_dags_is_documented() -> None:
    import inspect

    from airflow_provider_idm import generate_dags

    section = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8").split("## Jobs from XML")[1]
    table = section.split("\n## ")[0]

    assert [name for name in inspect.signature(generate_dags).parameters if f"`{name}`" not in table] == []
