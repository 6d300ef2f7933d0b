"""Every broken export ends as a clear error or as a block, and the repository stays what it was.

The thresholds are the defaults, for the configuration writes none. Each case starts from the good export, applied by an
Initial. Preparing and synchronizing takes its time: each case is run in one mode and, if it blocks, on one kind of
database, in turn, so that half of the corpus meets each; ``HYPOTHESIS_PROFILE=thorough`` runs all in all modes on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_idm.configuration import SourceType
from airflow_provider_idm.errors import IdmError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.prepare.files import FileMaker
from tests.conftest import DATABASES, Databases
from tests.safeguards.case import COMPLETE, INCREMENTAL, SEPARATORS, Blocked, Case, Refused
from tests.safeguards.cases_harmless import HARMLESS
from tests.safeguards.cases_values import other_tenant
from tests.safeguards.corpus import CORPUS
from tests.safeguards.damage import changes, rows
from tests.safeguards.export import CONNECTOR, LINKS, PERSONS, RESOURCES, persons, write_export
from tests.safeguards.start import Contents, Site, Start, stored_rows

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import SynchronizationMode

REFUSED = [case for case in CORPUS if isinstance(case.expected, Refused)]
BLOCKED = [case for case in CORPUS if isinstance(case.expected, Blocked)]

Untouched = dict[str, tuple[Repository, Contents]]


def runs(cases: list[Case], *, kinds: Sequence[str] = ()) -> list[Any]:
    """Return (case, mode) or (case, mode, kind of database) of what is run."""
    thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    chosen: list[Any] = []
    for number, case in enumerate(cases):
        modes = case.modes if thorough else (case.modes[number % len(case.modes)],)
        places = kinds if thorough or not kinds else (kinds[number // 2 % len(kinds)],)
        for mode in modes:
            name = f"{case.name}-{mode.name.lower()}"
            chosen += [pytest.param(case, mode, kind, id=f"{name}-{kind}") for kind in places]
            if not places:
                chosen.append(pytest.param(case, mode, id=name))
    return chosen


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Give the state in which every case starts."""
    return Start(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="session")
def makers(sqlite_databases: Databases, postgresql_databases: Databases) -> dict[str, Databases]:
    """Give the makers of databases by kind."""
    return {made.kind: made for made in (sqlite_databases, postgresql_databases)}


@pytest.fixture(scope="session")
def untouched(start: Start, makers: dict[str, Databases]) -> Iterator[Untouched]:
    """Give a repository of each kind in its start state, and what it holds: no test changes that."""
    opened = {kind: Repository.open(made.prepared(start.fill)) for kind, made in makers.items()}
    given = {kind: (r, Contents.read(r, start.site.mappings)) for kind, r in opened.items()}
    yield given
    for repository, contents in given.values():
        assert Contents.read(repository, start.site.mappings) == contents
        repository.close()


@contextmanager
def new_repository(start: Start, made: Databases) -> Iterator[Repository]:
    """Open a repository of one's own in the start state."""
    url = made.prepared(start.fill)
    try:
        with Repository.open(url) as repository:
            yield repository
    finally:
        made.drop(url)


def prepare(case: Case, site: Site, mode: SynchronizationMode, monkeypatch: pytest.MonkeyPatch) -> str:
    """Break the export as a case says, and prepare it; return the batch."""
    separator = case.separator or SEPARATORS[mode]
    write_export(site.sources, separator)
    if case.after_reading is None:
        case.damage(site.sources, separator)
        return site.prepare(mode, type=case.type, **case.options).manifest.batch
    read = FileMaker.read

    def read_and_damage(maker: FileMaker, source: Any, *more: Any) -> None:
        read(maker, source, *more)
        if source.path.name == f"{case.after_reading}.csv":
            case.damage(site.sources, separator)

    with monkeypatch.context() as patch:
        patch.setattr(FileMaker, "read", read_and_damage)
        return site.prepare(mode, type=case.type, **case.options).manifest.batch


def test_the_corpus() -> None:
    names = [case.name for case in CORPUS]
    assert len(set(names)) == len(names) >= 70


def test_the_good_export(start: Start, untouched: Untouched) -> None:
    """The numbers that the expectations are worked out from; no limit but the defaults holds."""
    limits = start.site.mappings.connector
    assert limits.resource_thresholds.maximum_deleted_lines == 100
    assert limits.resource_thresholds.max_percentage_updated_lines == 5
    assert limits.link_thresholds.maximum_deleted_lines == 1000
    assert limits.link_thresholds.max_percentage_deleted_lines == 5
    for repository, contents in untouched.values():
        status = repository.status(CONNECTOR)
        assert sum(status.resources.values()) == len(contents.rows["UR_Resources"]) == RESOURCES
        assert sum(status.links.values()) == LINKS
    assert len({contents.hash for _, contents in untouched.values()}) == 1


@pytest.mark.parametrize(("case", "mode"), runs(REFUSED))
def test_an_error(
    case: Case,
    mode: SynchronizationMode,
    start: Start,
    untouched: Untouched,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prepare says which file, which line and what is wrong; it publishes nothing, so there is nothing to apply."""
    expected = case.expected
    assert isinstance(expected, Refused)
    site = start.site.copy(tmp_path / "site")
    previous = site.previous()

    with pytest.raises(IdmError) as caught:
        prepare(case, site, mode, monkeypatch)

    assert isinstance(caught.value, expected.error)
    assert expected.says in str(caught.value)
    if expected.file is not None:
        place = "" if expected.line is None else f", line {expected.line}"
        assert f"{site.sources / expected.file}{place}" in str(caught.value)
    assert site.batches() == [start.initial.batch]
    assert site.previous() == previous
    for repository, contents in untouched.values():
        assert site.synchronize(repository).state == "nothing"
        assert stored_rows(repository) == contents.rows


@pytest.mark.parametrize(("case", "mode", "kind"), runs(BLOCKED, kinds=DATABASES))
def test_a_block(
    case: Case,
    mode: SynchronizationMode,
    kind: str,
    start: Start,
    makers: dict[str, Databases],
    untouched: Untouched,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch exceeds exactly the thresholds that are named: nothing is applied, the connector is blocked."""
    expected = case.expected
    assert isinstance(expected, Blocked)
    site = start.site.copy(tmp_path / "site")
    with new_repository(start, makers[kind]) as repository:
        batch = prepare(case, site, mode, monkeypatch)

        result = site.synchronize(repository)

        assert (result.state, result.blocked_by) == ("blocked", batch)
        assert {t.name for t in result.thresholds} == expected.thresholds
        assert {t.scope for t in result.thresholds} == {f"Connector {CONNECTOR}"}
        assert Contents.read(repository, site.mappings) == untouched[kind][1]
        status = repository.status(CONNECTOR)
        assert (status.state, status.last_batch) == ("blocked", start.initial.batch)
    assert site.exchange.channel(CONNECTOR).state().state == "blocked"


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_broken(name: str, start: Start, tmp_path: Path) -> None:
    """The clean files are those of the good export, row for row."""
    site = start.site.copy(tmp_path / "site")
    HARMLESS[name](site.sources, ",")

    files = site.prepare(COMPLETE).manifest.files

    assert {f.target: f.sha256 for f in files} == {f.target: f.sha256 for f in start.initial.files}


@pytest.mark.parametrize("kind", DATABASES)
def test_changes_of_persons_that_are_not_there(
    kind: str, start: Start, makers: dict[str, Databases], untouched: Untouched, tmp_path: Path
) -> None:
    """Another tenant's updates and deletes are reported, not applied: they take nothing away from anybody."""
    for command, anomalies in (("update", 400), ("Delete", 0)):
        site = start.site.copy(tmp_path / command)
        changes(persons=(command, other_tenant(400)))(site.sources, ",")
        with new_repository(start, makers[kind]) as repository:
            site.prepare(INCREMENTAL, type=SourceType.CHANGES)
            result = site.synchronize(repository)

            assert (result.state, result.has_effect) == ("completed", False)
            assert result.entity_types["Person"].anomalies == anomalies
            assert Contents.read(repository, site.mappings) == untouched[kind][1]


@pytest.mark.parametrize("kind", DATABASES)
def test_the_good_export_after_broken_ones(
    kind: str, start: Start, makers: dict[str, Databases], untouched: Untouched, tmp_path: Path
) -> None:
    """A later broken Complete takes over the block, and the next good one ends it: nothing was ever lost."""
    site = start.site.copy(tmp_path / "site")
    with new_repository(start, makers[kind]) as repository:
        blocks = []
        for left in (1, 200):
            rows(PERSONS, itemgetter(slice(left)))(site.sources, ",")
            blocks.append(site.prepare(COMPLETE).manifest.batch)
            assert site.synchronize(repository).blocked_by == blocks[-1]
            assert Contents.read(repository, site.mappings) == untouched[kind][1]
        rows(PERSONS, lambda _: persons())(site.sources, ",")
        good = site.prepare(COMPLETE).manifest.batch

        result = site.synchronize(repository)

        assert (result.state, result.has_effect) == ("completed", False)
        assert Contents.read(repository, site.mappings) == untouched[kind][1]
        status = repository.status(CONNECTOR)
        assert (status.state, status.last_batch) == ("ready", good)
        assert {b.batch: b.state for b in status.batches if b.batch in blocks} == dict.fromkeys(
            blocks, "cancelled"
        )
