"""PrepareSynchronizationTask: cleanse a connector's source files and publish them as a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_idm.configuration.arguments import parse_mode, parse_source_type
from airflow_provider_idm.errors import ConnectorBlockedError
from airflow_provider_idm.hooks import settings
from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException
from airflow_provider_idm.observability.lineage.facts import PrepareFacts, batches_name
from airflow_provider_idm.observability.lineage.operator import LineageMixin
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.links import COUNTS, BatchLink, ReportLink
from airflow_provider_idm.operators.run import effective_date, is_backfill, is_templated, origin
from airflow_provider_idm.operators.tables import fetched, shown_without_values
from airflow_provider_idm.operators.turn import wait_for_decision, wait_for_turn

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


_SAME_FOLDER = (
    "The folder of the source files is the same for every day of this backfill: what is in it now is taken for what was "
    "on that day. Put the date into sources_directory, unless a task before this one brings the files of the day."
)


class PrepareSynchronizationTaskOperator(LineageMixin, IdmOperator):
    """Prepare a connector's source files and publish the batch, whose id is the operator's XCom.

    A second XCom, ``counts``, holds the rows kept and set aside per file.

    :param connector: identifier of the connector.
    :param synchronization_mode: ``Initial``, ``Complete`` or ``Incremental`` (or 0, 1, 2).
    :param type: what the source files hold in mode Incremental: ``None`` (everything), ``Changes`` or
        ``ActiveDirectory``.
    :param column_name: name of the command column of ``Changes`` and ``ActiveDirectory``.
    :param sources_directory: folder of the source files; ``ExportOutput`` in the connection's work folder by default.
        Where it is templated (``/data/hr/{{ ds }}``) the sources are dated: the run's logical date is the batch's
        effective date.
    :param working_directory: folder to work in instead of the connection's work folder.
    :param on_invalid_value: what to do with a value that does not fit its property: ``fail``, or empty it (``null``).
    :param dry_run: publish a batch that only a plan reads; it never enters the connector's queue.
    :param skip_if_blocked: whether the task is skipped while a batch of the connector awaits a decision. By default an
        Incremental is, and nothing else: a Complete is the way out. True skips in every mode; False fails an Incremental
        instead, with the same reason. A dry run never minds.
    :param encoding: of the source files; UTF-8 by default.
    :param separator: of the source files; found in their first line by default.
    :param tables: tables to read instead of source files, by their ``ConnectionTable``: what another task returned
        (``{"HR_Person": extract()}``: a pandas DataFrame, or a list of dicts, one per row), or the path or URL of a
        Parquet file. A templated path dates the sources as a templated folder does. The UI shows no values of them.
    :param memory_limit: memory that the task may use for its data, e.g. ``1GB``; more goes to disk. By default, what
        ``[idm] memory_limit`` of Airflow's configuration says.
    """

    step = "prepare"
    dry_run: bool  # type: ignore[assignment]  # hides the base class's method, which nothing calls
    reads: ClassVar[frozenset[str]] = frozenset(
        {"dry_run", "on_invalid_value", "sources_directory", "source_date"}
    )
    operator_extra_links = (BatchLink(), ReportLink())
    template_fields: Sequence[str] = (
        *IdmOperator.template_fields,
        "connector",
        "synchronization_mode",
        "type",
        "column_name",
        "sources_directory",
        "working_directory",
        "tables",
    )

    def __init__(
        self,
        *,
        connector: str,
        synchronization_mode: str | int,
        type: str = "None",  # noqa: A002  the XML attribute's name
        column_name: str = "command",
        sources_directory: str | None = None,
        working_directory: str | None = None,
        on_invalid_value: Literal["fail", "null"] = "fail",
        dry_run: bool = False,
        skip_if_blocked: bool | None = None,
        encoding: str | None = None,
        separator: str | None = None,
        tables: Mapping[str, Any] | XComArg | None = None,
        memory_limit: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.synchronization_mode = synchronization_mode
        self.type = type
        self.column_name = column_name
        self.sources_directory = sources_directory
        self.working_directory = working_directory
        self.on_invalid_value = on_invalid_value
        self.dry_run = dry_run
        self.skip_if_blocked = skip_if_blocked
        self.encoding = encoding
        self.separator = separator
        self.memory_limit = memory_limit
        self.tables = tables
        paths = tables.values() if isinstance(tables, Mapping) else ()
        self.dated_folder = is_templated(sources_directory) or any(map(is_templated, paths))

    @property
    def tables(self) -> Any:
        """Tables to read instead of source files, or the tasks that return them."""
        return self._tables

    @tables.setter
    def tables(self, tables: Any) -> None:
        # set anew once they have been fetched: Airflow then shows what this attribute holds
        self._tables = shown_without_values(tables)

    def metric_tags(self) -> dict[str, str | None]:
        """Return connector and mode."""
        return {"connector": self.connector, "mode": None}

    def perform(self, context: Context) -> str:
        """Prepare; return the batch's id."""
        from airflow_provider_idm.synchronization.prepare import PrepareRequest, has_effect, prepare
        from airflow_provider_idm.synchronization.prepare.tables import source_places

        hook = self.hook()
        options = self.run_options(context)
        folder, dated_folder = options.folder(context) or (self.sources_directory, self.dated_folder)
        if not (self.dry_run or options.dry_run):
            wait_for_turn(context, self.connector)
            if is_backfill(context) and not dated_folder:
                self.log.warning(_SAME_FOLDER)
        date = effective_date(context, dated_folder=dated_folder, source_date=options.source_date)
        if date is not None:
            self.log.info("The sources are of %s.", date.isoformat())
        request = PrepareRequest(
            mappings=self.mappings(hook, self.connector),
            mode=parse_mode(self.synchronization_mode),
            type=parse_source_type(self.type),
            column_name=self.column_name,
            sources=Path(folder) if folder else hook.work / "ExportOutput",
            exchange=hook.get_exchange(),
            work=Path(self.working_directory) if self.working_directory else hook.work,
            exports=hook.work,
            effective_date=date,
            on_invalid_value=options.on_invalid_value or self.on_invalid_value,
            origin=origin(context),
            plan_only=self.dry_run or options.dry_run,
            stop_if_blocked=bool(self.skip_if_blocked),
            encoding=self.encoding,
            separator=self.separator,
            memory_limit=self.memory_limit or settings.memory_limit(),
            lock_timeout=settings.lock_timeout(),
            tables=fetched(self.tables),
        )
        facts = PrepareFacts(request.mappings, source_places(request), batches_name(hook, request.connector))
        self.lineage = facts
        self.metrics.set_tags(connector=request.connector, mode=request.mode.name.lower())
        try:
            result = prepare(request)
        except ConnectorBlockedError as error:
            if self.skip_if_blocked is False:
                raise AirflowFailException(str(error)) from None
            wait_for_decision(error, request.exchange.channel(request.connector), context)
            raise
        facts.manifest = result.manifest
        counts = result.as_dict()
        for name, numbers in counts["files"].items():
            told = ", ".join(f"{number:,} {what}" for what, number in numbers.items())
            self.log.info("%s: %s", name, told)
        if not (result.reused or request.plan_only):
            self.metrics.prepared(result.manifest)
        context["ti"].xcom_push(key=COUNTS, value=counts)
        self.tell_effect(context, has_effect(result.manifest, request.exchange.channel(request.connector)))
        return result.manifest.batch
