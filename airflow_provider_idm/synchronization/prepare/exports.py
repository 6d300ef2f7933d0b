"""Which exports a batch is made from: once it is published, the next incremental exports start from where they ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.synchronization.cookies import Cookie, CookieStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from airflow_provider_idm.synchronization.exchange import Manifest
    from airflow_provider_idm.synchronization.prepare.request import PrepareRequest

_log = logging.getLogger(__name__)


class Exports:
    """The exports that the source files of one prepare come from, as far as their connections keep cookies."""

    def __init__(self, request: PrepareRequest) -> None:
        self._request = request
        self._store = CookieStore(request.exports or request.work, request.connector)
        self._found: list[Cookie] = []
        self._read: list[str] = []

    def settle(self, manifests: Iterable[Manifest]) -> None:
        """Finish what a prepare left open that ended just after it had published.

        :param manifests: of all batches of the connector.
        """
        self._store.settle({manifest.batch for manifest in manifests})

    def find(self, sources: Mapping[str, Path | None]) -> None:
        """Find the exports.

        :param sources: the file of each connection table; None if the table does not come from a file.
        :raises PrepareError: if everything is to be sent, but a file holds only what changed.
        """
        files = {f"{table}.csv": path for table, path in sources.items()}
        self._read = list(files)
        self._found = self._store.exports_of(files)
        if self._request.is_incremental:
            return
        for cookie in self._found:
            if cookie.incremental:
                name = next(name for name in cookie.files if name in files)
                raise PrepareError(
                    f"{files[name]} holds only what has changed: connection {cookie.connection} was exported "
                    f"incrementally. A {self._request.mode.name.capitalize()} needs everything; export the connection "
                    "again with IgnoreCookieFile (idm export without --incremental)"
                )

    def before_publishing(self, batch: str) -> None:
        """Note which batch is about to be published; nothing of one that only a plan reads."""
        if self._request.plan_only:
            return
        self._store.mark(self._found, batch)
        if not self._request.is_incremental:
            why = (
                f"batch {batch}, a {self._request.mode.name.capitalize()}, was made from other files than this "
                "connection had exported"
            )
            for connection in self._store.retire(self._read, self._found, why):
                _log.warning(
                    "connection %s needs a complete export before the next incremental one: %s",
                    connection,
                    why,
                )

    def published(self) -> None:
        """Let the next incremental exports start from where these ended."""
        if not self._request.plan_only:
            self._store.switch(self._found)
