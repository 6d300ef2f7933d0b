"""Rows of a DuckDB query in PostgreSQL's binary format: what arrives is what was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_idm.repository.dialects import PostgresqlDialect, postgresql_binary
from airflow_provider_idm.repository.dialects.postgresql_binary import copy_data
from airflow_provider_idm.repository.schema import Moment, text

Row = tuple[int, str | None, str, int | None, int | None, bool | None, datetime, datetime | None]

TABLE = sa.Table(
    'Odd "name"',
    sa.MetaData(),
    sa.Column("N", sa.BigInteger, nullable=False),
    sa.Column("Text", text()),
    sa.Column('Short "text"', text(443), nullable=False),
    sa.Column("Small", sa.Integer),
    sa.Column("Great", sa.BigInteger),
    sa.Column("Truth", sa.Boolean),
    sa.Column("Since", Moment, nullable=False),
    sa.Column("Until", Moment),
)
ARROW = pa.schema(
    [
        ("N", pa.int64()),
        ("Text", pa.string()),
        ('Short "text"', pa.string()),
        ("Small", pa.int32()),
        ("Great", pa.int64()),
        ("Truth", pa.bool_()),
        ("Since", pa.timestamp("us")),
        ("Until", pa.timestamp("us")),
    ]
)
DAWN, DUSK = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - UTC, as sent

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(
    [
        "",
        '"',
        '""',
        "\\N",
        "\\.",
        "\t",
        "a,b;c|d",
        "line\nbreak\r\n",
        "NULL",
        "é" * 1000,
        "👩‍👩‍👧",
        "\ufeff",
        " ",
    ]
)
moments = st.datetimes(DAWN, DUSK)
rows = st.lists(
    st.tuples(
        st.none() | texts,
        texts.map(lambda found: found[:443]),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        moments,
        st.none() | moments,
    ),
    max_size=60,
).map(lambda found: [(n, *row) for n, row in enumerate(found)])

EXTREMES = [
    (0, None, "", None, None, None, DAWN, None),
    (1, "", "a", -(2**31), -(2**63), False, DUSK, DAWN),
    (2, "x" * 100_000, "é", 2**31 - 1, 2**63 - 1, True, datetime(1999, 12, 31, 23, 59, 59, 999_999), DUSK),  # noqa: DTZ001
    (3, "'", "b", 0, 0, True, datetime(2000, 1, 1), datetime(1970, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001
]


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[sa.Engine]:
    made = PostgresqlDialect().engine(postgresql_url)
    TABLE.create(made)
    yield made
    made.dispose()


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def copy(engine: sa.Engine, duck: duckdb.DuckDBPyConnection, query: str, table: sa.Table = TABLE) -> None:
    """Copy the rows of a query into a table, in one transaction."""
    name = engine.dialect.identifier_preparer.format_table(table)
    with (
        engine.begin() as connection,
        closing(connection.connection.cursor()) as cursor,
        cursor.copy(f"COPY {name} FROM STDIN (FORMAT binary)") as copying,
        closing(copy_data(duck, query, list(table.c))) as pieces,
    ):
        for piece in pieces:
            copying.write(piece)


def copied(engine: sa.Engine, table: sa.Table = TABLE) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(table.c.N))]


def in_utc(found: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in row) for row in found]


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


# --------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("moments_as", ["moments", "text"])
@pytest.mark.parametrize(("at_once", "size"), [(20_480, 32 << 20), (7, 32 << 20), (20_480, 300)])
@given(found=rows)
@example(found=EXTREMES)
@example(found=[])
def test_what_is_copied_is_what_was_there(
    engine: sa.Engine,
    duck: duckdb.DuckDBPyConnection,
    at_once: int,
    size: int,
    moments_as: str,
    found: list[Row],
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(TABLE))
    values = [dict(zip(ARROW.names, row, strict=True)) for row in found]
    duck.register("given", pa.Table.from_pylist(values, schema=ARROW))
    written = {"moments": "*", "text": "* REPLACE (Since::VARCHAR AS Since, Until::VARCHAR AS Until)"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgresql_binary, "_ROWS", at_once)
        patch.setattr(postgresql_binary, "_BYTES", size)
        copy(engine, duck, f"SELECT {written[moments_as]} FROM given")

    assert copied(engine) == in_utc(found)


def test_columns_that_are_nothing_but_null(engine: sa.Engine, duck: duckdb.DuckDBPyConnection) -> None:
    """A NULL of the query has no type of its own."""
    copy(
        engine,
        duck,
        'SELECT i AS "N", NULL AS "Text", \'\' AS "Short ""text""", NULL AS "Small", NULL AS "Great", '
        'NULL AS "Truth", \'2024-02-29 12:00:00.000001\' AS "Since", NULL AS "Until" FROM range(3000) t(i)',
    )
    day = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)
    assert copied(engine) == [(n, None, "", None, None, None, day, None) for n in range(3000)]


LONG = sa.Table("Long", sa.MetaData(), sa.Column("N", sa.Integer), sa.Column("Content", text()))


def test_long_values(engine: sa.Engine, duck: duckdb.DuckDBPyConnection) -> None:
    LONG.create(engine)

    copy(
        engine,
        duck,
        """SELECT i AS "N", repeat('é', CASE i WHEN 2 THEN 20 << 20 WHEN 4 THEN 6000000 ELSE i END) AS "Content"
           FROM range(6) t(i)""",
        LONG,
    )

    with engine.connect() as connection:
        lengths = connection.exec_driver_sql(
            """SELECT "N", octet_length("Content"), "Content" = repeat('é', length("Content")) FROM "Long" ORDER BY 1"""
        ).all()
    expected = [0, 2, 40 << 20, 6, 12_000_000, 10]
    assert lengths == [(n, length, True) for n, length in enumerate(expected)]


def test_long_rows_are_laid_out_few_at_a_time(
    duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_binary, "_BYTES", 1 << 20)
    query = """SELECT i AS "N", repeat('x', 100000) AS "Content" FROM range(100) t(i)"""
    pieces = [len(piece) for piece in copy_data(duck, query, list(LONG.c))]
    assert sum(pieces) == 19 + 100 * (2 + 4 + 4 + 4 + 100_000) + 2
    assert max(pieces) < 3 << 19


# --------------------------------------------------------------------------------------------------------- errors

VALUE = "Geheimniskrämer"


@pytest.mark.parametrize("at", [0, 150_000, 199_999])
def test_an_error_in_the_middle_copies_nothing(
    engine: sa.Engine, duck: duckdb.DuckDBPyConnection, at: int
) -> None:
    """It is DuckDB's own, however far the rows had come."""
    LONG.create(engine)
    bad = f"CASE WHEN i = {at} THEN '{VALUE}' ELSE i::VARCHAR END AS \"N\", '' AS \"Content\""

    with pytest.raises(duckdb.ConversionException, match="to INT32"):
        copy(engine, duck, f"SELECT {bad} FROM range(200000) t(i)", LONG)

    assert copied(engine, LONG) == []
    assert "rows for the repository" not in names()
    assert duck.execute("SELECT 42").fetchall() == [(42,)]


def test_a_number_too_great_for_its_column_is_refused(
    engine: sa.Engine, duck: duckdb.DuckDBPyConnection
) -> None:
    LONG.create(engine)
    with pytest.raises(duckdb.ConversionException):
        copy(engine, duck, 'SELECT 2147483648 AS "N", \'\' AS "Content"', LONG)
    assert copied(engine, LONG) == []


def test_what_the_server_refuses_ends_the_thread(engine: sa.Engine, duck: duckdb.DuckDBPyConnection) -> None:
    narrow = sa.Table("Narrow", sa.MetaData(), sa.Column("N", sa.Integer), sa.Column("Content", text(3)))
    narrow.create(engine)

    with pytest.raises(Exception, match="value too long"):
        copy(
            engine,
            duck,
            'SELECT i AS "N", repeat(\'x\', 100) AS "Content" FROM range(1000000) t(i)',
            narrow,
        )

    assert copied(engine, narrow) == []
    assert "rows for the repository" not in names()
    assert duck.execute("SELECT 42").fetchall() == [(42,)]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_who_gives_up_early_leaves_nothing_running(duck: duckdb.DuckDBPyConnection, taken: int) -> None:
    duck.execute("CREATE TEMP TABLE numbers AS SELECT i, i::VARCHAR AS t FROM range(1000000) t(i)")
    pieces = copy_data(duck, 'SELECT i AS "N", t AS "Content" FROM numbers', list(LONG.c))

    assert len(list(islice(pieces, taken))) == taken
    pieces.close()

    assert "rows for the repository" not in names()
    assert duck.execute("SELECT count(*), max(i) FROM numbers").fetchall() == [(1_000_000, 999_999)]
    duck.execute("DROP TABLE numbers")
