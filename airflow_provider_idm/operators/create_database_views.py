"""CreateDatabaseViewsTask: the ``zz_`` views of the identity repository."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateDatabaseViewsTaskOperator(IdmOperator):
    """Make a view per entity type and per association with a link table, of all connectors, now and as of dates.

    Views of before that the configuration has no use for any more are dropped; what somebody else made is never touched.
    All of it is one transaction. The XCom names the views, and which of them were created, replaced and dropped.

    :param as_of: the date as of which there are to be views too (a day, a moment, or either as ISO text such as
        ``{{ ds }}``; without a zone it is UTC), or a list of dates. Views as of other dates are dropped; by default
        those that there are stay. An empty list drops them all.
    :raises ConfigurationError: if ``as_of`` is no date.
    :raises RepositoryError: if something that was not made by this task has the name of a view.
    """

    step = "create_database_views"
    template_fields: Sequence[str] = (*IdmOperator.template_fields, "as_of")

    def __init__(
        self, *, as_of: str | date | Sequence[str | date | datetime] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.as_of = as_of

    def works_in_dry_run(self) -> bool:
        """Tell that there is nothing to do: the repository must not change."""
        return False

    def perform(self, context: Context) -> dict[str, Any]:
        """Make the views; return their names, of many the first."""
        from airflow_provider_idm.configuration.concerns import read_connectors
        from airflow_provider_idm.observability.told import shortened

        dates = self._dates()
        hook = self.hook()
        mappings = read_connectors(self.configuration_folder(hook), deactivated=True)
        with hook.get_repository() as repository:
            result = repository.create_views(mappings, dates)
        # Whether they had to be made or were there already: who comes next may use them.
        self.tell_effect(context, True)
        self.log.info("%s.", result.as_text())
        told = result.as_dict()
        for what in ("created", "replaced", "dropped"):
            if told[what]:
                self.log.info("%s: %s", what.capitalize(), ", ".join(told[what]))
        return shortened(told)

    def _dates(self) -> list[datetime] | None:
        from airflow_provider_idm.repository.moments import as_moment

        if self.as_of is None:
            return None
        given = [self.as_of] if isinstance(self.as_of, str | date) else self.as_of
        try:
            return [as_moment(one) for one in given]
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                f"task {self.task_id}: as_of is {self.as_of!r}; expected a date such as 2026-03-01, a moment such as "
                "2026-03-01T06:00+02:00, or a list of these"
            ) from None
