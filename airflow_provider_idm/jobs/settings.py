"""What the author of the DAG file decides for all jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    :param agent_conn_ids: the Airflow connection of the agents' tasks, or the connections by agent; that of all if None.
    :param agent_executors: Airflow's executor of the agents' tasks, or the executors by agent; its default if None.
    :param default_args: of every DAG, e.g. ``retries``.
    :param tasks: which operators the tasks become, and what they do about thresholds.
    """

    folder: Path
    idm_conn_id: str = "idm_default"
    agent_queues: bool | Mapping[str, str] = False
    agent_conn_ids: str | Mapping[str, str] | None = None
    agent_executors: str | Mapping[str, str] | None = None
    default_args: Mapping[str, Any] = field(default_factory=dict)
    tasks: TaskMaker = field(default_factory=TaskMaker)

    def queue(self, agent: str | None) -> str | None:
        """Return the queue of an agent's tasks; None for Airflow's default."""
        return _of_agent(agent if self.agent_queues is True else self.agent_queues or None, agent)

    def conn_id(self, agent: str | None) -> str:
        """Return the connection of an agent's tasks that do not work on the repository."""
        return _of_agent(self.agent_conn_ids, agent) or self.idm_conn_id

    def executor(self, agent: str | None) -> str | None:
        """Return the executor of an agent's tasks; None for Airflow's default."""
        return _of_agent(self.agent_executors, agent)

    def problems(self, agents: Collection[str]) -> list[str]:
        """Return what is wrong with what was given by agent, for every job: a name that no agent has would be ignored.

        :param agents: identifiers of all agents.
        """
        known = {agent.casefold() for agent in agents}
        given = {"agent_conn_ids": self.agent_conn_ids, "agent_executors": self.agent_executors}
        return [
            f"generate_dags({parameter}=…): there is no agent {name!r}; known are {', '.join(agents) or 'none'}"
            for parameter, setting in given.items()
            if isinstance(setting, Mapping)
            for name in setting
            if name.casefold() not in known
        ]


def _of_agent(setting: str | Mapping[str, str] | None, agent: str | None) -> str | None:
    """Return what a setting, one for all agents or by agent, says of an agent; None if nothing."""
    if agent is None:
        return None
    if not isinstance(setting, Mapping):
        return setting
    wanted = agent.casefold()
    return next((value for name, value in setting.items() if name.casefold() == wanted), None)
