"""The tasks of a scaffolding's job, by level: exports, prepares, synchronizes, and what comes before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.configuration.model import TaskElement
from airflow_provider_idm.configuration.scaffolding.labels import export_names, names, suffixed

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import DisplayNames, Location
    from airflow_provider_idm.configuration.scaffolding.included import Included
    from airflow_provider_idm.configuration.scaffolding.kinds import Kind


@dataclass(frozen=True, slots=True)
class TaskMaker:
    """Makes the tasks of one job.

    :param job: the job's identifier, with which those of its tasks begin.
    :param location: of the scaffolding.
    :param open_id: the OpenIdClient of the tasks, or None.
    """

    job: str
    location: Location
    kind: Kind
    open_id: str | None

    def make(self, included: list[Included]) -> list[TaskElement]:
        """Return the job's tasks in the order of their levels.

        :param included: what the job works on.
        """
        first = 1 if self.kind.is_initialization else 0
        exports = [(one, list(self._exports(one, first))) for one in included]
        prepares = [(one, self._prepare(one, first + 1, parents)) for one, parents in exports]
        synchronizes = [self._synchronize(one, first + 2, parent) for one, parent in prepares]
        tasks = [
            *(task for _, tasks in exports for task in tasks),
            *(task for _, task in prepares),
            *synchronizes,
        ]
        if self.kind.is_initialization:
            return [
                self._task("CreateDatabaseViewsTask", "CreateDatabaseViews", 0, {1: "Create views"}),
                *tasks,
            ]
        if self.kind.is_incremental and synchronizes:
            tasks.append(self._set_flag(first + 3, synchronizes))
        return tasks

    def _exports(self, one: Included, level: int) -> Iterator[TaskElement]:
        connector = one.connector.identifier
        attributes = {"ContinueOnError": "true"}
        if not self.kind.is_incremental:
            attributes["IgnoreCookieFile"] = "true"
        if self.kind.is_initialization:
            attributes["InitMode"] = "true"
        for connection in one.connections:
            yield self._task(
                "ExportTask",
                f"Export_{connector}_{self.kind.mode_name}_{connection.identifier}",
                level,
                export_names(_subject(one), connection),
                one=one,
                own={"Connection": connection.identifier, **attributes},
                agent=one.connector.agent,
            )

    def _prepare(self, one: Included, level: int, exports: list[TaskElement]) -> TaskElement:
        kind, suffix = self.kind.mode_name, _type_suffix(one)
        return self._task(
            "PrepareSynchronizationTask",
            f"PrepareSynchronization{suffix}_{one.connector.identifier}_{kind}",
            level,
            suffixed(_subject(one), "Prepare synchronization"),
            one=one,
            own={"SynchronizationMode": kind, **_type(one)},
            parents=exports,
            agent=one.connector.agent,
        )

    def _synchronize(self, one: Included, level: int, prepare: TaskElement) -> TaskElement:
        ending, attributes = "", {}
        if self.kind.is_incremental:
            ending, attributes = "_DoNotDeleteChanges", {"DoNotDeleteChanges": "true"}
        elif self.kind.is_initialization:
            ending, attributes = "_ForceSynchronization", {"ForceSynchronization": "true"}
        return self._task(
            "SynchronizeTask",
            f"Synchronize{_type_suffix(one)}_{one.connector.identifier}{ending}",
            level,
            suffixed(_subject(one), "Synchronize"),
            one=one,
            own={**attributes, **_type(one)},
            parents=[prepare],
        )

    def _set_flag(self, level: int, synchronizes: list[TaskElement]) -> TaskElement:
        return self._task(
            "SetRecentlyModifiedFlagTask",
            "SetRecentlyModifiedFlag",
            level,
            {1: "Set recently modified flag"},
            parents=synchronizes,
        )

    def _task(
        self,
        element: str,
        ending: str,
        level: int,
        display_names: DisplayNames,
        *,
        one: Included | None = None,
        own: dict[str, str] | None = None,
        parents: list[TaskElement] | None = None,
        agent: str | None = None,
    ) -> TaskElement:
        """Return a task with its attributes as XML would have them, the common ones first."""
        identifier = f"{self.job}_{ending}"
        attributes = {"Identifier": identifier}
        for language, name in display_names.items():
            attributes[_display_name(language)] = name
        if agent:
            attributes["Agent"] = agent
        if one is not None:
            attributes["Connector"] = one.connector.identifier
        attributes["Level"] = str(level)
        if self.open_id:
            attributes["OpenIdClient"] = self.open_id
        attributes.update(own or {})
        return TaskElement(
            element,
            identifier,
            self.location,
            display_names,
            level,
            agent,
            "ContinueOnError" in attributes,
            attributes,
            tuple(parent.identifier for parent in parents or ()),
        )


def _subject(one: Included) -> dict[int, str]:
    return names(one.connector.identifier, one.connector.display_names)


def _type(one: Included) -> dict[str, str]:
    return {} if one.type is SourceType.NONE else {"Type": one.type.value}


def _type_suffix(one: Included) -> str:
    return "" if one.type is SourceType.NONE else one.type.value


@cache
def _display_name(language: int) -> str:
    return f"DisplayName_L{language}"
