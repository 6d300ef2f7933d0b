"""The exchange as a whole: one folder per connector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_idm.synchronization.exchange.channel import ConnectorExchange
from airflow_provider_idm.synchronization.exchange.storage import Storage

if TYPE_CHECKING:
    import os


class Exchange:
    """A folder, on a local disk or any storage that fsspec reaches, shared by agents and server.

    :param fs: an fsspec file system.
    :param root: the folder's path, as that file system writes it.
    """

    def __init__(self, fs: Any, root: str) -> None:
        self._storage = Storage(fs, root)

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> Exchange:
        """Open a local folder (made when first written to) or a URL such as ``s3://bucket/exchange``.

        :raises ExchangeError: if the URL's protocol is unknown or its library is not installed.
        :raises ExchangeUnavailableError: if the storage does not answer.
        """
        storage = Storage.open(location)
        return cls(storage.fs, storage.root)

    def channel(self, connector: str) -> ConnectorExchange:
        """Return one connector's part.

        :param connector: its identifier.
        :raises ExchangeError: if the identifier is empty.
        """
        return ConnectorExchange(self._storage, connector)

    def check_answers(self) -> None:
        """Check that the storage answers; nothing is changed, and the folder need not be there.

        :raises ExchangeError: if it refuses, or is no folder.
        :raises ExchangeUnavailableError: if it does not answer.
        """
        self._storage.folders_and_files()

    def __str__(self) -> str:
        return self._storage.describe()
