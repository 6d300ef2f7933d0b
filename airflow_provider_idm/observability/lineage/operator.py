"""What OpenLineage asks of an operator.

Its listener asks when the task has ended, and only then is anything of OpenLineage imported: it need not be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_idm.observability.lineage.facts import PrepareFacts

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_idm.observability.lineage.facts import SynchronizeFacts


class LineageMixin:
    """An operator that OpenLineage may ask."""

    lineage: PrepareFacts | SynchronizeFacts | None = None
    """What is known so far."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task read and wrote."""
        return self._lineage(is_complete=True)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task read, or was to read."""
        return self._lineage(is_complete=False)

    def _lineage(self, *, is_complete: bool) -> OperatorLineage[Any, Any]:
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_provider_idm.observability.lineage.facets import of_prepare, of_synchronize

        facts = self.lineage
        if facts is None:
            return OperatorLineage()
        if isinstance(facts, PrepareFacts):
            return of_prepare(facts, facts.manifest if is_complete else None)
        return of_synchronize(facts, facts.result if is_complete else None)
