"""The README's examples run: shell examples print what stands below them, Python examples load."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
END = "-- end of example --"


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment of a user who has the package installed and an Airflow home of his own."""
    home = tmp_path_factory.mktemp("home")
    commands = home / "bin"
    commands.mkdir()
    idm = commands / "idm"
    idm.write_text(
        f"#!{sys.executable}\nimport sys\nfrom airflow_provider_idm.cli import main\nsys.exit(main())\n"
    )
    idm.chmod(0o755)
    return os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


@pytest.fixture(scope="module")
def walkthrough(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """Run all shell examples in order, in one shell; give the folder it ended in and what each printed."""
    folder = tmp_path_factory.mktemp("walkthrough")
    examples = [code for language, code in BLOCKS if language == "sh"]
    script = "set -euo pipefail\n" + "".join(f"{code}echo '{END}'\n" for code in examples)
    printed = run(["bash", "-c", script], folder, environment).split(f"{END}\n")
    return folder / "hr", printed[:-1]


def test_shell_examples_print_what_stands_below_them(walkthrough: tuple[Path, list[str]]) -> None:
    _, printed = walkthrough
    expected = []
    for (language, _), (below, text) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if language == "sh":
            expected.append(text if below == "text" else "")

    assert printed == expected
    assert any(expected)


def test_the_python_example_synchronizes(
    walkthrough: tuple[Path, list[str]], environment: dict[str, str]
) -> None:
    folder, _ = walkthrough
    (example,) = [code for code in PYTHON if "Repository.open" in code]

    printed = run([sys.executable, "-c", example + "\nprint(list(people['name']))"], folder, environment)

    assert printed.endswith("""['Zoë Müller', 'Anna "Ann" Brûlé']\n""")


@pytest.mark.airflow
def test_the_loader_makes_a_dag_of_the_job(
    walkthrough: tuple[Path, list[str]], environment: dict[str, str]
) -> None:
    folder, _ = walkthrough
    (example,) = [code for code in PYTHON if "generate_dags" in code]
    (folder / "loader.py").write_text(example, encoding="utf-8")

    printed = run([sys.executable, "-c", SHOW_TASKS, "loader.py"], folder, environment)

    assert printed.splitlines()[-1] == "HR_Complete: HR_Prepare, HR_Synchronize"


@pytest.mark.airflow
def test_the_operators_make_a_dag(walkthrough: tuple[Path, list[str]], environment: dict[str, str]) -> None:
    folder, _ = walkthrough
    (example,) = [code for code in PYTHON if "SynchronizeTaskOperator(" in code]
    (folder / "operators.py").write_text(example, encoding="utf-8")

    printed = run([sys.executable, "-c", SHOW_TASKS, "operators.py"], folder, environment)

    assert printed.splitlines()[-1] == "hr: prepare, synchronize"


SHOW_TASKS = """
import runpy, sys
from airflow.sdk import DAG

for value in runpy.run_path(sys.argv[1]).values():
    if isinstance(value, DAG):
        print(f"{value.dag_id}: {', '.join(sorted(value.task_dict))}")
"""


def test_every_example_is_of_a_kind_that_is_tested() -> None:
    assert {language for language, _ in BLOCKS} <= {"sh", "text", "python", "console"}
    assert len(PYTHON) == 3


def test_links_within_the_repository_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
