"""Runs one task as Airflow does and says how soon it reads its first byte: what ``benchmarks.coldstart`` starts.

    python -m benchmarks.coldstart_child FILE OPERATOR WATCHED          prints {"import": …, "work": …}

``import`` is what the import of the operator (``module:class``) costs a DAG file once ``airflow.sdk`` is imported, which
all of them pay; ``work`` is from the operator's first statement to the opening of the first file whose path begins with
WATCHED. FILE is in Airflow's folder of DAG files and has one DAG, of one task.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
from typing import Any

import airflow.sdk  # noqa: F401 - what all DAG files pay is not counted


class Watch:
    """When the operator began, and when it first opened a file that counts."""

    def __init__(self, watched: str) -> None:
        self.begun: float | None = None
        self.read: float | None = None
        self._watched = watched
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.begun and not self.read and str(arguments[0]).startswith(self._watched):
            self.read = time.perf_counter()

    def over(self, operator: type[Any]) -> None:
        """Note when the operator begins."""
        execute = operator.execute

        def noted(task: Any, *arguments: Any, **options: Any) -> Any:
            self.begun = time.perf_counter()
            return execute(task, *arguments, **options)

        operator.execute = noted


def main(file: str, operator: str, watched: str) -> None:
    module, _, name = operator.partition(":")
    begin = time.perf_counter()
    imported = getattr(importlib.import_module(module), name)
    seconds = time.perf_counter() - begin
    watch = Watch(watched)
    watch.over(imported)
    runpy.run_path(file)["dag"].test()
    if watch.begun is None or watch.read is None:
        raise SystemExit(f"{name} read nothing below {watched}")
    print(json.dumps({"import": seconds, "work": watch.read - watch.begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
