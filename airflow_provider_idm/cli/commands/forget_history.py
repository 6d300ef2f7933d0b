"""``idm forget-history``: the oldest former versions are deleted."""

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

Before = Annotated[
    datetime,
    typer.Option(
        "--before",
        parser=values.date,
        metavar="DATE",
        help="Forget what had ended by this date (its midnight) or moment; UTC without a zone.",
    ),
]


def forget_history(
    conf: Conf,
    *,
    before: Before,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Delete former versions of every connector that had ended by a date; that date itself can still be asked for."""
    configurations.read(conf)
    with (
        open_repository(repository, database_schema, create=False) as opened,
        output.progress("Forgetting former versions"),
    ):
        forgotten = opened.forget_history(before)
    if json:
        output.as_json(forgotten.as_dict())
        return
    counts = ", ".join(f"{count:,} of {what}" for what, count in forgotten.as_dict().items())
    typer.echo(f"former versions forgotten: {counts}")
