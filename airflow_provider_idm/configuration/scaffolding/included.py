"""What a scaffolding's job works on: its connectors, their exporting connections and what those bring."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import Deactivation, JobUse, SourceType
from airflow_provider_idm.configuration.names import same
from airflow_provider_idm.configuration.scaffolding.packages import exported_type, is_exported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_idm.configuration.model import Configuration, Connection, Connector, Scaffolding
    from airflow_provider_idm.configuration.scaffolding.kinds import Kind

_NOT_SYNCHRONIZED: Final = (JobUse.NOT_USED, JobUse.ONLY_PROVISIONING)
_LEAVING_OUT: Final = ("NoConnectorSynchronization", "NotUsed")


@dataclass(frozen=True, slots=True)
class Included:
    """A connector that a job synchronizes.

    :param connections: those that are exported, in reading order.
    :param type: what the exports bring, in this job's mode.
    """

    connector: Connector
    connections: tuple[Connection, ...]
    type: SourceType


class Exports:
    """The exporting connections of a configuration, by connector."""

    def __init__(self, configuration: Configuration) -> None:
        self._of: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in configuration.connections.values():
            if connection.deactivation is not Deactivation.EXPORT and is_exported(connection.package):
                self._of[connection.connector.casefold()].append(connection)

    def of(self, connector: Connector) -> tuple[Connection, ...]:
        """Return those of a connector, in reading order."""
        return tuple(self._of.get(connector.identifier.casefold(), ()))


def included(
    configuration: Configuration, scaffolding: Scaffolding, kind: Kind, exports: Exports
) -> Iterator[Included]:
    """Return the connectors that a scaffolding's job synchronizes, in reading order."""
    if scaffolding.has("NoSynchronization"):
        return
    left_out = {
        argument.attributes.get("ConnectorIdentifier", "").strip().casefold()
        for argument in scaffolding.arguments
        if argument.element in _LEAVING_OUT
    }
    for connector in _in_scope(configuration, scaffolding, kind):
        if _is_used(connector, kind) and connector.identifier.casefold() not in left_out:
            connections = exports.of(connector)
            yield Included(connector, connections, _type(connections, kind))


def is_in_scope(configuration: Configuration, scaffolding: Scaffolding, kind: Kind) -> bool:
    """Return whether a scaffolding's connector or agent exists."""
    among = configuration.connectors if kind.scope == "Connector" else configuration.agents
    return (scaffolding.get(kind.scope) or "") in among


def _in_scope(configuration: Configuration, scaffolding: Scaffolding, kind: Kind) -> Iterator[Connector]:
    scope = scaffolding.get(kind.scope) or ""
    if kind.scope == "Connector":
        if scope in configuration.connectors:
            yield configuration.connectors[scope]
        return
    for connector in configuration.connectors.values():
        if connector.agent and same(connector.agent, scope):
            yield connector


def _is_used(connector: Connector, kind: Kind) -> bool:
    """Return whether a connector takes part; filling a repository brings everything, as a Complete does."""
    use = connector.incremental_job if kind.is_incremental else connector.complete_job
    return not connector.is_deactivated and use not in _NOT_SYNCHRONIZED


def _type(connections: tuple[Connection, ...], kind: Kind) -> SourceType:
    types = {exported_type(connection.package) for connection in connections}
    if SourceType.ACTIVE_DIRECTORY in types:
        return SourceType.ACTIVE_DIRECTORY
    if SourceType.CHANGES in types and kind.is_incremental:
        return SourceType.CHANGES
    return SourceType.NONE
