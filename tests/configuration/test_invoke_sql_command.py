"""The attributes of InvokeSqlCommandTask."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration import check_configuration

TASK = '<ConfigurationFile><InvokeSqlCommandTask Identifier="Ask" {}/></ConfigurationFile>'


def problems(folder: Path, attributes: str) -> list[str]:
    (folder / "a.xml").write_text(TASK.format(attributes), encoding="utf-8")
    return [str(problem) for problem in check_configuration(folder).problems]


@pytest.mark.parametrize(
    "attributes",
    [
        'SQLCommand="SELECT 1" DatabaseIdentifier="hr_db" OutputPath="HR.csv" IsNotAQuery="false" Timeout="60"',
        (
            'SQLInputFile="ask.sql" Encoding="UTF-8" IsolationLevel="ReadCommitted" Provider="Npgsql" '
            'ProviderAssemblyQualifiedName="Npgsql.NpgsqlFactory" OpenIdClient="Job" ContinueOnError="true"'
        ),
    ],
)
def test_a_task_may_have_all_its_attributes(attributes: str, tmp_path: Path) -> None:
    assert problems(tmp_path, attributes) == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("", "expected either SQLCommand or SQLInputFile, found neither"),
        (
            'SQLCommand="a" SQLInputFile="b"',
            "expected either SQLCommand or SQLInputFile, found SQLCommand and SQLInputFile",
        ),
        ('SQLCommand="a" Timeout="soon"', "Timeout"),
        ('SQLCommand="a" IsNotAQuery="perhaps"', "IsNotAQuery"),
        ('SQLCommand="a" DatabaseIdentifer="hr"', "did you mean DatabaseIdentifier?"),
    ],
)
def test_what_is_wrong_is_told(attributes: str, message: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, attributes)

    assert "a.xml:1: " in found
    assert message in found
