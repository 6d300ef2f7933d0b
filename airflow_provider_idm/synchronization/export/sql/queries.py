"""What an SQL connection exports, as its settings say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.names import names_a_file, same, table_name
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.settings import Settings
from airflow_provider_idm.synchronization.export.sql.parameters import uses

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.exporter import ExportJob

COOKIE: Final = "cookie"
"""The parameter ``:cookie``."""

_QUERY_SETTINGS: Final = (
    "SqlCommand",
    "SqlFile",
    "SqlCommandIncremental",
    "SqlFileIncremental",
    "CookieColumn",
    "CookieStart",
)
SETTINGS: Final = (
    *_QUERY_SETTINGS,
    "ConnectionId",
    "ConnectionString",
    "Queries",
    "Tables",
    "CookieSql",
    "CommandColumn",
    "Timeout",
    "IsolationLevel",
    "CsvEncoding",
    "ProviderClassFullName",
    "ProviderDllName",
)
"""Every setting of an SQL connection; the last three are those of another product, and have no meaning here."""

_PART: Final = r'(?:[\w$#@]+|"[^"]+"|\[[^\]]+\]|`[^`]+`)'
_TABLE: Final = re.compile(rf"(?:{_PART}\.)*(?P<last>{_PART})")


@dataclass(frozen=True, slots=True)
class Query:
    """What fills one source file.

    :param dataset: the file is ``<connection>_<dataset>.csv``; None for ``<connection>.csv``.
    :param statement: gives everything.
    :param incremental: gives what changed since ``:cookie``; None if it cannot tell.
    :param cookie_column: the column whose greatest value is the next cookie.
    :param cookie_start: a value before all others.
    """

    dataset: str | None
    statement: str
    incremental: str | None = None
    cookie_column: str | None = None
    cookie_start: str | float | None = None


def read_queries(job: ExportJob) -> list[Query]:
    """Return what a connection exports.

    :raises ExportError: if the settings say nothing that can be exported.
    """
    settings = job.settings
    given = [name for name in ("SqlCommand", "SqlFile", "Queries", "Tables") if settings.is_set(name)]
    if given == ["SqlCommand", "SqlFile"]:
        given = ["SqlCommand"]
    if len(given) > 1:
        raise settings.error(given[0], f"expected one of {', '.join(given)}, found all of them")
    queries = _given(settings, given[0]) if given else _of_mappings(job)
    _check(settings, queries)
    return queries


def _given(settings: Settings, name: str) -> list[Query]:
    if name == "Queries":
        members = settings.members(name) or {}
        return [
            Query(dataset, member) if isinstance(member, str) else _query(member, dataset)
            for dataset, member in members.items()
        ]
    if name == "Tables":
        return _tables(settings)
    return [_query(settings, None)]


def _query(settings: Settings, dataset: str | None) -> Query:
    if dataset is not None:
        settings.warn_of_unknown(_QUERY_SETTINGS)
    statement = _statement(settings, "SqlCommand", "SqlFile")
    if statement is None:
        place = f"connection {settings.connection}, dataset {dataset}"
        raise ExportError(f"{place}: there is no query; set SqlCommand or SqlFile")
    return Query(
        dataset,
        statement,
        _statement(settings, "SqlCommandIncremental", "SqlFileIncremental"),
        settings.text("CookieColumn"),
        settings.scalar("CookieStart"),
    )


def _statement(settings: Settings, command: str, file: str) -> str | None:
    """Return a statement, of two settings the first that is set."""
    if text := settings.text(command):
        return text
    path = settings.path(file)
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = (error.strerror or "it is missing") if isinstance(error, OSError) else "it is no UTF-8 text"
        raise settings.error(file, f"{path} cannot be read: {reason}") from None
    if not text.strip():
        raise settings.error(file, f"{path} is empty; expected a query")
    return text


def _tables(settings: Settings) -> list[Query]:
    named = _named_tables(settings)
    queries = []
    for dataset, table in named:
        match = _TABLE.fullmatch(table.strip())
        if match is None:
            raise settings.error(
                "Tables", f"{table!r} is no table's name; quote it as the database does, or write a query"
            )
        queries.append(Query(dataset or match["last"].strip('"[]`'), f"SELECT * FROM {table.strip()}"))
    return queries


def _named_tables(settings: Settings) -> list[tuple[str | None, str]]:
    """Return (dataset, table) of a list of tables, or of an object of tables by dataset."""
    try:
        members = settings.members("Tables") or {}
    except ExportError:
        return [(None, table) for table in settings.texts("Tables")]
    if any(isinstance(table, Settings) for table in members.values()):
        raise settings.error("Tables", "expected the name of a table for each dataset; use Queries for more")
    return [(dataset, str(table)) for dataset, table in members.items()]


def _of_mappings(job: ExportJob) -> list[Query]:
    """Return a query for each table that the connector's mappings read from this connection."""
    name, configuration = job.connection.identifier, job.configuration
    found: dict[str, str] = {}
    if configuration is not None:
        tables = [(m.connector, m.connection_table) for m in configuration.entity_type_mappings.values()]
        tables += [
            (m.connector, m.connection_table) for m in configuration.entity_association_mappings.values()
        ]
        for connector, written in tables:
            table = table_name(written)
            prefix, dataset = table[: len(name) + 1], table[len(name) + 1 :]
            if same(connector, job.connection.connector) and same(prefix, f"{name}_") and dataset:
                found.setdefault(dataset.casefold(), dataset)
    if not found:
        raise job.settings.missing("SqlCommand, SqlFile, Queries or Tables")
    return [Query(dataset, f"SELECT * FROM {dataset}") for dataset in found.values()]


def _check(settings: Settings, queries: list[Query]) -> None:
    place = f"connection {settings.connection}"
    if not queries:
        raise ExportError(f"{place}: there is no query; set SqlCommand, SqlFile, Queries or Tables")
    seen: dict[str, str] = {}
    for query in queries:
        name = query.dataset
        if name is None:
            continue
        if not names_a_file(name):
            raise ExportError(f"{place}: {name!r} cannot be part of a file's name; give the dataset another")
        if (other := seen.setdefault(name.casefold(), name)) is not name:
            raise ExportError(f"{place}: the datasets {other} and {name} would be one file; rename one")
    without = [query.dataset for query in queries if query.incremental is None]
    if without and len(without) < len(queries):
        raise ExportError(
            f"{place}: the datasets {', '.join(map(str, without))} have no SqlCommandIncremental, but others have: an "
            "incremental batch holds changes of all of them, or of none"
        )
    for query in queries:
        _check_incremental(place, query, by_sql=settings.text("CookieSql") is not None)


def _check_incremental(place: str, query: Query, *, by_sql: bool) -> None:
    if query.incremental is None:
        return
    place = place if query.dataset is None else f"{place}, dataset {query.dataset}"
    if not uses(query.incremental, COOKIE):
        raise ExportError(
            f"{place}: SqlCommandIncremental does not use :cookie, so that it would export the same each time; write "
            "e.g. WHERE changed >= :cookie"
        )
    if query.cookie_column is None and not by_sql:
        raise ExportError(
            f"{place}: nothing says what :cookie is; set CookieColumn, the column whose greatest value it is, or the "
            "connection's CookieSql, a query that gives it"
        )
