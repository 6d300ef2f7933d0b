"""From the jobs of a configuration to DAGs, parsed as Airflow's DAG processor does."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import AirflowHome

pytestmark = pytest.mark.airflow

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
LOADER = """\
from airflow_provider_idm import generate_dags

generate_dags("conf")
"""
HR_JOB = """\
<ConfigurationFile>
  <Job Identifier="HR job" DisplayName_L1="Human Resources" DisplayName_L2="Ressources humaines" {attributes}>
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="Prepare" Connector="HR" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="S" DisplayName_L1="Synchronize" Connector="HR" />
  </Job>
</ConfigurationFile>
"""
FULFILL = (
    HR_JOB.format(attributes="")
    .replace("HR job", "Other")
    .replace('Identifier="P"', 'Identifier="P2"')
    .replace('"S"', '"S2"')
    .replace("</Job>", '<FulfillTask Identifier="F" DisplayName_L1="Fulfill" Level="-1" /></Job>')
)


@pytest.fixture
def generated(airflow_home: AirflowHome, configuration: Path) -> Any:
    """Write job files beside the connector's and return the DAGs that a loader of three lines makes."""

    def generate(loader: str = LOADER, **files: str) -> dict[str, Any]:
        from airflow.sdk import DAG

        shutil.copytree(configuration, airflow_home.dags / "conf")
        for name, text in files.items():
            airflow_home.write(f"conf/{name}.xml", text)
        module = airflow_home.load(loader)
        return {name: value for name, value in vars(module).items() if isinstance(value, DAG)}

    return generate


def job(attributes: str = "") -> str:
    return HR_JOB.format(attributes=attributes)


# ------------------------------------------------------------------------------------------------- one DAG per job


def test_a_job_becomes_a_dag(generated) -> None:
    dag = generated(Jobs=job('CronTabExpression="30 4 * * 1-5" IsIncremental="true" IsConnectorJob="true"'))[
        "HR_job"
    ]

    assert dag.dag_id == "HR_job"
    assert dag.dag_display_name == "Human Resources"
    assert "Ressources humaines" in dag.doc_md
    assert dag.schedule == "30 4 * * 1-5"
    assert dag.timezone.name == "UTC"
    assert dag.catchup is False
    assert dag.tags == {"idm", "incremental", "connector"}
    assert [(task.task_id, task.upstream_task_ids) for task in dag.topological_sort()] == [
        ("P", set()),
        ("S", {"P"}),
    ]
    assert [task.task_display_name for task in dag.topological_sort()] == ["Prepare", "Synchronize"]


def test_a_synchronize_takes_the_batch_of_its_prepare(generated) -> None:
    task = generated(Jobs=job())["HR_job"].get_task("S")

    assert task.batch == "{{ ti.xcom_pull(task_ids='P') }}"


def test_the_documentation_shows_the_xml_of_the_job(generated) -> None:
    text = generated(Jobs=job())["HR_job"].doc_md

    assert "```xml\n<Job " in text
    assert '<SynchronizeTask Identifier="S" DisplayName_L1="Synchronize" Connector="HR"/>' in text


def test_a_job_without_cron_has_no_schedule(generated) -> None:
    assert generated(Jobs=job())["HR_job"].schedule is None


def test_a_cron_with_seconds_loses_them(generated) -> None:
    assert generated(Jobs=job('CronTabExpression="0 15 2 * * *"'))["HR_job"].schedule == "15 2 * * *"


def test_server_time_is_airflows_default_timezone(generated, airflow_home: AirflowHome) -> None:
    generated(Jobs=job('CronTabExpression="0 2 * * *" CronTimeZone="ServerTime"'))
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['HR_job'].timezone.name)"

    shown = airflow_home.python(
        code, str(airflow_home.dags / "dag_file.py"), AIRFLOW__CORE__DEFAULT_TIMEZONE="Europe/Paris"
    )

    assert shown.splitlines()[-1] == "Europe/Paris"


def test_users_may_be_denied_to_start_a_job(generated) -> None:
    dag = generated(Jobs=job('UserStartDenied="true" CronTabExpression="0 2 * * *"'))["HR_job"]

    assert "not to be started by hand" in dag.doc_md
    if AIRFLOW >= (3, 3):
        allowed = {kind.value for kind in dag.allowed_run_types}
        assert allowed == {"scheduled", "backfill", "operator_triggered", "asset_triggered"}
    else:
        assert "Airflow cannot refuse it" in dag.doc_md
        assert not getattr(dag, "allowed_run_types", None)


def test_airflow_cannot_deny_users_to_start_a_dag_without_schedule(generated) -> None:
    dag = generated(Jobs=job('UserStartDenied="true"'))["HR_job"]

    assert dag.tags == {"idm"}
    assert "Airflow cannot refuse it" in dag.doc_md


def test_agents_become_queues_if_wanted(generated) -> None:
    agent = '<ConfigurationFile><Agent Identifier="Paris" DisplayName_L1="Paris" /></ConfigurationFile>'
    loader = LOADER.replace('"conf"', '"conf", agent_queues=True')

    dags = generated(loader, Agents=agent, Jobs=job('Agent="Paris"'))

    assert {task.task_id: task.queue for task in dags["HR_job"].tasks} == {"P": "Paris", "S": "default"}


def test_without_being_asked_tasks_stay_on_the_default_queue(generated) -> None:
    agent = '<ConfigurationFile><Agent Identifier="Paris" DisplayName_L1="Paris" /></ConfigurationFile>'

    dags = generated(Agents=agent, Jobs=job('Agent="Paris"'))

    assert {task.queue for task in dags["HR_job"].tasks} == {"default"}


def test_default_arguments_and_the_connection_reach_the_tasks(generated) -> None:
    loader = LOADER.replace('"conf"', '"conf", idm_conn_id="other", default_args={"retries": 4}')

    tasks = generated(loader, Jobs=job())["HR_job"].tasks

    assert {(task.retries, task.idm_conn_id) for task in tasks} == {(4, "other")}


def test_dags_go_where_they_are_asked_to(configuration: Path) -> None:
    from airflow_provider_idm import generate_dags

    (configuration / "Jobs.xml").write_text(job(), encoding="utf-8")
    place: dict[str, Any] = {}

    dags = generate_dags(configuration, globals=place)

    assert place == dags
    assert list(dags) == ["HR_job"]


# ------------------------------------------------------------------------------------------ tasks of other elements


def test_a_task_that_nothing_runs_is_a_visible_placeholder_that_succeeds(
    generated, airflow_home: AirflowHome, capfd: pytest.CaptureFixture[str]
) -> None:
    only = FULFILL.replace("PrepareSynchronizationTask", "ComputeRoleModelTask").replace(
        "SynchronizeTask", "SpreadsheetTask"
    )
    dag = generated(More=only)["Other"]

    assert dag.get_task("F").task_display_name == "Fulfill (placeholder)"
    assert "no operator is registered for `FulfillTask`" in dag.get_task("F").doc_md
    run = airflow_home.run(dag)
    assert (run.state, set(run.states.values())) == ("success", {"success"})
    assert "no operator is registered for FulfillTask, so nothing was done" in "".join(capfd.readouterr())


def test_a_registered_operator_runs_its_element(generated) -> None:
    loader = """\
from airflow.providers.standard.operators.bash import BashOperator

from airflow_provider_idm import generate_dags


def fulfill(task, dag):
    return BashOperator(task_id=task.identifier, dag=dag, bash_command=f"echo {task.element}")


generate_dags("conf", task_operators={"FulfillTask": fulfill}, strict=True)
"""

    dag = generated(loader, More=FULFILL)["Other"]

    task = dag.get_task("F")
    assert (task.task_type, task.bash_command, task.upstream_task_ids) == (
        "BashOperator",
        "echo FulfillTask",
        {"S2"},
    )
    assert task.trigger_rule == "none_failed"


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("lambda task, dag: 1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("lambda task, dag: None", "returned NoneType, expected an operator"),
        ("lambda task, dag: Empty(task_id='X', dag=dag)", "made a task 'X', expected the id 'F'"),
        (
            "lambda task, dag: [Empty(task_id=name, dag=dag) for name in ('X', 'F')][1]",
            "made more tasks than one (X): the job would not know their place",
        ),
    ],
)
def test_what_is_registered_but_makes_no_operator_breaks_its_jobs_alone(
    generated, factory: str, reason: str
) -> None:
    loader = f"""\
from airflow.providers.standard.operators.empty import EmptyOperator as Empty

from airflow_provider_idm import generate_dags

generate_dags("conf", task_operators={{"FulfillTask": {factory}}})
"""

    dags = generated(loader, Jobs=job(), More=FULFILL)

    assert "More.xml:5: FulfillTask 'F': what is registered for it " + reason in dags["Other"].doc_md
    assert dags["HR_job"].tags == {"idm"}


@pytest.mark.parametrize("name", ["Fulfill", "fulfilltask", "Job"])
def test_only_names_of_task_elements_can_be_registered(generated, name: str) -> None:
    loader = LOADER.replace('"conf"', f'"conf", task_operators={{"{name}": print}}')

    dags = generated(loader, Jobs=job())

    assert f"generate_dags(task_operators=…): {name!r} is no task element" in dags["HR_job"].doc_md


def test_only_functions_can_be_registered(generated) -> None:
    loader = LOADER.replace('"conf"', '"conf", task_operators={"FulfillTask": None}')

    dags = generated(loader, Jobs=job())

    assert "what is registered for FulfillTask is a NoneType, expected a function" in dags["HR_job"].doc_md


# ------------------------------------------------------------------------------------------------------ task groups

TWO = """\
<ConfigurationFile>
  <Connector Identifier="AD" DisplayName_L1="Active Directory" DisplayName_L2="Annuaire" />
  <Job Identifier="Both" DisplayName_L1="Both">
    <PrepareSynchronizationTask Identifier="P" DisplayName_L1="P" Connector="HR" SynchronizationMode="Complete" Level="0"
                                ContinueOnError="true" />
    <PrepareSynchronizationTask Identifier="AD" DisplayName_L1="P" Connector="ad" SynchronizationMode="Complete"
                                Level="0" />
    <SetRecentlyModifiedFlagTask Identifier="F" DisplayName_L1="F" Level="1" />
  </Job>
</ConfigurationFile>
"""


def test_the_tasks_of_each_connector_are_a_group_where_there_are_several(generated) -> None:
    dag = generated(Jobs=TWO)["Both"]

    groups = {group_id: group for group_id, group in dag.task_group_dict.items() if group_id}
    assert {group_id: group.group_display_name for group_id, group in groups.items()} == {
        "HR": "Human Resources",
        "AD_2": "Active Directory",
    }
    assert {group_id: set(group.children) for group_id, group in groups.items()} == {
        "HR": {"P", "P__ended"},
        "AD_2": {"AD"},
    }
    assert dag.get_task("F").upstream_task_ids == {"P__ended", "AD"}


def test_the_tasks_of_one_connector_are_not_hidden_in_a_group(generated) -> None:
    dag = generated(Jobs=job())["HR_job"]

    assert set(dag.task_group.children) == {"P", "S"}


# ---------------------------------------------------------------------------------------------------- placeholders


def test_a_job_in_strict_with_a_task_that_nothing_runs_becomes_a_placeholder_and_others_live_on(
    generated,
) -> None:
    loader = LOADER.replace('"conf"', '"conf", strict=True')

    dags = generated(loader, Jobs=job(), More=FULFILL)

    assert dags["HR_job"].tags == {"idm"}
    placeholder = dags["Other"]
    assert placeholder.tags == {"idm", "idm-config-error"}
    assert placeholder.schedule is None
    assert placeholder.task_ids == ["configuration_error"]
    assert "More.xml:5: no operator is registered for FulfillTask 'F'" in placeholder.doc_md


def test_two_jobs_with_one_dag_id_are_an_error_of_both(generated) -> None:
    clash = (
        job().replace("HR job", "HR#job").replace('Identifier="P"', 'Identifier="P2"').replace('"S"', '"S2"')
    )

    dags = generated(Jobs=job(), More=clash)

    assert list(dags) == ["HR_job"]
    assert "HR_job" in dags["HR_job"].doc_md
    assert "idm-config-error" in dags["HR_job"].tags


@pytest.mark.parametrize("level", ["first", "1.5", "²", "9" * 5000])
def test_a_wrong_level_of_an_override_breaks_its_job_alone(generated, level: str) -> None:
    override = f'<SynchronizeTaskOverride Identifier="S" Level="{level}" />'
    broken = f'<Job Identifier="Broken" DisplayName_L1="Broken">{override}</Job>'
    text = f"<ConfigurationFile>\n{broken}\n</ConfigurationFile>"

    dags = generated(A=text, Jobs=job())

    assert {name: "idm-config-error" in dag.tags for name, dag in dags.items()} == {
        "Broken": True,
        "HR_job": False,
    }
    assert "A.xml:2: SynchronizeTaskOverride S: Level=" in dags["Broken"].doc_md


def test_a_job_whose_identifier_is_too_long_for_a_dag_is_shown_and_others_live_on(generated) -> None:
    other = FULFILL.replace("Other", "O" * 251)

    dags = generated(Jobs=job(), More=other)

    assert dags["HR_job"].tags == {"idm"}
    assert set(dags) == {"HR_job", "idm_configuration_error"}
    assert "the identifier has 251 characters, expected 250 at most" in dags["idm_configuration_error"].doc_md


def test_a_task_whose_identifier_is_too_long_is_named_with_its_place(generated) -> None:
    dags = generated(Jobs=job().replace('Identifier="S"', f'Identifier="{"S" * 251}"'))

    assert "Jobs.xml:4: Job HR job: the task SSS" in dags["HR_job"].doc_md
    assert "has 251 characters, expected 250 at most" in dags["HR_job"].doc_md


def test_a_connector_with_dots_has_a_group_too(generated) -> None:
    more = '<ConfigurationFile><Connector Identifier="A.D" DisplayName_L1="Directory" /></ConfigurationFile>'
    text = job().replace(
        "</Job>", '<SynchronizeTask Identifier="D" DisplayName_L1="D" Connector="A.D" /></Job>'
    )

    dag = generated(Jobs=text, More=more)["HR_job"]

    assert {group.group_id for group in dag.task_group.get_task_group_dict().values() if group.group_id} == {
        "HR",
        "A_D",
    }


@pytest.mark.parametrize("queues", ["True", '{"PARIS": "Paris"}'])
def test_what_is_registered_runs_on_the_queue_of_its_agent_too(generated, queues: str) -> None:
    agent = '<ConfigurationFile><Agent Identifier="Paris" DisplayName_L1="Paris" /></ConfigurationFile>'
    loader = f"""\
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_idm import generate_dags


def make(task, dag):
    own = {{"queue": "own"}} if task.get("Own") else {{}}
    return EmptyOperator(task_id=task.identifier, **own)


generate_dags("conf", agent_queues={queues}, task_operators={{"FulfillTask": make}})
"""
    tasks = '<FulfillTask Identifier="F" DisplayName_L1="F" /><FulfillTask Identifier="G" DisplayName_L1="G" Own="1" />'
    text = f'<Job Identifier="J" DisplayName_L1="J" Agent="paris">{tasks}</Job>'

    dag = generated(loader, Agents=agent, Jobs=f"<ConfigurationFile>{text}</ConfigurationFile>")["J"]

    assert {task.task_id: task.queue for task in dag.tasks} == {"F": "Paris", "G": "own"}


def test_an_operator_can_be_registered_for_one_job_only(generated) -> None:
    loader = """\
from functools import cache

from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_idm import generate_dags

make = cache(lambda identifier: EmptyOperator(task_id=identifier))

generate_dags("conf", task_operators={"FulfillTask": lambda task, dag: make(task.identifier)})
"""
    first = '<Job Identifier="A" DisplayName_L1="A"><FulfillTask Identifier="F" DisplayName_L1="F" /></Job>'
    second = '<Job Identifier="B" DisplayName_L1="B"><Step Identifier="F" /></Job>'

    dags = generated(loader, Jobs=f"<ConfigurationFile>{first}\n{second}</ConfigurationFile>")

    assert dags["A"].task_ids == ["F"]
    assert "returned a task of the DAG A, expected a new operator each time" in dags["B"].doc_md


def test_the_job_of_a_file_that_cannot_be_read_keeps_its_dag(generated) -> None:
    dags = generated(Jobs=job().replace("</ConfigurationFile>", ""))

    assert dags["HR_job"].tags == {"idm", "idm-config-error"}
    assert "Jobs.xml" in dags["HR_job"].doc_md


def test_the_job_of_a_broken_file_is_found_whatever_its_encoding_and_escapes(
    generated, airflow_home: AirflowHome
) -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><ConfigurationFile><Job Identifier="A &amp; B"><!-- HR'
    generated()
    (airflow_home.dags / "conf" / "Broken.xml").write_bytes(text.encode("utf-16"))

    assert "A___B" in vars(airflow_home.load(LOADER))


def test_a_job_in_a_comment_is_none(generated) -> None:
    text = '<!-- <Job Identifier="Old" /> --><Connector Identifier="X" DisplayName_L1="X" IsDeactivated="perhaps" />'

    assert list(generated(More=f"<ConfigurationFile>{text}</ConfigurationFile>")) == [
        "idm_configuration_error"
    ]


def test_errors_that_concern_no_job_are_shown_too(generated) -> None:
    dags = generated(Jobs="<ConfigurationFile>")

    assert list(dags) == ["idm_configuration_error"]
    assert "Jobs.xml:1: not well-formed XML" in dags["idm_configuration_error"].doc_md


def test_a_missing_folder_is_shown(airflow_home: AirflowHome) -> None:
    module = airflow_home.load(LOADER)

    assert "does not exist" in module.idm_configuration_error.doc_md


def test_the_task_of_a_placeholder_fails_with_the_reasons_and_is_not_retried(
    generated, airflow_home: AirflowHome, capfd: pytest.CaptureFixture[str]
) -> None:
    dag = generated(Jobs=job().replace('Connector="HR" />', 'Connector="HRR" />'))["HR_job"]

    run = airflow_home.run(dag)

    assert (run.state, run.states, run.tries) == (
        "failed",
        {"configuration_error": "failed"},
        {"configuration_error": 1},
    )
    assert "Jobs.xml:4: " in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------------------------------- safeguards

AD = """\
<ConfigurationFile>
  <Connector Identifier="AD" DisplayName_L1="Directory" />
  <Job Identifier="AD job" DisplayName_L1="AD" {attributes}>
    <PrepareSynchronizationTask Identifier="PAD" DisplayName_L1="P" Connector="AD" SynchronizationMode="Complete" />
    <SynchronizeTask Identifier="SAD" DisplayName_L1="S" Connector="AD" />
  </Job>
</ConfigurationFile>
"""
EXPORT = '<ExportTask Identifier="E" DisplayName_L1="E" Connection="HR-Persons" />'


def loader_with(**settings: Any) -> str:
    told = "".join(f", {name}={value!r}" for name, value in settings.items())
    return LOADER.replace('"conf"', f'"conf"{told}')


def test_a_run_may_wait_for_each_connector_of_its_job_while_another_goes_on(generated) -> None:
    both = job().replace(
        "</Job>", '<SynchronizeTask Identifier="S2" DisplayName_L1="S" Connector="AD" /></Job>'
    )

    dags = generated(Jobs=both, AD=AD.format(attributes=""))

    assert {name: dag.max_active_runs for name, dag in dags.items()} == {"HR_job": 3, "AD_job": 2}


def test_only_a_synchronize_runs_twice_at_once(generated) -> None:
    text = job().replace("<PrepareSynch", f"{EXPORT}\n<PrepareSynch")

    tasks = generated(Jobs=text)["HR_job"].tasks

    assert {task.task_id: task.max_active_tis_per_dag for task in tasks} == {"E": 1, "P": 1, "S": None}


def test_runs_that_never_wait_go_one_after_another(generated) -> None:
    dag = generated(loader_with(on_threshold="fail"), Jobs=job())["HR_job"]

    assert dag.max_active_runs == 1
    assert dag.get_task("S").on_threshold == "fail"


def test_how_a_decision_is_asked_for_reaches_every_synchronize(configuration: Path) -> None:
    from airflow_provider_idm import generate_dags

    def tell(_: object) -> None:
        """Tell nobody."""

    (configuration / "Jobs.xml").write_text(job(), encoding="utf-8")

    dags = generate_dags(
        configuration,
        globals={},
        response_timeout=timedelta(hours=4),
        assigned_users=["ada"],
        notifiers=[tell],
        show_values=True,
    )

    task: Any = dags["HR_job"].get_task("S")
    assert (task.on_threshold, task.response_timeout, task.show_values) == ("wait", timedelta(hours=4), True)
    assert [user["id"] for user in task.assigned_users] == ["ada"]
    assert list(task.notifiers) == [tell]


def test_a_value_that_is_none_is_shown_by_the_jobs(generated) -> None:
    dag = generated(loader_with(on_threshold="ask"), Jobs=job())["HR_job"]

    assert "idm-config-error" in dag.tags
    assert "on_threshold cannot be 'ask'; expected one of wait, fail" in dag.doc_md


@pytest.mark.parametrize(("incremental", "prepare"), [("true", True), ("false", None)])
def test_the_tasks_of_an_incremental_job_are_skipped_while_their_connector_is_blocked(
    generated, incremental: str, prepare: bool | None
) -> None:
    text = job(f'IsIncremental="{incremental}"').replace("<PrepareSynch", f"{EXPORT}\n<PrepareSynch")

    dag = generated(Jobs=text)["HR_job"]

    others = incremental == "true"
    assert {task.task_id: task.skip_if_blocked for task in dag.tasks} == {
        "E": others,
        "P": prepare,
        "S": others,
    }


def test_limits_over_the_last_days_reach_the_synchronize_of_their_connector(generated) -> None:
    week = {"days": 7, "MaximumDeletedLines": 500}

    dags = generated(loader_with(rolling_thresholds={"hr": week}), Jobs=job(), AD=AD.format(attributes=""))

    assert dags["HR_job"].get_task("S").rolling_thresholds == week
    assert dags["AD_job"].get_task("SAD").rolling_thresholds is None


@pytest.mark.parametrize("history", [True, False, None])
def test_whether_former_versions_are_kept_reaches_every_synchronize(generated, history: bool | None) -> None:
    dags = generated(loader_with(history=history), Jobs=job())

    assert dags["HR_job"].get_task("S").history is history


def test_limits_may_be_a_json_text(generated) -> None:
    week = {"days": 7, "MaximumDeletedLines": 500}

    dags = generated(loader_with(rolling_thresholds=json.dumps({"HR": week})), Jobs=job())

    assert dags["HR_job"].get_task("S").rolling_thresholds == week


def test_wrong_limits_concern_the_jobs_of_their_connector(generated) -> None:
    wrong = {"HR": {"days": 7, "MaximumDeleted": 5}, "AD": {"days": 7, "MaximumDeletedLines": 5}}

    dags = generated(loader_with(rolling_thresholds=wrong), Jobs=job(), AD=AD.format(attributes=""))

    assert (
        "generate_dags(rolling_thresholds=…), connector HR: 'MaximumDeleted' is no name of a limit; did you mean "
        "MaximumDeletedLines?"
    ) in dags["HR_job"].doc_md
    assert dags["HR_job"].tags == {"idm", "idm-config-error"}
    assert dags["AD_job"].tags == {"idm"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"HRR": {"days": 7, "MaximumDeletedLines": 5}}, "no connector HRR; did you mean HR?"),
        ("{", "generate_dags(rolling_thresholds=…): not JSON"),
        (7, "generate_dags(rolling_thresholds=…): expected an object by connector"),
    ],
)
def test_limits_of_nobody_knows_whom_concern_all_jobs(generated, value: object, message: str) -> None:
    dags = generated(loader_with(rolling_thresholds=value), Jobs=job(), AD=AD.format(attributes=""))

    assert sorted(dags) == ["AD_job", "HR_job"]
    for dag in dags.values():
        assert dag.tags == {"idm", "idm-config-error"}
        assert message in dag.doc_md


def test_wrong_limits_that_concern_no_job_are_shown_too(generated) -> None:
    connector = '<ConfigurationFile><Connector Identifier="AD" DisplayName_L1="AD" /></ConfigurationFile>'

    dags = generated(loader_with(rolling_thresholds={"AD": {"days": 7}}), Jobs=job(), AD=connector)

    assert sorted(dags) == ["HR_job", "idm_configuration_error"]
    assert dags["HR_job"].tags == {"idm"}
    assert "connector AD: no limit is set" in dags["idm_configuration_error"].doc_md


def test_a_connector_of_a_file_that_cannot_be_read_may_have_limits(generated) -> None:
    limits = {"HR": {"days": 7, "MaximumDeletedLines": 5}, "AD": {"days": 7, "MaximumDeletedLines": 5}}

    dags = generated(loader_with(rolling_thresholds=limits), Jobs=job(), AD="<ConfigurationFile>AD")

    assert "no connector AD" not in "".join(dag.doc_md for dag in dags.values())
