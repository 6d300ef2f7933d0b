"""The examples of docs/safeguards.md run, and print what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "safeguards.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
END = "-- end of command --"


def blocks(language: str) -> list[str]:
    return [code for found, code in BLOCKS if found == language]


def commands() -> list[tuple[str, str]]:
    """Return every command of the console examples with what stands below it."""
    found = []
    for code in blocks("console"):
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            more = 1
            while lines[more].startswith("> "):
                more += 1
            command = "\n".join([lines[0], *(line.removeprefix("> ") for line in lines[1:more])])
            found.append((command, "\n".join(lines[more:])))
    return found


class Normal:
    """Replaces what differs from run to run: batches by their number, moments, change sets, blanks at a line's end."""

    def __init__(self) -> None:
        self._batches: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        text = re.sub(
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            lambda found: self._batches.setdefault(found[0], f"batch {len(self._batches) + 1}"),
            text,
        )
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "moment", text)
        return re.sub(r" +$", "", re.sub(r"--change-set [0-9a-f]+", "--change-set", text), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment of a user who has ``idm``, and stand-ins for what would comment on a request."""
    folder = tmp_path_factory.mktemp("commands")
    programs = {
        "idm": f"#!{sys.executable}\nimport sys\nfrom airflow_provider_idm.cli import main\nsys.exit(main())\n",
        "gh": '#!/bin/sh\necho "gh $*"\n',
        "curl": '#!/bin/sh\necho "curl $*"\n',
    }
    for name, program in programs.items():
        (folder / name).write_text(program, encoding="utf-8")
        (folder / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IDM_")}
    return kept | {"PATH": f"{folder}{os.pathsep}{kept['PATH']}", "PYTHONPATH": str(ROOT)}


def bash(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def walkthrough(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """Run all console examples in one shell; give the folder it ended in and what each command printed."""
    folder = tmp_path_factory.mktemp("safeguards")
    script = "code=0\n" + "".join(
        f"(exit $code)\n{command}\ncode=$?\necho '{END}'\n" for command, _ in commands()
    )
    return folder / "safe", bash(script, folder, environment).split(f"{END}\n")[:-1]


def test_the_examples_print_what_stands_below_them(walkthrough: tuple[Path, list[str]]) -> None:
    _, printed = walkthrough
    expected, actual = Normal(), Normal()

    assert [(command, actual(text)) for (command, _), text in zip(commands(), printed, strict=True)] == [
        (command, expected(text)) for command, text in commands()
    ]


def test_the_python_example_plans(walkthrough: tuple[Path, list[str]], environment: dict[str, str]) -> None:
    folder, _ = walkthrough
    (example,) = blocks("python")
    (folder / "example.py").write_text(example, encoding="utf-8")

    printed = bash(f"{sys.executable} example.py", folder, environment)

    assert printed.startswith("blocked ['Connector HR: MaximumDeletedLines 2 exceeded: 4 of 8 stored', ")
    assert re.search(r"^Person +delete +4$", printed, re.MULTILINE)
    assert "### Synchronization of `HR`: blocked by a threshold\n" in printed


@pytest.mark.parametrize(("force", "passes"), [("", "no"), (" --force", "yes")])
def test_a_job_can_fail_where_a_plan_would_be_blocked(
    walkthrough: tuple[Path, list[str]], environment: dict[str, str], force: str, passes: str
) -> None:
    folder, _ = walkthrough
    places = "export IDM_CONFIGURATION=conf IDM_REPOSITORY=sqlite:///repository.db IDM_EXCHANGE=exchange IDM_WORK=work"
    batch = "batch=$(idm prepare --connector HR --mode complete --plan-only --sources sources 2> /dev/null)"
    (example,) = blocks("sh")
    example = example.replace("--json", f"--json{force}")

    printed = bash(f"{places}\n{batch}\n{example.rstrip()} && echo yes || echo no", folder, environment)

    assert printed.splitlines()[-1] == passes


def variables(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a job, where those that the service fills in have the values that are known."""

    def filled(text: str) -> str:
        text = re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], text)
        return re.sub(r"\$(\w+)", lambda found: known[found[1]], text)

    return {name: filled(str(text)) for name, text in given.items()}


PLANNED = """### Plan of HR: a threshold would block it

Connector `HR`, batch `batch 1` (Complete, effective moment UTC), change set `"""


def check_comment(folder: Path, before: bytes) -> None:
    """Check that the plan says what it must, and that the repository is as it was."""
    text = (folder / "plan.md").read_text(encoding="utf-8")
    assert Normal()(text).startswith(PLANNED)
    assert "**`Person`: 4 deleted**" in text
    assert (folder / "repository.db").read_bytes() == before


def test_the_example_of_github_actions_comments_a_plan(
    walkthrough: tuple[Path, list[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    folder, _ = walkthrough
    before = (folder / "repository.db").read_bytes()
    job = yaml.safe_load(blocks("yaml")[0])["jobs"]["plan"]
    plan, comment = job["steps"][1:]
    known = {
        "secrets.IDM_REPOSITORY": "sqlite:///repository.db",
        "vars.IDM_SOURCES": "sources",
        "github.token": "token",
        "github.event.pull_request.number": "12",
    }
    own = environment | variables(job["env"], known)
    own |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}

    bash(plan["run"], folder, own)
    printed = bash(comment["run"], folder, own | variables(comment["env"], known))

    assert printed == "gh pr comment 12 --body-file plan.md\n"
    check_comment(folder, before)
    assert (tmp_path / "summary.md").read_text() == (folder / "plan.md").read_text()


def test_the_example_of_gitlab_comments_a_plan(
    walkthrough: tuple[Path, list[str]], environment: dict[str, str]
) -> None:
    folder, _ = walkthrough
    before = (folder / "repository.db").read_bytes()
    job: dict[str, Any] = yaml.safe_load(blocks("yaml")[1])["plan"]
    known = {
        "CI_PROJECT_DIR": str(folder),
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "12",
    }
    own = environment | variables(job["variables"], known)
    own |= {
        "IDM_REPOSITORY": "sqlite:///repository.db",
        "IDM_SOURCES": "sources",
        "IDM_COMMENT_TOKEN": "token",
    }

    printed = bash("set -eo pipefail\n" + "\n".join(job["script"]), folder, own)

    assert printed.splitlines()[-1] == (
        "curl --fail --silent --show-error --header PRIVATE-TOKEN: token --data-urlencode body@plan.md "
        "https://gitlab.example.org/api/v4/projects/3/merge_requests/12/notes"
    )
    check_comment(folder, before)
    assert (folder / ".idm").is_dir()
    bash("\n".join(job["after_script"]), folder, own)
    assert not (folder / ".idm").exists()


def test_every_example_is_of_a_kind_that_is_tested() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "python", "sh", "yaml"}
    assert [len(blocks(language)) for language in ("python", "sh", "yaml")] == [1, 1, 2]


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)

    assert targets
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []
