"""Broken as a file: nothing there, cut off, of another kind, of another encoding, read with the wrong settings."""

from __future__ import annotations

import codecs
import gzip
import os
import unicodedata
from pathlib import Path

from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.synchronization.prepare import SourceChangedError
from tests.safeguards.case import (
    DELETED,
    DELETED_SHARE,
    LINKS_DELETED,
    LINKS_DELETED_SHARE,
    UPDATED,
    Damage,
    blocked,
    refused,
)
from tests.safeguards.damage import (
    all_of,
    column,
    data,
    instead,
    on_file,
    raw,
    replaced,
    rows,
    text,
    values,
)
from tests.safeguards.export import MEMBERSHIPS, ORGANIZATIONS, PERSONS

OF_ORGANIZATIONS = "HR-Organizations.csv"
EMPTY = "the file is empty; expected a header with the column names"
NO_KEY = "the mapped column 'EmployeeId' is missing"
NOT_UTF_8 = "is not UTF-8; name the file's encoding"
CHANGED = "changed while it was read; prepare again once its export has ended"
NO_CSV = "is an HTML or XML page, not a CSV file"
NUL_HEADER = "has NUL characters in its header"

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Your session has expired.</body></html>\n"
ANSWER = b'{"error": {"code": 401, "message": "The token has expired."}}\n'
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 31337\n"


def cut(share: float, more: int = 0) -> Damage:
    """Cut the persons' file after the line that ends a share of them, and so many bytes more."""

    def change(content: bytes) -> bytes:
        end = -1
        for _ in range(int(400 * share) + 1):
            end = content.index(b"\n", end + 1)
        return content[: end + 1 + more]

    return raw(PERSONS, change)


def cut_after(mark: str, more: int = 0) -> Damage:
    """Cut the persons' file after the first place where a text stands, and so many bytes more."""

    def change(content: bytes) -> bytes:
        wanted = mark.encode()
        return content[: content.index(wanted) + len(wanted) + more]

    return raw(PERSONS, change)


def grow(path: Path) -> None:
    """Write on, as an export does that has not ended."""
    with path.open("ab") as file:
        file.write(b"0999999")


def start_again(path: Path) -> None:
    """Write the file from its beginning, as far as an export has come."""
    path.write_bytes(path.read_bytes()[:4096])


def replace_with_half(path: Path) -> None:
    """Put another file in the file's place."""
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    other.replace(path)


def zero_tail(content: bytes) -> bytes:
    """Make the second half zeros, from a line end on: blocks that were never written."""
    begin = content.index(b"\n", len(content) // 2) + 1
    return content[:begin] + bytes(len(content) - begin)


NOTHING_THERE = (
    refused("empty file", instead(PERSONS, b""), EMPTY, 1),
    refused("empty file of organizations", instead(ORGANIZATIONS, b""), EMPTY, 1, file=OF_ORGANIZATIONS),
    refused("empty file of memberships", instead(MEMBERSHIPS, b""), EMPTY, 1, file="HR-Memberships.csv"),
    refused("byte-order mark alone", instead(PERSONS, codecs.BOM_UTF8), EMPTY, 1),
    refused("blank lines alone", instead(PERSONS, b"\r\n\r\n\n"), EMPTY, 1),
    refused("missing file", on_file(PERSONS, os.remove), "is missing; there is HR-Memberships.csv; run the export first"),  # noqa: E501
    refused("missing folder", on_file(PERSONS, lambda p: p.parent.rename(p.parent.with_name("old"))), "there is no folder", file=OF_ORGANIZATIONS),  # noqa: E501
    refused("a folder in place of the file", replaced(PERSONS, os.mkdir), "is not a regular file"),
    refused("a pipe in place of the file", replaced(PERSONS, os.mkfifo), "is not a regular file"),
    refused("a link to nowhere", replaced(PERSONS, lambda p: p.symlink_to("elsewhere.csv")), "is missing"),
    refused("a link to itself", replaced(PERSONS, lambda p: p.symlink_to(p.name)), "cannot be read"),
    blocked("header alone", rows(PERSONS, lambda r: r[:1]), DELETED, LINKS_DELETED),
    blocked("header alone, without a line end", text(PERSONS, lambda t: t.splitlines()[0]), DELETED, LINKS_DELETED),
    blocked("headers alone in all files", all_of(*(rows(t, lambda r: r[:1]) for t in (PERSONS, ORGANIZATIONS, MEMBERSHIPS))), DELETED, LINKS_DELETED),  # noqa: E501
    blocked("header alone in the file of organizations", rows(ORGANIZATIONS, lambda r: r[:1]), LINKS_DELETED),
    blocked("header alone in the file of memberships", rows(MEMBERSHIPS, lambda r: r[:1]), LINKS_DELETED),
    blocked("rows without any value", values(PERSONS, lambda _: ""), DELETED, LINKS_DELETED),
    refused("a file of zeros", instead(PERSONS, bytes(50_000)), NUL_HEADER),
)  # fmt: skip

CUT_OFF = (
    refused("cut in the header", raw(PERSONS, lambda b: b[:60]), "the mapped column 'EndDate' is missing", 1),
    refused("cut in the middle of a line", cut(0.5, 70), "9 fields; expected 15 as in the header", 202),
    refused("cut inside quotes", cut_after('"von ""Hof', 2), "the quote that opens a value here is never closed", 10),
    refused("cut inside a character", cut_after("Ad\u00e9"[:2], 1), NOT_UTF_8, 2),
    blocked("cut at a line end at 30 %", cut(0.3), DELETED, LINKS_DELETED),
    blocked("cut at a line end at half", cut(0.5), DELETED, LINKS_DELETED_SHARE),
    blocked("cut at a line end at 90 %", cut(0.9), DELETED_SHARE, LINKS_DELETED_SHARE),
    blocked("cut in the last value of a line", raw(PERSONS, lambda b: b[: b.index(b"\n", len(b) * 6 // 10) - 3]), DELETED, LINKS_DELETED_SHARE),  # noqa: E501
    blocked("second half alone", data(PERSONS, lambda r: r[200:]), DELETED, LINKS_DELETED_SHARE),
    blocked("every second row", data(PERSONS, lambda r: r[::2]), DELETED, LINKS_DELETED_SHARE),
    blocked("half of the memberships", data(MEMBERSHIPS, lambda r: r[:600]), LINKS_DELETED_SHARE),
    refused("zeros from the middle on", raw(PERSONS, zero_tail), "1 field; expected 15 as in the header", 202),
)  # fmt: skip

OTHER_KINDS = (
    refused("HTML page", instead(PERSONS, PAGE), NO_CSV),
    refused("piece of HTML", instead(PERSONS, b"<h1>503 Service Unavailable</h1>\n"), NO_KEY, 1),
    refused("XML", instead(PERSONS, b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n'), NO_CSV),
    refused("JSON", instead(PERSONS, ANSWER), NO_KEY, 1),
    refused("JSON rows", instead(PERSONS, b'[{"EmployeeId": "0001001", "Login": "user000"}]'), NO_KEY, 1),
    refused("error message alone", instead(PERSONS, b"ORA-01017: invalid username/password; logon denied\n"), NO_KEY, 1),
    refused("Git LFS pointer", instead(PERSONS, POINTER), NO_KEY, 1),
    refused("gzip", raw(PERSONS, gzip.compress), "is a gzip archive: unpack it"),
    refused("Excel workbook", instead(PERSONS, b"PK\x03\x04\x14\0\6\0" + bytes(500)), "is a ZIP archive or an Excel workbook"),  # noqa: E501
    refused("old Excel workbook", instead(PERSONS, b"\xd0\xcf\x11\xe0\xa1\xb1" + bytes(500)), "is an old Excel workbook"),  # noqa: E501
    refused("PDF", instead(PERSONS, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "is a PDF document"),
    refused("picture", instead(PERSONS, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), NOT_UTF_8, 1),
)  # fmt: skip


def in_encoding(name: str, mark: bytes = b"") -> Damage:
    """Write the persons in another encoding."""
    return raw(PERSONS, lambda b: mark + b.decode("utf-8-sig").encode(name, "replace"))


def without_accents(text: str) -> str:
    """Leave out all accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


OTHER_ENCODINGS = (
    refused("UTF-16 LE with its mark", in_encoding("utf-16-le", codecs.BOM_UTF16_LE), "is UTF-16"),
    refused("UTF-16 BE with its mark", in_encoding("utf-16-be", codecs.BOM_UTF16_BE), "is UTF-16"),
    refused("UTF-16 LE without a mark", in_encoding("utf-16-le"), NUL_HEADER),
    refused("UTF-16 BE without a mark", in_encoding("utf-16-be"), NUL_HEADER),
    refused("Latin-1", in_encoding("latin-1"), f"the byte 0xE9 {NOT_UTF_8}", 2),
    refused("EBCDIC", in_encoding("cp500"), NOT_UTF_8, 1),
    blocked("UTF-8 encoded twice", text(PERSONS, lambda t: t.encode().decode("latin-1")), UPDATED),
    blocked("question marks for letters", in_encoding("ascii"), UPDATED),
    blocked("replacement characters for letters", text(PERSONS, lambda t: t.encode().decode("ascii", "replace")), UPDATED),  # noqa: E501
    blocked("letters without accents", text(PERSONS, without_accents), UPDATED),
    blocked("accents as characters of their own", text(PERSONS, lambda t: unicodedata.normalize("NFD", t)), UPDATED),
    blocked("HTML entities", values(PERSONS, lambda v: v.encode("ascii", "xmlcharrefreplace").decode()), UPDATED),
    refused("NUL characters in values", column(PERSONS, "City", lambda v: f"{v}\0"), "column City: 'Paris\\x00'; expected a text without NUL characters", 2),  # noqa: E501
)  # fmt: skip

SETTINGS = (
    refused("an encoding that there is not", in_encoding("utf-8"), "there is no encoding 'utf-9'", file=None, error=PrepareError, options={"encoding": "utf-9"}),  # noqa: E501
    blocked("read as Latin-1", in_encoding("utf-8"), UPDATED, options={"encoding": "latin-1"}, separator=","),
    refused("a byte-order mark read as Latin-1", in_encoding("utf-8"), "(did you mean 'ï»¿Code'?)", 1, file=OF_ORGANIZATIONS, options={"encoding": "latin-1"}, separator=";"),  # noqa: E501
    refused("read as Windows-1252", in_encoding("utf-8"), "bytes that are not cp1252", 11, file=OF_ORGANIZATIONS, options={"encoding": "cp1252"}),  # noqa: E501
    refused("read as UTF-16", in_encoding("utf-8"), "bytes that are not utf-16: UTF-16 stream does not start with BOM", 1, file=OF_ORGANIZATIONS, options={"encoding": "utf-16"}),  # noqa: E501
    refused("read with another separator", in_encoding("utf-8"), "the mapped column 'Code' is missing", 1, file=OF_ORGANIZATIONS, options={"separator": "|"}),  # noqa: E501
    refused("still being written", on_file(PERSONS, grow), CHANGED, error=SourceChangedError, after_reading=ORGANIZATIONS),  # noqa: E501
    refused("begun anew while it is read", on_file(PERSONS, start_again), CHANGED, error=SourceChangedError, after_reading=ORGANIZATIONS),  # noqa: E501
    refused("taken away while it is read", on_file(PERSONS, os.remove), CHANGED, error=SourceChangedError, after_reading=ORGANIZATIONS),  # noqa: E501
    refused("written to after it was read", on_file(PERSONS, grow), CHANGED, error=SourceChangedError, after_reading=PERSONS),  # noqa: E501
    refused("replaced after it was read", on_file(PERSONS, replace_with_half), CHANGED, error=SourceChangedError, after_reading=PERSONS),  # noqa: E501
)  # fmt: skip

FILES = (*NOTHING_THERE, *CUT_OFF, *OTHER_KINDS, *OTHER_ENCODINGS, *SETTINGS)
