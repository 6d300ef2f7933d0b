"""Source texts to canonical values, in DuckDB against plain Python."""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.configuration.model import Format
from airflow_provider_idm.synchronization.prepare.convert import conversion_of
from tests.builders import make_entity_type, make_property

if TYPE_CHECKING:
    from collections.abc import Sequence

T = PropertyType
F = FormatName


def convert(
    values: Sequence[str], type_: PropertyType, format_: Format | FormatName | None = None
) -> list[str | None]:
    """Return the canonical values; None for what does not convert."""
    mapped = make_property("P", "c", type_, format_, max_length=None)
    conversion, column = conversion_of(
        mapped, make_entity_type("E", mapped, make_property("Flags", "f", T.INT32)).find_property
    )
    assert column in {"c", "f"}
    expression = conversion.expression("x", nul=True)
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"SELECT {expression} FROM (SELECT unnest($1::VARCHAR[]) AS x)", [list(values)]
        ).fetchall()
    return [row[0] for row in rows]


def check(
    cases: dict[str, str | None], type_: PropertyType, format_: Format | FormatName | None = None
) -> None:
    assert dict(zip(cases, convert(list(cases), type_, format_), strict=True)) == cases


def test_text_stays_as_it_is() -> None:
    values = {v: v for v in (" a ", "é", "a;b", "line\nbreak", "NULL", "#")}
    for format_ in (None, Format(F.CONCAT, separator=";"), F.MULTIVALUED_TEXT):
        check(values | {"a\0b": None}, T.STRING, format_)


def test_length_is_counted_in_code_points() -> None:
    mapped = make_property("P", "c", max_length=3)
    conversion, _ = conversion_of(mapped, lambda _: mapped)
    with duckdb.connect() as connection:
        query = (
            f"SELECT {conversion.expression('x', nul=False)} FROM (VALUES ('é€😀'), ('abcd'), ('abc')) t(x)"
        )
        assert connection.execute(query).fetchall() == [("é€😀",), (None,), ("abc",)]


def test_length_is_that_of_what_a_format_reads() -> None:
    mapped = make_property("P", "c", T.STRING, F.RDN, max_length=3)
    conversion, _ = conversion_of(mapped, make_entity_type("E", mapped).find_property)
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            f"SELECT {conversion.expression('x', nul=False)} "
            "FROM (VALUES ('CN=Zoë,OU=unit'), ('CN=Hope,OU=unit'), ('Zoë'), (NULL)) t(x)"
        ).fetchall()
    assert [row[0] for row in rows] == ["Zoë", None, None, None]
    assert conversion.expected.endswith(", at most 3 characters")


@pytest.mark.parametrize("type_", [T.BOOL, T.BYTE, T.INT32, T.INT64, T.DOUBLE, T.DATE_TIME, T.GUID])
def test_what_cannot_be_too_long_is_not_measured(type_: PropertyType) -> None:
    roomy, narrow = (make_property("P", "c", type_, None, max_length=length) for length in (442, 0))
    find = make_entity_type("E", roomy).find_property
    assert (conversion_of(roomy, find)[0].max_length, conversion_of(narrow, find)[0].max_length) == (None, 0)
    assert "characters" not in conversion_of(roomy, find)[0].expected


@pytest.mark.parametrize("format_", [None, *(name for name in F if name is not F.BIT)])
@pytest.mark.parametrize("type_", T)
def test_the_statement_of_a_column_is_short(type_: PropertyType, format_: FormatName | None) -> None:
    """It is planned anew each time: one that repeats what it is made of takes longer than to read its rows."""
    mapped = make_property("P", "c", type_, format_, max_length=442)
    conversion, _ = conversion_of(mapped, make_entity_type("E", mapped).find_property)
    assert len(conversion.expression("c123", nul=True)) < 6_000


def test_booleans() -> None:
    yes, no = ("true", "TRUE", "Yes", "1"), ("false", "False", "NO", "0")
    cases = (
        dict.fromkeys(yes, "1") | dict.fromkeys(no, "0") | dict.fromkeys(("", "t", "2", " 1", "oui"), None)
    )
    check(cases, T.BOOL)
    check(cases, T.STRING, F.BOOL)


@pytest.mark.parametrize(
    ("type_", "low", "high"),
    [
        (T.BYTE, 0, 255),
        (T.INT16, -(2**15), 2**15 - 1),
        (T.INT32, -(2**31), 2**31 - 1),
        (T.INT64, -(2**63), 2**63 - 1),
    ],
)
def test_integers(type_: PropertyType, low: int, high: int) -> None:
    check(
        {
            str(low): str(low),
            str(high): str(high),
            str(low - 1): None,
            str(high + 1): None,
            "007": "7",
            "+5": "5",
            "-0": "0",
            "": None,
            "-": None,
            " 1": None,
            "1.0": None,
            "1e3": None,
            "٣": None,
            "9" * 60: None,
            "0x10": None,
        },
        type_,
    )


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**65), 2**65).map(str), st.from_regex(r"[+-]?[0-9 .]{0,22}", fullmatch=True)
        ),
        max_size=30,
        unique=True,
    )
)
def test_integers_like_python(values: list[str]) -> None:
    def expected(text: str) -> str | None:
        number = int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None
        return str(number) if number is not None and -(2**63) <= number < 2**63 else None

    check({v: expected(v) for v in values}, T.INT64)


def test_a_format_narrower_or_wider_than_the_type() -> None:
    check({"70000": "70000", "3000000000": None}, T.INT64, F.INT32)
    check({"70000": None, "3000": "3000"}, T.INT16, F.INT64)
    check({"1": "1", "0": "0", "5": None}, T.BOOL, F.INT32)
    check({"CN=7,OU=x": "7", "CN=a": None}, T.INT32, F.RDN)
    check({"0": "", "116444736000000000": "19700101000000", "x": None}, T.STRING, F.DATE_1601)
    check({"0": "", "116444736000000000": "19700101000000"}, T.INT64, F.DATE_1601)


def test_bits() -> None:
    def bit(n: int) -> Format:
        return Format(F.BIT, bit_property="Flags", bit=n)

    check({"514": "1", "512": "0", "x": "", "-1": "1"}, T.BOOL, bit(1))
    check({"-2147483646": "1", "2147483647": "0"}, T.BOOL, bit(31))
    check({"-2147483646": "1", "2147483647": "0"}, T.BOOL, bit(63))


def _double(text: str) -> str | None:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return None
    number = float(text)
    return None if math.isinf(number) else "0" if number == 0 else repr(number).removesuffix(".0")


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.from_regex(r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
        ),
        max_size=30,
        unique=True,
    )
)
@example(
    ["1.50", "1e400", "NaN", "inf", "", ".", "1e5", "-0.0", "0.1", "100", "1,5", "1e16", "123456789012345680"]
)
def test_doubles(values: list[str]) -> None:
    check({v: _double(v) for v in values}, T.DOUBLE)


def test_dates_and_times() -> None:
    check(
        {
            "20240229235959": "20240229235959",
            "20240229235959.0Z": "20240229235959",
            "20240229235959.123+0130": "20240229222959",
            "2024022923Z": "20240229230000",
            "202402292359-05": "20240301045900",
            "2024-02-29": "20240229000000",
            "2024-02-29T12:30": "20240229123000",
            "2024-02-29 12:30:01": "20240229123001",
            "2024-02-29T12:30:01.999Z": "20240229123001",
            "2024-02-29T12:30:01,5+02:00": "20240229103001",
            "2024-02-29 12:30:01 -0330": "20240229160001",
            "20240229": "20240229000000",
            "20240229T123001Z": "20240229123001",
            "0033-01-02": "00330102000000",
            "2023-02-29": None,
            "2024-13-01": None,
            "2024-02-29T24:00": None,
            "2024-02-29T23:60": None,
            "0000-01-01": None,
            "0001-01-01T00:00+01:00": None,
            "9999-12-31T23:59:59-01:00": None,
            "2024-0229": None,
            "29/02/2024": None,
            " 2024-02-29": None,
            "": None,
            "2024-02-29\n": None,
        },
        T.DATE_TIME,
    )


moments = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31))  # noqa: DTZ001
zones = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(moments, zones)
def test_dates_and_times_like_python(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    utc = aware.astimezone(UTC).replace(microsecond=0)
    canonical = f"{utc.year:04}{utc:%m%d%H%M%S}"
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    compact = f"{moment.year:04}{moment:%m%d%H%M%S}.{moment.microsecond:06}{offset}"
    check({aware.isoformat(): canonical, compact: canonical}, T.DATE_TIME, F.DATE_TIME)


def test_dates() -> None:
    good = (
        "2024-02-29",
        "20240229",
        "2024/02/29",
        "2024-02-29 00:00:00",
        "2024-02-29T00:00",
        "20240229000000",
    )
    bad = ("2024-02-30", "2024-2-3", "2024-02-29 01:00:00", "29.02.2024", "")
    check(dict.fromkeys(good, "20240229000000") | dict.fromkeys(bad, None), T.DATE_TIME, F.DATE)


@given(st.lists(st.one_of(st.integers(0, 2**63 - 1), st.integers(2**63, 2**70)), max_size=20, unique=True))
@example([0, 2**63 - 1, 1, 2_650_467_743_999_999_999, 2_650_467_744_000_000_000])
def test_ticks_since_1601(ticks: list[int]) -> None:
    def expected(n: int) -> str | None:
        if n in {0, 2**63 - 1}:
            return ""
        try:
            moment = datetime(1601, 1, 1) + timedelta(microseconds=n // 10)  # noqa: DTZ001
        except OverflowError:
            return None
        return f"{moment.year:04}{moment:%m%d%H%M%S}"

    check(
        {str(n): expected(n) for n in ticks} | {"-1": None, "": None, "2024-01-01": None},
        T.DATE_TIME,
        F.DATE_1601,
    )


@given(st.uuids())
def test_guids(value: uuid.UUID) -> None:
    text, plain = str(value), value.hex
    binary = base64.b64encode(value.bytes_le).decode()
    forms = (
        text,
        text.upper(),
        plain,
        plain.upper(),
        f"{{{text}}}",
        f"({text})",
        f"urn:uuid:{text}",
        binary,
        "0x" + value.bytes_le.hex(),
        "".join(f"\\{b:02X}" for b in value.bytes_le),
    )
    bad = ("", text[:-1], f"{{{text}", plain + "0", "g" * 32, binary[:-1], f" {text}")
    for format_ in (None, F.GUID):
        check(dict.fromkeys(forms, plain) | dict.fromkeys(bad, None), T.GUID, format_)


@given(st.binary(max_size=60))
def test_bytes(value: bytes) -> None:
    text = base64.b64encode(value).decode()
    wrapped = "\r\n".join(text[i : i + 20] for i in range(0, len(text), 20))
    check(
        {
            "0x" + value.hex(): text,
            "0X" + value.hex().upper(): text,
            text: text,
            wrapped: text,
            "0x1": None,
            "a": None,
            "a b=": None,
        },
        T.BINARY,
    )


@given(st.text(st.sampled_from("AQgw+/=x \n"), max_size=9))
def test_base64_like_python(text: str) -> None:
    try:
        expected = base64.b64encode(base64.b64decode(text.replace("\n", ""), validate=True)).decode()
    except binascii.Error:
        expected = None
    check({text: expected}, T.BYTES)


@given(st.integers(0, 2**48 - 1), st.lists(st.integers(0, 2**32 - 1), max_size=15))
def test_sids(authority: int, subs: list[int]) -> None:
    written = str(authority) if authority < 2**32 else f"0x{authority:012X}"
    text = "-".join(["S", "1", written, *map(str, subs)])
    binary = (
        bytes([1, len(subs)]) + authority.to_bytes(6, "big") + b"".join(n.to_bytes(4, "little") for n in subs)
    )
    forms = (
        text,
        text.replace("S", "s"),
        binary.hex(),
        binary.hex().upper(),
        "0x" + binary.hex(),
        base64.b64encode(binary).decode(),
    )
    bad = (
        "",
        "S-1",
        "S-2-5-18",
        "S-1-5-4294967296",
        binary.hex()[:-2],
        base64.b64encode(binary + b"x").decode(),
        "hello",
    )
    check(dict.fromkeys(forms, text) | dict.fromkeys(bad, None), T.STRING, F.SID)


def test_distinguished_names() -> None:
    check(
        {
            "CN=Zoë,OU=x": "Zoë",
            "cn = Doe\\, John , OU=x": "Doe, John",
            "CN=a+UID=b,OU=x": "a",
            "CN=Caf\\C3\\A9,O=x": "Café",
            "CN=back\\\\slash": "back\\slash",
            'CN="quoted, name",OU=x': "quoted, name",
            "OU=x;O=y": "x",
            "2.5.4.3=oid": "oid",
            "CN=,O=x": "",
            "CN=a=b,O=x": "a=b",
            "CN=trailing\\ ,O=x": "trailing ",
            "CN=line\\0Abreak,O=x": "line\nbreak",
            "CN=#4\\2B4,O=x": "#4+4",
            "CN=bad\\FF,O=x": None,
            "no name": None,
            "": None,
            ",CN=a": None,
        },
        T.STRING,
        F.RDN,
    )


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.booleans(),
)
def test_escaped_names_come_back(value: str, in_hex: bool) -> None:
    def escape(character: str) -> str:
        if (character.isascii() and (character.isalnum() or character in "_-'")) or (
            not in_hex and ord(character) > 0xFF
        ):
            return character
        if not in_hex and character in ',+"\\<>;= #':
            return f"\\{character}"
        return "".join(f"\\{b:02x}" for b in character.encode())

    check({f"CN={''.join(map(escape, value))},DC=x": value}, T.STRING, F.RDN)
