"""A source file as it lies in the folder: found, unchanged while it is read, readable as UTF-8."""

from __future__ import annotations

import codecs
import difflib
from dataclasses import dataclass
from itertools import pairwise
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import PrepareError, SourceFileError, TransientError
from airflow_provider_idm.synchronization.prepare.structure import Structure, fail, pieces

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from airflow_provider_idm.synchronization.prepare.header import Header
    from airflow_provider_idm.synchronization.prepare.structure import Piece

_CHARACTERS: Final = 1 << 20


class SourceChangedError(TransientError):
    """A source file was written to while it was read; nothing was published.

    :param path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} changed while it was read; prepare again once its export has ended")
        self.path = path


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file and what tells whether it is still the same.

    :param table: what messages call it, if it is a table that was written as a file.
    :param origin: path or URL of the file that whoever asks named; None for a table in memory.
    """

    path: Path
    state: tuple[int, int, int, int]
    table: str | None = None
    origin: str | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.table or str(self.path)

    def place(self, line: object) -> str:
        """Return a place in it for messages: a file has lines, a table rows."""
        return f"{self.name}, {'line' if self.table is None else 'row'} {line}"

    @classmethod
    def of_table(cls, path: Path, table: str, origin: str | None = None) -> SourceFile:
        """Return the file that a table was written as, comma and UTF-8."""
        return cls(path, _state(path.stat()), table, origin)

    @classmethod
    def find(cls, folder: Path, table: str) -> SourceFile:
        """Find the file of a connection table.

        :raises SourceFileError: if it is missing, cannot be read or is no file (opening a pipe would wait for ever).
        """
        path = folder / f"{table}.csv"
        try:
            if not S_ISREG(path.stat().st_mode):
                raise SourceFileError(f"{path} is not a regular file; expected a CSV source file")
            with path.open("rb"):
                return cls(path, _state(path.stat()), origin=str(path.absolute()))
        except FileNotFoundError:
            raise SourceFileError(_describe_missing(path)) from None
        except OSError as error:
            raise SourceFileError(
                f"{path} cannot be read ({error.strerror}); expected a CSV source file"
            ) from error

    def is_unchanged(self) -> bool:
        """Tell whether the file is what it was when it was found."""
        try:
            return _state(self.path.stat()) == self.state
        except OSError:
            return False

    def check_unchanged(self) -> None:
        """Check that the file is what it was when it was found.

        :raises SourceChangedError: if it is not.
        """
        if not self.is_unchanged():
            raise SourceChangedError(self.path)


def _state(stat: os.stat_result) -> tuple[int, int, int, int]:
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _describe_missing(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the source file {path} is missing: there is no folder {folder}; run the export first"
    names = {p.name.casefold(): p.name for p in folder.glob("*.csv")}
    near = difflib.get_close_matches(path.name.casefold(), names, n=1)
    hint = f"; there is {names[near[0]]}" if near else ""
    return f"the source file {path} is missing{hint}; run the export first"


def is_utf8(encoding: str | None) -> bool:
    """Tell whether an encoding is UTF-8, as none at all is.

    :raises PrepareError: if there is no such encoding.
    """
    if not encoding:
        return True
    try:
        b"x".decode(encoding, "replace")  # refuses what is no encoding of text
        return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}
    except LookupError:
        raise PrepareError(
            f"there is no encoding {encoding!r}; expected a name such as UTF-8, UTF-16 or Windows-1252"
        ) from None


def transcode(source: Path, encoding: str, target: Path) -> None:
    """Write a file's text as UTF-8.

    :raises SourceFileError: naming the line, if bytes are not of that encoding.
    """
    line = 1
    decoder = codecs.getincrementaldecoder(encoding)()
    with source.open("rb") as reader, target.open("wb") as writer:
        while True:
            data = reader.read(_CHARACTERS)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                # UTF-16 and UTF-32 say without a place that a byte-order mark is missing
                reason = str(error)
                if isinstance(error, UnicodeDecodeError):
                    line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                    reason = error.reason
                fail(
                    str(source),
                    line,
                    f"bytes that are not {encoding}: {reason}; "
                    "name the encoding that the file really has with --encoding (in an operator: encoding)",
                )
            if not data and not text:
                return
            line += text.count("\n")
            writer.write(text.encode("utf-8"))


def rewrite(source: Path, header: Header, target: Path) -> None:
    """Write a file's records, without its header, so that DuckDB reads them as they are meant.

    Blank lines go, lines end with LF, and a value that merely has a quote in it is quoted.
    """
    found = Structure(header.layout.line)
    with target.open("wb") as writer:
        for piece in pieces(source, header.layout, found):
            writer.writelines(_records(piece, header.separator.encode()))


def _records(piece: Piece, separator: bytes) -> list[bytes]:
    lines: list[bytes] = []
    begin = place = 0
    starts = piece.marks.tolist()
    for end, blank in zip(piece.ends.tolist(), piece.blank.tolist(), strict=True):
        record = piece.text[begin:end]
        if not blank:
            marks_from = place
            while starts[place] != end:
                place += 1
            if b'"' in record:
                edges = [begin - 1, *starts[marks_from:place], end]
                fields = [piece.text[a + 1 : b] for a, b in pairwise(edges)]
                fields[-1] = fields[-1].removesuffix(b"\r")
                record = separator.join(map(_quote_if_odd, fields))
            else:
                record = record.removesuffix(b"\r")
            lines.append(record + b"\n")
        while starts[place] != end:
            place += 1
        place += 1
        begin = end + 1
    return lines


def _quote_if_odd(value: bytes) -> bytes:
    if value.startswith(b'"') or b'"' not in value:
        return value
    return b'"' + value.replace(b'"', b'""') + b'"'
