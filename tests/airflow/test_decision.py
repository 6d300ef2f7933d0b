"""What the synchronize operator asks, and what it makes of answers, without a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_idm.errors import ConfigurationError, RepositoryUnavailableError
from airflow_provider_idm.hooks import airflow_exceptions
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException
from airflow_provider_idm.operators import question
from airflow_provider_idm.operators.decision import Decision, Waiting, question_of, spell
from airflow_provider_idm.operators.question import Answer, read_answer, users_of
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.synchronize import (
    SynchronizeRequest,
    SynchronizeResult,
    decide,
    reject,
    resume,
    synchronize,
)
from tests.airflow.conftest import AirflowHome
from tests.system.office import NAMES, Case

pytestmark = pytest.mark.airflow

FEW = (1, 2, 3)
ANNA = Answer("Resume", "Anna (anna)", None)
AT = datetime(2026, 3, 1, 6, tzinfo=UTC)


# ----------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("given", "users"),
    [
        (None, ()),
        ("anna", ({"id": "anna", "name": "anna"},)),
        ({"id": "7", "name": "Anna"}, ({"id": "7", "name": "Anna"},)),
        (["anna", {"id": 7}], ({"id": "anna", "name": "anna"}, {"id": "7", "name": "7"})),
    ],
)
def test_users_are_given_by_id_or_as_airflow_has_them(given: object, users: tuple[Any, ...]) -> None:
    assert users_of(given) == users


@pytest.mark.parametrize("given", [7, [7], [""], [{"name": "Anna"}], {"anna"}])
def test_what_is_no_user_is_refused(given: object) -> None:
    with pytest.raises(ConfigurationError, match="assigned_users"):
        users_of(given)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"poll_interval": timedelta(seconds=9)}, "poll_interval cannot be .*at least 10 seconds"),
        ({"poll_interval": 60}, "poll_interval cannot be 60; expected a timedelta"),
        ({"response_timeout": timedelta()}, "response_timeout cannot be .*at least 1 seconds"),
        ({"on_threshold": "ask"}, "on_threshold cannot be 'ask'; expected one of wait, fail"),
    ],
)
def test_parameters_are_checked_when_the_dag_is_parsed(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SynchronizeTaskOperator(task_id="s", connector="HR", **parameters)


def test_all_parameters_may_come_from_the_dag() -> None:
    from airflow.sdk import DAG

    given = {
        "on_threshold": "fail",
        "assigned_users": ["anna"],
        "response_timeout": timedelta(days=7),
        "notifiers": [print],
        "show_values": True,
        "poll_interval": timedelta(minutes=5),
    }
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=given):
        task = SynchronizeTaskOperator(task_id="s", connector="HR")

    assert (task.on_threshold, task.show_values, task.response_timeout) == ("fail", True, timedelta(days=7))
    assert (task.assigned_users, task.poll_interval) == (users_of("anna"), timedelta(minutes=5))
    assert list(task.notifiers) == [print]


@pytest.mark.parametrize(
    ("period", "told"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1, hours=2), "1 day 2:00:00"),
        (timedelta(seconds=15), "0:00:15"),
    ],
)
def test_periods_are_spelled_for_people(period: timedelta, told: str) -> None:
    assert spell(period) == told


# --------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ({"error": "The timeout has passed", "error_type": "timeout"}, None),
        ({"error": "5 is not of type 'string'", "error_type": "validation"}, None),
        (
            {"chosen_options": ["Resume"], "responded_by_user": {"id": "7", "name": "Anna"}},
            Answer("Resume", "Anna (7)", None),
        ),
        (
            {"chosen_options": ["Reject"], "responded_by_user": None, "params_input": {"change_set": " "}},
            Answer("Reject", "somebody unknown", None),
        ),
        (
            {"chosen_options": ["Resume"], "params_input": {"change_set": " 0123456789AB "}},
            Answer("Resume", "somebody unknown", "0123456789ab"),
        ),
        (
            {"chosen_options": ["Resume"], "responded_at": AT},
            Answer("Resume", "somebody unknown", None, AT),
        ),
        (
            {"chosen_options": ["Resume"], "responded_at": "2026-03-01T07:00:00+01:00"},
            Answer("Resume", "somebody unknown", None, AT),
        ),
        (
            {"chosen_options": ["Resume"], "responded_at": "yesterday"},
            Answer("Resume", "somebody unknown", None),
        ),
    ],
)
def test_an_answer_is_read_from_what_airflow_resumes_with(
    event: dict[str, Any], answer: Answer | None
) -> None:
    assert read_answer(event) == answer


# ------------------------------------------------------------------------------------------------------- decisions


class Desk:
    """A blocked connector, and the task that waits for a decision."""

    def __init__(self, folder: Path) -> None:
        self.case = Case(folder, "case")
        self.batch = self.case.prepare("Complete", FEW)
        self.opened = Repository.open(self.case.repository)
        self.request = SynchronizeRequest(
            mappings=self.case.mappings,
            exchange=Exchange.open(str(self.case.exchange)),
            repository=self.opened,
            work=self.case.work,
            batch=self.batch,
        )
        self.result = synchronize(self.request)
        assert self.result.review is not None
        self.review = self.result.review

    def take(
        self, answer: Answer | None, *, timeout: timedelta | None = None, **waiting: str
    ) -> SynchronizeResult | None:
        begun = Waiting.begin(self.review, self.review.change_set, timeout)
        kept = Waiting(**begun.as_kwargs() | waiting)  # type: ignore[arg-type]
        return Decision(self.request, kept, timeout).take(answer)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "case")
    with desk.opened:
        yield desk


def test_the_question_tells_what_is_needed_and_no_values(desk: Desk) -> None:
    asked = question_of(desk.result, desk.review, show_values=False, timeout=timedelta(days=7))

    assert asked.subject == "HR is blocked: Connector HR: MaximumDeletedLines 2 exceeded: 5 of 8 stored"
    for part in (
        "`MaximumDeletedLines`",
        "`P4`",
        desk.batch,
        "**Reject** discards them; no Incremental is applied then before a Complete is.",
        "Without an answer within 7 days they are rejected",
        "Until somebody decides, nothing of this is applied",
    ):
        assert part in asked.body
    assert not any(name in asked.body for name in NAMES)
    with_values = question_of(desk.result, desk.review, show_values=True, timeout=None)
    assert "Nakamura" in with_values.body
    assert "Without an answer" not in with_values.body


def test_what_a_task_keeps_is_a_few_short_texts(desk: Desk) -> None:
    import json

    kept = Waiting.begin(desk.review, desk.review.change_set, timedelta(hours=1)).as_kwargs()

    assert len(json.dumps(kept)) < 500
    remaining = Waiting(**kept).remaining()  # type: ignore[arg-type]
    assert remaining is not None
    assert timedelta(minutes=59) < remaining <= timedelta(hours=1)


def test_without_an_answer_nothing_is_decided(desk: Desk) -> None:
    assert desk.take(None) is None
    assert desk.take(None, timeout=timedelta(hours=1)) is None
    assert desk.case.state() == "blocked"


def test_an_approval_of_other_changes_applies_nothing(desk: Desk) -> None:
    """Given a task that compared again since its question was put, when that question is answered."""
    result = desk.take(ANNA, shown="0123456789ab")

    assert result is not None
    assert (result.state, result.review) == ("blocked", desk.review)
    assert desk.case.hash() == desk.case.before
    named = Answer("Resume", "Anna (anna)", desk.review.change_set[:12])
    result = desk.take(named, shown="0123456789ab")
    assert result is not None
    assert result.state == "completed"


@pytest.mark.parametrize("option", ["Resume", "Reject"])
def test_the_moment_of_an_answer_is_on_record(desk: Desk, option: str) -> None:
    answer = Answer(option, "Anna (anna)", None, AT)

    if option == "Resume":
        assert desk.take(answer) is not None
    else:
        with pytest.raises(AirflowFailException, match=r"Anna \(anna\) at 2026-03-01 06:00:00 UTC"):
            desk.take(answer)

    record = desk.case.record(desk.batch)
    assert record is not None
    assert (record.decided_by, record.decided_at) == ("Anna (anna)", AT)


@pytest.mark.parametrize("length", [1, 11])
def test_an_approval_needs_the_whole_name_of_a_change_set(desk: Desk, length: int) -> None:
    result = desk.take(Answer("Resume", "Anna (anna)", desk.review.change_set[:length]))

    assert result is not None
    assert result.state == "blocked"


@pytest.mark.parametrize("option", ["Resume", "Reject", None])
def test_what_was_resumed_elsewhere_is_a_success(desk: Desk, option: str | None) -> None:
    resume(desk.request, by="Carla")

    result = desk.take(Answer(option, "Anna (anna)", None) if option else None)

    assert result is not None
    assert (result.state, result.already_applied) == ("completed", True)
    record = desk.case.record(desk.batch)
    assert record is not None
    assert record.decided_by == "Carla"


@pytest.mark.parametrize("option", ["Resume", "Reject", None])
def test_what_was_rejected_elsewhere_is_a_failure(desk: Desk, option: str | None) -> None:
    reject(desk.request, by="Carla")

    with pytest.raises(AirflowFailException, match="was rejected by Carla at 20"):
        desk.take(Answer(option, "Anna (anna)", None) if option else None)
    assert desk.case.hash() == desk.case.before


@pytest.mark.parametrize("option", ["Resume", "Reject", None])
def test_what_a_later_complete_superseded_is_a_failure(desk: Desk, option: str | None) -> None:
    later = desk.case.prepare("Complete", range(1, 8))
    assert desk.case.synchronize(later) == "completed"

    with pytest.raises(AirflowFailException, match=f"batch {later}, a later Complete, took its place"):
        desk.take(Answer(option, "Anna (anna)", None) if option else None)
    assert len(desk.case.persons()) == 7


def test_after_the_deadline_it_is_rejected(desk: Desk) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    with pytest.raises(AirflowFailException, match="nobody, as there was no answer within 7 days at 20"):
        desk.take(None, timeout=timedelta(days=7), deadline=past)
    assert desk.case.state() == "needs_complete"


def test_a_resume_before_the_deadline_was_noticed_counts(desk: Desk) -> None:
    resume(desk.request, by="Carla")
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    result = desk.take(None, timeout=timedelta(days=7), deadline=past)

    assert result is not None
    assert result.state == "completed"


def test_changes_that_others_compared_again_are_asked_about(desk: Desk) -> None:
    result = desk.take(None, change_set="0" * 64)

    assert result is not None
    assert (result.state, result.review) == ("blocked", desk.review)


def test_a_batch_that_was_tampered_with_fails_and_stays_blocked(desk: Desk) -> None:
    [file] = (desk.case.exchange / "HR" / desk.batch).glob("Person.sorted.csv")
    file.write_bytes(file.read_bytes().replace(b"P3", b"P7"))

    with pytest.raises(AirflowFailException, match="Nothing was applied, and connector HR stays blocked"):
        desk.take(ANNA)
    assert (desk.case.state(), desk.case.hash()) == ("blocked", desk.case.before)


def test_a_passing_failure_is_for_airflow_to_retry(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise RepositoryUnavailableError("the database does not answer")

    monkeypatch.setattr(decide.Run, "locked", gone)

    with pytest.raises(RepositoryUnavailableError):
        desk.take(ANNA)
    assert desk.case.state() == "blocked"


# -------------------------------------------------------------------------------------------------- other Airflows


def test_a_run_without_a_scheduler_fails_at_once(
    airflow_home: AirflowHome, tmp_path: Path, connection: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    case = Case(tmp_path / "case", "case")
    batch = case.prepare("Complete", FEW)
    connection(extra={"repository": case.repository, "exchange": str(case.exchange), "work": str(case.work)})
    module = airflow_home.load(f"""
        from datetime import datetime

        from airflow.sdk import DAG

        from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

        with DAG("blocked", schedule=None, start_date=datetime(2020, 1, 1), default_args={{"retries": 3}}) as dag:
            SynchronizeTaskOperator(
                task_id="synchronize",
                connector="HR",
                batch="{batch}",
                configuration="{case.configuration}",
                show_values=True,
            )
        """)

    run = airflow_home.run(module.dag)

    assert (run.states, run.tries) == ({"synchronize": "failed"}, {"synchronize": 1})
    told = "".join(capfd.readouterr())
    assert "HR is blocked: Connector HR: MaximumDeletedLines 2 exceeded: 5 of 8 stored" in told
    assert "Nobody can answer a task that no scheduler runs." in told
    assert f"idm resume --connector HR --batch {batch} --change-set " in told
    assert not any(name in told for name in NAMES)
    assert (case.state(), case.hash()) == ("blocked", case.before)


def test_before_airflow_3_3_a_task_waits_with_a_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "TaskAwaitingInput", None)
    task = SynchronizeTaskOperator(task_id="s", connector="HR")

    with pytest.raises(airflow_exceptions.TaskDeferred) as caught:
        question.wait(
            task, UUID(int=7), "0" * 64, method="resume", kwargs={"batch": "b"}, timeout=timedelta(minutes=1)
        )

    assert (caught.value.method_name, caught.value.kwargs) == ("resume", {"batch": "b"})
    path, given = caught.value.trigger.serialize()
    assert path == "airflow.providers.standard.triggers.hitl.HITLTrigger"
    assert (given["ti_id"], given["options"], given["defaults"]) == (UUID(int=7), ["Resume", "Reject"], None)
    assert given["params"]["change_set"]["value"] == "0" * 12


def test_before_airflow_3_3_the_standard_provider_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(question, "TaskAwaitingInput", None)
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.triggers.hitl", None)

    with pytest.raises(ConfigurationError, match="needs the package apache-airflow-providers-standard"):
        question.check_can_wait()


@pytest.mark.skipif(
    airflow_exceptions.TaskAwaitingInput is None, reason="Airflow 3.1 and 3.2 have no such state"
)
def test_since_airflow_3_3_a_task_waits_without_one() -> None:
    task = SynchronizeTaskOperator(task_id="s", connector="HR")

    with pytest.raises(airflow_exceptions.TaskAwaitingInput) as caught:
        question.wait(
            task, UUID(int=7), "0" * 64, method="resume", kwargs={"batch": "b"}, timeout=timedelta(minutes=1)
        )

    assert (caught.value.method_name, caught.value.timeout) == ("resume", timedelta(minutes=1))


@pytest.mark.skipif(
    airflow_exceptions.TaskAwaitingInput is None, reason="Airflow 3.1 and 3.2 have no such state"
)
@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (RepositoryUnavailableError("the database does not answer"), RepositoryUnavailableError),
        (ConfigurationError("HR.xml:1: not well-formed"), AirflowFailException),
    ],
    ids=["database", "configuration"],
)
@pytest.mark.parametrize(("remaining", "waits"), [(None, 60), (3600, 60), (30, 30), (1, 10), (-5, 10)])
def test_what_is_away_while_a_task_looks_loses_no_question(
    monkeypatch: pytest.MonkeyPatch,
    remaining: int | None,
    waits: int,
    error: Exception,
    answered: type[Exception],
) -> None:
    """The task looks again; never so soon that its process might still be taken for running.

    A configuration that is being deployed is broken for a moment. Whoever has answered is told of it.
    """

    def gone(*_: object) -> None:
        raise error

    monkeypatch.setattr(SynchronizeTaskOperator, "request", gone)
    task = SynchronizeTaskOperator(task_id="s", connector="HR")
    deadline = None if remaining is None else (datetime.now(UTC) + timedelta(seconds=remaining)).isoformat()
    kept = Waiting("b", "0" * 64, "0" * 64, "2026-03-01T06:00:00+00:00", deadline).as_kwargs()
    context: Any = {"ti": SimpleNamespace(id=UUID(int=7))}

    with pytest.raises(airflow_exceptions.TaskAwaitingInput) as caught:
        task.resume(context, {"error": "The timeout has passed", "error_type": "timeout"}, **kept)

    assert (caught.value.method_name, caught.value.kwargs) == ("resume", kept)
    assert round(caught.value.timeout.total_seconds()) == waits

    with pytest.raises(answered, match=str(error)):
        task.resume(context, {"chosen_options": ["Resume"]}, **kept)
