"""Which files are read, and which are refused: encodings, broken files, and all that a parser can be lured into."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import check_configuration, read_configuration
from airflow_provider_idm.errors import ConfigurationError
from tests.configuration.texts import RIGHT, check, document, problems, write

NO_DOCTYPE = "a document type declaration (DOCTYPE) is not allowed: remove it, with the entities it declares"


def test_every_xml_file_of_the_folder_and_its_sub_folders_is_read(tmp_path: Path) -> None:
    write(tmp_path, a='<Agent Identifier="A"/>')
    write(tmp_path / "x" / "y", b='<Agent Identifier="B"/>')
    (tmp_path / "C.XML").write_text(document('<Agent Identifier="C"/>'))
    (tmp_path / "notes.txt").write_text("not XML")
    write(tmp_path / ".git", d='<Agent Identifier="A"/>')

    configuration = read_configuration(tmp_path)

    assert {a.identifier: str(a.location) for a in configuration.agents.values()} == {
        "A": "a.xml:2",
        "B": "x/y/b.xml:2",
        "C": "C.XML:2",
    }


def test_a_linked_folder_is_read_once_even_if_it_leads_back(tmp_path: Path) -> None:
    write(tmp_path / "real", a='<Agent Identifier="A"/>')
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "conf")

    assert [str(a.location) for a in read_configuration(tmp_path / "conf").agents.values()] == [
        "linked/a.xml:2"
    ]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert [str(p) for p in check_configuration(tmp_path / "conf").problems] == [
        f"{tmp_path}/conf:1: the folder does not exist"
    ]


def test_a_folder_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)

    assert [str(p) for p in check_configuration(folder).problems] == [
        f"{folder}:1: the folder cannot be read: File name too long"
    ]


def test_a_pipe_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xml")

    assert problems(tmp_path) == ["a.xml:1: is a device or pipe, expected a file"]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(document(""))

    assert [str(p) for p in check_configuration(tmp_path / "a.xml").problems] == [
        f"{tmp_path}/a.xml:1: is a file, expected a folder of XML files"
    ]


def test_a_folder_without_xml_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}:1: the folder holds no *.xml file"]


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.xml").symlink_to(tmp_path / "gone")

    assert problems(tmp_path) == ["a.xml:1: the file cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    "namespace", ["", ' xmlns="urn:schemas-usercube-com:configuration"', ' xmlns="urn:other"']
)
def test_the_root_may_be_in_any_namespace(tmp_path: Path, namespace: str) -> None:
    text = f'<ConfigurationFile{namespace}><Agent Identifier="A"/></ConfigurationFile>'

    assert list(check(tmp_path, a=text.encode()).agents) == ["A"]


def test_prefixes_and_attributes_of_other_namespaces_do_not_matter(tmp_path: Path) -> None:
    text = (
        b'<c:ConfigurationFile xmlns:c="urn:c" xmlns:xsi="urn:i" xsi:schemaLocation="urn:c c.xsd">'
        b'<c:Agent Identifier="A" xsi:type="Agent"/></c:ConfigurationFile>'
    )

    configuration = check(tmp_path, a=text)

    assert list(configuration.agents) == ["A"]
    assert configuration.problems == ()


def test_another_root_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, a=b"<!-- x -->\n<Configuration/>") == [
        "a.xml:2: the root element is Configuration, expected ConfigurationFile"
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + document('<Agent\nIdentifier="Zoë"/>')

    configuration = check(tmp_path, a=text.encode(encoding))

    assert [(a.identifier, str(a.location)) for a in configuration.agents.values()] == [("Zoë", "a.xml:3")]


def test_a_wrong_encoding_is_an_error(tmp_path: Path) -> None:
    found = problems(
        tmp_path, a='<ConfigurationFile><Agent Identifier="Zoë"/></ConfigurationFile>'.encode("latin-1")
    )

    assert len(found) == 1
    assert found[0].startswith("a.xml:1: not well-formed XML: ")


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_an_element_is_where_its_tag_begins(tmp_path: Path, line_break: str) -> None:
    lines = [
        "<ConfigurationFile>",
        "<!-- <Agent> --><?x <Agent>?>",
        "<Form><![CDATA[<Agent>]]></Form>",
        "<Agent",
        '  Identifier="A>"',
        '  Uri="B" />',
        "</ConfigurationFile>",
    ]

    assert problems(tmp_path, a=line_break.join(lines).encode()) == [
        "a.xml:4: warning: Agent A>: the unknown attribute Uri is ignored; did you mean URI?",
    ]


def test_lines_are_known_far_down_a_large_file(tmp_path: Path) -> None:
    assert problems(tmp_path, a="\n" * 70_000 + '<Form>\n<Agent/></Form><Agent URI="x"/>') == [
        "a.xml:70003: Agent: the required attribute Identifier is missing"
    ]


def test_a_very_long_text_is_read(tmp_path: Path) -> None:
    text = f'<Form Body="{"x" * 11_000_000}">{"y" * 11_000_000}</Form><Agent Identifier="A"/>'

    assert list(check(tmp_path, a=text).agents) == ["A"]


def test_elements_nested_without_end_are_an_error(tmp_path: Path) -> None:
    found = problems(tmp_path, a="<a>" * 100_000 + "</a>" * 100_000)

    assert len(found) == 1
    assert found[0].startswith("a.xml:2: not well-formed XML: Excessive depth")


DECLARATIONS = {
    "DTD": b"<!DOCTYPE ConfigurationFile>",
    "entity": b'<!DOCTYPE ConfigurationFile [<!ENTITY x "y">]>',
    "external DTD": b'<!DOCTYPE ConfigurationFile SYSTEM "http://127.0.0.1:9/c.dtd">',
    "external entity": b'<!DOCTYPE ConfigurationFile [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter entity": b'<!DOCTYPE ConfigurationFile [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]>',
    "entity bomb": b'<!DOCTYPE ConfigurationFile [<!ENTITY x0 "boom">'
    + b"".join(b'<!ENTITY x%d "%s">' % (n, b"&x%d;" % (n - 1) * 10) for n in range(1, 20))
    + b'<!ENTITY x "&x19;">]>',
    "attribute defaults": b'<!DOCTYPE ConfigurationFile [<!ATTLIST Agent URI CDATA "x">]>',
}


@pytest.mark.parametrize("declaration", DECLARATIONS.values(), ids=DECLARATIONS.keys())
def test_a_document_type_declaration_is_refused_before_it_is_read(tmp_path: Path, declaration: bytes) -> None:
    text = (
        b'<?xml version="1.0"?>\n<!-- <!DOCTYPE\n> -->\n'
        + declaration
        + b'<ConfigurationFile><Agent Identifier="&x;"/></ConfigurationFile>'
    )

    configuration = check(tmp_path, a=text)

    assert [str(problem) for problem in configuration.problems] == [f"a.xml:4: {NO_DOCTYPE}"]
    assert not configuration.agents


def test_a_document_type_declaration_is_found_in_utf_16_too(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="utf-16"?>\n\n<!DOCTYPE a [<!ENTITY x "y">]><ConfigurationFile/>'

    assert problems(tmp_path, a=text.encode("utf-16")) == [f"a.xml:3: {NO_DOCTYPE}"]


def test_a_document_type_declaration_is_found_behind_a_very_long_comment(tmp_path: Path) -> None:
    text = (
        b"<!--\n"
        + b"x" * 11_000_000
        + b"-->\n"
        + DECLARATIONS["entity bomb"]
        + b'<ConfigurationFile a="&x;"/>'
    )

    assert problems(tmp_path, a=text) == [f"a.xml:3: {NO_DOCTYPE}"]


def test_a_problem_is_one_line_whatever_the_value(tmp_path: Path) -> None:
    assert problems(tmp_path, a='<Connector Identifier="A" IsDeactivated="&#10;b.xml:1:&#13;&#133;" />') == [
        r'a.xml:2: Connector A: IsDeactivated="\nb.xml:1:\r\x85": expected true, false, 1 or 0'
    ]


def test_an_entity_that_is_not_declared_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, a='<Agent Identifier="&x;"/>') == [
        "a.xml:2: not well-formed XML: Entity 'x' not defined"
    ]


def test_xinclude_is_refused(tmp_path: Path) -> None:
    include = '<xi:include href="file:///etc/passwd" parse="text"/>'
    text = f'\n<Form xmlns:xi="http://www.w3.org/2001/XInclude">\n{include}</Form>'

    assert problems(tmp_path, a=text) == [
        "a.xml:4: XInclude is not followed: put the included file into the folder instead"
    ]


def test_unknown_elements_are_ignored_with_one_line_a_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    configuration = check(
        tmp_path,
        a='<Form/><Menu Connector="gone"/><Form><Job/></Form>',
        b='<Form/><EntityType Identifier="E"><Rule/></EntityType>',
    )

    assert configuration.problems == ()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", f"{tmp_path}: 3 unknown Form elements ignored"),
        ("DEBUG", f"{tmp_path}: 1 unknown Menu elements ignored"),
        ("DEBUG", f"{tmp_path}: 1 unknown Rule elements ignored"),
    ]


def test_an_identifier_used_twice_is_an_error_that_names_the_first_place(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        a='<Agent Identifier="A"/>\n<EntityType Identifier="E">\n<Property Identifier="p" TargetColumnIndex="4"/>\n'
        '<Property Identifier="P" TargetColumnIndex="5"/></EntityType>',
        b='<Agent Identifier="a"/>',
    ) == [
        "a.xml:5: EntityType E: Property P was already defined at a.xml:4",
        "b.xml:2: Agent a was already defined at a.xml:2",
    ]


def test_references_may_cross_files_point_forward_and_be_in_any_case(tmp_path: Path) -> None:
    lines = RIGHT.replace('Connector="HR"', 'Connector="hr"').replace('"Person:', '"PERSON:').splitlines()
    elements = ["\n".join(lines[:3]), "\n".join(lines[3:12]), "\n".join(lines[12:19]), "\n".join(lines[19:])]

    assert problems(tmp_path, **dict(zip("dcba", elements, strict=True))) == []


def test_reading_raises_with_every_error_and_keeps_the_warnings(tmp_path: Path) -> None:
    write(tmp_path, a='<Agent Uri="x"/>', b="<Connection/>")

    with pytest.raises(ConfigurationError) as caught:
        read_configuration(str(tmp_path))

    assert str(caught.value) == (
        "a.xml:2: Agent: the required attribute Identifier is missing\n"
        "b.xml:2: Connection: the required attribute Connector is missing\n"
        "b.xml:2: Connection: the required attribute Identifier is missing\n"
        "b.xml:2: Connection: the required attribute Package is missing"
    )
    assert len(caught.value.problems) == 5


def test_importing_the_configuration_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, airflow_provider_idm.configuration as c; "
        "print([m for m in ('airflow', 'duckdb', 'pandas', 'pyarrow', 'sqlalchemy', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )

    assert result.stdout.strip() == "[]"
