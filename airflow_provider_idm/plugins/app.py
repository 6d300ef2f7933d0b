"""The web application of the pages: who may see them, and where they are."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_idm.operators.links import BATCH, REPORT
from airflow_provider_idm.plugins.pages import HEADERS, batch_page, message_page, report_page
from airflow_provider_idm.plugins.told import Key, Told, read

app: Final = FastAPI(
    title="Identity Management",
    openapi_url=None,  # its documentation would be open to everybody
    dependencies=[  # Airflow protects no application of a plugin by itself
        Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
        Depends(requires_access_dag("GET", DagAccessEntity.XCOM)),
    ],
)

_TASK: Final = "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"
_FORBIDDEN: Final = "Your role in Airflow does not let you see the tasks of this DAG and what they told."


def _key(dag_id: str, run_id: str, task_id: str, map_index: Annotated[int, Query(ge=-1)] = -1) -> Key:
    return Key(dag_id, run_id, task_id, map_index)


TaskKey = Annotated[Key, Depends(_key)]


@app.get(f"{_TASK}/{BATCH}")
def batch(request: Request, session: SessionDep, key: TaskKey) -> HTMLResponse:
    """Show the batch that a task made or applied."""
    return _page(batch_page(_told(session, key), _base(request)))


@app.get(f"{_TASK}/{REPORT}")
def report(request: Request, session: SessionDep, key: TaskKey) -> HTMLResponse:
    """Show what a synchronization did."""
    return _page(report_page(_told(session, key), _base(request)))


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> Response:
    """Lead a browser without a login to Airflow's, and tell it other errors as a page."""
    if "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    if error.status_code == status.HTTP_401_UNAUTHORIZED:
        # encoded on its own: Airflow 3.1 passes it on decoded, and the + of a run's id would become a space
        here = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{_base(request)}api/v2/auth/login?next={quote(here, safe='')}", 302)
    text = _FORBIDDEN if error.status_code == status.HTTP_403_FORBIDDEN else str(error.detail)
    return _page(message_page(text, _base(request)), error.status_code)


def _told(session: SessionDep, key: Key) -> Told:
    told = read(session, key)
    if told is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            f"Airflow knows no task {key.task_id} of the run {key.run_id} of {key.dag_id}. "
            "It may have been removed with its run, or the run has not begun.",
        )
    return told


def _base(request: Request) -> str:
    """Return the path of the API server, which may have a prefix; it ends with a slash."""
    return request.base_url.path


def _page(text: str, status_code: int = status.HTTP_200_OK) -> HTMLResponse:
    return HTMLResponse(text, status_code, headers=dict(HEADERS))
