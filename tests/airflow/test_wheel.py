"""The wheel: all of the package is in it, and Airflow finds the provider where nothing else is there."""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.airflow.conftest import ROOT, AirflowHome

PACKAGE = "airflow_provider_idm"
pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def wheel() -> Distribution:
    """The project as it is installed; in a development environment it is the checkout that is."""
    try:
        found = distribution("airflow-provider-idm")
    except PackageNotFoundError:
        pytest.skip("the project is not installed; make matrix installs its wheel")
    if not any(file.name == "provider_info.py" for file in found.files or []):
        pytest.skip("the project is installed from the checkout; make matrix installs its wheel")
    return found


def test_all_of_the_package_is_in_it_and_nothing_else(wheel: Distribution) -> None:
    files = {str(file) for file in wheel.files or [] if "__pycache__" not in str(file)}
    metadata = {file for file in files if ".dist-info/" in file or file.startswith("..")}
    made = {
        str(file.relative_to(ROOT))
        for file in (ROOT / PACKAGE).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }

    assert files - metadata == made


def test_airflow_finds_the_provider_that_is_installed(
    migrated: AirflowHome, wheel: Distribution, tmp_path: Path
) -> None:
    def told(*arguments: str) -> object:
        return json.loads(migrated.command(*arguments, "--output", "json", PYTHONPATH=str(tmp_path)))

    where = migrated.python(f"import {PACKAGE}; print({PACKAGE}.__file__)", PYTHONPATH=str(tmp_path))
    assert where.startswith(sys.prefix)
    assert "airflow-provider-idm" in str(told("providers", "list"))
    assert told("providers", "get", "airflow-provider-idm") == [
        {"Provider": "airflow-provider-idm", "Version": wheel.version}
    ]
    assert f"{PACKAGE}.hooks.idm.IdmHook" in str(told("providers", "hooks"))
    assert f"{PACKAGE}.operators.links.BatchLink" in str(told("providers", "links"))
    assert "memory_limit" in str(told("providers", "configs"))
    assert f"{PACKAGE}.plugins.idm" in str(told("plugins"))
