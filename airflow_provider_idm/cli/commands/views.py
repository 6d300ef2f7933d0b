"""``idm views``: the database views of entity types and associations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.options import (
    Conf,
    DatabaseSchema,
    Json,
    RepositoryUrl,
    Traceback,
    open_repository,
)

AsOf = Annotated[
    list[datetime] | None,
    typer.Option(
        "--as-of",
        parser=values.date,
        metavar="DATE",
        help="Make views of what was stored as of this date or moment too (may be given several times), and drop those "
        "of other dates. By default those that there are stay.",
    ),
]
NoAsOf = Annotated[bool, typer.Option("--no-as-of", help="Drop the views as of dates.")]


def views(
    conf: Conf,
    *,
    as_of: AsOf = None,
    no_as_of: NoAsOf = False,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Make the views zz_... of the repository what the configuration says; drop those it has no use for any more."""
    from airflow_provider_idm.configuration import connector_mappings

    if as_of and no_as_of:
        raise typer.BadParameter("expected one of them", param_hint="--as-of / --no-as-of")
    dates = [] if no_as_of else as_of or None
    configuration = configurations.read(conf)
    mappings = [connector_mappings(configuration, name) for name in configuration.connectors]
    with open_repository(repository, database_schema) as opened, output.progress("Making views"):
        result = opened.create_views(mappings, dates)
    if json:
        output.as_json(result.as_dict())
        return
    for name in result.views:
        typer.echo(name)
    output.message(result.as_text())
