"""CSV as source files and query results have it: comma, line feed, quotes only where needed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import IO


class CsvWriter:
    """Writes rows of text.

    :param file: opened with ``newline=""``.
    """

    def __init__(self, file: IO[str]) -> None:
        self._sparing = csv.writer(file, lineterminator="\n")
        self._quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, row: Sequence[str]) -> None:
        """Write a row."""
        # a lone carriage return ends a line for readers, but not every Python's writer quotes it
        (self._quoting if "\r" in "".join(row) else self._sparing).writerow(row)
