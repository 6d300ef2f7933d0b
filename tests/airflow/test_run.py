"""Which date a run's sources have."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_idm.operators.run import effective_date, is_templated, origin
from airflow_provider_idm.synchronization.exchange.manifest import Origin

LOGICAL = datetime(2026, 3, 1, tzinfo=UTC)
RUN_AFTER = datetime(2026, 3, 2, tzinfo=UTC)


def context(run_type: str, **more: Any) -> dict[str, Any]:
    return {"dag_run": SimpleNamespace(run_type=run_type, run_after=RUN_AFTER), **more}


@pytest.mark.parametrize(
    ("run_type", "dated_folder", "expected"),
    [
        ("scheduled", False, None),
        ("manual", False, None),
        ("scheduled", True, LOGICAL),
        ("manual", True, LOGICAL),
        ("backfill", False, LOGICAL),
        ("backfill", True, LOGICAL),
    ],
)
def test_sources_are_dated_in_a_backfill_and_in_a_templated_folder(
    run_type: str, dated_folder: bool, expected: datetime | None
) -> None:
    assert effective_date(context(run_type, logical_date=LOGICAL), dated_folder=dated_folder) == expected


def test_without_logical_date_the_moment_to_run_after_counts() -> None:
    assert effective_date(context("manual"), dated_folder=True) == RUN_AFTER
    assert effective_date(context("manual", logical_date=None), dated_folder=True) == RUN_AFTER
    assert effective_date(context("manual"), dated_folder=False) is None


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (None, False),
        ("/data/hr", False),
        ("/data/hr/{{ ds }}", True),
        ("/data/hr/{{ logical_date.strftime('%Y') }}", True),
        ("{{ var.value.folder }}/{{ ds }}", True),
        ("{% if ds %}/data{% endif %}", True),
        ("{{ var.value.folder }}", False),
        ("{{ conn.hr.extra_dejson.folder }}/hr", False),
        ("{{ macros.ds_add(ds, -1) }}", True),
    ],
)
def test_a_folder_is_templated_if_it_may_differ_from_run_to_run(folder: str | None, expected: bool) -> None:
    assert is_templated(folder) is expected


def test_the_origin_is_the_task_instance() -> None:
    task = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3)

    assert origin({"ti": task}) == Origin(job="d", run="r", task="t", map_index=3)
