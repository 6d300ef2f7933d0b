"""InvokeSqlCommandTask: run an SQL command on a database, and write its result as a source file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.hooks.idm import IdmHook
    from airflow_provider_idm.synchronization.export.sql.database import Database


class InvokeSqlCommandTaskOperator(IdmOperator):
    """Run an SQL command, or a file of SQL, and write what it gives as CSV.

    All its statements run in one transaction. The result of the first that has one fills the output file, further
    results ``<file>_2.csv`` and so on; a statement without a result writes none. The XCom is the files written, with
    their rows and columns.

    :param database_identifier: the Airflow connection of the database; the identity repository by default.
    :param sql_command: the command. Either this or ``sql_input_file`` is given.
    :param sql_input_file: a file of SQL (UTF-8), relative to the configuration folder.
    :param output_path: a ``.csv`` file, or a folder for ``<task>.csv``, relative to the folder of the source files
        (``ExportOutput`` in the work folder), which is the default.
    :param connector: the connector that the files are for; it says nothing but where the task stands in its job.
    :param is_not_a_query: write no file, whatever the command gives.
    :param isolation_level: ``ReadUncommitted``, ``ReadCommitted``, ``RepeatableRead``, ``Serializable`` or ``Snapshot``;
        by default what the database has.
    :param timeout: seconds that each statement may take; 0 for as long as it needs.
    :param encoding: of the files; UTF-8 by default.
    :raises ConfigurationError: if not just one of command and file is given.
    """

    step = "invoke_sql_command"
    template_fields: Sequence[str] = (
        *IdmOperator.template_fields,
        "database_identifier",
        "sql_command",
        "sql_input_file",
        "output_path",
    )
    template_fields_renderers = {"sql_command": "sql"}  # noqa: RUF012 - as the base class has it

    def __init__(
        self,
        *,
        database_identifier: str | None = None,
        sql_command: str | None = None,
        sql_input_file: str | None = None,
        output_path: str | None = None,
        connector: str | None = None,
        is_not_a_query: bool = False,
        isolation_level: str | None = None,
        timeout: int = 0,
        encoding: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (sql_command is None) == (sql_input_file is None):
            raise ConfigurationError(
                f"task {self.task_id}: expected either sql_command or sql_input_file, found "
                f"{'neither' if sql_command is None else 'both'}"
            )
        self.database_identifier = database_identifier
        self.sql_command = sql_command
        self.sql_input_file = sql_input_file
        self.output_path = output_path
        self.connector = connector
        self.is_not_a_query = is_not_a_query
        self.isolation_level = isolation_level
        self.timeout = timeout
        self.encoding = encoding

    def works_in_dry_run(self) -> bool:
        """Tell that a query is run all the same: what it gives may be a source file. What it changes is not kept."""
        return not self.is_not_a_query

    def perform(self, context: Context) -> dict[str, Any]:
        """Run the command; return the files written."""
        from airflow_provider_idm.synchronization.export.sql.command import Command, run_command

        hook = self.hook()
        command = Command(
            what=f"task {self.task_id}",
            text=self._text(hook),
            output=self._output(hook),
            has_results=not self.is_not_a_query,
            isolation=self._isolation(),
            timeout=self.timeout,
            encoding=self._encoding(),
            is_kept=not self.run_options(context).dry_run,
        )
        database = self._database(hook)
        self.log.info("Running the command on %s.", database.name)
        files = run_command(database, command)
        for file in files:
            self.log.info("%d rows written to %s.", file.rows, file.path)
        self.tell_effect(context, True)
        return {
            "rows": sum(file.rows for file in files),
            "files": {
                file.path.name: {"path": str(file.path), "rows": file.rows, "columns": list(file.columns)}
                for file in files
            },
        }

    def _database(self, hook: IdmHook) -> Database:
        if self.database_identifier:
            from airflow_provider_idm.hooks.database import AirflowDatabase

            return AirflowDatabase(self.database_identifier)

        from airflow_provider_idm.synchronization.export.sql.url import UrlDatabase

        return UrlDatabase(hook.repository_url, f"task {self.task_id}: the identity repository")

    def _text(self, hook: IdmHook) -> str:
        if self.sql_input_file is None:
            return self.sql_command or ""
        path = Path(self.sql_input_file).expanduser()
        if not path.is_absolute():
            path = self.configuration_folder(hook) / path
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            reason = (
                (error.strerror or "it is missing") if isinstance(error, OSError) else "it is no UTF-8 text"
            )
            raise ConfigurationError(
                f"task {self.task_id}: the SQL file {path} cannot be read: {reason}"
            ) from None

    def _output(self, hook: IdmHook) -> Path:
        path = hook.work / "ExportOutput" / Path(self.output_path or "").expanduser()
        return path if path.suffix.casefold() == ".csv" else path / f"{self.task_id}.csv"

    def _isolation(self) -> str | None:
        from airflow_provider_idm.synchronization.export.sql.stream import isolation_level

        if self.isolation_level is None:
            return None
        try:
            return isolation_level(self.isolation_level)
        except ValueError as error:
            raise ConfigurationError(f"task {self.task_id}: isolation_level: {error}") from None

    def _encoding(self) -> str:
        encoding = self.encoding or "utf-8"
        try:
            "".encode(encoding)
        except (LookupError, ValueError):
            raise ConfigurationError(
                f"task {self.task_id}: unknown encoding {encoding!r}; known are utf-8, utf-16, windows-1252 …"
            ) from None
        return encoding
