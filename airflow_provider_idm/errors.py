"""What can go wrong, in two families that decide about retries.

*Terminal*: the same input fails again (bad source file, broken chain, rejected batch); retrying is pointless.
*Transient*: something around us was not available (database gone, storage unreachable, lock not obtained); a retry may
well succeed. Every error is written for a person: which file, line or object, what was expected, what to do next.
Messages never hold values of personal attributes unless the offending value *is* the message (an invalid value in a
source file, named so that somebody can fix it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Problem


class IdmError(Exception):
    """Base of all errors that this provider raises on purpose."""


class TerminalError(IdmError):
    """The same input fails again: fix it first."""


class TransientError(IdmError):
    """Something around us failed: the same call may succeed later."""


class ConfigurationError(TerminalError):
    """The XML configuration is wrong; the message holds one ``file:line: message`` per line.

    :param problems: what is wrong, by file and line.
    """

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ExportError(TerminalError):
    """A connection could not be exported as it is configured."""


class ExportUnavailableError(TransientError):
    """A managed system does not answer, or not to the end."""


class SourceFileError(TerminalError):
    """A CSV source file is missing, unreadable or not what its mapping expects."""


class PrepareError(TerminalError):
    """A prepare cannot do what it was asked, whatever the source files hold."""


class ExchangeError(TerminalError):
    """A batch in the exchange is missing, incomplete or altered, or the exchange is no place that can be used."""


class ExchangeUnavailableError(TransientError):
    """The exchange's storage does not answer."""


class SynchronizeError(TerminalError):
    """A batch cannot be applied to the repository as it is."""


class ChainError(SynchronizeError):
    """An Incremental batch is not based on what the repository holds: a Complete is needed."""


class BatchCancelledError(SynchronizeError):
    """The batch was replaced by a later Complete before it was processed.

    :param batch: id of the cancelled batch.
    :param replaced_by: id of the batch that replaced it.
    """

    def __init__(self, message: str, *, batch: str, replaced_by: str | None) -> None:
        super().__init__(message)
        self.batch = batch
        self.replaced_by = replaced_by


class BatchRejectedError(SynchronizeError):
    """A person rejected the batch: its changes were discarded, a Complete is needed.

    :param batch: id of the rejected batch.
    """

    def __init__(self, message: str, *, batch: str) -> None:
        super().__init__(message)
        self.batch = batch


class NotBlockedError(SynchronizeError):
    """There is nothing to decide: the connector, or the batch that was asked about, is not blocked."""


class ConnectorBlockedError(TerminalError):
    """Incremental work for a connector whose blocked batch awaits a decision: it is skipped until then.

    :param connector: the connector; ``batch`` the batch that awaits a decision.
    """

    def __init__(self, message: str, *, connector: str, batch: str | None) -> None:
        super().__init__(message)
        self.connector = connector
        self.batch = batch


class RepositoryError(TerminalError):
    """The identity repository is not one that this version can work with."""


class RepositoryMissingError(RepositoryError):
    """There is no identity repository where one is to be read."""


class RepositoryRefusedError(RepositoryError):
    """The database refused a statement: a missing right, a value it does not take."""


class RepositoryUnavailableError(TransientError):
    """The identity repository's database does not answer."""


class ConcurrentChangeError(TransientError):
    """The repository changed between comparison and apply; nothing was applied."""


class LockedError(TransientError):
    """Another prepare or synchronize of the same connector is running and did not end in time."""


class DataError(TerminalError):
    """Data that was clean when it was prepared cannot be read any more."""


class ResourcesError(TransientError):
    """Memory or disk ran out while data was sorted or compared."""
