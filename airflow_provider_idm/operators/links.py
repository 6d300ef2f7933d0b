"""Links of a task in Airflow's user interface, to the pages about its batch and about what was synchronized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

PAGES: Final = "idm"
"""Path of the pages below that of the API server."""
BATCH: Final = "batch"
REPORT: Final = "report"

RESULT: Final = "return_value"
COUNTS: Final = "counts"
BLOCKED: Final = "blocked"
"""Keys of the XComs that the pages show: what a task returned, what a prepare published, what blocks a synchronize."""


def page_url(page: str, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the address of a task's page, relative to that of the API server.

    Airflow's user interface names its own address as the base of all links, so that the same link leads to the page
    whatever prefix the server has (``[api] base_url``). A worker may not even know it.
    """
    parts = [quote(part, safe="") for part in (dag_id, run_id, task_id)]
    address = "{}/dags/{}/runs/{}/tasks/{}/{}".format(PAGES, *parts, page)
    return address if map_index < 0 else f"{address}?map_index={map_index}"


@attrs.define()
class _PageLink(BaseOperatorLink):
    """A link to a page.

    Airflow asks for it twice: the worker at the end of each try, whose answer is kept as an XCom, and, where the plugin
    ``idm`` is loaded, the API server whenever it shows the task, so that there is a link before the task has begun.
    """

    page = ""

    @property
    def operators(self) -> list[type[BaseOperator]]:  # type: ignore[override]  # imports no operator before it is asked
        """The operators that have the link."""
        from airflow_provider_idm.operators.prepare_synchronization import PrepareSynchronizationTaskOperator
        from airflow_provider_idm.operators.synchronize import SynchronizeTaskOperator

        return [PrepareSynchronizationTaskOperator, SynchronizeTaskOperator]

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002
        """Return the address of the page of a task instance."""
        map_index = -1 if ti_key.map_index is None else ti_key.map_index
        return page_url(self.page, ti_key.dag_id, ti_key.run_id, ti_key.task_id, map_index)


@attrs.define()
class BatchLink(_PageLink):
    """Leads to the batch that the task made or applied."""

    name = "Batch"
    page = BATCH


@attrs.define()
class ReportLink(_PageLink):
    """Leads to what a synchronization did with it."""

    name = "Report"
    page = REPORT
