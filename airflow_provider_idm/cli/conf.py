"""The configuration as commands read it: errors stop, identifiers are looked up with the nearest name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_idm.cli import output
from airflow_provider_idm.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_idm.configuration import Configuration, ConnectorMappings
    from airflow_provider_idm.configuration.model import RollingWindow

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


def limited_mappings(
    folder: Path, connector: str, rolling: str | None
) -> tuple[ConnectorMappings, RollingWindow | None]:
    """Read a configuration, one connector's part of it, and that connector's limits over the last days.

    :param rolling: what ``--rolling-thresholds`` was given: JSON or a file of it, one window or windows by connector.
    :raises ConfigurationError: if anything is wrong, there is no such connector, or one that limits are given for.
    """
    from airflow_provider_idm.configuration import connector_mappings

    configuration = read(folder)
    identifier = find(configuration.connectors, "connector", connector).identifier
    window = None
    if rolling is not None:
        window = rolling_window(rolling, identifier, configuration.connectors)
    return connector_mappings(configuration, identifier), window


def rolling_window(given: str, connector: str, connectors: Iterable[str]) -> RollingWindow | None:
    """Read one connector's limits over the last days; None if they are given for other connectors only.

    :raises ConfigurationError: if they are wrong.
    """
    from airflow_provider_idm.configuration import rolling

    where, value = _json(given.strip())
    if isinstance(value, Mapping) and any(not isinstance(item, Mapping) for item in value.values()):
        return rolling.parse_rolling_window(value, where)
    windows = rolling.parse_rolling_windows(value, where)
    rolling.check_connectors(windows, connectors, where)
    return windows.get(connector)


def _json(given: str) -> tuple[str, object]:
    """Return what messages call the place of a value, and the value."""
    where, text = "--rolling-thresholds", given
    if not given.startswith("{"):
        where = given
        try:
            text = Path(given).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigurationError(
                f"--rolling-thresholds: {given} cannot be read: {reason}; expected a JSON file, or JSON such as "
                '{"days": 7, "MaximumDeletedLines": 500}'
            ) from None
    try:
        return where, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: not JSON ({error})") from None


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
