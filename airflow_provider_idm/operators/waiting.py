"""Operators that ask a person where changes exceed a threshold, and wait for the answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args

from airflow_provider_idm.errors import ConfigurationError, ResourcesError, TransientError
from airflow_provider_idm.hooks import settings
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException
from airflow_provider_idm.observability.told import shortened
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.decision import (
    Decision,
    Waiting,
    question_of,
    skip_behind,
    text_for_log,
    unasked,
)
from airflow_provider_idm.operators.links import BLOCKED
from airflow_provider_idm.operators.question import (
    LENGTH,
    OPTIONS,
    Question,
    User,
    ask,
    can_be_answered,
    check_can_wait,
    is_name_of,
    read_answer,
    users_of,
    wait,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.synchronization.synchronize import (
        Review,
        SynchronizeRequest,
        SynchronizeResult,
    )

OnThreshold = Literal["wait", "fail"]
"""What becomes of a task whose changes exceed a threshold."""

Notifier = Callable[..., None]
"""A notifier of Airflow (``BaseNotifier``), or a function of the task's context."""

SHORTEST_POLL: Final = timedelta(seconds=10)
"""An executor may report the end of a process five seconds late; a task that runs again by then is taken for failed."""


class WaitingOperator(IdmOperator):
    """Base of operators that wait for a person's decision. They hold no worker slot meanwhile.

    :param on_threshold: what becomes of a task whose changes exceed a threshold: ``wait`` for a person's decision in
        Airflow's user interface, or ``fail`` with the same text. Where nobody can answer (``dag.test()``,
        ``airflow tasks test``) the task fails.
    :param assigned_users: who may answer: ids of Airflow's users, or ``{"id": …, "name": …}``; by default everybody who
        may answer tasks of the DAG.
    :param response_timeout: how long an answer can be given, after which the changes are rejected; for ever if None.
    :param notifiers: called with the task's context when the question is put. ``task.subject``, ``task.body`` and
        ``task.options`` are the question's, as in Airflow's HITLOperator.
    :param show_values: show old and new values of the changes in the question, not only keys and names of properties.
    :param poll_interval: how often to look whether it was decided elsewhere (``idm resume``, ``idm reject``, a later
        Complete); at least 10 seconds. By default, what ``[idm] poll_interval`` of Airflow's configuration says.
    :raises ConfigurationError: if one of these is not what it must be.
    """

    options = OPTIONS
    multiple = False
    defaults = None

    def __init__(
        self,
        *,
        on_threshold: OnThreshold = "wait",
        assigned_users: Sequence[User | str] | User | str | None = None,
        response_timeout: timedelta | None = None,
        notifiers: Sequence[Notifier] | Notifier | None = None,
        show_values: bool = False,
        poll_interval: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_threshold = self._one_of("on_threshold", on_threshold, get_args(OnThreshold))
        self.assigned_users = users_of(assigned_users)
        self.response_timeout = response_timeout
        self.notifiers: Sequence[Notifier] = (notifiers,) if callable(notifiers) else tuple(notifiers or ())
        self.show_values = show_values
        self.poll_interval = poll_interval
        self.subject = ""
        self.body = ""
        if poll_interval is not None:
            self._check_period("poll_interval", poll_interval, SHORTEST_POLL)
        if response_timeout is not None:
            self._check_period("response_timeout", response_timeout, timedelta(seconds=1))

    @abstractmethod
    def request(self, context: Context) -> AbstractContextManager[SynchronizeRequest]:
        """Open the repository for what the task is to do."""

    def resume(self, context: Context, event: Mapping[str, Any], **waiting: str) -> dict[str, Any]:
        """Go on: the question was answered, or it is time to look whether something was decided elsewhere.

        :param event: what Airflow resumes the task with.
        :param waiting: what the task kept, see ``Waiting``.
        :raises AirflowFailException: if the batch was rejected or superseded, or cannot be applied.
        """
        kept = Waiting(**waiting)
        answer = read_answer(event)
        only_looks = answer is None and event.get("error_type") == "timeout"
        with (
            self.metrics.measured(goes_on=True),
            self.errors_as_states(context),
            self._looking(kept, context) if only_looks else nullcontext(),
            self.request(context) as request,
        ):
            decision = Decision(request, kept, self.response_timeout)
            result = decision.take(answer, ask_again=answer is None and not only_looks)
            if result is None:
                self._wait(kept, context)
            self.metrics.waited(kept.asked_at)
            return self.conclude(result, request, context)

    @contextmanager
    def _looking(self, kept: Waiting, context: Context) -> Iterator[None]:
        """Look whether something was decided elsewhere; the task goes on waiting if that cannot be told just now.

        The database may be away for a while, and a configuration that is being replaced is broken for a moment.
        """
        try:
            yield
        except (TransientError, ConfigurationError) as error:
            if isinstance(error, ResourcesError):
                raise
            self.log.warning("Whether something was decided elsewhere cannot be told now: %s", error)
            self._wait(kept, context)

    def conclude(
        self, result: SynchronizeResult, request: SynchronizeRequest, context: Context
    ) -> dict[str, Any]:
        """Return the counts of what was applied, or ask about what blocks.

        :raises AirflowFailException: if something blocks, and nobody is to be asked or can answer.
        :raises ConnectorBlockedError: if an earlier batch awaits a decision, which another task asked for.
        """
        for line in result.as_text().splitlines():
            self.log.info(line)
        if result.state == "blocked":
            self._block(result, request, context)
        self.tell_effect(context, result.has_effect)
        return shortened(result.as_dict())

    def _block(self, result: SynchronizeResult, request: SynchronizeRequest, context: Context) -> NoReturn:
        if result.review is None:
            raise skip_behind(request, result)
        self.metrics.count({"blocked": 1})
        context["ti"].xcom_push(key=BLOCKED, value=shortened(result.as_dict()))
        if self.on_threshold == "fail":
            raise AirflowFailException(
                unasked(result, result.review, "This task does not wait (on_threshold).")
            )
        if not can_be_answered():
            why = "Nobody can answer a task that no scheduler runs."
            raise AirflowFailException(unasked(result, result.review, why))
        self._wait(self._ask(result, result.review, context), context)

    def _ask(self, result: SynchronizeResult, review: Review, context: Context) -> Waiting:
        """Put the question, and tell the notifiers."""
        check_can_wait()
        question = question_of(result, review, show_values=self.show_values, timeout=self.response_timeout)
        shown = ask(context["ti"].id, question, self.assigned_users)
        if not is_name_of(shown.change_set, question.change_set):
            question = self._tell_what_is_not_shown(question, text_for_log(result, review), context)
        self._notify(question, context)
        self.log.info("Waiting for a decision: %s", question.subject)
        return Waiting.begin(review, shown.change_set, self.response_timeout)

    def _tell_what_is_not_shown(self, question: Question, text: str, context: Context) -> Question:
        """Say elsewhere what is asked, where Airflow shows the question of before; return it with how to answer."""
        name = question.change_set[:LENGTH]
        how = f"Airflow still shows the question of before: choose *Resume* with the change set `{name}`."
        question = replace(question, body=f"{question.body}\n{how}\n")
        told = {"subject": question.subject, "body": question.body, "change_set": name}
        context["ti"].xcom_push(key="question", value=told)
        self.log.warning(
            "The changes are others than the question in Airflow shows, whose text cannot be changed. To apply those "
            "that follow, choose Resume with the change set %s.\n%s",
            name,
            text,
        )
        return question

    def _notify(self, question: Question, context: Context) -> None:
        """Call the notifiers; the question can be answered whether or not they can tell of it."""
        self.subject, self.body = question.subject, question.body
        for notifier in self.notifiers:
            try:
                notifier(context)
            except Exception:
                self.log.exception("A notifier failed. The question can be answered all the same.")

    def _wait(self, kept: Waiting, context: Context) -> NoReturn:
        remaining = kept.remaining()
        pause = self.poll_interval or settings.poll_interval()
        timeout = pause if remaining is None else min(pause, remaining)
        wait(
            self,
            context["ti"].id,
            kept.change_set,
            method="resume",
            kwargs=kept.as_kwargs(),
            timeout=max(timeout, SHORTEST_POLL),
        )

    def _check_period(self, parameter: str, value: object, least: timedelta) -> None:
        if not isinstance(value, timedelta) or value < least:
            raise ConfigurationError(
                f"task {self.task_id}: {parameter} cannot be {value!r}; expected a timedelta of at least "
                f"{least.total_seconds():g} seconds"
            )
