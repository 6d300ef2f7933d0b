"""Creating the repository's tables, and bringing those of an older version up to this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Column, Connection, insert, inspect, select, update
from sqlalchemy.schema import CreateColumn, CreateSchema

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository.layouts import keep_layout, stored_layout
from airflow_provider_idm.repository.schema import SCHEMA_VERSION, Tables

RESOURCE_IDS: Final = "UR_Resources"
"""Name of the counter that gives resources their ids."""


def _add_columns(connection: Connection, *columns: Column[Any]) -> None:
    for column in columns:
        table = connection.dialect.identifier_preparer.format_table(column.table)
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")


def _to_version_2(connection: Connection, tables: Tables) -> None:
    """Blocked connectors."""
    states = tables.connector_states.c
    names = ("State", "StateSince", "StateBatch_Id", "StateTask_Id", "ChangeSet", "Options", "Message")
    _add_columns(connection, *(states[name] for name in names), tables.batches.c.Consent)


def _to_version_3(connection: Connection, tables: Tables) -> None:
    """History: it begins with what each connector's last batch left.

    Files keep the default date: they are read beside their resource, which has its own, and to write theirs SQLite would
    write all their contents anew.
    """
    states, files = tables.connector_states, tables.resource_files
    history = (tables.resources_history, tables.resource_links_history, tables.resource_files_history)
    tables.metadata.create_all(connection, tables=(*history, tables.layouts))
    _add_columns(connection, states.c.HistorySince, files.c.ValidFrom)
    connection.execute(update(states).values(HistorySince=states.c.LastEffectiveDate))
    for connector, since in connection.execute(
        select(states.c.Connector_Id, states.c.LastEffectiveDate)
    ).all():
        if since is not None:
            layout = stored_layout(connection, tables, connector)
            keep_layout(connection, tables, connector, layout, since)


MIGRATIONS: Final[Mapping[int, Callable[[Connection, Tables], None]]] = {1: _to_version_2, 2: _to_version_3}
"""From version n to n + 1, by n.

Views of ours select from named columns of ``UR_`` tables: columns may be added to these beside them, but before one is
altered or dropped, or a table made anew, the views have to go; the task makes them again.
"""


def upgrade(connection: Connection, tables: Tables) -> None:
    """Create the tables, or migrate older ones, inside the caller's transaction.

    :raises RepositoryError: if a newer version made them, or if some of them exist but no version is recorded.
    """
    schema = tables.metadata.schema
    if connection.dialect.name == "postgresql" and schema:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    if not inspect(connection).has_table(tables.schema_version.name, schema=schema):
        tables.metadata.create_all(connection)
        connection.execute(insert(tables.schema_version).values(Version=SCHEMA_VERSION))
        connection.execute(insert(tables.counters).values(Name=RESOURCE_IDS, NextValue=1))
        return
    version = connection.scalar(select(tables.schema_version.c.Version))
    if version is None:
        raise RepositoryError(
            f"{connection.engine.url!r} has a table {tables.schema_version.name} without a version: "
            "it is not an identity repository, or its creation was interrupted"
        )
    if version > SCHEMA_VERSION:
        raise RepositoryError(
            f"the repository {connection.engine.url!r} has schema version {version}, this program knows versions up to "
            f"{SCHEMA_VERSION}: upgrade airflow-provider-idm"
        )
    for step in range(version, SCHEMA_VERSION):
        MIGRATIONS[step](connection, tables)
        connection.execute(update(tables.schema_version).values(Version=step + 1))
