"""The database of an Airflow connection, through its provider's hook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from airflow.sdk import BaseHook

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowNotFoundException
from airflow_provider_idm.synchronization.export.sql.database import DatabaseUnavailableError, Session

_PACKAGES: Final = {"postgres": "postgres", "mssql": "microsoft-mssql", "hana": "sap-hana"}
"""Providers whose package has another name than their connection type, or that this package has an extra for."""
_EXTRAS: Final = frozenset({"postgres"})


class AirflowDatabase:
    """A database that an Airflow connection leads to, of whatever provider.

    :param conn_id: the Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"Airflow connection {self._conn_id}"

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Open a connection by the hook, and close it at the end.

        :raises ExportError: if there is no such Airflow connection, or it leads to no database.
        :raises DatabaseUnavailableError: if the database does not answer.
        """
        hook = self._hook()
        try:
            connection = hook.get_conn()
        except (ImportError, AttributeError, NotImplementedError) as error:
            raise ExportError(f"{self.name} cannot be opened: {type(hook).__name__}: {error}") from error
        except Exception as error:
            raise DatabaseUnavailableError(
                f"the database of {self.name} cannot be reached: {_first_line(error)}; look at the Airflow connection"
            ) from error
        try:
            if not callable(getattr(connection, "cursor", None)):
                raise self._no_database(type(hook).__name__)
            yield self._session(hook, connection)
        finally:
            with suppress(Exception):  # what was read is read
                connection.close()

    def _hook(self) -> Any:
        try:
            connection = BaseHook.get_connection(self._conn_id)
        except AirflowNotFoundException:
            raise ExportError(
                f"there is no Airflow connection {self._conn_id}; add it, or name another in the setting ConnectionId"
            ) from None
        try:
            hook = connection.get_hook()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise self._no_hook(str(connection.conn_type or ""), error) from error
        if not callable(getattr(hook, "get_conn", None)):
            raise self._no_database(type(hook).__name__)
        return hook

    def _no_hook(self, conn_type: str, error: Exception) -> ExportError:
        if not conn_type or conn_type == "generic":
            return ExportError(
                f"{self.name} is of type {conn_type or 'none'} and leads to no database; name the Airflow connection "
                "of the database in the setting ConnectionId"
            )
        package = f"apache-airflow-providers-{_PACKAGES.get(conn_type, conn_type).replace('_', '-')}"
        extra = f" (pip install 'airflow-provider-idm[{conn_type}]')" if conn_type in _EXTRAS else ""
        return ExportError(
            f"{self.name} is of type {conn_type}, whose hook cannot be had ({_first_line(error)}); install "
            f"{package}{extra}, or the provider that this type is of"
        )

    def _no_database(self, hook: str) -> ExportError:
        return ExportError(
            f"{self.name} leads to no database: its hook {hook} has no connection that takes SQL; name the Airflow "
            "connection of a database in the setting ConnectionId"
        )

    @staticmethod
    def _session(hook: Any, connection: Any) -> Session:
        driver = type(connection).__module__.partition(".")[0]
        module = getattr(hook, "connector", None) or sys.modules.get(driver)
        style = getattr(module, "paramstyle", None)
        if style is None:
            style = "qmark" if getattr(hook, "placeholder", "%s") == "?" else "format"
        return Session(connection, style, driver)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
