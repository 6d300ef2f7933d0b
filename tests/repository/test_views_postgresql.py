"""Views on PostgreSQL: rights, what others build upon them, who uses them, schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_provider_idm.errors import LockedError, RepositoryError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.dialects import views_postgresql
from tests.oracle.harness import Harness
from tests.oracle.shapes import HR, Shape
from tests.repository.plain import connect, execute
from tests.repository.test_views import OTHERS, reader, rows, views_of


@pytest.fixture
def on_postgresql(postgresql_url: str, tmp_path: Path) -> Iterator[Harness]:
    made = Harness(HR, postgresql_url, tmp_path)
    made.repository.create_views([made.mappings])
    yield made
    made.close()


@pytest.fixture
def without_label(tmp_path: Path) -> Shape:
    """An organization that has lost its second property: its view cannot merely be replaced."""
    organization = HR.types[1]
    return replace(HR, types=(HR.types[0], replace(organization, properties=organization.properties[:1])))


def test_rights_that_were_granted_on_a_view_outlive_its_columns(
    on_postgresql: Harness, without_label: Shape, tmp_path: Path
) -> None:
    role = f"Reporter {on_postgresql.url[-12:]} 100%"
    url = on_postgresql.url
    with connect(url) as connection:
        connection.execute(sa.text(f'CREATE ROLE "{role}"'))
        connection.execute(sa.text(f'GRANT SELECT ON "zz_Organization" TO "{role}" WITH GRANT OPTION'))
        connection.execute(sa.text('GRANT SELECT ON "zz_Organization" TO PUBLIC'))
    asked = (
        "SELECT CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END AS who, a.is_grantable AS more "
        "FROM pg_class c, aclexplode(c.relacl) a WHERE c.relname = 'zz_Organization' AND a.grantee <> c.relowner "
        "ORDER BY 1"
    )

    result = on_postgresql.repository.create_views([without_label.mappings(tmp_path / "changed")])

    assert result.replaced == ("zz_Organization",)
    assert views_of(url)["zz_Organization"][:3] == ["Id", "Code", "Parent"]
    assert rows(url, asked) == [{"who": role, "more": True}, {"who": None, "more": False}]
    execute(url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


def test_a_view_that_others_build_upon_is_not_dropped(
    on_postgresql: Harness, without_label: Shape, tmp_path: Path
) -> None:
    execute(on_postgresql.url, 'CREATE VIEW report AS SELECT "Label" FROM "zz_Organization"')

    with pytest.raises(
        RepositoryError, match=r"view zz_Organization must be dropped.*view report depends on"
    ):
        on_postgresql.repository.create_views([without_label.mappings(tmp_path / "changed")])

    assert "Label" in views_of(on_postgresql.url)["zz_Organization"]


def test_a_property_that_is_added_keeps_what_others_built(on_postgresql: Harness, tmp_path: Path) -> None:
    execute(on_postgresql.url, 'CREATE VIEW report AS SELECT "Label" FROM "zz_Organization"')
    organization = replace(HR.types[1], navigations=(*HR.types[1].navigations, ("Deputy", 130)))
    mappings = replace(HR, types=(HR.types[0], organization)).mappings(tmp_path / "changed")

    result = on_postgresql.repository.create_views([mappings])

    assert result.replaced == ("zz_Organization",)
    assert views_of(on_postgresql.url)["zz_Organization"][-2:] == ["Deputy", "Deputy_Id"]
    assert views_of(on_postgresql.url)["report"] == ["Label"]


def test_a_view_that_is_in_use_for_long_is_not_waited_for(
    on_postgresql: Harness, without_label: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_postgresql, "_PATIENCE", 1)
    mappings = without_label.mappings(tmp_path / "changed")

    with (
        reader(on_postgresql.url, "zz_Organization"),
        pytest.raises(LockedError, match=r"zz_Organization was in use for more than 1 s"),
    ):
        on_postgresql.repository.create_views([mappings])

    assert "Label" in views_of(on_postgresql.url)["zz_Organization"]
    assert on_postgresql.repository.create_views([mappings]).replaced == ("zz_Organization",)


def test_views_lie_in_the_schema_of_their_tables(postgresql_url: str, tmp_path: Path) -> None:
    schema = "Identity 100% Store"
    execute(postgresql_url, OTHERS)
    mappings = HR.mappings(tmp_path / "configuration")

    with Repository.open(postgresql_url, schema=schema) as repository:
        repository.create_views([mappings])
        assert len(repository.create_views([mappings]).unchanged) == 2

    with connect(postgresql_url) as connection:
        inspector = sa.inspect(connection)
        assert inspector.get_view_names() == ["zz_Report"]
        assert sorted(inspector.get_view_names(schema=schema)) == ["zz_Organization", "zz_Person"]
