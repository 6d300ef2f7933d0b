"""Each kind of bad input: what the message says, and that nothing was published and ``previous`` is as it was."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.errors import PrepareError, SourceFileError
from airflow_provider_idm.synchronization.prepare import SourceChangedError
from airflow_provider_idm.synchronization.prepare.files import FileMaker
from tests.builders import make_association, make_entity_type, make_mappings, make_property
from tests.prepare.desk import COMPLETE, INCREMENTAL, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = "id,name,level\na,A,1\n"
WIDE = "id;name;level\n" + "a;A;1\n" * 3


def refused(desk: Desk, content: str | bytes, message: str, **options: Any) -> str:
    """Prepare something good, then something bad; return what is said of the second."""
    desk.write("persons", GOOD)
    desk.prepare()
    before = desk.state()
    collected = {p.name: p.read_bytes() for p in desk.collect.iterdir()}
    path = desk.write("persons", content)
    for mode in (COMPLETE, INCREMENTAL):
        with pytest.raises(SourceFileError) as caught:
            desk.prepare(mode, **options)
        assert message.replace("FILE", str(path)) in str(caught.value)
    assert desk.state() == before
    assert {p.name: p.read_bytes() for p in desk.collect.iterdir()} == collected
    assert not [p for p in desk.connector.iterdir() if p.name.startswith(".prepare-")]
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE, line 1: the file is empty; expected a header with the column names"),
        ("\n\r\n", "FILE, line 1: the file is empty"),
        (b"\xef\xbb\xbf", "FILE, line 1: the file is empty"),
        ("id;nmae;level\n", "FILE, line 1: the mapped column 'name' is missing (did you mean 'nmae'?). The header has: id, nmae, level"),  # noqa: E501
        ("\n\nID,name,level\n", "FILE, line 3: the mapped column 'id' is missing (did you mean 'ID'?)"),
        ("a|b\n", "the mapped column 'id' is missing; the mapped column 'name' is missing"),
        ("id,name,level,name\n", "FILE, line 1: the column 'name' stands in the header more than once"),
        ("a,A,1,1\nb,B,2,2\n", "FILE, line 1: the mapped column 'id' is missing"),
        ("id,name,level,name\n" + "x," * 2000, "FILE, line 1: the column 'name' stands in the header more than once"),
        ("id," + "x," * 2000 + "\n", ", x, x, …"),
        ("4711;Müller;3\n", "is missing. None of its 3 fields is a mapped column, so they are not shown: is there a header"),  # noqa: E501
        ('id,name,"level\n', "FILE, line 1: a quote in the header is never closed"),
        ('id,name,"level"x\n', "FILE, line 1: text follows a closing quote in the header"),
        (b"id,name,lev\xe9l\n", "FILE, line 1: the byte 0xE9 is not UTF-8; name the file's encoding with --encoding (in an operator: encoding)"),  # noqa: E501
        ("id,name,level\na,A,1\n\nb,B\n", "FILE, line 4: 2 fields; expected 3 as in the header"),
        ("id,name,level\na,A,1,\n", "FILE, line 2: 4 fields; expected 3 as in the header"),
        ('id,name,level\na,"A\nB",1\nb\n', "FILE, line 4: 1 field; expected 3 as in the header"),
        (WIDE + "b,B,2\n", "FILE, line 5: 1 field; expected 3 as in the header"),
        ('id,name,level\na,A,1\nb,"B,2\n', "FILE, line 3: the quote that opens a value here is never closed"),
        ('id,name,level\na,"A"B,1\n', "FILE, line 2: text follows a closing quote; expected a separator or the end of the line"),  # noqa: E501
        ('id,name,level\na,"A\n" ,1\n', "FILE, line 3: text follows a closing quote"),
        ("id,name,level\na,A\rB,1\n", "FILE, line 2: a lone carriage return"),
        ("id,name,level\ra,A,1\r", "a lone carriage return in the header"),
        ('id,name,level\ra,"A ""B""",1\r', "a lone carriage return in the header"),
        ("id,name,level\na,A,1\nid,name,level\nb,B,1\n", "FILE, line 3: the header stands here once more; expected one header and then data alone (are these several exports, put together?)"),  # noqa: E501
        ('"id","name","level"\r\na,"A\r\nA",1\r\n"id","name","level"', "FILE, line 4: the header stands here once more"),
        ("\ufeffid;name;level\na;A;1\n\ufeffid;name;level\na;A;1\n", "FILE, line 3: the header stands here once more"),
        ("id,name,level\nid,name,level\n", "FILE, line 2: the header stands here once more"),
        (b"id,name,level\na,\xc3\xa9,1\nb,\xe9,2\n", "FILE, line 3: the byte 0xE9 is not UTF-8; name the file's encoding with --encoding (in an operator: encoding)"),  # noqa: E501
        (b"id,name,level,x\na,A,1,\xff\n", "FILE, line 2: the byte 0xFF is not UTF-8"),
        ("id,name,level\n".encode("utf-16"), "FILE is UTF-16: name the file's encoding with --encoding (in an operator: encoding); expected a CSV file in UTF-8"),  # noqa: E501
        ("id,name,level\n".encode("utf-16-le"), "FILE has NUL characters in its header"),
        ("<!DOCTYPE html>\n<html>", "FILE is an HTML or XML page, not a CSV file"),
        (b"PK\x03\x04\x14\x00", "FILE is a ZIP archive or an Excel workbook: save it as CSV"),
        ("id,name,level\na,A\0B,1\n", "FILE, line 2, column name: 'A\\x00B'; expected a text without NUL characters, at most 442 characters"),  # noqa: E501
    ],
)  # fmt: skip
def test_damage(desk: Desk, content: str | bytes, message: str) -> None:
    if b"A\0B" in (content if isinstance(content, bytes) else content.encode()):
        desk.write("persons", content)
        with pytest.raises(SourceFileError) as caught:
            desk.prepare()
        assert message.replace("FILE", str(desk.sources / "persons.csv")) in str(caught.value)
        assert desk.batches == []
    else:
        refused(desk, content, message)


def test_what_only_looks_like_damage(desk: Desk) -> None:
    desk.write("persons", 'id,name,level\r\na," A"" ",1\n\nb, "x" ,2\r\nc,5" pipe,"3"')
    desk.prepare()
    assert (
        desk.collected("Person.sorted.csv") == 'Id,Name,Level\na," A"" ",1\nb," ""x"" ",2\nc,"5"" pipe",3\n'
    )


def test_what_only_looks_like_a_header(tmp_path: Path) -> None:
    key, text = make_property("K", "id", is_primary_key=True), make_property("T", "text")
    desk = Desk(tmp_path, make_mappings(make_entity_type("P", key, text), make_entity_type("Q", key)))
    desk.write("P", 'id,text\nid,texts\na,"x\nid,text\n"\n')
    desk.write("Q", "id\nfr\nid\n")
    desk.prepare()
    assert desk.collected("P.sorted.csv") == 'K,T\na,"x\nid,text\n"\nid,texts\n'
    assert desk.collected("Q.sorted.csv") == "K\nfr\nid\n"


def test_a_connector_without_mappings(tmp_path: Path) -> None:
    desk = Desk(tmp_path, make_mappings())
    with pytest.raises(
        PrepareError, match="connector HR has no EntityTypeMapping and no EntityAssociationMapping"
    ):
        desk.prepare()
    assert desk.state() == {}


def test_a_deactivated_connector_is_prepared_with_a_warning(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.write("persons", GOOD)
    desk.prepare()
    assert "deactivated" not in caplog.text
    connector = replace(desk.mappings.connector, is_deactivated=True)
    desk.prepare(mappings=replace(desk.mappings, connector=connector))
    assert "WARNING" in caplog.text
    assert "connector HR is deactivated (test.xml:1); it is prepared all the same" in caplog.text


def test_missing_source_file(full_desk: Desk) -> None:
    desk = full_desk
    desk.write("persons", "id,name,level,organization\n")
    (desk.sources / "organisations.csv").write_text("code,label\n")
    with pytest.raises(SourceFileError) as caught:
        desk.prepare()
    path = desk.sources / "organizations.csv"
    assert (
        str(caught.value)
        == f"the source file {path} is missing; there is organisations.csv; run the export first"
    )
    assert desk.state() == {}


def test_missing_folder(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(
        SourceFileError, match=f"there is no folder {tmp_path / 'nowhere'}; run the export first"
    ):
        desk.prepare(sources=tmp_path / "nowhere")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_no_regular_file(desk: Desk, make: Callable[[Path], None]) -> None:
    """A pipe that nobody writes to would be waited for without end."""
    make(desk.sources / "persons.csv")
    with pytest.raises(
        SourceFileError, match=r"persons\.csv is not a regular file; expected a CSV source file"
    ):
        desk.prepare()


def test_unreadable_file(desk: Desk) -> None:
    path = desk.write("persons", GOOD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SourceFileError, match=r"persons\.csv cannot be read"):
        desk.prepare()


def test_a_header_alone_is_an_empty_extract(desk: Desk) -> None:
    desk.write("persons", "id,name,level")
    assert desk.prepare().manifest.files[0].rows == 0
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\n"


@pytest.mark.parametrize("change", [lambda p: p.write_text(GOOD + "b,B,2\n"), lambda p: p.unlink()])
def test_a_file_that_changes_while_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = desk.write("persons", GOOD)
    read = FileMaker.read

    def read_and_change(*arguments: Any) -> None:
        read(*arguments)
        change(path)

    monkeypatch.setattr(FileMaker, "read", read_and_change)
    with pytest.raises(SourceChangedError, match="changed while it was read; prepare again"):
        desk.prepare()
    assert desk.state() == {}


@pytest.mark.parametrize(
    "change", [lambda p: p.write_text(GOOD + "b,"), lambda p: p.unlink(), lambda p: p.write_text("")]
)
def test_a_file_that_changes_before_it_is_read(
    full_desk: Desk, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    """Whatever is wrong with it then, its export has not ended yet: the same prepare may succeed later."""
    desk = full_desk
    desk.write("persons", "id,name,level,organization\n")
    path = desk.write("organizations", "code,label\n")
    read = FileMaker.read

    def read_and_change(*arguments: Any) -> None:
        read(*arguments)
        change(path)

    monkeypatch.setattr(FileMaker, "read", read_and_change)
    with pytest.raises(
        SourceChangedError, match=r"organizations\.csv changed while it was read; prepare again"
    ):
        desk.prepare()
    assert desk.state() == {}


def test_unknown_commands(desk: Desk) -> None:
    desk.write("persons", GOOD)
    desk.prepare()
    before = desk.state()
    path = desk.write("persons", "cmd;id;name;level\nADD;a;;\n\nupsert;b;;\n;c;;\n")
    with pytest.raises(SourceFileError) as caught:
        desk.prepare(INCREMENTAL, type=SourceType.CHANGES, column_name="CMD")
    assert str(caught.value).splitlines()[:2] == [
        f"{path}, line 4, column cmd: 'upsert'",
        f"{path}, line 5, column cmd: nothing",
    ]
    assert desk.state() == before


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,name,level", "line 1: the command column 'command' is missing; the header has: id, name, level"),
        (
            "Command,COMMAND,id,name,level",
            "the command column 'command' stands there more than once (Command, COMMAND)",
        ),
    ],
)
def test_the_command_column(desk: Desk, header: str, message: str) -> None:
    desk.write("persons", GOOD)
    desk.prepare()
    desk.write("persons", header + "\n")
    with pytest.raises(SourceFileError) as caught:
        desk.prepare(INCREMENTAL, type=SourceType.CHANGES)
    assert message in str(caught.value)
    assert len(desk.batches) == 1


def test_the_command_column_is_ignored_in_a_complete(desk: Desk) -> None:
    desk.write("persons", "command,id,name,level\nnonsense,a,A,1\n")
    desk.prepare(type=SourceType.CHANGES)
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\na,A,1\n"


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-16-LE", "windows-1252", "utf-8-sig"])
def test_encodings(desk: Desk, encoding: str) -> None:
    desk.write("persons", "id;name;level\né;Ünal;1\n".encode(encoding))
    desk.prepare(encoding=encoding)
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\né,Ünal,1\n"


def test_bytes_of_another_encoding(desk: Desk) -> None:
    path = desk.write("persons", b"id;name;level\na;A;1\nb;\x81;2\n")
    with pytest.raises(SourceFileError) as caught:
        desk.prepare(encoding="cp1252")
    assert str(caught.value).startswith(f"{path}, line 3: bytes that are not cp1252")


def test_an_encoding_that_needs_a_byte_order_mark(desk: Desk) -> None:
    path = desk.write("persons", GOOD * 10)
    with pytest.raises(SourceFileError) as caught:
        desk.prepare(encoding="utf-16")
    assert str(caught.value).startswith(f"{path}, line 1: bytes that are not utf-16: ")
    assert "BOM" in str(caught.value)


def test_separators(desk: Desk) -> None:
    desk.write("persons", "id\tname,x\tlevel;y\tname\tlevel\na\t1\t2\tA,;\t3\n")
    desk.prepare(separator="\t")
    assert desk.collected("Person.sorted.csv") == 'Id,Name,Level\na,"A,;",3\n'
    desk.write("persons", '"id";"a,b,c,d";"name";"level"\na;;B;\n')
    desk.prepare()
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\na,B,\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "latin-99"}, "there is no encoding 'latin-99'"),
        ({"encoding": "base64"}, "there is no encoding 'base64'"),
        ({"separator": "||"}, "'||' cannot be a separator"),
        ({"separator": '"'}, "cannot be a separator"),
        ({"on_invalid_value": "skip"}, "expected fail or null"),
    ],
)
def test_settings(desk: Desk, options: dict[str, Any], message: str) -> None:
    desk.write("persons", GOOD)
    with pytest.raises(PrepareError) as caught:
        desk.prepare(**options)
    assert message in str(caught.value)


def test_long_values(tmp_path: Path) -> None:
    photo = make_property("Photo", "photo", max_length=None)
    desk = Desk(
        tmp_path, make_mappings(make_entity_type("P", make_property("K", "k", is_primary_key=True), photo))
    )
    value = "x" * 3_000_000
    desk.write("P", f"k,photo\na,{value}\nb,\n")
    desk.prepare()
    assert desk.collected("P.sorted.csv") == f"K,Photo\na,{value}\nb,\n"
    desk.write("P", f"k,photo\na,{value}y\nb,\n")
    assert desk.prepare(INCREMENTAL).as_dict()["files"]["P"]["updates"] == 1


def test_names_that_clash(tmp_path: Path) -> None:
    entity_type = make_entity_type("Same", make_property("K", "k", is_primary_key=True))
    association = make_association("SAME", (entity_type, "K"), (entity_type, "K"))
    with pytest.raises(PrepareError, match="would write the same files"):
        Desk(tmp_path, make_mappings(entity_type, association)).prepare()


def test_columns_named_like_our_own(tmp_path: Path) -> None:
    """Source columns may be called like columns that a prepare adds, or not at all."""
    names = ["line", "r", "rowid", "c0", "command", "value", 'q"q', "", " "]
    entity_type = make_entity_type(
        "P", *(make_property(f"P{n}", name, is_primary_key=not n) for n, name in enumerate(names) if name)
    )
    desk = Desk(tmp_path, make_mappings(entity_type))
    header = ",".join(names).replace('q"q', '"q""q"')
    row = ",".join("abcdefghi")
    desk.write("P", f"{header},\n{row},\n{row},z\n,,,,,,,,,\n")
    desk.prepare()
    assert desk.collected("P.sorted.csv") == "P0,P1,P2,P3,P4,P5,P6,P8\na,b,c,d,e,f,g,i\n"
    assert desk.collected("P.duplicates.csv") == f"{header},,line\n{row},z,3\n"
    assert desk.collected("P.nullpk.csv") == f"{header},,line\n,,,,,,,,,,4\n"
