"""Exporters of one's own: the example of the documentation, registration by place and by entry point, lazy loading."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from airflow_provider_idm.configuration import read_configuration
from airflow_provider_idm.errors import ExportError, TransientError
from airflow_provider_idm.synchronization.export import (
    Exported,
    ExportedFile,
    ExportJob,
    ExportRequest,
    export_connection,
    exporter_for,
    register_exporter,
    registered_packages,
)

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "exporters.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
MODULE, REGISTRATION, TASK_FLOW = (
    next(text for text in EXAMPLES if mark in text)
    for mark in ("# acme_exporters.py", 'register_exporter("Acme.Rest"', '"hr_from_a_task"')
)
CONFIGURATION = """\
<ConfigurationFile>
  <Connector Identifier="HR" DisplayName_L1="HR" />
  <Connection Identifier="Users" DisplayName_L1="Users" Connector="HR" Package="Acme.Rest@0000001" />
</ConfigurationFile>
"""


class Service(BaseHTTPRequestHandler):
    """A REST service of two pages; ``/broken`` answers with something else."""

    def do_GET(self) -> None:
        pages = {
            "/users": {"users": [{"id": 1, "name": "Ada"}], "next": f"{self.server.url}/more"},
            "/more": {"users": [{"id": 2, "name": "Grace, Hopper", "active": True}]},
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(pages[self.path]).encode() if self.path in pages else b"<html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "Conf"
    folder.mkdir()
    (folder / "hr.xml").write_text(CONFIGURATION)
    return folder


def python(code: str, folder: Path) -> str:
    """Run code in a process of its own, in which the modules of a folder can be imported."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------------------------------- the example


def test_the_example_of_the_documentation_exports(conf: Path, tmp_path: Path, url: str) -> None:
    (tmp_path / "acme_exporters.py").write_text(MODULE)
    (conf / "appsettings.agent.json").write_text(
        json.dumps({"Connections": {"Users": {"Url": f"{url}/users"}}})
    )

    python(
        f"""{REGISTRATION}
from pathlib import Path
from airflow_provider_idm.configuration import read_configuration
from airflow_provider_idm.synchronization.export import ExportRequest, export_connection

import sys
configuration = read_configuration({str(conf)!r})
assert "acme_exporters" not in sys.modules
output = Path({str(tmp_path)!r})
result = export_connection(ExportRequest(configuration=configuration, connection="Users", output=output))
assert result.as_dict()["rows"] == 2, result
""",
        tmp_path,
    )

    assert (tmp_path / "Users_users.csv").read_text() == 'id,name,active\n1,Ada,\n2,"Grace, Hopper",True\n'


def test_the_example_says_what_went_wrong(
    conf: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_exporters_2.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    register_exporter("Acme.Rest", "acme_exporters_2:export_rest")
    output = tmp_path / "ExportOutput"

    def export(**settings: str) -> None:
        export_connection(
            ExportRequest(
                configuration=read_configuration(conf), connection="Users", output=output, settings=settings
            )
        )

    with pytest.raises(ExportError, match="connection Users: the setting Url is missing"):
        export()
    with pytest.raises(ExportError, match=r"/broken did not answer with JSON"):
        export(url=f"{url}/broken")
    with pytest.raises(TransientError, match=r"http://127\.0\.0\.1:9/ does not answer"):
        export(url="http://127.0.0.1:9/")
    assert list(output.iterdir()) == []


def test_the_example_of_a_table_makes_a_dag() -> None:
    code = f"{TASK_FLOW}\nprint(sorted(dag.task_ids), sorted(dag.get_task('prepare').upstream_task_ids))"
    code = code.replace(
        'with DAG("hr_from_a_task", schedule="@daily"):',
        'with DAG("hr_from_a_task", schedule="@daily") as dag:',
    )

    assert python(code, ROOT).splitlines()[-1] == "['extract', 'prepare', 'synchronize'] ['extract']"


# ----------------------------------------------------------------------------------------- registration


def test_an_exporter_may_be_registered_by_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "place_of_exporter.py").write_text("def export(job):\n    return []\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    register_exporter("Acme.Place", "place_of_exporter:export")

    assert "Acme.Place" in registered_packages()
    assert "place_of_exporter" not in sys.modules
    exporter = exporter_for("acme.place@0000002")
    assert exporter is sys.modules["place_of_exporter"].export
    assert exporter_for("Acme.Placebo") is None


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("no_such_module_here:export", "No module named 'no_such_module_here'"),
        ("json:export", "module 'json' has no attribute 'export'"),
        ("json", "has no attribute ''"),
    ],
)
def test_a_place_without_an_exporter_is_told_when_it_is_needed(place: str, reason: str) -> None:
    register_exporter("Acme.Nowhere", place)

    with pytest.raises(ExportError) as caught:
        exporter_for("Acme.Nowhere@1")

    assert f"the exporter of package Acme.Nowhere is registered as {place!r}, which cannot be loaded" in str(
        caught.value
    )
    assert reason in str(caught.value)


def test_installed_packages_bring_exporters_by_entry_points(tmp_path: Path) -> None:
    entries = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert entries is not None
    group, *values = entries[1].strip().replace('"', "").splitlines()
    (tmp_path / "acme_exporters.py").write_text(MODULE)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    group = group.strip().replace("project.entry-points.", "")
    lines = [f"{value.strip()}\n" for value in values]
    (info / "entry_points.txt").write_text(
        f"{group}\n{''.join(lines)}Usercube.CSV = acme_exporters:export_rest\n"
    )

    printed = python(
        """
import sys
from airflow_provider_idm.synchronization.export import exporter_for, registered_packages
print("Acme.Rest" in registered_packages(), "acme_exporters" in sys.modules)
print(exporter_for("Acme.Rest@1").__name__, exporter_for("Usercube.CSV@1").__name__)
""",
        tmp_path,
    )

    assert printed.splitlines() == ["True False", "export_rest export_csv"]


def test_nothing_heavy_is_imported_until_an_exporter_is_used(tmp_path: Path) -> None:
    printed = python(
        """
import sys
from airflow_provider_idm.synchronization.export import registered_packages
import airflow_provider_idm.synchronization.export.connection
print(*registered_packages())
heavy = ("pandas", "duckdb", "pyarrow", "openpyxl", "xlrd", "ldap3", "sqlalchemy", "numpy", "airflow")
print([name for name in heavy if name in sys.modules])
""",
        tmp_path,
    )

    packages, heavy = printed.splitlines()
    assert {"Usercube.CSV", "Usercube.Excel", "Usercube.LDAP", "Usercube.AD", "Usercube.OpenLDAP"} <= set(
        packages.split()
    )
    assert heavy == "[]"


# ------------------------------------------------------------------------------------------------ output


def run_exporter(conf: Path, output: Path, write: object) -> tuple[ExportedFile, ...]:
    register_exporter("Acme.Rest", write)
    request = ExportRequest(configuration=read_configuration(conf), connection="Users", output=output)
    return export_connection(request).files


def test_files_are_moved_to_the_export_folder_once_all_are_written(conf: Path, tmp_path: Path) -> None:
    output = tmp_path / "ExportOutput"
    output.mkdir()
    (output / "Users_a.csv").write_text("former")

    def good(job: ExportJob) -> list[ExportedFile]:
        assert job.destination == output
        assert job.target() == job.output / "Users.csv"
        for name in ("a", "b"):
            job.target(name).write_text("x\n1\n")
        (job.output / "scratch.tmp").write_text("left behind")
        assert (output / "Users_a.csv").read_text() == "former"
        return [ExportedFile(job.target(name), 1, ("x",)) for name in ("a", "b")]

    def bad(job: ExportJob) -> list[ExportedFile]:
        job.target("a").write_text("half")
        raise ExportError("no")

    with pytest.raises(ExportError, match="no"):
        run_exporter(conf, output, bad)
    assert {path.name: path.read_text() for path in output.iterdir()} == {"Users_a.csv": "former"}

    files = run_exporter(conf, output, good)
    assert [file.path for file in files] == [output / "Users_a.csv", output / "Users_b.csv"]
    assert {path.name: path.read_text() for path in output.iterdir()} == {
        "Users_a.csv": "x\n1\n",
        "Users_b.csv": "x\n1\n",
    }


def test_an_exporter_that_knows_its_changes_says_so(conf: Path, tmp_path: Path) -> None:
    def changes(job: ExportJob) -> Exported:
        job.target("a").write_text("command,x\n")
        return Exported([ExportedFile(job.target("a"), 0, ("command", "x"))], cookie="42", incremental=True)

    register_exporter("Acme.Rest", changes)
    result = export_connection(
        ExportRequest(
            configuration=read_configuration(conf), connection="Users", output=tmp_path, incremental=True
        )
    )

    assert result.incremental
    assert not result.has_effect
    assert (tmp_path / "Users_a.csv").read_text() == "command,x\n"


def test_an_exporter_must_have_written_what_it_says(conf: Path, tmp_path: Path) -> None:
    def forgetful(job: ExportJob) -> list[ExportedFile]:
        return [ExportedFile(job.target("a"), 1, ("x",))]

    with pytest.raises(
        ExportError, match=r"the exporter says that it wrote .*Users_a\.csv, but there is no such"
    ):
        run_exporter(conf, tmp_path, forgetful)


def test_what_a_killed_export_left_is_removed_the_next_day(conf: Path, tmp_path: Path) -> None:
    old, young = tmp_path / ".export-Users-old", tmp_path / ".export-Users-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "Users.csv").write_text("half")
    os.utime(old, (1, 1))

    run_exporter(conf, tmp_path, lambda job: [])

    assert not old.exists()
    assert young.exists()
