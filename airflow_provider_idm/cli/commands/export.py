"""``idm export``: one connection's source files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output as out
from airflow_provider_idm.cli import values
from airflow_provider_idm.cli.options import Conf, Json, Traceback, Work, sources_folder, work_folder

ConnectionId = Annotated[
    str, typer.Option("--connection", parser=values.text, metavar="ID", help="The connection.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        parser=values.path,
        metavar="DIR",
        help="Where source files go. Default: ExportOutput in the work folder.",
    ),
]
Incremental = Annotated[
    bool,
    typer.Option("--incremental", help="Only what changed, where the connection can tell."),
]


def export(
    conf: Conf,
    *,
    connection: ConnectionId,
    output: Output = None,
    incremental: Incremental = False,
    work: Work = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Write the CSV source files of one connection."""
    from airflow_provider_idm.synchronization.export import ExportRequest, export_connection

    configuration = configurations.read(conf)
    configurations.find(configuration.connections, "connection", connection)
    request = ExportRequest(
        configuration=configuration,
        connection=connection,
        output=sources_folder(output, work),
        incremental=incremental,
        work=work_folder(work),
    )
    with out.progress(f"Exporting {connection}"):
        result = export_connection(request)
    if json:
        out.as_json(result.as_dict())
        return
    if result.skipped:
        out.message(result.skipped)
    out.table(("file", "rows", "columns"), ((str(f.path), f.rows, len(f.columns)) for f in result.files))
