"""Broken in what it says: values of another format, emptied, moved or replaced; other keys; other links."""

from __future__ import annotations

from collections.abc import Callable

from tests.safeguards.case import (
    DELETED,
    DELETED_SHARE,
    INSERTED,
    LINKS_DELETED,
    LINKS_DELETED_SHARE,
    LINKS_INSERTED,
    LINKS_INSERTED_SHARE,
    UPDATED,
    UPDATED_SHARE,
    Damage,
    blocked,
    refused,
)
from tests.safeguards.damage import column, columns, data, values, whole_column
from tests.safeguards.export import MEMBERSHIPS, ORGANIZATIONS, PERSONS, Rows, login, organization, persons

DATE = "expected Date: yyyy-MM-dd or yyyyMMdd"


def parts(pattern: str) -> Callable[[str], str]:
    """Return a change of dates: ``{y}``, ``{m}`` and ``{d}`` of an ISO date put into a pattern."""

    def change(value: str) -> str:
        if not value:
            return value
        y, m, d = value.split("-")
        return pattern.format(y=y, m=m, d=d, yy=y[2:])

    return change


def for_empty(text: str) -> Callable[[str], str]:
    """Return a change of values: a text for empty ones."""
    return lambda value: value or text


def from_row(n: int, change: Callable[[list[str]], list[str]]) -> Damage:
    """Change the persons from one on."""
    return data(PERSONS, lambda rows: [*rows[:n], *(change(row) for row in rows[n:])])


def other_tenant(number: int) -> Rows:
    """Return other people, with keys of another range."""
    return [
        f"{900000 + n},tenant{n},First {n},Last {n},,,Lima,,2001-01-01,,no,1,1,{n:032x},".split(",")
        for n in range(number)
    ]


FORMATS = (
    refused("dates as dd/mm/yyyy", column(PERSONS, "StartDate", parts("{d}/{m}/{y}")), f"column StartDate: '01/01/1990'; {DATE}", 2),  # noqa: E501
    refused("dates as dd.mm.yyyy", column(PERSONS, "StartDate", parts("{d}.{m}.{y}")), f"column StartDate: '01.01.1990'; {DATE}", 2),  # noqa: E501
    refused("dates with two-digit years", column(PERSONS, "StartDate", parts("{yy}-{m}-{d}")), f"column StartDate: '90-01-01'; {DATE}", 2),  # noqa: E501
    refused("day and month exchanged where some are days only", column(PERSONS, "StartDate", parts("{y}-{d}-{m}")), f"column StartDate: '2002-13-01'; {DATE}", 14),  # noqa: E501
    blocked("day and month exchanged where all could be either", column(PERSONS, "EndDate", parts("{y}-{d}-{m}")), UPDATED_SHARE),  # noqa: E501
    refused("dates as Excel counts them", column(PERSONS, "StartDate", lambda _: "45352"), f"column StartDate: '45352'; {DATE}", 2),  # noqa: E501
    refused("dates too wide for their column", column(PERSONS, "StartDate", lambda _: "########"), "column StartDate: '########'", 2),  # noqa: E501
    refused("zero dates for none", column(PERSONS, "EndDate", for_empty("0000-00-00")), "column EndDate: '0000-00-00'", 3),  # noqa: E501
    blocked("dates a year later", column(PERSONS, "StartDate", lambda v: f"{int(v[:4]) + 1}{v[4:]}"), UPDATED),
    blocked("dates of another format, emptied", column(PERSONS, "StartDate", parts("{d}/{m}/{y}")), UPDATED, options={"on_invalid_value": "null"}),  # noqa: E501
    refused("whole numbers with a fraction", column(PERSONS, "Level", lambda v: f"{v}.0"), "column Level: '1.0'; expected Int32", 2),  # noqa: E501
    refused("decimal commas", column(PERSONS, "Fte", lambda v: v.replace(".", ",")), "column Fte: '0,8'; expected Double", 3),  # noqa: E501
    refused("booleans in another language", column(PERSONS, "External", {"yes": "oui", "no": "non"}.__getitem__), "column External: 'oui'; expected Bool", 2),  # noqa: E501
    blocked("booleans the other way round", column(PERSONS, "External", {"yes": "no", "no": "yes"}.__getitem__), UPDATED),  # noqa: E501
    refused("identifiers cut off", column(PERSONS, "Badge", lambda v: v[:30]), "column Badge", 2),
    refused("an error of a spreadsheet", column(PERSONS, "Level", lambda _: "#REF!"), "column Level: '#REF!'; expected Int32", 2),  # noqa: E501
    refused("a value far too long", column(PERSONS, "Mail", lambda v: v * 40), "at most 442 characters", 2),
)  # fmt: skip

VALUES = (
    blocked("'NULL' for empty", column(PERSONS, "Title", for_empty("NULL")), UPDATED),
    blocked("'\\N' for empty", column(PERSONS, "Title", for_empty(r"\N")), UPDATED),
    blocked("'nan' for empty", column(PERSONS, "Title", for_empty("nan")), UPDATED),
    refused("'NULL' for empty everywhere", values(PERSONS, for_empty("NULL")), "column EndDate: 'NULL'; expected Date", 3),  # noqa: E501
    blocked("a column of text emptied", column(PERSONS, "Mail", lambda _: ""), UPDATED),
    blocked("a column of dates emptied", column(PERSONS, "StartDate", lambda _: ""), UPDATED),
    blocked("a column of booleans emptied", column(PERSONS, "External", lambda _: ""), UPDATED),
    blocked("all columns but the key emptied", data(PERSONS, lambda rows: [[row[0], *([""] * 14)] for row in rows]), UPDATED, LINKS_DELETED),  # noqa: E501
    blocked("an error of a formula in a column of text", column(PERSONS, "Mail", lambda _: "#N/A"), UPDATED),
    blocked("masked values", columns(PERSONS, {"LastName": lambda _: "***", "Mail": lambda _: "***"}), UPDATED),
    blocked("names in capitals", column(PERSONS, "LastName", str.upper), UPDATED),
    blocked("names cut off", column(PERSONS, "LastName", lambda v: v[:3]), UPDATED),
    blocked("values filled up with spaces", column(PERSONS, "City", lambda v: f"{v:<20}"), UPDATED),
    blocked("a column sorted on its own", whole_column(PERSONS, "Mail", lambda v: sorted(v, reverse=True)), UPDATED),
    blocked("a column one row further down", whole_column(PERSONS, "Login", lambda v: [v[-1], *v[:-1]]), UPDATED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("the first value filled down", whole_column(PERSONS, "City", lambda v: [v[0]] * len(v)), UPDATED),
    refused("shifted by a column from row 200 on", from_row(200, lambda r: [*r[:2], "", *r[2:-1]]), "column Level: 'no'; expected Int32", 202),  # noqa: E501
    blocked("texts shifted by a column from row 200 on", from_row(200, lambda r: [*r[:2], "", *r[2:6], *r[7:]]), UPDATED),  # noqa: E501
)  # fmt: skip

KEYS = (
    blocked("leading zeros lost", columns(PERSONS, {n: lambda v: v.lstrip("0") for n in ("EmployeeId", "ManagerId")}), DELETED, INSERTED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("keys in scientific notation", column(PERSONS, "EmployeeId", lambda v: f"{float(v):.1E}"), DELETED, INSERTED, LINKS_DELETED, LINKS_INSERTED_SHARE),  # noqa: E501
    blocked("keys with a fraction", column(PERSONS, "EmployeeId", lambda v: f"{v}.0"), DELETED, INSERTED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("keys with a prefix", column(PERSONS, "EmployeeId", lambda v: rf"HR\{v}"), DELETED, INSERTED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("keys with a space", column(PERSONS, "EmployeeId", lambda v: f"{v} "), DELETED, INSERTED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("keys of organizations in capitals", column(ORGANIZATIONS, "Code", str.upper), LINKS_DELETED),
    blocked("unique keys in capitals", column(PERSONS, "Login", str.upper), UPDATED, LINKS_DELETED),
    blocked("unique keys emptied", column(PERSONS, "Login", lambda _: ""), UPDATED, LINKS_DELETED),
    blocked("keys emptied", column(PERSONS, "EmployeeId", lambda _: ""), DELETED, LINKS_DELETED),
    blocked("the same key in all rows", column(PERSONS, "EmployeeId", lambda _: "0001001"), DELETED, LINKS_DELETED),
    blocked("keys moved by a row", whole_column(PERSONS, "EmployeeId", lambda v: [*v[1:], v[0]]), UPDATED, LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("keys and names exchanged", data(PERSONS, lambda rows: [[r[3], *r[1:3], r[0], *r[4:]] for r in rows]), DELETED, LINKS_DELETED),  # noqa: E501
    blocked("another tenant", data(PERSONS, lambda _: other_tenant(400)), DELETED, INSERTED, LINKS_DELETED),
    blocked("another tenant with keys of the same range", data(PERSONS, lambda rows: [[r[0], *o[1:]] for r, o in zip(rows, other_tenant(400), strict=True)]), UPDATED, LINKS_DELETED),  # noqa: E501
    blocked("another tenant as well", data(PERSONS, lambda rows: [*rows, *other_tenant(150)]), INSERTED),
    blocked("an old backup", data(PERSONS, lambda rows: [[*r[:4], "Trainee", *r[5:]] for r in rows[:350]]), DELETED_SHARE, UPDATED, LINKS_DELETED_SHARE),  # noqa: E501
)  # fmt: skip

LINKS = (
    blocked("other groups in all memberships", column(MEMBERSHIPS, "Code", lambda v: f"team-{v}"), LINKS_DELETED),
    blocked("groups exchanged in all memberships", column(MEMBERSHIPS, "Code", lambda v: organization(int(v[-2:]) + 1)), LINKS_DELETED, LINKS_INSERTED),  # noqa: E501
    blocked("one group in all memberships", column(MEMBERSHIPS, "Code", lambda _: "org-00"), LINKS_DELETED, LINKS_INSERTED_SHARE),  # noqa: E501
    blocked("everybody in every group", data(MEMBERSHIPS, lambda _: [[login(p), organization(o)] for p in range(400) for o in range(20)]), LINKS_INSERTED),  # noqa: E501
    blocked("members with a domain", column(MEMBERSHIPS, "Login", lambda v: rf"CORP\{v}"), LINKS_DELETED),
    blocked("members in capitals", column(MEMBERSHIPS, "Login", str.upper), LINKS_DELETED),
    blocked("members of another tenant", column(MEMBERSHIPS, "Login", lambda v: v.replace("user", "tenant")), LINKS_DELETED),  # noqa: E501
    blocked("a side of memberships emptied", column(MEMBERSHIPS, "Code", lambda _: ""), LINKS_DELETED),
    blocked("managers emptied", column(PERSONS, "ManagerId", lambda _: ""), LINKS_DELETED_SHARE),
    blocked("managers by name", column(PERSONS, "ManagerId", lambda v: v and f"Boss {v}"), LINKS_DELETED_SHARE),
    blocked("one manager for all", column(PERSONS, "ManagerId", lambda _: persons()[1][0]), LINKS_DELETED_SHARE, LINKS_INSERTED_SHARE),  # noqa: E501
)  # fmt: skip

CONTENT = (*FORMATS, *VALUES, *KEYS, *LINKS)
