"""SQL as text: parameters, statements, and what may be read in parts."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.sql.command import split
from airflow_provider_idm.synchronization.export.sql.cookie import Position, later, read_cookie, write_cookie
from airflow_provider_idm.synchronization.export.sql.parameters import bind, only_reads
from airflow_provider_idm.synchronization.export.sql.values import UnsupportedValueError, as_text

STATEMENT = (
    "SELECT ':cookie 5%', \":cookie\", x::int -- :cookie\n"
    "FROM t /* :cookie */ WHERE a > :cookie OR b % 2 > :cookie"
)


@pytest.mark.parametrize(
    ("paramstyle", "marks", "parameters"),
    [
        ("qmark", ("?", "?"), (7, 7)),
        ("numeric", (":1", ":2"), (7, 7)),
        ("named", (":cookie", ":cookie"), {"cookie": 7}),
        ("format", ("%s", "%s"), (7, 7)),
        ("pyformat", ("%(cookie)s", "%(cookie)s"), {"cookie": 7}),
    ],
)
def test_a_parameter_is_marked_as_the_driver_wants_it(
    paramstyle: str, marks: tuple[str, str], parameters: Any
) -> None:
    percent = "%%" if "format" in paramstyle else "%"
    head = f"SELECT ':cookie 5{percent}', \":cookie\", x::int -- :cookie\nFROM t /* :cookie */ WHERE a > "

    assert bind(STATEMENT, {"cookie": 7}, paramstyle) == (
        f"{head}{marks[0]} OR b {percent} 2 > {marks[1]}",
        parameters,
    )


def test_a_statement_without_a_parameter_stays_as_it_is() -> None:
    statement = "SELECT ':cookie', 5 % 2, $$ :cookie $$, at_12:30, :other"

    assert bind(statement, {"cookie": 7}, "pyformat") == (statement, None)


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT 'insert; delete' FROM update_log;", True),
        ("-- insert\nWITH a AS (SELECT 1) SELECT * FROM a", True),
        ("VALUES (1)", True),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", False),
        ("SELECT * INTO copy FROM t", False),
        ("SELECT 1; SELECT 2", False),
        ("CALL p()", False),
        ("", False),
    ],
)
def test_a_single_query_can_be_read_in_parts(statement: str, reads: bool) -> None:
    assert only_reads(statement) is reads


def test_statements_are_divided_by_semicolons_that_stand_alone() -> None:
    text = "SELECT ';'; -- one; two\nSELECT 2;\n/* the end; */;\n"

    assert split(text) == ["SELECT ';'; -- one; two", "SELECT 2;"]
    assert split(" ; -- nothing\n") == []


def test_a_long_statement_is_divided_in_no_time() -> None:
    long = "INSERT INTO t VALUES " + ", ".join(f"({n}, 'a;b')" for n in range(20_000))
    start = time.monotonic()

    assert split(f"{long};\nSELECT 1") == [f"{long};", "SELECT 1"]
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (1e300, "1e+300"),
        (True, "1"),
        (datetime(2024, 2, 29, 1, tzinfo=timezone(timedelta(hours=2))), "2024-02-28T23:00:00Z"),
        (timedelta(hours=7, minutes=30), "07:30:00"),
        (timedelta(seconds=-1.5), "-00:00:01.500000"),
        (memoryview(b"\x00\xff"), "AP8="),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_what_is_no_single_value_has_no_text() -> None:
    with pytest.raises(UnsupportedValueError, match="dict"):
        as_text({})


@pytest.mark.parametrize(
    "value",
    [
        7,
        1.5,
        Decimal("1.50"),
        datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001 - as databases give it
        datetime(2024, 2, 29, tzinfo=UTC),
        date(2024, 2, 29),
        b"\x00\x07",
        "2024-02-29",
        None,
    ],
)
def test_a_cookie_keeps_the_type_of_the_database(value: object) -> None:
    positions = {"Person": Position("changed", value)}

    found = read_cookie(write_cookie(positions, "x"), "x")

    assert found == positions
    assert type(found["Person"].value) is type(value)


def test_what_cannot_be_a_cookie() -> None:
    with pytest.raises(ExportError, match="a cookie cannot be of type bool"):
        write_cookie({"": Position("changed", True)}, "x")
    with pytest.raises(ExportError, match="the cookie of the former export cannot be read"):
        read_cookie("[1]", "x")


def test_the_later_of_two() -> None:
    assert (later(None, 1), later(1, None), later(2, 1), later("a", 1)) == (1, 1, 2, 1)
