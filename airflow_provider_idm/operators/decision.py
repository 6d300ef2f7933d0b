"""What becomes of a task whose batch exceeds the thresholds: what it asks, and what it does with the answer."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from airflow_provider_idm.errors import (
    BatchCancelledError,
    BatchRejectedError,
    ConnectorBlockedError,
    NotBlockedError,
    TerminalError,
)
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException
from airflow_provider_idm.operators.question import LENGTH, REJECT, Answer, Question, is_name_of

if TYPE_CHECKING:
    from airflow_provider_idm.repository.state import BatchRecord
    from airflow_provider_idm.synchronization.synchronize import (
        Review,
        SynchronizeRequest,
        SynchronizeResult,
    )

log = logging.getLogger(__name__)

_BODY: Final = 16_000
"""Characters of a question's body: in UTF-8 they fit the 65,535 bytes that Airflow's metadata database may have."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a task keeps while it waits, as texts.

    :param batch: the batch that awaits a decision.
    :param change_set: hash of its changes when they were last compared.
    :param shown: what the question that people see calls its change set.
    :param asked_at: when it was asked.
    :param deadline: until when it can be answered; None for ever.
    """

    batch: str
    change_set: str
    shown: str
    asked_at: str
    deadline: str | None

    @classmethod
    def begin(cls, review: Review, shown: str, timeout: timedelta | None) -> Self:
        """Begin to wait now."""
        now = datetime.now(UTC)
        deadline = (now + timeout).isoformat() if timeout is not None else None
        return cls(review.batch, review.change_set, shown, now.isoformat(), deadline)

    def as_kwargs(self) -> dict[str, str | None]:
        """Return it as Airflow keeps it for a task that waits."""
        return asdict(self)

    def remaining(self) -> timedelta | None:
        """Return the time left for an answer; None for ever."""
        if self.deadline is None:
            return None
        return datetime.fromisoformat(self.deadline) - datetime.now(UTC)


# ------------------------------------------------------------------------------------------------------------ asking


def question_of(
    result: SynchronizeResult, review: Review, *, show_values: bool, timeout: timedelta | None
) -> Question:
    """Return the question whether to apply the changes of a blocked batch."""
    from airflow_provider_idm.synchronization.synchronize.markdown import as_markdown, subject

    unanswered = f" Without an answer within {spell(timeout)} they are rejected." if timeout else ""
    body = (
        f"{as_markdown(result, review, show_values=show_values, limit=_BODY)}\n"
        "**Resume** applies exactly these changes; should they be others by then, only if those keep the thresholds, "
        "else this is asked again. **Reject** discards them; no Incremental is applied then before a Complete is. "
        f"`idm resume` and `idm reject` do the same.{unanswered}\n\n"
        "Until somebody decides, nothing of this is applied, and Incrementals wait. A later Complete that keeps the "
        "thresholds takes its place.\n\n"
        "If this question comes back after *Resume*, the changes have become others, but Airflow cannot change this "
        "text: read them in the task's log or its XCom `question`, enter the change set that is named there in the "
        "field below, and choose *Resume*.\n"
    )
    return Question(subject(result), body, review.change_set)


def unasked(result: SynchronizeResult, review: Review, why: str) -> str:
    """Return what a task says that fails instead of asking."""
    which = f"--connector {result.connector} --batch {review.batch}"
    return (
        f"{text_for_log(result, review)}\n"
        f"Nothing was applied, and connector {result.connector} stays blocked. {why} Decide with "
        f"'idm resume {which} --change-set {review.change_set[:LENGTH]}' or 'idm reject {which}', or run a Complete."
    )


def text_for_log(result: SynchronizeResult, review: Review) -> str:
    """Return what is asked without any value: a log is read by more people than the question."""
    from airflow_provider_idm.synchronization.synchronize.markdown import as_markdown, subject

    return f"{subject(result)}\n\n{as_markdown(result, review, limit=_BODY)}"


def skip_behind(request: SynchronizeRequest, result: SynchronizeResult) -> ConnectorBlockedError:
    """Return what skips a task whose batch is behind one that awaits a decision."""
    from airflow_provider_idm.synchronization.exchange import ConnectorState
    from airflow_provider_idm.synchronization.exchange.readiness import blocked_message
    from airflow_provider_idm.synchronization.synchronize import find_block

    block = find_block(request.repository, result.connector)
    since, message = (block.since, block.message) if block else (None, "")
    own = f"Batch {request.batch}" if request.batch else "What is pending"
    return ConnectorBlockedError(
        f"{blocked_message(result.connector, ConnectorState('blocked', since, result.blocked_by, message))}. "
        f"{own} stays in the queue: the next synchronization after the decision applies it.",
        connector=result.connector,
        batch=result.blocked_by,
    )


# -------------------------------------------------------------------------------------------------------- synchronizing


def settle(request: SynchronizeRequest) -> SynchronizeResult:
    """Synchronize; a batch that blocks since this very task found it, in an earlier try, is compared again."""
    from airflow_provider_idm.synchronization.synchronize import find_block, synchronize

    result = synchronize(request)
    if result.state != "blocked" or result.review is not None:
        return result
    block = find_block(request.repository, result.connector)
    if block is None or block.origin != request.origin:
        return result
    return go_on(_synchronize_alone(request, block.batch), request, block.batch)


def go_on(result: SynchronizeResult, request: SynchronizeRequest, batch: str) -> SynchronizeResult:
    """Go on with the task's own batch, if the one decided about was an earlier one."""
    from airflow_provider_idm.synchronization.synchronize import synchronize

    if result.state == "blocked" or batch == request.batch:
        return result
    later = synchronize(request)
    return result if later.state == "nothing" else result.followed_by(later)


def _synchronize_alone(request: SynchronizeRequest, batch: str) -> SynchronizeResult:
    """Synchronize up to a batch that need not be the task's own."""
    from airflow_provider_idm.synchronization.synchronize import synchronize

    if batch != request.batch:
        request = replace(request, batch=batch, type=None, force=False)
    return synchronize(request)


# ------------------------------------------------------------------------------------------------------------ deciding


class Decision:
    """The decision that a task waits for.

    :param request: of the task; its batch may be a later one than the one decided about.
    :param timeout: how long an answer could be given.
    """

    def __init__(self, request: SynchronizeRequest, waiting: Waiting, timeout: timedelta | None) -> None:
        self._request = request
        self._waiting = waiting
        self._timeout = timeout
        self._connector = request.mappings.connector.identifier

    def take(self, answer: Answer | None, *, ask_again: bool = False) -> SynchronizeResult | None:
        """Do what was answered, or what somebody decided elsewhere; None if there is no decision yet.

        A result whose state is blocked is to be asked about again.

        :param ask_again: there was an answer, but it was none to this question.
        :raises AirflowFailException: if the batch is rejected, or a later Complete took its place.
        :raises IdmError: if it could not be applied; it stays blocked.
        """
        try:
            result = self._answered(answer) if answer is not None else self._look()
        except (NotBlockedError, BatchRejectedError, BatchCancelledError):
            result, ask_again = self._look(), True  # somebody else was faster
        except TerminalError as error:
            raise AirflowFailException(
                f"{error}\nNothing was applied, and connector {self._connector} stays blocked by batch "
                f"{self._waiting.batch}. When that is mended, clear this task to be asked again, or decide with "
                "'idm resume' or 'idm reject'."
            ) from None
        if result is None and ask_again:
            result = _synchronize_alone(self._request, self._waiting.batch)
        return None if result is None else go_on(result, self._request, self._waiting.batch)

    def _answered(self, answer: Answer) -> SynchronizeResult:
        from airflow_provider_idm.synchronization.synchronize import reject, resume

        batch = self._waiting.batch
        log.info("%s chose %s for batch %s of %s", answer.by, answer.option, batch, self._connector)
        if answer.option == REJECT:
            reject(self._request, by=answer.by, batch=batch, at=answer.at)
            return self._recorded_now()
        approved = self._approved(answer)
        result = resume(self._request, by=answer.by, batch=batch, change_set=approved, at=answer.at)
        if result.already_applied:
            log.info("batch %s of %s had been applied before", batch, self._connector)
        return result

    def _approved(self, answer: Answer) -> str:
        """Return the hash of what was approved, or what the answer calls it: that fits nothing that could be applied."""
        name = answer.change_set or self._waiting.shown
        known = self._waiting.change_set
        return known if is_name_of(name, known) else name or "unknown"

    def _look(self) -> SynchronizeResult | None:
        """Look into the repository for what was decided elsewhere."""
        from airflow_provider_idm.synchronization.synchronize import find_block, read_decision

        waiting, repository = self._waiting, self._request.repository
        if record := read_decision(repository, self._connector, waiting.batch):
            return self._recorded(record)
        block = find_block(repository, self._connector)
        if block is None or (block.batch, block.change_set) != (waiting.batch, waiting.change_set):
            return _synchronize_alone(self._request, waiting.batch)
        remaining = waiting.remaining()
        if remaining is not None and remaining <= timedelta():
            return self._expire()
        return None

    def _expire(self) -> SynchronizeResult:
        from airflow_provider_idm.synchronization.synchronize import reject

        by = f"nobody, as there was no answer within {spell(self._timeout)}" if self._timeout else "nobody"
        with suppress(NotBlockedError, BatchCancelledError):  # somebody else was faster
            reject(self._request, by=by, batch=self._waiting.batch)
        return self._recorded_now()

    def _recorded_now(self) -> SynchronizeResult:
        """Return or raise what the repository says of the batch since just now."""
        from airflow_provider_idm.synchronization.synchronize import read_decision

        record = read_decision(self._request.repository, self._connector, self._waiting.batch)
        return self._recorded(record) if record else _synchronize_alone(self._request, self._waiting.batch)

    def _recorded(self, record: BatchRecord) -> SynchronizeResult:
        if record.state == "cancelled":
            raise AirflowFailException(
                f"Batch {record.batch} of {self._connector} was superseded before it was decided about: batch "
                f"{record.replaced_by}, a later Complete, took its place at {_time(record.finished_at)}. Nothing of it "
                "was applied, and there is nothing to retry."
            )
        if record.state == "rejected":
            raise self._rejected(record.decided_by or "somebody", record.decided_at or record.finished_at)
        from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

        who, at = f" by {record.decided_by}" if record.decided_by else "", _time(record.finished_at)
        log.info("batch %s of %s was applied%s at %s", record.batch, self._connector, who, at)
        if not record.result:
            return _synchronize_alone(self._request, record.batch)
        # Whoever decided did it for this task, and what comes after the task is to go on as if it had been told so.
        return replace(SynchronizeResult.from_dict(record.result, already_applied=True), by_this_task=True)

    def _rejected(self, by: str, at: datetime) -> AirflowFailException:
        return AirflowFailException(
            f"Batch {self._waiting.batch} of {self._connector} was rejected by {by} at {_time(at)}: nothing of it was "
            "applied. Correct the source if it was wrong, then prepare and synchronize in mode Complete; until then "
            "Incrementals are refused."
        )


def spell(period: timedelta) -> str:
    """Say how long: ``7 days``, ``1 day 2:30:00``, ``0:00:10``."""
    days, rest = period.days, period - timedelta(days=period.days)
    told = [f"{days:,} day{'' if days == 1 else 's'}"] if days else []
    return " ".join([*told, str(rest)] if rest or not told else told)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
