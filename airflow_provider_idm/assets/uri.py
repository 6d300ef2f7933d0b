"""Assets ``idm://<connection>/<connector>``: what the repository holds of a connector.

Airflow is told of the functions here (``asset-uris`` in the provider's metadata), and calls the first one whenever a DAG
file names such an asset.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from airflow.sdk import Asset

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from openlineage.client.event_v2 import Dataset

SCHEME: Final = "idm"


def asset_uri(connector: str, idm_conn_id: str = "idm_default") -> str:
    """Return the URI of a connector's asset; what a URI may not have in its parts is percent-encoded."""
    return f"{SCHEME}://{quote(idm_conn_id, safe='')}/{quote(connector, safe='')}"


def synchronized(connector: str, idm_conn_id: str = "idm_default") -> Asset:
    """Return the asset of a connector, for the schedule of a DAG: ``schedule=[synchronized("HR")]``.

    It equals ``Asset(uri="idm://idm_default/HR")``, and costs a DAG file less: Airflow would load all that the installed
    providers have to say of URIs to find this one as it should be.

    :param connector: its identifier, written as in the configuration.
    :param idm_conn_id: the Airflow connection of the repository.
    """
    uri = asset_uri(connector, idm_conn_id)
    asset = copy(_blank())
    for name, value in {"name": uri, "uri": uri, "extra": {}, "watchers": []}.items():
        object.__setattr__(asset, name, value)
    return asset


@cache
def _blank() -> Asset:
    return Asset("blank")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check the URI of an asset.

    It is never changed: an asset made from a URI alone is named as that was written, and one of another name would not
    be the one that a synchronize changes.

    :raises ValueError: if it is not ``idm://<connection>/<connector>``, or not written as ``synchronized`` writes it.
    """
    found = uri.geturl()
    parts = uri.path.split("/")
    if len(parts) != 2 or not (uri.netloc and parts[1]) or uri.query:  # the path begins with a slash
        raise ValueError(f"{found} is not the asset of a connector; expected idm://<connection>/<connector>")
    wanted = asset_uri(unquote(parts[1]), unquote(uri.netloc))
    if found != wanted:
        raise ValueError(f"{found} is not the asset of a connector as it is called; expected {wanted}")
    return uri


def create_asset(*, connector: str, idm_conn_id: str = "idm_default", extra: Any = None) -> Asset:
    """Return the asset of a connector with an extra (Airflow's factory of assets with this scheme)."""
    asset = synchronized(connector, idm_conn_id)
    object.__setattr__(asset, "extra", dict(extra or {}))
    return asset


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:  # noqa: ARG001  Airflow gives both
    """Return the dataset that OpenLineage is told for an asset: ``idm://<connection>`` and the connector."""
    from openlineage.client.event_v2 import Dataset  # noqa: PLC0415 - need not be installed

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{parts.netloc}", name=unquote(parts.path.removeprefix("/")))
