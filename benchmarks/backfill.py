"""Backfills days of dated extracts through a whole Airflow, and compares every day with its extract.

    python -m benchmarks.backfill --days 90 [--persons 300] [--max-active-runs 3] [--postgresql]

Airflow (API server, DAG processor, scheduler, LocalExecutor) runs in processes of its own, its metadata on a PostgreSQL
of its own. The days are prepared and synchronized by a generated job; then the repository as of each day must hold the
rows of that day's extract, and have the content hash of a repository to which that extract is the current state.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from airflow_provider_idm.configuration import connector_mappings, read_configuration
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize
from benchmarks.servers import postgresql
from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.configuration import ConnectorMappings

DAG_ID = "days"
FIRST = date(2026, 1, 1)
COLUMNS = "id,name,since,manager"
PATIENCE = 3 * 3600
"""Seconds that all days may take together."""

LOADER = 'from airflow_provider_idm import generate_dags\n\ngenerate_dags("conf", idm_conn_id="idm_days")\n'
JOB = """\
<ConfigurationFile>
  <Job Identifier="days" DisplayName_L1="Days" CronTabExpression="0 0 * * *">
    <PrepareSynchronizationTask Identifier="prepare" DisplayName_L1="Prepare" Connector="HR"
                                SynchronizationMode="Complete" SourcesDirectory="{folder}/{{{{ ds }}}}" />
    <SynchronizeTask Identifier="synchronize" DisplayName_L1="Synchronize" Connector="HR" />
  </Job>
</ConfigurationFile>
"""


@dataclass(frozen=True)
class Report:
    """What a backfill took, and what it was of.

    :param seconds: from the creation of the backfill until its last run had ended.
    :param equal: days as of which the repository held what their extract holds.
    """

    database: str
    days: int
    persons: int
    max_active_runs: int
    seconds: float
    seconds_per_day: float
    equal: int


def extracts(days: int, persons: int, seed: int) -> Iterator[dict[str, tuple[str, str]]]:
    """Return name and manager by key for each day: 1 % go, 1 % come, and 2 % change their name or manager."""
    chance = random.Random(seed)
    few = max(1, persons // 100)
    known = {f"P{number:05}": (f"Name {number}", "") for number in range(persons)}
    coming = persons
    for _ in range(days):
        for key in chance.sample(sorted(known), few):
            del known[key]
        for _ in range(few):
            known[f"P{coming:05}"] = (f"Name {coming}", chance.choice(sorted(known)))
            coming += 1
        for key in chance.sample(sorted(known), few):
            known[key] = (f"Name {chance.randrange(10**6)}", known[key][1])
        for key in chance.sample(sorted(known), few):
            known[key] = (known[key][0], chance.choice(["", *sorted(known)]))
        yield dict(known)


def write(rows: dict[str, tuple[str, str]], folder: Path) -> None:
    folder.mkdir(parents=True)
    lines = (f"{key},{name},2020-01-01,{manager}" for key, (name, manager) in rows.items())
    (folder / "HR-Persons.csv").write_text("\n".join([COLUMNS, *lines, ""]), encoding="utf-8")


class Bench:
    """One backfill: its extracts, its repository and its Airflow."""

    def __init__(self, folder: Path, repository: str, days: int, persons: int, seed: int) -> None:
        self.folder = folder
        self.repository = repository
        self.dates = [FIRST + timedelta(days=number) for number in range(days)]
        self.rows = dict(zip(self.dates, extracts(days, persons, seed), strict=True))
        for day, rows in self.rows.items():
            write(rows, folder / "extracts" / str(day))
        self.configuration = CONFIGURATION.replace(
            '"Human Resources"',
            '"Human Resources" MaximumInsertedLines="0" MaximumUpdatedLines="0" MaximumDeletedLines="0"',
        )
        (folder / "conf").mkdir()
        (folder / "conf" / "HR.xml").write_text(self.configuration, encoding="utf-8")

    @property
    def mappings(self) -> ConnectorMappings:
        return connector_mappings(read_configuration(self.folder / "conf"), "HR")

    def backfill(self, stack: Stack, at_once: int) -> float:
        """Create the backfill; return the seconds until its last run ended.

        :raises SystemExit: if a run failed.
        """
        places = {"exchange": str(self.folder / "exchange"), "work": str(self.folder / "work")}
        stack.connect("idm_days", extra={"repository": self.repository, **places})
        job = JOB.format(folder=self.folder / "extracts")
        stack.place("days", {"conf/HR.xml": self.configuration, "conf/Job.xml": job, "days.py": LOADER})
        api, url = stack.client(), f"/api/v2/dags/{DAG_ID}"
        stack.wait_for(f"DAG {DAG_ID}", lambda: api.get(url).status_code == 200)
        api.patch(url, json={"is_paused": False}).raise_for_status()
        begin = time.monotonic()
        subprocess.run(
            [
                *(sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", DAG_ID),
                *("--from-date", str(self.dates[0]), "--to-date", str(self.dates[-1])),
                *("--max-active-runs", str(at_once)),
            ],
            env=stack.environment,
            cwd=stack.home,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shown = 0

        def ended() -> bool:
            nonlocal shown
            query = {"run_type": "backfill", "limit": 1}
            states = {
                state: api.get(f"{url}/dagRuns", params={**query, "state": state}).json()["total_entries"]
                for state in ("success", "failed")
            }
            if states["failed"]:
                raise SystemExit(f"{states['failed']} runs failed; their logs are in {stack.home / 'logs'}")
            if states["success"] >= shown + 10:
                shown = states["success"]
                print(f"{shown} days after {time.monotonic() - begin:,.0f} s", file=sys.stderr)
            return bool(states["success"] == len(self.dates))

        stack.wait_for("the end of the backfill", ended, PATIENCE)
        return time.monotonic() - begin

    def check(self) -> int:
        """Compare the repository as of each day with the extract of that day; return how many are equal."""
        equal = 0
        with ExitStack() as opened:
            reference = Reference(self.folder / "reference", self.mappings, opened)
            repository = opened.enter_context(Repository.open(self.repository))
            for day, rows in self.rows.items():
                found = repository.resources_as_of(self.mappings, "Person", day).to_pylist()
                stored = {row["Id_"]: (row["Name"], row["Manager"] or "") for row in found}
                known = {
                    key: (name, manager if manager in rows else "") for key, (name, manager) in rows.items()
                }
                hashed = repository.content_hash(self.mappings, day)
                if stored == known and hashed == reference.hash(self.folder / "extracts" / str(day)):
                    equal += 1
                else:
                    print(f"{day}: the repository does not hold what the extract holds", file=sys.stderr)
        return equal


class Reference:
    """A repository that is given extracts as the current state, and keeps no history."""

    def __init__(self, folder: Path, mappings: ConnectorMappings, opened: ExitStack) -> None:
        folder.mkdir()
        self.folder = folder
        self.mappings = mappings
        self.exchange = Exchange.open(str(folder / "exchange"))
        self.repository = opened.enter_context(Repository.open(f"sqlite:///{folder}/repository.db"))

    def hash(self, sources: Path) -> str:
        """Return the content hash after a Complete of an extract."""
        mode, work = SynchronizationMode.COMPLETE, self.folder / "work"
        places: dict[str, Any] = {"mappings": self.mappings, "exchange": self.exchange, "work": work}
        batch = prepare(PrepareRequest(mode=mode, sources=sources, **places)).manifest.batch
        synchronize(
            SynchronizeRequest(repository=self.repository, batch=batch, force=True, history=False, **places)
        )
        return self.repository.content_hash(self.mappings)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backfill", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--persons", type=int, default=300)
    parser.add_argument("--max-active-runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="the repository too is on PostgreSQL")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for all files (default: .bench)")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    given = parser.parse_args(arguments)

    logging.getLogger("airflow_provider_idm").setLevel(logging.WARNING)
    folder = given.folder.resolve() / f"backfill-{os.getpid()}"
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    with ExitStack() as opened:
        if not given.keep:
            opened.callback(shutil.rmtree, folder, ignore_errors=True)
        server = sa.make_url(postgresql(folder, opened))
        databases = [server.set(database=name) for name in ("airflow", "identities")]
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for database in databases:
                connection.exec_driver_sql(f'CREATE DATABASE "{database.database}"')
        engine.dispose()
        metadata, identities = (url.render_as_string(hide_password=False) for url in databases)
        repository = identities if given.postgresql else f"sqlite:///{folder / 'repository.sqlite'}"
        bench = Bench(folder, repository, given.days, given.persons, given.seed)
        with Stack(home, database=metadata).running() as stack:
            seconds = bench.backfill(stack, given.max_active_runs)
        report = Report(
            database="PostgreSQL" if given.postgresql else "SQLite",
            days=given.days,
            persons=given.persons,
            max_active_runs=given.max_active_runs,
            seconds=round(seconds, 1),
            seconds_per_day=round(seconds / given.days, 1),
            equal=bench.check(),
        )
    print(json.dumps(asdict(report) | {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}, indent=2))
    if report.equal != report.days:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
