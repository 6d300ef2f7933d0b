"""The ways of writing that are told fast are told as the slower rules tell them: the shortcuts change no result."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_idm.synchronization.prepare.convert import binary, dates

SHORTCUTS = list(dates._COMMON)
GUID = "584f8a73-cb32-78be-dbc9-aa6bb0be28e0"


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def converted(duck: duckdb.DuckDBPyConnection, expression: str, values: list[str]) -> list[str | None]:
    query = f"SELECT {expression} FROM (SELECT unnest($1::VARCHAR[]) AS x)"
    return [row[0] for row in duck.execute(query, [values]).fetchall()]


def date_time_by_rules() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dates, "_COMMON", {})
        return dates.date_time("x")


def guid_by_rules() -> str:
    """Return the expression without its first branch, the shortcut."""
    written = binary.guid("x")
    branches = written.index("WHEN regexp_full_match")
    assert written[:branches].count("WHEN") == 1
    return f"CASE {written[branches:]}"


def near(texts: st.SearchStrategy[str], characters: str) -> st.SearchStrategy[list[str]]:
    """Draw many texts at once, of which up to three characters are replaced, inserted or left out."""

    def edited(text: str, edits: list[tuple[int, str, str]]) -> str:
        for place, kind, character in edits:
            at = place % (len(text) + 1)
            text = text[:at] + (character if kind != "leave out" else "") + text[at + (kind != "insert") :]
        return text

    edit = st.tuples(
        st.integers(0, 99), st.sampled_from(["replace", "insert", "leave out"]), st.sampled_from(characters)
    )
    return st.lists(st.builds(edited, texts, st.lists(edit, max_size=3)), min_size=30, max_size=100)


def common(way: str) -> st.SearchStrategy[str]:
    def written(moment: datetime) -> str:
        # Years of less than four digits, too: %Y alone does not fill them up everywhere.
        return moment.strftime(way.replace("%Y", f"{moment.year:04}"))

    return st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(written)  # noqa: DTZ001


def same(duck: duckdb.DuckDBPyConnection, fast: str, by_rules: str, values: list[str]) -> None:
    assert dict(zip(values, converted(duck, fast, values), strict=True)) == dict(
        zip(values, converted(duck, by_rules, values), strict=True)
    )


@pytest.mark.parametrize("way", SHORTCUTS)
def test_every_common_way_of_writing_a_moment_is_told(duck: duckdb.DuckDBPyConnection, way: str) -> None:
    moment = datetime(2024, 2, 29, 0 if "%H" not in way else 23, 0, 0, tzinfo=UTC)
    assert converted(duck, dates.date_time("x"), [moment.strftime(way)]) == [f"{moment:%Y%m%d%H%M%S}"]


@pytest.mark.parametrize("way", SHORTCUTS)
def test_moments_near_the_common_ways_of_writing(duck: duckdb.DuckDBPyConnection, way: str) -> None:
    fast, by_rules = dates.date_time("x"), date_time_by_rules()
    assert fast != by_rules

    @given(near(common(way), "0123456789-:/.,+ TtZz٣é "))
    @example(["0000-01-01", "00000101", "0000-01-01 00:00:00", "00000101000000Z", "00000101000000.0Z"])
    @example(["0001-01-01", "0001-01-01T00:00:00Z", "00010101", "0999-12-31", "9999-12-31T23:59:59Z"])
    @example(["2023-02-29", "20230229", "2023-02-29T12:00:00", "2024-02-30", "2024-00-01", "2024-13-01"])
    @example(["2024-01-01T24:00:00Z", "2024-01-01 23:59:60", "20240101240000.0Z", "20240101235960Z"])
    @example(
        ["2024-1-01", "2024-01-1 ", " 2024-01-01", "2024-01-01 ", "+024-01-01", "-024-01-01", "10000101"]
    )
    @example(["2024-01-01T 1:02:03", "2024-01-01 01: 2:03", "٢٠٢٤-01-01", "2024-01-01T01:02:03z", ""])
    @example(["infinity", "-infinity", "epoch", "today", "20240101 1", "2024-001"])
    def check(values: list[str]) -> None:
        same(duck, fast, by_rules, values)

    check()


WRITTEN: list[Callable[[str], str]] = [str, str.upper, "{{{}}}".format, "({})".format, "urn:uuid:{}".format]


def test_guids_near_the_common_way_of_writing(duck: duckdb.DuckDBPyConnection) -> None:
    fast, by_rules = binary.guid("x"), guid_by_rules()
    guids = st.builds(
        lambda number, write: write(str(number)),
        st.uuids() | st.just(uuid.UUID(GUID)),
        st.sampled_from(WRITTEN),
    )

    @given(near(guids, "0123456789abcdefABCDEFgG-{}()_% é٣\n"))
    @example([GUID, GUID.upper(), f"{{{GUID}}}", f"({GUID})", f"urn:uuid:{GUID}", GUID.replace("-", "")])
    @example(
        [f" {GUID}", f"{GUID} ", f"{{{GUID}", f"{GUID}}}", GUID[:-1], f"{GUID}0", GUID.replace("5", "g")]
    )
    @example([GUID.replace("-", "_"), "584f8a73cb3278be-dbc9-aa6b-b0be28e0-", "_" * 8, "-" * 36, ""])
    @example(["584f8a7--cb32-78be-dbc9-aa6bb0be28e0", "{84f8a73-cb32-78be-dbc9-aa6bb0be28e}", "é" * 36])
    def check(values: list[str]) -> None:
        same(duck, fast, by_rules, values)

    check()


def test_the_common_way_of_writing_a_guid_is_told(duck: duckdb.DuckDBPyConnection) -> None:
    assert converted(duck, binary.guid("x"), [GUID, GUID.upper()]) == [GUID.replace("-", "")] * 2
