"""What all runs of a contest start from: the data, the batches made of it once, and what must be counted."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.job import (
    COMPLETE,
    CONNECTOR,
    INCREMENTAL,
    INITIAL,
    NO_CHANGES,
    OURS,
    PLAN,
    PREPARE,
    PREPARE_INCREMENTAL,
    RAW,
    Job,
)
from benchmarks.measure import Cost, run

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parents[1]
ZERO = {"inserted": 0, "updated": 0, "deleted": 0}
BACK = {"inserted": "deleted", "deleted": "inserted", "updated": "updated"}
BATCHES = {
    INITIAL: ("s1", "initial"),
    NO_CHANGES: ("s1", "complete"),
    COMPLETE: ("s2", "complete"),
    INCREMENTAL: ("s1", "incremental"),
}
"""Snapshot and mode of the batch of each step, in order: the last one leads back to the first."""
KEEPS = ("dlt_merge",)
"""Who does not delete what a full file no longer holds."""
Counts = dict[str, dict[str, int]]


class Arena:
    """The folders of a run.

    :ivar truth: what the data holds; ``batches``: the id of each step's batch; ``prefix``: the command that
        runs a job's process somewhere else.
    """

    def __init__(
        self,
        folder: Path,
        entries: int,
        seed: int,
        data: Path | None = None,
        *,
        change_rate: float = 0.01,
    ) -> None:
        self.folder = folder
        self.data = (data or folder / "data").resolve()
        own = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join(own)}
        self.batches: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        if not (self.data / "truth.json").exists():
            options = ["--entries", str(entries), "--seed", str(seed), "--change-rate", str(change_rate)]
            run([sys.executable, "-m", "benchmarks.generate", str(self.data), *options], self.environment)
        self.truth: dict[str, Any] = json.loads((self.data / "truth.json").read_text(encoding="utf-8"))
        wanted = {"entries": entries, "seed": seed, "change_rate": change_rate}
        if wanted != {name: self.truth[name] for name in wanted}:
            raise SystemExit(f"{self.data} holds other data than that of {wanted}")
        shutil.copytree(ROOT / "benchmarks" / "conf", self.data / "conf", dirs_exist_ok=True)

    # ------------------------------------------------------------------------------------------------ jobs

    def job(self, contender: str, step: str, **more: Any) -> Job:
        return Job(contender=contender, step=step, configuration=str(self.data / "conf"), **more)

    def do(
        self, job: Job, server: int | None = None, also: Path | None = None
    ) -> tuple[Cost, dict[str, Any]]:
        """Do a job in a process of its own; return what it took and what it printed.

        :param also: a folder of packages that only this process has.
        """
        environment = dict(self.environment)
        if also is not None:
            environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(also)])
        os.sync()  # what others have left to be written is not paid for by this one
        command = [*self.prefix, sys.executable, "-m", "benchmarks.child", job.to_json()]
        cost = run(command, environment, watched=True, server=server)
        return cost, json.loads(cost.output.splitlines()[-1])

    def scratch(self, name: str) -> Path:
        """Return an empty folder."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    # --------------------------------------------------------------------------------------------- batches

    def prepare_batches(self, steps: Collection[str] = tuple(BATCHES)) -> None:
        """Make the batch of each step, once: all repositories are given the same."""
        place = self.scratch("prepared")
        for step in (step for step in BATCHES if step in steps):
            if step == INCREMENTAL:
                self._clone(place, self.scratch("before-incremental"))
            snapshot, mode = BATCHES[step]
            self.batches[step] = self.prepare_into(place, snapshot, mode)
        self._clone(place / "exchange", self.scratch("pristine"))
        shutil.rmtree(place)

    def prepare_for(self, steps: Collection[str]) -> None:
        """Make the batches that some steps need, and those that lead there."""
        wanted = [INITIAL, *(step for step in BATCHES if step in steps)]
        if {PLAN, RAW, INCREMENTAL, PREPARE_INCREMENTAL} & set(steps):
            wanted.append(COMPLETE)
        if PREPARE_INCREMENTAL in steps:
            wanted.append(INCREMENTAL)
        self.prepare_batches(wanted)

    def prepare_into(self, place: Path, snapshot: str, mode: str) -> str:
        _, told = self.do(
            self.job(
                OURS,
                PREPARE,
                raw=str(self.data / snapshot),
                exchange=str(place / "exchange"),
                work=str(place / "work"),
                mode=mode,
            )
        )
        return str(told["counts"]["batch"]["id"])

    def clean(self, step: str) -> Path:
        """Return the folder of the clean files of a step's batch."""
        return self.folder / "pristine" / CONNECTOR / self.batches[step]

    def preparing(self, step: str, place: Path) -> Job:
        """Return the job of our prepare: a Complete into an empty exchange, or an Incremental from s2 back to s1."""
        if step == PREPARE_INCREMENTAL:
            self._clone(self.folder / "before-incremental", place)
        return self.job(
            OURS,
            step,
            raw=str(self.data / ("s2" if step == RAW else "s1")),
            exchange=str(place / "exchange"),
            work=str(place / "work"),
            mode="incremental" if step == PREPARE_INCREMENTAL else "complete",
        )

    def preparing_plainly(self, contender: str, step: str, place: Path) -> Job:
        """Return the same job for a baseline."""
        job = self.job(contender, step, raw=str(self.data / "s1"), output=str(place / "clean"))
        return replace(job, former=str(self.clean(COMPLETE))) if step == PREPARE_INCREMENTAL else job

    def batches_into(self, place: Path) -> None:
        """Put an exchange with all batches, none of them applied, into a folder."""
        self._clone(self.folder / "pristine", place / "exchange")

    def synchronizing(self, contender: str, step: str, database: str, place: Path) -> Job:
        """Return the job of a step that changes, or only looks at, a repository."""
        batch = COMPLETE if step == PLAN else step
        return self.job(
            contender,
            step,
            database=database,
            clean=str(self.clean(batch)),
            exchange=str(place / "exchange"),
            work=str(place / "work"),
            output=str(place / "out"),
            batch=self.batches[batch],
        )

    @staticmethod
    def _clone(source: Path, target: Path) -> None:
        """Copy a folder by links: whoever changes a file of it writes a new one."""
        shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True)

    # --------------------------------------------------------------------------------------------- counts

    def check(self, job: Job, counts: Counts) -> None:
        """Compare what was counted with what the data holds.

        :raises SystemExit: if something else was counted.
        """
        for target, changed in self.expected(job.step).items():
            if target not in counts:
                continue
            is_state = "stored" in counts[target]
            wanted = {"stored": self.stored(job, target)} if is_state else changed
            found = {name: counts[target].get(name, 0) for name in wanted}
            if found != wanted:
                raise SystemExit(
                    f"{job.contender}, {job.step}, {target}: counted {found}, the data holds {wanted}"
                )

    def stored(self, job: Job, target: str) -> int:
        """Return what is stored of an entity type or association after a step, for those that count nothing else."""
        number = int(self.truth["s1"][target]["rows"])
        if target == "GroupMembers":
            number -= self.truth["orphans"]
        if job.step == COMPLETE:
            changed = ZERO | self.truth["changes"][target]
            number += changed["inserted"] - (0 if job.contender in KEEPS else changed["deleted"])
        return number

    def expected(self, step: str) -> Counts:
        """Return what a step must count."""
        there: Counts = self.truth["changes"]
        back = {target: {BACK[name]: n for name, n in numbers.items()} for target, numbers in there.items()}
        match step:
            case "prepare" | "raw":
                return dict(self.truth["s2" if step == RAW else "s1"])
            case "prepare-incremental":
                commands = {"inserted": "insert", "updated": "update", "deleted": "delete"}
                # an association's commands name keys, which may change without its links
                return {t: {commands[name]: n for name, n in back[t].items()} for t in ("User", "Group")}
            case "initial":
                stored = {target: {"inserted": n["rows"]} for target, n in self.truth["s1"].items()}
                stored["GroupMembers"]["inserted"] -= self.truth["orphans"]
                return stored
            case "nochange":
                return {target: dict(ZERO) for target in there}
            case "incremental":
                return back
            case _:
                return there
