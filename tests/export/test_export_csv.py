from __future__ import annotations

import json
import os
import re
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import check_configuration
from airflow_provider_idm.configuration.enums import Deactivation
from airflow_provider_idm.configuration.model import Configuration, Connection, Location
from airflow_provider_idm.configuration.names import Identifiers
from airflow_provider_idm.errors import (
    ConfigurationError,
    ExportError,
    ExportUnavailableError,
    SourceFileError,
)
from airflow_provider_idm.synchronization.export import (
    ExportedFile,
    ExportJob,
    ExportRequest,
    ExportResult,
    Settings,
    csv_copy,
    csv_exporter,
    export_connection,
    exporter_for,
    register_exporter,
    registered_packages,
)
from airflow_provider_idm.synchronization.export.csv_exporter import SETTINGS

PLACE = Location("hr.xml", 7)
Export = Callable[..., ExportResult]


def make_configuration(folder: Path, *connections: Connection) -> Configuration:
    return Configuration(
        folder=str(folder),
        agents=Identifiers(),
        connectors=Identifiers(),
        connections=Identifiers((c.identifier, c) for c in connections),
        connection_tables=(),
        entity_types=Identifiers(),
        entity_associations=Identifiers(),
        entity_type_mappings=Identifiers(),
        entity_association_mappings=Identifiers(),
        jobs=Identifiers(),
        tasks=Identifiers(),
        scaffoldings=(),
        problems=(),
    )


def make_connection(package: str = "Usercube.CSV@0000001", **changes: Any) -> Connection:
    values: dict[str, Any] = {
        "identifier": "HR-Persons",
        "location": PLACE,
        "display_names": {1: "Persons"},
        "connector": "HR",
        "package": package,
        "deactivation": Deactivation.NONE,
        "transformations": (),
    }
    return Connection(**values | changes)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "Conf"
    folder.mkdir()
    return folder


@pytest.fixture
def export(conf: Path, tmp_path: Path) -> Export:
    """Export the connection HR-Persons with settings from ``appsettings.agent.json``."""

    def run(
        content: bytes | str | None = None,
        *,
        connection: Connection | None = None,
        settings: dict[str, Any] | None = None,
        incremental: bool = False,
        **appsettings: Any,
    ) -> ExportResult:
        if content is not None:
            content = content.encode() if isinstance(content, str) else content
            (conf / "persons.csv").write_bytes(content)
        section = {"Path": "persons.csv"} | appsettings
        (conf / "appsettings.agent.json").write_text(json.dumps({"Connections": {"HR-Persons": section}}))
        return export_connection(
            ExportRequest(
                configuration=make_configuration(conf, connection or make_connection()),
                connection="HR-Persons",
                output=tmp_path / "ExportOutput",
                settings=settings,
                incremental=incremental,
            )
        )

    return run


def written(result: ExportResult) -> str:
    (file,) = result.files
    return file.path.read_bytes().decode()


# ----------------------------------------------------------------------------------------------------- what is written


def test_a_csv_file_becomes_a_source_file(export: Export, tmp_path: Path) -> None:
    result = export('Id,Name\n1,Zoé\n2,"a, b"\n3,\n')

    assert result.files == (ExportedFile(tmp_path / "ExportOutput" / "HR-Persons.csv", 3, ("Id", "Name")),)
    assert written(result) == 'Id,Name\n1,Zoé\n2,"a, b"\n3,\n'
    assert result.rows == 3
    assert result.as_dict() == {
        "connection": "HR-Persons",
        "incremental": False,
        "rows": 3,
        "files": {
            "HR-Persons.csv": {
                "path": str(tmp_path / "ExportOutput" / "HR-Persons.csv"),
                "rows": 3,
                "columns": ["Id", "Name"],
            }
        },
        "skipped": None,
    }
    assert sorted(path.name for path in (tmp_path / "ExportOutput").iterdir()) == ["HR-Persons.csv"]


@pytest.mark.parametrize(
    ("content", "appsettings", "expected"),
    [
        pytest.param("A;B\n1;x,y\n", {}, 'A,B\n1,"x,y"\n', id="semicolons are found"),
        pytest.param('"a;b;c",d\n1,2\n', {}, "a;b;c,d\n1,2\n", id="not in quotes"),
        pytest.param("A|B\n1|2\n", {"Separator": "|"}, "A,B\n1,2\n", id="separator"),
        pytest.param("A\tB\n1\t2\n", {"Separator": "\\t"}, "A,B\n1,2\n", id="tab"),
        pytest.param("\ufeffA,B\n1,2\n", {}, "A,B\n1,2\n", id="byte order mark"),
        pytest.param("A,B\r\n1,2\r\n", {}, "A,B\n1,2\n", id="CRLF"),
        pytest.param("A,B\n1,2", {}, "A,B\n1,2\n", id="no end of line at the end"),
        pytest.param("A,B\n\n1,2\n\n", {}, "A,B\n1,2\n", id="blank lines"),
        pytest.param("A,B\n", {}, "A,B\n", id="no rows"),
        pytest.param('A\n""\n1\n', {}, 'A\n""\n1\n', id="one column with an empty value"),
        pytest.param(
            'A,B\n"l1\nl2","c""d"\n"x\ry","u\r\nv"\n',
            {},
            'A,B\n"l1\nl2","c""d"\n"x\ry","u\r\nv"\n',
            id="line ends and quotes within values stay",
        ),
        pytest.param("A, B\n 1 ,  \n", {}, "A, B\n 1 ,  \n", id="blanks stay"),
        pytest.param("A,,C\n1,2,3\n", {}, "A,C\n1,3\n", id="a column without a header is dropped"),
        pytest.param("A,B,\n1,2,\n", {}, "A,B\n1,2\n", id="a separator at the end"),
        pytest.param(
            "made on Monday\n\nA,B\n1,2\n", {"NumberOfLinesToSkip": 2}, "A,B\n1,2\n", id="lines to skip"
        ),
        pytest.param(
            "x;y\nA,B\n1,2\n", {"NumberOfLinesToSkip": "1"}, "A,B\n1,2\n", id="lines to skip as text"
        ),
        pytest.param(
            "*A*,-*B\n**1*,-*-2\n",
            {"ValuesToTrim": ["*", "-"]},
            "A,*B\n1,*-2\n",
            id="values to trim, in order",
        ),
        pytest.param(
            "A,B\nnullnull1null,nul\n", {"ValuesToTrim": ["null"]}, "A,B\n1,nul\n", id="longer texts to trim"
        ),
        pytest.param("A,*\n1,2\n", {"ValuesToTrim": "*"}, "A\n1\n", id="a header that is only trimmed text"),
    ],
)
def test_how_files_are_read(export: Export, content: str, appsettings: dict[str, Any], expected: str) -> None:
    assert written(export(content, **appsettings)) == expected


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("utf-8", "utf-8"), ("windows-1252", "cp1252"), ("ISO-8859-15", "iso8859-15"), ("utf-16", "utf-16")],
)
def test_encodings(export: Export, encoding: str, codec: str) -> None:
    assert written(export("Id,Name\n1,Zoé\n".encode(codec), Encoding=encoding)) == "Id,Name\n1,Zoé\n"


def test_a_long_value_is_no_problem(export: Export) -> None:
    photo = "A" * 500_000
    assert written(export(f"Id,Photo\n1,{photo}\n")) == f"Id,Photo\n1,{photo}\n"


def test_memory_does_not_grow_with_the_file(export: Export, conf: Path) -> None:
    with (conf / "persons.csv").open("w") as file:
        file.write("Id;Name\n")
        file.writelines(f"{number};{'x' * 100}\n" for number in range(100_000))
    tracemalloc.start()
    try:
        result = export()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.rows == 100_000
    assert peak < 2_000_000


# ------------------------------------------------------------------------------------------------------ which is read


def test_the_newest_file_that_matches_is_read(export: Export, conf: Path) -> None:
    for name, moment in (
        ("hr_20260301.csv", 3),
        ("hr_20260302.csv", 9),
        ("hr_20260303.csv", 5),
        ("hr.csv.bak", 99),
    ):
        (conf / name).write_text(f"Name\n{name}\n")
        os.utime(conf / name, (moment, moment))
    assert written(export(Path=r"hr_\d{8}\.csv", IsFileNameRegex=True)) == "Name\nhr_20260302.csv\n"


def test_no_file_that_matches_is_an_error(export: Export, conf: Path) -> None:
    (conf / "hr_1.csv.bak").write_text("Name\n")
    with pytest.raises(
        ExportError, match=r"HR-Persons: setting Path of .*appsettings\.agent\.json: no file in .*matches"
    ):
        export(Path=r"hr_\d\.csv", IsFileNameRegex="true")
    with pytest.raises(ExportError, match="is not a regular expression"):
        export(Path="hr_(.csv", IsFileNameRegex=True)
    with pytest.raises(ExportError, match=r"the folder .* cannot be read"):
        export(Path="gone/.*", IsFileNameRegex=True)


@pytest.mark.parametrize(
    ("package", "incremental", "read"),
    [
        ("Usercube.CSV@0000001", False, "whole"),
        ("Usercube.CSV@0000001", True, "changes"),
        ("usercube.csv@0000001", True, "changes"),
        ("Usercube.CSV.Complete@0000001", True, "whole"),
        ("Usercube.CSV@0000001.Complete", True, "whole"),
        ("Usercube.CSV.Incremental@0000001", True, "changes"),
        ("Usercube.CSV.Incremental@0000001", False, "whole"),
    ],
)
def test_an_incremental_export_reads_path_incremental(
    export: Export, conf: Path, package: str, incremental: bool, read: str
) -> None:
    (conf / "changes.csv").write_text("Name\nchanges\n")
    result = export(
        "Name\nwhole\n",
        connection=make_connection(package),
        incremental=incremental,
        PathIncremental="changes.csv",
    )
    assert written(result) == f"Name\n{read}\n"


def test_without_path_incremental_the_whole_file_is_read(export: Export) -> None:
    assert written(export("Name\nwhole\n", incremental=True)) == "Name\nwhole\n"


def test_given_settings_win_over_the_file_and_ignore_case(export: Export, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("A|B\n1|2\n")
    result = export(
        "Name\nwhole\n",
        Separator=";",
        settings={"path": str(tmp_path / "other.txt"), "SEPARATOR": "|", "is_file_name_regex": False},
    )
    assert written(result) == "A,B\n1,2\n"


def test_settings_may_lie_in_the_folder_above(conf: Path, tmp_path: Path) -> None:
    (conf / "p.csv").write_text("A\n1\n")
    text = "\ufeff" + json.dumps({"connections": {"hr-persons": {"path": "p.csv"}}})
    (tmp_path / "appsettings.agent.json").write_text(text, encoding="utf-8")
    configuration = make_configuration(conf, make_connection())
    result = export_connection(
        ExportRequest(configuration=configuration, connection="hr-PERSONS", output=tmp_path / "out")
    )
    assert result.connection == "HR-Persons"
    assert written(result) == "A\n1\n"


def test_an_incremental_export_without_rows_has_no_effect(export: Export) -> None:
    assert not export("Name\n", incremental=True).has_effect
    assert export("Name\n").has_effect
    assert export("Name\nx\n", incremental=True).has_effect


@pytest.mark.parametrize("kind", ["Path", "PathIncremental"])
def test_only_what_was_read_as_changes_is_noted_as_such(conf: Path, tmp_path: Path, kind: str) -> None:
    (conf / "persons.csv").write_text("Name\nx\n")

    export_connection(
        ExportRequest(
            configuration=make_configuration(conf, make_connection()),
            connection="HR-Persons",
            output=tmp_path / "ExportOutput",
            settings={"Path": "persons.csv"} | {kind: "persons.csv"},
            incremental=True,
            work=tmp_path / "work",
        )
    )

    noted = [json.loads(path.read_text())["incremental"] for path in (tmp_path / "work").rglob("*.json")]
    assert noted == ([True] if kind == "PathIncremental" else [])


def test_a_deactivated_connection_is_skipped(export: Export, tmp_path: Path) -> None:
    result = export(
        "Name\nx\n", connection=make_connection(deactivation=Deactivation.EXPORT), incremental=True
    )
    assert result.files == ()
    assert result.skipped == (
        "connection HR-Persons is not exported: its DeactivationExportFulfill is Export (hr.xml:7)"
    )
    assert result.has_effect
    assert not (tmp_path / "ExportOutput").exists()
    assert export("Name\nx\n", connection=make_connection(deactivation=Deactivation.FULFILL)).rows == 1


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("content", "appsettings", "message"),
    [
        pytest.param("", {}, r"persons\.csv:1: expected a header in the first line, found none", id="empty"),
        pytest.param("\n1,2\n", {}, r"persons\.csv:1: expected a header", id="blank header"),
        pytest.param(
            "x\n",
            {"NumberOfLinesToSkip": 3},
            r"expected a header after 3 skipped lines, found none",
            id="skipped all",
        ),
        pytest.param(
            'A,B\n1,"2\n2"\n3\n',
            {},
            r"persons\.csv:4: expected 2 fields as in the header, found 1",
            id="short row",
        ),
        pytest.param("A,B\n1,2,3\n", {}, r"persons\.csv:2: expected 2 fields .*, found 3", id="long row"),
        pytest.param(
            "x\nA,B\n1,2,3\n",
            {"NumberOfLinesToSkip": 1},
            r"persons\.csv:3: expected 2",
            id="lines count all lines",
        ),
        pytest.param('A,B\n1,2\n1,"x"y\n', {}, r"persons\.csv:3: broken CSV", id="text after a quote"),
        pytest.param('A,B\n1,"2\n3,4\n', {}, r"persons\.csv:2: broken CSV", id="quote never closed"),
        pytest.param(
            b"A,B\n" + b"1,2\n" * 5000 + b"1,Zo\xe9\n" + b"1,2\n" * 5000,
            {},
            r"persons\.csv:5002: not UTF-8 text .*set the connection's Encoding",
            id="undecodable",
        ),
        pytest.param("A,B\n".encode("utf-16"), {}, r"persons\.csv:1: not UTF-8 text", id="UTF-16"),
    ],
)
def test_a_file_that_is_not_such_a_csv(
    export: Export, tmp_path: Path, content: bytes | str, appsettings: dict[str, Any], message: str
) -> None:
    (tmp_path / "ExportOutput").mkdir()
    (tmp_path / "ExportOutput" / "HR-Persons.csv").write_text("the former export")
    with pytest.raises(SourceFileError, match=message):
        export(content, **appsettings)
    assert [(p.name, p.read_text()) for p in (tmp_path / "ExportOutput").iterdir()] == [
        ("HR-Persons.csv", "the former export")
    ]


@pytest.mark.parametrize(
    ("appsettings", "message"),
    [
        (
            {"Path": ""},
            r"HR-Persons: the setting Path is missing \(found: Path\)\. Set it under .*appsettings\.agent",
        ),
        (
            {"Path": "gone.csv"},
            r"HR-Persons: setting Path of .*appsettings\.agent\.json: .*gone\.csv: no such file",
        ),
        ({"Path": "."}, r"not a regular file"),
        ({"Path": 5}, r"setting Path of .*: expected a text, found 5"),
        ({"Separator": ";;"}, r"setting Separator of .*: expected one character, found ';;'"),
        ({"Encoding": "utf-99"}, r"setting Encoding of .*: unknown encoding 'utf-99'"),
        (
            {"NumberOfLinesToSkip": -1},
            r"NumberOfLinesToSkip of .*: expected a whole number, 0 or more, found -1",
        ),
        ({"NumberOfLinesToSkip": "two"}, r"NumberOfLinesToSkip of .*: expected a whole number"),
        ({"ValuesToTrim": [1]}, r"ValuesToTrim of .*: expected a list of texts, found \[1\]"),
        ({"IsFileNameRegex": "maybe"}, r"IsFileNameRegex of .*: expected true or false, found \"maybe\""),
    ],
)
def test_wrong_settings_say_which_and_where(
    export: Export, appsettings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export("A\n1\n", **appsettings)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ConnectionString", {"Password": "s3cret"}, "expected a text, found an object"),
        ("Password", 53237, "expected a text, found something else"),
        ("ValuesToTrim", {"Password": "s3cret"}, "expected a list of texts, found an object"),
        ("NumberOfLinesToSkip", ["s3cret"], "expected a whole number, 0 or more, found a list"),
    ],
)
def test_messages_never_repeat_what_may_be_a_secret(name: str, value: object, shown: str) -> None:
    settings = Settings("HR", Path("Conf"), {name.casefold(): (name, value, "the extra")})
    read = settings.texts if name == "ValuesToTrim" else settings.count if name[0] == "N" else settings.text

    with pytest.raises(ExportError) as caught:
        read(name)

    assert str(caught.value) == f"connection HR: setting {name} of the extra: {shown}"


def test_a_setting_that_nothing_reads_is_warned_of(export: Export, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    export("A;B\n1;2\n", values_to_trim=[], numberoflinestoskip=0)
    assert caplog.text == ""

    export("A;B\n1;2\n", Seperator=";", settings={"folder": "x"})

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "connection HR-Persons: the unknown setting Seperator of " in warnings[0]
    assert warnings[0].endswith("appsettings.agent.json is ignored; did you mean Separator?")
    assert "the unknown setting folder of the given settings" in warnings[1]


def test_documented_settings_are_those_that_are_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text.partition("| setting of a CSV connection |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(SETTINGS)


def test_a_wrong_given_setting_names_the_airflow_connection(export: Export) -> None:
    with pytest.raises(
        ExportError, match=r"setting path of the given settings \(Airflow connection HR-Persons\): .*no such"
    ):
        export("A\n1\n", settings={"path": "/no/such.csv"})


def test_broken_appsettings_are_named_with_their_line(conf: Path, tmp_path: Path) -> None:
    (conf / "appsettings.agent.json").write_text('{"Connections": {\n  "HR-Persons": oops}}')
    request = ExportRequest(
        configuration=make_configuration(conf, make_connection()), connection="HR-Persons", output=tmp_path
    )
    with pytest.raises(ExportError, match=r"appsettings\.agent\.json:2: not valid JSON"):
        export_connection(request)
    (conf / "appsettings.agent.json").write_text('{"Connections": {"HR-Persons": "p.csv"}}')
    with pytest.raises(ExportError, match=r'expected a JSON object in "Connections" / "HR-Persons"'):
        export_connection(request)


@pytest.mark.parametrize("late", ["3,Chioma\n", '3,"Chi'], ids=["a whole row", "half a row"])
def test_a_file_that_is_written_to_meanwhile_is_not_taken_for_a_whole_one(
    late: str, export: Export, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver_more(source: Path, target: Path, source_format: csv_copy.CsvFormat) -> ExportedFile:
        with source.open("a", encoding="utf-8") as file:
            file.write(late)
        return csv_copy.copy_csv(source, target, source_format)

    export("id,name\n1,Ada\n")
    monkeypatch.setattr(csv_exporter, "copy_csv", deliver_more)

    with pytest.raises(ExportUnavailableError, match=r"persons\.csv changed while it was read"):
        export("id,name\n1,Ada\n2,Grace\n")

    assert (tmp_path / "ExportOutput" / "HR-Persons.csv").read_text(encoding="utf-8") == "id,name\n1,Ada\n"


def test_a_connection_cannot_export_onto_its_input(export: Export, tmp_path: Path) -> None:
    (tmp_path / "ExportOutput").mkdir()
    own = tmp_path / "ExportOutput" / "HR-Persons.csv"
    own.write_text("A\n1\n")
    with pytest.raises(ExportError, match="cannot export onto its input"):
        export(Path=str(own))


def test_an_unknown_connection_names_the_nearest(conf: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has no connection HR-Person; did you mean HR-Persons\?"):
        export_connection(
            ExportRequest(
                configuration=make_configuration(conf, make_connection()),
                connection="HR-Person",
                output=tmp_path,
            )
        )


def test_an_unknown_connection_of_a_wrong_configuration_shows_what_is_wrong(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    request = ExportRequest(
        configuration=check_configuration(nowhere), connection="HR-Persons", output=tmp_path
    )
    with pytest.raises(ConfigurationError, match=f"^{nowhere}:1: the folder does not exist$"):
        export_connection(request)


# ---------------------------------------------------------------------------------------------------------- exporters


def test_a_package_without_exporter_lists_those_that_exist(export: Export) -> None:
    with pytest.raises(
        ExportError, match=r"no exporter for package Acme\.Mainframe@1\. Exporters exist for .*Usercube\.CSV"
    ):
        export("A\n1\n", connection=make_connection("Acme.Mainframe@1"))
    assert exporter_for("Usercube.CSVX@1") is None


def test_an_exporter_can_be_registered(export: Export, tmp_path: Path) -> None:
    def fake(job: ExportJob) -> Sequence[ExportedFile]:
        path = job.output / f"{job.connection.identifier}.csv"
        path.write_text("Id\n1\n")
        return [ExportedFile(path, 1, ("Id",))]

    register_exporter("Test.Special", fake)

    assert exporter_for("test.special.complete@2") is fake
    assert "Test.Special" in registered_packages()
    assert export(connection=make_connection("Test.Special@0000001")).rows == 1
