"""The DuckDB connection that the work is done in: its settings stay as they are, its errors are its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.engine import joins_as_written, open_engine, record_batches, scalar
from airflow_provider_idm.errors import DataError, ResourcesError

if TYPE_CHECKING:
    import duckdb

VALUE = "Geheimniskrämer"
SETTING = "SELECT current_setting('disabled_optimizers')"


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(tmp_path) as connection:
        yield connection


# ---------------------------------------------------------------------------------------------------------- joins


def test_joins_are_as_written_for_a_while(duck: duckdb.DuckDBPyConnection) -> None:
    duck.execute("CREATE TABLE few AS SELECT i FROM range(10) t(i)")
    duck.execute("CREATE TABLE many AS SELECT i FROM range(100000) t(i)")
    plan = "EXPLAIN (FORMAT json) SELECT * FROM few JOIN many USING (i)"
    before = duck.execute(plan).fetchone()

    with joins_as_written(duck):
        within = duck.execute(plan).fetchone()

    assert before is not None
    assert within is not None
    # What is looked up stands second: the smaller one, unless it is as written.
    assert before[1].index("many") < before[1].index("few")
    assert within[1].index("few") < within[1].index("many")
    assert duck.execute(plan).fetchone() == before


def test_the_optimizer_is_back_after_an_error(duck: duckdb.DuckDBPyConnection) -> None:
    before = scalar(duck, SETTING)

    def fail() -> None:
        assert scalar(duck, SETTING) != before
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), joins_as_written(duck):
        fail()

    assert scalar(duck, SETTING) == before


def test_the_optimizer_is_back_after_a_failed_statement(duck: duckdb.DuckDBPyConnection) -> None:
    import duckdb

    before = scalar(duck, SETTING)
    with pytest.raises(duckdb.Error), joins_as_written(duck):
        duck.execute("SELECT error('no') FROM range(10)")
    assert scalar(duck, SETTING) == before


# --------------------------------------------------------------------------------------------------------- streams


def test_rows_are_streamed(duck: duckdb.DuckDBPyConnection) -> None:
    found = list(record_batches(duck, "SELECT i FROM range(5000) t(i)", 2048))
    assert len(found) > 1
    assert [i for batch in found for i in batch.column(0).to_pylist()] == list(range(5000))


@pytest.mark.parametrize("at", [0, 150_000])
def test_a_value_that_does_not_convert_is_not_told(tmp_path: Path, at: int) -> None:
    """Neither before the first rows nor after them."""
    query = f"SELECT CAST(CASE WHEN i = {at} THEN '{VALUE}' ELSE i::VARCHAR END AS INTEGER) FROM range(200000) t(i)"

    with pytest.raises(DataError, match="ConversionException") as raised, open_engine(tmp_path) as duck:
        list(record_batches(duck, query, 2048))

    assert VALUE not in str(raised.value)
    assert raised.value.__cause__ is None
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_told_after_the_first_rows_too(tmp_path: Path) -> None:
    query = "SELECT repeat('x', CASE WHEN i = 150000 THEN 200 << 20 ELSE 1 END) FROM range(200000) t(i)"
    with (
        pytest.raises(ResourcesError, match="more memory than 100MB"),
        open_engine(tmp_path, "100MB") as duck,
    ):
        list(record_batches(duck, query, 2048))


def test_any_other_error_is_duckdbs(duck: duckdb.DuckDBPyConnection) -> None:
    import duckdb

    with pytest.raises(duckdb.Error):
        list(
            record_batches(duck, "SELECT (i * 9223372036854775) * (i // 1000) FROM range(200000) t(i)", 2048)
        )
