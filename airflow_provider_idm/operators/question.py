"""Ask a person in Airflow's user interface, wait without a worker, and read the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.hooks.airflow_exceptions import TaskAwaitingInput

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

RESUME: Final = "Resume"
REJECT: Final = "Reject"
OPTIONS: Final = (RESUME, REJECT)

CHANGE_SET: Final = "change_set"
"""The question's field for the change set that is approved, filled with the one that the question shows."""
LENGTH: Final = 12
"""Characters by which a question names a change set."""

User = Mapping[str, str]
"""A user of Airflow: ``{"id": …, "name": …}``."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked.

    :param subject: one line.
    :param body: Markdown.
    :param change_set: hash of the changes that it shows.
    """

    subject: str
    body: str
    change_set: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered.

    :param by: name and id of the user.
    :param change_set: how the change set that was approved is called there; None if it was left out.
    :param at: when; None if Airflow does not tell.
    """

    option: str
    by: str
    change_set: str | None
    at: datetime | None = None


def is_name_of(name: str, change_set: str) -> bool:
    """Tell whether a name, as a question shows it or a person enters it, is that of a change set."""
    return len(name) >= LENGTH and change_set.startswith(name)


def can_be_answered() -> bool:
    """Tell whether this task runs under a scheduler: ``dag.test()`` and ``airflow tasks test`` would wait for ever."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    return isinstance(getattr(task_runner, "SUPERVISOR_COMMS", None), CommsDecoder)


def ask(task_instance: UUID, question: Question, users: Sequence[User]) -> Question:
    """Put a question to the users, unanswered; return what Airflow shows to them.

    A task instance has one question for ever, in later tries and when it is cleared too: asking anew takes away the
    answer but leaves the old text. So what is shown may be another question than this.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult

    stored = task_runner.SUPERVISOR_COMMS.send(
        CreateHITLDetailPayload.model_validate(
            {
                "ti_id": task_instance,
                "options": OPTIONS,
                "subject": question.subject,
                "body": question.body,
                "params": _fields(question.change_set),
                "assigned_users": users,
            }
        )
    )
    if not isinstance(stored, HITLDetailRequestResult):
        return question
    if (stored.subject, stored.body) == (question.subject, question.body):
        return question
    shown = (stored.params or {}).get(CHANGE_SET)
    name = shown.get("value") if isinstance(shown, Mapping) else shown
    return Question(stored.subject, stored.body or "", str(name or ""))


def wait(
    operator: BaseOperator,
    task_instance: UUID,
    change_set: str,
    *,
    method: str,
    kwargs: Mapping[str, Any],
    timeout: timedelta,
) -> NoReturn:
    """Leave the worker until the question is answered, or a time has passed; the operator's method is called then.

    :param change_set: as in the question that is shown.
    :raises ConfigurationError: on Airflow 3.1 and 3.2 without the standard provider.
    """
    if TaskAwaitingInput is not None:
        raise TaskAwaitingInput(method_name=method, kwargs=dict(kwargs), timeout=timeout)

    operator.defer(
        trigger=_trigger()(
            ti_id=task_instance,
            options=list(OPTIONS),
            params=_fields(change_set),
            defaults=None,
            multiple=False,
            timeout_datetime=datetime.now(UTC) + timeout,
        ),
        method_name=method,
        kwargs=dict(kwargs),
    )


def check_can_wait() -> None:
    """Check that this Airflow has what waiting for an answer needs.

    :raises ConfigurationError: on Airflow 3.1 and 3.2 without the standard provider.
    """
    if TaskAwaitingInput is None:
        _trigger()


def read_answer(event: Mapping[str, Any]) -> Answer | None:
    """Return the answer that a task was resumed with; None if there is none yet."""
    options = event.get("chosen_options") or ()
    if event.get("error") or not options:
        return None
    user = event.get("responded_by_user")
    by = f"{user['name']} ({user['id']})" if user else "somebody unknown"
    name = (event.get("params_input") or {}).get(CHANGE_SET)
    name = name.get("value") if isinstance(name, Mapping) else name
    change_set = str(name).strip().lower() or None if name is not None else None
    return Answer(str(options[0]), by, change_set, _moment(event.get("responded_at")))


def users_of(given: object) -> tuple[User, ...]:
    """Return the users that an operator was given, each a mapping with ``id`` and perhaps ``name``, or an id.

    :raises ConfigurationError: if they are something else.
    """
    if given is None:
        return ()
    several = [given] if isinstance(given, str | Mapping) else given
    if not isinstance(several, Sequence):
        raise ConfigurationError(f"assigned_users cannot be {given!r}; expected a list of users")
    return tuple(_user(user) for user in several)


def _user(user: object) -> User:
    if isinstance(user, str) and user.strip():
        return {"id": user, "name": user}
    if isinstance(user, Mapping) and user.get("id"):
        return {"id": str(user["id"]), "name": str(user.get("name") or user["id"])}
    raise ConfigurationError(
        f"assigned_users: {user!r} is no user; expected an id, or {{'id': …, 'name': …}} as Airflow has them"
    )


def _moment(told: object) -> datetime | None:
    """Return a moment as Airflow tells it: as such, or as ISO text."""
    if isinstance(told, str):
        try:
            told = datetime.fromisoformat(told)
        except ValueError:
            return None
    return told.astimezone(UTC) if isinstance(told, datetime) and told.tzinfo else None


def _fields(change_set: str) -> dict[str, Any]:
    field = {
        "value": change_set[:LENGTH],
        "description": "Resume applies these changes only. Leave it, unless the task's log asks for others.",
        "schema": {"type": "string", "title": "Change set"},
    }
    return {CHANGE_SET: field}


def _trigger() -> Any:
    try:
        from airflow.providers.standard.triggers.hitl import HITLTrigger
    except ImportError as error:
        raise ConfigurationError(
            "Before Airflow 3.3, waiting for a person's decision needs the package apache-airflow-providers-standard: "
            "install it where tasks run and where the triggerer does, or set on_threshold='fail'."
        ) from error
    return HITLTrigger
