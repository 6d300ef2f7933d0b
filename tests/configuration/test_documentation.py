"""The page about the configuration names all that is read, and its example is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.configuration.definitions import ENTITY_ELEMENTS
from airflow_provider_idm.configuration.definitions_jobs import JOB, KNOWN_TASKS, SCAFFOLDINGS, STEP
from airflow_provider_idm.configuration.element import Element
from airflow_provider_idm.configuration.writing import jobs_document

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
CHILDREN = (
    "Transformation",
    "Column",
    "Property",
    "TaskDependsOnTask",
    "CronTabExpression",
    "OpenIdIdentifier",
    "NoSynchronization",
    "NoProvisioning",
    "NoConnectorSynchronization",
    "NotUsed",
    "AddTask",
    "LinkDependTask",
    "DoNotCreateJob",
)


def elements() -> list[Element]:
    tops = [*ENTITY_ELEMENTS.values(), JOB, STEP, *KNOWN_TASKS.values(), *SCAFFOLDINGS.values()]
    children = [child for top in tops if top is not JOB for name in CHILDREN if (child := top.child(name))]
    return [*tops, *children]


@pytest.mark.parametrize("element", elements(), ids=lambda element: element.name)
def test_every_element_and_attribute_is_on_the_page(element: Element) -> None:
    words = set(re.findall(r"\w+", PAGE.read_text()))
    numbered = {f"InputColumn{n}" for n in (3, 4)}

    assert {element.name, *element.attributes} - numbered <= words


def test_the_example_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"```xml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "example.xml").write_text(example)

    configuration = read_configuration(tmp_path)

    assert configuration.problems == ()
    assert connector_mappings(configuration, "HR").association("Person_Organization").owner == 1


def test_the_sample_of_a_scaffolding_is_what_it_stands_for(tmp_path: Path) -> None:
    page = PAGE.read_text()
    (example,) = re.findall(r"```xml\n(.*?)```", page, re.DOTALL)
    ((jobs, printed),) = re.findall(r"\$ cat conf/jobs.xml\n(.*?)\$ idm jobs conf\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.xml").write_text(example)
    (tmp_path / "jobs.xml").write_text(jobs)

    configuration = read_configuration(tmp_path)

    assert configuration.problems == ()
    assert jobs_document(configuration) == printed
