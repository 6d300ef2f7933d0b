"""What an installation of the package adds to its code: the metadata by which Airflow finds it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from tests.airflow.conftest import ROOT


def python_path(folder: Path) -> str:
    """Write the package's metadata into a folder; return a PYTHONPATH with it and the code."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
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
