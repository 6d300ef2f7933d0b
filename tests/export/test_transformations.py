"""Transformations of a connection: what each does to the exported file, and what is refused when and how."""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import check_configuration, read_configuration
from airflow_provider_idm.configuration.date_pattern import DatePattern
from airflow_provider_idm.errors import ConfigurationError, ExportError, SourceFileError
from airflow_provider_idm.synchronization.export import ExportRequest, export_connection

Transform = Callable[..., str]


def write_configuration(folder: Path, *transformations: str) -> Path:
    conf = folder / "Conf"
    conf.mkdir(exist_ok=True)
    children = "\n".join(f"    <Transformation {text} />" for text in transformations)
    (conf / "hr.xml").write_text(
        f"""<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connection Identifier="HR" DisplayName_L1="HR" Connector="HR" Package="Usercube.CSV@0000001">
{children}
  </Connection>
</ConfigurationFile>
"""
    )
    return conf


@pytest.fixture
def transform(tmp_path: Path) -> Transform:
    """Export a CSV file with transformations of the table HR; return the source file's text."""

    def run(source: str, *transformations: str, incremental: bool = False) -> str:
        conf = write_configuration(tmp_path, *(f'Table="HR" {text}' for text in transformations))
        (tmp_path / "hr.csv").write_text(source)
        request = ExportRequest(
            configuration=read_configuration(conf),
            connection="HR",
            output=tmp_path / "ExportOutput",
            settings={"Path": str(tmp_path / "hr.csv")},
            incremental=incremental,
        )
        (file,) = export_connection(request).files
        assert file.path == tmp_path / "ExportOutput" / "HR.csv"
        text = file.path.read_text()
        assert file.columns == tuple(text.splitlines()[0].split(","))
        assert file.rows == len(text.splitlines()) - 1
        return text

    return run


# --------------------------------------------------------------------------------------- ConcatColumns

ORGANIZATION = 'Type="ConcatColumns" Column="Organization" InputColumn="Company" InputColumn2="Subsidiary" '
ORGANIZATION += 'InputColumn3="Department" InputColumn4="Team" ConcatSeparator="/"'
LEVELS = "Id,Company,Subsidiary,Department,Team\n1,Contoso,,HR,Payroll\n2,Contoso,Contoso,HR,Payroll\n3,,,,\n"


def test_columns_are_joined_into_a_new_one(transform: Transform) -> None:
    assert transform(LEVELS, ORGANIZATION) == (
        "Id,Company,Subsidiary,Department,Team,Organization\n"
        "1,Contoso,,HR,Payroll,Contoso//HR/Payroll\n"
        "2,Contoso,Contoso,HR,Payroll,Contoso/Contoso/HR/Payroll\n"
        "3,,,,,///\n"
    )


def test_empty_values_and_identical_neighbours_may_be_left_out(transform: Transform) -> None:
    text = transform(LEVELS, f'{ORGANIZATION} RemoveEmpty="true" RemoveDuplicates="1"')

    assert [line.split(",")[-1] for line in text.splitlines()[1:]] == [
        "Contoso/HR/Payroll",
        "Contoso/HR/Payroll",
        "",
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", "b-a-a--b"),
        ('RemoveDuplicates="true"', "b-a--b"),
        ('RemoveEmpty="true"', "b-a-a-b"),
        ('RemoveEmpty="true" RemoveDuplicates="true"', "b-a-b"),
        # sorted only after the neighbours were compared
        ('SortValues="true" RemoveEmpty="true" RemoveDuplicates="true"', "a-b-b"),
        ('SortValues="true"', "-a-a-b-b"),
    ],
)
def test_the_flags_of_a_concatenation(transform: Transform, flags: str, expected: str) -> None:
    inputs = 'InputColumn="V1" InputColumn2="V2" InputColumn3="V3" InputColumn4="V4" InputColumn5="V5"'

    text = transform(
        "V1,V2,V3,V4,V5,All\nb,a,a,,b,old\n",
        f'Type="ConcatColumns" Column="All" {inputs} ConcatSeparator="-" {flags}',
    )

    assert text == f"V1,V2,V3,V4,V5,All\nb,a,a,,b,{expected}\n"


def test_an_input_may_be_the_output_too(transform: Transform) -> None:
    step = 'Type="ConcatColumns" Column="B" InputColumn="A" InputColumn3="B"'

    assert transform("A,B\nx,y\n", step) == "A,B\nx,xy\n"


# --------------------------------------------------------------------------------------- TransformDate


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("2024-01-31", "1", "2024-02-01"),
        ("2024-03-01", "-1", "2024-02-29"),
        ("2024-01-31", "-0.5", "2024-01-30T12:00:00"),
        ("2024-01-31 08:30:00", "1", "2024-02-01 08:30:00"),
        ("2024-01-31T08:30:00Z", "0.25", "2024-01-31T14:30:00Z"),
        ("2024-01-31T08:30:00.250+02:00", "1", "2024-02-01T08:30:00.250000+02:00"),
        ("20240131083000Z", "1", "20240201083000Z"),
        ("20240131083000.0Z", "1", "20240201083000Z"),
        ("20240131", "1", "20240201"),
        ("20240131", "0.5", "20240131120000"),
        ("0999-12-31", "1", "1000-01-01"),
        ("", "1", ""),
        ("1899-12-31", "1", "1899-12-31"),
        ("1900-01-01", "1", "1900-01-02"),
        ("2100-12-31", "1", "2101-01-01"),
        ("9999-12-31", "1", "9999-12-31"),
    ],
)
def test_dates_are_moved_by_days_and_keep_their_notation(
    transform: Transform, value: str, days: str, expected: str
) -> None:
    bounds = "" if value.startswith("0") else 'MinYear="1900" MaxYear="2100"'

    step = f'Type="TransformDate" Column="EndDate" AddedDays="{days}" {bounds}'

    assert transform(f"Id,EndDate\n1,{value}\n", step) == f"Id,EndDate\n1,{expected}\n"


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("dd/MM/yyyy", "31/12/2024", "01/01/2025"),
        ("d.M.yyyy", "1.2.2024", "2.2.2024"),
        ("dd/MM/yyyy HH:mm", "2024-12-31T23:15:00", "01/01/2025 23:15"),
        ("MMM d, yyyy h:mm tt", "Feb 28, 2024 1:05 PM", "Feb 29, 2024 1:05 PM"),
        ("yyyyMMdd'T'HHmmss.fff", "20240101T000000.125", "20240102T000000.125"),
        ("dd-MM-yy", "31-12-99", "01-01-00"),
    ],
)
def test_a_pattern_says_how_dates_are_read_and_written(
    transform: Transform, pattern: str, value: str, expected: str
) -> None:
    step = f'Type="TransformDate" Column="D" AddedDays="1" DatePattern="{pattern}"'

    text = transform(f'D\n"{value}"\n', step)

    assert text.splitlines()[1].strip('"') == expected


def test_an_input_column_leaves_its_own_dates_alone(transform: Transform) -> None:
    step = 'Type="TransformDate" Column="Until" InputColumn="EndDate" AddedDays="1" MaxYear="2100"'

    assert transform("EndDate\n2024-01-31\n9999-12-31\n\n", step) == (
        "EndDate,Until\n2024-01-31,2024-02-01\n9999-12-31,9999-12-31\n"
    )


def test_what_is_no_date_is_named_by_line_and_column_alone(
    transform: Transform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    step = 'Type="TransformDate" Column="EndDate" AddedDays="1"'
    transform("Id,EndDate\n1,2024-01-31\n", step)
    rows = 'Id,EndDate\n"two\nlines",2024-01-31\n3,secret\n\n4,2024-02-30\n' + "5,9999-12-31\n" * 30

    with pytest.raises(SourceFileError) as caught:
        transform(rows, step)

    lines = str(caught.value).splitlines()
    place = "(hr.xml:4)"
    expected = "not a date; expected one in ISO 8601, for there is no DatePattern"
    assert lines[:4] == [
        "32 values of HR.csv cannot be transformed:",
        f"HR.csv:4: column EndDate: {expected} {place}",
        # the exporter leaves blank lines out
        f"HR.csv:5: column EndDate: {expected} {place}",
        f"HR.csv:6: column EndDate: a date 1 days away from it is outside of the years 1 to 9999 {place}",
    ]
    assert lines[-2] == "… and 12 more"
    assert "secret" not in str(caught.value) + caplog.text
    # the former export is still there, and nothing else
    assert (tmp_path / "ExportOutput" / "HR.csv").read_text() == "Id,EndDate\n1,2024-02-01\n"
    assert [path.name for path in (tmp_path / "ExportOutput").iterdir()] == ["HR.csv"]


def test_patterns_write_what_they_read() -> None:
    moment = datetime(2024, 2, 9, 17, 4, 5, 120_000)  # noqa: DTZ001 - patterns have no zone
    for text in (
        "dddd, d MMMM yyyy H:m:s.ff",
        "ddd dd/MM/yyyy hh:mm:ss.fff tt",
        r"yyyy-MM-dd\THH:mm:ss.f\0\0",
    ):
        pattern = DatePattern.compile(text)
        assert pattern.parse(pattern.format(moment)) in {moment, moment.replace(microsecond=100_000)}
    assert DatePattern.compile("dddd, d MMMM yyyy").format(moment) == "Friday, 9 February 2024"


# ------------------------------------------------------------------------------------------ WhereValue


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("Equals", "DE_1", "DE_1"),
        ("Equals", "", ""),
        ("NotEquals", "DE_1", "FR_1 de_1 DE_12 "),
        ("NotEquals", "", "DE_1 FR_1 de_1 DE_12"),
        ("Contains", "_1", "DE_1 FR_1 de_1 DE_12"),
        ("NotContains", "E_1", "FR_1 de_1 "),
        ("StartsWith", "DE_", "DE_1 DE_12"),
        ("EndsWith", "_1", "DE_1 FR_1 de_1"),
        ("Regex", "^(DE|FR)_.$", "DE_1 FR_1"),
        ("Regex", "E", "DE_1 DE_12"),
        ("6", "2", "DE_12"),
    ],
)
def test_rows_are_kept_that_compare_so(transform: Transform, operator: str, value: str, kept: str) -> None:
    source = "Identifier,N\nDE_1,1\nFR_1,2\nde_1,3\nDE_12,4\n,5\n"

    text = transform(
        source, f'Type="WhereValue" Column="Identifier" WhereOperator="{operator}" WhereValue="{value}"'
    )

    assert [line.split(",")[0] for line in text.splitlines()[1:]] == kept.split(" ")


def test_transformations_follow_one_another_in_file_order(transform: Transform) -> None:
    assert transform(
        "First,Last,End\nAda,King,2024-01-31\nX,Y,no date\n",
        'Type="WhereValue" Column="Last" WhereOperator="NotEquals" WhereValue="Y"',
        'Type="ConcatColumns" Column="Name" InputColumn="First" InputColumn2="Last" ConcatSeparator=" "',
        'Type="TransformDate" Column="End" AddedDays="1"',
        'Type="ConcatColumns" Column="Label" InputColumn="Name" InputColumn2="End" ConcatSeparator=": "',
    ) == ("First,Last,End,Name,Label\nAda,King,2024-02-01,Ada King,Ada King: 2024-02-01\n")


def test_a_table_may_be_written_with_its_ending(tmp_path: Path) -> None:
    conf = write_configuration(tmp_path, 'Type="WhereValue" Table="HR.csv" Column="Id" WhereValue="1"')
    (tmp_path / "hr.csv").write_text("Id\n1\n2\n")
    settings = {"Path": str(tmp_path / "hr.csv")}

    result = export_connection(
        ExportRequest(
            configuration=read_configuration(conf),
            connection="HR",
            output=tmp_path / "out",
            settings=settings,
        )
    )

    assert result.rows == 1


def test_a_configuration_says_which_table_each_is_for(tmp_path: Path, transform: Transform) -> None:
    conf = write_configuration(tmp_path, 'Type="WhereValue" Table="HR_Persons" Column="Id" WhereValue="1"')
    (tmp_path / "hr.csv").write_text("Id\n1\n2\n")
    request = {
        "configuration": read_configuration(conf),
        "connection": "HR",
        "output": tmp_path / "out",
        "settings": {"Path": str(tmp_path / "hr.csv")},
    }

    with pytest.raises(
        ExportError,
        match=r"^hr\.xml:4: connection HR exported no table HR_Persons to transform; it exported HR$",
    ):
        export_connection(ExportRequest(**request))
    # an incremental export may well lack a table
    assert export_connection(ExportRequest(**request, incremental=True)).rows == 2


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            'Type="WhereValue" Column="id" WhereValue="1"',
            r"hr\.xml:4: HR\.csv has no column id to transform; did you mean Id\?",
        ),
        (
            'Type="ConcatColumns" Column="X" InputColumn="Id" InputColumn2="Nothing"',
            r"hr\.xml:4: HR\.csv has no column Nothing to transform; it has Id, X",
        ),
    ],
)
def test_a_column_that_is_not_there(transform: Transform, step: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        transform("Id,X\n1,\n", step)


# ------------------------------------------------------------------------------- when they are read


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ('Table="HR" Column="A"', "Transformation: the required attribute Type is missing"),
        (
            'Type="Concat" Table="HR"',
            'Transformation: Type="Concat": expected one of ConcatColumns (0), TransformDate (1), WhereValue (2)',
        ),
        (
            'Type="WhereValue" Column="A" WhereValue="x"',
            "Transformation: the required attribute Table is missing",
        ),
        (
            'Type="WhereValue" Table="hr_Persons" Column="A" WhereValue="x"',
            'Table="hr_Persons": expected a table of this connection: HR_<dataset>, or HR',
        ),
        ('Type="WhereValue" Table="HRx" Column="A"', 'Table="HRx": expected a table of this connection'),
        ('Type="ConcatColumns" Table="HR"', "Type ConcatColumns needs the attribute Column and InputColumn"),
        ('Type="TransformDate" Table="HR" AddedDays="1"', "Type TransformDate needs the attribute Column"),
        (
            'Type="TransformDate" Table="HR" Column="A" AddedDays="one"',
            'Transformation: AddedDays="one": expected a number',
        ),
        (
            'Type="TransformDate" Table="HR" Column="A" AddedDays="1e300"',
            'AddedDays="1e300": expected at most 3652059 days',
        ),
        (
            'Type="TransformDate" Table="HR" Column="A" MinYear="2100" MaxYear="1900"',
            "MinYear 2100 is after MaxYear 1900: no date would be transformed",
        ),
        (
            'Type="TransformDate" Table="HR" Column="A" DatePattern="dd/mm/yyyy"',
            'DatePattern="dd/mm/yyyy": expected a date pattern with a year, a month and a day',
        ),
        (
            'Type="TransformDate" Table="HR" Column="A" DatePattern="dd/MM/yyyyy"',
            "expected a date pattern such as yyyy-MM-dd HH:mm:ss; 'yyyyy' is unknown",
        ),
        (
            'Type="TransformDate" Table="HR" Column="A" DatePattern="dd/MM/yyyy dd"',
            "expected a date pattern that names each part of a date once",
        ),
        (
            'Type="WhereValue" Table="HR" Column="A" WhereOperator="Like"',
            'WhereOperator="Like": expected one of Eq',
        ),
        (
            'Type="WhereValue" Table="HR" Column="A" WhereOperator="Regex" WhereValue="(DE"',
            'WhereValue="(DE": expected a regular expression: missing ), unterminated subpattern',
        ),
        (
            'Type="WhereValue" Table="HR" Column="A" WhereOperator="Contains"',
            "WhereOperator Contains needs the attribute WhereValue",
        ),
        (
            'Type="ConcatColumns" Table="HR" Column="A" InputColumn="B" RemoveEmpty="maybe"',
            'Transformation: RemoveEmpty="maybe": expected true, false, 1 or 0',
        ),
    ],
)
def test_what_is_wrong_is_told_when_the_configuration_is_read(
    tmp_path: Path, attributes: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(write_configuration(tmp_path, attributes))

    (problem,) = str(caught.value).splitlines()[-1:]
    assert problem.startswith("hr.xml:4: ")
    assert message in problem


def test_an_attribute_of_another_type_is_warned_of(tmp_path: Path) -> None:
    conf = write_configuration(
        tmp_path, 'Type="TransformDate" Table="HR" Column="A" InputColumn="B" InputColumn2="C"'
    )

    (problem,) = check_configuration(conf).problems

    assert str(problem) == (
        "hr.xml:4: warning: Transformation of Connection HR: InputColumn2 is ignored, for Type TransformDate does not "
        "use it (ConcatColumns does)"
    )


# ---------------------------------------------------------------------------------------------- volume


def test_a_large_file_takes_little_memory(transform: Transform) -> None:
    source = "Id,A,B,End\n" + "".join(f"{n},a{n},b{n},2024-01-31\n" for n in range(100_000))
    steps = (
        'Type="WhereValue" Column="Id" WhereOperator="NotEquals" WhereValue="7"',
        'Type="ConcatColumns" Column="AB" InputColumn="A" InputColumn2="B" ConcatSeparator="-"',
        'Type="TransformDate" Column="End" AddedDays="1"',
    )
    started = time.perf_counter()
    assert len(transform(source, *steps).splitlines()) == 100_000
    assert time.perf_counter() - started < 20

    tracemalloc.start()
    transform("Id,A,B,End\n", *steps)  # what it takes anyhow
    base = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    with pytest.raises(SourceFileError):  # nothing is kept of 100,000 rows but the places of 20 bad ones
        transform(source.replace("2024-01-31", "never"), *steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < base + 3 * len(source)  # the text itself, held by the test
