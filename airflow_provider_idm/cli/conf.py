"""The configuration as commands read it: errors stop, identifiers are looked up with the nearest name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_idm.cli import output
from airflow_provider_idm.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import Configuration, ConnectorMappings

Value = TypeVar("Value")


def read(folder: Path) -> Configuration:
    """Read a configuration; its warnings are counted on standard error.

    :raises ConfigurationError: if anything is wrong.
    """
    from airflow_provider_idm.configuration import read_configuration

    configuration = read_configuration(folder)
    if configuration.problems:
        output.warning(f"{len(configuration.problems)} in the configuration; 'idm check' shows them")
    return configuration


def mappings(folder: Path, connector: str) -> ConnectorMappings:
    """Read a configuration and resolve one connector's part of it.

    :raises ConfigurationError: if anything is wrong, or there is no such connector.
    """
    from airflow_provider_idm.configuration import connector_mappings

    configuration = read(folder)
    find(configuration.connectors, "connector", connector)
    return connector_mappings(configuration, connector)


def find(elements: Mapping[str, Value], kind: str, identifier: str) -> Value:
    """Return an element by its identifier, in any case.

    :raises ConfigurationError: if there is none.
    """
    from airflow_provider_idm.configuration.names import suggestion

    try:
        return elements[identifier]
    except KeyError:
        known = ", ".join(elements) or "none"
        hint = suggestion(identifier, elements) or f"; it has {known}"
        raise ConfigurationError(f"the configuration has no {kind} {identifier}{hint}") from None
