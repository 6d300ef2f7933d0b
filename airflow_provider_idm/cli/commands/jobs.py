"""``idm jobs``: the jobs as XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.options import Conf, Json, Traceback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_idm.configuration.model import Job

JobId = Annotated[str | None, typer.Option("--job", parser=values.text, metavar="ID", help="Only this job.")]


def jobs(conf: Conf, *, job: JobId = None, json: Json = False, traceback: Traceback = False) -> None:  # noqa: ARG001
    """Print the jobs as XML."""
    configuration = configurations.read(conf)
    chosen = (
        [configurations.find(configuration.jobs, "job", job)] if job else list(configuration.jobs.values())
    )
    if configuration.scaffoldings:
        first = configuration.scaffoldings[0]
        output.warning(
            f"{len(configuration.scaffoldings)} scaffolding(s) are not expanded to jobs by this version, the first is "
            f"{first.element} at {first.location}; only jobs that are written out are shown"
        )
    if json:
        output.as_json({"jobs": {found.identifier: found.xml for found in chosen}})
    else:
        typer.echo(_document(chosen), nl=False)


def _document(chosen: Sequence[Job]) -> str:
    from lxml import etree

    root = etree.Element("ConfigurationFile")
    for job in chosen:
        root.append(
            etree.fromstring(job.xml, etree.XMLParser(remove_blank_text=True, resolve_entities=False))
        )
    etree.indent(root)
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)
    return text.decode()
