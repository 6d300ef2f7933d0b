"""What the author of a DAG file decides about thresholds, for every job: who answers, and limits over the last days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_idm.configuration.rolling import (
    by_connector,
    check_connectors,
    of_connector,
    parse_rolling_window,
)
from airflow_provider_idm.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import Configuration

WAIT: Final = "wait"
_PLACE: Final = "generate_dags(rolling_thresholds=…)"


@dataclass(frozen=True)
class Safeguards:
    """What all jobs do about thresholds.

    :param on_threshold: what a synchronize does when a threshold is exceeded: ``wait`` for a person, or ``fail``.
    :param parameters: other parameters of every SynchronizeTaskOperator, e.g. ``response_timeout``.
    :param rolling_thresholds: limits over the last days by connector, as an object or its JSON text; not checked yet.
    """

    on_threshold: Literal["wait", "fail"] = WAIT
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rolling_thresholds: object = None

    @property
    def waits(self) -> bool:
        """Whether a run may wait for a person."""
        return self.on_threshold == WAIT

    def of_synchronize(self, connector: str | None) -> dict[str, Any]:
        """Return the parameters of a connector's SynchronizeTaskOperator."""
        parameters = dict(self.parameters)
        if not self.waits:
            parameters["on_threshold"] = self.on_threshold
        if connector is not None and connector in self._windows:
            parameters["rolling_thresholds"] = self._windows[connector]
        return parameters

    def problems_of_all(self, configuration: Configuration, *, is_sound: bool) -> list[str]:
        """Return what is wrong with the rolling thresholds for every job: they are none, or of no known connector.

        :param is_sound: whether the configuration has no error: otherwise it may lack connectors.
        """
        try:
            if is_sound:
                check_connectors(self._windows, configuration.connectors, _PLACE)
            else:
                _ = self._windows
        except ConfigurationError as error:
            return str(error).splitlines()
        return []

    def problems_of(self, connectors: Iterable[str]) -> list[str]:
        """Return what is wrong with the rolling thresholds of some connectors; ``problems_of_all`` must be none."""
        wanted = {connector.casefold() for connector in connectors}
        return self._problems([name for name in self._windows if name.casefold() in wanted])

    def problems_elsewhere(self, connectors: Iterable[str]) -> list[str]:
        """Return what is wrong with the rolling thresholds of all other connectors."""
        left_out = {connector.casefold() for connector in connectors}
        return self._problems([name for name in self._windows if name.casefold() not in left_out])

    def _problems(self, connectors: Iterable[str]) -> list[str]:
        problems = []
        for connector in connectors:
            try:
                parse_rolling_window(self._windows[connector], of_connector(_PLACE, connector))
            except ConfigurationError as error:
                problems += str(error).splitlines()
        return problems

    @cached_property
    def _windows(self) -> Mapping[str, Any]:
        return by_connector(self.rolling_thresholds, _PLACE)
