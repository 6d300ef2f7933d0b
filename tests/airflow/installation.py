"""What an installation of the package adds to its code: the metadata by which Airflow finds it."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tests.airflow.conftest import ROOT


def python_path(folder: Path) -> str:
    """Write the package's metadata into a folder, unless it is installed; return a PYTHONPATH with it and the code.

    Twice there, it would be a plugin twice, and a task of Airflow 3.3 loads none of the plugins after such a one.
    """
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if any(d.metadata["Name"] == project["name"] for d in distributions()):
        return str(ROOT)
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
            for group, entries in groups.items()
        ),
        encoding="utf-8",
    )
    return os.pathsep.join((str(folder), str(ROOT)))
