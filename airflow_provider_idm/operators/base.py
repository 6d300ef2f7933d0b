"""What all operators share: connection, configuration, and how an error becomes a task's state."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator

from airflow_provider_idm.errors import (
    BatchCancelledError,
    ConfigurationError,
    ConnectorBlockedError,
    TerminalError,
    TransientError,
)
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException, AirflowSkipException
from airflow_provider_idm.local_files import local_files
from airflow_provider_idm.observability.metrics import Metrics
from airflow_provider_idm.operators.predecessors import EFFECT, check_condition, tell_stopped
from airflow_provider_idm.operators.run import with_dates
from airflow_provider_idm.operators.run_options import RunOptions, check_run_options, read_run_options

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.operators.condition import Condition

DEFAULT_CONN_ID = "idm_default"
_CORE_LOGGER = "airflow_provider_idm"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class IdmOperator(BaseOperator):
    """Base of the provider's operators.

    An error that the same input would meet again fails the task at once, without the retries it has left; one of the
    surroundings (a database or a storage that does not answer, a lock not obtained) is retried as the task says.

    :param idm_conn_id: the Airflow connection of type ``idm``.
    :param configuration: folder of the XML configuration; by default the one that the connection names.
    :param log_level: level of this provider's messages in the task's log (``DEBUG``, ``INFO``, ``WARNING``, ``ERROR``,
        ``CRITICAL``, in any case); Airflow's own if None.
    :raises ConfigurationError: if the log level is none of these.
    """

    condition: Condition | None = None
    """What decides, in a job, whether the task runs; set by the job."""
    run_params: frozenset[str] | None = None
    """The params that a run of a generated DAG may be given; None in a DAG that its author wrote. Set by the job."""
    reads: ClassVar[frozenset[str]] = frozenset({"dry_run"})
    """The params that make a difference to the operator."""
    step: ClassVar[str] = "task"
    """What its metrics are called by."""
    template_fields: Sequence[str] = ("configuration",)
    ui_color: ClassVar[str] = "#e8f1fa"  # type: ignore[misc]  # the base class has it as an instance's

    def __init__(
        self,
        *,
        idm_conn_id: str = DEFAULT_CONN_ID,
        configuration: str | None = None,
        log_level: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.idm_conn_id = idm_conn_id
        self.configuration = configuration
        self.log_level = (
            self._one_of("log_level", log_level.upper(), _LEVELS) if log_level is not None else None
        )

    def execute(self, context: Context) -> Any:
        """Do the task.

        :raises AirflowFailException: for an error that no retry can mend, with the same text.
        :raises AirflowSkipException: if the task's batch was replaced by a later one, or its connector is blocked.
        """
        if self.condition is not None:
            check_condition(self.condition, context)
        with self.metrics.measured(), self.errors_as_states(context):
            self._check_run(context)
            return self.perform(context)

    @cached_property
    def metrics(self) -> Metrics:
        """What the task tells Airflow's metrics."""
        return Metrics(self.step, **self.metric_tags())

    def metric_tags(self) -> dict[str, str | None]:
        """Return the tags of the task's metrics; None for what is known later."""
        return {}

    def run_options(self, context: Context) -> RunOptions:
        """Return what whoever triggered the run asked of it; in a DAG that its author wrote, nothing."""
        return read_run_options(context, self.run_params)

    def works_in_dry_run(self) -> bool:
        """Tell whether the task does anything in a run that is to change nothing; otherwise it is skipped there."""
        return True

    def skip_as_done(self, context: Context, reason: str) -> NoReturn:
        """Skip the task, but let those that depend on it go on as if it had been done.

        :raises AirflowSkipException: always.
        """
        self.tell_effect(context, True)
        raise AirflowSkipException(reason)

    @contextmanager
    def errors_as_states(self, context: Context) -> Iterator[None]:
        """Do something with the log level of the task, the core's errors being turned into those of Airflow."""
        try:
            with local_files(), _log_level(self.log_level):
                yield
        except BatchCancelledError as error:
            self._skip(_cancelled(error))
        except ConnectorBlockedError as error:
            tell_stopped(context, stopped=True)
            self._skip(str(error))
        except AirflowSkipException as skip:
            self._skip(str(skip))
        except TerminalError as error:
            raise AirflowFailException(str(error)) from None
        except TransientError as error:
            self.log.debug("Where it came from:", exc_info=error)
            raise error.with_traceback(None) from None  # Airflow's log shows what happened, not where in here

    def _check_run(self, context: Context) -> None:
        """Tell what the run was asked, and skip the task if it could only do what the run is not to do.

        :raises ConfigurationError: if the run was asked what it cannot do.
        """
        options = self.run_options(context)
        if told := options.told(self.reads):
            self.log.info("This run was triggered with %s.", told)
        check_run_options(context, self.run_params, options)
        if options.dry_run and not self.works_in_dry_run():
            self.skip_as_done(context, "this run is a dry run, which changes nothing")

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, *rest: Any, **others: Any
    ) -> None:
        """Fill in templates, of which none lacks a date: runs may be triggered without a logical date."""
        dated: Any = with_dates(context, self.run_options(context).source_date)
        super()._do_render_template_fields(parent, template_fields, dated, *rest, **others)

    def _skip(self, reason: str) -> NoReturn:
        """Skip the task; Airflow itself shows the reason in a folded part of the log only."""
        self.log.info("Skipped: %s", reason)
        raise AirflowSkipException(reason) from None

    def _one_of(self, parameter: str, value: str, allowed: Sequence[str]) -> str:
        if value not in allowed:
            raise ConfigurationError(
                f"task {self.task_id}: {parameter} cannot be {value!r}; expected one of {', '.join(allowed)}"
            )
        return value

    def tell_effect(self, context: Context, effect: bool) -> None:
        """Tell the tasks that depend on this one whether it had an effect, as XCom ``has_effect``."""
        context["ti"].xcom_push(key=EFFECT, value=effect)

    @abstractmethod
    def perform(self, context: Context) -> Any:
        """Do the task; errors are those of the core."""

    def hook(self) -> IdmHook:
        """Return the hook of the operator's connection."""
        from airflow_provider_idm.hooks.idm import IdmHook

        return IdmHook(self.idm_conn_id)

    def configuration_folder(self, hook: IdmHook) -> Path:
        """Return the folder of the XML configuration.

        :raises ConfigurationError: if neither the operator nor its connection names one.
        """
        if self.configuration:
            return Path(self.configuration).expanduser()
        if hook.configuration is not None:
            return hook.configuration
        raise ConfigurationError(
            f"No folder of the XML configuration is known: give the operator 'configuration', or put 'configuration' "
            f"into the extra of the Airflow connection '{self.idm_conn_id}'."
        )

    def mappings(self, hook: IdmHook, connector: str) -> ConnectorMappings:
        """Return what the configuration says of a connector.

        :raises ConfigurationError: if what concerns the connector is wrong, with every ``file:line: message``.
        """
        from airflow_provider_idm.configuration.concerns import read_connector

        return read_connector(self.configuration_folder(hook), connector)[1]


def _cancelled(error: BatchCancelledError) -> str:
    text = str(error)
    if error.replaced_by and error.replaced_by not in text:
        return f"{text} It was replaced by batch {error.replaced_by}."
    return text


@contextmanager
def _log_level(level: str | None) -> Iterator[None]:
    """Set the level of this provider's loggers for a while."""
    logger = logging.getLogger(_CORE_LOGGER)
    before = logger.level
    if level is not None:
        logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
