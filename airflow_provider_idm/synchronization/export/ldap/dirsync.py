"""What changed in an Active Directory since a cookie: its control for directory synchronization (DirSync)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ldap3.protocol.controls import build_control
from ldap3.protocol.microsoft import DirSyncControlRequestValue

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import EVERYTHING, Scope, Search

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_provider_idm.synchronization.export.ldap.client import Directory, Entry

_OID: Final = "1.2.840.113556.1.4.841"
_SHOW_DELETED: Final = "1.2.840.113556.1.4.417"
_INCREMENTAL_VALUES: Final = -(2**31)
"""Bit 31: of link attributes, what was added and removed instead of all values. The server reads 32 bits with a sign."""
_MAX_BYTES: Final = 1 << 22
_NOTHING: Final = "(!(objectClass=*))"
_ADDED: Final = ";range=1-1"
_REMOVED: Final = ";range=0-0"


@dataclass(frozen=True, slots=True)
class Change:
    """An object that changed.

    :param guid: its ``objectGUID``.
    :param deleted: whether it is gone.
    :param named: whether it is new, was renamed or moved.
    :param changed: the attributes (in lower case) whose values changed, those that have none any more too.
    :param added: values that link attributes (in lower case) gained; ``removed``, that they lost.
    """

    guid: bytes
    deleted: bool
    named: bool
    changed: frozenset[str]
    added: dict[str, list[bytes]]
    removed: dict[str, list[bytes]]


def naming_context(directory: Directory, bases: Iterable[str]) -> str:
    """Return the root of the naming context that all bases lie in: changes are only told of a whole one.

    :raises ExportError: if the server has none.
    """
    searched = list(bases)
    _, entries = directory.search(Search("", EVERYTHING, Scope.BASE), ["namingContexts"], plain=True)
    known = [
        raw.decode("utf-8", "replace")
        for entry in entries
        for raw in entry.attributes.get("namingcontexts", [])
    ]
    roots = {
        max((root for root in known if is_below(base, root)), key=len, default=None) for base in searched
    }
    if len(roots) != 1 or (root := roots.pop()) is None:
        raise ExportError(
            f"{directory.place}: changes can only be told within one naming context of the server; it has "
            f"{', '.join(known) or 'none that this account may see'}, and what is searched is {', '.join(searched)}"
        )
    return root


def is_below(dn: str, base: str) -> bool:
    """Return whether a DN is the base or below it."""
    bare, root = normal(dn), normal(base)
    return bare == root or not root or bare.endswith(f",{root}")


def normal(dn: str) -> str:
    """Return a DN for comparison: without case, and without space around its parts."""
    return ",".join(part.strip() for part in dn.casefold().split(","))


def position(directory: Directory, root: str) -> bytes:
    """Return the cookie of this moment, from which changes can be asked for.

    :raises ExportError: if the account may not ask for changes.
    """
    return [cookie for _, cookie in _ask(directory, root, _NOTHING, ["objectGUID"], b"")][-1]


def changes(
    directory: Directory, root: str, attributes: Collection[str], cookie: bytes
) -> Iterator[tuple[list[Change], bytes]]:
    """Give what changed in a naming context since a cookie, in parts; the cookie with the last is the new one.

    :raises ExportError: if the account may not ask for changes.
    :raises airflow_provider_idm.errors.ExportUnavailableError: if the server goes away.
    """
    asked = sorted({"isDeleted", "name", "objectGUID", *attributes})
    for entries, following in _ask(directory, root, EVERYTHING, asked, cookie):
        yield [_change(directory, entry) for entry in entries], following


def _ask(
    directory: Directory, root: str, filter_: str, attributes: list[str], cookie: bytes
) -> Iterator[tuple[list[Entry], bytes]]:
    search = Search(root, filter_, Scope.SUBTREE)
    more = True
    while more:
        controls = (_control(cookie), build_control(_SHOW_DELETED, False, None))
        result, entries = directory.search(search, attributes, controls=controls, plain=True)
        answer: dict[str, Any] = result.get("controls", {}).get(_OID, {}).get("value") or {}
        if not answer.get("cookie"):
            raise ExportError(f"{directory.place}: the server gave no changes. Is it an Active Directory?")
        cookie, more = bytes(answer["cookie"]), bool(answer["more_results"])
        yield entries, cookie


def _control(cookie: bytes) -> Any:
    value = DirSyncControlRequestValue()
    value["Flags"] = _INCREMENTAL_VALUES
    value["MaxBytes"] = _MAX_BYTES
    value["Cookie"] = cookie
    return build_control(_OID, True, value)


def _change(directory: Directory, entry: Entry) -> Change:
    values = entry.attributes
    guid = values.get("objectguid", [])
    if len(guid) != 1:
        raise ExportError(f"{directory.place}: a changed object came without its objectGUID")
    return Change(
        guid[0],
        deleted=b"TRUE" in [value.upper() for value in values.get("isdeleted", [])],
        named="name" in values,
        changed=frozenset(values),
        added=_links(values, _ADDED),
        removed=_links(values, _REMOVED),
    )


def _links(values: dict[str, list[bytes]], ending: str) -> dict[str, list[bytes]]:
    return {name.removesuffix(ending): found for name, found in values.items() if name.endswith(ending)}
