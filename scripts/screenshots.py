"""Take the pictures of the user interface that the documentation shows, with a real browser.

    python scripts/screenshots.py [--folder DIR] [--browser PATH]

Starts a local Airflow as ``make ui`` does, in a folder that is removed at the end, and writes ``docs/images/*.png``.
Needs Chromium, and the Python package playwright.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from local_airflow import AirflowError, LocalAirflow, first_free_port
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from ui import ROOT, furnish

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1400, "height": 900}
LARGEST = 300_000
"""Bytes of a picture."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
JOB = "HR_Synchronize_Complete"
PATIENCE = 120_000
"""Milliseconds to wait for anything on a page; a busy machine is slow."""

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Take all pictures; return the exit code."""
    parser = argparse.ArgumentParser(description="Take the pictures of docs/images.")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where the pictures go (%(default)s)")
    parser.add_argument("--browser", default=next(filter(None, map(shutil.which, BROWSERS)), None))
    arguments = parser.parse_args()
    if arguments.browser is None:
        console.print(f"[red]No browser is installed (looked for {', '.join(BROWSERS)}).[/]")
        return 1
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        with airflow() as local, browser(arguments.browser, local) as page:
            for take in (
                approval,
                report,
                trigger,
                graph,
            ):  # Airflow goes on showing the graph beside everything
                take(page, local)
                page.mouse.move(0, 0)
                page.wait_for_timeout(1500)  # whatever moves comes to rest
                save(page, arguments.folder / f"{take.__name__}.png")
    except AirflowError as error:
        console.print(f"[red]{error}[/]", markup=True)
        return 1
    return 0


@contextmanager
def airflow() -> Iterator[LocalAirflow]:
    """Start an Airflow in which the sample has run."""
    with tempfile.TemporaryDirectory(prefix="idm-screenshots-") as folder:
        local = LocalAirflow(Path(folder), first_free_port(8090))
        try:
            with console.status("Starting Airflow and running sample jobs"):
                local.start()
                furnish(local)
            yield local
        finally:
            local.stop()


@contextmanager
def browser(path: str, local: LocalAirflow) -> Iterator[Page]:
    """Open a window in English, logged in."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = chromium.new_context(viewport=SIZE, locale="en-US", color_scheme="light", timezone_id="UTC")
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(local.url)
        page.fill("input[name=username]", local.user)
        page.fill("input[name=password]", local.password)
        page.click("button[type=submit]")
        page.get_by_role("link", name="Dags", exact=True).wait_for()
        yield page
        chromium.close()


# ------------------------------------------------------------------------------------------------------- the pictures


def graph(page: Page, local: LocalAirflow) -> None:
    """Show the graph of the run that waits."""
    page.goto(f"{local.url}/dags/{JOB}/runs/{_run(local)}")
    page.get_by_role("button", name="Graph").or_(page.get_by_label("Show Graph")).first.click()
    page.locator(".react-flow__node").first.wait_for()


def trigger(page: Page, local: LocalAirflow) -> None:
    """Show the form that asks how a run is to be."""
    page.goto(f"{local.url}/dags/{JOB}")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_role("dialog").wait_for()


def approval(page: Page, local: LocalAirflow) -> None:
    """Show the question of the task that waits."""
    page.goto(f"{local.url}/dags/{JOB}/runs/{_run(local)}/tasks/HR_Synchronize/required_actions")
    page.get_by_role("button", name="Reject").scroll_into_view_if_needed()


def report(page: Page, local: LocalAirflow) -> None:
    """Show the report of that task."""
    page.goto(f"{local.url}/idm/dags/{JOB}/runs/{_run(local)}/tasks/HR_Synchronize/report")
    page.get_by_text("Exceeded thresholds").wait_for()


def save(page: Page, path: Path) -> None:
    """Write a picture.

    :raises AirflowError: if it is too large for the documentation.
    """
    page.screenshot(path=path)
    size = path.stat().st_size
    if size > LARGEST:
        raise AirflowError(f"{path} has {size:,} bytes, more than {LARGEST:,}.")
    console.print(f"{path} ({size:,} bytes)")


def _run(local: LocalAirflow) -> str:
    run = local.last_run(JOB)
    if run is None:
        raise AirflowError(f"{JOB} has no run.")
    return quote(run["dag_run_id"], safe="")


if __name__ == "__main__":
    sys.exit(main())
