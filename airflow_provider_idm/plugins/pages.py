"""The pages as HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_idm.operators.links import BATCH, BLOCKED, COUNTS, REPORT, RESULT, page_url
from airflow_provider_idm.plugins.contents import Batch, Outcome, Report
from airflow_provider_idm.plugins.told import Key, Told
from airflow_provider_idm.plugins.wording import Shown, may_still_tell, state_text, verdict, waits

_STYLE: Final = files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""Of every page: nothing but its own style is loaded, and no script runs."""

_environment = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def batch_page(told: Told, base: str) -> str:
    """Return the page about the batch that a task made or applied.

    :param base: path of the API server.
    """
    made = Batch.read(told.own(COUNTS))
    if made is not None:
        found: list[_Processed] = [_Processed(made, None, None)]
    else:
        own = _own(told)
        found = [_processed(told, outcome) for outcome in own.report.batches] if own else []
    return _task_page("batch.html", told, base, BATCH, batches=found)


def report_page(told: Told, base: str) -> str:
    """Return the page about what a synchronization did: the task's own, or the one of the batch that it made.

    :param base: path of the API server.
    """
    shown, made = _own(told), Batch.read(told.own(COUNTS))
    if shown is None and made is not None:
        shown = _of_another(told, made.id)
    return _task_page(
        "report.html",
        told,
        base,
        REPORT,
        shown=shown,
        made=made,
        verdict=verdict(shown, told.state) if shown else None,
    )


def message_page(text: str, base: str) -> str:
    """Return a page that only says something."""
    return _render("message.html", base, text=text)


# ------------------------------------------------------------------------------------------------------------ finding


@dataclass(frozen=True, slots=True)
class _Processed:
    """A batch that a task made or processed.

    :param made: what its prepare told; None if that was in another run.
    :param by: the prepare, if that was another task.
    """

    made: Batch | None
    outcome: Outcome | None
    by: Key | None


def _own(told: Told) -> Shown | None:
    for key in (RESULT, BLOCKED):
        if (report := Report.read(told.own(key))) is not None:
            return Shown(report, blocks=key == BLOCKED)
    return None


def _of_another(told: Told, batch: str) -> Shown | None:
    """Return what another task of the run told of a batch."""
    for key in (RESULT, BLOCKED):
        for by, value in told.of_others(key):
            if (report := Report.read(value)) is not None and report.tells_of(batch):
                return Shown(report, blocks=key == BLOCKED, by=by)
    return None


def _processed(told: Told, outcome: Outcome) -> _Processed:
    for by, value in told.of_others(COUNTS):
        if (made := Batch.read(value)) is not None and made.id == outcome.id:
            return _Processed(made, outcome, by)
    return _Processed(None, outcome, None)


# ---------------------------------------------------------------------------------------------------------- rendering


def _task_page(template: str, told: Told, base: str, page: str, **values: Any) -> str:
    return _render(
        template,
        base,
        told=told,
        page=page,
        state_text=state_text(told.state),
        waits=waits(told.state),
        refresh=may_still_tell(told.state),
        **values,
    )


def _render(template: str, base: str, **values: Any) -> str:
    return _environment.get_template(template).render(
        base=base, style=_STYLE, task_url=_task_url(base), page_url=_page_url(base), **values
    )


def _page_url(base: str) -> Callable[[str, Key], str]:
    return lambda page, key: base + page_url(page, key.dag_id, key.run_id, key.task_id, key.map_index)


def _task_url(base: str) -> Callable[[Key], str]:
    """Return what gives the address of a task instance in Airflow's user interface."""

    def url(key: Key) -> str:
        dag, run, task = (quote(part, safe="") for part in (key.dag_id, key.run_id, key.task_id))
        mapped = f"/mapped/{key.map_index}" if key.map_index >= 0 else ""
        return f"{base}dags/{dag}/runs/{run}/tasks/{task}{mapped}"

    return url
