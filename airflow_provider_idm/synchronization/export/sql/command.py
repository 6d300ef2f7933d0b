"""Run an SQL command, and write what it gives as CSV files."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlparse

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.sql.parameters import says_something
from airflow_provider_idm.synchronization.export.sql.stream import begin, commit, run
from airflow_provider_idm.synchronization.export.sql.writing import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_idm.synchronization.export.exporter import ExportedFile
    from airflow_provider_idm.synchronization.export.sql.database import Database, Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An SQL command.

    :param what: what runs it, for messages.
    :param text: one or more statements, separated by semicolons; they run in one transaction.
    :param output: the CSV file of the first result; those of further ones are named ``<output>_2.csv`` …
    :param has_results: whether results are written at all.
    :param isolation: an isolation level of SQL, in words.
    :param timeout: seconds that each statement may take; 0 for as long as it needs.
    :param encoding: of the files.
    :param is_kept: whether what the statements change is kept; otherwise it is rolled back.
    """

    what: str
    text: str
    output: Path
    has_results: bool = True
    isolation: str | None = None
    timeout: int = 0
    encoding: str = "utf-8"
    is_kept: bool = True


def run_command(database: Database, command: Command) -> tuple[ExportedFile, ...]:
    """Run a command; return the files that its results filled.

    Either all of its statements are kept and all of its results written, or nothing is.

    :raises ExportError: if the database refuses a statement, or a result cannot be a CSV file.
    :raises DatabaseUnavailableError: if the database does not answer.
    """
    statements = split(command.text)
    if not statements:
        raise ExportError(f"{command.what}: there is no SQL statement in the command")
    folder = command.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".command-", dir=folder))
    try:
        with database.open() as session:
            begin(session, command.isolation, command.what, snapshot=False)
            made = _run_all(session, statements, command, staging)
            _check_former(command, len(made))
            if command.is_kept:
                commit(session, command.what)
        return tuple(replace(file, path=file.path.replace(folder / file.path.name)) for file in made)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_former(command: Command, count: int) -> None:
    """See to it that no result of a former run is taken for one of this run.

    :raises ExportError: if there is no result, but a file of one.
    """
    if not command.has_results:
        return
    if count == 0 and command.output.exists():
        raise ExportError(
            f"{command.what}: no statement has a result, but there is a file of a former one: {command.output}. "
            "Remove it, or say with IsNotAQuery that no result is expected; nothing was kept"
        )
    left = command.output.with_name(_name(command.output, max(count, 1) + 1))
    if left.exists():
        log.warning("%s: %s is not written any more: remove it unless something else did", command.what, left)


def split(text: str) -> list[str]:
    """Return the statements of a text, without those that are nothing but comments."""
    found = [statement.strip() for statement in sqlparse.split(text)]
    return [statement for statement in found if says_something(statement)]


def _run_all(
    session: Session, statements: Sequence[str], command: Command, folder: Path
) -> list[ExportedFile]:
    made: list[ExportedFile] = []
    for number, statement in enumerate(statements, 1):
        what = command.what if len(statements) == 1 else f"{command.what}, statement {number}"
        with run(session, statement, what=what, timeout=command.timeout) as result:
            if result is None:
                continue
            if command.has_results:
                target = folder / _name(command.output, len(made) + 1)
                made.append(write_result(result, target, what=what, encoding=command.encoding))
            else:
                for _ in result.parts:  # some drivers do the work only while rows are fetched
                    pass
    return made


def _name(output: Path, number: int) -> str:
    return output.name if number == 1 else f"{output.stem}_{number}{output.suffix}"
