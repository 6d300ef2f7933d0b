"""Runs one batch and compares all that is told and stored with the model and the oracle of thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.oracle.harness import Harness, Snapshot, expected_snapshot
from tests.oracle.runner import compare_counts
from tests.oracle.thresholds import Exceeded, Unmapped, exceeded, told

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult
    from tests.oracle.model import Model, Outcome
    from tests.safeguards.sources import Files

MODES = ("Complete", "Incremental")


def run(
    harness: Harness, model: Model, files: Files, mode: str, **more: Unmapped
) -> tuple[SynchronizeResult, Outcome, list[Exceeded]]:
    """Synchronize a batch; check all that is told and stored against model and oracle."""
    before = expected_snapshot(model)
    outcome = model.apply(mode, files)
    expected = exceeded(harness.shape, outcome, **more)
    batch = harness.publish(files, mode)

    result = harness.synchronize(batch=batch)

    check(harness, result, batch, expected, before, expected_snapshot(model))
    compare_counts(result, outcome, mode)
    return result, outcome, expected


def check(
    harness: Harness,
    result: SynchronizeResult,
    batch: str,
    expected: list[Exceeded],
    before: Snapshot,
    after: Snapshot,
) -> None:
    """Check that a batch was applied whole, or blocked and not applied at all."""
    assert told(result.thresholds) == told(expected)
    assert result.state == ("blocked" if expected else "completed")
    assert result.blocked_by == (batch if expected else None)
    assert [(b.id, b.state) for b in result.batches] == [(batch, "blocked" if expected else "applied")]
    assert harness.snapshot() == (before if expected else after)
