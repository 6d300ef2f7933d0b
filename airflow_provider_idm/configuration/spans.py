"""The lines of the jobs, scaffoldings and tasks of a file, those included that could not be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_idm.configuration.definitions_jobs import JOB, SCAFFOLDINGS, task_definition
from airflow_provider_idm.configuration.model import Job, TaskElement
from airflow_provider_idm.configuration.problems import Problems
from airflow_provider_idm.configuration.xmlfile import local_name, read_file

if TYPE_CHECKING:
    from lxml.etree import _Element

    from airflow_provider_idm.configuration.model import Scaffolding
    from airflow_provider_idm.configuration.xmlfile import XmlFile


@dataclass(frozen=True, slots=True)
class Span:
    """The lines in which an element and those inside it begin: there stand the errors that lie inside it.

    :param element: its name.
    :param identifier: in lower case; empty if it has none.
    :param first: the first line.
    :param last: the last one.
    :param in_job: a task that is written out in a job.
    """

    element: str
    identifier: str
    first: int
    last: int
    in_job: bool

    def is_of(self, element: Job | Scaffolding | TaskElement) -> bool:
        """Tell whether it is that of an element which begins here, or of the scaffolding that made it."""
        if isinstance(element, Job) and element.scaffolding is None:
            return (self.element, self.identifier) == (JOB.name, element.identifier.casefold())
        if isinstance(element, TaskElement) and element.xml:
            return self.element == element.element and self.identifier in {"", element.identifier.casefold()}
        return self.element in SCAFFOLDINGS


def spans(folder: Path, file: str) -> Iterator[Span]:
    """Return those of a file in reading order; none if it cannot be read.

    :param file: its name in the folder.
    """
    path = folder / file
    found = read_file(path, folder, Problems()) if path.is_file() else None
    if found is None:
        return
    for element in found.root.iterchildren(etree.Element):
        name = local_name(element.tag)
        if name == JOB.name or name in SCAFFOLDINGS or task_definition(name) is not None:
            yield _span(found, element, in_job=False)
        if name == JOB.name:
            for child in element.iterchildren(etree.Element):
                if task_definition(local_name(child.tag)) is not None:
                    yield _span(found, child, in_job=True)


def _span(file: XmlFile, element: _Element, *, in_job: bool) -> Span:
    lines = [file.location(inner).line for inner in element.iter(etree.Element)]
    identifier = str(element.get("Identifier") or "").strip().casefold()
    return Span(local_name(element.tag), identifier, lines[0], max(lines), in_job)
