"""The same job with LocalExecutor, CeleryExecutor and EdgeExecutor, on machines that share only the exchange."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from airflow_provider_idm.cli import main
from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.export import ExportRequest, export_connection
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize
from tests.airflow.stack import DagRun

if TYPE_CHECKING:
    from tests.executors.deployment import Deployment

EXECUTORS = ("Local", "Celery", "Edge")
REMOTE = ("Celery", "Edge")
UNUSABLE = "postgresql+psycopg://nobody@repository.invalid:1/none"
AGENTS_TASKS = {
    "Complete": ("Export_Organizations", "Export_Persons", "Prepare", "Look"),
    "Changes": ("Export_Organizations_2", "Export_Persons_2", "Prepare_2"),
}
SERVERS_TASKS = {"Complete": ("Synchronize",), "Changes": ("Synchronize_2", "Flag")}


def a_day_passes(sources: Path) -> None:
    """Have one person leave, one come and one move to an organization that is new."""
    persons = (sources / "persons.csv").read_text(encoding="utf-8").splitlines()
    persons = [line for line in persons if not line.startswith("100008;")]
    persons = [line.replace("SALES", "AUDIT") if line.startswith("100015;") else line for line in persons]
    persons.append("100016;Nguyệt;Trần;Accountant;nguyet.tran@example.org;2026-02-02;;no;FIN")
    (sources / "persons.csv").write_text("\n".join([*persons, ""]), encoding="utf-8")
    with (sources / "organizations.csv").open("a", encoding="utf-8") as file:
        file.write("AUDIT,Internal audit,100016,HQ\n")


def somebody_leaves(sources: Path) -> None:
    persons = (sources / "persons.csv").read_text(encoding="utf-8").splitlines()
    left = [line for line in persons if not line.startswith("100011;")]
    (sources / "persons.csv").write_text("\n".join([*left, ""]), encoding="utf-8")


def of_a_complete(deployment: Deployment, sources: Path, folder: Path) -> str:
    """Return the content hash of a Complete of these sources, on this machine alone."""
    configuration = read_configuration(deployment.folder / "server" / "dags" / "Local" / "conf")
    mappings = connector_mappings(configuration, "HR")
    for name in ("HR-Organizations", "HR-Persons"):
        export_connection(
            ExportRequest(
                configuration=configuration,
                connection=name,
                output=folder / "ExportOutput",
                settings={"Path": str(sources / f"{name.removeprefix('HR-').lower()}.csv")},
                incremental=False,
                work=folder,
            )
        )
    exchange = Exchange.open(str(folder / "exchange"))
    prepare(
        PrepareRequest(
            mappings=mappings,
            mode=SynchronizationMode.COMPLETE,
            sources=folder / "ExportOutput",
            exchange=exchange,
            work=folder,
        )
    )
    with Repository.open(f"sqlite:///{folder}/repository.db") as repository:
        synchronize(
            SynchronizeRequest(
                mappings=mappings, exchange=exchange, repository=repository, work=folder, force=True
            )
        )
        return repository.content_hash(mappings)


@pytest.fixture(scope="module")
def runs(deployment: Deployment) -> dict[tuple[str, str], DagRun]:
    """Run both jobs with all executors: first everything, and when a day has passed what changed."""
    runs: dict[tuple[str, str], DagRun] = {}
    for job in ("Complete", "Changes"):
        if job == "Changes":
            for executor in EXECUTORS:
                a_day_passes(deployment.sources(executor))
        runs |= {(executor, job): deployment.run(executor, job) for executor in EXECUTORS}
        for executor in EXECUTORS:
            run = runs[executor, job]
            assert deployment.end(run) == "success", (run.states(), deployment.told())
    return runs


def hosts(run: DagRun) -> dict[str, str]:
    answer = run.api.get(f"{run.url}/taskInstances").json()["task_instances"]
    return {task["task_id"]: task["hostname"] for task in answer}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("job", ["Complete", "Changes"])
def test_each_task_ran_on_the_machine_of_its_queue(
    deployment: Deployment, runs: dict[tuple[str, str], DagRun], executor: str, job: str
) -> None:
    from tests.executors.deployment import AGENTS, SERVERS

    assert hosts(runs[executor, job]) == {
        **{f"{executor}_{task}": AGENTS[executor] for task in AGENTS_TASKS[job]},
        **{f"{executor}_{task}": SERVERS[executor] for task in SERVERS_TASKS[job]},
    }


def test_the_result_is_the_same_with_every_executor(
    deployment: Deployment, runs: dict[tuple[str, str], DagRun], tmp_path: Path
) -> None:
    expected = of_a_complete(deployment, deployment.sources("Local"), tmp_path)

    assert {executor: hash_of(deployment, executor) for executor in EXECUTORS} == dict.fromkeys(
        EXECUTORS, expected
    )
    marked = {run.xcom(f"{executor}_Flag") for (executor, job), run in runs.items() if job == "Changes"}
    assert marked == {8}  # two persons, five organizations, and whoever had no organization until now


def hash_of(deployment: Deployment, executor: str) -> str:
    """Return what ``idm hash`` prints."""
    conf = deployment.folder / "server" / "dags" / executor / "conf"
    repository = deployment.repositories[executor]
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["hash", str(conf), "--connector", "HR", "--repository", repository]) == 0
    return printed.getvalue().strip()


@pytest.mark.parametrize("executor", REMOTE)
def test_the_machines_share_the_exchange_alone(
    deployment: Deployment, runs: dict[tuple[str, str], DagRun], executor: str
) -> None:
    agent, server = deployment.agents[executor].home, deployment.folder / "server"
    if executor == "Celery":
        server = deployment.folder / "celery-server"

    batches = [runs[executor, job].xcom(f"{executor}_{task}") for job, task in BATCHES.items()]
    names = deployment.storage.names(f"{executor}/HR/")
    assert [batch for batch in batches if f"{executor}/HR/{batch}/manifest.json" not in names] == []
    assert {path.name for path in (agent / "work" / executor / "ExportOutput").iterdir()} >= {
        "HR-Persons.csv",
        "HR-Organizations.csv",
    }
    assert not (server / "work" / executor / "ExportOutput").exists()
    assert not (server / "dags" / executor / "conf" / "sources").exists()
    assert not (agent / "idm").exists()


BATCHES = {"Complete": "Prepare", "Changes": "Prepare_2"}


@pytest.mark.parametrize("executor", REMOTE)
def test_an_agent_never_opened_the_repository(
    deployment: Deployment, runs: dict[tuple[str, str], DagRun], executor: str
) -> None:
    from tests.executors.deployment import SERVERS

    assert deployment.visitors(executor) - {"tests"} == {SERVERS[executor]}


@pytest.mark.parametrize("executor", REMOTE)
def test_an_agent_could_not_open_the_repository(
    deployment: Deployment, runs: dict[tuple[str, str], DagRun], executor: str
) -> None:
    # its tasks cannot get at the server's connection, not from the API server either
    assert runs[executor, "Complete"].xcom(f"{executor}_Look") == {
        f"idm_{executor.lower()}": "AirflowNotFoundException",
        f"idm_{executor.lower()}_agent": UNUSABLE,
    }
    # nothing on the machine knows the password
    agent = deployment.agents[executor]
    url = sa.make_url(deployment.repositories[executor])
    password = url.password
    assert password is not None
    assert [name for name, value in agent.environment.items() if password in value] == []
    assert files_with(agent.home, password) == []
    # and without it nobody is let in
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database)


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_with_one_executor_the_connection_is_the_agents_all_the_same(
    runs: dict[tuple[str, str], DagRun],
) -> None:
    seen: dict[str, Any] = runs["Local", "Complete"].xcom("Local_Look")

    assert seen["idm_local_agent"] == UNUSABLE
    assert json.dumps(seen["idm_local"]).startswith('"postgresql+psycopg://')


# ------------------------------------------------------------------------------------------------- when something fails


@pytest.fixture(scope="module")
def after_failures(deployment: Deployment, runs: dict[tuple[str, str], DagRun]) -> str:
    """Have somebody leave; return the content hash that is right then."""
    for executor in REMOTE:
        somebody_leaves(deployment.sources(executor))
    folder = deployment.folder / "reference"
    folder.mkdir()
    return of_a_complete(deployment, deployment.sources("Edge"), folder)


def test_an_agent_that_dies_while_it_publishes(deployment: Deployment, after_failures: str) -> None:
    agent = deployment.agents["Edge"]
    deployment.storage.hold(r"/Edge/HR/[^/]*/manifest\.json")
    before = deployment.storage.names("Edge/HR/")
    run = deployment.run("Edge", "Complete")
    assert deployment.storage.wait_until_held(120), deployment.told()

    # when the machine is switched off with all files of the batch published, but for its manifest
    agent.kill()
    deployment.storage.release()
    assert run.task("Edge_Prepare")["state"] == "running"
    deployment.start_edge_worker("edge-agent-again")

    # then the task is tried again on the machine when it is there again
    assert deployment.end(run) == "success", (run.states(), deployment.told())
    prepared = run.task("Edge_Prepare")
    assert (prepared["try_number"], prepared["hostname"]) == (2, "edge-agent-again")
    assert run.task("Edge_Synchronize")["try_number"] == 1
    assert hash_of(deployment, "Edge") == after_failures
    manifests = [
        name
        for name in set(deployment.storage.names("Edge/HR/")) - set(before)
        if name.endswith("manifest.json")
    ]
    assert manifests == [f"Edge/HR/{run.xcom('Edge_Prepare')}/manifest.json"]


def test_a_storage_that_is_out_of_order(deployment: Deployment, after_failures: str) -> None:
    deployment.storage.is_out_of_order = True
    try:
        run = deployment.run("Celery", "Complete")
        run.wait("Celery_Prepare", "up_for_retry")
    finally:
        deployment.storage.is_out_of_order = False

    assert deployment.end(run) == "success", (run.states(), deployment.told())
    assert run.task("Celery_Prepare")["try_number"] >= 2
    assert "ExchangeUnavailableError" in deployment.agents["Celery"].told()
    assert hash_of(deployment, "Celery") == after_failures
