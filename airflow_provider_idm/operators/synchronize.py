"""SynchronizeTask: apply a connector's batches to the identity repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_idm.configuration.arguments import parse_source_type
from airflow_provider_idm.configuration.rolling import parse_rolling_window
from airflow_provider_idm.errors import SynchronizeError
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.run import origin
from airflow_provider_idm.operators.safeguards import (
    check_not_blocked_by_another,
    is_missing,
    rolling_window,
    skip_without_batch,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.configuration.model import RollingWindow
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

OnThreshold = Literal["wait", "fail"]
"""What becomes of a task whose changes exceed a threshold."""


class SynchronizeTaskOperator(IdmOperator):
    """Apply a connector's pending batches, in order, up to one batch; the XCom is the counts of what changed.

    A task whose batch was replaced by a later Complete ends as skipped and names that batch.

    :param connector: identifier of the connector.
    :param batch: id of the batch, usually ``prepare.output``; without it all pending batches are applied. A task that is
        given the output of a prepare which made no batch is skipped.
    :param type: what the prepare's source files held; must be the prepare's ``type``.
    :param force_synchronization: ignore the thresholds for this batch.
    :param orphans: save the rows of associations that match no resource.
    :param do_not_delete_changes: keep the change rows for SetRecentlyModifiedFlagTask.
    :param allow_backwards: apply a batch although its effective date lies before that of the last one.
    :param on_threshold: what becomes of a task whose changes exceed a threshold: ``wait`` (for a person's decision) or
        ``fail``. Waiting is not available yet: both fail the task with the thresholds that are exceeded.
    :param rolling_thresholds: the connector's limits over the last days, instead of those of the connection:
        ``{"days": 7, "MaximumDeletedLines": 500}``, with the names that the XML gives a connector's thresholds.
    :param skip_if_blocked: skip the task while another batch of the connector awaits a decision.
    :param dry_run: only say what would change. The batch may come from a prepare with ``dry_run``.
    :param working_directory: folder to work in instead of the connection's work folder.
    :param memory_limit: memory that the task may use for its data, e.g. ``1GB``; more goes to disk.
    :raises ConfigurationError: if ``on_threshold`` is neither, or ``rolling_thresholds`` are wrong.
    """

    dry_run: bool  # type: ignore[assignment]  # hides the base class's method, which nothing calls
    template_fields: Sequence[str] = (
        *IdmOperator.template_fields,
        "connector",
        "batch",
        "type",
        "working_directory",
    )

    def __init__(
        self,
        *,
        connector: str,
        batch: str | None = None,
        type: str = "None",  # noqa: A002  the XML attribute's name
        force_synchronization: bool = False,
        orphans: bool = False,
        do_not_delete_changes: bool = False,
        allow_backwards: bool = False,
        on_threshold: OnThreshold = "wait",
        rolling_thresholds: Mapping[str, Any] | None = None,
        skip_if_blocked: bool = False,
        dry_run: bool = False,
        working_directory: str | None = None,
        memory_limit: str = "1GB",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.batch = batch
        self.type = type
        self.force_synchronization = force_synchronization
        self.orphans = orphans
        self.do_not_delete_changes = do_not_delete_changes
        self.allow_backwards = allow_backwards
        self.on_threshold = self._one_of("on_threshold", on_threshold, get_args(OnThreshold))
        self.rolling_thresholds = rolling_thresholds
        self.skip_if_blocked = skip_if_blocked
        self.dry_run = dry_run
        self.working_directory = working_directory
        self.memory_limit = memory_limit
        self._takes_batch = batch is not None
        if rolling_thresholds is not None:
            parse_rolling_window(rolling_thresholds, self._rolling_place)

    def perform(self, context: Context) -> dict[str, Any]:
        """Synchronize, or plan it; return the counts."""
        hook = self.hook()
        mappings = self.mappings(hook, self.connector)
        work = Path(self.working_directory) if self.working_directory else hook.work
        self._hold_back(hook, mappings, work, context)
        if self.dry_run:
            return self._plan(hook, mappings, work)

        result = self._synchronize(hook, mappings, work, context)
        for line in result.as_text().splitlines():
            self.log.info(line)
        if result.state == "blocked":
            raise SynchronizeError(_blocked(result))
        return result.as_dict()

    def _hold_back(self, hook: IdmHook, mappings: ConnectorMappings, work: Path, context: Context) -> None:
        """Skip the task if there is no batch for it, or another one must be decided about first."""
        if self._takes_batch and is_missing(self.batch):
            skip_without_batch(hook, mappings, work)
        # A task for all pending batches that blocked the connector itself comes here again in its next try.
        is_first = self._takes_batch or context["ti"].try_number == 1
        if self.skip_if_blocked and not self.dry_run and is_first:
            check_not_blocked_by_another(hook, mappings.connector.identifier, self.batch)

    @property
    def _rolling_place(self) -> str:
        return f"rolling_thresholds of task {self.task_id}"

    def _rolling_window(self, hook: IdmHook) -> RollingWindow | None:
        folder = self.configuration_folder(hook)
        return rolling_window(hook, self.connector, self.rolling_thresholds, folder, self._rolling_place)

    def _synchronize(
        self, hook: IdmHook, mappings: ConnectorMappings, work: Path, context: Context
    ) -> SynchronizeResult:
        from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize

        with hook.get_repository() as repository:
            return synchronize(
                SynchronizeRequest(
                    mappings=mappings,
                    exchange=hook.get_exchange(),
                    repository=repository,
                    work=work,
                    batch=self.batch,
                    type=parse_source_type(self.type),
                    force=self.force_synchronization,
                    orphans=self.orphans,
                    do_not_delete_changes=self.do_not_delete_changes,
                    allow_backwards=self.allow_backwards,
                    rolling=self._rolling_window(hook),
                    origin=origin(context),
                    memory_limit=self.memory_limit,
                )
            )

    def _plan(self, hook: IdmHook, mappings: ConnectorMappings, work: Path) -> dict[str, Any]:
        from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization

        with hook.get_repository() as repository:
            request = PlanRequest(
                mappings=mappings,
                exchange=hook.get_exchange(),
                repository=repository,
                work=work,
                batch=self.batch,
                type=parse_source_type(self.type),
                allow_backwards=self.allow_backwards,
                rolling=self._rolling_window(hook),
                memory_limit=self.memory_limit,
            )
            with plan_synchronization(request) as plan:
                self.log.info("Nothing is changed; this is what a synchronization would do.")
                for line in plan.as_text().splitlines():
                    self.log.info(line)
                return plan.as_dict()


def _blocked(result: SynchronizeResult) -> str:
    return (
        f"Connector {result.connector} is blocked: the changes exceed its thresholds, nothing was applied.\n"
        f"{result.as_text()}\n"
        "Look at the changes. Then synchronize with force_synchronization, or correct the source and run a Complete."
    )
