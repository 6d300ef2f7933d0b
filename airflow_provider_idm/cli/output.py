"""What people and scripts see: JSON or tables on standard output; messages and progress on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import typer

_WIDTH_WITHOUT_TERMINAL = 200


class MessageHandler(logging.Handler):
    """Shows the package's warnings on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record as one message."""
        message(f"{record.levelname.capitalize()}: {record.getMessage()}")


def message(text: str) -> None:
    """Write a line on standard error."""
    typer.echo(text, err=True)


def warning(text: str) -> None:
    """Write a warning on standard error."""
    message(f"Warning: {text}")


def error(text: str) -> None:
    """Write an error on standard error."""
    message(f"Error: {text}" if "\n" not in text else f"Error:\n{text}")


def as_json(data: Any) -> None:
    """Write the one JSON object of ``--json``."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, on_stderr: bool = False) -> None:
    """Write a table and a blank line, for people; without rows nothing. The first column is never wrapped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    found = [list(row) for row in rows]
    stream: TextIO | None = sys.stderr if on_stderr else sys.stdout
    if not found or stream is None:  # which it is if the shell closed it
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        is_number = all(isinstance(row[number], int | float | None) for row in found)
        shown.add_column(
            column, justify="right" if is_number else "left", overflow="fold", no_wrap=number == 0
        )
    for row in found:
        shown.add_row(*(_cell(value) for value in row))
    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    Console(file=stream, width=width, markup=False, highlight=False, emoji=False).print(shown, "")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show a moving bar and the time taken while something runs; only on a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(text, total=None)
        yield
