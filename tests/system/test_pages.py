"""The pages about batches and reports on a whole Airflow: who may see them, and how a browser gets there and back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.airflow.conftest import CONFIGURATION
from tests.airflow.stack import DagRun, Stack, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HTML = {"Accept": "text/html,application/xhtml+xml"}
SECRET = "Quaderer"
"""A surname: no page shows one."""

DAG_FILE = """\
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

here = Path(__file__).parent
given = {"idm_conn_id": "idm_pages", "configuration": str(here / "conf")}
with DAG("pages", dag_display_name="Pages <of> HR", schedule=None, start_date=datetime(2026, 1, 1)):
    prepare = PrepareSynchronizationTaskOperator(
        task_id="prepare",
        connector="HR",
        synchronization_mode="Complete",
        sources_directory=str(here / "sources" / "{{ dag_run.conf['day'] }}"),
        **given,
    )
    SynchronizeTaskOperator(task_id="synchronize", connector="HR", batch=prepare.output, **given)
    SynchronizeTaskOperator(task_id="skipped", connector="HR", batch="{{ None }}", **given)
"""


@dataclass(frozen=True)
class Pages:
    """The run of one day that went through, and one of the next that waits for a decision."""

    stack: Stack
    applied: DagRun
    waiting: DagRun

    def link(self, run: DagRun, task: str, name: str) -> str:
        links = run.api.get(f"{run.url}/taskInstances/{task}/links").json()["extra_links"]
        return f"/{links[name]}"

    def get(self, user: str, path: str, **headers: str) -> httpx.Response:
        return self.stack.client(user).get(path, headers=HTML | headers)

    @property
    def base(self) -> str:
        return str(self.stack.client().base_url).rstrip("/")


def persons(*numbers: int) -> str:
    return "id,name,since,manager\n" + "".join(f"P{n},{SECRET},2020-01-01,\n" for n in numbers)


@pytest.fixture(scope="module")
def pages(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("pages")
    conf = CONFIGURATION.replace('"Human Resources"', '"Human Resources" MaximumDeletedLines="2"')
    extra = {
        "repository": f"sqlite:///{folder}/repository.db",
        "exchange": str(folder / "exchange"),
        "work": str(folder),
    }
    stack.connect("idm_pages", extra=extra)
    stack.place(
        "pages",
        {
            "conf/HR.xml": conf,
            "sources/1/HR-Persons.csv": persons(*range(1, 9), 1),
            "sources/2/HR-Persons.csv": persons(1, 2),
            "pages.py": DAG_FILE,
        },
    )
    applied = DagRun(stack, "pages", "anna", {"day": 1})
    assert applied.wait_for_end() == "success", applied.log("prepare") + applied.log("synchronize")
    waiting = DagRun(stack, "pages", "anna", {"day": 2})
    waiting.wait("prepare", "success")
    waiting.wait("synchronize", "awaiting_input", "deferred")
    waiting.wait("skipped", "skipped")
    return Pages(stack, applied, waiting)


# ------------------------------------------------------------------------------------------------------ over the API


def test_links_lead_to_what_was_told(pages: Pages) -> None:
    run = pages.applied
    batch, report = (pages.get("anna", pages.link(run, "prepare", name)) for name in ("Batch", "Report"))
    counts = run.xcom("prepare", "counts")

    assert (batch.status_code, report.status_code) == (200, 200)
    assert batch.headers["content-type"] == "text/html; charset=utf-8"
    assert batch.headers["cache-control"] == "no-store"
    assert counts["batch"] in batch.text
    assert '<th scope="row">Person</th><td>8</td><td class="odd">1</td>' in batch.text
    assert ">Applied</span>" in report.text
    assert '<th scope="row">Person</th><td>8</td><td class="zero">0</td>' in report.text
    assert "Pages &lt;of&gt; HR" in report.text
    own = pages.get("anna", pages.link(run, "synchronize", "Batch"))
    assert counts["batch"] in own.text
    assert ">prepare</a>" in own.text


def test_links_and_pages_are_there_while_a_task_waits_and_when_it_was_skipped(pages: Pages) -> None:
    report = pages.get("anna", pages.link(pages.waiting, "synchronize", "Report"))
    assert "waits for a person&#39;s decision" in report.text
    assert '<td>MaximumDeletedLines</td><td class="number">2</td><td class="number odd">6</td>' in report.text
    skipped = pages.get("anna", pages.link(pages.waiting, "skipped", "Report"))
    assert "The task was skipped; the reason is in its log." in skipped.text


def test_pages_show_no_values(pages: Pages) -> None:
    for run in (pages.applied, pages.waiting):
        for task in ("prepare", "synchronize", "skipped"):
            for name in ("Batch", "Report"):
                answer = pages.get("anna", pages.link(run, task, name))
                assert answer.status_code == 200
                assert SECRET not in answer.text


def test_only_who_may_read_the_dag_sees_them(pages: Pages) -> None:
    path = pages.link(pages.applied, "synchronize", "Report")
    for user in ("uwe", "vera"):
        assert pages.get(user, path).status_code == 200
    with httpx.Client(base_url=pages.base, trust_env=False) as nobody:
        assert nobody.get(path).status_code == 401
        asked = nobody.get(path, headers=HTML)
        assert asked.status_code == 302
        assert urlsplit(asked.headers["location"]).path == "/api/v2/auth/login"
        assert nobody.get(path, headers={"Authorization": "Bearer made.up.token"}).status_code == 403
        stranger = {"Authorization": f"Bearer {token_without_role(pages.stack)}"}
        assert nobody.get("/api/v2/dags/pages", headers=stranger).status_code == 403
        assert nobody.get(path, headers=stranger).status_code == 403
        refused = nobody.get(path, headers=stranger | HTML)
        assert refused.status_code == 403
        assert "does not let you see" in refused.text
        for unknown in ("docs", "openapi.json", "redoc", ""):
            assert nobody.get(f"/idm/{unknown}").status_code == 404


def test_what_airflow_does_not_know(pages: Pages) -> None:
    path = pages.link(pages.applied, "synchronize", "Report")
    assert pages.get("anna", path.replace("synchronize", "nothing")).status_code == 404
    assert "knows no task nothing" in pages.get("anna", path.replace("synchronize", "nothing")).text
    assert pages.get("anna", f"{path}?map_index=3").status_code == 404
    assert pages.get("anna", f"{path}?map_index=x").status_code == 422


def token_without_role(stack: Stack) -> str:
    """Return a token that the API server made, as it were, for a user to whom it gave no role."""
    code = (
        "from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager;"
        "from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser as User;"
        "print(SimpleAuthManager().generate_jwt(User(username='nora', role=None)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=stack.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].strip()


# ---------------------------------------------------------------------------------------------------- with a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def window(browser: Browser, scheme: Any = "light") -> Iterator[tuple[Page, list[str]]]:
    """Open a window of its own; yield it and what went wrong or was asked of other servers."""
    troubles: list[str] = []
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, color_scheme=scheme, locale="en-US"
    )
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda r: "127.0.0.1" in r.url or r.url.startswith("data:") or troubles.append(r.url))
    page.on(
        "console", lambda m: m.type == "error" and "/idm/" in m.location["url"] and troubles.append(m.text)
    )
    yield page, troubles
    context.close()


def log_in(page: Page, user: str) -> None:
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", user)
    page.click("button[type=submit]")


def back_and_forth(page: Page, base: str, path: str) -> None:
    """From a page through the login to that page, from there to the task in Airflow, and to its other page."""
    page.goto(f"{base}{path}")
    page.wait_for_selector("input[name=username]")
    log_in(page, "vera")
    page.wait_for_selector("text=Report of HR")
    assert page.url.startswith(f"{base}/idm/dags/pages/runs/")
    page.get_by_role("link", name="Back to the task in Airflow").click()
    page.wait_for_selector("text=SynchronizeTaskOperator")
    assert page.url.startswith(f"{base}/dags/pages/runs/")
    page.get_by_role("link", name="Details", exact=True).last.click()
    link = page.get_by_role("link", name="Batch", exact=True)
    link.wait_for()
    link.evaluate("link => link.removeAttribute('target')")  # before Airflow 3.3 it opens a window
    link.click()
    page.wait_for_selector("text=Batch of HR")
    assert page.url.startswith(f"{base}/idm/dags/pages/runs/")


def test_through_the_login_to_the_page_and_back_to_airflow(pages: Pages, browser: Browser) -> None:
    with window(browser) as (page, troubles):
        back_and_forth(page, pages.base, pages.link(pages.applied, "synchronize", "Report"))
        assert troubles == []


def test_from_what_blocks_a_task_to_the_decision_in_the_dark(pages: Pages, browser: Browser) -> None:
    with window(browser, "dark") as (page, troubles):
        page.goto(f"{pages.base}{pages.link(pages.waiting, 'synchronize', 'Report')}")
        page.wait_for_selector("input[name=username]")
        log_in(page, "anna")
        page.wait_for_selector("text=Exceeded thresholds")
        colours = page.evaluate(
            "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert colours == ["rgb(18, 22, 28)", "rgb(228, 232, 238)"]
        page.get_by_role("link", name="Decide: resume or reject").click()
        page.get_by_role("button", name="Reject").wait_for()
        assert troubles == []


@pytest.fixture(scope="module")
def prefixed(pages: Pages) -> Iterator[str]:
    """Run a second API server below a path, as behind a proxy, and with an auth manager of its own; give its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/idm/airflow"
    with (pages.stack.home / "api-server-prefixed.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server", "--host", "127.0.0.1", "--port", str(port)],
            env=pages.stack.environment
            | {
                "AIRFLOW__API__BASE_URL": base,
                "AIRFLOW__CORE__AUTH_MANAGER": "tests.system.auth_manager.Restricted",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        pages.stack.wait_for(
            "the second server", lambda: httpx.get(f"{base}/api/v2/version").status_code == 200
        )
        yield base
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def test_a_server_below_a_path(pages: Pages, prefixed: str, browser: Browser) -> None:
    with window(browser) as (page, troubles):
        back_and_forth(page, prefixed, pages.link(pages.applied, "synchronize", "Report"))
        assert troubles == []


def test_the_rights_on_the_dag_decide_and_those_on_its_xcoms(pages: Pages, prefixed: str) -> None:
    path = pages.link(pages.applied, "synchronize", "Report")

    def status(user: str, query: str = "") -> int:
        token = pages.stack.client(user).headers["Authorization"]
        headers = {"Authorization": token}
        return httpx.get(f"{prefixed}{path}{query}", headers=headers, trust_env=False).status_code

    assert (status("vera"), status("uwe"), status("bert")) == (200, 403, 403)
    assert status("uwe", "?dag_id=another") == 403
