"""One DuckDB connection: bounded memory, a spill folder of its own, closed and cleaned up.

Prepare and synchronize do their set-based work in it. Nothing is kept: the database lives in memory and in
the spill folder, and both go when the connection is closed.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import ConfigurationError, DataError, ResourcesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

log = logging.getLogger(__name__)

MEMORY_LIMIT: Final = "1.4GB"
"""What is taken unless somebody says otherwise: the whole process stays below 2 GiB then."""
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*[KMGT](?:B|iB)?\s*", re.IGNORECASE)
_TOO_LONG = 12


def check_memory_limit(text: str) -> str:
    """Return a size if it is one: a number and a unit, ``1GB``, ``512MiB``.

    :raises ConfigurationError: if it is none.
    """
    match = _SIZE.fullmatch(text)
    if match is None or len(text) > _TOO_LONG or float(match[1]) == 0:
        raise ConfigurationError(
            f"{text!r} cannot be a memory limit; expected a number and a unit (KB, MB, GB, TB), such as 1GB or 512MiB"
        )
    return text


@contextlib.contextmanager
def open_engine(
    folder: Path, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection whose memory is bounded and whose overflow goes to disk.

    :param folder: an existing work folder; the spill folder is made inside it and removed again.
    :param memory_limit: how much memory DuckDB may take, as it writes sizes (``1GB``, ``512MiB``).
    :param threads: how many threads work; None for one per core.
    :raises ConfigurationError: if the memory limit is no size.
    :raises ResourcesError: if the work needs more memory, or more room on the disk.
    """
    check_memory_limit(memory_limit)
    import duckdb  # noqa: PLC0415 - heavy; never at DAG-parse time

    spill = Path(tempfile.mkdtemp(prefix="spill-", dir=folder))
    try:
        with contextlib.closing(_connect(spill, memory_limit, threads)) as connection:
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise ResourcesError(
            f"the data needs more memory than {memory_limit}, or more room for what overflows to {folder}; give more "
            "(--memory-limit on the command line, memory_limit of an operator), or make room there"
        ) from error
    except duckdb.IOException as error:
        raise ResourcesError(
            f"a file in {folder} could not be read or written: {_first_line(error)}"
        ) from error
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        # These quote the line, and with it what somebody's record says.
        log.debug("DuckDB said", exc_info=error)
        kind = type(error).__name__
        raise DataError(
            f"a file could not be read as what it was written as ({kind}): prepare it again"
        ) from None
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _connect(spill: Path, memory_limit: str, threads: int | None) -> duckdb.DuckDBPyConnection:
    import duckdb  # noqa: PLC0415 - heavy

    connection = duckdb.connect(
        ":memory:",
        config={  # type: ignore[arg-type]  # a dict of text is one of the unions, invariant or not
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": "false",
            "TimeZone": "UTC",
        }
        | ({} if threads is None else {"threads": str(threads)}),
    )
    # A progress bar would go to standard output, in the middle of what a program reads there.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


_STREAMED: Final = {
    "Out of Memory Error": "OutOfMemoryException",
    "IO Error": "IOException",
    "Conversion Error": "ConversionException",
    "Invalid Input Error": "InvalidInputException",
}
"""How Arrow's messages begin that pass on an error of DuckDB's, and what that was."""


def record_batches(duck: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a query, so many at once; any error is raised as DuckDB's own.

    One that comes up after the first rows passes through Arrow, and would be an OSError that quotes them.
    """
    import duckdb as library  # noqa: PLC0415 - heavy; never at DAG-parse time

    # texts of more than 2 GiB together, as those of photos, need offsets of 64 bits
    duck.execute("SET arrow_large_buffer_size = true")
    try:
        yield from duck.sql(query).to_arrow_reader(rows)
    except OSError as error:
        kind, _, _ = str(error).partition(":")
        raise getattr(library, _STREAMED.get(kind, "Error"))(str(error)) from None
    finally:
        duck.execute("RESET arrow_large_buffer_size")


def scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """Execute a statement and return the first value of its first row, or None if it gives none."""
    # all rows are fetched: an unfinished result would keep the connection busy
    rows = connection.execute(statement).fetchall()
    return rows[0][0] if rows else None


def identifier(name: str) -> str:
    """Quote a name (table, column) for DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text as a literal of DuckDB's SQL.

    :raises ValueError: if the text holds a NUL character, which a statement cannot.
    """
    if "\0" in text:
        raise ValueError("a text in a statement cannot hold a NUL character")
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def joins_as_written(duck: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Have what stands on the right of each join looked up, whatever the optimizer takes for smaller.

    How many rows a CSV file or a stream has is not known before it is read. The optimizer takes it for few, and would
    make the hash table of the larger side: many times the memory, and half of the speed.
    """
    duck.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        yield
    finally:
        duck.execute("RESET disabled_optimizers")


def count_rows(duck: duckdb.DuckDBPyConnection, source: str) -> int:
    """Return how many rows a FROM item (a table, a query in parentheses) has."""
    return int(scalar(duck, f"SELECT count(*) FROM {source}"))


def has_rows(duck: duckdb.DuckDBPyConnection, source: str) -> bool:
    """Tell whether a FROM item has any row."""
    return scalar(duck, f"SELECT 1 FROM {source} LIMIT 1") is not None
