"""What the benchmark concludes from what it measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.connectors import write_configuration
from benchmarks.contest import POSTGRESQL, Run
from benchmarks.goals import HAND, Line, summary
from benchmarks.job import COMPLETE, OURS, PLAN, RAW
from benchmarks.table import tables
from benchmarks.watch import Locks

ROOT = Path(__file__).parents[2]
SQL = HAND[POSTGRESQL]


def runs(step: str, contender: str, *seconds: float) -> list[Run]:
    return [
        Run(POSTGRESQL, step, contender, pair, taken, taken + 1, taken, int(taken) << 30)
        for pair, taken in enumerate(seconds)
    ]


def lines(*of: list[Run]) -> dict[tuple[str, str], Line]:
    found = summary([run for some in of for run in some], (PLAN, COMPLETE, RAW))
    return {(line.step, line.contender): line for line in found}


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    found = lines(runs(COMPLETE, OURS, 1.0, 2.0, 3.0), runs(COMPLETE, SQL, 4.0, 4.0, 4.0))

    of = found[COMPLETE, SQL]
    assert (of.ratio, of.ratios, of.goal, of.met) == (0.5, (0.25, 0.75), 0.55, True)
    assert found[COMPLETE, OURS].ratio is None


def test_who_takes_part_in_fewer_pairs_is_compared_with_those() -> None:
    found = lines(runs(COMPLETE, OURS, 1.0, 9.0, 9.0), runs(COMPLETE, "dlt_merge", 4.0))

    of = found[COMPLETE, "dlt_merge"]
    assert (of.ratio, of.goal, of.met) == (0.25, 0.125, False)


def test_a_plan_is_compared_with_our_own_complete() -> None:
    found = lines(runs(PLAN, OURS, 3.0), runs(COMPLETE, OURS, 4.0), runs(COMPLETE, SQL, 1.0))

    assert (found[PLAN, OURS].ratio, found[PLAN, OURS].met) == (0.75, True)
    assert (PLAN, SQL) not in found


def test_from_raw_files_is_prepare_and_complete_beside_the_complete_of_others() -> None:
    found = lines(runs(RAW, OURS, 2.0), runs(COMPLETE, OURS, 1.0), runs(COMPLETE, SQL, 6.0))

    assert (found[RAW, OURS].median, found[RAW, SQL].median, found[RAW, SQL].ratio) == (3.0, 6.0, 0.5)


def test_too_much_memory_is_told() -> None:
    text = tables(summary(runs(COMPLETE, OURS, 3.0), (COMPLETE,)))

    assert "3,072 (above the goal)" in text


def test_a_lock_is_held_from_the_first_look_that_sees_it_to_the_last_without_a_break() -> None:
    locks = Locks()
    held, waits = (7, "RowExclusiveLock", True, "UR_Resources"), (8, "ShareLock", False, None)

    looks = {1.0: [], 2.0: [held], 3.0: [held, waits], 4.0: [waits], 5.0: [held]}
    before = 0.0
    for now, rows in looks.items():
        locks.note(rows, now, before)
        before = now

    assert (locks.longest, locks.longest_wait, locks.modes) == (1.0, 2.0, {"RowExclusiveLock"})


@pytest.mark.parametrize("number", [1, 3])
def test_each_connector_has_entity_types_of_its_own(tmp_path: Path, number: int) -> None:
    connectors = write_configuration(ROOT / "benchmarks" / "conf" / "AD.xml", tmp_path / "conf", number)

    code = "import sys; from airflow_provider_idm.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "check", str(tmp_path / "conf")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert connectors == [f"AD{n}" for n in range(1, number + 1)]
