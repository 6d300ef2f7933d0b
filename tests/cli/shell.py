"""A shell in which ``idm`` runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.cli import main


class Shell:
    """Runs ``idm`` in a folder of its own, for one repository."""

    def __init__(self, folder: Path, repository: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.repository = repository
        self._capsys = capsys

    def run(self, command: str, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command with the configuration and the places it takes; give what it printed."""
        places = {"--repository": self.repository, "--exchange": "exchange", "--work": "work"}
        takes = {
            "prepare": ("--exchange", "--work"),
            "plan": tuple(places),
            "synchronize": tuple(places),
            "resume": tuple(places),
            "reject": tuple(places),
            "status": ("--repository", "--exchange"),
        }.get(command, ("--repository",))
        given = [part for name in takes for part in (name, places[name])]
        found = main([command, "conf", *arguments, *given])
        out, err = self.printed()
        assert found == code, err
        return out, err

    def printed(self) -> tuple[str, str]:
        """Give what was printed since the last call."""
        printed = self._capsys.readouterr()
        return printed.out, printed.err

    def json(self, command: str, *arguments: str, code: int = 0) -> Any:
        """Run a command with ``--json`` and give what it says."""
        return json.loads(self.run(command, *arguments, "--json", code=code)[0])

    def prepare(self, content: str, mode: str, *arguments: str) -> str:
        """Prepare a source file and give the batch id that is printed."""
        (self.folder / "sources" / "persons.csv").write_text(content, encoding="utf-8")
        out, _ = self.run("prepare", "--connector", "HR", "--mode", mode, "--sources", "sources", *arguments)
        return out.removesuffix("\n")
