"""Rows of a DuckDB query in the binary format of PostgreSQL's COPY.

The server reads it in two thirds of the time that it takes to read text: numbers and moments need no parsing, values no
looking for quotes. Whole columns are laid out at once: each value is its length, four bytes, and its bytes; each row is
the number of its values, and these one after the other.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Integer

from airflow_provider_idm.engine import identifier, record_batches
from airflow_provider_idm.repository.dialects.base import rows_a_batch
from airflow_provider_idm.repository.schema import Moment

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_EPOCH: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's moments begin."""
_ROWS: Final = 20_480
"""Rows laid out at once: ten of DuckDB's vectors."""
_BYTES: Final = 32 << 20
"""Bytes laid out at once, if the rows are that long."""
_AHEAD: Final = 4
"""Pieces that are ready before the server wants them."""


def copy_data(
    duck: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column[Any]]
) -> Generator[memoryview | bytes]:
    """Yield the rows of a query as what ``COPY … FROM STDIN (FORMAT binary)`` takes.

    They are worked out in a thread of their own; nothing else may use the connection before the last one is there.

    :param columns: those that the query's columns go to, in order: text, whole numbers, truth values or moments.
    """
    pieces: queue.Queue[memoryview | BaseException | None] = queue.Queue(_AHEAD)
    given_up = threading.Event()

    def put(piece: memoryview | BaseException | None) -> None:
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                pieces.put(piece, timeout=0.1)
                return

    def work() -> None:
        try:
            rows = min(_ROWS, rows_a_batch(columns))
            for batch in record_batches(duck, _typed(query, columns), rows):
                for piece in _pieces(batch, columns):
                    put(piece)
                    if given_up.is_set():
                        return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            put(error)

    thread = threading.Thread(target=work, name="rows for the repository")
    thread.start()
    try:
        yield _BEGIN
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece  # noqa: TRY301 - what the other thread raised
            yield piece
        yield _END
    except BaseException:
        given_up.set()
        duck.interrupt()  # it may be at work for long before the next rows are there
        raise
    finally:
        given_up.set()
        thread.join()


def _typed(query: str, columns: Sequence[Column[Any]]) -> str:
    """Return the query with every column as what is laid out: text, whole numbers, microseconds."""
    selected = []
    for column in columns:
        name = identifier(column.name)
        if isinstance(column.type, Moment):
            selected.append(f"epoch_us(CAST({name} AS TIMESTAMP)) - {_EPOCH} AS {name}")
        elif width := _width(column):
            selected.append(f"CAST({name} AS {_DUCK_TYPES[width]}) AS {name}")
        else:
            selected.append(f"CAST({name} AS VARCHAR) AS {name}")
    return f"SELECT {', '.join(selected)} FROM ({query})"


_DUCK_TYPES: Final = {1: "UTINYINT", 4: "INTEGER", 8: "BIGINT"}


def _width(column: Column[Any]) -> int | None:
    """Return how many bytes a column's values have, or None for text."""
    if isinstance(column.type, Boolean):
        return 1
    if isinstance(column.type, (Moment, BigInteger)):
        return 8
    return 4 if isinstance(column.type, Integer) else None


def _pieces(batch: pa.RecordBatch, columns: Sequence[Column[Any]]) -> Iterator[memoryview]:
    """Lay out a batch, in halves if it is too long."""
    if batch.nbytes > _BYTES and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from _pieces(batch.slice(0, half), columns)
        yield from _pieces(batch.slice(half), columns)
    else:
        yield _lay_out(batch, [_width(column) for column in columns])


def _lay_out(batch: pa.RecordBatch, widths: Sequence[int | None]) -> memoryview:
    """Return the bytes of some rows."""
    import numpy as np  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    rows, binary = batch.num_rows, pa.large_binary()

    def fixed(values: Any) -> pa.Array:
        """Return a NumPy array's items as byte strings of equal length."""
        type_ = pa.binary(values.dtype.itemsize)
        return pa.Array.from_buffers(type_, rows, [None, pa.py_buffer(values)]).cast(binary)

    parts = [fixed(np.full(rows, len(widths), ">i2"))]
    for column, width in zip(batch.columns, widths, strict=True):
        if width is None:
            lengths = pc.fill_null(pc.binary_length(column), -1)
            parts += [fixed(lengths.to_numpy(zero_copy_only=False).astype(">i4")), column.cast(binary)]
            continue
        kind = ">i8" if width == 8 else ">i4" if width == 4 else "u1"
        values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(kind)
        if column.null_count:
            there = pc.is_valid(column)
            lengths = np.where(there.to_numpy(zero_copy_only=False), width, -1).astype(">i4")
            parts += [fixed(lengths), pc.if_else(there, fixed(values), pa.scalar(b"", binary))]
        else:
            both = np.empty(rows, [("length", ">i4"), ("value", kind)])
            both["length"], both["value"] = width, values
            parts.append(fixed(both))
    laid_out = pc.binary_join_element_wise(
        *parts, pa.scalar(b"", binary), null_handling="replace", null_replacement=b""
    )
    ends = np.frombuffer(laid_out.buffers()[1], np.int64)
    return memoryview(laid_out.buffers()[2])[int(ends[0]) : int(ends[rows])]
