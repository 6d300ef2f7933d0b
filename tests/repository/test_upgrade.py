"""Repositories of older versions are brought up to date when they are opened; those of newer ones are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.schema import SCHEMA_VERSION, tables
from tests.oracle.shapes import HR
from tests.repository.plain import connect
from tests.synchronize.scenario import FIRST, SECOND

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


def back_to_version_1(url: str) -> None:
    """Make a repository what version 1 of the tables was."""
    with connect(url) as connection:
        for table, names in SINCE_2.items():
            for name in names:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" DROP COLUMN "{name}"')
        connection.exec_driver_sql('UPDATE "UJ_SchemaVersion" SET "Version" = 1')
        connection.commit()


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


def test_a_schema_is_upgraded_where_it_lies(postgresql_url: str) -> None:
    Repository.open(postgresql_url, schema="Identity Store").close()
    own = tables("Identity Store")
    with connect(postgresql_url) as connection:
        connection.execute(sa.update(own.schema_version).values(Version=1))
        for table, names in SINCE_2.items():
            for name in names:
                connection.exec_driver_sql(f'ALTER TABLE "Identity Store"."{table}" DROP COLUMN "{name}"')
        connection.commit()

    with Repository.open(postgresql_url, schema="Identity Store") as repository:
        assert repository.status("HR").state == "empty"


def test_a_newer_repository_is_refused(repository_url: str) -> None:
    Repository.open(repository_url).close()
    with connect(repository_url) as connection:
        connection.exec_driver_sql('UPDATE "UJ_SchemaVersion" SET "Version" = 999')
        connection.commit()

    with pytest.raises(RepositoryError, match=r"has schema version 999, this program knows versions up to"):
        Repository.open(repository_url)
