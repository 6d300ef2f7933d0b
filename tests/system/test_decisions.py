"""Decisions on a whole Airflow: a scheduler parks the tasks, people answer over the REST API."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tests.airflow.stack import Stack
from tests.system.office import NAMES, TASK, Case, Desk, Office

POLL = 10
"""Seconds after which a task looks whether something was decided elsewhere, where that is what a test is about."""
CASES = {
    "resumed": {"assigned_users": ["anna"]},
    "rejected": {},
    "expired": {"response_timeout": 15},
    "raced": {},
    "killed": {},
    "tampered": {},
    "superseded": {"poll_interval": POLL},
    "passed_on": {"poll_interval": POLL},
    "changed": {},
    "resumed_elsewhere": {"poll_interval": POLL},
    "rejected_elsewhere": {"poll_interval": POLL},
    "failing": {"on_threshold": "fail"},
}
FEW = (1, 2, 3, 9)
"""Persons of a Complete that deletes five of eight, where two may go, and inserts one."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Office:
    """Run all cases into their thresholds: each has a run whose task awaits a decision, or fails."""
    folder = tmp_path_factory.mktemp("office")
    cases = [Case(folder / name, name, **options) for name, options in CASES.items()]
    cases += [Case(folder / name, name) for name in ("two", "behind")]
    office = Office(stack, cases)
    for name in CASES:
        office.runs[name] = office.run(name, office.cases[name].prepare("Complete", FEW, P2="Novák"))
    return office


@pytest.fixture
def desk(office: Office, request: pytest.FixtureRequest) -> Desk:
    """Give the run of the case that the test names."""
    return office.runs[request.param]


def shows_nothing_personal(text: str) -> bool:
    return not any(name in text for name in (*NAMES, "Novák"))


@pytest.mark.parametrize("desk", ["failing"], indirect=True)
def test_fail_does_not_ask(desk: Desk) -> None:
    assert desk.end() == "failed"

    told = desk.told()
    assert "HR is blocked: Connector HR: MaximumDeletedLines 2 exceeded: 5 of 8 stored" in told
    assert "`P4`" in told
    assert "idm resume" in told
    assert shows_nothing_personal(told)
    assert desk.api.get(desk._question).status_code == 404
    assert (desk.case.state(), desk.case.hash()) == ("blocked", desk.case.before)


@pytest.mark.parametrize("desk", ["resumed"], indirect=True)
def test_what_is_resumed_is_applied_once(desk: Desk) -> None:
    question = desk.question()
    assert question["subject"] == "HR is blocked: Connector HR: MaximumDeletedLines 2 exceeded: 5 of 8 stored"
    assert question["options"] == ["Resume", "Reject"]
    for part in ("`MaximumDeletedLines`", "`P4`", "`P9`", "`Name`", desk.batch):
        assert part in question["body"]
    assert shows_nothing_personal(question["body"] + question["subject"])
    assert question["assigned_users"] == [{"id": "anna", "name": "anna"}]
    letter = (desk.case.folder / "letter.txt").read_text(encoding="utf-8")
    assert letter == f"{question['subject']}|('Resume', 'Reject')|{question['body']}"
    assert desk.case.hash() == desk.case.before

    assert desk.answer("Resume", "bert") == 403
    assert desk.answer("Resume") == 200
    assert desk.answer_now("Reject") == 409

    assert desk.end() == "success"
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]
    assert desk.xcom(TASK)["entity_types"]["Person"] == {
        "inserted": 1,
        "updated": 1,
        "deleted": 5,
        "unchanged": 2,
        "anomalies": 0,
    }
    record = desk.case.record(desk.batch)
    assert record is not None
    assert (record.state, record.consent, record.decided_by) == ("applied", "resumed", "anna (anna)")
    assert desk.answer_now("Reject") == 409
    after = desk.case.hash()
    desk.clear()
    assert desk.end() == "success"
    assert desk.xcom(TASK)["already_applied"] is True
    assert desk.case.hash() == after
    assert shows_nothing_personal(desk.told())


@pytest.mark.parametrize("desk", ["rejected"], indirect=True)
def test_what_is_rejected_is_not_applied(desk: Desk, office: Office) -> None:
    assert desk.answer("Reject", "bert") == 200

    assert desk.end() == "failed"
    assert "was rejected by bert (bert) at 20" in desk.told()
    assert desk.task(TASK)["try_number"] == 1
    assert (desk.case.state(), desk.case.hash()) == ("needs_complete", desk.case.before)
    record = desk.case.record(desk.batch)
    assert record is not None
    assert (record.state, record.decided_by) == ("rejected", "bert (bert)")
    desk.clear()
    assert desk.end() == "failed"
    assert desk.case.hash() == desk.case.before


@pytest.mark.parametrize("desk", ["expired"], indirect=True)
def test_what_nobody_answers_is_rejected(desk: Desk) -> None:
    assert desk.end() == "failed"

    assert "rejected by nobody, as there was no answer within 0:00:15" in desk.told()
    assert (desk.case.state(), desk.case.hash()) == ("needs_complete", desk.case.before)
    assert desk.answer_now("Resume") in {200, 409}
    assert desk.task(TASK)["state"] == "failed"


@pytest.mark.parametrize("desk", ["raced"], indirect=True)
def test_answers_from_two_sides_at_once_apply_once(desk: Desk) -> None:
    desk.question()
    resume = desk.case.idm("resume", "--by", "carla")

    assert desk.answer("Resume") == 200
    out, _ = resume.communicate(timeout=120)

    assert desk.end() == "success"
    assert resume.returncode in {0, 1}, out
    record = desk.case.record(desk.batch)
    assert record is not None
    assert record.decided_by in {"anna (anna)", "carla"}
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]
    with sa.create_engine(desk.case.repository).connect() as connection:
        states = connection.exec_driver_sql(
            "SELECT State FROM UJ_TaskInstances WHERE Batch_Id = ?", (desk.batch,)
        ).scalars()
        assert len(list(states)) == 1


@pytest.mark.parametrize("desk", ["tampered"], indirect=True)
def test_a_batch_that_was_tampered_with_is_not_applied(desk: Desk) -> None:
    desk.question()
    [file] = (desk.case.exchange / "HR" / desk.batch).glob("Person.sorted.csv")
    clean = file.read_bytes()
    file.write_bytes(clean.replace(b"P3", b"P7"))

    assert desk.answer("Resume") == 200

    assert desk.end() == "failed"
    assert "Nothing was applied, and connector HR stays blocked" in desk.told()
    assert (desk.case.state(), desk.case.hash()) == ("blocked", desk.case.before)
    file.write_bytes(clean)
    desk.clear()
    assert desk.answer("Resume") == 200
    assert desk.end() == "success"
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]


@pytest.mark.parametrize("desk", ["changed"], indirect=True)
def test_other_changes_than_were_shown_are_asked_about_again(desk: Desk) -> None:
    first = desk.question()
    with sa.create_engine(desk.case.repository).begin() as connection:
        connection.exec_driver_sql("UPDATE UR_Resources SET C5 = 'Dvořák' WHERE PrimaryKey = 'P3'")
    tampered = desk.case.hash()

    assert desk.answer("Resume") == 200

    desk.stack.wait_for("another question", lambda: desk.xcom(TASK, "question"))
    question, again = desk.xcom(TASK, "question"), desk.question()
    letter = (desk.case.folder / "letter.txt").read_text(encoding="utf-8")
    assert letter.endswith(question["body"])
    assert f"choose *Resume* with the change set `{question['change_set']}`" in question["body"]
    assert question["change_set"] not in first["body"]
    assert "`P3`" in question["body"]
    assert shows_nothing_personal(question["body"])
    assert again["body"] == first["body"], "Airflow keeps the text of a question"
    assert again["response_received"] is False
    assert desk.case.hash() == tampered

    assert desk.answer("Resume") == 200, "which approves what that question shows"
    assert desk.question()["response_received"] is False
    assert desk.case.hash() == tampered

    assert desk.answer("Resume", change_set=question["change_set"]) == 200
    assert desk.end() == "success"
    assert desk.task(TASK)["try_number"] == 1
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]


def test_a_task_goes_on_with_its_own_batch_and_asks_about_that_too(office: Office) -> None:
    case = office.cases["two"]
    first = case.prepare("Incremental", (1, 2, 3, 4, 5))
    second = case.prepare("Incremental", (1, 2))

    desk = office.run("two", second)
    assert first in desk.question()["body"]
    assert desk.answer("Resume") == 200

    question = desk.stack.wait_for("another question", lambda: desk.xcom(TASK, "question"))
    assert second in question["body"]
    assert case.persons() == ["P1", "P2", "P3", "P4", "P5"]
    assert desk.answer("Resume", change_set=question["change_set"]) == 200
    assert desk.end() == "success"
    assert case.persons() == ["P1", "P2"]
    assert [batch["id"] for batch in desk.xcom(TASK)["batches"]] == [first, second]


@pytest.mark.parametrize("desk", ["superseded"], indirect=True)
def test_a_later_complete_supersedes(desk: Desk) -> None:
    desk.question()
    case = desk.case
    later = case.prepare("Complete", (1, 2, 3, 4, 5, 6, 7))
    assert case.synchronize(later) == "completed"

    assert desk.end() == "failed"
    assert f"batch {later}, a later Complete, took its place" in desk.told()
    assert desk.task(TASK)["try_number"] == 1
    assert case.persons() == ["P1", "P2", "P3", "P4", "P5", "P6", "P7"]


@pytest.mark.parametrize("desk", ["passed_on"], indirect=True)
def test_a_later_complete_that_exceeds_is_what_is_asked_about(desk: Desk, office: Office) -> None:
    desk.question()
    case = desk.case

    second = office.run("passed_on", case.prepare("Complete", (1, 2)))

    assert second.batch in second.question()["body"]
    assert desk.end() == "failed"
    assert f"batch {second.batch}, a later Complete, took its place" in desk.told()
    block = case.block()
    assert block is not None
    assert (block.batch, case.hash()) == (second.batch, case.before)


def test_an_incremental_behind_what_is_asked_about_is_skipped(office: Office) -> None:
    case = office.cases["behind"]
    first = case.prepare("Complete", FEW)
    second = case.prepare("Incremental", (1, 2, 3))
    asking = office.run("behind", first)
    asking.question()

    behind = office.run("behind", second)

    assert behind.end() == "skipped"
    assert behind.xcom("synchronize", "stopped") is True
    told = behind.told()
    assert f"batch {first} awaits a decision" in told
    assert f"Batch {second} stays in the queue" in told
    assert asking.answer("Resume") == 200
    assert asking.end() == "success"
    assert case.persons() == ["P1", "P2", "P3", "P9"]
    behind.clear()
    assert behind.end() == "success"
    assert case.persons() == ["P1", "P2", "P3"]


@pytest.mark.parametrize("desk", ["resumed_elsewhere"], indirect=True)
def test_a_resume_from_the_command_line_is_noticed(desk: Desk) -> None:
    desk.question()
    resume = desk.case.idm("resume", "--by", "carla")
    assert resume.wait(120) == 0, resume.communicate()

    assert desk.end() == "success"
    assert "was applied by carla" in desk.told()
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]
    assert desk.xcom(TASK)["entity_types"]["Person"]["deleted"] == 5


@pytest.mark.parametrize("desk", ["rejected_elsewhere"], indirect=True)
def test_a_reject_from_the_command_line_is_noticed(desk: Desk) -> None:
    desk.question()
    reject = desk.case.idm("reject", "--by", "carla")
    assert reject.wait(120) == 0, reject.communicate()

    assert desk.end() == "failed"
    assert "was rejected by carla at 20" in desk.told()
    assert (desk.case.state(), desk.case.hash()) == ("needs_complete", desk.case.before)


@pytest.mark.parametrize("desk", ["killed"], indirect=True)
def test_a_killed_scheduler_loses_no_question(desk: Desk) -> None:
    desk.question()
    desk.stack.kill("scheduler")
    assert desk.answer("Resume") == 200
    answered = datetime.now(UTC)
    assert desk.task(TASK)["state"] in {"scheduled", "deferred"}
    assert desk.case.hash() == desk.case.before
    desk.stack.start("scheduler")

    assert desk.end() == "success"
    assert desk.case.persons() == ["P1", "P2", "P3", "P9"]
    record = desk.case.record(desk.batch)
    assert record is not None
    assert record.decided_at is not None
    assert record.decided_at <= answered < record.finished_at
