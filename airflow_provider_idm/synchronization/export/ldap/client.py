"""One directory server: connect, log in, search by pages, read attributes that come in ranges."""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import ldap3
from ldap3.core.exceptions import (
    LDAPCommunicationError,
    LDAPException,
    LDAPInvalidFilterError,
    LDAPInvalidPortError,
    LDAPInvalidServerError,
)
from ldap3.protocol.controls import build_control

from airflow_provider_idm.errors import ExportError, ExportUnavailableError, IdmError
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import (
    EVERYTHING,
    Authentication,
    Scope,
    Search,
)
from airflow_provider_idm.synchronization.export.ldap.results import (
    NO_SUCH_OBJECT,
    DirectoryRefusedError,
    refused,
)
from airflow_provider_idm.synchronization.export.ldap.tls import DirectoryTls

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_provider_idm.synchronization.export.ldap.ldap_settings import LdapSettings, Server

logger = logging.getLogger(__name__)

_SCOPES: Final[dict[Scope, Literal["BASE", "LEVEL", "SUBTREE"]]] = {
    Scope.BASE: ldap3.BASE,
    Scope.ONE_LEVEL: ldap3.LEVEL,
    Scope.SUBTREE: ldap3.SUBTREE,
}
_PAGED: Final = "1.2.840.113556.1.4.319"
_DOMAIN_SCOPE: Final = "1.2.840.113556.1.4.1339"
_RANGE: Final = re.compile(r"(.+);range=(\d+)-(\d+|\*)", re.IGNORECASE)
_SOCKET_SIZE: Final = 1 << 16
"""Bytes read at once: the library copies all of an unfinished message each time, and a great group is a long one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the directory gave it.

    :param dn: its distinguished name.
    :param attributes: values by attribute, in lower case; those without values are left out.
    """

    dn: str
    attributes: dict[str, list[bytes]]


class Directory:
    """A connection to one server, to be used in a ``with``.

    :param connection: identifier of the connection, for messages.
    """

    def __init__(self, connection: str, server: Server, settings: LdapSettings) -> None:
        self._settings = settings
        self._server = server
        self._tls = DirectoryTls(server)
        try:
            known = ldap3.Server(
                server.address,
                port=server.port,
                use_ssl=server.ssl,
                tls=self._tls,
                get_info=ldap3.NONE,
                connect_timeout=settings.connection_timeout,
            )
        except (LDAPInvalidServerError, LDAPInvalidPortError, ValueError) as error:
            raise ExportError(
                f"connection {connection}: the server {server.address!r} is no address of a directory: "
                f"{error}"
            ) from error
        self._tls.host = str(known.host)
        self.place = f"connection {connection}, server {known.name}"
        self._session = self._make_session(known)

    def __enter__(self) -> Self:
        """Connect and log in.

        :raises ExportUnavailableError: if the server cannot be reached.
        :raises ExportError: if it is not trusted, or refuses the login.
        """
        try:
            self._session.open()
            if self._server.start_tls:
                self._session.start_tls()
            bound = self._session.bind()
        except Exception as error:  # Kerberos has exceptions of its own
            self.close()
            raise self._cannot_connect(error) from error
        if not bound:
            result = dict(self._session.result)
            self.close()
            raise refused(f"{self.place}: cannot log in", result)
        return self

    def __exit__(self, *_: object) -> None:
        """Log out."""
        self.close()

    def close(self) -> None:
        """End the connection, in whatever state it is."""
        try:
            self._session.unbind()
        except (LDAPException, OSError):
            logger.debug("%s: the connection was gone already", self.place)

    def pages(
        self, search: Search, attributes: Collection[str], *, controls: tuple[Any, ...] = ()
    ) -> Iterator[list[Entry]]:
        """Give all entries that a search finds, a page at a time, each with all values of its attributes.

        :raises ExportUnavailableError: if the server goes away: what was given so far is not all.
        :raises ExportError: if the server refuses the search, or ends it before all is given.
        """
        settings, cookie = self._settings, None
        if self._server.domain_scope:
            controls = (*controls, build_control(_DOMAIN_SCOPE, False, None))
        while True:
            result, found = self.search(
                search,
                attributes,
                controls=controls,
                page_size=settings.page_size,
                cookie=cookie,
                size_limit=0 if settings.page_size else settings.size_limit,
            )
            yield found
            cookie = result.get("controls", {}).get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def search(
        self,
        search: Search,
        attributes: Collection[str],
        *,
        controls: tuple[Any, ...] = (),
        page_size: int = 0,
        cookie: bytes | None = None,
        size_limit: int = 0,
        plain: bool = False,
    ) -> tuple[dict[str, Any], list[Entry]]:
        """Do one search, or one page of it; return its result and the entries.

        :param page_size: entries of a page; 0 for all at once.
        :param plain: take the answer as it is: leave out references to other servers, read no further values of
            attributes of which the server gave a part alone, and keep attributes that it gives without values.
        :raises ExportUnavailableError: if the server goes away.
        :raises ExportError: if it refuses the search or does not give all.
        """
        what = f"{self.place}, base {search.base!r}, filter {search.filter}"
        result, response = self._ask(
            what,
            search,
            list(attributes),
            controls=controls,
            page_size=page_size,
            cookie=cookie,
            size_limit=size_limit,
        )
        entries = []
        for answer in response:
            if answer["type"] == "searchResRef" and not plain:
                self._refer(what, answer)
            elif answer["type"] == "searchResEntry":
                entry = self._entry(answer, keep_empty=plain)
                entries.append(entry if plain else self._complete(entry))
        return result, entries

    def _ask(
        self,
        what: str,
        search: Search,
        attributes: list[str],
        *,
        controls: tuple[Any, ...] = (),
        page_size: int = 0,
        cookie: bytes | None = None,
        size_limit: int = 0,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        session = self._session
        try:
            session.search(
                search_base=search.base,
                search_filter=search.filter,
                search_scope=_SCOPES[search.scope],
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=attributes,
                size_limit=size_limit,
                time_limit=self._settings.time_limit,
                controls=list(controls) or None,
                paged_size=page_size or None,
                paged_cookie=cookie,
            )
        except LDAPInvalidFilterError as error:
            raise ExportError(
                f"{what}: this is no LDAP filter. Expected one such as (objectClass=*)"
            ) from error
        except (
            LDAPException,
            OSError,
            LookupError,
        ) as error:  # the last: an answer that the library cannot read
            raise ExportUnavailableError(
                f"{what}: the server went away before all was read ({_describe(error)}); nothing was exported. Try again"
            ) from error
        result, response = dict(session.result), session.response or []
        session.response = None
        if result["result"] != 0:
            raise refused(what, result)
        return result, response

    def _refer(self, what: str, answer: dict[str, Any]) -> None:
        if self._settings.ignore_referrals:
            logger.debug("%s: a reference to another server is left out", what)
            return
        raise ExportError(
            f"{what}: a part of what is searched is on another server ({', '.join(answer['uri'])[:300]}), and would be "
            "missing. Add that one to Servers with its BaseDN and set IgnoreReferrals to true, which leaves out what is "
            "on other servers"
        )

    def _entry(self, answer: dict[str, Any], *, keep_empty: bool = False) -> Entry:
        try:
            dn = bytes(answer["raw_dn"]).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ExportError(f"{self.place}: the name of an entry is not UTF-8, as LDAP wants it") from error
        attributes = {
            name.lower(): values for name, values in answer["raw_attributes"].items() if values or keep_empty
        }
        for name in [name for name in attributes if name.endswith(";binary")]:
            attributes.setdefault(name.removesuffix(";binary"), attributes[name])
        return Entry(dn, attributes)

    def _complete(self, entry: Entry) -> Entry:
        """Read what is missing of attributes with so many values that the server gives them in ranges."""
        for ranged in [name for name in entry.attributes if ";range=" in name]:
            if (match := _RANGE.fullmatch(ranged)) is None:
                continue
            attribute, end = match[1], match[3]
            values = entry.attributes.pop(ranged)
            while end != "*":
                more, end = self._next_range(entry.dn, attribute, int(end) + 1)
                values += more
            entry.attributes[attribute] = values
        return entry

    def _next_range(self, dn: str, attribute: str, start: int) -> tuple[list[bytes], str]:
        what = f"{self.place}: the values of {attribute} from number {start} on"
        search = Search(dn, EVERYTHING, Scope.BASE)
        asked = f"{attribute};range={start}-*"
        try:
            _, response = self._ask(what, search, [asked])
        except DirectoryRefusedError as error:
            if error.code != NO_SUCH_OBJECT:
                raise
            response = []
        entries = [self._entry(answer) for answer in response if answer["type"] == "searchResEntry"]
        if len(entries) != 1:
            raise ExportUnavailableError(f"{what}: their entry has gone while it was read. Try again")
        for name, values in entries[0].attributes.items():
            match = _RANGE.fullmatch(name)
            if match is not None and match[1] == attribute and int(match[2]) == start:
                return values, match[3]
        raise ExportUnavailableError(
            f"{what}: the server did not give them; they changed while they were read. Try again"
        )

    def _make_session(self, server: ldap3.Server) -> ldap3.Connection:
        own = self._server
        kinds: dict[Authentication, dict[str, Any]] = {
            Authentication.ANONYMOUS: {"authentication": ldap3.ANONYMOUS},
            Authentication.BASIC: {
                "authentication": ldap3.SIMPLE,
                "user": own.login,
                "password": own.password,
            },
            Authentication.NEGOTIATE: {
                "authentication": ldap3.SASL,
                "sasl_mechanism": ldap3.KERBEROS,
                "user": own.login,
            },
        }
        session = ldap3.Connection(
            server,
            **kinds[own.authentication],
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            return_empty_attributes=False,
            receive_timeout=self._settings.request_timeout,
        )
        session.strategy.socket_size = _SOCKET_SIZE
        return session

    def _cannot_connect(self, error: Exception) -> IdmError:
        if isinstance(error, ImportError):
            return ExportError(
                f"{self.place}: AuthType Negotiate needs the package gssapi, which cannot be imported ({error}). "
                "Install it with the system's Kerberos libraries, or use AuthType Basic with EnableSSL"
            )
        failure = self._tls.failure
        if isinstance(failure, ssl.SSLCertVerificationError):
            return ExportError(
                f"{self.place}: its certificate is not trusted ({failure.verify_message}). Set CACertificates to a file "
                "with the certificate of its authority, and Server to the name that the certificate is for"
            )
        if isinstance(failure, ssl.SSLError):
            return ExportError(
                f"{self.place}: no encrypted connection ({failure.reason}). Is it the port for EnableSSL (usually 636), "
                "or the one for StartTLS (usually 389)?"
            )
        if self._session.result and self._session.result.get("type") == "extendedResp":
            result = dict(self._session.result)
            if result["result"] != 0:
                return refused(f"{self.place}: cannot start TLS", result)
        if not isinstance(error, LDAPCommunicationError | OSError) and isinstance(error, LDAPException):
            return ExportError(f"{self.place}: cannot log in: {_describe(error)}")
        return ExportUnavailableError(
            f"{self.place}: cannot connect ({_describe(error)}). Is it running, and are Server and Port right?"
        )


def _describe(error: BaseException) -> str:
    """Return what a communication error says: addresses and reasons, no entries."""
    return (str(error) or type(error).__name__)[:300]
