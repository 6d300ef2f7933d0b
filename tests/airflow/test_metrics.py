"""What is told of a task's course; that it arrives is shown in test_lineage.py, where Airflow sends it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_idm.errors import RepositoryUnavailableError
from airflow_provider_idm.hooks.airflow_exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_idm.observability import metrics
from airflow_provider_idm.observability.metrics import Metrics
from airflow_provider_idm.operators import waiting
from airflow_provider_idm.operators.decision import Waiting
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator
from airflow_provider_idm.synchronization.synchronize import SynchronizeResult
from tests.airflow.conftest import ROOT

pytestmark = pytest.mark.airflow

Told = list[tuple[str, str, float, dict[str, str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Take what would be sent."""
    found: Told = []

    def tell(what: str, name: str, value: float, tags: Mapping[str, str]) -> None:
        found.append((what, name, value, dict(tags)))

    monkeypatch.setattr(metrics, "_tell", tell)
    return found


def deferred() -> TaskDeferred:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

    return TaskDeferred(trigger=TimeDeltaTrigger(timedelta(1)), method_name="resume")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "success"),
        (AirflowFailException("no"), "failed"),
        (OSError("disk"), "failed"),
        (AirflowSkipException("nothing"), "skipped"),
        (deferred(), "waiting"),
    ],
)
def test_a_run_is_counted_by_how_it_ended(told: Told, error: BaseException | None, state: str) -> None:
    expected = nullcontext() if error is None else pytest.raises(type(error))
    with expected, Metrics("synchronize", connector="HR").measured():
        if error is not None:
            raise error

    tags = {"connector": "HR", "state": state}
    assert [(what, name, sent) for what, name, _, sent in told] == [
        ("timing", "idm.synchronize.duration", tags),
        ("incr", "idm.synchronize.runs", tags),
    ]


def test_a_task_whose_turn_it_is_not_has_not_run(told: Told) -> None:
    later = AirflowRescheduleException(datetime.now(UTC))  # type: ignore[no-untyped-call]
    with pytest.raises(AirflowRescheduleException), Metrics("prepare").measured():
        raise later

    assert told == []


def test_that_a_task_goes_on_waiting_is_not_told_again(told: Told) -> None:
    with pytest.raises(TaskDeferred), Metrics("synchronize").measured(goes_on=True):
        raise deferred()

    assert told == []


def test_a_look_that_fails_while_a_task_goes_on_waiting_is_no_failure(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def does_not_answer(context: Any) -> Any:
        raise RepositoryUnavailableError("the repository does not answer")

    def wait(*_: Any, **__: Any) -> Any:
        raise deferred()

    task = SynchronizeTaskOperator(task_id="synchronize", connector="HR")
    monkeypatch.setattr(task, "request", does_not_answer)
    monkeypatch.setattr(waiting, "wait", wait)
    kept = Waiting("b", "c", "c", datetime.now(UTC).isoformat(), None).as_kwargs()
    context: Any = {"ti": SimpleNamespace(id="1"), "params": {}}

    with pytest.raises(TaskDeferred):
        task.resume(context, {"error": "no answer", "error_type": "timeout"}, **kept)
    assert told == []

    with pytest.raises(RepositoryUnavailableError):
        task.resume(context, {"chosen_options": ["Resume"]}, **kept)
    assert [(name, tags["state"]) for _, name, _, tags in told] == [
        ("idm.synchronize.duration", "failed"),
        ("idm.synchronize.runs", "failed"),
    ]


def test_how_long_a_decision_took_is_told_in_milliseconds(told: Told) -> None:
    Metrics("synchronize").waited((datetime.now(UTC) - timedelta(hours=1)).isoformat())

    ((what, name, value, _),) = told
    assert (what, name) == ("timing", "idm.synchronize.waited")
    assert 3_600_000 <= value < 3_660_000


def test_the_documentation_has_every_metric_and_no_other(told: Told) -> None:
    with Metrics("<step>").measured():
        pass
    Metrics("export").exported(SimpleNamespace(rows=0, files=()))  # type: ignore[arg-type]
    Metrics("prepare").prepared(SimpleNamespace(files=()))  # type: ignore[arg-type]
    synchronize = Metrics("synchronize")
    synchronize.synchronized(SynchronizeResult("HR", "nothing"))
    synchronize.count({"blocked": 1})  # as an operator does that asks
    synchronize.waited(datetime.now(UTC).isoformat())

    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    documented: dict[str, str] = {}
    for cell, kind in re.findall(r"^\| (`idm\..*?) \| (\w+)", text, re.MULTILINE):
        first, *others = re.findall(r"`([\w.<>]+)`", cell)
        stem = first.rpartition(".")[0]
        names = [first, *(name if name.startswith("idm.") else stem + name for name in others)]
        documented |= dict.fromkeys(names, {"counter": "incr", "timer": "timing"}[kind])
    assert {name: what for what, name, _, _ in told} == documented


def test_tags_have_what_a_backend_takes(told: Told) -> None:
    Metrics("synchronize", connector="Human Resources, Zürich=1", mode=None).count({"batches": 1})

    assert told[0][3] == {"connector": "Human_Resources__Z_rich_1", "mode": "unknown"}


def test_a_backend_that_fails_is_nothing_to_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise OSError("no such server")

    monkeypatch.setattr(metrics, "_stats", fails)

    Metrics("synchronize").count({"batches": 1})


def test_a_mapped_synchronize_has_the_asset_when_it_runs() -> None:
    with DAG("mapped", schedule=None) as dag:
        SynchronizeTaskOperator.partial(task_id="synchronize", connector="HR").expand(batch=["a", "b"])

    task = dag.get_task("synchronize").unmap({"batch": "a"})

    assert [outlet.uri for outlet in task.outlets] == ["idm://idm_default/HR"]
