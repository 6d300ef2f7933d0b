"""``idm prepare``: source files become a batch in the exchange."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.options import (
    Conf,
    ConnectorId,
    ExchangeUrl,
    Json,
    MemoryLimit,
    Traceback,
    Work,
    open_exchange,
    sources_folder,
    work_folder,
)
from airflow_provider_idm.engine import MEMORY_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mode(Enum):
    """The names of a synchronization mode."""

    INITIAL = "initial"
    COMPLETE = "complete"
    INCREMENTAL = "incremental"


class Type(Enum):
    """The names of a source type."""

    NONE = "None"
    ACTIVE_DIRECTORY = "ActiveDirectory"
    CHANGES = "Changes"


class OnInvalidValue(Enum):
    """What becomes of a value that does not convert."""

    FAIL = "fail"
    NULL = "null"


ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode", parser=values.choice(Mode), metavar=values.choices(Mode), help="The synchronization mode."
    ),
]
Sources = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        parser=values.path,
        metavar="DIR",
        help="Folder of the source files. Default: ExportOutput in the work folder.",
    ),
]
TypeOption = Annotated[
    Type,
    typer.Option(
        "--type",
        parser=values.choice(Type),
        metavar=values.choices(Type),
        help="What the source files hold: whole extracts or changes.",
    ),
]
ColumnName = Annotated[
    str, typer.Option("--column-name", parser=values.text, metavar="C", help="The command column of changes.")
]
LogicalDate = Annotated[
    datetime | None,
    typer.Option(
        "--logical-date",
        parser=values.date,
        metavar="D",
        help="When dated sources were true: a date, or a date and time (UTC without zone).",
    ),
]
OnInvalidValueOption = Annotated[
    OnInvalidValue,
    typer.Option(
        "--on-invalid-value",
        parser=values.choice(OnInvalidValue),
        metavar=values.choices(OnInvalidValue),
        help="Fail, or empty such values and go on.",
    ),
]

Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", parser=values.encoding, metavar="NAME", help="Of the source files; UTF-8 by default."
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        parser=values.separator,
        metavar="C",
        help="Between fields; comma or semicolon as the header has it by default.",
    ),
]

PlanOnly = Annotated[
    bool,
    typer.Option(
        "--plan-only",
        help="Publish a batch that only a plan reads: it is never applied, and nothing leads on from it.",
    ),
]

_COUNTS = ("rows", "duplicates", "nullpk", "invalid", "inserts", "updates", "deletes", "merges")
_ALWAYS = {"rows", "duplicates", "nullpk"}


def prepare(
    conf: Conf,
    *,
    connector: ConnectorId,
    mode: ModeOption,
    sources: Sources = None,
    source_type: TypeOption = Type.NONE,
    column_name: ColumnName = "command",
    logical_date: LogicalDate = None,
    on_invalid_value: OnInvalidValueOption = OnInvalidValue.FAIL,
    encoding: Encoding = None,
    separator: Separator = None,
    plan_only: PlanOnly = False,
    exchange: ExchangeUrl = None,
    work: Work = None,
    memory_limit: MemoryLimit = MEMORY_LIMIT,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Cleanse and sort the source files, publish them as a batch, print its id; exit 3 if the connector is blocked."""
    mappings = configurations.mappings(conf, connector)

    from airflow_provider_idm.configuration import SourceType, SynchronizationMode
    from airflow_provider_idm.synchronization.exchange import Origin
    from airflow_provider_idm.synchronization.prepare import PrepareRequest
    from airflow_provider_idm.synchronization.prepare import prepare as run_prepare

    request = PrepareRequest(
        mappings=mappings,
        mode=SynchronizationMode[mode.name],
        type=SourceType(source_type.value),
        column_name=column_name,
        sources=sources_folder(sources, work),
        exchange=open_exchange(exchange),
        work=work_folder(work),
        effective_date=logical_date,
        on_invalid_value=on_invalid_value.value,
        encoding=encoding,
        separator=separator,
        plan_only=plan_only,
        origin=Origin(task="idm prepare"),
        memory_limit=memory_limit,
    )
    with output.progress(f"Preparing {mappings.connector.identifier}"):
        result = run_prepare(request)
    if json:
        output.as_json(result.as_dict())
        return
    _show(result.as_dict())
    if result.reused:
        output.message("these files were published for this date before: this is that batch")
    typer.echo(result.manifest.batch)


def _show(data: Mapping[str, Any]) -> None:
    """Show the counts on standard error: standard output is for the batch id."""
    files = data["files"]
    columns = [name for name in _COUNTS if name in _ALWAYS or any(counts[name] for counts in files.values())]
    rows = ((name, *(counts[column] for column in columns)) for name, counts in files.items())
    output.table(("file", *columns), rows, on_stderr=True)
