"""What Airflow knows of the provider."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

import airflow_provider_idm
from airflow_provider_idm.hooks.idm import IdmHook
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


def test_every_module_with_a_hook_or_an_operator_is_named_and_no_other() -> None:
    from airflow.sdk import BaseHook

    from airflow_provider_idm.operators.base import IdmOperator

    info = airflow_provider_idm.get_provider_info()
    for kind, base in (("hooks", BaseHook), ("operators", IdmOperator)):
        named = [module for part in info[kind] for module in part["python-modules"]]
        assert named == sorted(set(named))
        assert set(named) == set(_modules_with(kind, base))


def _modules_with(package: str, base: type) -> Iterator[str]:
    """Yield the modules of a package that define a class which is of a kind and can be made."""
    for file in sorted((ROOT / "airflow_provider_idm" / package).glob("*.py")):
        name = f"airflow_provider_idm.{package}.{file.stem}".removesuffix(".__init__")
        made = [value for value in vars(importlib.import_module(name)).values() if isinstance(value, type)]
        own = [kind for kind in made if kind.__module__ == name and issubclass(kind, base)]
        if any(not inspect.isabstract(kind) for kind in own):
            yield name


def test_all_else_that_the_metadata_names_can_be_imported() -> None:
    info = airflow_provider_idm.get_provider_info()
    uris = [
        name
        for kind in info["asset-uris"]
        for key in ("handler", "factory", "to_openlineage_converter")
        if (name := kind[key])
    ]
    hooks = [kind["hook-class-name"] for kind in info["connection-types"]]

    for name in (*info["extra-links"], *info["cli"], *uris, *hooks):
        module, _, attribute = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), attribute)), name


def test_every_option_says_what_it_is() -> None:
    options = airflow_provider_idm.get_provider_info()["config"]["idm"]["options"]

    assert sorted(options) == ["history", "lock_timeout", "memory_limit", "poll_interval"]
    assert [name for name, option in options.items() if not option["description"].strip()] == []


def test_the_form_has_the_same_fields_in_airflow_3_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """That one asks the hook, with stand-ins for the fields if wtforms is not installed."""
    wtforms = SimpleNamespace(
        StringField=lambda label, description: ("text", label, description),
        PasswordField=lambda label, description: ("secret", label, description),
    )
    monkeypatch.setitem(sys.modules, "wtforms", wtforms)

    fields = IdmHook.get_connection_form_widgets()

    told = airflow_provider_idm.get_provider_info()["connection-types"][0]
    assert {name: field[1] for name, field in fields.items()} == {
        name: field["label"] for name, field in told["conn-fields"].items()
    }
    assert [name for name, field in fields.items() if field[0] == "secret"] == ["repository"]
    assert IdmHook.get_ui_field_behaviour()["relabeling"] == {"schema": "Database"}


def test_airflow_lists_the_provider_and_its_connection_type(migrated: AirflowHome, installed: str) -> None:
    providers = json.loads(migrated.command("providers", "list", "--output", "json", PYTHONPATH=installed))
    hooks = json.loads(migrated.command("providers", "hooks", "--output", "json", PYTHONPATH=installed))

    assert [p["package_name"] for p in providers if "idm" in p["package_name"]] == ["airflow-provider-idm"]
    assert [h["class"] for h in hooks if h["connection_type"] == "idm"] == [
        "airflow_provider_idm.hooks.idm.IdmHook"
    ]
    assert "3GB" in migrated.command(
        "config", "get-value", "idm", "memory_limit", PYTHONPATH=installed, AIRFLOW__IDM__MEMORY_LIMIT="3GB"
    )


def test_the_package_imports_nothing_until_a_name_is_used() -> None:
    code = "import sys, airflow_provider_idm; print([m for m in sys.modules if m.startswith(('airflow.', 'lxml'))])"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = airflow_provider_idm.nothing
