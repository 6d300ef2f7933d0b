"""The commands put together, and what becomes of errors."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.commands import (
    check,
    export,
    forget_history,
    hash_,
    jobs,
    plan,
    prepare,
    query,
    reject,
    resume,
    set_recently_modified_flag,
    status,
    synchronize,
    views,
)
from airflow_provider_idm.errors import (
    ConfigurationError,
    ConnectorBlockedError,
    IdmError,
    ResourcesError,
    TransientError,
)
from airflow_provider_idm.local_files import local_files

FAILED = 1
USAGE = 2
BLOCKED = 3
INTERRUPTED = 130

app = typer.Typer(
    name="idm",
    help=(
        "Upward data synchronization of an identity repository.\n\n"
        "CONF is the folder of the XML configuration. Exit codes: 0 done, 1 failed, 2 usage or configuration error, "
        "3 blocked by a threshold."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("check", check.check, "List every error and warning of a configuration."),
    ("jobs", jobs.jobs, "Print the jobs as XML."),
    ("export", export.export, "Write the source files of a connection."),
    ("prepare", prepare.prepare, "Make a batch of the source files."),
    ("plan", plan.plan, "Show what the pending batches would change."),
    ("synchronize", synchronize.synchronize, "Apply the pending batches to the repository."),
    ("resume", resume.resume, "Apply the changes that are blocked."),
    ("reject", reject.reject, "Discard the changes that are blocked."),
    ("status", status.status, "Show batches, states and last counts."),
    ("query", query.query, "Print the resources or links that are stored."),
    ("hash", hash_.hash_, "Print one SHA-256 of all that is stored."),
    ("forget-history", forget_history.forget_history, "Delete the oldest former versions."),
    (
        "set-recently-modified-flag",
        set_recently_modified_flag.set_recently_modified_flag,
        "Mark the resources that synchronizations touched.",
    ),
    ("views", views.views, "Make the database views of entity types and associations."),
)
"""Every command: its name, what it runs, and its line in ``idm --help``."""

for _name, _function, _line in COMMANDS:
    app.command(_name, short_help=_line)(_function)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"idm {version('airflow-provider-idm')}")
        except PackageNotFoundError:
            typer.echo("idm (not installed)")
        raise typer.Exit


@app.callback()
def _idm(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def run(arguments: Sequence[str] | None = None, program: str = "idm") -> int:
    """Run a command line and return its exit code; errors become one message on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    handler = output.MessageHandler()
    logger = logging.getLogger("airflow_provider_idm")
    logger.addHandler(handler)
    try:
        with local_files():
            app(given, prog_name=program)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else FAILED if exit_.code else 0
    except KeyboardInterrupt:
        output.error("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message instead of a traceback
        return _report(error, with_traceback="--traceback" in given)
    finally:
        logger.removeHandler(handler)
    return 0


def _report(error: Exception, *, with_traceback: bool) -> int:
    if with_traceback:
        traceback.print_exception(error)
    if isinstance(error, ConfigurationError):
        output.error(str(error))
        return USAGE
    if isinstance(error, ConnectorBlockedError):
        output.error(str(error))
        return BLOCKED
    if isinstance(error, TransientError) and not isinstance(
        error, ResourcesError
    ):  # which says what to change
        output.error(f"{error}\nThis may pass: the same command may succeed later.")
    elif isinstance(error, IdmError):
        output.error(str(error))
    else:
        hint = "" if with_traceback else "; --traceback shows where"
        output.error(f"{type(error).__name__}: {error}{hint}")
    return FAILED
