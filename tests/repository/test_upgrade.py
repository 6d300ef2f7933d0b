"""Repositories of older versions are brought up to date when they are opened; those of newer ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.schema import SCHEMA_VERSION, tables
from tests.oracle.shapes import HR
from tests.repository.plain import connect
from tests.synchronize.scenario import FIRST, SECOND
from tests.synchronize.test_photos import ALL, CHANGES, STAFF

if TYPE_CHECKING:
    from tests.synchronize.conftest import MakeHarness

SINCE_2 = {
    "UJ_ConnectorStates": (
        "State",
        "StateSince",
        "StateBatch_Id",
        "StateTask_Id",
        "ChangeSet",
        "Options",
        "Message",
    ),
    "UJ_Batches": ("Consent",),
}
SINCE_3: dict[str, tuple[str, ...]] = {
    "UJ_ConnectorStates": ("HistorySince",),
    "UR_ResourceFiles": ("ValidFrom",),
}
TABLES_SINCE_3 = ("UR_ResourcesHistory", "UR_ResourceLinksHistory", "UR_ResourceFilesHistory", "UM_Layouts")


def columns(url: str) -> dict[str, list[tuple[str, str, bool, str | None]]]:
    """Describe every column of every table, in no order."""
    with connect(url) as connection:
        inspector = sa.inspect(connection)
        return {
            table: sorted(
                (c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)
            )
            for table in inspector.get_table_names()
        }


def back_to_version_1(url: str, schema: str | None = None) -> None:
    """Make a repository what version 1 of the tables was."""
    back_to_version_2(url, schema)
    _go_back(url, schema, 1, SINCE_2)


def back_to_version_2(url: str, schema: str | None = None) -> None:
    """Make a repository what version 2 of the tables was."""
    _go_back(url, schema, 2, SINCE_3, TABLES_SINCE_3)


def _go_back(
    url: str, schema: str | None, to: int, columns: dict[str, tuple[str, ...]], tables: tuple[str, ...] = ()
) -> None:
    prefix = f'"{schema}".' if schema else ""
    with connect(url) as connection:
        for table in tables:
            connection.exec_driver_sql(f'DROP TABLE {prefix}"{table}"')
        for table, names in columns.items():
            for name in names:
                connection.exec_driver_sql(f'ALTER TABLE {prefix}"{table}" DROP COLUMN "{name}"')
        connection.exec_driver_sql(f'UPDATE {prefix}"UJ_SchemaVersion" SET "Version" = {to}')


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def version(url: str) -> Any:
    with connect(url) as connection:
        return connection.exec_driver_sql('SELECT "Version" FROM "UJ_SchemaVersion"').scalar_one()


def test_a_repository_of_version_1_is_upgraded_with_all_it_holds(make_harness: MakeHarness) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    before, current = harness.repository.content_hash(harness.mappings), columns(harness.url)
    harness.close()
    back_to_version_1(harness.url)
    assert columns(harness.url) != current

    status = harness.repository.status("HR")

    assert version(harness.url) == SCHEMA_VERSION
    assert columns(harness.url) == current
    assert (status.state, status.as_dict()["blocked"]) == ("ready", None)
    assert harness.repository.content_hash(harness.mappings) == before
    assert harness.synchronize(batch=harness.publish(SECOND, "Incremental")).has_effect


def indexes(url: str) -> dict[str, list[tuple[str, str]]]:
    """Name the indexes of every table and what they cover."""
    with connect(url) as connection:
        inspector = sa.inspect(connection)
        return {
            table: sorted((str(i["name"]), str(i["column_names"])) for i in inspector.get_indexes(table))
            for table in inspector.get_table_names()
        }


def test_history_begins_with_what_version_2_held(make_harness: MakeHarness) -> None:
    # Given a repository of version 2, in which two days' batches were applied
    harness = make_harness(STAFF)
    harness.synchronize(batch=harness.publish(ALL, "Complete", dated=day(1)))
    harness.synchronize(batch=harness.publish(CHANGES, "Incremental", dated=day(2)))
    everything, of_all = columns(harness.url), indexes(harness.url)
    before = harness.repository.content_hash(harness.mappings)
    harness.close()
    back_to_version_2(harness.url)
    assert "UR_ResourcesHistory" not in columns(harness.url)

    # When it is opened
    status = harness.repository.status("Staff")

    # Then it has the tables that a new one has, holds what it held,
    assert (version(harness.url), status.state) == (SCHEMA_VERSION, "ready")
    assert (columns(harness.url), indexes(harness.url)) == (everything, of_all)
    assert harness.repository.content_hash(harness.mappings) == before
    # its history begins with the last batch, and a file is no younger than its resource
    own = tables(None)
    with harness.repository.reading() as connection:
        assert connection.scalar(sa.select(own.connector_states.c.HistorySince)) == day(2)
        dates = sa.select(own.resource_files.c.ValidFrom, own.resources.c.ValidFrom.label("of_resource"))
        pairs = connection.execute(
            dates.join(own.resources, own.resources.c.Id == own.resource_files.c.Resource_Id)
        ).all()
    assert len(pairs) == 4
    assert all(pair[0] <= pair[1] for pair in pairs)
    assert harness.synchronize(batch=harness.publish(ALL, "Complete", dated=day(3))).has_effect


def test_a_schema_is_upgraded_where_it_lies(postgresql_url: str) -> None:
    Repository.open(postgresql_url, schema="Identity Store").close()
    back_to_version_1(postgresql_url, "Identity Store")

    with Repository.open(postgresql_url, schema="Identity Store") as repository:
        assert repository.status("HR").state == "empty"


def test_a_newer_repository_is_refused(repository_url: str) -> None:
    Repository.open(repository_url).close()
    with connect(repository_url) as connection:
        connection.exec_driver_sql('UPDATE "UJ_SchemaVersion" SET "Version" = 999')
        connection.commit()

    with pytest.raises(RepositoryError, match=r"has schema version 999, this program knows versions up to"):
        Repository.open(repository_url)
