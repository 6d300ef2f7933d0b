"""What the author of the DAG file decides for all jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_idm.jobs.tasks import TaskMaker


@dataclass(frozen=True, slots=True)
class DagSettings:
    """What the author of the DAG file decides for all jobs.

    :param folder: of the XML configuration.
    :param idm_conn_id: the Airflow connection of type ``idm``.
    :param agent_queues: whether a job's tasks run on the queue named like its agent, or the queues by agent.
    :param default_args: of every DAG, e.g. ``retries``.
    :param tasks: which operators the tasks become, and what they do about thresholds.
    """

    folder: Path
    idm_conn_id: str = "idm_default"
    agent_queues: bool | Mapping[str, str] = False
    default_args: Mapping[str, Any] = field(default_factory=dict)
    tasks: TaskMaker = field(default_factory=TaskMaker)

    def queue(self, agent: str | None) -> str | None:
        """Return the queue of an agent's tasks; None for Airflow's default."""
        if agent is None or not self.agent_queues:
            return None
        if isinstance(self.agent_queues, Mapping):
            wanted = agent.casefold()
            return next(
                (queue for name, queue in self.agent_queues.items() if name.casefold() == wanted), None
            )
        return agent
