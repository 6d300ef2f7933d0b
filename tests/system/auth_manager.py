"""An auth manager of users who may not see everything, as only others than Airflow's simple one can tell."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class Restricted(SimpleAuthManager):
    """``uwe`` may not see the DAG ``pages``, and ``bert`` no XComs."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        denied = {
            "uwe": details is not None and details.id == "pages",
            "bert": access_entity is DagAccessEntity.XCOM,
        }
        if denied.get(user.username):
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
