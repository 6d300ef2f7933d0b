"""The structure of a CSV file, proved in one pass over its bytes: records, fields, quotes, line numbers.

DuckDB reads CSV quickly, but lets some damage pass: a delimiter too many at the end of a row, text that only
looks quoted, blank lines, NUL characters. So each source file is also scanned here, a few megabytes at a time
with NumPy. The scan raises an error with the physical line for what no reading could make sense of, and tells
for the rest whether DuckDB reads the file as it should be read (*plain*) or needs a rewritten copy.

How it stays fast: field and record ends are the separators and line feeds outside quotes. If every quote of a
piece stands where a quoted value begins or ends (or is one of a doubled pair), counting quotes says what is
inside them, and nothing has to be walked through one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from airflow_provider_idm.errors import SourceFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

BOM: Final = b"\xef\xbb\xbf"
QUOTE: Final = 34
LF: Final = 10
CR: Final = 13
PIECE: Final = 1 << 19
"""Bytes read at a time; what is worked out of them then fits the processor's cache."""
NAME_ENCODING: Final = "name the file's encoding with --encoding (in an operator: encoding)"
"""What to do about a file that is not UTF-8."""
LONGEST_RECORD: Final = 128 << 20
"""Bytes a record may have; more is taken for a quote that is never closed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a scan expects.

    :param name: the file, for messages.
    :param separator: the byte between fields.
    :param columns: fields of the header, hence of every record.
    :param start: offset of the first byte after the header record.
    :param line: physical line (counted from 1) that begins there.
    :param crlf: whether the header ends with CR LF.
    :param plain: whether DuckDB reads the header as it should.
    :param header: the header record's bytes, if a record like it is to be refused.
    """

    name: str
    separator: int
    columns: int
    start: int
    line: int
    crlf: bool = False
    plain: bool = True
    header: bytes = b""


@dataclass(slots=True)
class Structure:
    """What a scan found.

    :param first_line: physical line on which the first record could begin.
    :param records: how many, the header and blank lines not counted.
    :param longest: bytes of the longest record.
    :param plain: whether DuckDB reads the file as it should be read.
    :param nul: whether there is a NUL character.
    :param steps: see ``extra_lines``.
    """

    first_line: int
    records: int = 0
    longest: int = 0
    plain: bool = True
    nul: bool = False
    steps: list[NDArray[np.int64]] = field(default_factory=list)
    next_line: int = 0

    def count_rows(self) -> None:
        """Call the first record line 1, and each by its number: those of a table have rows, not lines."""
        self.first_line = 1
        self.steps = []

    def extra_lines(self) -> NDArray[np.int64]:
        """Return the records (from 0, ascending) before which one more physical line has gone by.

        That is a blank line, or a line break inside a quoted value. Record r begins on line
        ``first_line`` + r + the number of these that are at most r.
        """
        import numpy as np  # noqa: PLC0415 - heavy

        return np.concatenate(self.steps) if self.steps else np.zeros(0, np.int64)


@dataclass(slots=True)
class Piece:
    """Whole lines of a file.

    :param text: their bytes.
    :param ends: where each record's line feed is (or the end of the text).
    :param marks: where every separator and line feed outside quotes is.
    :param blank: which of ``ends`` end a blank line.
    """

    text: bytes
    ends: NDArray[np.int64]
    marks: NDArray[np.int64]
    blank: NDArray[np.bool_]


def scan(path: Path, layout: Layout) -> Structure:
    """Check every record of a UTF-8 file and return what was found.

    :raises SourceFileError: naming file and line, for the first thing that is wrong.
    """
    found = Structure(layout.line, plain=layout.plain)
    for _ in pieces(path, layout, found):
        pass
    return found


def pieces(path: Path, layout: Layout, found: Structure) -> Iterator[Piece]:
    """Go through a file in pieces of whole records, checking them and adding to ``found``."""
    found.next_line = layout.line
    with path.open("rb") as file:
        file.seek(layout.start)
        rest = b""
        last = False
        while not last:
            read = file.read(max(PIECE, len(rest)))
            last = not read
            text = rest + read if rest else read
            piece = _Splitter(text, layout, found, last=last).split() if text else None
            if piece is None:
                if len(text) > LONGEST_RECORD:
                    fail(
                        layout.name,
                        found.next_line,
                        "a record of more than 128 MiB begins here: is a closing quote missing?",
                    )
                rest = text
                continue
            rest = text[len(piece.text) :]
            _check_text(piece.text, layout, found)
            if layout.header:
                _check_header(piece, layout, found)
            _check_records(piece, layout, found)
            yield piece


def fail(name: str, line: int | None, message: str) -> NoReturn:
    """Raise the error for one line of a source file; None where it has none."""
    raise SourceFileError(f"{name}: {message}" if line is None else f"{name}, line {line}: {message}")


class _Splitter:
    """Cuts the whole records off the beginning of a text."""

    def __init__(self, text: bytes, layout: Layout, found: Structure, *, last: bool) -> None:
        import numpy as np  # noqa: PLC0415 - heavy

        self._text = text
        self._array = np.frombuffer(text, np.uint8)
        self._layout = layout
        self._found = found
        self._last = last

    def split(self) -> Piece | None:
        """Return the whole records of the text, or None if not one has come to its end yet."""
        import numpy as np  # noqa: PLC0415 - heavy

        marks = self._marks()
        returns = np.zeros(0, np.int64)
        if b"\r" in self._text:
            is_return = self._array[marks] == CR
            returns, marks = marks[is_return], marks[~is_return]
            self._check_returns(returns)
        ends = marks[self._array[marks] == LF]
        size = len(self._text)
        if self._last and (not ends.size or ends[-1] != size - 1):
            ends, marks = np.append(ends, size), np.append(marks, size)
        elif not ends.size:
            return None
        cut = int(ends[-1]) + 1
        returns = returns[returns < cut]
        self._note_line_ends(ends.size - int(ends[-1] == size), returns.size)
        lengths = np.diff(ends, prepend=-1) - 1
        self._found.longest = max(self._found.longest, int(lengths.max()))
        blank = lengths == 0
        if returns.size:
            ended = self._array[ends - 1] == CR
            blank |= (lengths == 1) & ended
        return Piece(self._text[:cut], ends, marks[: np.searchsorted(marks, cut)], blank)

    def _marks(self) -> NDArray[np.int64]:
        """Return where separators and line ends outside quotes are."""
        import numpy as np  # noqa: PLC0415 - heavy

        array = self._array
        is_mark = (array == self._layout.separator) | (array == LF)
        if b"\r" in self._text:
            is_mark |= array == CR
        marks = np.flatnonzero(is_mark)
        if b'"' not in self._text:
            return marks
        quotes = np.flatnonzero(array == QUOTE)
        if not self._all_are_borders(quotes):
            self._found.plain = False
            quotes = self._walk(quotes)
        if self._last and quotes.size % 2:
            self._fail(int(quotes[-1]), "the quote that opens a value here is never closed")
        return _outside(marks, quotes)

    def _all_are_borders(self, quotes: NDArray[np.int64]) -> bool:
        """Tell whether each quote opens or closes a value by its place in the row.

        A quote of even place must begin a value or follow a quote, one of odd place must end a value or precede
        a quote. By induction over the values, even ones then open and odd ones close (a doubled quote closes and
        opens again).
        """
        import numpy as np  # noqa: PLC0415 - heavy

        allowed = np.zeros(256, np.bool_)
        allowed[[self._layout.separator, LF, QUOTE]] = True
        opening, closing = quotes[::2], quotes[1::2]
        before = opening[1:] if opening[0] == 0 else opening
        if not allowed[self._array[before - 1]].all():
            return False
        allowed[CR] = True
        after = closing[:-1] if closing.size and closing[-1] == self._array.size - 1 else closing
        return bool(allowed[self._array[after + 1]].all())

    def _walk(self, quotes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the quotes that open and close values; one inside an unquoted value is a character like any."""
        import numpy as np  # noqa: PLC0415 - heavy

        text, size = self._text, len(self._text)
        edges = {self._layout.separator, LF}
        borders: list[int] = []
        inside, doubled = False, -1
        for at in quotes.tolist():
            if at == doubled:
                continue
            if not inside:
                inside = at == 0 or text[at - 1] in edges
                if inside:
                    borders.append(at)
            elif at + 1 < size and text[at + 1] == QUOTE:
                doubled = at + 1
            elif at + 1 == size or text[at + 1] in edges or text[at + 1] == CR:
                borders.append(at)
                inside = False
            else:
                self._fail(
                    at,
                    "text follows a closing quote; expected a separator or the end of the line "
                    "(inside a quoted value a quote is written twice)",
                )
        return np.array(borders, np.int64)

    def _check_returns(self, returns: NDArray[np.int64]) -> None:
        """Refuse a carriage return outside quotes that no line feed follows."""
        size = len(self._text)
        known = returns if self._last or not returns.size or returns[-1] < size - 1 else returns[:-1]
        at_end = known.size > 0 and known[-1] == size - 1
        lone = known[-1:] if at_end else known[self._array[known + 1] != LF]
        if lone.size:
            self._fail(
                int(lone[0]),
                "a lone carriage return; expected lines that end with LF or CR LF, and "
                "quotes around a value with a line break",
            )

    def _note_line_ends(self, lines: int, returns: int) -> None:
        """Note whether all lines of the file end like the header, as DuckDB needs it."""
        if returns != (lines if self._layout.crlf else 0):
            self._found.plain = False

    def _fail(self, at: int, message: str) -> NoReturn:
        fail(self._layout.name, self._found.next_line + self._text.count(b"\n", 0, at), message)


def _outside(marks: NDArray[np.int64], borders: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the marks between an opening and its closing quote."""
    import numpy as np  # noqa: PLC0415 - heavy

    places = np.searchsorted(marks, borders)
    if places.size % 2:
        places = np.append(places, marks.size)
    opening, closing = places[::2], places[1::2]
    holding = opening != closing
    if not holding.any():
        return marks
    steps = np.zeros(marks.size + 1, np.int32)
    np.add.at(steps, opening[holding], 1)
    np.add.at(steps, closing[holding], -1)
    outside: NDArray[np.int64] = marks[np.cumsum(steps[:-1]) == 0]
    return outside


def _check_text(text: bytes, layout: Layout, found: Structure) -> None:
    """Refuse bytes that are not UTF-8; note NUL characters."""
    found.nul = found.nul or b"\0" in text
    if text.isascii() or _is_utf8(text):
        return
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = found.next_line + text.count(b"\n", 0, error.start)
        fail(
            layout.name,
            line,
            f"the byte 0x{text[error.start]:02X} is not UTF-8; {NAME_ENCODING}",
        )


def _is_utf8(text: bytes) -> bool:
    """Tell whether bytes are UTF-8; several times as quick as decoding them."""
    import numpy as np  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415 - heavy

    offsets = pa.py_buffer(np.array([0, len(text)], np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, pa.py_buffer(text)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _check_header(piece: Piece, layout: Layout, found: Structure) -> None:
    """Refuse a record that is the header: pages of a report, or files put together."""
    import numpy as np  # noqa: PLC0415 - heavy

    for header in (layout.header, BOM + layout.header):
        for at in _lines_that_begin(piece.text, header):
            record = int(np.searchsorted(piece.ends, at))
            begin, end = (int(piece.ends[record - 1]) + 1 if record else 0), int(piece.ends[record])
            if at == begin and piece.text[at:end].removesuffix(b"\r") == header:
                fail(
                    layout.name,
                    found.next_line + piece.text.count(b"\n", 0, at),
                    "the header stands here once more; expected one header and then data alone "
                    "(are these several exports, put together?)",
                )


def _lines_that_begin(text: bytes, beginning: bytes) -> Iterator[int]:
    if text.startswith(beginning):
        yield 0
    at = text.find(b"\n" + beginning)
    while at >= 0:
        yield at + 1
        at = text.find(b"\n" + beginning, at + 1)


def _check_records(piece: Piece, layout: Layout, found: Structure) -> None:
    """Refuse a record with more or fewer fields than the header; count records and lines."""
    import numpy as np  # noqa: PLC0415 - heavy

    ends, marks, columns = piece.ends, piece.marks, layout.columns
    has_blank = bool(piece.blank.any())
    regular = marks.size == ends.size * columns and bool((marks[columns - 1 :: columns] == ends).all())
    if not regular or (has_blank and columns == 1):
        fields = np.diff(np.searchsorted(marks, ends), prepend=-1)
        wrong = np.flatnonzero((fields != columns) & ~piece.blank)
        if wrong.size:
            first = int(wrong[0])
            begin = int(ends[first - 1]) + 1 if first else 0
            line = found.next_line + piece.text.count(b"\n", 0, begin)
            number = int(fields[first])
            fail(
                layout.name, line, f"{number} field{'s' * (number != 1)}; expected {columns} as in the header"
            )
    if has_blank and columns == 1:
        found.plain = False
    lines = ends.size - int(ends[-1] == len(piece.text))
    inner = np.zeros(0, np.int64)
    # without a quote, every line feed ends a record
    if b'"' in piece.text and (counted := piece.text.count(b"\n")) > lines:
        lines = counted
        breaks = np.flatnonzero(np.frombuffer(piece.text, np.uint8) == LF)
        records = np.searchsorted(ends, breaks)
        inner = records[ends[records] != breaks]
    if has_blank or inner.size:
        upto = np.cumsum(~piece.blank)
        found.steps.append(found.records + np.sort(upto[np.append(np.flatnonzero(piece.blank), inner)]))
    found.records += ends.size - int(piece.blank.sum())
    found.next_line += lines
