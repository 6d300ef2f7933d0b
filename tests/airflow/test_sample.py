"""The sample of ``dags/``, run by a real Airflow: what the repository holds then and what was set aside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.repository import Repository
from tests.airflow.conftest import ROOT, AirflowHome

pytestmark = pytest.mark.airflow


@pytest.fixture
def sample(airflow_home: AirflowHome) -> Any:
    """Run a job of the sample in the test's Airflow."""
    shutil.copytree(ROOT / "dags", airflow_home.dags, dirs_exist_ok=True)

    def run(job: str) -> dict[str, str]:
        return airflow_home.run(getattr(airflow_home.import_file(airflow_home.dags / "idm.py"), job)).states

    return run


def query(home: AirflowHome, connector: str, entity_type: str, *columns: str) -> set[tuple[str | None, ...]]:
    mappings = connector_mappings(read_configuration(home.dags / "conf"), connector)
    with Repository.open(home.repository) as repository:
        rows = repository.query_entity_type(mappings, entity_type).to_pylist()
    return {tuple(row[column] for column in columns) for row in rows}


def links(home: AirflowHome, connector: str, association: str) -> set[tuple[str, str]]:
    mappings = connector_mappings(read_configuration(home.dags / "conf"), connector)
    with Repository.open(home.repository) as repository:
        rows = repository.query_association(mappings, association).to_pylist()
    return {(row["key1"], row["key2"]) for row in rows}


def text(home: AirflowHome, *parts: str) -> str:
    return home.work.joinpath(*parts).read_text(encoding="utf-8")


def test_human_resources(sample, airflow_home: AirflowHome) -> None:
    states = sample("HR_Synchronize_Complete")

    assert set(states.values()) == {"success"}
    assert query(airflow_home, "HR", "Organization", "Code", "Name", "Manager", "Parent") == {
        ("HQ", "Headquarters", "100001", None),
        ("FIN", "Finance, Controlling", "100002", "HQ"),
        ("HR", "Human Resources", "100009", "HQ"),
        ("IT", 'Information "and Communication" Technology', "100005", "HQ"),
        ("IT-SEC", "Sécurité informatique", "100005", "IT"),
        ("SALES", "Sales & Marketing", "100012", "HQ"),
    }
    persons = query(
        airflow_home,
        "HR",
        "Person",
        "EmployeeId",
        "FirstName",
        "LastName",
        "Title",
        "StartDate",
        "IsExternal",
        "Organization",
    )
    assert len(persons) == 17
    assert persons >= {
        (
            "100004",
            "José María",
            "García Núñez",
            "Controller; deputy head of Finance",
            "20160613000000",
            "0",
            "FIN",
        ),
        ("100006", 'Robert "Bob"', "Nguyễn", "System administrator", "20180319000000", "0", "IT"),
        ("100015", "李", "明", "Sales assistant", "20240205000000", "0", "SALES"),
        ("900002", "Oisín", "Ó Briain", "Auditor", "20251015000000", "1", None),
    }
    assert text(airflow_home, "HR", "Collect", "Person.nullpk.csv").splitlines()[1:] == [
        ",Nobody,Inparticular,,,2024-05-01,,no,HQ,18"
    ]
    assert text(airflow_home, "HR", "Collect", "Person.duplicates.csv").splitlines()[1].startswith("100013,")
    assert text(airflow_home, "HR", "Synchronize", "Person_Organization.orphans.csv") == (
        "key1,key2,missing\n900002,AUDIT,2\n"
    )


def test_the_day_after(sample, airflow_home: AirflowHome) -> None:
    sample("HR_Synchronize_Complete")
    organizations = airflow_home.dags / "conf" / "sources" / "hr" / "organizations.csv"
    with organizations.open("a", encoding="utf-8") as file:
        file.write("AUDIT,Internal audit,100001,HQ\n")

    states = sample("HR_Synchronize_Incremental")

    assert set(states.values()) == {"success"}
    assert ("900002", "AUDIT") in links(airflow_home, "HR", "Person_Organization")
    assert ("AUDIT", "Internal audit", "100001", "HQ") in query(
        airflow_home, "HR", "Organization", "Code", "Name", "Manager", "Parent"
    )


def test_the_directory(sample, airflow_home: AirflowHome) -> None:
    states = sample("Directory_Synchronize_Complete")

    assert set(states.values()) == {"success"}
    entries = query(
        airflow_home, "Directory", "Directory_Entry", "objectGUID", "rdn", "objectClass", "parent"
    )
    assert len(entries) == 27
    ids = {rdn: identifier for identifier, rdn, _, _ in entries}
    assert {(rdn, kind) for _, rdn, kind, _ in entries} >= {
        ("Brûlé, Anna", "user"),
        ('Robert "Bob" Nguyễn', "user"),
        ("VPN; remote access", "group"),
    }
    assert {parent for _, _, kind, parent in entries if kind == "group"} == {ids["Groups"]}
    members = links(airflow_home, "Directory", "Directory_Members")
    assert {key2 for key1, key2 in members if key1 == ids["VPN; remote access"]} == {
        ids["Zoë Müller"],
        ids['Robert "Bob" Nguyễn'],
        ids["Chloë van den Berg (ext.)"],
    }
    assert (ids["Everyone (nested)"], ids["All employees"]) in members
    orphans = text(airflow_home, "Directory", "Synchronize", "Directory_Members.orphans.csv").splitlines()
    assert [line for line in orphans[1:] if "Former Colleague" not in line] == []
    assert len(orphans) == 2


def test_the_sample_configuration_has_no_problem() -> None:
    assert read_configuration(ROOT / "dags" / "conf").problems == ()


def test_the_demo_runs(tmp_path: Path, airflow_home: AirflowHome) -> None:
    """The script that ``make demo`` calls."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), str(tmp_path / "demo")],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for told in (
        "Zoë",
        "Sécurité informatique",
        "VPN; remote access",
        "900002",
        "AUDIT",
        "Person.duplicates.csv",
    ):
        assert told in done.stdout
