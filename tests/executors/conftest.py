"""The tests of this folder need Airflow's executors, a storage and Redis: ``make test-executors`` has them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Databases

HERE = Path(__file__).parent
PACKAGES = {
    "airflow.providers.celery": "apache-airflow-providers-celery",
    "airflow.providers.edge3": "apache-airflow-providers-edge3",
    "airflow.providers.amazon": "apache-airflow-providers-amazon",
    "s3fs": "s3fs",
    "redis": "redis",
    "moto": "moto[server]",
    "werkzeug": "moto[server]",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip everything here, with the reason, where something is missing."""
    missing = sorted({package for module, package in PACKAGES.items() if not _is_there(module)})
    if shutil.which("redis-server") is None:
        missing.append("redis-server (of the system)")
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.airflow)
        item.add_marker(pytest.mark.slow)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}: make test-executors"))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory, postgresql_databases: Databases) -> Iterator[object]:
    """Give a running Airflow with three executors and all their machines."""
    from tests.executors.deployment import Deployment

    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGAPPNAME", "tests")  # PostgreSQL's log tells who opened which database
        with Deployment(folder, postgresql_databases).running() as running:
            yield running
