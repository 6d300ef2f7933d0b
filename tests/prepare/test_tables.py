"""Tables given instead of source files: DataFrames, Arrow tables, lists of dicts and Parquet files."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_idm.configuration.enums import FormatName, PropertyType, SourceType
from airflow_provider_idm.errors import PrepareError, SourceFileError
from airflow_provider_idm.synchronization.exchange import Origin
from tests.builders import make_entity_type, make_mappings, make_property
from tests.prepare.desk import COMPLETE, INCREMENTAL, Desk

PERSONS = {"id": ["b", "a", None, "b"], "name": ["Bea", None, "Nobody", "Again"], "level": [2, 1, None, 9]}
SORTED = "Id,Name,Level\na,,1\nb,Bea,2\n"


def parquet(folder: Path) -> str:
    path = folder / "persons.parquet"
    pq.write_table(pa.table(PERSONS), path)
    return str(path)


KINDS: dict[str, Callable[[Path], Any]] = {
    "frame": lambda _: pd.DataFrame(PERSONS),
    "frame with an index": lambda _: pd.DataFrame(PERSONS, index=list("wxyz")),
    "frame of objects": lambda _: pd.DataFrame(PERSONS, dtype=object),
    "nullable frame": lambda _: pd.DataFrame(PERSONS).convert_dtypes(),
    "arrow frame": lambda _: pd.DataFrame(PERSONS).convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda _: pd.DataFrame(PERSONS).astype("category"),
    "arrow table": lambda _: pa.table(PERSONS),
    "record batch": lambda _: pa.RecordBatch.from_pydict(PERSONS),
    "chunked": lambda _: pa.concat_tables([pa.table(PERSONS).slice(0, 1), pa.table(PERSONS).slice(1)]),
    "dictionary": lambda _: pa.table({k: pa.array(v).dictionary_encode() for k, v in PERSONS.items()}),
    "list": lambda _: [dict(zip(PERSONS, row, strict=True)) for row in zip(*PERSONS.values(), strict=True)],
    "parquet": parquet,
    "path": lambda folder: Path(parquet(folder)),
    "url": lambda folder: f"file://{parquet(folder)}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_cleansed_like_a_source_file(desk: Desk, tmp_path: Path, kind: str) -> None:
    result = desk.prepare(tables={"persons": KINDS[kind](tmp_path)})

    (file,) = result.manifest.files
    assert (file.rows, file.nullpk, file.duplicates) == (2, 1, 1)
    assert desk.collected("Person.sorted.csv") == SORTED
    # the last column is the row's number
    assert desk.collected("Person.nullpk.csv") == "id,name,level,line\n,Nobody,,3\n"
    assert desk.collected("Person.duplicates.csv") == "id,name,level,line\nb,Again,9,4\n"
    assert not [p for p in desk.connector.iterdir() if p.name.startswith(".prepare-")]


def test_a_table_takes_the_place_of_the_file_and_the_others_are_read(full_desk: Desk) -> None:
    full_desk.write("persons", "no longer read")
    full_desk.write("organizations", "code;label\nO;Office\n")

    full_desk.prepare(
        tables={"persons.csv": pd.DataFrame({"id": ["a"], "name": "A", "level": 1, "organization": "O"})},
        encoding="utf-8",
        separator=";",
    )

    assert full_desk.collected("Person_Organization.sorted.csv") == "key1,key2\na,O\n"
    assert full_desk.collected("Organization.sorted.csv") == "Code,Label\nO,Office\n"


def test_the_same_rows_as_file_and_as_table_make_the_same_clean_file(desk: Desk) -> None:
    desk.write("persons", "id,name,level\nb,Bea,2\na,,1\n,Nobody,\nb,Again,9\n")

    from_file, from_table = desk.prepare(), desk.prepare(tables={"persons": pd.DataFrame(PERSONS)})

    (file,) = from_file.manifest.files
    assert from_table.manifest.files == (replace(file, source=None),)
    assert file.source == str(desk.sources / "persons.csv")
    assert not from_table.reused


# ---------------------------------------------------------------------------------------------- values

MOMENT = dt.datetime(2024, 1, 31, 8, 30, 5)  # noqa: DTZ001 - as a naive column has it
PARIS = "Europe/Paris"
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, None]), "1"),
        (pd.Series([1.0, np.nan]), "1"),
        (pd.Series([0.1, np.nan]), "0.1"),
        (pd.Series([1e20, np.nan]), "1e+20"),
        (pd.Series([np.float32(0.1), np.nan], dtype="float32"), "0.1"),
        (pd.Series([2**62, 0])[:1], str(2**62)),
        (pd.Series([True, None]), "true"),
        (pd.Series([True, None], dtype="boolean"), "true"),
        (pd.Series([False, True])[:1], "false"),
        (pd.Series(["00042", None]), "00042"),
        (pd.Series(["", None]), ""),
        (pd.Series(['a "b",\nc', None]), '"a ""b"",\nc"'),
        (pd.Series([MOMENT, pd.NaT]), "2024-01-31T08:30:05"),
        (pd.Series([MOMENT, pd.NaT]).dt.tz_localize(PARIS), "2024-01-31T07:30:05"),
        (pd.Series([MOMENT.replace(microsecond=250_000), pd.NaT]), "2024-01-31T08:30:05.250000"),
        (pd.Series([dt.date(2024, 1, 31), None]), "2024-01-31"),
        (pd.Series([dt.time(8, 30), None]), "08:30:00"),
        (pd.Series([b"\x00\xff", None]), "AP8="),
        (pd.Series([decimal.Decimal("10.50"), None]), "10.5"),
        (pd.Series([decimal.Decimal(100), decimal.Decimal("NaN")]), "100"),
        (pd.Series([ID, None]), str(ID)),
        (pd.Series([1, None], dtype=object), "1"),
        (pd.Series([np.int8(3), "x"], dtype=object)[:1], "3"),
        (pd.Series([pd.Timestamp(MOMENT, tz=PARIS), "x"], dtype=object)[:1], "2024-01-31T07:30:05"),
        (pd.Series(["x", None], dtype="category"), "x"),
        (pd.arrays.SparseArray([7, np.nan]), "7"),
        (pa.array([dt.datetime(9999, 12, 31)]), "9999-12-31T00:00:00"),  # noqa: DTZ001
        (pa.array([1], pa.uint64()), "1"),
        (pa.array([b"\x00\xff"], pa.binary(2)), "AP8="),
        (pa.array([decimal.Decimal("10.50")]), "10.5"),
        (pa.array([decimal.Decimal("10.00")]), "10"),
        (pa.array([dt.date(2024, 1, 31)], pa.date64()), "2024-01-31"),
        (pa.array([MOMENT], pa.timestamp("ns", tz="UTC")), "2024-01-31T08:30:05"),
        (pa.array([None], pa.null()), ""),
        (pa.array(["x"], pa.string_view()), "x"),
        (pa.array([float("nan")]), ""),
    ],
)
def test_values_as_a_file_would_have_them(tmp_path: Path, column: Any, expected: str) -> None:
    thing = make_entity_type(
        "Thing", make_property("Id", "id", is_primary_key=True), make_property("Value", "value")
    )
    desk = Desk(tmp_path, make_mappings(thing))
    ids = [f"k{n}" for n in range(len(column))]
    table = (
        pa.table({"id": ids, "value": column})
        if isinstance(column, pa.Array)
        else pd.DataFrame({"id": ids, "value": column})
    )

    desk.prepare(tables={"Thing": table})

    text = desk.collected("Thing.sorted.csv").removeprefix("Id,Value\n")
    assert text.startswith(f"k0,{expected}\n")
    assert text[len(f"k0,{expected}\n") :] in {"", "k1,\n"}


def test_values_fit_properties_of_every_type(tmp_path: Path) -> None:
    names = {
        "Int": PropertyType.INT32,
        "Flag": PropertyType.BOOL,
        "Moment": PropertyType.DATE_TIME,
        "Share": PropertyType.DOUBLE,
        "Photo": PropertyType.BINARY,
        "Guid": PropertyType.GUID,
    }
    thing = make_entity_type(
        "Thing",
        make_property("Id", "id", is_primary_key=True),
        *(make_property(name, name, kind) for name, kind in names.items()),
        make_property("Day", "Day", PropertyType.DATE_TIME, FormatName.DATE),
    )
    desk = Desk(tmp_path, make_mappings(thing))
    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "Int": [7, None],
            "Flag": [True, None],
            "Moment": pd.Series([MOMENT, None]).dt.tz_localize(PARIS),
            "Share": [0.25, None],
            "Photo": [b"abc", None],
            "Guid": [ID, None],
            "Day": pd.to_datetime(pd.Series(["2024-01-31", None])),
        }
    )

    desk.prepare(tables={"Thing": frame})

    assert desk.collected("Thing.sorted.csv") == (
        "Id,Int,Flag,Moment,Share,Photo,Guid,Day\n"
        f"a,7,1,20240131073005,0.25,YWJj,{ID.hex},20240131000000\n"
        "b,,,,,,,\n"
    )


# ----------------------------------------------------------------------------------------------- wrong


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pd.DataFrame({"id": ["a", "b"], "name": ["x", ["secret"]], "level": 1}),
            "table persons, row 2, column name: a list of values; a field holds one value: join them to a text",
        ),
        (
            pa.table({"id": ["a"], "name": [["secret"]], "level": [1]}),
            "table persons, column name: a list of values; a field holds one value",
        ),
        (
            pd.DataFrame({"id": ["a"], "name": [{"secret": 1}], "level": 1}),
            "table persons, row 1, column name: a value of the kind dict; expected texts, numbers, dates",
        ),
        (
            pa.table({"id": ["a"], "name": [{"secret": 1}], "level": [1]}),
            "table persons, column name: values of the kind struct<secret: int64>; expected texts",
        ),
        (
            pd.DataFrame({"id": ["a"], "name": "x", "level": [np.inf]}),
            "table persons, row 1, column level: an infinite number",
        ),
        (
            pd.DataFrame({"id": [133_801_234_567_890_123, None], "name": "x", "level": 1}),
            "table persons, row 1, column id: a whole number as a float, too long for all of its digits; give the",
        ),
        (
            pd.DataFrame({"id": ["a"], "name": pd.Series([dt.timedelta(days=1)]), "level": 1}),
            "table persons, column name: values of the kind duration[",
        ),
        (
            pd.DataFrame({"id": ["a"], "name": pd.period_range("2024", periods=1), "level": 1}),
            "table persons, row 1, column name: a value of the kind Period",
        ),
        (
            pd.DataFrame({"id": ["a"], "nmae": "x", "level": 1}),
            "table persons: the mapped column 'name' is missing (did you mean 'nmae'?). The header has: id, nmae, level",
        ),
        (
            pd.DataFrame([["a", "b", "c", 1]], columns=["id", "name", "name", "level"]),
            "table persons: the column 'name' stands in the header more than once",
        ),
        (
            pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
            "table persons has columns of 2 levels; expected one name per column",
        ),
        (
            None,
            "table persons is nothing (did its task return it?); expected a pandas DataFrame, a pyarrow Table",
        ),
        (
            7,
            "table persons is a int; expected a pandas DataFrame, a pyarrow Table, a list of dicts, or the path of a",
        ),
        ([], "table persons is a list without a row, so its columns are unknown; give a DataFrame instead"),
        ("missing.parquet", "table persons: there is no file missing.parquet; expected a Parquet file"),
        (__file__, "test_tables.py is not a Parquet file, or a broken one"),
        ("none://x/persons.parquet", "table persons: none://x/persons.parquet cannot be read"),
    ],
)
def test_what_cannot_be_a_source_is_refused(desk: Desk, table: Any, message: str) -> None:
    desk.write("persons", "id,name,level\na,A,1\n")
    desk.prepare()
    before = desk.state()

    with pytest.raises(SourceFileError) as caught:
        desk.prepare(tables={"persons": table})

    assert message in str(caught.value)
    assert "secret" not in str(caught.value).replace("struct<secret", "")
    assert desk.state() == before


def test_a_table_that_no_mapping_reads(desk: Desk) -> None:
    frame = pd.DataFrame(PERSONS)

    with pytest.raises(
        PrepareError,
        match=r"a table is given as person, but no mapping of the connector has this ConnectionTable; did you mean pers",
    ):
        desk.prepare(tables={"person": frame})
    with pytest.raises(PrepareError, match=r"two tables are given as persons, one of them with \.csv"):
        desk.prepare(tables={"persons": frame, "persons.csv": frame})


def test_columns_that_nobody_reads_may_hold_anything(desk: Desk) -> None:
    frame = pd.DataFrame(PERSONS).assign(tags=[["x"], [], [{}], None], team=pd.Timedelta(days=1))

    desk.prepare(tables={"persons": frame})

    assert desk.collected("Person.sorted.csv") == SORTED
    assert desk.collected("Person.nullpk.csv") == "id,name,level,tags,team,line\n,Nobody,,,,3\n"


def test_a_value_that_does_not_convert_is_named_by_table_and_row(desk: Desk) -> None:
    frame = pd.DataFrame({"id": ["a", "two\nlines", "c"], "name": "x", "level": ["1", "2", "three"]})

    with pytest.raises(
        SourceFileError, match="table persons, row 3, column level: 'three'; expected Int32: a whole number"
    ):
        desk.prepare(tables={"persons": frame})

    assert desk.collected("Person.invalid.csv").splitlines()[-1].endswith(",3")


def test_a_row_like_the_header_is_a_row(desk: Desk) -> None:
    frame = pd.DataFrame({"id": ["a", "id"], "name": ["x", "name"], "level": [None, None]})

    desk.prepare(tables={"persons": frame})

    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\na,x,\nid,name,\n"


@pytest.mark.parametrize("rows", [0, 3])
def test_a_table_of_one_column(tmp_path: Path, rows: int) -> None:
    desk = Desk(
        tmp_path, make_mappings(make_entity_type("Code", make_property("Id", "id", is_primary_key=True)))
    )

    result = desk.prepare(tables={"Code": pd.DataFrame({"id": ["b", None, "a"][:rows]})})

    assert desk.collected("Code.sorted.csv") == "Id\n" + ("a\nb\n" if rows else "")
    assert result.manifest.files[0].nullpk == rows // 3


# ------------------------------------------------------------------------------- changes and retries


def test_an_incremental_compares_a_table_with_the_former_one(desk: Desk) -> None:
    desk.prepare(tables={"persons": pd.DataFrame(PERSONS)})

    result = desk.prepare(INCREMENTAL, tables={"persons": pd.DataFrame(PERSONS).assign(name="New")[:1]})

    assert result.as_dict()["files"]["Person"]["updates"] == 1
    assert desk.collected("Person.sorted.delta") == "command,Id,Name,Level\ndelete,a,,\nupdate,b,New,2\n"


def test_a_table_may_be_a_list_of_changes(desk: Desk) -> None:
    desk.prepare(tables={"persons": pd.DataFrame(PERSONS)})
    changes = pd.DataFrame({"Command": ["ADD", "remove"], "id": ["c", "a"], "name": ["Cy", None], "level": 3})

    desk.prepare(INCREMENTAL, type=SourceType.CHANGES, tables={"persons": changes})

    assert desk.collected("Person.sorted.delta") == "command,Id,Name,Level\ndelete,a,,\ninsert,c,Cy,3\n"
    with pytest.raises(SourceFileError, match="table persons: the command column 'what' is missing"):
        desk.prepare(INCREMENTAL, type=SourceType.CHANGES, column_name="what", tables={"persons": changes})
    with pytest.raises(
        SourceFileError, match="table persons, row 2, column Command: 'x'\nexpected a command"
    ):
        desk.prepare(
            INCREMENTAL,
            type=SourceType.CHANGES,
            tables={"persons": changes.assign(Command=["ADD", "x"])},
        )


def test_a_retry_returns_the_batch_and_so_does_the_same_table_of_a_former_day(desk: Desk) -> None:
    request = desk.request(
        tables={"persons": pd.DataFrame(PERSONS)},
        origin=Origin(job="hr", run="r1", task="prepare"),
        effective_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    )
    from airflow_provider_idm.synchronization.prepare import prepare

    first = prepare(request)
    again = prepare(request)
    later = prepare(
        replace(
            request,
            origin=Origin(job="hr", run="r2", task="prepare"),
            effective_date=dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
        )
    )
    backwards = prepare(replace(request, origin=Origin(job="hr", run="r3", task="prepare"), mode=COMPLETE))

    assert again.reused
    assert again.manifest.batch == first.manifest.batch == backwards.manifest.batch
    assert later.manifest.batch != first.manifest.batch
    changed = pd.DataFrame(PERSONS).assign(name="Other")
    with pytest.raises(PrepareError, match="is not what was prepared for its date"):
        prepare(
            replace(request, origin=Origin(job="hr", run="r4", task="prepare"), tables={"persons": changed})
        )


def test_many_rows_are_written_in_pieces(desk: Desk) -> None:
    count = 250_001
    frame = pd.DataFrame({"id": np.arange(count), "name": "x", "level": [*range(count - 1), "bad"]})

    with pytest.raises(SourceFileError, match=f"table persons, row {count}, column level: 'bad'"):
        desk.prepare(tables={"persons": frame})
    result = desk.prepare(tables={"persons": frame[: count - 1]})

    assert result.manifest.files[0].rows == count - 1
