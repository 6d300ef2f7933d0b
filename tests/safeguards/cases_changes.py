"""Broken lists of changes: commands that mean nothing, and commands that mean too much."""

from __future__ import annotations

from typing import Any

from airflow_provider_idm.configuration import SourceType
from tests.safeguards.case import (
    COMPLETE,
    DELETED,
    INCREMENTAL,
    INSERTED,
    LINKS_DELETED,
    LINKS_INSERTED,
    UPDATED,
    blocked,
    refused,
)
from tests.safeguards.cases_values import other_tenant
from tests.safeguards.damage import all_of, changes, raw, rows
from tests.safeguards.export import PERSONS, memberships, organizations, persons

LIST: dict[str, Any] = {"modes": (INCREMENTAL,), "type": SourceType.CHANGES}
DIRECTORY: dict[str, Any] = {"modes": (INCREMENTAL,), "type": SourceType.ACTIVE_DIRECTORY}
EVERYBODY = persons()[1:]
ALL_ORGANIZATIONS = organizations()[1:]
ALL_MEMBERSHIPS = memberships()[1:]


def keys_only(number: int = 400) -> list[list[str]]:
    """Return persons of whom only the key is told."""
    return [[row[0], *([""] * 14)] for row in EVERYBODY[:number]]


def with_value(place: int, value: str) -> list[list[str]]:
    """Return all persons with another value in a column."""
    return [[*row[:place], value, *row[place + 1 :]] for row in EVERYBODY]


CHANGES = (
    refused("commands that mean nothing", changes(persons=("UPSERT", EVERYBODY)), "column Command: 'UPSERT'", 2, **LIST),
    refused("commands as letters", changes(persons=("D", EVERYBODY)), "column Command: 'D'", 2, **LIST),
    refused("commands left out", changes(persons=("", EVERYBODY)), "column Command: nothing", 2, **LIST),
    refused("commands of memberships that mean nothing", changes(memberships=("MEMBER", ALL_MEMBERSHIPS)), "column Command: 'MEMBER'", 2, file="HR-Memberships.csv", **DIRECTORY),  # noqa: E501
    refused("no command column", rows(PERSONS, lambda r: r), "the command column 'command' is missing", 1, file="HR-Organizations.csv", **LIST),  # noqa: E501
    refused("two command columns", all_of(changes(persons=("ADD", EVERYBODY)), lambda f, s: (f / f"{PERSONS}.csv").write_text(f"Command{s}COMMAND{s}" + s.join(persons()[0]) + "\n")), "the command column 'command' stands there more than once", 1, **LIST),  # noqa: E501
    refused("a list of changes cut off", all_of(changes(persons=("UPDATE", EVERYBODY)), raw(PERSONS, lambda b: b[: b.index(b"user099") + 4])), "3 fields; expected 16 as in the header", 101, **LIST),  # noqa: E501
    refused("changes with dates of another format", changes(persons=("UPDATE", with_value(8, "31/12/2020"))), "column StartDate: '31/12/2020'", 2, **LIST),  # noqa: E501
    blocked("DELETE for everybody", changes(persons=("DELETE", keys_only())), DELETED, LINKS_DELETED, **LIST),
    blocked("delete for everybody, in lower case", changes(persons=("delete", EVERYBODY)), DELETED, LINKS_DELETED, **LIST),  # noqa: E501
    blocked("REMOVE for all organizations", changes(organizations=("REMOVE", ALL_ORGANIZATIONS)), LINKS_DELETED, **LIST),
    blocked("UPDATE with empty rows", changes(persons=("UPDATE", keys_only())), UPDATED, LINKS_DELETED, **LIST),
    blocked("MODIFY with another name", changes(persons=("MODIFY", with_value(3, "Doe"))), UPDATED, **LIST),
    blocked("MERGE with another city", changes(persons=("MERGE", with_value(6, "Nowhere"))), UPDATED, **LIST),
    blocked("ADD of another tenant", changes(persons=("ADD", other_tenant(400))), INSERTED, **LIST),
    blocked("DELETE of all memberships", changes(memberships=("DELETE", ALL_MEMBERSHIPS)), LINKS_DELETED, **LIST),
    blocked("ADD of everybody to every group", changes(memberships=("ADD", [[p[1], o[0]] for p in EVERYBODY for o in ALL_ORGANIZATIONS])), LINKS_INSERTED, **LIST),  # noqa: E501
    blocked("directory: DELETE for everybody", changes(persons=("DELETE", keys_only())), DELETED, LINKS_DELETED, **DIRECTORY),  # noqa: E501
    blocked("directory: another value for everybody", changes(persons=("MODIFY", [[r[0], *([""] * 5), "Nowhere", *([""] * 8)] for r in EVERYBODY])), UPDATED, **DIRECTORY),  # noqa: E501
    blocked("directory: REMOVE of all members", changes(memberships=("REMOVE", ALL_MEMBERSHIPS)), LINKS_DELETED, **DIRECTORY),  # noqa: E501
    blocked("a list of changes read as a full extract", changes(persons=("UPDATE", EVERYBODY[:30]), organizations=("ADD", ALL_ORGANIZATIONS[:2])), DELETED, LINKS_DELETED, modes=(COMPLETE,), type=SourceType.CHANGES),  # noqa: E501
    blocked("an empty list of changes read as a full extract", changes(), DELETED, LINKS_DELETED, modes=(COMPLETE,), type=SourceType.CHANGES),  # noqa: E501
)  # fmt: skip
