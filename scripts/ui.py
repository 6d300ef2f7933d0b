"""Start a local Airflow with the sample jobs, to look around; Ctrl-C stops it.

    python scripts/ui.py [FOLDER] [--port 8080]

Everything lies in FOLDER (``.airflow`` in the checkout by default): Airflow's home and SQLite database, a copy of
``dags/``, the identity repository, the exchange and the work folder. The first start runs sample jobs, one of which then
waits for a decision. Later starts go on with what is there; delete FOLDER to begin anew. Exit code 1 if it does not
start.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import IO

from local_airflow import AirflowError, LocalAirflow, first_free_port
from rich.console import Console
from rich.markup import escape

ROOT = Path(__file__).resolve().parents[1]
PORT = 8080

console = Console(highlight=False, soft_wrap=True)


class StopRequested(BaseException):
    """Somebody wants it to stop: Ctrl-C, or the terminal is closed."""


def main() -> int:
    """Run until somebody stops it; return the exit code."""
    parser = argparse.ArgumentParser(description="Start a local Airflow with the sample jobs.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / ".airflow", help="where everything lies"
    )
    parser.add_argument("--port", type=int, default=PORT, help="the first port to try (%(default)s)")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        return run(arguments.folder.resolve(), arguments.port)
    except StopRequested:
        return 0
    except AirflowError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return 1


def run(folder: Path, port: int) -> int:
    """Start Airflow, show what there is to see, and wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ui.lock").open("a") as lock:
        _only_one(lock, folder)
        airflow = LocalAirflow(folder, first_free_port(port), keep_open=[lock.fileno()])
        try:
            with console.status("Starting Airflow (half a minute)"):
                airflow.start()
            console.print(f"Airflow is at [bold]{airflow.url}[/]")
            console.print(
                f"Log in as [bold]{airflow.user}[/] with the password [bold]{escape(airflow.password)}[/]"
            )
            with console.status("Running sample jobs; have a look meanwhile"):
                furnish(airflow)
            show(airflow)
            airflow.watch()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # it stops already
            console.print("Stopping")
            airflow.stop()
    return 0


def furnish(airflow: LocalAirflow) -> None:
    """Run two jobs, and one of them again after many persons have left, unless that was done before."""
    done = airflow.home / "furnished"
    if done.exists():
        return
    for job in ("HR_Synchronize_Complete", "Directory_Synchronize_Complete"):
        airflow.run_once(job)
    let_persons_go(airflow.dags / "conf" / "sources" / "hr" / "persons.csv")
    airflow.trigger("HR_Synchronize_Complete")
    airflow.wait_for(
        "a task that waits for a decision",
        lambda: (
            airflow.states("HR_Synchronize_Complete").get("HR_Synchronize") in {"awaiting_input", "deferred"}
        ),
    )
    done.touch()


def let_persons_go(extract: Path) -> None:
    """Take every other person out of an extract, as a broken export might."""
    header, *persons = extract.read_text(encoding="utf-8").splitlines()
    extract.write_text("\n".join([header, *persons[::2]]) + "\n", encoding="utf-8")


def show(airflow: LocalAirflow) -> None:
    """Say what there is to see."""
    console.print(
        f"""
What to look at:
  {airflow.url}/dags/HR_Synchronize_Complete
      the last run waits for a decision: it would delete more persons than may go. Look at its task Synchronize
      Human Resources: Required Action asks for the decision; Details has the buttons Batch and Report.
  {airflow.url}/dags/Directory_Synchronize_Complete
      ran through.
  {airflow.url}/dags
      triggering one of the jobs by hand shows what can be asked of a run.

The jobs and their source files are a copy in {airflow.dags}: change them, and trigger a job.
Ctrl-C stops everything; the next start goes on from here. Logs are in {airflow.logs}."""
    )


def _only_one(lock: IO[str], folder: Path) -> None:
    """Hold the folder, and let what is started hold it too: nothing of a killed one is left then."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AirflowError(
            f"An Airflow runs in {folder} already; stop it first, or give another folder."
        ) from None


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main())
