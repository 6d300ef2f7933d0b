"""A small company for tests of scaffoldings, and jobs in a form that is easy to compare."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_idm.configuration import Configuration
from airflow_provider_idm.configuration.model import Job, Step, TaskElement, TaskOverride
from tests.configuration.texts import check

COMPANY = """\
<Agent Identifier="Local" DisplayName_L1="Head office" DisplayName_L2="Siège" />
<Agent Identifier="Remote" />
<Connector Identifier="HR" DisplayName_L1="Human resources" DisplayName_L2="Personnel" Agent="Local" />
<Connector Identifier="AD" Agent="Local" />
<Connector Identifier="Cloud" Agent="local" />
<Connector Identifier="Old" Agent="Local" IsDeactivated="true" />
<Connector Identifier="Provisioned" Agent="Local" CompleteJob="OnlyProvisioning" IncrementalJob="NotUsed" />
<Connector Identifier="Plant" Agent="Remote" IncrementalJob="3" />
<Connector Identifier="Loose" />
<Connection Identifier="HR-Persons" Connector="HR" DisplayName_L1="Persons" DisplayName_L2="Personnes" Package="Usercube.CSV@0000001" />
<Connection Identifier="HR-Sites" Connector="hr" Package="Usercube.CSV@0000001" />
<Connection Identifier="HR-Paused" Connector="HR" Package="Usercube.CSV@0000001" DeactivationExportFulfill="Export" />
<Connection Identifier="HR-Written" Connector="HR" Package="Usercube.CSV@0000001" DeactivationExportFulfill="Fulfill" />
<Connection Identifier="HR-Tickets" Connector="HR" Package="Usercube.Manual@0000001" />
<Connection Identifier="AD" Connector="AD" Package="Usercube.AD@0000001" />
<Connection Identifier="Entra" Connector="Cloud" Package="Usercube.AzureAD@0000001" />
<Connection Identifier="Plant" Connector="Plant" Package="Usercube.SQL@0000001" />
"""  # noqa: E501 - one element a line
"""Connectors of two agents, connections of several packages; elements stand from line 2 on."""


def read(folder: Path, text: str) -> Configuration:
    """Read the company with more elements in a file of their own, ``j.xml``, from line 2 on."""
    return check(folder, a=COMPANY, j=text)


def expanded(folder: Path, text: str) -> Job:
    """Read the company with one scaffolding, in which nothing is wrong, and return its job."""
    configuration = read(folder, text)
    assert [str(problem) for problem in configuration.problems] == []
    (job,) = (job for job in configuration.jobs.values() if job.scaffolding)
    return job


def lines(job: Job) -> list[str]:
    """Return a line for each child of a job: level, element or Step, identifier without the job's, parents likewise."""
    return [_line(job, child) for child in job.children]


def _line(job: Job, child: TaskElement | Step | TaskOverride) -> str:
    assert not isinstance(child, TaskOverride)
    start = f"{job.identifier}_"
    name = "Step" if isinstance(child, Step) else child.element.removesuffix("Task")
    parents = " ".join(parent.removeprefix(start) for parent in child.depends_on)
    return f"{child.level} {name} {child.identifier.removeprefix(start)}{f' < {parents}' if parents else ''}"
