"""The repository holds what it must, and its packages import what they may and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "airflow_provider_idm"
AIRFLOW_LAYER = ("airflow_cli", "assets", "hooks", "jobs", "observability", "operators", "plugins")
TOP = (*AIRFLOW_LAYER, "cli", "provider_info")
"""What stands above all stages: it may import any of them, and none of them imports it."""


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-executors.lock",
        "docs/architecture.md",
        f"{PACKAGE}/py.typed",
    ],
)
def test_the_repository_holds(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_licence_is_the_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("name", [".ci/run", "scripts/make-venv.sh"])
def test_scripts_are_executable(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111 == 0o111


def test_the_runtime_lock_agrees_with_the_development_lock() -> None:
    runtime, development = (_pins(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))

    assert runtime <= development


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "requirements-executors.lock"]
)
def test_locks_pin_exact_versions_and_name_no_source(name: str) -> None:
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", pin) for pin in _pins(ROOT / name))


def _pins(lock: Path) -> set[str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    registries = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "--index" + "-url",
        "--extra-index" + "-url",
        "--find" + "-links",
    ]
    machine = re.compile(r"(?<![\w.<>{}/-])/(?:root|home/\w+|Users/\w+|work)/")
    found = []
    for file in _tracked_files():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # not text
        found += [
            f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
            for number, line in enumerate(lines, start=1)
            if any(name in line for name in registries) or machine.search(line)
        ]

    assert found == []


def _tracked_files() -> list[Path]:
    # Whoever owns the checkout: it is only listed.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


# --------------------------------------------------------------------------------------------- layers


@cache
def _layers() -> dict[str, frozenset[str]]:
    """Read the table of docs/architecture.md: module of each layer → modules that it may import."""
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/.]+)` \| [^|]+ \| ([^|]+) \|$", table, re.MULTILINE)
    modules = {path: path.strip("/").removesuffix(".py").replace("/", ".") for path, _ in rows}
    by_name = {module.rpartition(".")[2]: module for module in modules.values()}
    direct: dict[str, set[str]] = {}
    for path, allowed in rows:
        if allowed.strip() == "all of the above":
            direct[modules[path]] = set(direct)
        else:
            names = [name.strip() for name in re.sub(r"\(.*?\)|–", "", allowed).split(",")]
            direct[modules[path]] = {by_name[name] for name in names if name}
    return {module: frozenset(_closure(module, direct) - {module}) for module in direct}


def _closure(module: str, direct: dict[str, set[str]]) -> set[str]:
    return {module}.union(*(_closure(other, direct) for other in direct[module]))


def _layer(module: str) -> str | None:
    """Return the layer or top package that a module (relative to the package) belongs to."""
    for name in (*_layers(), *TOP):
        if module == name or module.startswith(f"{name}."):
            return name
    return None


class When(Enum):
    """When an import statement runs."""

    AT_ONCE = "as the module is imported"
    LATER = "when a function is called"
    NEVER = "only for type checking"


def _imports(file: Path) -> Iterator[tuple[int, str, When]]:
    """Yield (line, module, when) of everything that a file imports."""
    package = list(file.relative_to(ROOT).with_suffix("").parts[:-1])
    for node, when in _statements(ast.parse(file.read_text(encoding="utf-8")), When.AT_ONCE):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}", when) for alias in node.names)


def _statements(parent: ast.AST, when: When) -> Iterator[tuple[ast.AST, When]]:
    for node in ast.iter_child_nodes(parent):
        inner = when
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inner = When.NEVER
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and when is When.AT_ONCE:
            inner = When.LATER
        yield node, when
        yield from _statements(node, inner)


def _sources(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / PACKAGE / folder).rglob("*.py"))]


def test_every_stage_has_its_place_in_the_architecture() -> None:
    assert set(_layers()) == {
        "errors",
        "local_files",
        "file_lock",
        "configuration",
        "repository",
        "engine",
        "synchronization.cookies",
        "synchronization.export",
        "synchronization.prepare",
        "synchronization.exchange",
        "synchronization.synchronize",
    }
    unplaced = [
        str(file.relative_to(ROOT))
        for file in _sources("")
        if file.name != "__init__.py"
        and _layer(".".join(file.relative_to(ROOT / PACKAGE).with_suffix("").parts)) is None
    ]
    assert unplaced == []


def test_nothing_imports_upstream() -> None:
    found = []
    for file in _sources(""):
        own = _layer(".".join(file.relative_to(ROOT / PACKAGE).with_suffix("").parts))
        if own is None or own in TOP:
            continue
        for line, module, when in _imports(file):
            if own == "errors" and when is When.NEVER:
                continue  # an error may carry what it is about
            other = _layer(module.removeprefix(f"{PACKAGE}.")) if module.startswith(f"{PACKAGE}.") else None
            if other is not None and other != own and other not in _layers()[own]:
                found.append(f"{file.relative_to(ROOT)}:{line}: {own} may not import {module}")

    assert found == []


def test_only_the_airflow_layer_imports_airflow() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {module}"
        for file in _sources("")
        if file.relative_to(ROOT / PACKAGE).with_suffix("").parts[0] not in AIRFLOW_LAYER
        for line, module, _ in _imports(file)
        if module.split(".")[0] == "airflow"
    ]

    assert found == []


def test_parsing_a_dag_imports_nothing_heavy() -> None:
    heavy = {
        "adbc_driver_manager",
        "adbc_driver_postgresql",
        "adbc_driver_sqlite",
        "duckdb",
        "numpy",
        "pandas",
        "pyarrow",
    }
    parsed = [ROOT / PACKAGE / "__init__.py", *_sources("configuration", "jobs", "operators")]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {module}"
        for file in parsed
        for line, module, when in _imports(file)
        if when is When.AT_ONCE and module.split(".")[0] in heavy | {"sqlalchemy"}
    ]

    assert found == []


def test_configuration_needs_neither_database_nor_data_frames() -> None:
    banned = {"duckdb", "numpy", "pandas", "pyarrow", "sqlalchemy"}
    found = [
        f"{file.relative_to(ROOT)}:{line}: {module}"
        for file in _sources("configuration")
        for line, module, _ in _imports(file)
        if module.split(".")[0] in banned
    ]

    assert found == []


WITHOUT_AIRFLOW = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
print("\\n".join(name for name in sys.modules if name.split(".")[0] == "airflow"), end="")
"""


def test_the_core_works_without_airflow() -> None:
    core = [f"{PACKAGE}.{name}" for name in ("configuration", "synchronization", "repository", "cli")]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AIRFLOW, *core], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
