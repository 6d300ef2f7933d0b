"""``idm plan``: what synchronizing would change."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import output, values
from airflow_provider_idm.cli.changes import changes_as_dicts, show_changes
from airflow_provider_idm.cli.counts import show_batches, show_counts
from airflow_provider_idm.cli.options import (
    AllowBackwards,
    Batch,
    Conf,
    ConnectorId,
    DatabaseSchema,
    ExchangeUrl,
    Force,
    Json,
    MemoryLimit,
    RepositoryUrl,
    RollingThresholds,
    Traceback,
    Work,
    open_exchange,
    open_repository,
    work_folder,
)
from airflow_provider_idm.engine import MEMORY_LIMIT
from airflow_provider_idm.local_files import FileAccessError

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import Plan, Review, SynchronizeResult

_SUFFIXES = (".csv", ".parquet", ".json")
_SAMPLE = 10


class Format(Enum):
    """How a plan is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


Changes = Annotated[
    Path | None,
    typer.Option(
        "--changes",
        parser=values.path,
        metavar="FILE",
        help="Write every change, with old and new values, to FILE (.csv, .parquet or .json).",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        parser=values.choice(Format),
        metavar=values.choices(Format),
        help="How to print it; markdown fits the comment of a pull request.",
    ),
]
Show = Annotated[
    int | None,
    typer.Option(
        "--show",
        min=0,
        max=1_000,
        metavar="N",
        help="Show the first N changes of each type and operation: keys and changed properties.",
    ),
]
ShowValues = Annotated[
    bool, typer.Option("--show-values", help="Show old and new values too, which may be personal.")
]


def plan(
    conf: Conf,
    *,
    connector: ConnectorId,
    batch: Batch = None,
    output_format: FormatOption = None,
    show: Show = None,
    show_values: ShowValues = False,
    changes: Changes = None,
    force: Force = False,
    rolling_thresholds: RollingThresholds = None,
    allow_backwards: AllowBackwards = False,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    exchange: ExchangeUrl = None,
    work: Work = None,
    memory_limit: MemoryLimit = MEMORY_LIMIT,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Show what synchronizing the pending batches would change, one after the other; nothing is changed."""
    chosen = _format(output_format, json=json)
    if changes is not None and changes.suffix.casefold() not in _SUFFIXES:
        raise typer.BadParameter(
            f"{changes}: expected a name that ends in .csv, .parquet or .json", param_hint="--changes"
        )
    mappings, rolling = configurations.limited_mappings(conf, connector, rolling_thresholds)

    from airflow_provider_idm.synchronization.synchronize import PlanRequest, plan_synchronization

    with open_repository(repository, database_schema) as opened:
        request = PlanRequest(
            mappings=mappings,
            exchange=open_exchange(exchange),
            repository=opened,
            work=work_folder(work),
            batch=batch,
            allow_backwards=allow_backwards,
            force=force,
            rolling=rolling,
            memory_limit=memory_limit,
        )
        with (
            output.progress(f"Planning {mappings.connector.identifier}"),
            plan_synchronization(request) as planned,
        ):
            if changes is not None:
                _write(planned, changes)
            size = _sample_size(chosen, show, show_values=show_values)
            result = planned.result
            # The hash is for a decision; without one, or changes to show, the plan is not gone through again.
            review = planned.sample(size or 0) if size is not None or result.state == "blocked" else None
    shown = review if size is not None else None
    if chosen is Format.MARKDOWN:
        _print_markdown(result, review, show_values=show_values)
    elif chosen is Format.JSON:
        change_set = {"change_set": review.change_set if review else None}
        sample = {"changes": changes_as_dicts(shown, show_values=show_values)} if shown else {}
        output.as_json(result.as_dict() | change_set | sample)
    else:
        _show(result, shown, show_values=show_values)
        if result.state == "blocked" and review is not None:
            output.message(
                f"{result.connector} would be blocked by batch {review.batch}, change set {review.change_set[:12]}"
            )


def _format(chosen: Format | None, *, json: bool) -> Format:
    if json and chosen not in {None, Format.JSON}:
        raise typer.BadParameter("is --format json; leave out the other format", param_hint="--json")
    return Format.JSON if json else chosen or Format.TABLE


def _sample_size(chosen: Format, show: int | None, *, show_values: bool) -> int | None:
    """Return how many changes of each kind to print; None for no sample, unless one was asked for."""
    if show is not None:
        return show
    return _SAMPLE if show_values or chosen is Format.MARKDOWN else None


def _print_markdown(result: SynchronizeResult, review: Review | None, *, show_values: bool) -> None:
    from airflow_provider_idm.cli.tables import print_text
    from airflow_provider_idm.synchronization.synchronize.markdown import as_markdown

    states = {
        "blocked": "a threshold would block it",
        "completed": "what synchronizing would change",
        "nothing": "no batch is pending",
    }
    heading = (
        f"Plan of {result.connector}: {'applied before' if result.already_applied else states[result.state]}"
    )
    print_text(as_markdown(result, review, show_values=show_values, heading=heading))


def _show(result: SynchronizeResult, review: Review | None, *, show_values: bool) -> None:
    data = result.as_dict()
    show_batches(data)
    show_counts(data)
    if review is not None and review.groups:
        show_changes(review, show_values=show_values)
        if len([b for b in result.batches if b.state != "cancelled"]) > 1:
            output.message(
                f"the changes shown are those of batch {review.batch}; --changes FILE writes them all"
            )
    for warning in result.warnings:
        output.warning(warning)
    if result.already_applied:
        output.message(f"{result.connector}: the batch was applied before; these are its counts")
    elif result.state == "nothing":
        output.message(f"{result.connector}: no batch is pending")


def _write(planned: Plan, path: Path) -> None:
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        planned.write_changes(path)
    except duckdb.IOException as error:
        raise FileAccessError(f"{path} cannot be written: {error}") from error
