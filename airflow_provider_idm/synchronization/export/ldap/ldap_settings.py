"""The settings of a directory's connection: servers, how to log in, where and what to search."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.synchronization.export.settings import APPSETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

PAGE_SIZE: Final = 1000
"""Entries of a page where nothing else is set: what Active Directory gives at most."""
REQUEST_TIMEOUT: Final = 120
CONNECTION_TIMEOUT: Final = 30
_SCHEME: Final = re.compile(r"^ldaps?://", re.IGNORECASE)
EVERYTHING: Final = "(objectClass=*)"

SERVER_SETTINGS: Final = (
    "Server",
    "Port",
    "BaseDN",
    "AuthType",
    "Login",
    "Password",
    "EnableSSL",
    "StartTLS",
    "CACertificates",
    "VerifyCertificate",
    "Controls",
    "NoSigning",
)
"""What a member of ``Servers`` may have; what it has not is taken from the connection itself."""
TABLE_SETTINGS: Final = ("Table", "BaseDN", "Filter", "Scope")
"""What a member of ``Tables`` may have."""
_ALIASES: Final = {
    "Server": ("Host",),
    "BaseDN": ("DistinguishedName", "Schema"),
    "EnableSSL": ("SSL",),
    "RequestTimeout": ("TimeOut", "TimeFormat"),
}
"""Other names of a setting: those of some packages, and the fields of an Airflow connection."""
_WITHOUT_MEANING: Final = (
    "AsAdLds",
    "Asynchronous",
    "IsLdapPasswordReset",
    "RetryDelay",
    "WaitingTimeInSeconds",
)
"""Read without a warning and without effect: they concern fulfillment, or how another program waits."""
SETTINGS: Final = (
    *SERVER_SETTINGS,
    "Servers",
    "Tables",
    "Filter",
    "Scope",
    "PageSize",
    "SizeLimit",
    "TimeLimit",
    "RequestTimeout",
    "ConnectionTimeout",
    "IgnoreReferrals",
    "LowerCaseDN",
    *(alias for aliases in _ALIASES.values() for alias in aliases),
    *_WITHOUT_MEANING,
)
"""Every setting of a directory's connection."""


class Scope(Enum):
    """How far a search goes: the base alone, its children, or all below it."""

    BASE = "base"
    ONE_LEVEL = "onelevel"
    SUBTREE = "subtree"


class Authentication(Enum):
    """How to log in."""

    ANONYMOUS = "anonymous"
    BASIC = "basic"
    NEGOTIATE = "negotiate"


@dataclass(frozen=True, slots=True)
class Server:
    """One directory server.

    :param address: as a URL ``ldap://…`` or ``ldaps://…``, perhaps with a port.
    :param port: None for the usual one.
    :param base: where its searches begin unless a table says otherwise.
    :param ssl: encrypted from the first byte (LDAPS).
    :param start_tls: encrypted by StartTLS, before anything is sent.
    :param ca: file with the certificates that are trusted; None for the machine's.
    :param verify: whether the server's certificate and name are checked.
    :param domain_scope: ask an Active Directory for no references to other naming contexts.
    """

    address: str
    port: int | None
    base: str | None
    authentication: Authentication
    login: str | None
    password: str | None = field(repr=False)
    ssl: bool
    start_tls: bool
    ca: str | None
    verify: bool
    domain_scope: bool


@dataclass(frozen=True, slots=True)
class Search:
    """One search. Tables with the same one are filled from one pass over the directory."""

    base: str
    filter: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """All settings of a connection.

    :param searches: by dataset in lower case: (base or None, filter, scope) of the ``Tables`` setting.
    :param page_size: entries a page; 0 asks for all at once.
    :param size_limit: entries at most, without pages; 0 for no limit. :param time_limit: seconds that the server may
        take for a page; 0 for no limit.
    :param request_timeout: seconds without an answer after which the server is given up; likewise
        ``connection_timeout``.
    :param ignore_referrals: leave out what the server says is on another server, instead of failing.
    :param lower_case_dn: write distinguished names in lower case.
    """

    servers: tuple[Server, ...]
    filter: str
    scope: Scope
    searches: dict[str, tuple[str | None, str, Scope]]
    page_size: int
    size_limit: int
    time_limit: int
    request_timeout: int
    connection_timeout: int
    ignore_referrals: bool
    lower_case_dn: bool


def read_ldap_settings(settings: Settings, *, domain_scope: bool = False) -> LdapSettings:
    """Check a connection's settings and put them together.

    :param domain_scope: whether servers are asked for no references to other naming contexts in any case.
    :raises airflow_provider_idm.errors.ExportError: naming the setting that is missing or wrong.
    """
    settings.warn_of_unknown(SETTINGS)
    servers = tuple(_server(member, domain_scope) for member in _servers(settings))
    return LdapSettings(
        servers=servers,
        filter=_filter(settings),
        scope=_scope(settings),
        searches=_tables(settings),
        page_size=_count(settings, "PageSize", PAGE_SIZE),
        size_limit=settings.count("SizeLimit"),
        time_limit=settings.count("TimeLimit"),
        request_timeout=_count(settings, "RequestTimeout", REQUEST_TIMEOUT) or REQUEST_TIMEOUT,
        connection_timeout=_count(settings, "ConnectionTimeout", CONNECTION_TIMEOUT) or CONNECTION_TIMEOUT,
        ignore_referrals=settings.flag("IgnoreReferrals"),
        lower_case_dn=settings.flag("LowerCaseDN"),
    )


def _servers(settings: Settings) -> list[Settings]:
    members = _members(settings, "Servers", SERVER_SETTINGS)
    return members or [settings]


def _server(settings: Settings, domain_scope: bool) -> Server:
    server = _text(settings, "Server")
    if server is None:
        raise settings.missing("Server")
    login, password = _text(settings, "Login"), _secret(settings)
    authentication = _authentication(settings, login, password)
    ssl = settings.flag(_written(settings, "EnableSSL")) or server.casefold().startswith("ldaps://")
    start_tls = settings.flag("StartTLS")
    if ssl and start_tls:
        raise settings.error("StartTLS", "a connection is encrypted by EnableSSL or by StartTLS, not by both")
    if authentication is Authentication.BASIC and not (ssl or start_tls):
        logger.warning(
            "connection %s: the password goes to %s in clear text; set EnableSSL or StartTLS",
            settings.connection,
            server,
        )
    controls = {name.casefold() for name in settings.texts("Controls")}
    if unknown := controls - {"pagedresult", "domainscope"}:
        raise settings.error(
            "Controls", f"unknown control {min(unknown)!r}; known are PagedResult and DomainScope"
        )
    return Server(
        address=_url(server, ssl=ssl),
        port=settings.count("Port") or None,
        base=_text(settings, "BaseDN"),
        authentication=authentication,
        login=login if authentication is not Authentication.ANONYMOUS else None,
        password=password if authentication is Authentication.BASIC else None,
        ssl=ssl,
        start_tls=start_tls,
        ca=settings.path("CACertificates"),
        verify=settings.flag("VerifyCertificate") if _is_set(settings, "VerifyCertificate") else True,
        domain_scope=domain_scope or "domainscope" in controls,
    )


def _url(written: str, *, ssl: bool) -> str:
    """Return the URL of a host name, ``host:port`` or URL; how it is encrypted is said by the settings."""
    host = _SCHEME.sub("", written.strip()).partition("/")[0]
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # an address of IPv6
    return f"{'ldaps' if ssl else 'ldap'}://{host}"


def _authentication(settings: Settings, login: str | None, password: str | None) -> Authentication:
    written = settings.text("AuthType")
    if written is None:
        kind = Authentication.BASIC if login else Authentication.ANONYMOUS
    else:
        try:
            kind = Authentication(written.strip().casefold())
        except ValueError:
            raise settings.error(
                "AuthType", f"expected Basic, Negotiate or Anonymous, found {written!r}"
            ) from None
    if kind is Authentication.BASIC:
        # a login without a password is answered as if nobody had logged in: less would be seen, and the rest deleted
        for name, value in (("Login", login), ("Password", password)):
            if not value:
                raise settings.missing(name)
    if kind is Authentication.NEGOTIATE and password:
        raise settings.error(
            "AuthType",
            "Negotiate logs in with this machine's Kerberos ticket and takes no password; for Login and Password, "
            "set Basic and EnableSSL",
        )
    return kind


def _tables(settings: Settings) -> dict[str, tuple[str | None, str, Scope]]:
    tables: dict[str, tuple[str | None, str, Scope]] = {}
    # a base of its own, or that of each server
    bases = frozenset(name.casefold() for name in ("BaseDN", *_ALIASES["BaseDN"]))
    for member in _members(settings, "Tables", TABLE_SETTINGS, bases):
        name = member.text("Table")
        if name is None:
            raise member.missing("Table")
        tables[name.casefold()] = (_text(member, "BaseDN"), _filter(member), _scope(member))
    return tables


def _members(
    settings: Settings, name: str, known: Sequence[str], not_inherited: frozenset[str] = frozenset()
) -> list[Settings]:
    """Return each object of a list as settings of its own, with what it leaves to the connection's."""
    key = name.casefold()
    value = settings.values[key][1] if key in settings.values else None
    if isinstance(value, str):  # a form field of an Airflow connection holds text
        try:
            value = json.loads(value)
        except ValueError:
            raise settings.error(name, "expected a list of objects, found a text that is no JSON") from None
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, dict) for member in value):
        raise settings.error(name, f'expected a list of objects such as [{{"{known[0]}": "…"}}]')
    source = settings.values[key][2]
    inherited = {name: setting for name, setting in settings.values.items() if name not in not_inherited}
    members = []
    for number, member in enumerate(value, 1):
        own: dict[str, tuple[str, Any, str]] = {
            written.replace("_", "").casefold(): (written, item, f"number {number} of {name} in {source}")
            for written, item in member.items()
        }
        Settings(settings.connection, settings.folder, own).warn_of_unknown(
            (*known, *(alias for first in known for alias in _ALIASES.get(first, ())))
        )
        spellings = [_spellings(first) for first in known]
        replaced = {name for names in spellings if names & own.keys() for name in names}
        taken = {name: setting for name, setting in inherited.items() if name not in replaced}
        members.append(Settings(settings.connection, settings.folder, {**taken, **own}))
    return members


def _spellings(name: str) -> set[str]:
    """Return all names of a setting, in lower case."""
    return {spelling.casefold() for spelling in (name, *_ALIASES.get(name, ()))}


def _written(settings: Settings, name: str) -> str:
    """Return the name by which a setting is set; of several that of the Airflow connection, which wins over the file."""
    names = [alias for alias in (name, *_ALIASES.get(name, ())) if _is_set(settings, alias)]
    return min(
        names, key=lambda alias: settings.values[alias.casefold()][2].endswith(APPSETTINGS), default=name
    )


def _is_set(settings: Settings, name: str) -> bool:
    _, value, _ = settings.values.get(name.casefold(), ("", None, ""))
    return value not in (None, "")


def _text(settings: Settings, name: str) -> str | None:
    return settings.text(_written(settings, name))


def _secret(settings: Settings) -> str | None:
    """Return the password; an error must not repeat what it is."""
    _, value, _ = settings.values.get("password", ("", None, ""))
    if value is not None and not isinstance(value, str):
        raise settings.error("Password", "expected a text (put it in quotes)")
    return value or None


def _count(settings: Settings, name: str, default: int) -> int:
    written = _written(settings, name)
    return settings.count(written) if _is_set(settings, written) else default


def _filter(settings: Settings) -> str:
    written = (settings.text("Filter") or EVERYTHING).strip()
    return written if written.startswith("(") else f"({written})"


def _scope(settings: Settings) -> Scope:
    written = settings.text("Scope")
    if written is None:
        return Scope.SUBTREE
    short = {"one": Scope.ONE_LEVEL, "sub": Scope.SUBTREE}
    name = written.strip().casefold()
    try:
        return short.get(name) or Scope(name)
    except ValueError:
        raise settings.error("Scope", f"expected Base, OneLevel or Subtree, found {written!r}") from None
