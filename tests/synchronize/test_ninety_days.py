"""Ninety days of dated extracts, and each of the ninety states afterwards: by content and by hash."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration import SynchronizationMode
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from tests.oracle.harness import expected_snapshot, write_csv
from tests.oracle.model import Model, cleanse
from tests.oracle.runner import read_csv
from tests.oracle.sequences import table_columns
from tests.oracle.shapes import HR, Association, Property, Type

if TYPE_CHECKING:
    from tests.oracle.harness import Harness
    from tests.oracle.model import Row
    from tests.synchronize.conftest import MakeHarness

DAYS = 90
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
WEDNESDAY = 2
NAMES = ("Lovelace", "Türing", "O'Hara", "Noël, Zoë", 'the "great"', "Hopper", "")
PERSON, ORGANIZATION = HR.types
COMPANY = replace(
    HR,
    name="company",
    types=(
        replace(PERSON, navigations=(*PERSON.navigations, ("Teams", -1))),
        ORGANIZATION,
        Type("Team", "HR_Team", (Property("Name", "name", 4, primary=True),), (("People", -1),)),
    ),
    associations=(
        *HR.associations,
        Association(
            "Person_Team",
            "HR_Membership",
            "person",
            "team",
            "Person",
            "PersonId",
            "Teams",
            True,
            "Team",
            "Name",
            "People",
            True,
        ),
    ),
)
"""Persons in organizations (references) and teams (link table); organizations have parents and managers."""
Tables = dict[str, list["Row"]]


class Company:
    """A company in which something happens every day."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # the same days in every run
        self.persons: dict[str, Row] = {}
        self.organizations: dict[str, Row] = {}
        self.members: set[tuple[str, str]] = set()
        for number in range(5):
            self._found(f"O{number}")
        for number in range(25):
            self._hire(f"P{number:02}")

    def live(self) -> Tables:
        """Let a day pass and write it down as the tables that are extracted."""
        choose = self.random
        for _ in range(choose.randrange(1, 6)):
            person = f"P{choose.randrange(30):02}"
            what = choose.choice(
                ("hire", "rename", "move", "leave", "join", "join", "found", "manage", "close")
            )
            if what == "hire" or (person not in self.persons and what in {"rename", "move", "leave"}):
                self._hire(person)
            elif what == "rename":
                self.persons[person] |= {
                    "name": choose.choice(NAMES),
                    "login": f"{person}{choose.randrange(3)}",
                }
            elif what == "move":
                self.persons[person]["org"] = self._organization()
            elif what == "leave":
                del self.persons[person]  # memberships stay: nobody told the teams
            elif what == "join":
                self.members ^= {(person, f"T{choose.randrange(4)}")}
            elif what == "close":
                self.organizations.pop(f"O{choose.randrange(7)}", None)
            else:
                self._found(f"O{choose.randrange(7)}")
        return {
            "HR_Person": [*self.persons.values()],
            "HR_Organization": [*self.organizations.values()],
            "HR_Team": [{"name": f"T{number}"} for number in range(4)],
            "HR_Membership": [{"person": p, "team": t} for p, t in sorted(self.members)],
        }

    def _hire(self, key: str) -> None:
        name = self.random.choice(NAMES)
        self.persons[key] = {"id": key, "login": f"{key}0", "name": name, "org": self._organization()}

    def _found(self, key: str) -> None:
        manager = f"P{self.random.randrange(30):02}{self.random.randrange(3)}"
        label = self.random.choice(NAMES)
        self.organizations[key] = {
            "code": key,
            "label": label,
            "parent": self._organization(),
            "manager": manager,
        }

    def _organization(self) -> str:
        return self.random.choice(["", *(f"O{number}" for number in range(7))])


def extract(tables: Tables, folder: Path) -> None:
    """Write a day's source files."""
    folder.mkdir(parents=True)
    for table, columns in table_columns(COMPANY).items():
        write_csv(folder / f"{table}.csv", columns, [[row[c] for c in columns] for row in tables[table]])


def state_of(folder: Path) -> Model:
    """Work out from a day's source files alone what is to be stored."""
    model = Model(COMPANY)
    tables = {table: read_csv(folder / f"{table}.csv").rows() for table in table_columns(COMPANY)}
    model.apply("Complete", {target: c.file for target, c in cleanse(COMPANY, tables).items()})
    return model


def hash_of(model: Model) -> str:
    """Work out the hash of a state: of every entity type and association its name and rows, as CSV, by key."""
    digest = hashlib.sha256()
    links = {name: sorted(pairs) for name, pairs in model.all_links().items()}
    for entity in sorted(COMPANY.types, key=lambda e: e.identifier):
        referred = {
            property_: {pair[side]: pair[1 - side] for pair in links[a.identifier]}
            for a in COMPANY.associations
            for side, owner, property_, many in (
                (0, a.type1, a.property1, a.many1),
                (1, a.type2, a.property2, a.many2),
            )
            if owner == entity.identifier and not many
        }
        names = [n for n, _ in entity.navigations if n in referred]
        rows = [
            [*(row[c] for c in entity.columns), *(referred[n].get(key, "") for n in names)]
            for key, row in sorted(model.resources[entity.identifier].items())
        ]
        digest.update(_as_csv(entity.identifier, [*entity.columns, *names], rows))
    for name, pairs in sorted(links.items()):
        digest.update(_as_csv(name, ["key1", "key2"], [list(pair) for pair in pairs]))
    return digest.hexdigest()


def _as_csv(name: str, columns: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return f"{name}\n{text.getvalue()}".encode()


def synchronize(harness: Harness, day: datetime, sources: Path) -> None:
    """Bring a day's extract into the repository: whole, or on Wednesdays what differs from the day before."""
    whole = day == FIRST_DAY or day.weekday() != WEDNESDAY
    prepared = prepare(
        PrepareRequest(
            mappings=harness.mappings,
            mode=SynchronizationMode.COMPLETE if whole else SynchronizationMode.INCREMENTAL,
            sources=sources,
            exchange=harness.exchange,
            work=harness.work,
            effective_date=day,
        )
    )
    assert harness.synchronize(batch=prepared.manifest.batch).state == "completed"


@pytest.mark.slow
def test_each_of_ninety_days_is_there_afterwards(make_harness: MakeHarness, tmp_path: Path) -> None:
    # Given an extract of each day, prepared and synchronized under its date
    harness, company = make_harness(COMPANY), Company(seed=90)
    days = [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]
    for day in days:
        sources = tmp_path / "extracts" / f"{day:%Y-%m-%d}"
        extract(company.live(), sources)
        synchronize(harness, day, sources)

    # Then the repository as of each day holds what the files of that day say, and has their hash
    hashes = set()
    for number, day in enumerate(days):
        state = state_of(tmp_path / "extracts" / f"{day:%Y-%m-%d}")
        expected, found = expected_snapshot(state), harness.snapshot(day)
        assert (found.resources, found.links) == (expected.resources, expected.links), f"{day:%Y-%m-%d}"
        hash_ = harness.repository.content_hash(harness.mappings, day)
        assert hash_ == hash_of(state), f"{day:%Y-%m-%d}"
        hashes.add(hash_)
        if number % 30 == 0:
            entities, links = harness.queried(day)
            assert links == {name: sorted(pairs) for name, pairs in expected.links.items()}
            for entity in COMPANY.types:
                rows = [{c: row[c] or "" for c in entity.columns} for row in entities[entity.identifier]]
                assert rows == [row for _, row in sorted(expected.resources[entity.identifier].items())]
    assert len(hashes) > DAYS * 0.9
    assert harness.repository.content_hash(harness.mappings) == hash_of(state)
    nothing = harness.snapshot(FIRST_DAY - timedelta(microseconds=1))
    assert not any((*nothing.resources.values(), *nothing.links.values()))
