"""ExportTask: write a connection's source files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_idm.configuration.names import same
from airflow_provider_idm.errors import ConfigurationError, ConnectorBlockedError
from airflow_provider_idm.operators.base import IdmOperator
from airflow_provider_idm.operators.safeguards import check_exchange_not_blocked
from airflow_provider_idm.operators.turn import wait_for_decision, wait_for_turn

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.configuration.model import Connection
    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.export import ExportResult


class ExportTaskOperator(IdmOperator):
    """Export one connection of the XML configuration into CSV source files.

    The exporter's settings come from the extra of the Airflow connection that has the connection's identifier, and what
    is not there from ``appsettings.agent.json`` beside the configuration.

    :param connection: identifier of the connection.
    :param connector: its connector; only checked, the connection knows it.
    :param sources_directory: folder to write to; ``ExportOutput`` in the work folder by default.
    :param ignore_cookie_file: export everything. Without it a connection that knows its changes exports those alone,
        which only an Incremental prepare of lists of changes can use.
    :param init_mode: the export serves an initialization: everything too.
    :param only_changes: False to export everything although the export serves an Incremental: one of type None, which
        finds the changes by itself.
    :param skip_if_blocked: skip the task while a batch of the connector awaits a decision.
    """

    step = "export"
    reads: ClassVar[frozenset[str]] = frozenset({"dry_run", "ignore_cookie_file", "sources_directory"})
    template_fields: Sequence[str] = (
        *IdmOperator.template_fields,
        "connection",
        "connector",
        "sources_directory",
    )

    def __init__(
        self,
        *,
        connection: str,
        connector: str | None = None,
        sources_directory: str | None = None,
        ignore_cookie_file: bool = False,
        init_mode: bool = False,
        only_changes: bool = True,
        skip_if_blocked: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection = connection
        self.connector = connector
        self.sources_directory = sources_directory
        self.ignore_cookie_file = ignore_cookie_file
        self.init_mode = init_mode
        self.only_changes = only_changes
        self.skip_if_blocked = skip_if_blocked

    def metric_tags(self) -> dict[str, str | None]:
        """Return connection and connector."""
        return {"connector": self.connector, "connection": self.connection}

    def perform(self, context: Context) -> dict[str, Any]:
        """Export; the XCom is the files written, with their rows and columns."""
        from airflow_provider_idm.configuration.concerns import require_connector
        from airflow_provider_idm.configuration.read import check_configuration
        from airflow_provider_idm.hooks.database import AirflowDatabase
        from airflow_provider_idm.synchronization.export import ExportRequest, export_connection

        options = self.run_options(context)
        if options.sources_directory:
            self.skip_as_done(context, "this run reads source files that are there already")
        incremental = self._is_incremental and not options.ignore_cookie_file
        hook = self.hook()
        configuration = check_configuration(self.configuration_folder(hook))
        if (known := configuration.connections.get(self.connection)) is not None:
            require_connector(configuration, known.connector)
            self.metrics.set_tags(connector=known.connector)
            self._check_connector(known.connector)
            if not options.dry_run:
                wait_for_turn(context, known.connector)
            if self.skip_if_blocked and not options.dry_run:
                self._check_not_blocked(hook, known.connector, context)
        result = export_connection(
            ExportRequest(
                configuration=configuration,
                connection=self.connection,
                output=Path(self.sources_directory) if self.sources_directory else hook.work / "ExportOutput",
                settings=hook.exporter_settings(self.connection),
                incremental=self.only_changes and incremental,
                work=hook.work,
                databases=AirflowDatabase,
            )
        )
        if result.skipped is not None:
            self.log.warning("Nothing was exported: %s", result.skipped)
        self.metrics.exported(result)
        self.tell_effect(context, self._has_effect(hook, result, known, incremental=incremental))
        return result.as_dict()

    def _check_not_blocked(self, hook: IdmHook, connector: str, context: Context) -> None:
        try:
            check_exchange_not_blocked(hook, connector)
        except ConnectorBlockedError as error:
            wait_for_decision(error, hook.get_exchange().channel(connector), context)
            raise

    @property
    def _is_incremental(self) -> bool:
        return not (self.ignore_cookie_file or self.init_mode)

    def _has_effect(
        self, hook: IdmHook, result: ExportResult, connection: Connection | None, *, incremental: bool
    ) -> bool:
        """Tell whether there is something to prepare.

        Without rows an Incremental has none, whether the rows are changes or everything, unless its prepare is what gets
        an earlier batch synchronized.
        """
        if result.rows > 0 or result.skipped is not None or not incremental or connection is None:
            return True
        return bool(hook.get_exchange().channel(connection.connector).unfinished())

    def _check_connector(self, known: str) -> None:
        if self.connector is not None and not same(self.connector, known):
            raise ConfigurationError(
                f"connection {self.connection} belongs to connector {known}, not to {self.connector}"
            )
