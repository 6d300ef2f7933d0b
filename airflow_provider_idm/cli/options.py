"""The options that commands share, and what stands in where one is not given.

Without option and environment variable, repository, exchange and work folder lie under ``$AIRFLOW_HOME/idm`` if that
variable is set (where the Airflow tasks look for them too), else under ``./idm``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import values

if TYPE_CHECKING:
    from airflow_provider_idm.repository import Repository
    from airflow_provider_idm.synchronization.exchange import Exchange

Conf = Annotated[
    Path,
    typer.Argument(
        metavar="CONF",
        envvar="IDM_CONFIGURATION",
        exists=True,
        file_okay=False,
        help="Folder of the XML configuration.",
    ),
]
RepositoryUrl = Annotated[
    str | None,
    typer.Option(
        "--repository",
        parser=values.repository_url,
        metavar="URL",
        envvar="IDM_REPOSITORY",
        help="SQLAlchemy URL of the repository, e.g. sqlite:///repository.db or postgresql://user@host/database. "
        "Default: idm/repository.db (SQLite).",
    ),
]
DatabaseSchema = Annotated[
    str | None,
    typer.Option(
        "--database-schema",
        parser=values.text,
        metavar="NAME",
        envvar="IDM_DATABASE_SCHEMA",
        help="Schema of the database that holds the repository (PostgreSQL).",
    ),
]
ExchangeUrl = Annotated[
    str | None,
    typer.Option(
        "--exchange",
        parser=values.text,
        metavar="URL",
        envvar="IDM_EXCHANGE",
        help="Folder or URL (s3://…, sftp://…) of the exchange. Default: idm/exchange.",
    ),
]
Work = Annotated[
    Path | None,
    typer.Option(
        "--work", parser=values.path, metavar="DIR", envvar="IDM_WORK", help="Work folder. Default: idm/work."
    ),
]
ConnectorId = Annotated[
    str, typer.Option("--connector", parser=values.text, metavar="ID", help="The connector.")
]
OptionalConnectorId = Annotated[
    str | None,
    typer.Option(
        "--connector", parser=values.text, metavar="ID", help="The connector; all of them by default."
    ),
]
Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        parser=values.batch_id,
        metavar="ID",
        help="Up to and including this batch; all pending ones by default.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Ignore the thresholds.")]
RollingThresholds = Annotated[
    str | None,
    typer.Option(
        "--rolling-thresholds",
        parser=values.text,
        metavar="FILE|JSON",
        envvar="IDM_ROLLING_THRESHOLDS",
        help='Limits over the last days, as JSON or a file of it: {"days": 7, "MaximumDeletedLines": 500}, or such '
        "an object by connector.",
    ),
]
ChangeSet = Annotated[
    str | None,
    typer.Option(
        "--change-set",
        parser=values.change_set,
        metavar="HASH",
        help="The changes that were looked at, as plan and status name them (12 characters or more).",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        parser=values.text,
        metavar="NAME",
        help="Who decides; the operating system's user by default.",
    ),
]
BlockedBatch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        parser=values.batch_id,
        metavar="ID",
        help="The batch that is decided about, to be sure; the blocked one by default.",
    ),
]
AllowBackwards = Annotated[
    bool, typer.Option("--allow-backwards", help="Apply a batch that is dated before the last applied one.")
]
OptionalAsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=values.date,
        metavar="DATE",
        help="As it was at this date (its midnight) or moment, e.g. 2026-03-01 or 2026-03-01T06:00+02:00; UTC without "
        "a zone.",
    ),
]
MemoryLimit = Annotated[
    str,
    typer.Option(
        "--memory-limit",
        parser=values.memory_limit,
        metavar="SIZE",
        help="Memory for the data, e.g. 1GB or 512MiB; more goes to the work folder.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error comes from.")]


def home() -> Path:
    """Return the folder that holds repository, exchange and work folder by default."""
    airflow_home = os.environ.get("AIRFLOW_HOME")
    base = Path(os.path.expandvars(airflow_home)).expanduser() if airflow_home else Path()
    return base.absolute() / "idm"


def work_folder(work: Path | None) -> Path:
    """Return the work folder, the given one or the default."""
    return (work.expanduser() if work else home() / "work").absolute()


def sources_folder(folder: Path | None, work: Path | None) -> Path:
    """Return the folder of the source files, the given one or ``ExportOutput`` in the work folder."""
    return (folder.expanduser() if folder else work_folder(work) / "ExportOutput").absolute()


def open_exchange(url: str | None) -> Exchange:
    """Open the exchange, the given one or the default.

    :raises airflow_provider_idm.errors.ExchangeError: if the URL is none that can be opened.
    """
    from airflow_provider_idm.synchronization.exchange import Exchange

    return Exchange.open(url or home() / "exchange")


@contextmanager
def open_repository(url: str | None, schema: str | None, *, create: bool = True) -> Iterator[Repository]:
    """Open the repository, the given one or the default, and close it at the end.

    :param create: whether to make it if it is not there.
    :raises airflow_provider_idm.errors.RepositoryError: if it is none that this version can work with.
    :raises airflow_provider_idm.errors.RepositoryUnavailableError: if its database does not answer.
    """
    from airflow_provider_idm.repository import Repository

    if not url:
        url = f"sqlite:///{home() / 'repository.db'}"
    with Repository.open(url, schema or None, create=create) as repository:
        yield repository
