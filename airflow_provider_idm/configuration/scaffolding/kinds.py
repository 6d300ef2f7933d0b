"""The five scaffoldings: over what each goes, in which mode, and what its job is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_idm.configuration.enums import SynchronizationMode

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Scaffolding


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the five.

    :param scope: the attribute that says over what it goes.
    :param mode: of the job's prepares.
    """

    scope: Literal["Agent", "Connector"]
    mode: SynchronizationMode

    @property
    def mode_name(self) -> str:
        """The mode as identifiers and attributes have it."""
        return self.mode.name.capitalize()

    @property
    def is_initialization(self) -> bool:
        """Whether its job fills an empty repository."""
        return self.mode is SynchronizationMode.INITIAL

    @property
    def is_incremental(self) -> bool:
        """Whether its job brings changes only."""
        return self.mode is SynchronizationMode.INCREMENTAL


KINDS: Final = {
    "CreateConnectorSynchroComplete": Kind("Connector", SynchronizationMode.COMPLETE),
    "CreateConnectorSynchroIncremental": Kind("Connector", SynchronizationMode.INCREMENTAL),
    "CreateAgentSynchroComplete": Kind("Agent", SynchronizationMode.COMPLETE),
    "CreateAgentSynchroIncremental": Kind("Agent", SynchronizationMode.INCREMENTAL),
    "CreateInitializationJob": Kind("Agent", SynchronizationMode.INITIAL),
}

_INITIALIZATION_JOB: Final = "InitializationJob"


def scaffolding_job_identifier(scaffolding: Scaffolding) -> str:
    """Return the identifier of a scaffolding's job, whether or not it can be expanded."""
    if given := scaffolding.get("JobIdentifier"):
        return given
    kind = KINDS[scaffolding.element]
    if kind.is_initialization:
        return _INITIALIZATION_JOB
    scope = scaffolding.get(kind.scope)
    return f"{scope}_Synchronize_{kind.mode_name}" if scope else scaffolding.element
