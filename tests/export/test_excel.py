"""The Excel exporter: real xlsx and xls workbooks become one source file per sheet."""

from __future__ import annotations

import builtins
import datetime as dt
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.styles.numbers import FORMAT_DATE_DATETIME

from airflow_provider_idm.configuration import read_configuration
from airflow_provider_idm.errors import ExportError, SourceFileError
from airflow_provider_idm.synchronization.export import ExportRequest, ExportResult, export_connection

Export = Callable[..., ExportResult]

MAPPINGS = """
  <EntityType Identifier="HR_Person" DisplayName_L1="Person">
    <Property Identifier="Number" DisplayName_L1="N" Type="String" TargetColumnIndex="4" IsKey="true" />
  </EntityType>
  <EntityTypeMapping Identifier="HR_Person" Connector="HR" ConnectionTable="{table}">
    <Property Identifier="Number" ConnectionColumn="Id" IsPrimaryKey="true" />
  </EntityTypeMapping>
"""


def write_configuration(folder: Path, table: str | None = None) -> Path:
    conf = folder / "Conf"
    conf.mkdir(exist_ok=True)
    mappings = MAPPINGS.format(table=table) if table else ""
    (conf / "hr.xml").write_text(
        f"""<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connection Identifier="Book" DisplayName_L1="Book" Connector="HR" Package="Usercube.Excel@0000001" />
{mappings}</ConfigurationFile>
"""
    )
    return conf


@pytest.fixture
def export(tmp_path: Path) -> Export:
    def run(
        path: Path | str, *, table: str | None = None, incremental: bool = False, **settings: Any
    ) -> ExportResult:
        return export_connection(
            ExportRequest(
                configuration=read_configuration(write_configuration(tmp_path, table)),
                connection="Book",
                output=tmp_path / "ExportOutput",
                settings={"Path": str(path)} | settings,
                incremental=incremental,
            )
        )

    return run


def texts(result: ExportResult) -> dict[str, str]:
    return {file.path.name: file.path.read_text() for file in result.files}


def save_xlsx(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def save_xls(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                if value is not None:
                    sheet.write(r, c, value, xls_style(value))
    book.save(str(path))
    return path


def xls_style(value: object) -> xlwt.XFStyle:
    formats = {dt.datetime: "yyyy-mm-dd hh:mm:ss", dt.date: "yyyy-mm-dd", dt.time: "hh:mm:ss"}
    style = xlwt.XFStyle()
    style.num_format_str = formats.get(type(value), "General")
    return style


SAVE = {"xlsx": save_xlsx, "xls": save_xls}


@pytest.fixture(params=["xlsx", "xls"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, list[list[Any]]]], Path]:
    return lambda sheets: SAVE[request.param](tmp_path / f"hr.{request.param}", sheets)


Save = Callable[[dict[str, list[list[Any]]]], Path]


# ---------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("00042", "00042"),
        ("a, b", '"a, b"'),
        ('5" pipe', '"5"" pipe"'),
        ("two\nlines", '"two\nlines"'),
        ("Zoë 李", "Zoë 李"),
        (1, "1"),
        (1.0, "1"),
        (-17, "-17"),
        (4_000_000_000_000, "4000000000000"),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.3"),
        (True, "true"),
        (False, "false"),
        (dt.date(2024, 1, 31), "2024-01-31"),
        (dt.datetime.fromisoformat("2024-01-31"), "2024-01-31"),
        (dt.datetime.fromisoformat("2024-01-31T08:30:05"), "2024-01-31T08:30:05"),
        (dt.time(8, 30), "08:30:00"),
        (None, ""),
        ("", ""),
    ],
)
def test_what_stands_in_a_cell(save: Save, export: Export, value: object, expected: str) -> None:
    path = save({"Persons": [["Id", "Value"], [7, value]]})

    assert texts(export(path)) == {"Book_Persons.csv": f"Id,Value\n7,{expected}\n"}


def test_numbers_shown_with_leading_zeros_keep_them(tmp_path: Path, export: Export) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Number", "Price", "Moment", "Duration"])
    book.active.append([42, 5, 45322.354224537035, dt.timedelta(hours=26, minutes=5)])
    book.active["A2"].number_format = "00000"
    book.active["B2"].number_format = "0.00"
    book.active["C2"].number_format = FORMAT_DATE_DATETIME
    book.save(tmp_path / "hr.xlsx")
    old = xlwt.Workbook()
    sheet = old.add_sheet("Sheet")
    sheet.write(0, 0, "Number")
    sheet.write(1, 0, 42, xlwt.easyxf(num_format_str="00000"))
    old.save(str(tmp_path / "hr.xls"))

    assert texts(export(tmp_path / "hr.xlsx")) == {
        "Book_Sheet.csv": "Number,Price,Moment,Duration\n00042,5,2024-01-31T08:30:05,26:05:00\n"
    }
    assert texts(export(tmp_path / "hr.xls")) == {"Book_Sheet.csv": "Number\n00042\n"}


def test_dates_counted_from_1904(tmp_path: Path, export: Export) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(["Day"])
    book.active.append([dt.date(2024, 1, 31)])
    book.save(tmp_path / "mac.xlsx")

    assert texts(export(tmp_path / "mac.xlsx")) == {"Book_Sheet.csv": "Day\n2024-01-31\n"}


def test_a_formula_is_exported_with_the_value_that_was_last_calculated(
    tmp_path: Path, export: Export
) -> None:
    path = save_xlsx(tmp_path / "hr.xlsx", {"P": [["Id", "Twice", "None"], [4, "=A2*2", '=IF(A2=4,"","x")']]})
    set_cell(path, '<c r="B2"><f>A2*2</f><v></v></c>', '<c r="B2"><f>A2*2</f><v>8</v></c>')
    set_cell(
        path, '<c r="C2"><f>IF(A2=4,"","x")</f><v></v></c>', '<c r="C2" t="str"><f>IF(A2=4)</f><v></v></c>'
    )

    assert texts(export(path)) == {"Book_P.csv": "Id,Twice,None\n4,8,\n"}


def test_a_formula_that_was_never_calculated_is_no_empty_cell(tmp_path: Path, export: Export) -> None:
    path = save_xlsx(tmp_path / "hr.xlsx", {"Empty": [], "P": [["Id", "Twice"], [4, "=A2*2"], [5, "=A3*2"]]})

    with pytest.raises(
        SourceFileError,
        match=r"sheet 'P', cell B2: a formula that was never calculated; correct the workbook",
    ):
        export(path)


def set_cell(path: Path, former: str, new: str) -> None:
    """Put what Excel would have calculated into a workbook."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = "xl/worksheets/sheet1.xml"
    text = parts[name].decode()
    assert former in text, text
    parts[name] = text.replace(former, new).encode()
    with zipfile.ZipFile(path, "w") as file:
        for part, data in parts.items():
            file.writestr(part, data)


@pytest.mark.parametrize("error", ["#REF!", "#N/A"])
def test_a_cell_that_holds_an_error_is_named(tmp_path: Path, export: Export, error: str) -> None:
    path = save_xlsx(tmp_path / "hr.xlsx", {"P": [["Id", "", "Site"], [1, error, "x"], [2, None, error]]})

    # the second column has no header: nobody reads it
    with pytest.raises(SourceFileError, match=rf"hr\.xlsx: sheet 'P', cell C3: the error {error}; correct"):
        export(path)
    assert texts(export(path, ErrorsAsEmpty=True)) == {"Book_P.csv": "Id,Site\n1,x\n2,\n"}


# ---------------------------------------------------------------------------------------------- sheets


def test_one_file_per_sheet_without_nameless_columns_and_blank_rows(save: Save, export: Export) -> None:
    path = save(
        {
            "Persons": [
                ["Id", None, "Name"],
                [1, "note", "Ada"],
                [None, None, None],
                [2, None, None],
                [None, "x"],
            ],
            "Organizations": [["Code", "Parent", "Unused"], ["A", "B"]],
            "Nothing": [],
        }
    )

    result = export(path)

    assert texts(result) == {
        "Book_Persons.csv": "Id,Name\n1,Ada\n2,\n",
        "Book_Organizations.csv": "Code,Parent,Unused\nA,B,\n",
    }
    assert [(file.rows, file.columns) for file in result.files] == [
        (2, ("Id", "Name")),
        (1, ("Code", "Parent", "Unused")),
    ]


def test_sheets_may_be_left_out_and_begin_further_down(save: Save, export: Export) -> None:
    path = save(
        {
            "Persons": [["Staff of January"], [None], ["$Id", "Name%"], ["$1", "$%Ada%"]],
            "Notes": [["anything"]],
            "Sites": [["Code"], ["X"]],
        }
    )
    options = [{"SheetIgnored": "false", "NumberOfLinesToSkip": 2}, {"SheetIgnored": "true"}]

    assert texts(export(path, SheetOptions=options, ValuesToTrim=["$", "%"])) == {
        "Book_Persons.csv": "Id,Name\n1,Ada\n",
        "Book_Sites.csv": "Code\nX\n",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"SheetIgnored": True}, "expected a list of objects"),
        (["x"], "expected a list of objects"),
        (
            [{"SheetIgnored": "maybe"}],
            r"SheetOptions of .*, element 1: expected true or false, found \"maybe\"",
        ),
        ([{}, {"NumberOfLinesToSkip": -1}], r"element 2: expected a whole number, 0 or more, found -1"),
        ([{"NumberOfLinesToSkip": 1}], r"sheet 'A': expected a header in row 2, found none"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, export: Export, options: object, message: str) -> None:
    path = save_xlsx(tmp_path / "hr.xlsx", {"A": [["Id"], [None], [None]], "B": [["Id"]]})

    with pytest.raises((ExportError, SourceFileError), match=message):
        export(path, SheetOptions=options)


def test_a_mapping_may_name_a_sheet_by_its_number(save: Save, export: Export) -> None:
    path = save({"Cover": [], "Staff": [["Id"], [1]]})

    assert texts(export(path, table="Book_1")) == {"Book_Staff.csv": "Id\n1\n", "Book_1.csv": "Id\n1\n"}
    assert texts(export(path, table="Book_Staff.csv")) == {"Book_Staff.csv": "Id\n1\n"}


@pytest.mark.parametrize("table", ["Book_Persons", "Book_0", "Book_staff"])
def test_a_sheet_that_a_mapping_reads_must_be_there(
    save: Save, export: Export, tmp_path: Path, table: str
) -> None:
    stale = tmp_path / "ExportOutput" / f"{table}.csv"
    stale.parent.mkdir()
    stale.write_text("Id\nold\n")
    path = save({"Cover": [], "Staff": [["Id"], [1]]})

    with pytest.raises(SourceFileError) as caught:
        export(path, table=table)

    assert (
        f"has no sheet '{table.removeprefix('Book_')}' to export, with a header, that the mapping HR_Person (hr.xml:8) "
        f"reads as {table}; its sheets are 'Cover', 'Staff'."
    ) in str(caught.value)
    assert [p.name for p in stale.parent.iterdir()] == [stale.name]


def test_a_sheet_name_that_no_file_can_have(tmp_path: Path, export: Export) -> None:
    path = save_xlsx(tmp_path / "hr.xlsx", {'Staff <"24"> | all.': [["Id"], [1]]})

    assert list(texts(export(path))) == ["Book_Staff __24__ _ all.csv"]

    path = save_xlsx(tmp_path / "hr.xlsx", {"A<": [["Id"]], "A>": [["Id"]]})
    with pytest.raises(ExportError, match=r"the sheets 'A<' and 'A>' would both be written to Book_A_\.csv"):
        export(path)


def test_of_merged_cells_the_first_has_the_value(tmp_path: Path, export: Export) -> None:
    book = openpyxl.Workbook()
    for row in (["Id", "Site"], [1, "Paris"], [2, None]):
        book.active.append(row)
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "hr.xlsx")

    assert texts(export(tmp_path / "hr.xlsx")) == {"Book_Sheet.csv": "Id,Site\n1,Paris\n2,\n"}


# ----------------------------------------------------------------------------------------------- files


def test_the_newest_file_whose_name_matches(tmp_path: Path, export: Export) -> None:
    for age, month in enumerate(("march", "february")):
        path = save_xlsx(tmp_path / f"staff_{month}.xlsx", {"S": [["Id"], [month]]})
        os.utime(path, (1_000 - age, 1_000 - age))

    result = export(tmp_path / r"staff_(.*?)\.xlsx", IsFileNameRegex="true")

    assert texts(result) == {"Book_S.csv": "Id\nmarch\n"}


def test_an_incremental_export_has_a_file_of_its_own(tmp_path: Path, export: Export) -> None:
    full = save_xlsx(tmp_path / "full.xlsx", {"S": [["Id"], [1], [2]]})
    delta = save_xlsx(tmp_path / "delta.xlsx", {"S": [["command", "Id"], ["ADD", 3]]})

    assert texts(export(full, PathIncremental=str(delta), incremental=True)) == {
        "Book_S.csv": "command,Id\nADD,3\n"
    }
    assert export(full, PathIncremental=str(delta)).rows == 2


def test_the_content_says_what_a_file_is(tmp_path: Path, export: Export) -> None:
    path = save_xlsx(tmp_path / "really.xls", {"S": [["Id"], [1]]})

    assert texts(export(path)) == {"Book_S.csv": "Id\n1\n"}


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no workbook")


def write_broken_sheet(path: Path) -> None:
    save_xlsx(path, {"S": [["Id", "Name"], [1, "a"]]})
    set_cell(path, "</sheetData>", "")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda p: p.write_text("Id,Name\n1,x\n"),
            "hr.xlsx is no Excel workbook (xlsx or xls), whatever its name",
        ),
        (lambda p: p.write_bytes(b""), "hr.xlsx is no Excel workbook (xlsx or xls), whatever its name"),
        (
            lambda p: p.write_bytes(b"PK\x03\x04 cut off"),
            "hr.xlsx cannot be read as an Excel workbook: BadZipFile",
        ),
        (write_zip, "hr.xlsx cannot be read as an Excel workbook: "),
        (write_broken_sheet, "hr.xlsx: sheet 'S' cannot be read"),
        (
            lambda p: p.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
            "hr.xlsx cannot be read as an Excel workbook: ",
        ),
        (
            lambda p: p.write_bytes(
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
            ),
            "hr.xlsx is protected by a password, and cannot be read",
        ),
    ],
)
def test_what_is_no_readable_workbook(
    tmp_path: Path, export: Export, write: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "hr.xlsx")

    with pytest.raises(SourceFileError) as caught:
        export(tmp_path / "hr.xlsx")

    assert message in str(caught.value)
    assert list((tmp_path / "ExportOutput").iterdir()) == []


@pytest.mark.parametrize(("kind", "library"), [("xlsx", "openpyxl"), ("xls", "xlrd")])
def test_without_the_extra_the_error_names_it(
    tmp_path: Path, export: Export, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    path = SAVE[kind](tmp_path / f"hr.{kind}", {"S": [["Id"]]})
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", without)
    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ExportError) as caught:
        export(path)

    assert "connection Book needs the extra 'excel', which is not installed here" in str(caught.value)
    assert "pip install 'airflow-provider-idm[excel]'" in str(caught.value)
