"""``idm resume`` at a terminal: whoever names nothing is shown what is blocked now, and asked."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.cli.shell import Shell
from tests.cli.test_cli_safeguards import HR, ON_ONE, block, names, shell

__all__ = ["shell"]

ROOT = Path(__file__).parents[2]


def at_a_terminal(shell: Shell, answer: str, *arguments: str) -> tuple[int, str]:
    """Run ``idm resume`` with a terminal for its input; return its exit code and what it said."""
    places = ("--repository", shell.repository, "--exchange", "exchange", "--work", "work")
    master, slave = pty.openpty()
    try:
        os.write(master, answer.encode())
        done = subprocess.run(
            [sys.executable, "-m", "airflow_provider_idm.cli", "resume", "conf", *HR, *arguments, *places],
            cwd=shell.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=slave,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(master)
        os.close(slave)
    return done.returncode, done.stdout + done.stderr


@ON_ONE
def test_who_names_nothing_is_asked(shell: Shell) -> None:
    batch = block(shell)
    before = names(shell)

    code, said = at_a_terminal(shell, "n\n")
    assert (code, names(shell)) == (1, before)
    assert f"Apply these changes of HR (batch {batch}, change set " in said
    assert "MaximumDeletedLines" in said

    code, said = at_a_terminal(shell, "y\n")
    assert (code, names(shell)) == (0, ["p1", "p2", "p3", "p4", "p5"])


@ON_ONE
def test_who_names_the_batch_is_not_asked(shell: Shell) -> None:
    batch = block(shell)

    code, said = at_a_terminal(shell, "", "--batch", batch)

    assert (code, "Apply these changes" in said) == (0, False)
