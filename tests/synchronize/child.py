"""Runs one synchronize in a process of its own, to be killed at a chosen instant or run beside another one.

``python -m tests.synchronize.child '{"url": …, "folder": …, "shape": …, "batch": …, "kill": …}'`` prints one JSON line:
the result, or the error's class and message, and how many instants were passed. ``action`` may be ``resume`` or
``reject`` instead of ``synchronize``. An *instant* is a statement given to a database driver or a commit. ``kill`` is
one of

* a number n: the process kills itself before the n-th instant;
* ``before_commit`` / ``after_commit``: of the transaction that records the batch, or what becomes of the connector;
* ``before_note`` / ``after_note``: when the exchange's note that the batch is done is put in place;
* ``before_state`` / ``after_state``: when the exchange's note of the connector's state is.

``many`` is how many rows count as many.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa


class Trace:
    """Counts instants and kills the process at one of them."""

    def __init__(self, kill: int | str | None) -> None:
        self.kill = kill
        self.passed = 0
        self.records_batch = False

    def die(self) -> None:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def instant(self, statement: str) -> None:
        self.passed += 1
        if self.kill == self.passed:
            self.die()
        words = statement.upper()
        recorded = any(name in words for name in ("UJ_BATCHES", "UJ_CONNECTORSTATES"))
        if recorded and ("INSERT" in words or "UPDATE" in words):
            self.records_batch = True

    def install(self) -> None:
        from sqlalchemy.engine.default import DefaultDialect

        def before_execute(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            self.instant(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", before_execute)
        for dialect in (DefaultDialect, *_subclasses(DefaultDialect)):
            if "do_commit" in vars(dialect):
                self._around_commit(dialect)
        import adbc_driver_manager.dbapi as adbc

        for name in ("execute", "executemany", "adbc_ingest"):
            self._before(adbc.Cursor, name)
        self._before(adbc.Connection, "commit")
        original = os.replace

        def replace(source: Any, target: Any, **options: Any) -> None:
            note = {"finished.json": "note", "state.json": "state"}.get(Path(target).name)
            if note and self.kill == f"before_{note}":
                self.die()
            original(source, target, **options)
            if note and self.kill == f"after_{note}":
                self.die()

        os.replace = os.rename = replace

    def _before(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(itself: Any, *args: Any, **options: Any) -> Any:
            self.instant(str(args[0]) if args else name)
            return original(itself, *args, **options)

        setattr(owner, name, wrapped)

    def _around_commit(self, dialect: Any) -> None:
        original: Callable[..., None] = dialect.do_commit

        def do_commit(itself: Any, connection: Any) -> None:
            ours, self.records_batch = self.records_batch, False
            self.instant("COMMIT")
            if ours and self.kill == "before_commit":
                self.die()
            original(itself, connection)
            if ours and self.kill == "after_commit":
                self.die()

        dialect.do_commit = do_commit


def _subclasses(cls: type) -> list[type]:
    found = []
    for sub in cls.__subclasses__():
        found += [sub, *_subclasses(sub)]
    return found


def main(arguments: dict[str, Any]) -> None:
    from airflow_provider_idm.errors import IdmError
    from tests.oracle.harness import Harness
    from tests.oracle.shapes import SHAPES
    from tests.safeguards.sources import COMPANY

    shape = {**SHAPES, "company": COMPANY}[arguments["shape"]]
    if (thresholds := arguments.get("thresholds")) is not None:
        shape = shape.with_thresholds(thresholds)
    harness = Harness(shape, arguments["url"], Path(arguments["folder"]))
    trace = Trace(arguments.get("kill"))
    sa.create_engine(arguments["url"]).dispose()  # loads the dialect, whose commit is traced
    if (ready := arguments.get("ready")) is not None:
        Path(ready).touch()
        while not Path(arguments["go"]).exists():
            time.sleep(0.002)
    said: dict[str, Any]
    harness.repository  # noqa: B018 - opened before the trace begins
    if (many := arguments.get("many")) is not None:
        from airflow_provider_idm.synchronization.synchronize import batch

        vars(batch)["MANY"] = many
    trace.install()
    try:
        said = {"result": _act(harness, arguments)}
    except IdmError as error:
        said = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(said | {"instants": trace.passed}) + "\n")


def _act(harness: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    from airflow_provider_idm.configuration import SourceType

    batch = arguments.get("batch")
    match arguments.get("action", "synchronize"):
        case "resume":
            found = harness.resume(batch=batch, lock_timeout=60.0).as_dict()
        case "reject":
            found = asdict(harness.reject(batch=batch))
        case _:
            found = harness.synchronize(
                batch=batch,
                type=SourceType(arguments.get("type", "None")),
                do_not_delete_changes=arguments.get("keep", False),
                lock_timeout=arguments.get("lock_timeout", 60.0),
            ).as_dict()
    return dict(found)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
