"""Tables in memory, and Parquet files, as column names and batches of Arrow arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import SourceFileError
from airflow_provider_idm.synchronization.prepare.table_values import ValueKindError, texts_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS: Final = 100_000
"""Rows of a batch."""

Opened = tuple[list[str], "Iterator[list[pa.Array | ValueKindError]]"]
"""Column names, and batches: for each column its values, or why they cannot be had."""


@contextmanager
def open_table(label: str, table: Any) -> Iterator[Opened]:
    """Open a table, whatever it is.

    :param label: what messages call it.
    :param table: a pandas DataFrame, a pyarrow Table or anything else with Arrow's interface, a list of dicts (one per
        row), or the path or URL of a Parquet file.
    :raises SourceFileError: if it is none of these, or the Parquet file cannot be read.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(table, pandas.DataFrame):
        yield _frame(label, table)
    elif hasattr(table, "__arrow_c_stream__"):
        yield _arrow(table)
    elif isinstance(table, (str, PathLike)) or hasattr(table, "open"):
        with _parquet(label, table) as opened:
            yield opened
    elif isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        yield _rows(label, table)
    else:
        what = "nothing (did its task return it?)" if table is None else f"a {type(table).__name__}"
        raise SourceFileError(
            f"{label} is {what}; expected a pandas DataFrame, a pyarrow Table, a list of dicts, or the path of a "
            "Parquet file"
        )


def _frame(label: str, frame: pd.DataFrame) -> Opened:
    if frame.columns.nlevels > 1:
        raise SourceFileError(
            f"{label} has columns of {frame.columns.nlevels} levels; expected one name per column"
        )

    def batches() -> Iterator[list[Any]]:
        for first in range(0, len(frame), ROWS):
            part = frame.iloc[first : first + ROWS]
            yield [_series(part.iloc[:, number]) for number in range(part.shape[1])]

    return [str(name) for name in frame.columns], batches()


def _series(series: pd.Series[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if series.dtype != object and not str(series.dtype).startswith(("period", "interval")):
        try:
            array = pa.array(series, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return _texts(series.tolist())
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return _texts(series.tolist())


def _rows(label: str, rows: Sequence[Mapping[Any, Any]]) -> Opened:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise SourceFileError(
            f"{label} is a list without a row, so its columns are unknown; give a DataFrame instead"
        )

    def batches() -> Iterator[list[Any]]:
        for first in range(0, len(rows), ROWS):
            part = rows[first : first + ROWS]
            yield [_texts([row.get(name) for row in part]) for name in names]

    return [str(name) for name in names], batches()


def _texts(values: list[Any]) -> Any:
    try:
        return texts_of(values)
    except ValueKindError as error:
        return error


def _arrow(table: Any) -> Opened:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    reader = pa.RecordBatchReader.from_stream(table)
    return list(reader.schema.names), _sliced(reader)


def _sliced(batches: Any) -> Iterator[list[Any]]:
    for batch in batches:
        for first in range(0, batch.num_rows, ROWS):
            yield list(batch.slice(first, ROWS).columns)


@contextmanager
def _parquet(label: str, path: Any) -> Iterator[Opened]:
    import fsspec  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    try:
        opened = path.open("rb") if hasattr(path, "open") else fsspec.open(str(path), "rb").open()
    except FileNotFoundError:
        raise SourceFileError(f"{label}: there is no file {path}; expected a Parquet file") from None
    except (OSError, ImportError, ValueError) as error:
        raise SourceFileError(f"{label}: {path} cannot be read: {error}") from error
    with opened as file:
        try:
            content = pq.ParquetFile(file)
        except pa.ArrowInvalid:
            raise SourceFileError(f"{label}: {path} is not a Parquet file, or a broken one") from None
        yield list(content.schema_arrow.names), _sliced(content.iter_batches(ROWS))
