"""SetRecentlyModifiedFlagTask: mark what synchronizations changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class SetRecentlyModifiedFlagTaskOperator(IdmOperator):
    """Set the flag ``Dirty`` on every resource that synchronizations with ``do_not_delete_changes`` changed.

    The XCom is the number of resources marked.
    """

    step = "set_recently_modified_flag"

    def works_in_dry_run(self) -> bool:
        """Tell that there is nothing to do: the repository must not change."""
        return False

    def perform(self, context: Context) -> int:
        """Mark the resources; return how many."""
        with self.hook().get_repository() as repository:
            marked = repository.set_recently_modified_flag()
        self.tell_effect(context, marked > 0)
        self.log.info("Marked %d resources as recently modified.", marked)
        return marked
