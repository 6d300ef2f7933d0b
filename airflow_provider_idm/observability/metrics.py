"""What the operators tell Airflow's metrics: how long they took, and how much they did.

Every name, its unit and its tags are in ``docs/observability.md``. Counts are counters, zeros included: a series is
there from the first run on, and those of several connectors can be added up where a backend has no tags.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.hooks.airflow_exceptions import (
    AirflowRescheduleException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.exchange.manifest import Manifest
    from airflow_provider_idm.synchronization.export import ExportResult
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

log = logging.getLogger(__name__)

PREFIX: Final = "idm"
UNKNOWN: Final = "unknown"
"""Value of a tag that is not known (yet): a series has the same tags whatever became of the task."""

SUCCESS: Final = "success"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
WAITING: Final = "waiting"
"""Values of the tag ``state``: how a task ended, or that it waits for a person's decision."""

_NOT_IN_TAGS: Final = re.compile(r"[^A-Za-z0-9_.-]")


class Metrics:
    """The metrics of one task.

    :param step: what the task does, the second part of all names: ``prepare``, ``synchronize`` …
    :param tags: what is known of it beforehand.
    """

    def __init__(self, step: str, **tags: str | None) -> None:
        self.step = step
        self.tags: dict[str, str] = {}
        self.set_tags(**tags)

    def set_tags(self, **tags: str | None) -> None:
        """Set tags; what a backend may not take in them becomes ``_``."""
        for name, value in tags.items():
            self.tags[name] = _NOT_IN_TAGS.sub("_", value) if value else UNKNOWN

    @contextmanager
    def measured(self, *, goes_on: bool = False) -> Iterator[None]:
        """Measure what is done meanwhile: ``idm.<step>.duration`` and ``idm.<step>.runs``, by how it ended.

        A task that Airflow is to start again by itself, for it is not its turn, has not run.

        :param goes_on: whether the task waited before; that it goes on waiting is not told again.
        """
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            state = _state_after(error)
            if state is not None and not (goes_on and state == WAITING):
                self._tell_run(began, state)
            raise
        self._tell_run(began, SUCCESS)

    def _tell_run(self, began: float, state: str) -> None:
        self._timing("duration", time.monotonic() - began, state=state)
        self.count({"runs": 1}, state=state)

    def waited(self, since: str) -> None:
        """Tell how long a task waited for a decision: ``idm.synchronize.waited``.

        :param since: when it began to, in ISO form.
        """
        self._timing("waited", (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())

    def exported(self, result: ExportResult) -> None:
        """Tell what an export wrote."""
        self.count({"rows": result.rows, "files": len(result.files)})

    def prepared(self, manifest: Manifest) -> None:
        """Tell what a prepare read and set aside, all files together."""
        files = manifest.files
        commands = ("insert", "update", "delete", "merge")
        self.count(
            {
                "rows": sum(file.rows for file in files),
                "duplicates": sum(file.duplicates for file in files),
                "nullpk": sum(file.nullpk for file in files),
                "invalid": sum(file.invalid for file in files),
                **{f"{name}s": sum(file.commands.get(name, 0) for file in files) for name in commands},
            }
        )

    def synchronized(self, result: SynchronizeResult) -> None:
        """Tell what a synchronize did."""
        resources, links = result.entity_types.values(), result.associations.values()
        self.count(
            {
                "batches": sum(batch.state == "applied" for batch in result.batches),
                "resources_inserted": sum(counts.inserted for counts in resources),
                "resources_updated": sum(counts.updated for counts in resources),
                "resources_deleted": sum(counts.deleted for counts in resources),
                "links_inserted": sum(counts.inserted for counts in links),
                "links_deleted": sum(counts.deleted for counts in links),
                "anomalies": sum(counts.anomalies for counts in resources),
                "orphans": sum(counts.orphans for counts in links),
                "conflicts": sum(counts.conflicts for counts in links),
                "warnings": len(result.warnings),
            }
        )

    def count(self, numbers: Mapping[str, int], **tags: str) -> None:
        """Add numbers to counters of the step."""
        for name, number in numbers.items():
            _tell("incr", f"{PREFIX}.{self.step}.{name}", number, self.tags | tags)

    def _timing(self, name: str, seconds: float, **tags: str) -> None:
        _tell("timing", f"{PREFIX}.{self.step}.{name}", seconds * 1000, self.tags | tags)


def _state_after(error: BaseException) -> str | None:
    if isinstance(error, AirflowRescheduleException):
        return None
    if isinstance(error, AirflowSkipException):
        return SKIPPED
    waits = tuple(kind for kind in (TaskAwaitingInput, TaskDeferred) if kind is not None)
    return WAITING if isinstance(error, waits) else FAILED


def _tell(what: str, name: str, value: float, tags: Mapping[str, str]) -> None:
    """Tell Airflow's metrics a value; whatever goes wrong with that is nothing to a task."""
    try:
        getattr(_stats(), what)(name, value, tags=dict(tags))
    except Exception as error:  # noqa: BLE001
        log.debug("Metric %s was not told: %s", name, error)


def _stats() -> Any:
    """Return Airflow's metrics, from where the installed version keeps them."""
    try:  # since Airflow 3.2
        from airflow.sdk.observability.stats import Stats
    except ImportError:
        from airflow.stats import Stats
    return Stats
