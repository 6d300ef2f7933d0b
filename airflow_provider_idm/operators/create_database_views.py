"""CreateDatabaseViewsTask: the ``zz_`` views of the identity repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateDatabaseViewsTaskOperator(IdmOperator):
    """Make a view per entity type and per association with a link table, of all connectors.

    Views of before that the configuration has no use for any more are dropped; what somebody else made is never touched.
    All of it is one transaction. The XCom names the views, and which of them were created, replaced and dropped.

    :raises RepositoryError: if something that was not made by this task has the name of a view.
    """

    def works_in_dry_run(self) -> bool:
        """Tell that there is nothing to do: the repository must not change."""
        return False

    def perform(self, context: Context) -> dict[str, list[str]]:
        """Make the views; return their names."""
        from airflow_provider_idm.configuration.concerns import read_connectors

        hook = self.hook()
        mappings = read_connectors(self.configuration_folder(hook), deactivated=True)
        with hook.get_repository() as repository:
            result = repository.create_views(mappings)
        # Whether they had to be made or were there already: who comes next may use them.
        self.tell_effect(context, True)
        self.log.info("%s.", result.as_text())
        return result.as_dict()
