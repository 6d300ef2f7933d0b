"""A connector of any size, and ways to change an exact number of its resources or links."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.oracle.harness import Harness
from tests.oracle.model import CleanFile, Model, difference
from tests.oracle.shapes import HR, Limits, Shape

Files = dict[str, CleanFile]


@dataclass(frozen=True)
class Size:
    """How much is stored: persons and organizations; links of the first of them, so that others have none.

    :param members: persons that have an organization; ``parents`` organizations that have one.
    """

    persons: int = 20
    organizations: int = 20
    members: int = 10
    parents: int = 5

    @property
    def stored(self) -> dict[str, int]:
        """Numbers stored, by entity type or association."""
        return {
            "Person": self.persons,
            "Organization": self.organizations,
            "Person_Organization": self.members,
            "Organization_Parent": self.parents,
        }


SMALL = Size()
EMPTY = Size(0, 0, 0, 0)
COMPANY = replace(HR, associations=HR.associations[:2])
"""Persons and organizations, a person's organization, an organization's parent."""
TYPES = ("Person", "Organization")
ASSOCIATIONS = ("Person_Organization", "Organization_Parent")


def person(number: int) -> str:
    return f"p{number:05}"


def organization(number: int) -> str:
    return f"o{number:05}"


def content(size: Size) -> Files:
    """Write the clean files of a Complete or Initial."""
    few = max(1, min(5, size.organizations))
    return {
        "Person": CleanFile(
            ["PersonId", "Login", "LastName"],
            [[person(n), f"login{n}", f"Name {n}"] for n in range(size.persons)],
        ),
        "Organization": CleanFile(
            ["Code", "Label"], [[organization(n), f"Label {n}"] for n in range(size.organizations)]
        ),
        "Person_Organization": _pairs((person(n), organization(n % few)) for n in range(size.members)),
        "Organization_Parent": _pairs((organization(n + 1), organization(0)) for n in range(size.parents)),
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> CleanFile:
    return CleanFile(["key1", "key2"], [list(p) for p in pairs])


# ------------------------------------------------------------------------------------------------------ changes


def shared(count: int, names: tuple[str, ...]) -> dict[str, int]:
    """Share changes out, one by one: 4 among 3 is 2, 1, 1."""
    return {name: len(range(n, count, len(names))) for n, name in enumerate(names)}


def changed(size: Size, change: str, counts: Mapping[str, int]) -> Files:
    """Write what a source holds after exactly so many changes of a kind.

    Resources without links are deleted, so that no link is lost; links are inserted where there is none.

    :param change: Inserted, Updated, Deleted; or Moved, which gives a mono-valued link another target.
    :param counts: how many, by entity type or association.
    """
    files = content(size)
    for target, count in counts.items():
        if count:
            kind = "resource" if target in TYPES else "link"
            _CHANGES[kind, change](files[target], target, count, size)
            files[target].lines.sort()
    return files


def _insert(file: CleanFile, target: str, count: int, size: Size) -> None:
    first, key = (size.persons, person) if target == "Person" else (size.organizations, organization)
    numbers = range(first, first + count)
    new = [[key(n), f"login{n}", f"Name {n}"] for n in numbers]
    file.lines += [[*line[: len(file.columns) - 1], line[-1]] for line in new]


def _update(file: CleanFile, target: str, count: int, size: Size) -> None:
    assert count <= len(file.lines)
    for line in file.lines[:count]:
        line[-1] += " changed"


def _delete(file: CleanFile, target: str, count: int, size: Size) -> None:
    linked = size.members if target == "Person" else max(5, size.parents + 1)
    assert count <= len(file.lines) - linked, "not enough resources without links"
    del file.lines[len(file.lines) - count :]


def _link(file: CleanFile, target: str, count: int, size: Size) -> None:
    for n in range(len(file.lines), len(file.lines) + count):
        if target == "Person_Organization":
            assert n < size.persons
            file.lines.append([person(n), organization(0)])
        else:
            assert n + 1 < size.organizations
            file.lines.append([organization(n + 1), organization(0)])


def _unlink(file: CleanFile, target: str, count: int, size: Size) -> None:
    assert count <= len(file.lines)
    del file.lines[:count]


def _move(file: CleanFile, target: str, count: int, size: Size) -> None:
    assert count <= len(file.lines)
    for line in file.lines[:count]:
        line[1] = organization(size.organizations - 1)


_CHANGES: dict[tuple[str, str], Callable[[CleanFile, str, int, Size], None]] = {
    ("resource", "Inserted"): _insert,
    ("resource", "Updated"): _update,
    ("resource", "Deleted"): _delete,
    ("link", "Inserted"): _link,
    ("link", "Deleted"): _unlink,
    ("link", "Moved"): _move,
}


def without(files: Files, target: str, keys: set[str]) -> Files:
    """Leave out some resources; what links to them stays in the source and becomes orphans."""
    file = files[target]
    return files | {target: replace(file, lines=[line for line in file.lines if line[0] not in keys])}


def as_batch(size: Size, files: Files, mode: str) -> Files:
    """Write what a batch of a mode holds that makes the stored content that of ``files``."""
    return difference(COMPANY, content(size), files) if mode == "Incremental" else files


# ------------------------------------------------------------------------------------------------- repositories


@cache
def filled(size: Size, shape: Shape = COMPANY) -> Callable[[str], None]:
    """Return what fills an empty database with a first batch (nothing but tables if the size is empty)."""

    def fill(url: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            harness = Harness(shape, url, Path(folder))
            if size == EMPTY:
                assert harness.repository
            else:
                harness.synchronize(batch=harness.publish(content(size), "Initial"))
            harness.close()

    return fill


def last_batch(harness: Harness) -> str | None:
    """Return the batch that the repository was filled with, for an Incremental to be based on."""
    rows = harness.table("UJ_ConnectorStates")
    return rows[0]["LastBatch_Id"] if rows else None


def model_of(size: Size, shape: Shape = COMPANY) -> Model:
    """Return the model of a connector of that size."""
    model = Model(shape)
    model.apply("Initial", content(size))
    return model


def limits(scope: str, written: Mapping[str, str], base: Limits = HR.thresholds) -> Limits:
    """Return the thresholds of a connector on which only these are on."""
    same = {name.replace("MaxPercentageLink", "MaxLinkPercentage") for name in written}
    others = {name: text for name, text in base.get(scope, {}).items() if name not in same}
    return {**base, scope: {**others, **written}}
