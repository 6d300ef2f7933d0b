"""The benchmark's data is what it says it is, and the run goes through every mode."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.arena import Arena

ROOT = Path(__file__).parents[2]


def benchmarks(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=";"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    benchmarks("generate", str(tmp_path / "a"), "--entries", "1000")
    benchmarks("generate", str(tmp_path / "b"), "--entries", "1000")
    benchmarks("generate", str(tmp_path / "c"), "--entries", "1000", "--seed", "2")

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_the_truth_is_what_the_files_hold(tmp_path: Path) -> None:
    benchmarks("generate", str(tmp_path), "--entries", "5000", "--change-rate", "0.1")
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    users, groups, links = [], [], []

    for snapshot in ("s1", "s2"):
        source = rows(tmp_path / snapshot / "AD_users.csv")
        by_key = {row["objectGUID"]: row for row in reversed(source) if row["objectGUID"]}
        users.append(by_key)
        nullpk = sum(not row["objectGUID"] for row in source)
        assert truth[snapshot]["User"] == {
            "rows": len(by_key),
            "duplicates": len(source) - len(by_key) - nullpk,
            "nullpk": nullpk,
        }
        assert len({row["dn"] for row in by_key.values()}) == len(by_key)
        groups.append({row["objectGUID"]: row for row in rows(tmp_path / snapshot / "AD_groups.csv")})
        assert len(groups[-1]) == truth[snapshot]["Group"]["rows"] == 100

        source = rows(tmp_path / snapshot / "AD_members.csv")
        pairs = Counter((row["group"], row["member"]) for row in source if row["member"])
        assert truth[snapshot]["GroupMembers"] == {
            "rows": len(pairs),
            "duplicates": pairs.total() - len(pairs),
            "nullpk": len(source) - pairs.total(),
        }
        known_users = {row["dn"]: key for key, row in by_key.items()}
        known_groups = {row["dn"]: key for key, row in groups[-1].items()}
        links.append({(known_groups[g], known_users[u]) for g, u in pairs if u in known_users})
        if snapshot == "s1":
            assert truth["orphans"] == len(pairs) - len(links[0]) > 0

    assert truth["changes"] == {
        "User": {
            "deleted": len(users[0].keys() - users[1].keys()),
            "updated": sum(users[0][key] != users[1][key] for key in users[0].keys() & users[1].keys()),
            "inserted": len(users[1].keys() - users[0].keys()),
        },
        "Group": {
            "inserted": 0,
            "deleted": 0,
            "updated": sum(groups[0][key] != groups[1][key] for key in groups[0]),
        },
        "GroupMembers": {"deleted": len(links[0] - links[1]), "inserted": len(links[1] - links[0])},
    }


def test_the_data_is_as_untidy_as_real_extracts_are(tmp_path: Path) -> None:
    benchmarks("generate", str(tmp_path), "--entries", "2000")

    source = rows(tmp_path / "s1" / "AD_users.csv")

    values = "".join(value for row in source for value in row.values())
    assert all(character in values for character in '";\néŁ李И')
    assert len(source[0]) == 15


@pytest.mark.slow
def test_the_run_goes_through_every_step(tmp_path: Path) -> None:
    """The counts of every step are checked against the data by the run itself."""
    report = tmp_path / "report.json"

    printed = benchmarks(
        *(
            "run",
            "--entries",
            "600",
            "--pairs",
            "1",
            "--databases",
            "sqlite",
            "--folder",
            str(tmp_path / "bench"),
        ),
        *("--baselines", "duckdb_prepare,hand_sql_sqlite", "--json", str(report)),
    )

    found = json.loads(report.read_text(encoding="utf-8"))
    ours, duckdb, sql = "ours", "duckdb_prepare", "hand_sql_sqlite"
    assert [(line["section"], line["step"], line["contender"]) for line in found["results"]] == [
        ("files", "prepare", ours),
        ("files", "prepare", duckdb),
        ("files", "prepare-incremental", ours),
        ("files", "prepare-incremental", duckdb),
        ("sqlite", "initial", ours),
        ("sqlite", "initial", sql),
        ("sqlite", "nochange", ours),
        ("sqlite", "nochange", sql),
        ("sqlite", "plan", ours),
        ("sqlite", "complete", ours),
        ("sqlite", "complete", sql),
        ("sqlite", "raw", ours),
        ("sqlite", "raw", sql),
        ("sqlite", "incremental", ours),
        ("sqlite", "incremental", sql),
    ]
    assert all(line["median"] > 0 and line["peak_bytes"] > 10 << 20 for line in found["results"])
    assert found["settings"]["sqlite"]["synchronous"] == "full"
    assert all(f"{line['median']:.2f}" in printed for line in found["results"])
    assert list((tmp_path / "bench").iterdir()) == []


def test_the_baseline_makes_the_files_that_prepare_makes(tmp_path: Path) -> None:
    """Given the same sources, plain DuckDB and prepare write the same rows in the same order."""
    arena = Arena(tmp_path / "arena", 600, 1)
    arena.prepare_batches()
    place = arena.scratch("plain")

    for step, batch in (("prepare", "nochange"), ("prepare-incremental", "incremental")):
        arena.do(arena.preparing_plainly("duckdb_prepare", step, place))

        ours = sorted(arena.clean(batch).glob("*.sorted.*"))
        assert [path.suffix for path in ours] == [".csv" if step == "prepare" else ".delta"] * 3
        for path in ours:
            assert clean_rows(place / "clean" / path.name) == clean_rows(path)


def clean_rows(path: Path) -> list[list[str]]:
    """Return the rows, of a delete the key alone: what else stands there does not matter."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *found = list(csv.reader(stream))
    keys = 3 if "key1" in header else 2
    return [header, *([*row[:keys]] if row[0] == "delete" else row for row in found)]


@pytest.mark.slow
def test_history_is_measured_beside_none(tmp_path: Path) -> None:
    printed = benchmarks("history", "--entries", "1000", "--pairs", "2", "--folder", str(tmp_path), "--json")

    report = json.loads(printed)
    assert (report["pairs"], report["rows"] > 5_000) == (2, True)
    assert report["kept"] > report["changed"] / 2 > 0
    assert report["seconds_with"] > 0 < report["seconds_without"]
    assert list(tmp_path.iterdir()) == []
