"""The exchange in an object storage that Airflow reaches, in words of this provider where it does not."""

from __future__ import annotations

from typing import Final

from airflow.sdk import ObjectStoragePath

from airflow_provider_idm.errors import ExchangeError, ExchangeUnavailableError, IdmError
from airflow_provider_idm.hooks.airflow_exceptions import AirflowNotFoundException
from airflow_provider_idm.local_files import is_lasting, lasting_reason
from airflow_provider_idm.synchronization.exchange import Exchange

_PACKAGES: Final = {
    "s3": "amazon[s3fs]",
    "s3a": "amazon[s3fs]",
    "gs": "google",
    "gcs": "google",
    "abfs": "microsoft-azure",
    "abfss": "microsoft-azure",
    "adl": "microsoft-azure",
    "sftp": "sftp",
    "ssh": "sftp",
}
"""Providers of Airflow that bring file systems, by protocol."""


def open_object_storage(url: str, idm_conn_id: str) -> Exchange:
    """Open an exchange by Airflow's object storage.

    :param url: such as ``s3://aws_default@bucket/idm``.
    :param idm_conn_id: the connection that names it, for messages.
    :raises ExchangeError: if the URL is none that Airflow can open, or its connection is missing.
    :raises ExchangeUnavailableError: if the storage does not answer.
    """
    protocol, _, rest = url.partition("://")
    where = f"the exchange {protocol}://{rest.rpartition('@')[2]} (Airflow connection '{idm_conn_id}')"
    try:
        path = ObjectStoragePath(url)
        return Exchange(path.fs, path.path)
    except IdmError:
        raise
    except AirflowNotFoundException:
        conn_id = rest.partition("@")[0]
        if ":" in conn_id:  # it may be a password
            raise ExchangeError(
                f"{where} has a login before the @; expected the id of an Airflow connection that holds it"
            ) from None
        raise ExchangeError(
            f"{where} needs the Airflow connection {conn_id!r}, which there is not; add it, or name another before the @"
        ) from None
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(protocol)
        advice = (
            f"install apache-airflow-providers-{package}"
            if package
            else "name a folder, or the URL of a storage that Airflow knows"
        )
        raise ExchangeError(f"{where} cannot be opened: {error}; {advice}") from error
    except Exception as error:
        if is_lasting(error):
            raise ExchangeError(f"{where} cannot be opened: {lasting_reason(error)}") from error
        raise ExchangeUnavailableError(
            f"{where} cannot be opened: {type(error).__name__}: {error}"
        ) from error
