"""Enumerations outside XML (operators, command line), written as there: by name in any case, or by number."""

from __future__ import annotations

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ConfigurationError


def parse_mode(value: str | int) -> SynchronizationMode:
    """Return a mode from its name or number.

    :raises ConfigurationError: if there is no such mode.
    """
    text = str(value).strip()
    for mode in SynchronizationMode:
        if text.casefold() == mode.name.casefold() or text == str(mode.value):
            return mode
    raise ConfigurationError(
        f"{value!r} is not a synchronization mode: expected Initial (0), Complete (1) or Incremental (2)."
    )


def parse_source_type(value: str | None) -> SourceType:
    """Return a type from its name; none is ``None``.

    :raises ConfigurationError: if there is no such type.
    """
    text = (value or SourceType.NONE.value).strip()
    for source_type in SourceType:
        if text.casefold() == source_type.value.casefold():
            return source_type
    raise ConfigurationError(f"{value!r} is not a type: expected None, ActiveDirectory or Changes.")
