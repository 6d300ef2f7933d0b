"""``idm views``: the database views of entity types and associations."""

from __future__ import annotations

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.options import (
    Conf,
    DatabaseSchema,
    Json,
    RepositoryUrl,
    Traceback,
    open_repository,
)


def views(
    conf: Conf,
    *,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Make the views zz_... of the repository what the configuration says; drop those it has no use for any more."""
    from airflow_provider_idm.configuration import connector_mappings

    configuration = configurations.read(conf)
    mappings = [connector_mappings(configuration, name) for name in configuration.connectors]
    with open_repository(repository, database_schema) as opened, output.progress("Making views"):
        result = opened.create_views(mappings)
    if json:
        output.as_json(result.as_dict())
        return
    for name in result.views:
        typer.echo(name)
    output.message(result.as_text())
