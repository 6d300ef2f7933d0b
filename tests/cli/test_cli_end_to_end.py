"""A connector's life from the shell: prepare, plan, synchronize, look, change, again."""

from __future__ import annotations

import csv
import json
import uuid
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.shell import Shell

CONFIGURATION = """<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="Human Resources" MaximumInsertedLines="0" MaximumUpdatedLines="0"
             MaximumDeletedLines="0" MaxPercentageInsertedLines="0" MaxPercentageUpdatedLines="0"
             MaxPercentageDeletedLines="0" MaximumLinkInsertedLines="0" MaximumLinkDeletedLines="0"
             MaxLinkPercentageInsertedLines="0" MaxLinkPercentageDeletedLines="0" />
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="code" DisplayName_L1="Code" Type="String" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="name" DisplayName_L1="Name" Type="String" TargetColumnIndex="5" />
    <Property Identifier="manager" DisplayName_L1="Manager" Type="ForeignKey" TargetColumnIndex="128" />
    <Property Identifier="reports" DisplayName_L1="Reports" Type="ForeignKey" TargetColumnIndex="-1" />
  </EntityType>
  <EntityAssociation Identifier="Manager" DisplayName_L1="Manager" Property1="Person:manager"
                     Property2="Person:reports" IsProperty2Collection="true" />
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="persons">
    <Property Identifier="code" ConnectionColumn="Code" IsPrimaryKey="true" />
    <Property Identifier="name" ConnectionColumn="Name" />
  </EntityTypeMapping>
  <EntityAssociationMapping Identifier="Manager" Connector="HR" ConnectionTable="persons"
                            Column1="Code" EntityPropertyMapping1="Person:code"
                            Column2="Manager" EntityPropertyMapping2="Person:code" />
</ConfigurationFile>
"""

FIRST = 'Code,Name,Manager\nb,"Müller, Zoë",a\na,"Ann ""A""",\nc,,nobody\nc,twice,\n,none,\n'
SECOND = 'Code,Name,Manager\nb,Zoë,\na,"Ann ""A""",\nd,Dora,a\n'


@pytest.fixture
def shell(
    tmp_path: Path, repository_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for folder in ("conf", "sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf" / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, repository_url, capsys)


def test_prepare_prints_the_batch_and_its_counts(shell: Shell) -> None:
    batch = shell.prepare(FIRST, "complete")
    assert str(uuid.UUID(batch)) == batch
    assert (shell.folder / "exchange" / "HR" / batch / "manifest.json").is_file()

    data = shell.json("prepare", "--connector", "hr", "--mode", "Complete", "--sources", "sources")
    assert data["mode"].casefold() == "complete"
    counts = data["files"]
    assert {name: (c["rows"], c["duplicates"], c["nullpk"]) for name, c in counts.items()} == {
        next(name for name in counts if name.startswith("Person")): (3, 1, 1),
        next(name for name in counts if name.startswith("Manager")): (2, 0, 3),
    }


def test_from_sources_to_the_repository(shell: Shell) -> None:
    batch = shell.prepare(FIRST, "initial")

    planned = shell.json("plan", "--connector", "HR", "--changes", "out/changes.csv")
    assert planned["entity_types"]["Person"]["inserted"] == 3
    with (shell.folder / "out" / "changes.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 3 + 1
    assert [b["id"] for b in shell.json("status")["connectors"]["HR"]["pending"]] == [batch]
    empty, _ = shell.run("hash")

    done = shell.json("synchronize", "--connector", "HR", "--orphans")
    assert (done["connector"], done["state"], done["thresholds"]) == ("HR", "completed", [])
    assert done["batches"] == [{"id": batch, "mode": "Initial", "state": "applied"}]
    assert done["entity_types"]["Person"]["inserted"] == 3
    assert {k: done["associations"]["Manager"][k] for k in ("inserted", "orphans")} == {
        "inserted": 1,
        "orphans": 1,
    }
    assert (shell.folder / "work" / "HR" / "Synchronize" / "Manager.orphans.csv").is_file()

    out, _ = shell.run("query", "--entity-type", "person")
    assert out == 'code,name,manager\na,"Ann ""A""",\nb,"Müller, Zoë",a\nc,,\n'
    assert shell.run("query", "--association", "Manager")[0] == "key1,key2\nb,a\n"
    assert shell.run("hash")[0] != empty

    status = shell.json("status", "--connector", "HR")["connectors"]["HR"]
    assert status["pending"] == []
    assert [(b["id"], b["state"]) for b in status["batches"]] == [(batch, "applied")]


def test_changes_are_applied_and_counted(shell: Shell) -> None:
    shell.prepare(FIRST, "complete")
    shell.run("synchronize", "--connector", "HR")
    before, _ = shell.run("hash", "--connector", "HR")

    batch = shell.prepare(SECOND, "incremental")
    done = shell.json("synchronize", "--connector", "HR", "--batch", batch, "--do-not-delete-changes")
    assert done["entity_types"]["Person"] == {
        "inserted": 1,
        "updated": 1,
        "deleted": 1,
        "unchanged": 1,
        "anomalies": 0,
    }
    assert shell.run("query", "--entity-type", "Person")[0] == (
        'code,name,manager\na,"Ann ""A""",\nb,Zoë,\nd,Dora,a\n'
    )
    assert shell.json("set-recently-modified-flag")["resources"] >= 2
    assert shell.json("set-recently-modified-flag") == {"resources": 0}
    assert shell.run("hash", "--connector", "HR")[0] != before

    again = shell.json("synchronize", "--connector", "HR", "--batch", batch)
    assert again["already_applied"]
    assert shell.json("synchronize", "--connector", "HR")["state"] == "nothing"


def test_query_writes_files_by_their_extension(shell: Shell) -> None:
    shell.prepare(FIRST, "complete")
    shell.run("synchronize", "--connector", "HR")
    rows = [
        {"code": "a", "name": 'Ann "A"', "manager": None},
        {"code": "b", "name": "Müller, Zoë", "manager": "a"},
        {"code": "c", "name": None, "manager": None},
    ]
    for name in ("p.csv", "p.json", "p.PARQUET"):
        assert shell.run("query", "--entity-type", "Person", "--output", f"out/{name}") == ("", "")
    out = shell.folder / "out"
    assert (
        out / "p.csv"
    ).read_bytes().decode() == 'code,name,manager\na,"Ann ""A""",\nb,"Müller, Zoë",a\nc,,\n'
    assert json.loads((out / "p.json").read_text(encoding="utf-8")) == rows
    assert pq.read_table(out / "p.PARQUET").to_pylist() == rows
    assert sorted(path.name for path in out.iterdir()) == ["p.PARQUET", "p.csv", "p.json"]
    assert shell.json("query", "--entity-type", "Person") == {"entity_type": "Person", "rows": rows}


def test_tables_are_for_people(shell: Shell) -> None:
    (shell.folder / "sources" / "persons.csv").write_text(FIRST, encoding="utf-8")
    out, err = shell.run("prepare", "--connector", "HR", "--mode", "complete", "--sources", "sources")
    assert "Person" in err
    assert "duplicates" in err
    batch = out.strip()
    plan, _ = shell.run("plan", "--connector", "HR")
    assert batch in plan
    out, _ = shell.run("synchronize", "--connector", "HR")
    assert batch in out
    assert "Manager" in out
    status, _ = shell.run("status")
    assert batch in status
    assert "applied" in status
    assert "no batch is pending" in shell.run("synchronize", "--connector", "HR")[1]


def test_a_type_other_than_none_is_that_of_the_batch(shell: Shell) -> None:
    shell.prepare(FIRST, "complete")
    shell.run("synchronize", "--connector", "HR")
    batch = shell.prepare("Code,Name,Manager,Command\na,,,DELETE\n", "incremental", "--type", "changes")
    assert shell.json("synchronize", "--connector", "HR")["entity_types"]["Person"]["deleted"] == 1
    assert shell.json("status")["connectors"]["HR"]["last_batch"] == batch


def test_an_unreadable_batch_stops_the_connector_and_is_listed(shell: Shell) -> None:
    good = shell.prepare(FIRST, "complete")
    bad = shell.prepare(FIRST, "complete")
    folder = shell.folder / "exchange" / "HR" / bad
    (folder / "manifest.json").write_text("nothing")

    for command in (("prepare", "--mode", "complete", "--sources", "sources"), ("synchronize",), ("plan",)):
        _, err = shell.run(*command, "--connector", "HR", code=1)
        assert f"restore the folder {folder}, or remove it" in err

    found = shell.json("status")["connectors"]["HR"]
    assert [b["id"] for b in found["pending"]] == [good]
    assert [b["id"] for b in found["unreadable"]] == [bad]
    assert bad in shell.run("status")[0]


def test_what_cannot_be_done_says_so(shell: Shell) -> None:
    shell.prepare(FIRST, "complete")
    shell.run("synchronize", "--connector", "HR")
    unknown = str(uuid.uuid4())
    assert (
        f"no batch {unknown}" in shell.run("synchronize", "--connector", "HR", "--batch", unknown, code=1)[1]
    )
    (shell.folder / "sources" / "persons.csv").unlink()
    out, err = shell.run(
        "prepare", "--connector", "HR", "--mode", "complete", "--sources", "sources", "--json", code=1
    )
    assert out == ""
    assert "persons.csv" in err


def test_a_dated_batch_has_its_date(shell: Shell) -> None:
    shell.prepare(FIRST, "complete", "--logical-date", "2026-03-01T06:00+02:00")
    (pending,) = shell.json("status")["connectors"]["HR"]["pending"]
    assert pending["effective_date"] == "2026-03-01T04:00:00+00:00"
