"""One whole Airflow for all tests of this folder: they share its processes, each module with DAGs of its own.

A module places its DAG files in a folder of its own (``stack.place``), with DAG ids that no other module has, and adds
its connections (``stack.connect``). What it starts it also brings to an end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow.stack import Stack
from tests.conftest import Databases

USERS = {"anna": "admin", "bert": "admin", "uwe": "user", "vera": "viewer"}
"""Role by user; the password is the name."""
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an Airflow; ``tests/conftest.py`` has all of it run in one process."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.airflow)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, postgresql_databases: Databases) -> Iterator[Stack]:
    """Give a running Airflow with users; it ends with the last test of this folder."""
    home = tmp_path_factory.mktemp("system")
    (home / "dags").mkdir()
    database = postgresql_databases.empty()
    # DAGs that ask for it (enable_lineage) tell OpenLineage, in a file, what they do
    lineage = {"type": "file", "log_file_path": str(home / "lineage.jsonl"), "append": True}
    environment = {
        "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "120",  # by default a busy machine loses events after 10 s
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
    }
    with Stack(home, database=database, users=USERS, environment=environment).running() as running:
        running.client()
        yield running
    postgresql_databases.drop(database)
