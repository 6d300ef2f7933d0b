from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from lxml import etree

from airflow_provider_idm.cli import main, values
from airflow_provider_idm.cli.app import COMMANDS, app
from airflow_provider_idm.cli.options import home, sources_folder, work_folder

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
NAMES = [name for name, _, _ in COMMANDS]
PLAN = ("plan", "{conf}", "--connector", "HR")
PREPARE = ("prepare", "{conf}", "--connector", "HR", "--mode", "complete")

CONFIGURATION = """<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="Human Resources" />
  <Connection Identifier="HR-Persons" Connector="HR" DisplayName_L1="Persons" Package="Usercube.CSV@0000001" />
  <Connection Identifier="HR-Leavers" Connector="HR" DisplayName_L1="Leavers" Package="Usercube.CSV@0000001"
              DeactivationExportFulfill="Export" />
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="code" DisplayName_L1="Id" Type="String" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="name" DisplayName_L1="Name" Type="String" TargetColumnIndex="5" />
  </EntityType>
  <EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR-Persons">
    <Property Identifier="code" ConnectionColumn="Id" IsPrimaryKey="true" />
    <Property Identifier="name" ConnectionColumn="Name" />
  </EntityTypeMapping>
  <Job Identifier="HR_Complete" DisplayName_L1="Complete">
    <PrepareSynchronizationTask Identifier="HR_Prepare" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Complete" />
  </Job>
  <Job Identifier="HR_Other" DisplayName_L1="Other">
    <SynchronizeTask Identifier="HR_Synchronize" DisplayName_L1="Synchronize" Connector="HR" />
  </Job>
</ConfigurationFile>
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder of its own with nothing set."""
    folder = tmp_path / "current"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in (
        "AIRFLOW_HOME",
        "IDM_CONFIGURATION",
        "IDM_REPOSITORY",
        "IDM_EXCHANGE",
        "IDM_WORK",
        "IDM_DATABASE_SCHEMA",
        "IDM_ROLLING_THRESHOLDS",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "hr.xml").write_text(CONFIGURATION)
    return folder


Capture = pytest.CaptureFixture[str]


# -------------------------------------------------------------------------------------------------------- all commands


def options_of(name: str) -> set[str]:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_documented(name: str) -> None:
    assert f"## `idm {name} CONF" in DOCS
    assert (
        sorted(
            option
            for option in options_of(name)
            if f"`{option}" not in DOCS and f" {option} " not in DOCS and f"[{option}" not in DOCS
        )
        == []
    )


def test_the_documentation_invents_no_command_or_option() -> None:
    assert set(re.findall(r"^## `idm ([\w-]+)", DOCS, re.MULTILINE)) == set(NAMES)
    known = set().union(*(options_of(name) for name in NAMES)) | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS)) <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: idm {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    help_ = capsys.readouterr().out
    assert [name for name in NAMES if f"\n  {name} " not in help_] == []
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["prepare", "--help"], set()),
        (["check", "{conf}"], {"lxml"}),
        (
            [*PREPARE, "--sources", "{conf}", "--exchange", "{conf}/x", "--work", "{conf}/work", "--json"],
            {"duckdb", "fsspec", "lxml", "numpy"},
        ),
    ],
)
def test_a_command_loads_nothing_heavy_that_it_does_not_need(
    arguments: list[str], needed: set[str], conf: Path
) -> None:
    (conf / "HR-Persons.csv").write_text("Id,Name\n1,Ann\n")
    program = (
        "import sys; from airflow_provider_idm.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'adbc_driver_manager', 'airflow', 'duckdb', 'fsspec', 'lxml', 'numpy', 'openpyxl', 'pandas', "
        "'psycopg', 'pyarrow', 'sqlalchemy'} & set(sys.modules)\n"
        "print(code, *sorted(heavy))"
    )
    given = [argument.format(conf=conf) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, *heavy = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert set(heavy) <= needed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["check"], "Missing argument 'CONF'"),
        (["check", "nosuch"], "'nosuch' does not exist"),
        (["prepare", "{conf}", "--connector", "HR"], "Missing option '--mode'"),
        (["prepare", "{conf}", "--connector", "HR", "--mode", "whole"], "'whole' is not one of"),
        (
            ["prepare", "{conf}", "--connector", "HR", "--mode", "complete", "--logical-date", "x"],
            "'x' is no date",
        ),
        (
            [*PREPARE, "--logical-date", "9999-12-31T23:59:59-12:00"],
            "lies outside the years 1 to 9999 in UTC",
        ),
        ([*PREPARE, "--logical-date", ""], "'--logical-date': the value is empty"),
        ([*PREPARE, "--work", ""], "the value is empty"),
        ([*PREPARE, "--type", "Foo"], "'Foo' is not one of None, ActiveDirectory, Changes\n"),
        ([*PREPARE, "--separator", "ab"], "'ab' cannot be a separator; expected one ASCII character"),
        ([*PREPARE, "--encoding", "latin-99"], "there is no encoding 'latin-99'"),
        (
            [*PREPARE, "--memory-limit", "lots"],
            "'lots' cannot be a memory limit; expected a number and a unit",
        ),
        (["plan", "{conf}", "--connector", "HR", "--batch", ""], "'--batch': the value is empty"),
        (["synchronize", "{conf}", "--connector", "HR", "--batch", ""], "'--batch': the value is empty"),
        (["synchronize", "{conf}", "--connector", "HR", "--batch", "x"], "'x' is not a batch id"),
        (["status", "{conf}", "--connector", ""], "'--connector': the value is empty"),
        (["status", "{conf}", "--repository", ""], "the value is empty"),
        (
            ["status", "{conf}", "--repository", "postgresql://u:s3cret@h:notaport/db"],
            "the port of the URL is not a number",
        ),
        (["query", "{conf}"], "expected one of them"),
        (
            ["query", "{conf}", "--entity-type", "Person", "--output", "p.xls"],
            "ends in .csv, .json or .parquet",
        ),
        (["plan", "{conf}", "--connector", "HR", "--changes", "c.txt"], "ends in .csv, .parquet or .json"),
        (
            ["plan", "{conf}", "--connector", "HR", "--json", "--format", "markdown"],
            "is --format json; leave out the other format",
        ),
        (["plan", "{conf}", "--connector", "HR", "--format", "x"], "'x' is not one of table, json, markdown"),
        (["plan", "{conf}", "--connector", "HR", "--show", "-1"], "Invalid value for '--show'"),
        (["resume", "{conf}", "--connector", "HR", "--change-set", "x"], "'x' is no change set; expected"),
        (["resume", "{conf}", "--connector", "HR", "--by", ""], "'--by': the value is empty"),
        (["reject", "{conf}", "--connector", "HR", "--message", " "], "'--message': the value is empty"),
        (
            [*PLAN, "--rolling-thresholds", "nosuch.json"],
            "--rolling-thresholds: nosuch.json cannot be read: No such file or directory; expected a JSON file",
        ),
        ([*PLAN, "--rolling-thresholds", "{{"], "--rolling-thresholds: not JSON (Expecting property name"),
        (
            [*PLAN, "--rolling-thresholds", '{{"days": 7, "MaximumDeletedLine": 5}}'],
            "--rolling-thresholds: 'MaximumDeletedLine' is no name of a limit; did you mean MaximumDeletedLines?",
        ),
        (
            [*PLAN, "--rolling-thresholds", '{{"HX": {{"days": 7, "MaximumDeletedLines": 5}}}}'],
            "--rolling-thresholds: the configuration has no connector HX; did you mean HR?",
        ),
        (
            [*PLAN, "--rolling-thresholds", '{{"HR": {{"MaximumDeletedLines": 5}}}}'],
            "--rolling-thresholds, connector HR: days is missing",
        ),
        (
            ["status", "{conf}", "--connector", "HX"],
            "the configuration has no connector HX; did you mean HR?",
        ),
        (["jobs", "{conf}", "--job", "HR_Compleat"], "no job HR_Compleat; did you mean HR_Complete?"),
        (["export", "{conf}", "--connection", "X"], "no connection X; it has HR-Persons, HR-Leavers"),
        (
            ["query", "{conf}", "--entity-type", "Persons"],
            "no entity type mapping Persons; did you mean Person?",
        ),
        (["query", "{conf}", "--association", "Manager"], "no association mapping Manager; it has none"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, conf: Path, capsys: Capture) -> None:
    assert main([argument.format(conf=conf) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "s3cret" not in printed.err
    assert printed.out == ""
    assert list(Path.cwd().iterdir()) == []


def test_a_wrong_configuration_is_shown_by_every_command(conf: Path, capsys: Capture) -> None:
    (conf / "hr.xml").write_text(CONFIGURATION.replace('IsPrimaryKey="true"', ""))
    assert main(["export", str(conf), "--connection", "HR-Persons", "--json"]) == 2
    printed = capsys.readouterr()
    assert re.search(r"hr\.xml:\d+: .*primary key", printed.err)
    assert printed.out == ""


def test_a_failure_is_one_message(conf: Path, capsys: Capture) -> None:
    assert main(["export", str(conf), "--connection", "HR-Persons"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: connection HR-Persons: the setting Path is missing (found: none).")
    assert printed.err.count("\n") == 1

    assert main(["export", str(conf), "--connection", "HR-Persons", "--traceback"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_unreachable_repository_may_come_back(conf: Path, capsys: Capture) -> None:
    url = "postgresql+psycopg://idm:s3cret@localhost:1/idm"
    assert main(["status", str(conf), "--repository", url]) == 1
    message = capsys.readouterr().err
    assert message.startswith("Error:")
    assert "the same command may succeed later" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "{conf}", "--connector", "HR", "--mode", "complete", "--sources", ".", "--work", "file"],
        ["synchronize", "{conf}", "--connector", "HR", "--work", "file"],
        ["plan", "{conf}", "--connector", "HR", "--work", "file"],
        ["plan", "{conf}", "--connector", "HR", "--changes", "file/changes.csv"],
        ["plan", "{conf}", "--connector", "HR", "--changes", "folder.csv"],
        ["query", "{conf}", "--entity-type", "Person", "--output", "file/persons.csv"],
        ["query", "{conf}", "--entity-type", "Person", "--output", "folder.csv"],
        ["status", "{conf}", "--exchange", "file"],
        ["status", "{conf}", "--exchange", "file/exchange"],
    ],
)
def test_a_place_that_cannot_be_used_is_named(arguments: list[str], conf: Path, capsys: Capture) -> None:
    Path("HR-Persons.csv").write_text("Id,Name\n1,Ann\n")
    prepare = [argument.format(conf=conf) for argument in PREPARE]
    assert main([*prepare, "--sources", "."]) == 0
    assert main(["plan", str(conf), "--connector", "HR"]) == 0
    Path("file").write_text("")
    Path("folder.csv").mkdir()
    capsys.readouterr()

    assert main([argument.format(conf=conf) for argument in arguments]) == 1

    message = capsys.readouterr().err
    assert message.startswith("Error: ")
    assert ("folder.csv" if "folder.csv" in arguments else "file") in message
    assert "--traceback" not in message
    assert "may succeed later" not in message


def test_too_little_memory_says_how_to_give_more(conf: Path, capsys: Capture) -> None:
    Path("HR-Persons.csv").write_text("Id,Name\n1,Ann\n")
    prepare = [argument.format(conf=conf) for argument in PREPARE]

    assert main([*prepare, "--sources", ".", "--memory-limit", "10KB"]) == 1

    message = capsys.readouterr().err
    assert "needs more memory than 10KB" in message
    assert "--memory-limit on the command line, memory_limit of an operator" in message
    assert "may succeed later" not in message
    assert list(Path("idm/work/HR").glob("*/spill-*")) == []


def test_a_query_needs_standard_output_or_a_file(
    conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["plan", str(conf), "--connector", "HR"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdout", None)

    assert main(["query", str(conf), "--entity-type", "Person"]) == 1
    assert main(["status", str(conf)]) == 0

    assert capsys.readouterr().err == (
        "Error: standard output is closed; redirect it, or name a file with --output\n"
    )


def test_the_package_can_be_run(conf: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_idm.cli", "check", str(conf)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, f"{conf}: 0 errors, 0 warnings\n")


def test_help_says_that_a_plan_takes_all_pending_batches(capsys: Capture) -> None:
    assert main(["plan", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Show what synchronizing the pending batches would change" in printed
    assert "Up to and including this batch; all pending ones by default." in printed


def test_what_nobody_expected_is_a_message_too(
    conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("airflow_provider_idm.configuration.check_configuration", fail)
    assert main(["check", str(conf)]) == 1
    assert capsys.readouterr().err == "Error: ZeroDivisionError: division by zero; --traceback shows where\n"


# ----------------------------------------------------------------------------------------------------------- defaults


def test_defaults_lie_in_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home() == Path.cwd() / "idm"
    assert work_folder(None) == Path.cwd() / "idm" / "work"
    assert sources_folder(None, None) == Path.cwd() / "idm" / "work" / "ExportOutput"
    assert sources_folder(None, Path("w")) == Path.cwd() / "w" / "ExportOutput"
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    assert home() == tmp_path / "airflow" / "idm"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T06:30", datetime(2026, 3, 1, 6, 30, tzinfo=UTC)),
        ("2026-03-01 06:30:05Z", datetime(2026, 3, 1, 6, 30, 5, tzinfo=UTC)),
        ("2026-03-01T06:30+02:00", datetime(2026, 3, 1, 4, 30, tzinfo=UTC)),
    ],
)
def test_logical_dates(text: str, moment: datetime) -> None:
    assert values.date(text) == moment


# -------------------------------------------------------------------------------------------------------------- check


def test_check_prints_every_problem(conf: Path, capsys: Capture) -> None:
    assert main(["check", str(conf)]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{conf}: 0 errors, 0 warnings\n")

    text = CONFIGURATION.replace('<Connector Identifier="HR"', '<Connector Identifier="HR" Colour="red"')
    (conf / "hr.xml").write_text(text.replace('Package="Usercube.CSV@0000001" />', "/>", 1))
    assert main(["check", str(conf)]) == 2
    printed = capsys.readouterr()
    first, second = printed.out.splitlines()
    assert re.fullmatch(r"hr\.xml:2: warning: .*Colour.*", first)
    assert re.fullmatch(r"hr\.xml:3: .*Package.*", second)
    assert printed.err == f"{conf}: 1 error, 1 warning\n"

    assert main(["check", str(conf), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [(p["file"], p["line"]) for p in found["errors"]] == [("hr.xml", 3)]
    assert [(p["file"], p["line"]) for p in found["warnings"]] == [("hr.xml", 2)]


def test_the_sample_of_a_check_is_what_the_product_prints(capsys: Capture) -> None:
    folder = Path("conf")
    folder.mkdir()
    (folder / "HR.xml").write_text(CONFIGURATION.replace(' IsPrimaryKey="true"', ""))

    assert main(["check", "conf"]) == 2

    printed = capsys.readouterr()
    assert f"$ idm check conf\n{printed.out}{printed.err}```" in DOCS


def test_conf_may_come_from_the_environment(
    conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDM_CONFIGURATION", str(conf))
    assert main(["check"]) == 0
    assert main(["jobs", "--job", "hr_complete"]) == 0
    assert 'Identifier="HR_Complete"' in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------- jobs


def test_jobs_are_printed_as_xml(conf: Path, capsys: Capture) -> None:
    assert main(["jobs", str(conf)]) == 0
    root = etree.fromstring(capsys.readouterr().out.encode())
    assert [job.get("Identifier") for job in root] == ["HR_Complete", "HR_Other"]
    assert [task.tag for task in root[0]] == ["PrepareSynchronizationTask"]

    assert main(["jobs", str(conf), "--job", "HR_Other"]) == 0
    assert capsys.readouterr().out == (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        "<ConfigurationFile>\n"
        '  <Job Identifier="HR_Other" DisplayName_L1="Other">\n'
        '    <SynchronizeTask Identifier="HR_Synchronize" DisplayName_L1="Synchronize" Connector="HR"/>\n'
        "  </Job>\n"
        "</ConfigurationFile>\n"
    )
    assert main(["jobs", str(conf), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["jobs"]) == ["HR_Complete", "HR_Other"]


def test_jobs_of_scaffoldings_are_printed_expanded(conf: Path, capsys: Capture) -> None:
    scaffolding = '<CreateConnectorSynchroComplete Connector="HR" />'
    (conf / "jobs.xml").write_text(f"<ConfigurationFile>\n{scaffolding}\n</ConfigurationFile>")

    assert main(["jobs", str(conf), "--job", "hr_synchronize_complete"]) == 0

    (job,) = etree.fromstring(capsys.readouterr().out.encode())
    assert job.get("Identifier") == "HR_Synchronize_Complete"
    assert {task.tag for task in job} == {"ExportTask", "PrepareSynchronizationTask", "SynchronizeTask"}


# ------------------------------------------------------------------------------------------------------------- export


def test_export(conf: Path, tmp_path: Path, capsys: Capture) -> None:
    (conf / "whole.csv").write_text("Id;Name\n1;Zoé\n")
    (conf / "changes.csv").write_text("Id;Name\n")
    settings = {"Connections": {"HR-Persons": {"Path": "whole.csv", "PathIncremental": "changes.csv"}}}
    (conf / "appsettings.agent.json").write_text(json.dumps(settings))
    out = tmp_path / "out"

    assert main(["export", str(conf), "--connection", "HR-Persons", "--output", str(out), "--json"]) == 0
    assert (out / "HR-Persons.csv").read_text() == "Id,Name\n1,Zoé\n"
    assert json.loads(capsys.readouterr().out)["rows"] == 1

    assert main(["export", str(conf), "--connection", "hr-persons", "--incremental"]) == 0
    default = Path("idm/work/ExportOutput/HR-Persons.csv")
    assert default.read_text() == "Id,Name\n"
    assert str(default) in capsys.readouterr().out

    assert main(["export", str(conf), "--connection", "HR-Leavers", "--output", str(out)]) == 0
    assert (
        "connection HR-Leavers is not exported: its DeactivationExportFulfill is Export"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "command",
    [
        ["query", "--entity-type", "Person"],
        ["hash"],
        ["set-recently-modified-flag"],
        ["resume", "--connector", "HR"],
        ["reject", "--connector", "HR"],
    ],
)
def test_reading_makes_no_repository(command: list[str], conf: Path, capsys: Capture) -> None:
    name, *options = command
    assert main([name, str(conf), *options, "--repository", "sqlite:///mistyped/repository.db"]) == 1
    assert "there is no identity repository at sqlite:///mistyped/repository.db" in capsys.readouterr().err
    assert not Path("mistyped").exists()


def test_status_needs_no_repository(conf: Path, capsys: Capture) -> None:
    Path("HR-Persons.csv").write_text("Id,Name\n1,Ann\n")
    assert main([*(argument.format(conf=conf) for argument in PREPARE), "--sources", "."]) == 0
    capsys.readouterr()

    assert main(["status", str(conf), "--repository", "sqlite:///elsewhere/repository.db", "--json"]) == 0

    told = capsys.readouterr()
    (connector,) = json.loads(told.out)["connectors"].values()
    assert (connector["state"], [batch["state"] for batch in connector["pending"]]) == ("empty", ["pending"])
    assert "there is no identity repository" in told.err
    assert not Path("elsewhere").exists()
