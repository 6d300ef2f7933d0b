"""The hook that knows where an identity repository, its exchange and its work folder are."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Connection

    from airflow_provider_idm.configuration.model import RollingWindow
    from airflow_provider_idm.repository import Repository
    from airflow_provider_idm.synchronization.exchange import Exchange

DEFAULT_DRIVER = "postgresql+psycopg"


class IdmHook(BaseHook):
    """Open the identity repository and the exchange of an Airflow connection of type ``idm``.

    Without a connection ``idm_default`` everything lies under ``$AIRFLOW_HOME/idm``: ``repository.db`` (SQLite), the
    exchange ``exchange`` and the work folder ``work``. The same folders serve where a connection leaves them out; a
    connection without host, login, database, driver and repository URL means the embedded SQLite too.

    :param idm_conn_id: the Airflow connection. Only ``idm_default`` may be missing.
    """

    conn_name_attr = "idm_conn_id"
    default_conn_name = "idm_default"
    conn_type = "idm"
    hook_name = "Identity Repository"

    def __init__(self, idm_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.idm_conn_id = idm_conn_id

    # ---------------------------------------------------------------------------------- form (Airflow 3.1 asks a hook)

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, as Airflow 3.1 wants them; later ones read the provider's metadata."""
        from wtforms import (
            PasswordField,
            StringField,
        )  # that Airflow's server stands in for, if it is not installed

        from airflow_provider_idm.provider_info import CONNECTION_TYPE

        def field(told: dict[str, Any]) -> Any:
            kind = PasswordField if told["schema"].get("format") == "password" else StringField
            return kind(told["label"], description=told["description"])

        return {name: field(told) for name, told in CONNECTION_TYPE["conn-fields"].items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the form calls Airflow's own fields, as Airflow 3.1 wants it."""
        from airflow_provider_idm.provider_info import CONNECTION_TYPE

        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        return {name.replace("-", "_"): told for name, told in behaviour.items()}

    # ------------------------------------------------------------------------------------------------- settings

    @property
    def repository_url(self) -> str:
        """The repository's SQLAlchemy URL, with its password."""
        if whole := self._extra("repository"):
            return whole
        connection = self._connection
        driver = self._extra("driver")
        if connection is None or not (driver or connection.host or connection.login or connection.schema):
            return f"sqlite:///{self._home / 'repository.db'}"

        from sqlalchemy.engine import URL

        return URL.create(
            driver or DEFAULT_DRIVER,
            username=connection.login or None,
            password=connection.password or None,
            host=connection.host or None,
            port=int(connection.port) if connection.port else None,
            database=connection.schema or None,
        ).render_as_string(hide_password=False)

    @property
    def database_schema(self) -> str | None:
        """The database schema that holds the repository's tables; None for the database's default."""
        return self._extra("database_schema")

    @property
    def exchange_url(self) -> str:
        """Folder or object storage URL of the exchange."""
        return self._extra("exchange") or str(self._home / "exchange")

    @property
    def work(self) -> Path:
        """The local work folder."""
        return Path(self._extra("work") or self._home / "work").expanduser()

    @property
    def configuration(self) -> Path | None:
        """The folder of the XML configuration, if the connection names one."""
        folder = self._extra("configuration")
        return Path(folder).expanduser() if folder else None

    @property
    def rolling_thresholds(self) -> Mapping[str, object]:
        """The rolling windows by connector, as the extra ``rolling_thresholds`` has them; not checked yet.

        :raises ConfigurationError: if the extra is neither an object by connector nor the JSON text of one.
        """
        from airflow_provider_idm.configuration.rolling import by_connector

        return by_connector(self._extras.get("rolling_thresholds"), self.rolling_thresholds_place)

    @property
    def rolling_thresholds_place(self) -> str:
        """What messages call the place of the rolling windows."""
        return f"extra rolling_thresholds of the Airflow connection '{self.idm_conn_id}'"

    def rolling_window(self, connector: str) -> RollingWindow | None:
        """Return a connector's limits over the last days; None without any.

        :raises ConfigurationError: naming everything that is wrong with them.
        """
        from airflow_provider_idm.configuration.rolling import of_connector, parse_rolling_window

        windows = self.rolling_thresholds
        if connector not in windows:
            return None
        return parse_rolling_window(
            windows[connector], of_connector(self.rolling_thresholds_place, connector)
        )

    # ------------------------------------------------------------------------------------------------- services

    def get_conn(self) -> Repository:
        """Open the identity repository, as ``get_repository`` does: whoever opens it closes it, best by a ``with``."""
        return self.get_repository()

    def get_repository(self) -> Repository:
        """Open the identity repository, its tables created or upgraded; use it in a ``with``, or close it after use.

        :raises RepositoryError: if it is of a newer version.
        :raises RepositoryUnavailableError: if the database does not answer.
        """
        from airflow_provider_idm.repository import Repository

        if self.repository_url.startswith(f"sqlite:///{self._home}"):
            self._home.mkdir(parents=True, exist_ok=True)
        return Repository.open(self.repository_url, schema=self.database_schema)

    def get_exchange(self) -> Exchange:
        """Open the exchange: a local folder, or any object storage that Airflow reaches.

        In a URL like ``s3://aws_default@bucket/idm`` the part before ``@`` is the Airflow connection of the storage.

        :raises ExchangeError: if the URL cannot be used as an exchange.
        :raises ExchangeUnavailableError: if the storage does not answer.
        """
        if "://" not in self.exchange_url:
            from airflow_provider_idm.synchronization.exchange import Exchange

            return Exchange.open(str(Path(self.exchange_url).expanduser()))

        from airflow_provider_idm.hooks.object_storage import open_object_storage

        return open_object_storage(self.exchange_url, self.idm_conn_id)

    def exporter_settings(self, connection: str) -> dict[str, Any] | None:
        """Return the settings that the Airflow connection named like a connection of the configuration holds.

        Its extra, and before it host, port, login, password and schema, as settings of these names; None without such
        a connection.

        :raises ConfigurationError: if its extra is no JSON object.
        """
        try:
            found = self.get_connection(connection)
        except AirflowNotFoundException:
            return None
        fields = {
            "Host": found.host,
            "Port": found.port,
            "Login": found.login,
            "Password": found.password,
            "Schema": found.schema,
        }
        return {name: value for name, value in fields.items() if value} | _extra_of(
            found, connection, '{"ConnectionString": "…"}'
        )

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the database and the exchange can be reached and the rolling windows read; nothing is changed."""
        from airflow_provider_idm.configuration.rolling import parse_rolling_windows

        try:
            parse_rolling_windows(self._extras.get("rolling_thresholds"), self.rolling_thresholds_place)
            return True, f"{self._test_repository()} {self._test_exchange()}"
        except Exception as error:  # noqa: BLE001  whatever a driver raises is the answer here
            return False, str(error)

    # -------------------------------------------------------------------------------------------------- details

    def _test_repository(self) -> str:
        from sqlalchemy.engine import make_url

        from airflow_provider_idm.repository import Repository

        with Repository.at(self.repository_url, self.database_schema) as repository:
            url = repository.engine.url
            if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
                _check_may_be_made(Path(str(url.database)))
                return f"The repository will be created in {url.database}."
            repository.check_answers()
        return f"The repository's database answers ({make_url(self.repository_url).render_as_string()})."

    def _test_exchange(self) -> str:
        self.get_exchange().check_answers()
        if "://" not in self.exchange_url:
            _check_may_be_made(Path(self.exchange_url).expanduser() / "connector")
            return f"The exchange is the folder {self.exchange_url}."
        return f"The exchange's storage answers ({self.exchange_url})."

    @cached_property
    def _connection(self) -> Connection | None:
        try:
            return self.get_connection(self.idm_conn_id)
        except AirflowNotFoundException:
            if self.idm_conn_id == self.default_conn_name:
                return None
        raise ConfigurationError(
            f"There is no Airflow connection '{self.idm_conn_id}'; add it, of type idm. Only "
            f"{self.default_conn_name} may be missing."
        )

    @cached_property
    def _extras(self) -> dict[str, Any]:
        if self._connection is None:
            return {}
        return _extra_of(self._connection, self.idm_conn_id, '{"exchange": "/data/idm/exchange"}')

    def _extra(self, name: str) -> str | None:
        value = self._extras.get(name)
        return str(value) if value else None

    @property
    def _home(self) -> Path:
        home = os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")
        return Path(home).expanduser().absolute() / "idm"


def _check_may_be_made(path: Path) -> None:
    """Check, as far as can be told without doing it, that a file or folder may be made.

    :raises ConfigurationError: if what it would be made in is no folder, or none that this user may write to.
    """
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir():
        raise ConfigurationError(f"{path} cannot be made: {there} is a file where a folder is needed")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{path} cannot be made: permission denied in {there}; give this user the right to write there, or name "
            "another place"
        )


def _extra_of(connection: Connection, conn_id: str, example: str) -> dict[str, Any]:
    """Return the extra of a connection.

    :raises ConfigurationError: if it is no JSON object: what it says must not be passed over.
    """
    if not connection.extra:
        return {}
    try:
        is_object = isinstance(json.loads(connection.extra), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise ConfigurationError(
            f"The extra of the Airflow connection '{conn_id}' is no JSON object; expected one such as {example}"
        )
    return dict(connection.extra_dejson)  # Airflow then masks what is secret in it
