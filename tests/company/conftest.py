"""The company's configuration, and a home of its own for Airflow, which reads its settings when it is first imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration import Configuration, read_configuration
from tests.airflow.conftest import airflow_home, migrated

__all__ = ["airflow_home", "migrated"]

CONF = Path(__file__).with_name("conf")


@pytest.fixture(scope="session")
def company() -> Configuration:
    """Give the configuration as it was read."""
    return read_configuration(CONF)
