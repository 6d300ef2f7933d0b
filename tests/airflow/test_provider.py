"""What Airflow knows of the provider."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import airflow_provider_idm
from tests.airflow.conftest import ROOT, AirflowHome

pytestmark = pytest.mark.airflow


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """A PYTHONPATH with the metadata that an installation of the package has."""
    metadata = tmp_path / "airflow_provider_idm-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-provider-idm\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = airflow_provider_idm:get_provider_info\n"
    )
    return f"{tmp_path}:{ROOT}"


def test_the_metadata_fits_airflows_schema() -> None:
    from jsonschema import validate

    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text(encoding="utf-8"))

    validate(airflow_provider_idm.get_provider_info(), schema)


def test_the_modules_that_the_metadata_names_exist() -> None:
    info = airflow_provider_idm.get_provider_info()
    named = [
        module for kind in ("hooks", "operators") for part in info[kind] for module in part["python-modules"]
    ]

    assert [module for module in named if not (ROOT / f"{module.replace('.', '/')}.py").is_file()] == []
    assert len(named) == 5


def test_airflow_lists_the_provider_and_its_connection_type(migrated: AirflowHome, installed: str) -> None:
    providers = json.loads(migrated.command("providers", "list", "--output", "json", PYTHONPATH=installed))
    hooks = json.loads(migrated.command("providers", "hooks", "--output", "json", PYTHONPATH=installed))

    assert [p["package_name"] for p in providers if "idm" in p["package_name"]] == ["airflow-provider-idm"]
    assert [h["class"] for h in hooks if h["connection_type"] == "idm"] == [
        "airflow_provider_idm.hooks.idm.IdmHook"
    ]


def test_the_package_imports_nothing_until_a_name_is_used() -> None:
    code = "import sys, airflow_provider_idm; print([m for m in sys.modules if m.startswith(('airflow.', 'lxml'))])"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = airflow_provider_idm.nothing
