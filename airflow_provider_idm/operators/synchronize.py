"""SynchronizeTask: apply a connector's batches to the identity repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_idm.configuration.arguments import parse_source_type
from airflow_provider_idm.configuration.rolling import parse_rolling_window
from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.hooks import settings
from airflow_provider_idm.observability.lineage.facts import (
    SynchronizeFacts,
    batches_name,
    read_manifests,
)
from airflow_provider_idm.observability.lineage.operator import LineageMixin
from airflow_provider_idm.observability.outlet import Outlet
from airflow_provider_idm.observability.told import shortened
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.decision import settle
from airflow_provider_idm.operators.links import BatchLink, ReportLink
from airflow_provider_idm.operators.run import origin
from airflow_provider_idm.operators.safeguards import (
    check_not_blocked_by_another,
    is_missing,
    rolling_window,
    skip_without_batch,
)
from airflow_provider_idm.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.configuration import ConnectorMappings
    from airflow_provider_idm.configuration.model import RollingWindow
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.operators.run_options import RunOptions
    from airflow_provider_idm.synchronization.exchange import Exchange
    from airflow_provider_idm.synchronization.synchronize import Plan, SynchronizeRequest, SynchronizeResult


class SynchronizeTaskOperator(LineageMixin, WaitingOperator):
    """Apply a connector's pending batches, in order, up to one batch; the XCom is the counts of what changed.

    Its asset ``idm://<idm_conn_id>/<connector>`` gets an event whenever something was changed, and only then; outlets of
    the DAG's author stay as they are.

    A task whose batch was replaced by a later Complete ends as skipped and names that batch. If the changes of a batch
    exceed a threshold nothing of it is applied, and the task waits for a person's decision; for the parameters of that
    see ``WaitingOperator``.

    :param connector: identifier of the connector.
    :param batch: id of the batch, usually ``prepare.output``; without it all pending batches are applied. A task that is
        given the output of a prepare which made no batch is skipped.
    :param type: what the prepare's source files held; must be the prepare's ``type``.
    :param force_synchronization: ignore the thresholds for this batch.
    :param orphans: save the rows of associations that match no resource.
    :param do_not_delete_changes: keep the change rows for SetRecentlyModifiedFlagTask.
    :param allow_backwards: apply a batch although its effective date lies before that of the last one.
    :param rolling_thresholds: the connector's limits over the last days, instead of those of the connection:
        ``{"days": 7, "MaximumDeletedLines": 500}``, with the names that the XML gives a connector's thresholds.
    :param skip_if_blocked: skip the task while another batch of the connector awaits a decision.
    :param dry_run: only say what would change. The batch may come from a prepare with ``dry_run``.
    :param changes: file that a dry run writes every change to, with old and new values: ``.csv``, ``.parquet`` or
        ``.json``.
    :param history: keep the former versions of what is changed or deleted. By default, what ``[idm] history`` of
        Airflow's configuration says.
    :param working_directory: folder to work in instead of the connection's work folder.
    :param memory_limit: memory that the task may use for its data, e.g. ``1GB``; more goes to disk. By default, what
        ``[idm] memory_limit`` of Airflow's configuration says.
    :raises ConfigurationError: if ``rolling_thresholds`` are wrong, or ``changes`` are wanted of no dry run.
    """

    step = "synchronize"
    lineage: SynchronizeFacts | None = None
    dry_run: bool  # type: ignore[assignment]  # hides the base class's method, which nothing calls
    reads: ClassVar[frozenset[str]] = frozenset(
        {"dry_run", "force_synchronization", "allow_backwards", "orphans", "do_not_delete_changes"}
    )
    operator_extra_links = (BatchLink(), ReportLink())
    template_fields: Sequence[str] = (
        *IdmOperator.template_fields,
        "connector",
        "batch",
        "type",
        "changes",
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
        rolling_thresholds: Mapping[str, Any] | None = None,
        skip_if_blocked: bool = False,
        dry_run: bool = False,
        changes: str | None = None,
        history: bool | None = None,
        working_directory: str | None = None,
        memory_limit: str | None = None,
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
        self.rolling_thresholds = rolling_thresholds
        self.skip_if_blocked = skip_if_blocked
        self.dry_run = dry_run
        self.changes = changes
        self.history = history
        self.working_directory = working_directory
        self.memory_limit = memory_limit
        self._takes_batch = batch is not None
        # A dry run changes nothing, ever: it has no asset.
        self._outlet = None if dry_run else Outlet(self, connector, self.idm_conn_id)
        if rolling_thresholds is not None:
            parse_rolling_window(rolling_thresholds, self._rolling_place)
        if changes is not None and not dry_run:
            raise ConfigurationError(
                f"task {self.task_id}: changes are written by a dry run; set dry_run=True"
            )

    def metric_tags(self) -> dict[str, str | None]:
        """Return connector and, once the batch was read, mode."""
        return {"connector": self.connector, "mode": None}

    def perform(self, context: Context) -> dict[str, Any]:
        """Synchronize, or plan it; return the counts."""
        self._keep_asset_back()
        hook = self.hook()
        mappings = self.mappings(hook, self.connector)
        work = self._work(hook)
        options = self.run_options(context)
        dry_run = self.dry_run or options.dry_run
        self._hold_back(hook, mappings, work, context, dry_run=dry_run)
        if dry_run:
            self.tell_effect(context, False)
            self._gather_facts(hook, mappings, hook.get_exchange())
            return self._plan(hook, mappings, work, options)
        with self._open(hook, mappings, context) as request:
            return self.conclude(settle(request), request, context)

    def request(self, context: Context) -> AbstractContextManager[SynchronizeRequest]:
        """Open the repository for the task's synchronization."""
        self._keep_asset_back()
        hook = self.hook()
        return self._open(hook, self.mappings(hook, self.connector), context)

    @contextmanager
    def _open(
        self, hook: IdmHook, mappings: ConnectorMappings, context: Context
    ) -> Iterator[SynchronizeRequest]:
        from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest

        options = self.run_options(context)
        exchange = hook.get_exchange()
        self._gather_facts(hook, mappings, exchange)
        with hook.get_repository() as repository:
            yield SynchronizeRequest(
                mappings=mappings,
                exchange=exchange,
                repository=repository,
                work=self._work(hook),
                batch=self.batch,
                type=parse_source_type(self.type),
                force=self.force_synchronization or options.force_synchronization,
                orphans=self.orphans or options.orphans,
                do_not_delete_changes=self.do_not_delete_changes or options.do_not_delete_changes,
                allow_backwards=self.allow_backwards or options.allow_backwards,
                rolling=self._rolling_window(hook),
                origin=origin(context),
                memory_limit=self.memory_limit or settings.memory_limit(),
                lock_timeout=settings.lock_timeout(),
                history=settings.history() if self.history is None else self.history,
            )

    def conclude(
        self, result: SynchronizeResult, request: SynchronizeRequest, context: Context
    ) -> dict[str, Any]:
        """Return the counts of what was applied, or ask about what blocks; tell of what was changed."""
        if result.batches:
            self.metrics.set_tags(mode=result.batches[-1].mode.lower())
        if result.before is not None:
            self.metrics.synchronized(result.before)
        whole = self._with_earlier_tries(result, request, context)
        told = super().conclude(whole, request, context)
        if self.lineage is not None:
            self.lineage.has_done(whole, request.exchange)
        is_news = not result.already_applied
        if whole.has_effect and self._outlet is not None:
            is_news = self._outlet.announce(self, context, whole, self.idm_conn_id)
        if is_news:
            self.metrics.synchronized(result if result.batches else whole)
        return told

    def _with_earlier_tries(
        self, result: SynchronizeResult, request: SynchronizeRequest, context: Context
    ) -> SynchronizeResult:
        """Add what earlier tries of this very task applied, but ended, or had to wait, before they could tell."""
        from airflow_provider_idm.synchronization.synchronize import applied_by

        if self._outlet is None or result.state == "blocked":
            return result
        done = applied_by(request.repository, result.connector, request.origin)
        others = [one for one in done if set(one.applied).isdisjoint(result.applied)]
        earlier = self._outlet.unannounced(others, context, result.connector, self.idm_conn_id)
        if not earlier:
            return result
        self.log.info("Earlier tries of this task applied %d batches more.", len(earlier))
        parts = [*earlier, result] if result.batches else earlier
        whole = reduce(lambda before, later: before.followed_by(later), parts)
        return replace(whole, already_applied=parts[-1].already_applied, by_this_task=True)

    def _gather_facts(self, hook: IdmHook, mappings: ConnectorMappings, exchange: Exchange) -> None:
        """Keep what OpenLineage is to be told, as far as it is known before anything was done."""
        connector = mappings.connector.identifier
        self.lineage = SynchronizeFacts(
            mappings,
            batches_name(hook, connector),
            hook.repository_url,
            hook.database_schema,
            self.idm_conn_id,
            read_manifests(exchange, connector, [self.batch] if self.batch else None),
        )

    def _keep_asset_back(self) -> None:
        if self._outlet is not None:
            self._outlet.keep_back(self)

    def _hold_back(
        self, hook: IdmHook, mappings: ConnectorMappings, work: Path, context: Context, *, dry_run: bool
    ) -> None:
        """Skip the task if there is no batch for it, or another one must be decided about first."""
        if self._takes_batch and is_missing(self.batch):
            skip_without_batch(hook, mappings, work)
        if self.skip_if_blocked and not dry_run:
            check_not_blocked_by_another(hook, mappings.connector.identifier, self.batch, origin(context))

    @property
    def _rolling_place(self) -> str:
        return f"rolling_thresholds of task {self.task_id}"

    def _rolling_window(self, hook: IdmHook) -> RollingWindow | None:
        folder = self.configuration_folder(hook)
        return rolling_window(hook, self.connector, self.rolling_thresholds, folder, self._rolling_place)

    def _work(self, hook: IdmHook) -> Path:
        return Path(self.working_directory) if self.working_directory else hook.work

    def _plan(
        self, hook: IdmHook, mappings: ConnectorMappings, work: Path, options: RunOptions
    ) -> dict[str, Any]:
        from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization

        with hook.get_repository() as repository:
            request = PlanRequest(
                mappings=mappings,
                exchange=hook.get_exchange(),
                repository=repository,
                work=work,
                batch=self.batch,
                type=parse_source_type(self.type),
                allow_backwards=self.allow_backwards or options.allow_backwards,
                force=self.force_synchronization or options.force_synchronization,
                rolling=self._rolling_window(hook),
                memory_limit=self.memory_limit or settings.memory_limit(),
            )
            with plan_synchronization(request) as plan:
                self.log.info("Nothing is changed; this is what a synchronization would do.")
                for line in plan.as_text().splitlines():
                    self.log.info(line)
                if self.changes:
                    self._write(plan, Path(self.changes))
                return shortened(plan.as_dict())

    def _write(self, plan: Plan, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # what the disk refuses is told before the data library says so in its own words
        self.log.info("%s changes are in %s.", f"{plan.write_changes(path):,}", path)
