"""Views from the shell."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.cli.shell import Shell
from tests.cli.test_cli_end_to_end import CONFIGURATION, FIRST


@pytest.fixture
def shell(
    tmp_path: Path, repository_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for folder in ("conf", "sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf" / "hr.xml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, repository_url, capsys)


def test_views_are_made_before_anything_is_stored_and_show_it_afterwards(shell: Shell) -> None:
    out, err = shell.run("views")
    assert out == "zz_Person\n"
    assert "1 view: 1 created" in err

    shell.run("synchronize", "--connector", "HR", "--batch", shell.prepare(FIRST, "complete"))

    engine = sa.create_engine(shell.repository)
    with engine.connect() as connection:
        query = 'SELECT code, name, manager FROM "zz_Person" ORDER BY code'
        assert [tuple(row) for row in connection.execute(sa.text(query))] == [
            ("a", 'Ann "A"', None),
            ("b", "Müller, Zoë", "a"),
            ("c", None, None),
        ]
    engine.dispose()
    assert shell.json("views") == {
        "views": ["zz_Person"],
        "created": [],
        "replaced": [],
        "dropped": [],
        "unchanged": ["zz_Person"],
    }


def test_something_in_the_way_is_named(shell: Shell) -> None:
    shell.run("status")
    engine = sa.create_engine(shell.repository)
    with engine.begin() as connection:
        connection.exec_driver_sql('CREATE VIEW "zz_Person" AS SELECT 1 AS one')
    engine.dispose()

    _, err = shell.run("views", code=1)

    assert "view zz_Person; rename or drop it" in err


def test_views_of_dates_are_made_kept_and_dropped(shell: Shell) -> None:
    march, april = "zz_Person_as_of_20260301", "zz_Person_as_of_20260401T063000Z"

    out, err = shell.run("views", "--as-of", "2026-03-01", "--as-of", "2026-04-01T08:30+02:00")
    assert out.split() == ["zz_Person", march, april]
    assert "3 views: 3 created" in err
    assert shell.json("views")["unchanged"] == ["zz_Person", march, april]
    assert shell.json("views", "--as-of", "2026-03-01")["dropped"] == [april]
    assert shell.json("views", "--no-as-of") == {
        "views": ["zz_Person"],
        "created": [],
        "replaced": [],
        "dropped": [march],
        "unchanged": ["zz_Person"],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--as-of", "yesterday"), "'yesterday' is no date"),
        (("--as-of", "2026-03-01", "--no-as-of"), "expected one of them"),
    ],
)
def test_dates_that_are_none(shell: Shell, options: tuple[str, ...], message: str) -> None:
    _, err = shell.run("views", *options, code=2)

    assert message in " ".join(err.split())
