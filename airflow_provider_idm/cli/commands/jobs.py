"""``idm jobs``: the jobs as XML."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.options import Conf, Json, Traceback

JobId = Annotated[str | None, typer.Option("--job", parser=values.text, metavar="ID", help="Only this job.")]


def jobs(conf: Conf, *, job: JobId = None, json: Json = False, traceback: Traceback = False) -> None:  # noqa: ARG001
    """Print the jobs, those of scaffoldings too, as XML.

    In the place of the files that hold jobs and scaffoldings, what is printed gives the same jobs. Tasks outside any job
    are printed as well; with --job, only those that the job names.
    """
    from airflow_provider_idm.configuration import writing

    configuration = configurations.read(conf)
    chosen = [configurations.find(configuration.jobs, "job", job)] if job else None
    if json:
        tasks = (
            configuration.tasks.values() if chosen is None else writing.needed_tasks(configuration, chosen)
        )
        found = configuration.jobs.values() if chosen is None else chosen
        output.as_json(
            {
                "jobs": {one.identifier: writing.job_xml(one) for one in found},
                "tasks": {task.identifier: writing.task_xml(task) for task in tasks},
            }
        )
    else:
        typer.echo(writing.jobs_document(configuration, chosen), nl=False)
