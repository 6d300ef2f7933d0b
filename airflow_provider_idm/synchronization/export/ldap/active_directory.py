"""The exporter of Active Directory: everything as of any directory, and with a cookie what changed since."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.resolve import connector_mappings
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.exporter import Exported
from airflow_provider_idm.synchronization.export.ldap.exporter import (
    export_server,
    load_client,
    open_writers,
    searches_of,
    tables_asked,
)
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import read_ldap_settings
from airflow_provider_idm.synchronization.export.ldap.results import DirectoryRefusedError
from airflow_provider_idm.synchronization.export.ldap.tables import DN

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportJob
    from airflow_provider_idm.synchronization.export.ldap.following import Follower
    from airflow_provider_idm.synchronization.export.ldap.ldap_settings import LdapSettings
    from airflow_provider_idm.synchronization.export.ldap.tables import Table

logger = logging.getLogger(__name__)

GUID: Final = "objectguid"
"""The attribute, in lower case, that names an object for ever, deleted ones too."""
_NOT_TOLD: Final = frozenset({"memberof", "directreports", "managedobjects", "isprivilegeholder"})
"""Attributes, in lower case, that only mirror links of other objects; the names of most others end in BL."""
_COMPLETE: Final = (
    "Export everything once (a Complete job, or IgnoreCookieFile) and prepare that as a Complete; the next incremental "
    "export starts from there"
)


def export_active_directory(job: ExportJob) -> Exported:
    """Export an Active Directory: everything, or what changed since the cookie of a former export.

    :raises ExportError: as ``export_ldap``, and if changes are wanted that cannot be told.
    :raises airflow_provider_idm.errors.ExportUnavailableError: as ``export_ldap``.
    """
    settings = read_ldap_settings(job.settings, domain_scope=True)
    tables = tables_asked(job)
    asked = _fingerprint(settings, tables)
    client = load_client(job)
    # needs the library too, so it comes after what says that it is missing
    from airflow_provider_idm.synchronization.export.ldap import following  # noqa: PLC0415 - an extra

    former = _former(job, settings, asked) if job.incremental else None
    if former is not None:
        _check_mappings(job, tables)
    name = job.connection.identifier
    roots: set[str] = set()
    cookies: list[bytes | None] = []
    with contextlib.ExitStack() as stack:
        writers = open_writers(stack, job, settings, tables, commands=former is not None)
        for number, server in enumerate(settings.servers):
            searches = searches_of(job, settings, server, writers)
            with client.Directory(name, server, settings) as directory:
                follower = following.Follower(directory, searches)
                if former is None:
                    # before anything is read, so that what changes meanwhile is told the next time
                    cookies.append(_position(follower, roots))
                    export_server(directory, searches)
                else:
                    _new_root(follower, roots)
                    cookies.append(_follow(follower, former[number]))
        files = [file for writer in writers for file in writer.finish()]
    return Exported(files, _cookie(asked, cookies), incremental=former is not None)


def _new_root(follower: Follower, roots: set[str]) -> None:
    """Refuse a naming context that another server has: an object outside the one's base may be inside the other's."""
    if follower.root in roots:
        raise ExportError(
            f"{follower.directory.place}: another server of this connection is of the naming context {follower.root} "
            "too. For incremental exports, name one server for it, with a BaseDN above all that is wanted"
        )
    roots.add(follower.root)


def _follow(follower: Follower, cookie: bytes) -> bytes:
    try:
        return follower.follow(cookie)
    except DirectoryRefusedError as error:
        raise ExportError(
            f"{error}. To ask for changes, the account needs the right Replicating Directory Changes. If it has that, "
            f"the server does not take the former export's cookie any more. {_COMPLETE}"
        ) from error


def _position(follower: Follower, roots: set[str]) -> bytes | None:
    try:
        _new_root(follower, roots)
        return follower.position()
    except ExportError as error:
        logger.warning(
            "no incremental export can start from this one (the account needs the right Replicating Directory Changes): "
            "%s",
            error,
        )
        return None


def _cookie(asked: str, cookies: list[bytes | None]) -> str | None:
    if any(cookie is None for cookie in cookies):
        return None
    texts = [base64.b64encode(cookie).decode("ascii") for cookie in cookies if cookie is not None]
    return json.dumps({"asked": asked, "servers": texts})


def _former(job: ExportJob, settings: LdapSettings, asked: str) -> list[bytes]:
    name = job.connection.identifier
    if job.cookie is None:
        raise ExportError(
            f"connection {name}: nothing is known of a former export, so it cannot be told what changed since. "
            f"{_COMPLETE}"
        )
    try:
        kept = json.loads(job.cookie)
        former = [base64.b64decode(text, validate=True) for text in kept["servers"]]
        same = kept["asked"] == asked and len(former) == len(settings.servers)
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"connection {name}: what is kept of the former export cannot be read. {_COMPLETE}"
        ) from error
    if not same:
        raise ExportError(
            f"connection {name}: its servers, searches or mappings are not those of the former export any more. "
            f"{_COMPLETE}"
        )
    return former


def _fingerprint(settings: LdapSettings, tables: list[Table]) -> str:
    """Return what an export asks for, as a hash: with anything else, what changed since would not be all."""
    told = [
        [[server.address, server.port, server.base] for server in settings.servers],
        [settings.filter, settings.scope.value],
        sorted(
            [name, base, filter_, scope.value] for name, (base, filter_, scope) in settings.searches.items()
        ),
        [[table.names, sorted(table.columns), sorted(table.links)] for table in tables],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _check_mappings(job: ExportJob, tables: list[Table]) -> None:
    """Check that the changes of all that is mapped are told, and what a deleted object still has names its resource."""
    name = job.connection.identifier
    own = {spelling for table in tables for spelling in table.names}
    if job.configuration is not None:
        for entity_type in connector_mappings(job.configuration, job.connection.connector).entity_types:
            key = entity_type.primary_key.connection_column or ""
            if entity_type.table in own and key.casefold() != GUID:
                raise ExportError(
                    f"connection {name}: the primary key of {entity_type.identifier} is read from {key}, which a "
                    "deleted object has no more. For incremental exports it has to be objectGUID (with Format Guid)"
                )
    for table in tables:
        for column in table.columns.values():
            if column.key in _NOT_TOLD or column.name.endswith("BL"):
                raise ExportError(
                    f"connection {name}: {table.names[0]} reads {column.name}, whose changes an Active Directory does "
                    "not tell. For incremental exports, map the attribute at the other end of the link, such as member "
                    "instead of memberOf"
                )
            if table.links and column.name not in table.links and column.key not in {*DN, GUID}:
                raise ExportError(
                    f"connection {name}: {table.names[0]} names entries by {column.name}; for incremental exports it "
                    "has to be dn or objectGUID"
                )
