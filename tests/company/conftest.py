"""The company's configuration, and a home of its own for Airflow, which reads its settings when it is first imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_idm.configuration import Configuration, read_configuration
from tests.airflow.conftest import HOME  # noqa: F401  sets the environment before Airflow is imported

CONF = Path(__file__).with_name("conf")


@pytest.fixture(scope="session")
def company() -> Configuration:
    """Give the configuration as it was read."""
    return read_configuration(CONF)
