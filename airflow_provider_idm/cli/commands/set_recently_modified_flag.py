"""``idm set-recently-modified-flag``: mark the resources that synchronizations touched."""

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


def set_recently_modified_flag(
    conf: Conf,
    *,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Set Dirty on every resource that kept change rows name, and clear those rows."""
    configurations.read(conf)
    with (
        open_repository(repository, database_schema, create=False) as opened,
        output.progress("Marking modified resources"),
    ):
        marked = opened.set_recently_modified_flag()
    if json:
        output.as_json({"resources": marked})
    else:
        typer.echo(f"{marked:,} resource{'' if marked == 1 else 's'} marked")
