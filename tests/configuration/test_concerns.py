"""Whom an error of the configuration concerns: what it does not concern goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_idm.configuration.concerns import Concerns, read_connector
from airflow_provider_idm.configuration.problems import errors_of
from airflow_provider_idm.configuration.read import check_configuration
from airflow_provider_idm.errors import ConfigurationError
from benchmarks.parse_configuration import write_configuration


def connector(name: str) -> str:
    return f"""<ConfigurationFile>
  <Connector Identifier="{name}" DisplayName_L1="{name}" />
  <EntityType Identifier="{name}_Person" DisplayName_L1="Person">
    <Property Identifier="Number" DisplayName_L1="Number" TargetColumnIndex="4" />
  </EntityType>
  <EntityTypeMapping Identifier="{name}_Person" Connector="{name}" ConnectionTable="{name}">
    <Property Identifier="Number" ConnectionColumn="number" IsPrimaryKey="true" />
  </EntityTypeMapping>
</ConfigurationFile>
"""


def job(name: str, connector_name: str) -> str:
    return f"""  <Job Identifier="{name}" DisplayName_L1="{name}">
    <SynchronizeTask Identifier="{name}_S" DisplayName_L1="S" Connector="{connector_name}" />
  </Job>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two connectors in files of their own, and a file with a job for each."""
    (tmp_path / "HR.xml").write_text(connector("HR"), encoding="utf-8")
    (tmp_path / "AD.xml").write_text(connector("AD"), encoding="utf-8")
    jobs = job("HR_Job", "HR") + job("AD_Job", "AD")
    (tmp_path / "Jobs.xml").write_text(f"<ConfigurationFile>\n{jobs}</ConfigurationFile>", encoding="utf-8")
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def concerned_jobs(folder: Path) -> set[str]:
    configuration = check_configuration(folder)
    concerns = Concerns(configuration)
    return {
        identifier
        for identifier, found in configuration.jobs.items()
        if concerns.of_element(found, [identifier.removesuffix("_Job")])
    }


def test_without_errors_nothing_is_concerned(folder: Path) -> None:
    assert concerned_jobs(folder) == set()


def test_an_error_in_a_connectors_file_concerns_that_connector(folder: Path) -> None:
    replace(folder / "HR.xml", 'TargetColumnIndex="4"', 'TargetColumnIndex="999"')

    assert concerned_jobs(folder) == {"HR_Job"}
    with pytest.raises(ConfigurationError, match=r"HR\.xml:4: "):
        read_connector(folder, "HR")
    assert read_connector(folder, "AD")[1].connector.identifier == "AD"


def test_a_file_that_is_no_xml_concerns_the_connectors_that_it_mentions(folder: Path) -> None:
    replace(folder / "HR.xml", "</ConfigurationFile>", "</Configuration")

    assert concerned_jobs(folder) == {"HR_Job"}
    with pytest.raises(ConfigurationError, match=r"HR\.xml:.*not well-formed"):
        read_connector(folder, "HR")
    read_connector(folder, "AD")


def test_a_broken_file_may_hold_a_mapping_of_a_connector_defined_elsewhere(folder: Path) -> None:
    (folder / "More.xml").write_text('<ConfigurationFile><EntityTypeMapping Connector="HR"', encoding="utf-8")

    assert concerned_jobs(folder) == {"HR_Job"}


def test_a_name_within_another_word_is_no_mention(folder: Path) -> None:
    (folder / "More.xml").write_text("<ConfigurationFile><!-- LOADED CHROME HR -->", encoding="utf-8")

    assert concerned_jobs(folder) == {"HR_Job"}


def test_an_error_inside_a_job_concerns_that_job_alone(folder: Path) -> None:
    replace(folder / "Jobs.xml", 'Identifier="AD_Job_S"', 'Identifier="AD_Job_S" Orphans="perhaps"')

    assert concerned_jobs(folder) == {"AD_Job"}
    read_connector(folder, "AD")


def test_tags_of_several_lines_are_inside_their_job_too(folder: Path) -> None:
    replace(
        folder / "Jobs.xml",
        '<SynchronizeTask Identifier="HR_Job_S" DisplayName_L1="S"',
        '<SynchronizeTask\n Identifier="HR_Job_S"\n DisplayName_L1="S"',
    )
    replace(
        folder / "Jobs.xml", 'Connector="HR" />', 'Connector="HR"><TaskDependsOnTask\n/></SynchronizeTask>'
    )

    assert concerned_jobs(folder) == {"HR_Job"}


def test_a_second_job_of_an_identifier_concerns_the_first_alone(folder: Path) -> None:
    second = job("HR_Job", "HR").replace("HR_Job_S", "Other").replace("/>", 'Orphans="perhaps" />')
    replace(folder / "Jobs.xml", "</ConfigurationFile>", f"{second}</ConfigurationFile>")

    assert concerned_jobs(folder) == {"HR_Job"}
    read_connector(folder, "HR")


def test_a_job_without_an_identifier_concerns_no_other(folder: Path) -> None:
    nameless = job("New", "HR").replace('Identifier="New" ', "")
    replace(folder / "Jobs.xml", "</ConfigurationFile>", f"{nameless}</ConfigurationFile>")

    assert errors_of(check_configuration(folder).problems)
    assert concerned_jobs(folder) == set()


def test_a_second_definition_of_a_task_concerns_the_jobs_that_run_it(folder: Path) -> None:
    task = '<SynchronizeTask Identifier="T" DisplayName_L1="S" Connector="HR" />\n'
    replace(folder / "Jobs.xml", "</ConfigurationFile>", f"{task}{task}</ConfigurationFile>")
    configuration = check_configuration(folder)
    concerns = Concerns(configuration)

    assert concerned_jobs(folder) == set()
    assert concerns.of_element(configuration.jobs["HR_Job"], ["HR"], [configuration.tasks["T"]])


def test_an_error_whose_file_mentions_no_connector_concerns_everything(folder: Path) -> None:
    (folder / "More.xml").write_text("<ConfigurationFile>", encoding="utf-8")

    assert concerned_jobs(folder) == {"HR_Job", "AD_Job"}
    with pytest.raises(ConfigurationError, match=r"More\.xml"):
        read_connector(folder, "AD")


def test_an_unknown_connector_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no connector HRR; did you mean HR\?"):
        read_connector(folder, "HRR")


def test_many_errors_of_many_jobs_are_told_apart_quickly(tmp_path: Path) -> None:
    """A DAG processor gives a file half a minute, and a file that is cut off makes errors all over."""
    write_configuration(tmp_path / "conf", connectors=30, jobs=200)
    cut = tmp_path / "conf" / "Connectors" / "System01.xml"
    cut.write_text(cut.read_text(encoding="utf-8")[:-40], encoding="utf-8")

    begin = time.process_time()
    configuration = check_configuration(tmp_path / "conf")
    concerns = Concerns(configuration)
    of_jobs = [concerns.of_element(job, ["System02"]) for job in configuration.jobs.values()]

    assert time.process_time() - begin < 4
    assert len(concerns.errors) > 50
    assert 0 < sum(1 for errors in of_jobs if not errors) < 200
