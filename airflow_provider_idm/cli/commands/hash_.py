"""``idm hash``: one number for all that is stored."""

from __future__ import annotations

import hashlib

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.options import (
    Conf,
    DatabaseSchema,
    Json,
    OptionalAsOf,
    OptionalConnectorId,
    RepositoryUrl,
    Traceback,
    open_repository,
)


def hash_(
    conf: Conf,
    *,
    connector: OptionalConnectorId = None,
    as_of: OptionalAsOf = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Print one SHA-256 of all resources and links, of now or of a date: equal content, equal hash on any database."""
    from airflow_provider_idm.configuration import connector_mappings

    configuration = configurations.read(conf)
    if connector:
        names = [configurations.find(configuration.connectors, "connector", connector).identifier]
    else:
        names = sorted(configuration.connectors, key=str.casefold)
    with open_repository(repository, database_schema, create=False) as opened:
        hashes = {name: opened.content_hash(connector_mappings(configuration, name), as_of) for name in names}
    whole = next(iter(hashes.values())) if len(hashes) == 1 else _together(hashes)
    if json:
        output.as_json({"hash": whole, "connectors": hashes})
    else:
        typer.echo(whole)


def _together(hashes: dict[str, str]) -> str:
    lines = "".join(f"{name.casefold()}\t{value}\n" for name, value in hashes.items())
    return hashlib.sha256(lines.encode()).hexdigest()
