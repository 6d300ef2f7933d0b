"""From what changed in an Active Directory to rows of changes.

The server tells which objects changed and not all of what followed: a moved unit changes the names of all below it, and
each name stands in the links of others. So a changed object is read as it is now and written as a whole, and of one with
another name all below it and all that refers to these too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ldap3.utils.conv import escape_filter_chars

from airflow_provider_idm.errors import ExportUnavailableError
from airflow_provider_idm.synchronization.export.ldap.client import Entry
from airflow_provider_idm.synchronization.export.ldap.dirsync import (
    changes,
    is_below,
    naming_context,
    normal,
    position,
)
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import EVERYTHING, Scope, Search
from airflow_provider_idm.synchronization.export.ldap.results import NO_SUCH_OBJECT, DirectoryRefusedError
from airflow_provider_idm.synchronization.export.ldap.values import parent_dn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.synchronization.export.ldap.client import Directory
    from airflow_provider_idm.synchronization.export.ldap.dirsync import Change
    from airflow_provider_idm.synchronization.export.ldap.rows import TableWriter

_IN_FILTER: Final = re.compile(r"\(\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:[~<>]?=|:)")
"""The attributes that a filter looks at: a change of one of them may take an object in or out."""
_INSERT: Final = "insert"
_DELETE: Final = "delete"


class Follower:
    """Follows the changes of one server.

    :param searches: what belongs to each table, as a complete export would ask for it.
    """

    def __init__(self, directory: Directory, searches: dict[Search, list[TableWriter]]) -> None:
        self.directory = directory
        self._searches = searches

    @cached_property
    def root(self) -> str:
        """The root of the naming context that is searched.

        :raises ExportError: if it is more than one.
        """
        return naming_context(self.directory, [search.base for search in self._searches])

    def position(self) -> bytes:
        """Return the cookie of this moment.

        :raises ExportError: if the account may not ask for changes.
        """
        return position(self.directory, self.root)

    def follow(self, cookie: bytes) -> bytes:
        """Write what changed since a cookie; return the new one.

        :raises ExportError: if the account may not ask for changes.
        :raises ExportUnavailableError: if the server goes away, or an object while it is read.
        """
        asked = {name for writers in self._searches.values() for name in _attributes(writers, links=True)}
        for search in self._searches:
            asked.update(_IN_FILTER.findall(search.filter))
        for found, following in changes(self.directory, self.root, asked, cookie):
            for change in found:
                for search, writers in self._searches.items():
                    self._write(change, search, writers)
            cookie = following
        return cookie

    def _write(self, change: Change, search: Search, writers: list[TableWriter]) -> None:
        # what the filter looks at has changed: the object may be found now, or not any more, with all its links
        is_moved = not change.deleted and not change.changed.isdisjoint(_filtered(search))
        now = None if change.deleted else self._read(change, search, writers, links=is_moved)
        outside = None
        if now is None and is_moved:
            outside = self._read(change, replace(search, filter=EVERYTHING), writers, links=True)
        for writer in writers:
            links = {link.casefold() for link in writer.table.links}
            if now is None:
                # gone, or not among what is searched any more
                if not links:
                    writer.add(Entry("", {"objectguid": [change.guid]}), _DELETE)
                elif outside is not None:
                    writer.add(_with_links(outside, change.removed, links), _DELETE)
                    writer.add(outside, _DELETE)
            elif links:
                writer.add(_with_links(now, change.removed, links), _DELETE)
                writer.add(now if is_moved else _with_links(now, change.added, links), _INSERT)
            else:
                writer.add(now, _INSERT)
        if now is not None and change.named:
            self._write_below(now.dn, search, writers)

    def _read(
        self, change: Change, search: Search, writers: list[TableWriter], *, links: bool
    ) -> Entry | None:
        """Read an object as it is now, with or without its links; None if it is not among what is searched."""
        one = Search(f"<GUID={change.guid.hex()}>", search.filter, Scope.BASE)
        try:
            _, entries = self.directory.search(one, _attributes(writers, links=links))
        except DirectoryRefusedError as error:
            if error.code == NO_SUCH_OBJECT:
                return None
            raise
        return next((entry for entry in entries if _is_inside(entry.dn, search)), None)

    def _write_below(self, dn: str, search: Search, writers: list[TableWriter]) -> None:
        """Write all entries of a search that are at a name or below it, with all their links and those to them."""
        below = replace(search, base=dn, scope=Scope.SUBTREE)
        for entry in self._all(below, _attributes(writers, links=True)):
            if _is_inside(entry.dn, search):
                for writer in writers:
                    writer.add(entry, _INSERT)
                self._write_references(entry.dn)

    def _write_references(self, dn: str) -> None:
        """Write what refers to a name: the rows of entries, and the links to that name."""
        for search, writers in self._searches.items():
            for name in sorted({name for writer in writers for name in _references(writer)}):
                filter_ = f"(&{search.filter}({name}={escape_filter_chars(dn)}))"
                for entry in self._all(replace(search, filter=filter_), _attributes(writers, links=False)):
                    for writer in writers:
                        if name in writer.table.links:
                            writer.add(
                                Entry(entry.dn, entry.attributes | {name.casefold(): [dn.encode()]}), _INSERT
                            )
                        elif not writer.table.links and name in _references(writer):
                            writer.add(entry, _INSERT)

    def _all(self, search: Search, attributes: list[str]) -> Iterator[Entry]:
        try:
            for page in self.directory.pages(search, attributes):
                yield from page
        except DirectoryRefusedError as error:
            if error.code != NO_SUCH_OBJECT:
                raise
            raise ExportUnavailableError(
                f"{self.directory.place}: an object went or got another name while its changes were read. Try again"
            ) from error


def _filtered(search: Search) -> set[str]:
    """Return the attributes that a filter looks at, in lower case."""
    return {name.casefold() for name in _IN_FILTER.findall(search.filter)}


def _attributes(writers: list[TableWriter], *, links: bool) -> list[str]:
    """Return what tables ask for, with or without the links that have a row each."""
    found = {"objectGUID"}
    for writer in writers:
        found |= writer.table.attributes if links else writer.table.attributes - writer.table.links
    return sorted(found)


def _references(writer: TableWriter) -> set[str]:
    """Return the attributes of a table that hold names of entries."""
    return {c.name for c in writer.table.columns.values() if c.is_dn and c.is_attribute}


def _with_links(entry: Entry, links: dict[str, list[bytes]], wanted: set[str]) -> Entry:
    """Return an entry with the given links and no others."""
    own = {name: values for name, values in entry.attributes.items() if name not in wanted}
    return Entry(entry.dn, own | {name: values for name, values in links.items() if name in wanted})


def _is_inside(dn: str, search: Search) -> bool:
    if search.scope is Scope.BASE:
        return normal(dn) == normal(search.base)
    if search.scope is Scope.ONE_LEVEL:
        return normal(parent_dn(dn)) == normal(search.base)
    return is_below(dn, search.base)
