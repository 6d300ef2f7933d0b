"""DeployConfigurationTask: the configuration's identifiers in the identity repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_idm.configuration import ConnectorMappings


class DeployConfigurationTaskOperator(IdmOperator):
    """Store the identifiers of connectors, entity types, properties and associations, and what reading the rest needs.

    A synchronization does the same for its connector before it begins. What is stored keeps its number for ever. All
    connectors are one transaction. The XCom names the ``connectors``, and those of which anything was ``changed``.

    :param connector: identifier of one connector; by default all that are not deactivated.
    """

    step = "deploy_configuration"
    template_fields: Sequence[str] = (*IdmOperator.template_fields, "connector")

    def __init__(self, *, connector: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connector = connector

    def works_in_dry_run(self) -> bool:
        """Tell that there is nothing to do: the repository must not change."""
        return False

    def perform(self, context: Context) -> dict[str, list[str]]:
        """Store what is configured; return the connectors."""
        hook = self.hook()
        mappings = self._mappings(self.configuration_folder(hook))
        with hook.get_repository() as repository:
            changed = repository.deploy(mappings)
        self.tell_effect(context, True)
        connectors = [one.connector.identifier for one in mappings]
        self.log.info(
            "The identifiers of %s are stored; changed: %s.",
            ", ".join(connectors) or "no connector",
            ", ".join(changed) or "none",
        )
        return {"connectors": connectors, "changed": list(changed)}

    def _mappings(self, folder: Path) -> Sequence[ConnectorMappings]:
        from airflow_provider_idm.configuration.concerns import read_connector, read_connectors

        if self.connector is not None:
            return [read_connector(folder, self.connector)[1]]
        return read_connectors(folder, deactivated=False)
