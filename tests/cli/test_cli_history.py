"""Former states from the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.cli.test_cli_end_to_end import CONFIGURATION, FIRST, SECOND


@pytest.fixture
def shell(
    tmp_path: Path, repository_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for folder in ("conf", "sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf" / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made = Shell(tmp_path, repository_url, capsys)
    for content, date in ((FIRST, "2026-03-01"), (SECOND, "2026-03-02")):
        made.prepare(content, "complete", "--logical-date", date)
    return made


def test_a_date_shows_what_was_stored_then(shell: Shell) -> None:
    shell.run("views")  # makes the tables
    pending = [batch["id"] for batch in shell.json("status")["connectors"]["HR"]["pending"]]
    before, _ = shell.run("hash")
    hashes = []
    for batch in pending:
        shell.run("synchronize", "--connector", "HR", "--batch", batch)
        hashes.append(shell.run("hash")[0])

    def query(*what: str) -> str:
        return shell.run("query", *what)[0]

    persons, managers = ("--entity-type", "Person"), ("--association", "Manager")
    first = 'code,name,manager\na,"Ann ""A""",\nb,"Müller, Zoë",a\nc,,\n'
    assert query(*persons, "--as-of", "2026-03-01") == first
    assert query(*persons, "--as-of", "2026-03-02T00:59:59+01:00") == first
    assert query(*persons, "--as-of", "2026-03-02") == query(*persons)
    assert query(*persons, "--as-of", "2026-02-28") == "code,name,manager\n"
    assert query(*managers, "--as-of", "2026-03-01") == "key1,key2\nb,a\n"
    assert query(*managers, "--as-of", "2026-03-02") == "key1,key2\nd,a\n"
    assert shell.json("query", *managers, "--as-of", "2026-03-01")["rows"] == [{"key1": "b", "key2": "a"}]
    assert [shell.run("hash", "--as-of", f"2026-03-0{n}")[0] for n in (1, 2)] == hashes
    assert shell.run("hash", "--as-of", "2026-02-28")[0] == before
    assert shell.json("hash", "--connector", "HR", "--as-of", "2026-03-01")["hash"] == hashes[0].strip()
    _, err = shell.run("query", *persons, "--as-of", "March", code=2)
    assert "'March' is no date" in err


def test_history_can_be_left_out_and_forgotten(shell: Shell) -> None:
    shell.run("synchronize", "--connector", "HR", "--no-history")
    persons = ("query", "--entity-type", "Person", "--as-of", "2026-03-01")

    out, err = shell.run(*persons)
    assert out == 'code,name,manager\na,"Ann ""A""",\n'
    assert "the history of HR is whole from 2026-03-02 00:00:00 UTC on" in err

    shell.prepare(FIRST, "complete", "--logical-date", "2026-03-05")
    shell.run("synchronize", "--connector", "HR")
    assert shell.json("forget-history", "--before", "2026-03-05") == {"resources": 2, "links": 0, "files": 0}
    out, _ = shell.run("forget-history", "--before", "2026-03-05")
    assert out == "former versions forgotten: 0 of resources, 0 of links, 0 of files\n"
    _, err = shell.run("forget-history", code=2)
    assert "--before" in err
