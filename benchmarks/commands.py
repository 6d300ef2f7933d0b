"""``idm`` commands, each in a process of its own, on generated data."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Cost, run

if TYPE_CHECKING:
    from pathlib import Path


class Bench:
    """The folders and the repository of one run."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.data = folder / "data"
        self.truth: dict[str, Any] = {}
        self.environment = os.environ | {
            "IDM_CONFIGURATION": str(self.data / "conf"),
            "IDM_REPOSITORY": repository,
            "IDM_EXCHANGE": str(folder / "exchange"),
            "IDM_WORK": str(folder / "work"),
        }

    def generate(self, entries: int, seed: int) -> None:
        options = ["--entries", str(entries), "--seed", str(seed)]
        run([sys.executable, "-m", "benchmarks.generate", str(self.data), *options], self.environment)
        self.truth = json.loads((self.data / "truth.json").read_text(encoding="utf-8"))

    def idm(self, *arguments: str) -> Cost:
        command = [
            sys.executable,
            "-c",
            "import sys; from airflow_provider_idm.cli import main; sys.exit(main())",
        ]
        return run([*command, *arguments, "--json"], self.environment)
