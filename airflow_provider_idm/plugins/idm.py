"""The plugin ``idm`` (entry point ``airflow.plugins``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_idm.operators.links import PAGES, BatchLink, ReportLink

_Message = MutableMapping[str, Any]


class Pages:
    """The ASGI application of the pages, imported with the first request.

    Every process of Airflow loads the plugins, but only the API server serves pages.
    """

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        from airflow_provider_idm.plugins.app import app  # noqa: PLC0415

        await app(scope, receive, send)


class IdmPlugin(AirflowPlugin):
    """Pages about batches and synchronizations, and the links of tasks to them."""

    name = "idm"
    fastapi_apps = [  # noqa: RUF012  the base class has them as plain lists
        {"app": Pages(), "url_prefix": f"/{PAGES}", "name": "Identity Management"}
    ]
    operator_extra_links = [BatchLink(), ReportLink()]  # noqa: RUF012
