"""Run the Airflow-side tests with several versions of Airflow and Python, each in an environment of its own.

    python scripts/matrix.py                                    every version, with the interpreters that are found
    python scripts/matrix.py --airflow 3.2 --python 3.12        one of them
    python scripts/matrix.py --python /opt/python3.13/bin/python3
    python scripts/matrix.py --keep -- -k provider              the environments as they are; arguments for pytest

Each environment is a folder in ``.matrix``: the newest patch release of that Airflow with the newest of all else
that fit, but for what ``scripts/constraints/airflow-<version>.txt`` holds back; the project's wheel with all its extras;
and what its tests need. uv installs, if it is there (much faster), else pip. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
AIRFLOWS = ("3.1", "3.2", "3.3")
PYTHONS = ("3.11", "3.12", "3.13")
TESTS = ("tests/airflow", "tests/system/test_sample.py")
"""What depends on the version of Airflow, and one run with all its processes."""
NO_TESTS = {"mypy", "ruff"}
"""Development packages that no test uses, besides the stubs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination, e.g. Airflow 3.2 on Python 3.12.

    :param interpreter: the Python to make the environment with.
    """

    airflow: str
    python: str
    interpreter: str

    @property
    def name(self) -> str:
        """What the environment is called."""
        return f"airflow-{self.airflow}-python-{self.python}"

    @property
    def constraints(self) -> Path | None:
        """What holds packages back that this Airflow cannot work with, if there is any."""
        path = ROOT / "scripts" / "constraints" / f"airflow-{self.airflow}.txt"
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a cell.

    :param versions: the exact versions of Airflow and Python.
    :param told: the tests' counts, or what went wrong before them.
    """

    cell: Cell
    passed: bool
    versions: str
    told: str
    seconds: float


def main() -> int:
    """Run all cells that were asked for and print the table."""
    options = _options()
    cells, missing = _cells(options.airflow, options.python)
    for python in missing:
        _say(f"Python {python} was not found: name its interpreter with --python")
    options.folder.mkdir(parents=True, exist_ok=True)
    wheel = _wheel(options.folder)
    verdicts = [_run(cell, wheel, options) for cell in cells]
    _say("\n" + _table(verdicts))
    return 0 if verdicts and not missing and all(verdict.passed for verdict in verdicts) else 1


def _call(command: Sequence[str], *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of this project's own making."""
    return subprocess.run(command, check=check, **options)  # noqa: S603


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], epilog="Arguments behind -- go to pytest."
    )
    parser.add_argument("--airflow", nargs="+", default=AIRFLOWS, metavar="VERSION", help="e.g. 3.1 3.2")
    parser.add_argument(
        "--python", nargs="+", default=PYTHONS, metavar="PYTHON", help="versions, or paths of interpreters"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".matrix", help="of the environments")
    parser.add_argument("--keep", action="store_true", help="use environments that are there as they are")
    parser.add_argument("--install-only", action="store_true", help="make the environments, run nothing")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, behind --")
    return parser.parse_args()


# ---------------------------------------------------------------------------------------------------- interpreters


def _cells(airflows: Sequence[str], pythons: Sequence[str]) -> tuple[list[Cell], list[str]]:
    found = {python: _interpreter(python) for python in pythons}
    missing = [python for python, interpreter in found.items() if interpreter is None]
    interpreters = [interpreter for interpreter in found.values() if interpreter is not None]
    return [Cell(airflow, version, path) for airflow in airflows for version, path in interpreters], missing


def _interpreter(wanted: str) -> tuple[str, str] | None:
    """Find an interpreter that runs: as a path, on the path, or among those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [wanted] if "/" in wanted else [f"python{wanted}"]
    candidates += [str(path) for path in sorted(pyenv.glob(f"{wanted}.*/bin/python"), reverse=True)]
    for candidate in candidates:
        version = _version_of(candidate)
        if version and ("/" in wanted or version == wanted):
            return version, candidate
    return None


def _version_of(interpreter: str) -> str | None:
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = _call([interpreter, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# ---------------------------------------------------------------------------------------------------- environments


def _wheel(folder: Path) -> Path:
    """Build the project's wheel."""
    place = folder / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    if uv := shutil.which("uv"):
        command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(place), str(ROOT)]
    else:
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(place),
            str(ROOT),
        ]
    _call(command)
    return next(place.glob("*.whl"))


def _requirements(cell: Cell, wheel: Path) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = ",".join(project["project"]["optional-dependencies"])
    tests = [
        requirement
        for requirement in project["dependency-groups"]["dev"]
        if (name := re.split(r"[^\w-]", requirement)[0]) not in NO_TESTS
        and not name.startswith("types-")
        and not name.endswith("-stubs")
    ]
    return [f"apache-airflow=={cell.airflow}.*", f"{wheel}[{extras}]", *tests]


def _install(cell: Cell, wheel: Path, environment: Path, *, keep: bool) -> None:
    """Make the environment of a cell; in one that is kept, only the project is installed again."""
    python = environment / "bin" / "python"
    uv = shutil.which("uv")
    install = [uv, "pip", "install", "--quiet", "--python", str(python)] if uv else [str(python), *_PIP]
    if keep and python.is_file():
        _call([*install, "--no-deps", "--force-reinstall", str(wheel)])
        return
    shutil.rmtree(environment, ignore_errors=True)
    _call([cell.interpreter, "-m", "venv", str(environment)])
    held_back = ["--constraint", str(cell.constraints)] if cell.constraints else []
    _call([*install, *held_back, *_requirements(cell, wheel)])


_PIP = ("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check")


# ------------------------------------------------------------------------------------------------------------ tests


def _run(cell: Cell, wheel: Path, options: argparse.Namespace) -> Verdict:
    _say(f"\n=== {cell.name}")
    begun = time.monotonic()
    environment = options.folder / cell.name
    report = options.folder / f"{cell.name}.xml"
    report.unlink(missing_ok=True)
    versions = f"Airflow {cell.airflow}, Python {cell.python}"
    try:
        _install(cell, wheel, environment, keep=options.keep)
        versions = _versions(environment)
    except subprocess.CalledProcessError:
        return Verdict(cell, False, versions, "could not be installed", time.monotonic() - begun)
    if options.install_only:
        return Verdict(cell, True, versions, "installed", time.monotonic() - begun)
    arguments = options.pytest or [*TESTS, "-n", "2", "--dist", "loadscope"]
    done = _call(
        [str(environment / "bin" / "python"), "-m", "pytest", "-q", f"--junit-xml={report}", *arguments],
        cwd=ROOT,
        check=False,
    )
    told = _counts(report) if report.is_file() else f"pytest ended with {done.returncode}"
    return Verdict(cell, done.returncode == 0, versions, told, time.monotonic() - begun)


def _versions(environment: Path) -> str:
    code = (
        "import platform; from importlib.metadata import version;"
        "print(f\"Airflow {version('apache-airflow')}, Python {platform.python_version()}\")"
    )
    python = str(environment / "bin" / "python")
    return _call([python, "-c", code], capture_output=True, text=True).stdout.strip()


def _counts(report: Path) -> str:
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - written by pytest a moment ago
    if suite is None:
        return "no tests"
    number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    passed = number["tests"] - number["failures"] - number["errors"] - number["skipped"]
    told = {"failed": number["failures"], "errors": number["errors"], "skipped": number["skipped"]}
    return ", ".join([f"{passed} passed", *(f"{count} {name}" for name, count in told.items() if count)])


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (verdict.versions, "ok" if verdict.passed else "FAILED", verdict.told, f"{verdict.seconds:.0f} s")
        for verdict in verdicts
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


if __name__ == "__main__":
    sys.exit(main())
