"""Which exports a batch is made from: once it is published, the next incremental exports start from where they ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.synchronization.cookies import Cookie, CookieStore

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    from airflow_provider_idm.synchronization.prepare.request import PrepareRequest

_log = logging.getLogger(__name__)


class Exports:
    """The exports that the source files of one prepare come from, as far as their connections keep cookies."""

    def __init__(self, request: PrepareRequest) -> None:
        self._request = request
        self._store = CookieStore(request.exports or request.work, request.connector)
        self._found: list[Cookie] = []
        self._read: list[str] = []

    def settle(self, published: Container[str]) -> None:
        """Finish what a prepare left open that ended just after it had published.

        :param published: ids of the connector's batches.
        """
        self._store.settle(published)

    def find(self, sources: Mapping[str, Path | None]) -> None:
        """Find the exports.

        :param sources: the file of each connection table; None if the table does not come from a file.
        :raises PrepareError: if everything is wanted, but a file holds only what changed, or the reverse.
        """
        files = {f"{table}.csv": path for table, path in sources.items()}
        self._read = list(files)
        self._found = self._store.exports_of(files)
        for name, cookie in self._store.origins_of(files).items():
            self._check(f"{files[name]}", cookie)

    def _check(self, file: str, cookie: Cookie) -> None:
        """Refuse a list of changes that would be taken for everything, and everything taken for a list of changes."""
        request = self._request
        if cookie.incremental and not request.reads_changes:
            mode = request.mode.name.capitalize()
            needs = (
                "An Incremental of Type None needs everything, and would take what is not there for deleted; give the "
                "tasks the Type Changes (ActiveDirectory for a directory), or export"
                if request.is_incremental
                else f"A {mode} needs everything; export"
            )
            raise PrepareError(
                f"{file} holds only what has changed: connection {cookie.connection} was exported incrementally. "
                f"{needs} the connection again with IgnoreCookieFile (idm export without --incremental)"
            )
        if request.reads_changes and not cookie.incremental and cookie.text is not None:
            raise PrepareError(
                f"{file} holds everything: connection {cookie.connection} was not exported incrementally. As a list of "
                "changes it would not tell what was deleted; export the connection again without IgnoreCookieFile (idm "
                "export --incremental), or prepare a Complete"
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
