"""Formats: how they are written, and which suit which type."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration.enums import FormatName
from airflow_provider_idm.configuration.formats import parse_format
from airflow_provider_idm.configuration.model import Format
from tests.configuration.texts import problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Concat:;", Format(FormatName.CONCAT, separator=";")),
        ("concat::", Format(FormatName.CONCAT, separator=":")),
        ("Concat: ", Format(FormatName.CONCAT, separator=" ")),
        ("multivaluedtext", Format(FormatName.MULTIVALUED_TEXT)),
        ("1601DATE", Format(FormatName.DATE_1601)),
        ("Bit:userAccountControl:1", Format(FormatName.BIT, bit_property="userAccountControl", bit=1)),
    ],
)
def test_a_format_is_read_in_any_case(text: str, expected: Format) -> None:
    assert parse_format(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Concat", "expected Concat:<separator>"),
        ("Concat:", "expected Concat:<separator>"),
        ("Guid:N", "expected Guid alone, with nothing behind it"),
        ("Bit:Flags:one", "expected Bit:<property>:<number of the bit, 0 being the lowest>"),
        ("Bit::1", "expected Bit:<property>:<number of the bit, 0 being the lowest>"),
        ("Bit:Flags:-1", "expected Bit:<property>:<number of the bit, 0 being the lowest>"),
    ],
)
def test_an_incomplete_format_says_what_is_missing(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_format(text)

    assert str(caught.value) == message


SUITABLE = {
    "String": {"Concat:;", "MultivaluedText", "RDN", "SID"},
    "Bool": {"Bool", "Bit:N:0"},
    "Byte": {"Byte", "Bit:N:0"},
    "Int16": {"Byte", "Int16", "Bit:N:0"},
    "Int32": {"Byte", "Int16", "Int32", "Bit:N:0"},
    "Int64": {"Byte", "Int16", "Int32", "Int64", "Bit:N:0"},
    "Option": {"Byte", "Int16", "Int32", "Int64", "Bit:N:0"},
    "Double": {"Double"},
    "DateTime": {"DateTime", "Date", "1601Date"},
    "Guid": {"Guid"},
    "Bytes": {"Bytes", "Binary"},
    "Binary": {"Bytes", "Binary"},
}


@pytest.mark.parametrize("kind", SUITABLE)
def test_a_format_suits_its_propertys_type_or_is_an_error(tmp_path: Path, kind: str) -> None:
    formats = sorted(set().union(*SUITABLE.values()))
    metadata = "".join(
        f'<Property Identifier="P{n}" Type="{kind}" TargetColumnIndex="{n + 10}"/>'
        for n in range(len(formats))
    )
    mapped = "\n".join(
        f'<Property Identifier="P{n}" ConnectionColumn="{n}" Format="{form}"/>'
        for n, form in enumerate(formats)
    )
    text = (
        '<Connector Identifier="C"/><EntityType Identifier="E"><Property Identifier="K" TargetColumnIndex="4"/>'
        f'<Property Identifier="N" Type="Byte" TargetColumnIndex="5"/>{metadata}</EntityType>'
        '<EntityTypeMapping Identifier="E" Connector="C" ConnectionTable="T"><Property Identifier="K" '
        'ConnectionColumn="k" IsPrimaryKey="1"/><Property Identifier="N" ConnectionColumn="n"/>\n'
        f"{mapped}</EntityTypeMapping>"
    )

    refused = {p.split(":")[1] for p in problems(tmp_path, c=text) if "does not suit its type" in p}

    assert refused == {str(n + 3) for n, form in enumerate(formats) if form not in SUITABLE[kind]}
