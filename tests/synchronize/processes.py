"""Starts synchronizations in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tests.oracle.harness import Harness

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which a child that does not end has hung."""


def start(harness: Harness, shape: str, **arguments: Any) -> subprocess.Popen[str]:
    """Start one synchronize of a connector."""
    harness.close()
    told = {"url": harness.url, "folder": str(harness.folder), "shape": shape, **arguments}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.synchronize.child", json.dumps(told)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(child: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Wait for a child; return its exit status and what it said."""
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode in {0, -9}, err
    lines = out.splitlines()
    return child.returncode, json.loads(lines[-1]) if lines else {}


def start_together(
    folder: Path, children: list[tuple[Harness, str, dict[str, Any]]]
) -> list[tuple[int, dict[str, Any]]]:
    """Run several synchronizations that begin at the same instant."""
    go = folder / "go"
    started = []
    for n, (harness, shape, arguments) in enumerate(children):
        ready = folder / f"ready{n}"
        started.append((ready, start(harness, shape, ready=str(ready), go=str(go), **arguments)))
    deadline = time.monotonic() + PATIENCE
    while not all(ready.exists() for ready, _ in started):
        if time.monotonic() > deadline or any(child.poll() is not None for _, child in started):
            _give_up([child for _, child in started])
        time.sleep(0.01)
    go.touch()
    return [end(child) for _, child in started]


def _give_up(children: list[subprocess.Popen[str]]) -> NoReturn:
    """Fail with what the children said that did not get ready."""
    said = []
    for child in children:
        child.kill()
        said.append(child.communicate()[1])
    raise AssertionError("the children did not get ready together:\n" + "\n---\n".join(said))
