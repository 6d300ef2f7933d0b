"""Display names of what scaffoldings make: in every language that the connector or agent has a name in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Connection, DisplayNames, Scaffolding
    from airflow_provider_idm.configuration.scaffolding.kinds import Kind

_FIRST = 1


def names(identifier: str, display_names: DisplayNames) -> dict[int, str]:
    """Return display names with one in the first language in any case: that one is required."""
    return {_FIRST: identifier} | dict(display_names)


def suffixed(subject: DisplayNames, what: str) -> dict[int, str]:
    """Return what is done with a subject, in each of its languages."""
    return {language: f"{name} - {what}" for language, name in subject.items()}


def export_names(subject: DisplayNames, connection: Connection) -> dict[int, str]:
    """Return the display names of an export."""
    known = connection.display_names
    first = known.get(_FIRST) or connection.identifier
    return {language: f"{name} - Export {known.get(language) or first}" for language, name in subject.items()}


def job_names(scaffolding: Scaffolding, kind: Kind, subject: DisplayNames) -> dict[int, str]:
    """Return the display names of a job: the scaffolding's own, or made from those of its connector or agent."""
    what = "Initialization" if kind.is_initialization else f"{kind.mode_name} synchronization"
    made = suffixed(subject, what)
    own = scaffolding.display_names
    return {_FIRST: own.get(_FIRST) or made[_FIRST]} | dict(own) if own else made
