"""The header of a source file: separator, column names, and what is obviously no CSV file at all."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from airflow_provider_idm.errors import SourceFileError
from airflow_provider_idm.synchronization.prepare.structure import BOM, NAME_ENCODING, Layout, fail

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

LONGEST_HEADER: Final = 1 << 20
"""Bytes in which the header must end."""
LONGEST_LISTED: Final = 1000
"""Characters of the header that a message shows."""
SEPARATORS: Final = (",", ";")
_FOREIGN: Final = (
    (b"\xff\xfe", f"is UTF-16: {NAME_ENCODING}"),
    (b"\xfe\xff", f"is UTF-16: {NAME_ENCODING}"),
    (b"PK\x03\x04", "is a ZIP archive or an Excel workbook: save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook: save it as CSV"),
    (b"\x1f\x8b", "is a gzip archive: unpack it"),
    (b"%PDF", "is a PDF document: export it as CSV"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a source file.

    :param names: the columns in file order, as written.
    :param layout: how the records after it are to be read.
    """

    names: tuple[str, ...]
    separator: str
    layout: Layout


@dataclass(slots=True)
class _Record:
    """A record cut into fields with one separator; ``odd`` if DuckDB would not read it alike."""

    separator: str
    names: list[str]
    odd: bool
    end: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a header stands, for messages; ``whole`` if all of the file's text is there."""

    name: str
    line: int
    whole: bool

    def fail(self, message: str) -> NoReturn:
        fail(self.name, self.line, message)


def read_header(path: Path, name: str, wanted: Collection[str], separator: str | None) -> Header:
    """Read the header of a UTF-8 file.

    :param name: the file, for messages.
    :param wanted: the columns that mappings use; they decide between comma and semicolon.
    :param separator: between fields; None to tell comma from semicolon by the header itself.
    :raises SourceFileError: if there is no header, a column is named twice, or a wanted column is missing.
    """
    with path.open("rb") as file:
        data = file.read(LONGEST_HEADER)
    _refuse_foreign(data, name)
    start = first = len(BOM) if data.startswith(BOM) else 0
    while (size := _line_end(data, start)) and start < len(data):
        start += size
    if start >= len(data):
        fail(name, 1, "the file is empty; expected a header with the column names")
    line = 1 + data.count(b"\n", first, start)
    text = _decode(data[start:], name, line)
    whole = len(data) < LONGEST_HEADER
    record = _best(text, (separator,) if separator else SEPARATORS, wanted, _Place(name, line, whole=whole))
    check_names(record.names, wanted, name, line)
    end = start + len(text[: record.end].encode())
    layout = Layout(
        name=name,
        separator=ord(record.separator),
        columns=len(record.names),
        start=end,
        line=line + data.count(b"\n", start, end),
        crlf=data[:end].endswith(b"\r\n"),
        plain=start == first and not record.odd,
        # one column alone may well hold its own name
        header=data[start:end].rstrip(b"\r\n") if len(record.names) > 1 else b"",
    )
    return Header(tuple(record.names), record.separator, layout)


def _refuse_foreign(data: bytes, name: str) -> None:
    for signature, what in _FOREIGN:
        if data.startswith(signature):
            raise SourceFileError(f"{name} {what}; expected a CSV file in UTF-8")
    begin = data[:1024].lstrip(BOM + b" \t\r\n").lower()
    if begin.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise SourceFileError(
            f"{name} is an HTML or XML page, not a CSV file; look at what the export received"
        )
    if b"\0" in data[:4096].split(b"\n", 1)[0]:
        raise SourceFileError(
            f"{name} has NUL characters in its header; expected a CSV file in UTF-8 "
            f"(if it is UTF-16, {NAME_ENCODING})"
        )


def _line_end(data: bytes, at: int) -> int:
    """Return the bytes of the line end at a place, 0 if there is none."""
    return 1 if data[at : at + 1] == b"\n" else 2 if data[at : at + 2] == b"\r\n" else 0


def _decode(data: bytes, name: str, line: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        valid = data[: error.start]
        if b"\n" in valid:
            # what is wrong stands behind the header (or is a character cut in two); the scan will tell
            return valid.decode("utf-8")
        fail(name, line, f"the byte 0x{data[error.start]:02X} is not UTF-8; {NAME_ENCODING}")


def _best(text: str, separators: Sequence[str], wanted: Collection[str], place: _Place) -> _Record:
    """Cut the first record with the separator that gives most of the wanted columns."""
    records: list[_Record] = []
    errors: list[SourceFileError] = []
    for separator in separators:
        try:
            records.append(_cut(text, separator, place))
        except SourceFileError as error:
            errors.append(error)
    best = min(records, key=lambda r: (sum(w not in r.names for w in wanted), -len(r.names)), default=None)
    if best is None or (errors and len(best.names) == 1):
        raise errors[0]
    return best


def _cut(text: str, separator: str, place: _Place) -> _Record:
    """Cut the first record of a text into fields."""
    names: list[str] = []
    odd = False
    at = 0
    while True:
        if text.startswith('"', at):
            value, at = _quoted(text, at, place)
            odd = odd or "\n" in value or "\r" in value
        else:
            begin = at
            while at < len(text) and text[at] not in {separator, "\n"}:
                at += 1
            value = text[begin:at]
            if value.endswith("\r") and text.startswith("\n", at):
                value, at = value[:-1], at - 1
            if "\r" in value:
                place.fail("a lone carriage return in the header; expected lines that end with LF or CR LF")
            odd = odd or '"' in value
        names.append(value)
        if text.startswith(separator, at):
            at += 1
            continue
        after = 1 if text.startswith("\n", at) else 2 if text.startswith("\r\n", at) else 0
        if not after and at < len(text):
            place.fail(
                "text follows a closing quote in the header; expected a separator or the end of the line"
            )
        if not after and not place.whole:
            place.fail("the header does not end within 1 MiB; expected a line with the column names")
        return _Record(separator, names, odd, at + after)


def _quoted(text: str, at: int, place: _Place) -> tuple[str, int]:
    """Return the quoted value that begins at a place, and the place after its closing quote."""
    end = at + 1
    while True:
        end = text.find('"', end)
        if end < 0:
            place.fail("a quote in the header is never closed")
        if not text.startswith('""', end):
            return text[at + 1 : end].replace('""', '"'), end + 1
        end += 2


def _what_stands_there(names: Sequence[str], wanted: Collection[str]) -> str:
    """Say what the header has instead; what may be a row of data, with somebody's values, is not repeated."""
    known = {column.casefold() for column in wanted}
    if not any(column.casefold() in known for column in names):
        return (
            f"None of its {len(names):,} fields is a mapped column, so they are not shown: is there a header at all, is "
            "it the right file, and the right separator?"
        )
    listed = ", ".join(names)
    return f"The header has: {listed[:LONGEST_LISTED]}{'…' if len(listed) > LONGEST_LISTED else ''}"


def check_names(names: Sequence[str], wanted: Collection[str], name: str, line: int | None) -> None:
    """Check that all wanted columns are there, and none twice.

    :param name: the source, for messages; ``line``: where its header stands, None if it is no file.
    :raises SourceFileError: if one is missing or named twice.
    """
    missing = [column for column in wanted if column not in names]
    if missing:
        described = "; ".join(_describe_missing(column, names) for column in missing)
        fail(name, line, f"{described}. {_what_stands_there(names, wanted)}")
    twice = [column for column, count in Counter(names).items() if count > 1 and column]
    if twice:
        fail(name, line, f"the column {', '.join(map(repr, twice))} stands in the header more than once")


def _describe_missing(column: str, names: Sequence[str]) -> str:
    by_fold = {n.casefold().strip(): n for n in names}
    near = difflib.get_close_matches(column.casefold(), by_fold, n=1, cutoff=0.6)
    hint = f" (did you mean {by_fold[near[0]]!r}?)" if near else ""
    return f"the mapped column {column!r} is missing{hint}"
