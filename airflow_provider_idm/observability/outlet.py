"""The asset that a synchronize changes: its event comes only if something was changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.assets.uri import synchronized

if TYPE_CHECKING:
    from airflow.sdk import Asset, BaseOperator, Context

    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

log = logging.getLogger(__name__)

_TEMPLATE: Final = ("{{", "{%")
_asset = lru_cache(maxsize=4096)(synchronized)  # hundreds of jobs have the same few connectors


class Outlet:
    """An operator's asset ``idm://<connection>/<connector>``.

    It is one of the operator's outlets wherever the connector is known when the DAG is parsed, so that Airflow shows it
    in its graphs; a templated one is known when the task runs. Airflow makes an event of every outlet that a task has
    at its end, if it ends well: the task takes this one away before it begins, and puts it back if it changed anything.

    :param operator: its other outlets, which its author gave it, are left alone.
    :param connector: as the author wrote it.
    """

    def __init__(self, operator: BaseOperator, connector: object, idm_conn_id: str) -> None:
        self.asset: Asset | None = None
        if isinstance(connector, str) and connector and not any(mark in connector for mark in _TEMPLATE):
            asset = _asset(connector, idm_conn_id)
            self.asset = next((o for o in operator.outlets if _is_same(o, asset)), asset)
            operator.outlets = [*self._others(operator), self.asset]

    def keep_back(self, operator: BaseOperator) -> None:
        """Take the asset away: unless something changes there is no event."""
        operator.outlets = self._others(operator)

    def announce(
        self, operator: BaseOperator, context: Context, result: SynchronizeResult, idm_conn_id: str
    ) -> bool:
        """Let Airflow make an event of what a synchronization changed, with the counts as its extra.

        A task that was cleared once it had announced its batch, and finds that applied, does not announce it again.

        :return: whether there will be an event.
        """
        asset = self.asset or synchronized(result.connector, idm_conn_id)
        if result.already_applied and not set(result.applied).isdisjoint(_announced(asset, context)):
            log.info("The event of %s was made when this task first ended.", asset.uri)
            return False
        operator.outlets = [*self._others(operator), asset]
        context["outlet_events"][asset].extra = extra_of(result)
        return True

    def unannounced(
        self, results: Sequence[SynchronizeResult], context: Context, connector: str, idm_conn_id: str
    ) -> list[SynchronizeResult]:
        """Return those of a task's results, in order, that changed something since its last event, if it had any."""
        if not any(result.has_effect for result in results):
            return []
        announced = _announced(self.asset or synchronized(connector, idm_conn_id), context)
        told = [n for n, result in enumerate(results) if not announced.isdisjoint(result.applied)]
        return [result for result in results[max(told, default=-1) + 1 :] if result.has_effect]

    def _others(self, operator: BaseOperator) -> list[Any]:
        return [
            outlet for outlet in operator.outlets if self.asset is None or not _is_same(outlet, self.asset)
        ]


def _is_same(outlet: object, asset: Asset) -> bool:
    """Tell whether an outlet is an asset: its author may have written it too, with an extra of its own."""
    return isinstance(outlet, type(asset)) and outlet.uri == asset.uri


def extra_of(result: SynchronizeResult) -> dict[str, Any]:
    """Return the extra of an asset's event: numbers and identifiers of the configuration, bounded in size."""
    from airflow_provider_idm.observability.told import short_counts, shortened

    told = {"connector": result.connector, "batches": list(result.applied)}
    return shortened(told) | short_counts(result.counts())


def _announced(asset: Asset, context: Context) -> frozenset[str]:
    """Return the batches of the events with which this task, in an earlier life, ended.

    If Airflow cannot tell, there were none: an event too many is better than one that never comes.
    """
    task = context["ti"]
    own = (task.dag_id, task.run_id, task.task_id, task.map_index)
    try:
        return frozenset(
            batch
            for event in _events(asset)
            if (event.source_dag_id, event.source_run_id, event.source_task_id, event.source_map_index) == own
            for batch in (event.extra or {}).get("batches", ())
        )
    except Exception as error:  # noqa: BLE001  whatever Airflow says, the task has done its work
        log.warning("Whether there was an event of %s cannot be told: %s", asset.uri, error)
        return frozenset()


def _events(asset: Asset) -> Any:
    from airflow.sdk.execution_time.context import InletEventsAccessors

    return InletEventsAccessors([asset])[asset]
