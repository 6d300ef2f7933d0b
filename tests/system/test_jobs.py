"""Jobs of every kind on a whole Airflow, with failures: what became of every task is what the rules say.

All are started at once; each test looks at one of them.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.airflow.stack import DagRun, Stack
from tests.conftest import Databases
from tests.system.workshop import Workshop

LOADER = """\
from airflow.providers.standard.operators.python import PythonOperator

from airflow_provider_idm import generate_dags


def fail():
    raise RuntimeError("the engine of scores is out of order")


def scores(task, dag):
    return PythonOperator(task_id=task.identifier, python_callable=fail, dag=dag)


generate_dags("conf", idm_conn_id="idm_jobs", task_operators={"ComputeRiskScoresTask": scores})
"""
CONNECTORS = {
    **dict.fromkeys(["F1", "F2", "T1", "T2", "B1", "B2", "B3", "O1", "N1", "Q1"], ""),
    "I1": 'Agent="Site"',
}
BROKEN = {"T1-Broken": "T1"}
"""Connections whose file nobody delivers; F1's is missing too."""
STORED = {"B2": range(1, 6), "O1": range(1, 6), "Q1": range(1, 4)}
"""Persons that are stored before the jobs run. No connector may lose more than one at once."""
DELIVERED = {
    "F2": range(1, 4),
    "T1": range(1, 4),
    "T2": range(1, 4),
    "B1": range(1, 4),
    "B2": range(1, 3),
    "B3": range(1, 4),
    "O1": range(1, 3),
    "N1": range(1, 4),
    "I1": range(1, 4),
}


def _export(connector: str, rest: str = "") -> str:
    return f'<ExportTask Identifier="{connector}_Export" DisplayName_L1="Export" Connection="{connector}-File" {rest}/>'


def _prepare(connector: str, rest: str = "", *parents: str) -> str:
    return (
        f'<PrepareSynchronizationTask Identifier="{connector}_Prepare" DisplayName_L1="Prepare" '
        f'Connector="{connector}" SynchronizationMode="Complete" {rest}>'
        f"{_parents(*parents)}</PrepareSynchronizationTask>"
    )


def _synchronize(connector: str, rest: str = "") -> str:
    return (
        f'<SynchronizeTask Identifier="{connector}_Synchronize" DisplayName_L1="Synchronize" Connector="{connector}" '
        f'DoNotDeleteChanges="true" {rest}>{_parents(f"{connector}_Prepare")}</SynchronizeTask>'
    )


def _flag(identifier: str, rest: str, *parents: str) -> str:
    return (
        f'<SetRecentlyModifiedFlagTask Identifier="{identifier}" DisplayName_L1="Flag" {rest}>'
        f"{_parents(*parents)}</SetRecentlyModifiedFlagTask>"
    )


def _parents(*parents: str) -> str:
    return "".join(f'<TaskDependsOnTask ParentTask="{parent}" />' for parent in parents)


def _chain(connector: str) -> str:
    """Return a connector's export, prepare and synchronize on the levels 0 to 2."""
    return "\n".join(
        [
            _export(connector, 'Level="0"'),
            _prepare(connector, 'Level="1"', f"{connector}_Export"),
            _synchronize(connector, 'Level="2"'),
        ]
    )


JOBS = f"""\
<ConfigurationFile>
  <Agent Identifier="Site" DisplayName_L1="Site" />

  <Job Identifier="Failing" DisplayName_L1="An export fails">
    {_chain("F1")}
    {_chain("F2")}
    <ComputeRoleModelTask Identifier="Failing_Roles" DisplayName_L1="Roles" Level="3" />
    <FulfillTask Identifier="F2_Fulfill" DisplayName_L1="Fulfill" Connector="F2" Level="4" />
    {_flag("Failing_Flag", 'Level="5"', "F1_Synchronize", "F2_Synchronize")}
  </Job>

  <Job Identifier="Tolerant" DisplayName_L1="An export that may fail does">
    <ExportTask Identifier="T1_Broken" DisplayName_L1="Export" Connection="T1-Broken" ContinueOnError="true" />
    {_export("T1")}
    {_prepare("T1", "", "T1_Broken", "T1_Export")}
    {_synchronize("T1")}
    {_export("T2")}
    {_prepare("T2", "", "T2_Export")}
    {_synchronize("T2")}
    <ComputeRoleModelTask Identifier="Tolerant_Roles" DisplayName_L1="Roles" />
    {_flag("Tolerant_Flag", "", "T1_Synchronize", "T2_Synchronize")}
  </Job>

  <Job Identifier="Three" DisplayName_L1="One of three is blocked">
    {_chain("B1")}
    {_chain("B2")}
    {_chain("B3")}
    <ComputeRoleModelTask Identifier="Three_Roles" DisplayName_L1="Roles" Level="3" />
    <FulfillTask Identifier="B1_Fulfill" DisplayName_L1="Fulfill" Connector="B1" Level="4" />
    {_flag("Three_Flag", 'Level="5"', "B1_Synchronize", "B2_Synchronize", "B3_Synchronize")}
  </Job>

  <Job Identifier="Unchanged" DisplayName_L1="Nothing changes">
    {_prepare("Q1")}
    {_synchronize("Q1")}
    {_flag("Q1_Flag", "", "Q1_Synchronize")}
    <FulfillTask Identifier="Q1_Fulfill" DisplayName_L1="Fulfill" Connector="Q1">{_parents("Q1_Flag")}</FulfillTask>
    <ComputeRoleModelTask Identifier="Unchanged_Roles" DisplayName_L1="Roles" />
  </Job>

  <Job Identifier="Overridden" DisplayName_L1="Steps and overrides">
    <Step Identifier="Shared_Roles" />
    <Step Identifier="O1_Export" />
    <PrepareSynchronizationTaskOverride Identifier="O1_Prepare" SynchronizationMode="Complete" />
    <SynchronizeTaskOverride Identifier="O1_Synchronize" ForceSynchronization="true" DisplayName_L1="Forced" />
    <Step Identifier="Shared_Roles" />
  </Job>
  {_export("O1")}
  {_prepare("O1").replace("Complete", "Incremental")}
  {_synchronize("O1")}
  <ComputeRoleModelTask Identifier="Shared_Roles" DisplayName_L1="Roles" />

  <Job Identifier="Registered" DisplayName_L1="What an author registered fails">
    <ComputeRiskScoresTask Identifier="Tolerated" DisplayName_L1="May fail" ContinueOnError="true" />
    <FulfillTask Identifier="Child" DisplayName_L1="Fulfill">{_parents("Tolerated")}</FulfillTask>
    <ComputeRoleModelTask Identifier="Unrelated" DisplayName_L1="Roles" />
    <ComputeRiskScoresTask Identifier="Fatal" DisplayName_L1="Must not fail" />
    <ComputeRoleModelTask Identifier="Never" DisplayName_L1="Roles" />
  </Job>

  <CreateConnectorSynchroComplete Connector="N1" />
  <CreateConnectorSynchroIncremental Connector="N1" />
  <CreateInitializationJob Agent="Site" JobIdentifier="Site_First" />
  <CreateAgentSynchroComplete Agent="Site" />
  <CreateAgentSynchroIncremental Agent="Site" />

  <Job Identifier="SixFields" DisplayName_L1="Seconds are 0" CronTabExpression="0 30 3 * * MON">
    <Step Identifier="Shared_Roles" />
  </Job>
  <Job Identifier="Seconds" DisplayName_L1="Seconds are not 0" CronTabExpression="15 30 3 * * MON">
    <Step Identifier="Shared_Roles" />
  </Job>
  <Job Identifier="Denied" DisplayName_L1="Not by hand" CronTabExpression="0 3 * * *" UserStartDenied="true">
    <Step Identifier="Shared_Roles" />
  </Job>
  <Job Identifier="Backwards" DisplayName_L1="A parent on a later level">
    <ComputeRoleModelTask Identifier="Early" DisplayName_L1="Roles" Level="0">{_parents("Late")}</ComputeRoleModelTask>
    <ComputeRoleModelTask Identifier="Late" DisplayName_L1="Roles" Level="1" />
  </Job>
</ConfigurationFile>
"""

COMPLETE = "N1_Synchronize_Complete"
INCREMENTAL = "N1_Synchronize_Incremental"
EXPORTED = f"{INCREMENTAL}_Export_N1_Incremental_N1-File"
PREPARED = f"{INCREMENTAL}_PrepareSynchronization_N1_Incremental"
SYNCHRONIZED = f"{INCREMENTAL}_Synchronize_N1_DoNotDeleteChanges"
FLAGGED = f"{INCREMENTAL}_SetRecentlyModifiedFlag"
FIRST = "Site_First"
AGENT = "Site_Synchronize"

EXPECTED: dict[str, tuple[str, dict[str, str | None]]] = {
    # F1's failure stops F1 and what has no connector; F2 goes on, behind the roles too; the flag has one effect.
    "Failing": (
        "failed",
        {
            "F1_Export": "failed",
            "F1_Prepare": "upstream_failed",
            "F1_Synchronize": "upstream_failed",
            "F2_Export": "success",
            "F2_Prepare": "success",
            "F2_Synchronize": "success",
            "Failing_Roles": "upstream_failed",
            "F2_Fulfill": "success",
            "Failing_Flag": "success",
        },
    ),
    "Failing, cleared": (
        "success",
        {
            **{f"F{n}_{task}": "success" for n in (1, 2) for task in ("Export", "Prepare", "Synchronize")},
            "Failing_Roles": "success",
            "F2_Fulfill": "success",
            "Failing_Flag": "success",
        },
    ),
    # What depends on the failed export is skipped, all else goes on, and the run succeeds.
    "Tolerant": (
        "success",
        {
            "T1_Broken": "failed",
            "T1_Export": "success",
            "T1_Prepare": "skipped",
            "T1_Synchronize": "skipped",
            "T2_Export": "success",
            "T2_Prepare": "success",
            "T2_Synchronize": "success",
            "Tolerant_Roles": "success",
            "Tolerant_Flag": "success",
        },
    ),
    # B2 waits for a decision, and with it what has no connector; B1 and B3 do not, not even behind the roles.
    "Three": (
        "running",
        {
            **{f"B{n}_{task}": "success" for n in (1, 2, 3) for task in ("Export", "Prepare")},
            "B1_Synchronize": "success",
            "B2_Synchronize": "awaiting_input",
            "B3_Synchronize": "success",
            "Three_Roles": None,
            "B1_Fulfill": "success",
            "Three_Flag": None,
        },
    ),
    "Three, rejected": (
        "failed",
        {
            **{f"B{n}_{task}": "success" for n in (1, 2, 3) for task in ("Export", "Prepare")},
            "B1_Synchronize": "success",
            "B2_Synchronize": "failed",
            "B3_Synchronize": "success",
            "Three_Roles": "upstream_failed",
            "B1_Fulfill": "success",
            "Three_Flag": "success",
        },
    ),
    # A Complete that changes nothing has no effect: what depends on it is skipped, what does not runs.
    "Unchanged": (
        "success",
        {
            "Q1_Prepare": "success",
            "Q1_Synchronize": "success",
            "Q1_Flag": "skipped",
            "Q1_Fulfill": "skipped",
            "Unchanged_Roles": "success",
        },
    ),
    "Overridden": (
        "success",
        {
            "Shared_Roles": "success",
            "O1_Export": "success",
            "O1_Prepare": "success",
            "O1_Synchronize": "success",
            "Shared_Roles_2": "success",
        },
    ),
    "Registered": (
        "failed",
        {
            "Tolerated": "failed",
            "Child": "skipped",
            "Unrelated": "success",
            "Fatal": "failed",
            "Never": "upstream_failed",
        },
    ),
    COMPLETE: (
        "success",
        {
            f"{COMPLETE}_Export_N1_Complete_N1-File": "success",
            f"{COMPLETE}_PrepareSynchronization_N1_Complete": "success",
            f"{COMPLETE}_Synchronize_N1": "success",
        },
    ),
    f"{INCREMENTAL}, unchanged": (
        "success",
        {EXPORTED: "success", PREPARED: "success", SYNCHRONIZED: "skipped", FLAGGED: "skipped"},
    ),
    f"{INCREMENTAL}, changed": (
        "success",
        {EXPORTED: "success", PREPARED: "success", SYNCHRONIZED: "success", FLAGGED: "success"},
    ),
    FIRST: (
        "success",
        {
            f"{FIRST}_CreateDatabaseViews": "success",
            f"{FIRST}_Export_I1_Initial_I1-File": "success",
            f"{FIRST}_PrepareSynchronization_I1_Initial": "success",
            f"{FIRST}_Synchronize_I1_ForceSynchronization": "success",
        },
    ),
    f"{AGENT}_Incremental, changed": (
        "success",
        {
            f"{AGENT}_Incremental_Export_I1_Incremental_I1-File": "success",
            f"{AGENT}_Incremental_PrepareSynchronization_I1_Incremental": "success",
            f"{AGENT}_Incremental_Synchronize_I1_DoNotDeleteChanges": "success",
            f"{AGENT}_Incremental_SetRecentlyModifiedFlag": "success",
        },
    ),
    f"{AGENT}_Complete, unchanged": (
        "success",
        {
            f"{AGENT}_Complete_Export_I1_Complete_I1-File": "success",
            f"{AGENT}_Complete_PrepareSynchronization_I1_Complete": "success",
            f"{AGENT}_Complete_Synchronize_I1": "success",
        },
    ),
    "Seconds": ("failed", {"configuration_error": "failed"}),
    "Backwards": ("failed", {"configuration_error": "failed"}),
}
"""State of the run and of every task by what was run; helper nodes are left out, see ``states``."""
HELPERS = ("__ended", "all_succeeded")


class Floor:
    """A running Airflow with a run of every job."""

    def __init__(self, stack: Stack, workshop: Workshop) -> None:
        self.stack = stack
        self.workshop = workshop
        names = [name for name in EXPECTED if "," not in name]
        self.runs = {name: DagRun(stack, name, "anna") for name in names}

    def check(self, what: str, run: DagRun) -> None:
        """Wait for the end of a run and compare all that became of it."""
        run.wait_for_end()
        assert (run.state(), states(run)) == EXPECTED[what]
        ended = {state for name, state in run.states().items() if name.endswith("__ended")}
        assert ended <= {"success"}, "a node for the end of a task succeeds whatever became of it"


def states(run: DagRun) -> dict[str, Any]:
    """Return the state of every task of the job; the nodes between them are no tasks of it."""
    return {name: state for name, state in run.states().items() if not name.endswith(HELPERS)}


@pytest.fixture(scope="module")
def floor(
    tmp_path_factory: pytest.TempPathFactory, stack: Stack, postgresql_databases: Databases
) -> Iterator[Floor]:
    database = postgresql_databases.empty()
    workshop = Workshop(tmp_path_factory.mktemp("floor"), stack.home / "dags" / "jobs", database)
    stack.connect("idm_jobs", extra=workshop.places)
    workshop.write(JOBS, CONNECTORS, BROKEN)
    for connector, persons in STORED.items():
        workshop.store(connector, persons)
    for connector, persons in DELIVERED.items():
        workshop.deliver(connector, persons)
    stack.place("jobs", {"loader.py": LOADER})
    yield Floor(stack, workshop)
    postgresql_databases.drop(database)


def test_a_failed_export_stops_its_connector_alone(floor: Floor) -> None:
    run = floor.runs["Failing"]

    floor.check("Failing", run)

    assert "F1-File.csv" in run.log("F1_Export")
    assert "This task is a placeholder: no operator is registered for FulfillTask" in run.log("F2_Fulfill")
    assert floor.workshop.persons("F1") == []
    assert floor.workshop.persons("F2") == [1, 2, 3]

    # and when its cause is mended, the failed tasks are cleared as the button of the user interface does it
    floor.workshop.deliver("F1", range(1, 4))
    body = {"dry_run": False, "dag_run_id": run.run_id, "only_failed": True}
    answer = run.api.post("/api/v2/dags/Failing/clearTaskInstances", json=body)
    assert answer.status_code == 200, answer.text
    cleared = {task["task_id"] for task in answer.json()["task_instances"]}
    assert {name for name in cleared if not name.endswith(HELPERS)} == {
        "F1_Export",
        "F1_Prepare",
        "F1_Synchronize",
        "Failing_Roles",
    }
    floor.check("Failing, cleared", run)
    assert floor.workshop.persons("F1") == [1, 2, 3]


def test_an_export_that_may_fail_stops_what_depends_on_it(floor: Floor) -> None:
    run = floor.runs["Tolerant"]

    floor.check("Tolerant", run)

    assert "Skipped: task T1_Broken failed, and this task depends on it." in run.log("T1_Prepare")
    assert "Skipped: task T1_Prepare was skipped because of a failure or a block before it" in run.log(
        "T1_Synchronize"
    )
    assert floor.workshop.persons("T1") == []
    assert floor.workshop.persons("T2") == [1, 2, 3]


def test_what_an_author_registered_keeps_the_order_and_the_conditions(floor: Floor) -> None:
    run = floor.runs["Registered"]

    floor.check("Registered", run)

    for task in ("Tolerated", "Fatal"):
        assert "the engine of scores is out of order" in run.log(task)
    assert "Skipped: task Tolerated failed, and this task depends on it." in run.log("Child")


def test_overrides_and_a_step_twice(floor: Floor) -> None:
    run = floor.runs["Overridden"]

    floor.check("Overridden", run)

    assert floor.workshop.persons("O1") == [1, 2], "three were deleted where one may be"
    assert run.task("O1_Synchronize")["task_display_name"] == "Forced"


def test_what_changes_nothing_skips_what_depends_on_it(floor: Floor) -> None:
    run = floor.runs["Unchanged"]

    floor.check("Unchanged", run)

    none = "Skipped: none of the tasks that this one depends on had an effect"
    assert f"{none}: task Q1_Synchronize changed nothing." in run.log("Q1_Flag")
    assert f"{none}: task Q1_Flag was skipped." in run.log("Q1_Fulfill")


def test_complete_and_incremental_scaffoldings(floor: Floor) -> None:
    floor.check(COMPLETE, floor.runs[COMPLETE])
    assert floor.workshop.persons("N1") == [1, 2, 3]

    unchanged = DagRun(floor.stack, INCREMENTAL, "anna")
    floor.check(f"{INCREMENTAL}, unchanged", unchanged)
    none = "Skipped: none of the tasks that this one depends on had an effect"
    assert f"{none}: task {PREPARED} changed nothing." in unchanged.log(SYNCHRONIZED)
    assert f"{none}: task {SYNCHRONIZED} was skipped." in unchanged.log(FLAGGED)

    floor.workshop.deliver("N1", range(2, 6))
    floor.check(f"{INCREMENTAL}, changed", DagRun(floor.stack, INCREMENTAL, "anna"))
    assert floor.workshop.persons("N1") == [2, 3, 4, 5]


def test_an_initialization_job_and_then_those_of_its_agent(floor: Floor) -> None:
    floor.check(FIRST, floor.runs[FIRST])
    assert floor.workshop.persons("I1") == [1, 2, 3]

    floor.workshop.deliver("I1", range(2, 6))
    floor.check(f"{AGENT}_Incremental, changed", DagRun(floor.stack, f"{AGENT}_Incremental", "anna"))
    assert floor.workshop.persons("I1") == [2, 3, 4, 5]

    complete = DagRun(floor.stack, f"{AGENT}_Complete", "anna")
    floor.check(f"{AGENT}_Complete, unchanged", complete)
    assert complete.xcom(f"{AGENT}_Complete_Synchronize_I1", "has_effect") is False


def test_a_schedule_of_six_fields(floor: Floor) -> None:
    found = floor.stack.client("anna").get("/api/v2/dags/SixFields").json()

    assert found["timetable_summary"] == "30 3 * * MON"
    assert found["next_dagrun_logical_date"] is not None or found["is_paused"]


def test_a_job_that_users_may_not_start(floor: Floor) -> None:
    from airflow.sdk import DAG

    answer = floor.stack.client("anna").post("/api/v2/dags/Denied/dagRuns", json={"logical_date": None})

    if "allowed_run_types" in inspect.signature(DAG.__init__).parameters:
        assert answer.status_code == 400, answer.text
    else:  # before Airflow 3.3, which cannot refuse it
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("Seconds", "expected 0 seconds (the first of six fields), not 15"),
        ("Backwards", "the task Early depends on Late, which runs at the level 1: expected one lower than 0"),
    ],
)
def test_a_job_that_cannot_run_says_why(floor: Floor, job: str, expected: str) -> None:
    run = floor.runs[job]

    floor.check(job, run)

    assert expected in run.log("configuration_error")
    found = floor.stack.client("anna").get(f"/api/v2/dags/{job}/details").json()
    assert "idm-config-error" in {tag["name"] for tag in found["tags"]}
    assert expected in found["doc_md"]
    errors = floor.stack.client("anna").get("/api/v2/importErrors").json()["import_errors"]
    assert [error for error in errors if "jobs" in error["filename"]] == []


def test_one_of_three_is_blocked_and_later_rejected(floor: Floor) -> None:
    run = floor.runs["Three"]
    run.wait("B2_Synchronize", "awaiting_input", "deferred")
    for task in ("B1_Fulfill", "B3_Synchronize"):
        run.wait(task, "success")

    # while B2 waits
    found = states(run)
    found["B2_Synchronize"] = found["B2_Synchronize"].replace("deferred", "awaiting_input")
    assert (run.state(), found) == EXPECTED["Three"]
    assert floor.workshop.persons("B1") == floor.workshop.persons("B3") == [1, 2, 3]
    assert floor.workshop.persons("B2") == [1, 2, 3, 4, 5]

    # and when somebody has said no
    url = f"{run.url}/taskInstances/B2_Synchronize/-1/hitlDetails"
    time.sleep(1.5)  # until the executor has heard that the task left its process
    answer = {"chosen_options": ["Reject"], "params_input": {}}
    assert floor.stack.client("anna").patch(url, json=answer).status_code == 200
    floor.check("Three, rejected", run)
    assert floor.workshop.persons("B2") == [1, 2, 3, 4, 5]
