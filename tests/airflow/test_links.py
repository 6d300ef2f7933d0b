"""The links of tasks to the pages about their batch and their report, and what these pages show."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_idm.operators.links import BATCH, BLOCKED, COUNTS, REPORT, RESULT, BatchLink, page_url
from airflow_provider_idm.plugins.contents import Report, Table
from airflow_provider_idm.plugins.pages import HEADERS, batch_page, message_page, report_page
from airflow_provider_idm.plugins.told import Key, Told
from tests.airflow.conftest import AirflowHome
from tests.airflow.installation import python_path

pytestmark = pytest.mark.airflow

RUN = "manual__2026-03-01T04:00:00+00:00"
PREPARE, SYNCHRONIZE = "HR_Prepare", "HR_Synchronize"
ID = "019a3b2c-0000-7000-8000-000000000001"
OLDER = "019a3b2c-0000-7000-8000-000000000000"

COUNTS_TOLD: dict[str, Any] = {
    "batch": ID,
    "connector": "HR",
    "mode": "Incremental",
    "type": "Changes",
    "effective_date": "2026-03-01T06:00:00+02:00",
    "created_at": "2026-03-01T04:00:01.500000+00:00",
    "based_on": OLDER,
    "plan_only": False,
    "reused": False,
    "files": {
        "Person": {
            "rows": 12345,
            "duplicates": 3,
            "nullpk": 1,
            "invalid": 0,
            "inserts": 12000,
            "updates": 300,
            "deletes": 45,
            "merges": 0,
        }
    },
}
REPORT_TOLD: dict[str, Any] = {
    "connector": "HR",
    "state": "completed",
    "batches": [{"id": ID, "mode": "Incremental", "state": "applied"}],
    "entity_types": {
        "Person": {"inserted": 12000, "updated": 300, "deleted": 45, "unchanged": 7, "anomalies": 2},
        "Organization": {"inserted": 1, "updated": 0, "deleted": 0, "unchanged": 4, "anomalies": 0},
    },
    "associations": {
        "Person_Organization": {"inserted": 5, "deleted": 6, "unchanged": 7, "orphans": 8, "conflicts": 9}
    },
    "thresholds": [],
    "warnings": ["an association has no mapping any more"],
    "already_applied": False,
    "blocked_by": None,
    "before": None,
    "change_set": None,
}
BLOCKED_TOLD = REPORT_TOLD | {
    "state": "blocked",
    "batches": [{"id": ID, "mode": "Incremental", "state": "blocked"}],
    "thresholds": [
        {
            "scope": "Connector HR",
            "name": "MaximumDeletedLines",
            "limit": 5.0,
            "actual": 45.0,
            "stored": 1234,
        },
        {
            "scope": "EntityTypeMapping Person",
            "name": "MaxPercentageDeletedLines",
            "limit": 5.0,
            "actual": 5.0004,
            "stored": 1200,
        },
        {
            "scope": "Connector HR",
            "name": "MaxLinkPercentageInsertedLines",
            "limit": 5.0,
            "actual": None,
            "stored": 0,
        },
    ],
    "change_set": "5f0c1b7e8d9a" + "0" * 52,
    "warnings": [],
}


def told(task: str, state: str, xcoms: dict[tuple[str, str], Any]) -> Told:
    values = {(name, -1, key): value for (name, key), value in xcoms.items()}
    return Told(Key("HR job", RUN, task), "Human <Resources>", "HR & more", state, values)


class _Text(HTMLParser):
    """What a page shows, one text per element; the tables apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: dict[str, str] = {}
        self.tables: list[list[list[str]]] = []
        self.tags: set[str] = set()
        self._cell = False
        self._href = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
            self._cell = True
        elif tag == "a":
            self._href = dict(attrs)["href"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in {"td", "th"}
        if tag == "a":
            self._href = ""

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and self._cell:
            self.tables[-1][-1][-1] += text
        elif text:
            self.texts.append(text)
        if text and self._href:
            self.links[text] = self._href

    @property
    def text(self) -> str:
        return " ".join(self.texts)


# --------------------------------------------------------------------------------------------------- how they come in


def test_the_address_is_relative_to_the_api_server_and_takes_any_run() -> None:
    assert page_url(REPORT, "HR", RUN, "t") == (
        "idm/dags/HR/runs/manual__2026-03-01T04%3A00%3A00%2B00%3A00/tasks/t/report"
    )
    assert page_url(BATCH, "HR/é", "r", "a.b", 3) == "idm/dags/HR%2F%C3%A9/runs/r/tasks/a.b/batch?map_index=3"


@pytest.mark.parametrize(("map_index", "end"), [(None, "batch"), (-1, "batch"), (0, "batch?map_index=0")])
def test_a_worker_and_the_api_server_ask_for_it(map_index: int | None, end: str) -> None:
    class TaskInstance:
        dag_id, run_id, task_id = "d", "r", "t"

    TaskInstance.map_index = map_index  # type: ignore[attr-defined]

    assert BatchLink().get_link(None, ti_key=TaskInstance()) == f"idm/dags/d/runs/r/tasks/t/{end}"  # type: ignore[arg-type]


def test_airflow_finds_links_and_pages_of_an_installed_package(migrated: AirflowHome, tmp_path: Path) -> None:
    """Then the links of tasks are there before these have run, on operators of one's own and mapped ones too."""
    code = """
import json
from datetime import datetime
from airflow.sdk import DAG
from airflow.plugins_manager import get_plugin_info
from airflow.providers_manager import ProvidersManager
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialized
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialized
from airflow_provider_idm.operators.export import ExportTaskOperator
from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

class Own(SynchronizeTaskOperator):
    pass

with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ExportTaskOperator(task_id="export", connection="C")
    PrepareSynchronizationTaskOperator(task_id="prepare", connector="HR", synchronization_mode="Complete")
    SynchronizeTaskOperator(task_id="synchronize", connector="HR")
    SynchronizeTaskOperator.partial(task_id="mapped").expand(connector=["HR", "AD"])
    Own(task_id="own", connector="HR")
known = Serialized.from_dict(Serialized.to_dict(dag))

class Instance:
    class key:
        dag_id, run_id, task_id, map_index = "d", "r", "synchronize", -1

[plugin] = [p for p in get_plugin_info() if p["name"] == "idm"]
print(json.dumps({
    "links": {task.task_id: sorted(task.extra_links) for task in known.tasks},
    "link": known.get_task("synchronize").get_extra_links(Instance, "Report"),
    "apps": [(app["name"], app["url_prefix"]) for app in plugin["fastapi_apps"]],
    "known": ProvidersManager().extra_links_class_names,
}))
"""
    out = json.loads(migrated.python(code, PYTHONPATH=python_path(tmp_path)).splitlines()[-1])

    both = ["Batch", "Report"]
    assert out["links"] == {
        "export": [],
        "prepare": both,
        "synchronize": both,
        "mapped": both,
        "own": both,
    }
    assert out["link"] == "idm/dags/d/runs/r/tasks/synchronize/report"
    assert out["apps"] == [["Identity Management", "/idm"]]
    assert {name for name in out["known"] if "idm" in name} == {
        "airflow_provider_idm.operators.links.BatchLink",
        "airflow_provider_idm.operators.links.ReportLink",
    }


def test_loading_the_plugin_imports_no_operator_and_no_page(migrated: AirflowHome) -> None:
    """Every process of Airflow loads it; what serves requests is for the API server alone."""
    code = (
        "import airflow.plugins_manager, sys; before = set(sys.modules); import airflow_provider_idm.plugins.idm; "
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('airflow.')))"
    )
    loaded = migrated.python(code).splitlines()[-1].split()

    assert [name for name in loaded if name.startswith("airflow_provider_idm.")] == [
        "airflow_provider_idm.operators",
        "airflow_provider_idm.operators.links",
        "airflow_provider_idm.plugins",
        "airflow_provider_idm.plugins.idm",
    ]
    assert "fastapi" not in loaded


# -------------------------------------------------------------------------------------------------------- the batch


def test_the_batch_of_a_prepare() -> None:
    page = _Text(batch_page(told(PREPARE, "success", {(PREPARE, COUNTS): COUNTS_TOLD}), "/"))

    for part in (ID, "Incremental, Changes", "2026-03-01 04:00:00 UTC", "2026-03-01 04:00:01 UTC", OLDER):
        assert part in page.texts
    assert "Batch of HR" in page.text
    [files] = page.tables
    assert files[0] == [
        "entity type or association",
        "rows",
        "inserts",
        "updates",
        "deletes",
        "duplicates",
        "nullpk",
        "invalid",
    ]
    assert files[1:] == [["Person", "12,345", "12,000", "300", "45", "3", "1", "0"]]


def test_the_batch_of_a_synchronize_is_what_the_prepare_of_its_run_told() -> None:
    report = REPORT_TOLD | {
        "batches": [
            {"id": OLDER, "mode": "Complete", "state": "applied"},
            {"id": ID, "mode": "Incremental", "state": "applied"},
        ]
    }
    xcoms = {(SYNCHRONIZE, RESULT): report, (PREPARE, COUNTS): COUNTS_TOLD}
    page = _Text(batch_page(told(SYNCHRONIZE, "success", xcoms), "/airflow/"))

    assert page.texts.index(OLDER) < page.texts.index(ID)
    assert "a task of another run" in page.text
    assert page.tables[0][1][:2] == ["Person", "12,345"]
    assert page.links[PREPARE] == (
        "/airflow/dags/HR%20job/runs/manual__2026-03-01T04%3A00%3A00%2B00%3A00/tasks/HR_Prepare"
    )


def test_a_batch_for_a_plan_and_one_that_was_there_say_so() -> None:
    counts = COUNTS_TOLD | {"plan_only": True, "reused": True}
    page = _Text(batch_page(told(PREPARE, "success", {(PREPARE, COUNTS): counts}), "/"))

    assert "a plan only: it is never applied" in page.text
    assert "2026-03-01 04:00:01 UTC, by an equal prepare before" in page.text


# -------------------------------------------------------------------------------------------------------- the report


def test_the_report_of_a_synchronize() -> None:
    page = _Text(report_page(told(SYNCHRONIZE, "success", {(SYNCHRONIZE, RESULT): REPORT_TOLD}), "/"))

    assert "Applied" in page.texts
    assert "an association has no mapping any more" in page.texts
    resources, links, batches = page.tables
    assert resources == [
        ["entity type", "inserted", "updated", "deleted", "unchanged", "anomalies"],
        ["Person", "12,000", "300", "45", "7", "2"],
        ["Organization", "1", "0", "0", "4", "0"],
        ["Total", "12,001", "300", "45", "11", "2"],
    ]
    assert links == [
        ["association", "inserted", "deleted", "unchanged", "orphans", "conflicts"],
        ["Person_Organization", "5", "6", "7", "8", "9"],
    ]
    assert batches[1:] == [[ID, "Incremental", "applied"]]


@pytest.mark.parametrize("state", ["awaiting_input", "deferred"])
def test_a_task_that_waits_shows_what_blocks_it_and_where_to_decide(state: str) -> None:
    page = _Text(report_page(told(SYNCHRONIZE, state, {(SYNCHRONIZE, BLOCKED): BLOCKED_TOLD}), "/"))

    assert "Blocked" in page.texts
    assert "The task waits for a person's decision." in page.text
    assert page.tables[0] == [
        ["where", "threshold", "limit", "actual", "stored"],
        ["Connector HR", "MaximumDeletedLines", "5", "45", "1,234"],
        ["EntityTypeMapping Person", "MaxPercentageDeletedLines", "5 %", "5.0004 %", "1,200"],
        ["Connector HR", "MaxLinkPercentageInsertedLines", "5 %", "any change", "0"],
    ]
    assert page.links["Decide: resume or reject"].endswith("/tasks/HR_Synchronize/required_actions")
    assert "5f0c1b7e8d9a" in page.texts


def test_once_it_was_decided_the_result_counts() -> None:
    xcoms = {(SYNCHRONIZE, BLOCKED): BLOCKED_TOLD, (SYNCHRONIZE, RESULT): REPORT_TOLD}
    page = _Text(report_page(told(SYNCHRONIZE, "success", xcoms), "/"))

    assert "Applied" in page.texts
    assert "Blocked" not in page.texts


def test_a_rejected_one_says_that_nothing_was_applied() -> None:
    page = _Text(report_page(told(SYNCHRONIZE, "failed", {(SYNCHRONIZE, BLOCKED): BLOCKED_TOLD}), "/"))

    assert "nothing of the batch was applied. The task failed: it was rejected" in page.text
    assert "Decide: resume or reject" not in page.links


def test_what_was_applied_before_the_blocked_batch_stands_apart() -> None:
    before = {"entity_types": {"Person": {"inserted": 4}}, "associations": {}}
    blocked = BLOCKED_TOLD | {"before": before}
    page = _Text(report_page(told(SYNCHRONIZE, "failed", {(SYNCHRONIZE, BLOCKED): blocked}), "/"))

    assert "Applied before that batch" in page.texts
    assert page.tables[3][1:] == [["Person", "4", "0", "0", "0", "0"]]


@pytest.mark.parametrize(
    ("change", "word", "sentence"),
    [
        (
            {"batches": [{"id": ID, "mode": "Complete", "state": "pending"}]},
            "Plan",
            "Nothing was changed; this is what a synchronization would do.",
        ),
        (
            {"state": "blocked", "batches": [{"id": ID, "mode": "Complete", "state": "blocked"}]},
            "Plan",
            "Nothing was changed. A synchronization would be blocked.",
        ),
        ({"already_applied": True}, "Applied before", "Nothing was changed now"),
        ({"state": "nothing", "batches": []}, "Nothing to do", "No batch was pending."),
    ],
)
def test_other_outcomes(change: dict[str, Any], word: str, sentence: str) -> None:
    page = _Text(
        report_page(told(SYNCHRONIZE, "success", {(SYNCHRONIZE, RESULT): REPORT_TOLD | change}), "/")
    )

    assert word in page.texts
    assert sentence in page.text


def test_the_report_of_a_prepare_is_what_became_of_its_batch() -> None:
    other = REPORT_TOLD | {"batches": [{"id": OLDER, "mode": "Complete", "state": "applied"}]}
    xcoms = {
        (PREPARE, COUNTS): COUNTS_TOLD,
        (PREPARE, RESULT): ID,
        ("AD_Synchronize", RESULT): other | {"connector": "AD"},
        (SYNCHRONIZE, RESULT): REPORT_TOLD,
    }
    page = _Text(report_page(told(PREPARE, "success", xcoms), "/"))

    assert "Report of HR" in page.text
    assert page.links[SYNCHRONIZE] == (
        "/idm/dags/HR%20job/runs/manual__2026-03-01T04%3A00%3A00%2B00%3A00/tasks/HR_Synchronize/report"
    )


def test_the_report_of_a_prepare_whose_batch_no_task_told_of() -> None:
    page = _Text(report_page(told(PREPARE, "success", {(PREPARE, COUNTS): COUNTS_TOLD}), "/"))

    assert f"No task of this run has told yet what became of batch {ID} ." in page.text


def test_lists_that_the_task_cut_say_so() -> None:
    report = REPORT_TOLD | {"warnings_omitted": 1234}
    page = _Text(report_page(told(SYNCHRONIZE, "success", {(SYNCHRONIZE, RESULT): report}), "/"))

    assert "1,234 more are in the task's log." in page.text


# ------------------------------------------------------------------------------------------------ nothing told, oddities


@pytest.mark.parametrize("render", [batch_page, report_page])
@pytest.mark.parametrize(
    ("state", "says", "looks_again"),
    [
        ("", "The task has not run yet.", True),
        ("running", "The task is running.", True),
        ("awaiting_input", "The task waits for a person's decision.", False),
        ("skipped", "The task was skipped; the reason is in its log.", False),
        ("failed", "The task failed; the error is in its log.", False),
        ("upstream_failed", "The task did not run, for one before it failed.", False),
        ("success", "The task has ended, but told nothing of this.", False),
        ("teleported", "The task is teleported.", True),
    ],
)
def test_a_task_that_told_nothing(render: Any, state: str, says: str, looks_again: bool) -> None:
    html = render(told(SYNCHRONIZE, state, {}), "/")

    assert says in _Text(html).text
    assert ('http-equiv="refresh"' in html) is looks_again


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EVIL = "\"'><script>alert(1)</script>&amp;{{ 7 * 7 }}"


@given(st.data())
def test_whatever_stands_in_the_xcoms_there_is_a_page(data: st.DataObject) -> None:
    def bent(told_: dict[str, Any]) -> Any:
        keys = data.draw(st.lists(st.sampled_from(sorted(told_)), max_size=4))
        return data.draw(st.just(told_ | {key: data.draw(JSON) for key in keys}) | JSON)

    xcoms = {
        (PREPARE, COUNTS): bent(COUNTS_TOLD),
        (SYNCHRONIZE, RESULT): bent(REPORT_TOLD),
        (SYNCHRONIZE, BLOCKED): bent(BLOCKED_TOLD),
    }
    for task in (PREPARE, SYNCHRONIZE):
        for render in (batch_page, report_page):
            assert render(told(task, "success", xcoms), "/").endswith("</html>")


def test_everything_is_escaped() -> None:
    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {"connector", "state", "batch", "entity_types", "associations", "files", "id"}
            return {
                key if key in kept | set(value) else EVIL: spoilt(item) for key, item in value.items()
            } | {EVIL: {EVIL: 1}}
        if isinstance(value, list):
            return [spoilt(item) for item in value] + [EVIL]
        return EVIL if isinstance(value, str) and value != ID else value

    key = Key(EVIL, EVIL, EVIL, 2)
    values = {
        (EVIL, 2, RESULT): spoilt(BLOCKED_TOLD | {"warnings": [EVIL]}),
        ("other", -1, COUNTS): spoilt(COUNTS_TOLD),
        (EVIL, -1, COUNTS): spoilt(COUNTS_TOLD),
    }
    pages = [
        render(Told(Key(key.dag_id, key.run_id, key.task_id, index), EVIL, EVIL, EVIL, values), "/")
        for render in (batch_page, report_page)
        for index in (2, -1)
    ]
    for html in [*pages, message_page(EVIL, "/")]:
        page = _Text(html)
        assert "alert(1)" in html
        assert "script" not in page.tags
        assert "49" not in page.texts
        assert not re.search(r"""=("[^"]*|'[^']*)<script""", html)
        assert all(link.startswith("/") for link in page.links.values())


def test_a_page_loads_nothing_and_runs_no_script() -> None:
    html = report_page(told(SYNCHRONIZE, "success", {(SYNCHRONIZE, RESULT): REPORT_TOLD}), "/")

    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"\b(src|style|on\w+)=", html)
    assert not re.search(r"https?:", html)


def test_tables_add_up_and_leave_out_what_is_zero() -> None:
    table = Table.read({"A": {"x": 1, "z": True}, "B": {"x": "?", "y": 2}, "C": 3}, ("x", "y", "z", "w"))

    assert table.rows == {"A": (1, 0, 1, 0), "B": (0, 2, 0, 0)}
    assert table.total == (1, 2, 1, 0)
    assert table.without("y", "w").columns == ("x", "y", "z")
    assert Report.read({"state": "completed"}) is None
