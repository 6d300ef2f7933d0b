"""Thresholds from the shell: blocked, looked at, decided, and planned without touching anything."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.cli import main
from tests.cli.shell import Shell

CONFIGURATION = """<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="Human Resources" MaximumDeletedLines="2" MaximumInsertedLines="0"
             MaxPercentageInsertedLines="0" MaxPercentageUpdatedLines="0" MaxPercentageDeletedLines="33"
             MaxLinkPercentageInsertedLines="0" />
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
ON_ONE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""What the database has no part in is looked at with one of them."""
HEADER = "Code,Name,Manager\n"
PEOPLE = [f"p{n},Name {n},\n" for n in range(1, 9)]
EIGHT = HEADER + "".join(PEOPLE)
FIVE = HEADER + "".join(PEOPLE[:4]) + "p5,Other,p1\n"
HR = ("--connector", "HR")
MAXIMUM = "Connector HR: MaximumDeletedLines 2 exceeded: 3 of 8 stored"
PERCENTAGE = "Connector HR: MaxPercentageDeletedLines 33 % exceeded: 37.5 % of 8 stored"


@pytest.fixture
def shell(
    tmp_path: Path, repository_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for folder in ("conf", "sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf" / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IDM_ROLLING_THRESHOLDS", raising=False)
    return Shell(tmp_path, repository_url, capsys)


def with_eight(shell: Shell) -> None:
    """Store eight people."""
    shell.prepare(EIGHT, "initial")
    shell.run("synchronize", *HR)


def block(shell: Shell) -> str:
    """Store eight people, then try to delete three of them; give the batch that is blocked."""
    with_eight(shell)
    batch = shell.prepare(FIVE, "complete")
    shell.run("synchronize", *HR, code=3)
    return batch


def change_behind_our_back(shell: Shell, statement: str) -> None:
    engine = sa.create_engine(shell.repository)
    with engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount == 1
    engine.dispose()


UPDATE = 'UPDATE "UR_Resources" SET "C5" = \'changed\' WHERE "PrimaryKey" = \'p1\''
DELETE = 'DELETE FROM "UR_Resources" WHERE "PrimaryKey" = \'p8\''


def names(shell: Shell) -> list[str]:
    return [row["code"] for row in shell.json("query", "--entity-type", "Person")["rows"]]


# ------------------------------------------------------------------------------------------------------ blocked


def test_a_blocked_synchronization_says_why_and_what_to_do(shell: Shell) -> None:
    with_eight(shell)
    before, _ = shell.run("hash")
    batch = shell.prepare(FIVE, "complete")

    out, err = shell.run("synchronize", *HR, code=3)

    assert "MaximumDeletedLines" in out
    lines = err.splitlines()
    seen = shell.json("status")["connectors"]["HR"]["blocked"]["change_set"][:12]
    assert lines == [
        f"HR is blocked by batch {batch}: 2 thresholds are exceeded, nothing of it was applied",
        f"  {MAXIMUM}",
        f"  {PERCENTAGE}",
        f"  look:    idm plan conf --connector HR --batch {batch} --show 20   (--changes FILE writes them all)",
        f"  apply:   idm resume conf --connector HR --batch {batch} --change-set {seen}",
        f"  discard: idm reject conf --connector HR --batch {batch}   (a Complete is needed then)",
    ]
    assert shell.run("hash")[0] == before

    again = shell.json("synchronize", *HR, code=3)
    assert (again["state"], again["blocked_by"]) == ("blocked", batch)
    assert [(t["name"], t["limit"], t["actual"], t["stored"]) for t in again["thresholds"]] == [
        ("MaximumDeletedLines", 2, 3, 8),
        ("MaxPercentageDeletedLines", 33, 37.5, 8),
    ]


@ON_ONE
def test_every_command_that_is_told_to_run_runs(shell: Shell) -> None:
    batch = block(shell)
    _, err = shell.run("synchronize", *HR, code=3)

    told = re.findall(r"^  (?:look|apply|discard): +idm (\w+) conf (.*?)(?:   \(.*)?$", err, re.MULTILINE)

    assert [command for command, _ in told] == ["plan", "resume", "reject"]
    for command, options in told[:2]:
        shell.run(command, *options.split())
    command, options = told[2]
    _, err = shell.run(command, *options.split(), code=1)
    assert f"batch {batch} of HR was applied" in err


@ON_ONE
def test_status_tells_of_a_block(shell: Shell) -> None:
    batch = block(shell)

    out, _ = shell.run("status")

    assert re.search(
        rf"^HR is blocked since [\d :-]+ UTC by batch {batch}: 2 thresholds are exceeded", out, re.MULTILINE
    )
    assert f"\n  {MAXIMUM}\n  {PERCENTAGE}\n  look:    idm plan conf --connector HR --batch {batch}" in out
    assert re.search(rf"^last applied: batch (?!{batch})\S+\nentity type ", out, re.MULTILINE), (
        "whose counts follow"
    )
    status = shell.json("status")["connectors"]["HR"]
    assert status["state"] == "blocked"
    assert status["blocked"]["batch"] == batch
    assert [t["name"] for t in status["blocked"]["thresholds"]] == [
        "MaximumDeletedLines",
        "MaxPercentageDeletedLines",
    ]
    assert [(b["id"], b["state"]) for b in status["pending"]] == [(batch, "blocked")]


def test_incremental_work_waits_behind_a_block(shell: Shell) -> None:
    with_eight(shell)
    batch = shell.prepare(FIVE, "complete")
    behind = shell.prepare(FIVE + "p9,Ninth,\n", "incremental")
    shell.run("synchronize", *HR, "--batch", batch, code=3)

    out, err = shell.run("prepare", *HR, "--mode", "incremental", "--sources", "sources", code=3)
    assert out == ""
    assert err.startswith("Error: connector HR is blocked since ")
    assert f"batch {batch} awaits a decision" in err

    _, err = shell.run("synchronize", *HR, "--batch", behind, code=3)
    assert re.match(rf"HR is blocked since [\d :-]+ UTC by batch {batch}: 2 thresholds are exceeded", err)
    assert f"  {MAXIMUM}\n  {PERCENTAGE}\n  batch {behind} waits behind it and was not looked at\n" in err
    data = shell.json("synchronize", *HR, "--batch", behind, code=3)
    assert (data["state"], data["blocked_by"], data["change_set"]) == ("blocked", batch, None)

    shell.run("resume", *HR)
    shell.run("synchronize", *HR, "--batch", behind)
    assert names(shell) == ["p1", "p2", "p3", "p4", "p5", "p9"]


@ON_ONE
def test_force_is_for_one_batch(shell: Shell) -> None:
    batch = block(shell)

    done = shell.json("synchronize", *HR, "--batch", batch, "--force")

    assert (done["state"], done["thresholds"]) == ("completed", [])
    assert names(shell) == ["p1", "p2", "p3", "p4", "p5"]


# ----------------------------------------------------------------------------------------------------- decisions


def test_resume_applies_what_is_blocked_and_tells_who_decided(shell: Shell) -> None:
    batch = block(shell)

    out, err = shell.run("resume", *HR, "--by", "Ada Lovelace")

    assert batch in out
    assert re.search(
        rf"^HR: batch {batch} was resumed by Ada Lovelace at [\d :-]+ UTC and is applied$", err, re.MULTILINE
    )
    assert names(shell) == ["p1", "p2", "p3", "p4", "p5"]
    status = shell.json("status")["connectors"]["HR"]
    assert (status["state"], status["blocked"]) == ("ready", None)
    assert [(b["consent"], b["decided_by"]) for b in status["batches"]][1] == ("resumed", "Ada Lovelace")
    assert "Ada Lovelace" in shell.run("status")[0]

    # Answered twice is applied once.
    assert "HR is not blocked: there is nothing to decide" in shell.run("resume", *HR, code=1)[1]
    _, err = shell.run("resume", *HR, "--batch", batch, "--by", "somebody else")
    assert re.search(r"was applied at [\d :-]+ UTC already \(resumed by Ada Lovelace at ", err)


@ON_ONE
def test_resume_as_json(shell: Shell) -> None:
    batch = block(shell)

    done = shell.json("resume", *HR, "--batch", batch)

    assert (done["state"], done["decision"], done["decided_by"]) == (
        "completed",
        "resumed",
        getpass.getuser(),
    )
    assert done["decided_at"] is not None
    assert done["batches"] == [{"id": batch, "mode": "Complete", "state": "applied"}]
    assert done["entity_types"]["Person"]["deleted"] == 3


def test_other_changes_than_those_reviewed_are_asked_about_again(shell: Shell) -> None:
    batch = block(shell)
    change_behind_our_back(shell, UPDATE)

    data = shell.json("resume", *HR, code=3)

    assert (data["state"], data["decision"], data["decided_by"]) == ("blocked", None, None)
    assert data["entity_types"]["Person"]["updated"] == 2
    change_behind_our_back(shell, UPDATE.replace("changed", "and again"))
    out, err = shell.run("resume", *HR, code=3)
    assert "MaximumDeletedLines" in out
    assert (
        f"the changes are not those that were looked at, and exceed a threshold:\nHR is blocked by batch {batch}"
        in err
    )
    assert f"\n  {MAXIMUM}\n" in err
    assert len(names(shell)) == 8

    assert shell.json("resume", *HR)["decision"] == "resumed"
    assert len(names(shell)) == 5


def test_other_changes_within_the_thresholds_are_applied(shell: Shell) -> None:
    batch = block(shell)
    change_behind_our_back(shell, DELETE)

    _, err = shell.run("resume", *HR, "--by", "ada")

    assert f"HR: batch {batch} was resumed by ada at " in err
    assert err.endswith("is applied; its changes are others than were blocked and keep the thresholds\n")
    assert len(names(shell)) == 5


@ON_ONE
def test_a_decision_may_name_the_changes_it_is_about(shell: Shell) -> None:
    block(shell)
    seen = shell.json("status")["connectors"]["HR"]["blocked"]["change_set"]
    other = "0" * 64

    for named in (other, other[:12]):
        _, err = shell.run("resume", *HR, "--change-set", named, code=3)
        assert "the changes are not those that were looked at, and exceed a threshold:" in err
        assert f"--change-set {seen[:12]}" in err
    assert len(names(shell)) == 8

    assert shell.json("resume", *HR, "--change-set", seen[:12].upper())["decision"] == "resumed"


@ON_ONE
def test_a_decision_may_name_its_batch(shell: Shell) -> None:
    batch = block(shell)
    other = "00000000-0000-7000-8000-000000000000"

    for command in ("resume", "reject"):
        _, err = shell.run(command, *HR, "--batch", other, code=1)
        assert f"HR is blocked by batch {batch}, not by {other}" in err


def test_reject_discards_and_asks_for_a_complete(shell: Shell) -> None:
    batch = block(shell)
    before, _ = shell.run("hash")

    out, err = shell.run("reject", *HR, "--by", "Ada", "--message", "half the file")

    assert re.fullmatch(rf"HR: batch {batch} \(Complete\) was rejected by Ada at [\d :-]+ UTC\n", out)
    assert err.startswith("nothing of it was applied; its changes are discarded\nHR needs a Complete: ")
    assert "(half the file); Incrementals fail until one is applied\n" in err
    assert shell.run("hash")[0] == before
    _, err = shell.run("prepare", *HR, "--mode", "incremental", "--sources", "sources", code=1)
    assert "connector HR needs a Complete" in err
    status = shell.json("status")["connectors"]["HR"]
    assert (status["state"], status["blocked"], status["pending"]) == ("needs_complete", None, [])
    out, _ = shell.run("status")
    assert re.search(r"^HR needs a Complete since [\d :-]+ UTC: .*\(half the file\)", out, re.MULTILINE)
    assert "\n  run:     idm prepare conf --connector HR --mode complete\n" in out
    assert "rejected" in out

    assert "there is nothing to decide" in shell.run("resume", *HR, code=1)[1]
    assert f"batch {batch} of HR was rejected by Ada" in shell.run("resume", *HR, "--batch", batch, code=1)[1]
    again = shell.json("reject", *HR, "--batch", batch, "--by", "Bob")
    assert (again["decision"], again["decided_by"]) == ("rejected", "Ada")

    shell.prepare(EIGHT, "complete")
    shell.run("synchronize", *HR)
    assert shell.json("status")["connectors"]["HR"]["state"] == "ready"


@ON_ONE
def test_reject_as_json(shell: Shell) -> None:
    batch = block(shell)

    data = shell.json("reject", *HR, "--message", "wrong file")

    assert data.pop("decided_at") is not None
    assert data == {
        "connector": "HR",
        "state": "needs_complete",
        "batch": batch,
        "mode": "Complete",
        "decision": "rejected",
        "decided_by": getpass.getuser(),
        "message": "wrong file",
    }


@ON_ONE
def test_a_user_without_a_name_decides_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    block(shell)
    monkeypatch.setattr(getpass, "getuser", fail)

    assert re.fullmatch(r"user \d+|an unnamed user", shell.json("resume", *HR)["decided_by"])


# ------------------------------------------------------------------------------------------------ over some days

WINDOW = {"days": 7, "MaximumDeletedLines": 3}
SEVEN, SIX, FOUR = (HEADER + "".join(PEOPLE[:n]) for n in (7, 6, 4))


@ON_ONE
@pytest.mark.parametrize("given", ["json", "file", "environment", "by connector"])
def test_limits_over_the_last_days(shell: Shell, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_eight(shell)
    shell.prepare(SIX, "complete")
    shell.run("synchronize", *HR)
    shell.prepare(FOUR, "complete")
    (shell.folder / "window.json").write_text(json.dumps(WINDOW), encoding="utf-8-sig")
    option = {
        "json": ["--rolling-thresholds", json.dumps(WINDOW)],
        "file": ["--rolling-thresholds", "window.json"],
        "environment": [],
        "by connector": ["--rolling-thresholds", json.dumps({"hr": WINDOW})],
    }[given]
    if given == "environment":
        monkeypatch.setenv("IDM_ROLLING_THRESHOLDS", "window.json")
    exceeded = [
        {
            "scope": "Connector HR, last 7 days",
            "name": "MaximumDeletedLines",
            "limit": 3,
            "actual": 4,
            "stored": 6,
        }
    ]

    assert [t for t in shell.json("plan", *HR, *option)["thresholds"] if "days" in t["scope"]] == exceeded
    blocked = shell.json("synchronize", *HR, *option, code=3)
    assert [t for t in blocked["thresholds"] if "days" in t["scope"]] == exceeded
    assert shell.json("resume", *HR, *option)["state"] == "completed"


# ---------------------------------------------------------------------------------------------------------- plans


@ON_ONE
def test_a_plan_shows_what_would_block(shell: Shell) -> None:
    with_eight(shell)
    batch = shell.prepare(FIVE, "complete")

    out, err = shell.run("plan", *HR)

    assert re.search(r"Connector HR +MaxPercentageDeletedLines +33 % +37\.5 % +8", out)
    planned = shell.json("plan", *HR)
    assert err == f"HR would be blocked by batch {batch}, change set {planned['change_set'][:12]}\n"
    assert (planned["state"], planned["blocked_by"]) == ("blocked", batch)
    forced = shell.json("plan", *HR, "--force")
    assert (forced["state"], forced["thresholds"]) == ("completed", [])
    assert shell.json("status")["connectors"]["HR"]["state"] == "ready"
    assert shell.json("synchronize", *HR, code=3)["change_set"] == planned["change_set"]


@ON_ONE
def test_a_plan_shows_some_changes(shell: Shell) -> None:
    with_eight(shell)
    shell.prepare(FIVE, "complete")

    out, _ = shell.run("plan", *HR, "--show", "2")
    assert "Person: 3 deleted\nkey\n───\np6 \np7 \n\n… and 1 more\n" in out
    assert re.search(r"^p5 +name *$", out, re.MULTILINE)
    assert "Manager: 1 links inserted\n" in out
    assert "Other" not in out
    assert "Person: 3 deleted" not in shell.run("plan", *HR)[0]

    out, _ = shell.run("plan", *HR, "--show-values")
    assert re.search(r"^p5 +name +Name 5 +Other *$", out, re.MULTILINE)
    assert re.search(r"^p8 +code +p8 *\n +name +Name 8 *$", out, re.MULTILINE)


@ON_ONE
def test_a_plan_of_several_batches_shows_the_changes_of_the_last(shell: Shell) -> None:
    shell.prepare(EIGHT, "complete")
    shell.run("synchronize", *HR, "--force")
    shell.prepare(EIGHT + "p9,Ninth,\n", "incremental")
    last = shell.prepare(EIGHT + "p9,Last,\n", "incremental")

    out, err = shell.run("plan", *HR, "--show", "5")
    assert "Person: 1 updated\n" in out
    assert "Person: 1 inserted\n" not in out
    assert err == f"the changes shown are those of batch {last}; --changes FILE writes them all\n"
    out, _ = shell.run("plan", *HR, "--format", "markdown")
    assert "The counts are of all these batches together; the changes shown are those of the last one." in out


@ON_ONE
def test_a_plan_as_json_shows_some_changes(shell: Shell) -> None:
    with_eight(shell)
    shell.prepare(FIVE, "complete")

    assert "changes" not in shell.json("plan", *HR)
    changes = shell.json("plan", *HR, "--show", "1")["changes"]

    assert changes == [
        {
            "kind": "resource",
            "type": "Person",
            "operation": "delete",
            "total": 3,
            "shown": [{"key": "p6", "properties": ["code", "name"]}],
        },
        {
            "kind": "resource",
            "type": "Person",
            "operation": "update",
            "total": 1,
            "shown": [{"key": "p5", "properties": ["name"]}],
        },
        {
            "kind": "link",
            "type": "Manager",
            "operation": "insert",
            "total": 1,
            "shown": [{"key1": "p5", "key2": "p1"}],
        },
    ]
    with_values = shell.json("plan", *HR, "--show-values")["changes"]
    assert with_values[1]["shown"] == [
        {"key": "p5", "properties": ["name"], "old": {"name": "Name 5"}, "new": {"name": "Other"}}
    ]
    assert len(with_values[0]["shown"]) == 3


@ON_ONE
def test_a_plan_as_markdown_is_nothing_else(shell: Shell) -> None:
    with_eight(shell)
    shell.prepare(HEADER + "".join(PEOPLE[:4]) + "p5,@team <b>|,p1\n", "complete")

    out, err = shell.run("plan", *HR, "--format", "Markdown")

    assert out.startswith("### Plan of HR: a threshold would block it\n\nConnector `HR`, batch `")
    assert "| `Connector HR` | `MaxPercentageDeletedLines` | 33 % | 37.5 % | 8 |\n" in out
    assert "| `Person` | 0 | 1 (12.5 %) | 3 (37.5 %) | 4 | 0 | 8 |\n" in out
    assert "**`Person`: 3 deleted**\n\n| key |\n|---|\n| `p6` |\n| `p7` |\n| `p8` |\n" in out
    assert "team" not in out
    assert err == ""

    out, _ = shell.run("plan", *HR, "--format", "markdown", "--show", "1", "--show-values")
    assert "| `p5` | `name`: `Name 5` → `@team <b>\\|` |" in out
    assert "… and 2 more\n" in out
    shell.run("synchronize", *HR, "--force")
    assert shell.run("plan", *HR, "--format", "markdown")[0] == (
        "### Plan of HR: no batch is pending\n\nConnector `HR`.\n"
    )


def test_all_changes_go_to_a_file(shell: Shell) -> None:
    with_eight(shell)
    batch = shell.prepare(FIVE, "complete")

    shell.run("plan", *HR, "--changes", "changes.json")

    rows = json.loads((shell.folder / "changes.json").read_text(encoding="utf-8"))
    assert sorted((row["type"], row["operation"], row["key1"], row["batch"]) for row in rows) == [
        ("Manager", "insert", "p5", batch),
        ("Person", "delete", "p6", batch),
        ("Person", "delete", "p7", batch),
        ("Person", "delete", "p8", batch),
        ("Person", "update", "p5", batch),
    ]


def test_a_batch_for_a_plan_is_never_applied(shell: Shell) -> None:
    with_eight(shell)
    before, _ = shell.run("hash")
    batch = shell.prepare(FIVE, "complete", "--plan-only")

    assert shell.json("plan", *HR, "--batch", batch)["entity_types"]["Person"]["deleted"] == 3
    assert shell.json("plan", *HR)["state"] == "nothing"
    assert shell.json("status")["connectors"]["HR"]["pending"] == []
    assert shell.json("synchronize", *HR)["state"] == "nothing"
    assert "was made for a plan only" in shell.run("synchronize", *HR, "--batch", batch, code=1)[1]
    assert shell.run("hash")[0] == before


# ------------------------------------------------------------------------------------------------- pull requests


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, SQLite's own included."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        if engine.dialect.name == "sqlite":
            tables.append("sqlite_schema")
        found = {
            table: sorted(
                (tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"')), key=repr
            )
            for table in tables
        }
    engine.dispose()
    return found


def another_column(text: str) -> str:
    return text.replace('ConnectionColumn="Name"', 'ConnectionColumn="Title"')


def another_key(text: str) -> str:
    by_name = text.replace(
        'ConnectionColumn="Code" IsPrimaryKey="true"', 'ConnectionColumn="Title" IsPrimaryKey="true"'
    )
    return by_name.replace('ConnectionColumn="Name"', 'ConnectionColumn="Code"')


def more_types(text: str) -> str:
    return (
        text.replace("</ConfigurationFile>", "")
        + """
  <EntityType Identifier="Title" DisplayName_L1="Title">
    <Property Identifier="name" DisplayName_L1="Name" Type="String" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="holders" DisplayName_L1="Holders" Type="ForeignKey" TargetColumnIndex="-1" />
  </EntityType>
  <EntityTypeMapping Identifier="Title" Connector="HR" ConnectionTable="persons">
    <Property Identifier="name" ConnectionColumn="Title" IsPrimaryKey="true" />
  </EntityTypeMapping>
</ConfigurationFile>"""
    )


def fewer_types(text: str) -> str:
    return re.sub("  <EntityAssociationMapping.*?/>\n", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("change", [another_column, another_key, more_types, fewer_types])
def test_a_changed_configuration_is_planned_and_nothing_is_written(
    shell: Shell, change: Callable[[str], str]
) -> None:
    extract = "Code,Name,Manager,Title\n" + "".join(f"p{n},Name {n},p1,T{n % 3}\n" for n in range(1, 9))
    shell.prepare(extract, "complete")
    shell.run("synchronize", *HR, "--force")
    pending = shell.prepare(extract.replace("Name 1", "Name One"), "incremental")
    before = contents(shell.repository)
    exchange = sorted((shell.folder / "exchange").rglob("*"))
    shutil.copytree(shell.folder / "conf", shell.folder / "pull-request")
    file = shell.folder / "pull-request" / "hr.xml"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    places = ("--exchange", "ci/exchange", "--work", "ci/work")

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return shell.printed()[0]

    run("check", "pull-request")
    batch = run(
        "prepare", "pull-request", *HR, "--mode", "complete", "--plan-only", "--sources", "sources", *places
    ).strip()
    planned = run(
        "plan",
        "pull-request",
        *HR,
        "--batch",
        batch,
        "--format",
        "markdown",
        "--repository",
        shell.repository,
        *places,
    )

    assert planned.startswith("### Plan of HR: ")
    assert f"batch `{batch}` (Complete, effective " in planned
    assert contents(shell.repository) == before
    assert sorted((shell.folder / "exchange").rglob("*")) == exchange
    # Life goes on with the configuration that is in force.
    assert shell.json("synchronize", *HR, "--batch", pending)["state"] == "completed"


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", [another_column, more_types])
def test_a_plan_needs_no_more_than_to_read(shell: Shell, change: Callable[[str], str]) -> None:
    shell.prepare("Code,Name,Manager,Title\np1,Ann,,T\n", "complete")
    shell.run("synchronize", *HR, "--force")
    file = shell.folder / "conf" / "hr.xml"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    batch = shell.prepare("Code,Name,Manager,Title\np1,Ann,,T\np2,Bob,,U\n", "complete", "--plan-only")
    reader, url = f"reader_{uuid.uuid4().hex}", sa.make_url(shell.repository)
    owner = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with owner.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {reader} LOGIN")
        try:
            connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
            shell.repository = url.set(username=reader).render_as_string(hide_password=False)
            assert shell.json("plan", *HR, "--batch", batch)["entity_types"]["Person"]["inserted"] == 1
        finally:
            connection.exec_driver_sql(f"DROP OWNED BY {reader}")
            connection.exec_driver_sql(f"DROP ROLE {reader}")
