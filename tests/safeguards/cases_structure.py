"""Broken as a table: the header, separators, quotes, line ends, and lines that are no data."""

from __future__ import annotations

import re

from tests.safeguards.case import (
    DELETED,
    INSERTED,
    LINKS_DELETED,
    LINKS_INSERTED_SHARE,
    UPDATED,
    UPDATED_SHARE,
    Damage,
    blocked,
    refused,
)
from tests.safeguards.damage import (
    data,
    exchanged,
    header,
    lines,
    raw,
    rows,
    text,
    text_by_separator,
)
from tests.safeguards.export import MEMBERSHIPS, ORGANIZATIONS, PERSONS, Rows

TRANSLATED = {"EmployeeId": "Matricule", "FirstName": "Prénom", "LastName": "Nom", "City": "Ville"}
NO_KEY = "the mapped column 'EmployeeId' is missing"
OF_ORGANIZATIONS = "HR-Organizations.csv"
OF_MEMBERSHIPS = "HR-Memberships.csv"
FEWER = "14 fields; expected 15 as in the header"
MORE = "16 fields; expected 15 as in the header"
AFTER_QUOTE = "text follows a closing quote"
AGAIN = "the header stands here once more"


def inserted(line: int, content: str) -> Damage:
    """Put a line into the persons' file, so that it becomes that line."""
    return lines(PERSONS, lambda all_lines: [*all_lines[: line - 1], content + "\n", *all_lines[line - 1 :]])


def repeated(table: str, every: int) -> Damage:
    """Repeat the header after every so many rows, as a report does on each page."""

    def change(all_rows: Rows) -> Rows:
        body = all_rows[1:]
        pages = [body[at : at + every] for at in range(0, len(body), every)]
        return [row for page in pages for row in (all_rows[0], *page)]

    return rows(table, change)


def appended(table: str) -> Damage:
    """Append the whole file to itself, header and all."""
    return raw(table, lambda content: content * 2)


HEADERS = (
    blocked("two names in the header exchanged", exchanged(PERSONS, "FirstName", "LastName"), UPDATED),
    blocked("key and unique key exchanged in the header", exchanged(PERSONS, "EmployeeId", "Login"), DELETED, INSERTED, LINKS_DELETED),  # noqa: E501
    blocked("key and manager exchanged in the header", exchanged(PERSONS, "EmployeeId", "ManagerId"), DELETED, UPDATED_SHARE, LINKS_DELETED, LINKS_INSERTED_SHARE),  # noqa: E501
    blocked("both sides of memberships exchanged in the header", exchanged(MEMBERSHIPS, "Login", "Code"), LINKS_DELETED),
    refused("two names of other types exchanged", exchanged(PERSONS, "City", "Level"), "column Level: 'Paris'; expected Int32", 2),  # noqa: E501
    refused("no header", rows(PERSONS, lambda r: r[1:]), NO_KEY, 1),
    refused("no header in the file of memberships", rows(MEMBERSHIPS, lambda r: r[1:]), "the mapped column 'Login' is missing", 1, file=OF_MEMBERSHIPS),  # noqa: E501
    refused("translated header", header(PERSONS, lambda n: TRANSLATED.get(n, n)), "the mapped column 'FirstName' is missing", 1),  # noqa: E501
    refused("header in lower case", header(PERSONS, str.lower), "(did you mean 'employeeid'?)", 1),
    refused("header with spaces", header(PERSONS, lambda n: f" {n} "), "(did you mean ' EmployeeId '?)", 1),
    refused("header with quotes of quotes", header(PERSONS, lambda n: f'"{n}"'), NO_KEY, 1),
    refused("a column renamed", header(PERSONS, lambda n: {"EndDate": "End Date"}.get(n, n)), "'EndDate' is missing (did you mean 'End Date'?)", 1),  # noqa: E501
    refused("a column twice", header(PERSONS, lambda n: {"Remark": "City"}.get(n, n)), "the column 'City' stands in the header more than once", 1),  # noqa: E501
    refused("an open quote in the header", text(PERSONS, lambda t: t.replace('"', "").replace("Login", '"Login', 1)), "a quote in the header is never closed", 1),  # noqa: E501
    refused("two byte-order marks", raw(PERSONS, lambda b: b"\xef\xbb\xbf\xef\xbb\xbf" + b.removeprefix(b"\xef\xbb\xbf")), NO_KEY, 1),  # noqa: E501
    refused("a hint for Excel before the header", inserted(1, "sep=,"), NO_KEY, 1),
    refused("a log line before the header", inserted(1, "2024-03-01 02:00:07 INFO export started"), NO_KEY, 1),
    refused("a title before the header", inserted(1, "Employees as of 1 March,,,,,,,,,,,,,,"), NO_KEY, 1),
    refused("tabs for separators", text_by_separator(PERSONS, lambda t, s: t.replace(s, "\t")), NO_KEY, 1),
    refused("the file of organizations in place of persons", text_by_separator(PERSONS, lambda _, s: f"Code{s}Name{s}Site\n"), NO_KEY, 1),  # noqa: E501
    refused("the file of persons in place of memberships", text_by_separator(MEMBERSHIPS, lambda _, s: f"EmployeeId{s}Login{s}City\n"), "the mapped column 'Code' is missing", 1, file=OF_MEMBERSHIPS),  # noqa: E501
    refused("last column cut off", rows(PERSONS, lambda r: [row[:-1] for row in r]), "the mapped column 'ManagerId' is missing", 1),  # noqa: E501
    refused("first column cut off", rows(PERSONS, lambda r: [row[1:] for row in r]), NO_KEY, 1),
)  # fmt: skip

ROWS = (
    refused("last column cut off in the rows", data(PERSONS, lambda r: [row[:-1] for row in r]), FEWER, 2),
    refused("a separator at the end of the rows", data(PERSONS, lambda r: [[*row, ""] for row in r]), MORE, 2),
    refused("a separator at the end of the header", rows(PERSONS, lambda r: [[*r[0], ""], *r[1:]]), "15 fields; expected 16 as in the header", 2),  # noqa: E501
    refused("one more column in some rows", data(PERSONS, lambda r: [[*row, "x"] if n % 50 == 49 else row for n, row in enumerate(r)]), MORE, 51),  # noqa: E501
    refused("a comma in a name without quotes", text(PERSONS, lambda t: t.replace('"', "")), MORE, 7, separator=","),
    refused("a semicolon in a name without quotes", text(PERSONS, lambda t: t.replace('"', "")), MORE, 13, separator=";"),  # noqa: E501
    refused("decimal commas without quotes", text(PERSONS, lambda t: re.sub(r",0\.(\d),", r",0,\1,", t)), MORE, 3, separator=","),  # noqa: E501
    refused("a line break in a name without quotes", text(PERSONS, lambda t: t.replace("O'Brien", "O'\nBrien", 1)), "4 fields; expected 15 as in the header", 3),  # noqa: E501
    refused("quotes inside quotes not doubled", text(PERSONS, lambda t: t.replace('""', '"')), AFTER_QUOTE, 10),
    refused("quotes escaped by a backslash", text(PERSONS, lambda t: t.replace('""', '\\"')), AFTER_QUOTE, 10),
    refused("a closing quote lost", text(PERSONS, lambda t: t.replace('Sohn"', "Sohn", 1)), AFTER_QUOTE, 13, separator=";"),  # noqa: E501
    refused("an opening quote that nothing closes", text(PERSONS, lambda t: t.replace("p399@", '"p399@')), "the quote that opens a value here is never closed", 402),  # noqa: E501
    refused("values with quotes of quotes", data(PERSONS, lambda r: [[f'"{v}"' for v in row] for row in r]), "column StartDate: '\"1990-01-01\"'", 2),  # noqa: E501
    refused("single quotes for quotes", rows(PERSONS, lambda r: [[f"'{v}'" for v in row] for row in r]), NO_KEY, 1),
    refused("lines that end with CR", text(PERSONS, lambda t: t.replace("\r\n", "\n").replace("\n", "\r")), "a lone carriage return in the header", 1),  # noqa: E501
    refused("lines that end with CR CR LF", raw(PERSONS, lambda b: b.replace(b"\r\n", b"\n").replace(b"\n", b"\r\r\n")), "a lone carriage return in the header", 1),  # noqa: E501
    refused("a CR inside a value", text(PERSONS, lambda t: t.replace("Lefèvre", "Le\rfèvre", 1)), "a lone carriage return", 4),  # noqa: E501
)  # fmt: skip

OTHER_LINES = (
    refused("a count at the end", text(PERSONS, lambda t: f"{t}\n400 rows selected.\n"), "1 field; expected 15 as in the header", 404),  # noqa: E501
    refused("an error at the end", text(PERSONS, lambda t: f"{t}ERROR: ORA-03113: end-of-file on communication channel\n"), "1 field; expected 15", 403),  # noqa: E501
    refused("a log line in the middle", inserted(201, "WARN retrying after time-out"), "1 field; expected 15 as in the header", 201),  # noqa: E501
    refused("a line of dashes under the header", rows(PERSONS, lambda r: [r[0], ["-" * len(n) for n in r[0]], *r[1:]]), "column StartDate: '---------'; expected Date", 2),  # noqa: E501
    refused("the header every 100 lines", repeated(PERSONS, 100), AGAIN, 102),
    refused("the header on each page of memberships", repeated(MEMBERSHIPS, 100), AGAIN, 102, file=OF_MEMBERSHIPS),
    refused("the file twice, one after the other", appended(PERSONS), AGAIN, 403),
    refused("the file of organizations twice", appended(ORGANIZATIONS), AGAIN, 22, file=OF_ORGANIZATIONS),
)  # fmt: skip

STRUCTURE = (*HEADERS, *ROWS, *OTHER_LINES)
