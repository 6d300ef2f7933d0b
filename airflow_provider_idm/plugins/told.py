"""What Airflow's database knows of a task instance and of what the tasks of its run told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import aliased

from airflow_provider_idm.operators.links import BLOCKED, COUNTS, RESULT
from airflow_provider_idm.operators.predecessors import EFFECT

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement


@dataclass(frozen=True, slots=True)
class Key:
    """A task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class Told:
    """A task instance, and what the tasks of its run told.

    :param name: the task's display name; ``dag_name`` the DAG's.
    :param state: as Airflow has it; empty for a task that was not scheduled yet.
    :param xcoms: the values of its run by task, map index and key.
    """

    key: Key
    name: str
    dag_name: str
    state: str
    xcoms: Mapping[tuple[str, int, str], object]

    def own(self, xcom: str) -> object:
        """Return what the task itself told under a key; None if nothing."""
        return self.xcoms.get((self.key.task_id, self.key.map_index, xcom))

    def of_others(self, *xcoms: str) -> Iterator[tuple[Key, object]]:
        """Yield what the run's other tasks told under one of the keys, the keys in their order."""
        own = (self.key.task_id, self.key.map_index)
        for wanted in xcoms:
            for (task_id, map_index, name), value in self.xcoms.items():
                if name == wanted and (task_id, map_index) != own:
                    yield Key(self.key.dag_id, self.key.run_id, task_id, map_index), value


def read(session: Session, key: Key) -> Told | None:
    """Read a task instance; None if Airflow does not know it."""
    found = session.scalar(
        select(TaskInstance).where(
            TaskInstance.dag_id == key.dag_id,
            TaskInstance.run_id == key.run_id,
            TaskInstance.task_id == key.task_id,
            TaskInstance.map_index == key.map_index,
        )
    )
    if found is None:
        return None
    rows = session.execute(
        select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value)
        .where(XComModel.dag_id == key.dag_id, XComModel.run_id == key.run_id, _of_interest(key))
        .order_by(XComModel.timestamp.desc(), XComModel.task_id, XComModel.map_index)
    )
    return Told(
        key=key,
        name=str(found.task_display_name or key.task_id),
        dag_name=str(found.dag_model.dag_display_name) if found.dag_model else key.dag_id,
        state=str(getattr(found.state, "value", found.state) or ""),
        xcoms={(row.task_id, row.map_index, row.key): _decoded(row.value) for row in rows},
    )


def _of_interest(key: Key) -> ColumnElement[bool]:
    """Return the condition of what is read.

    Any task of the DAG may return something, perhaps large tables; only those of this provider tell of an effect.
    """
    effect = aliased(XComModel)
    tells_of_effect = exists().where(
        effect.dag_id == XComModel.dag_id,
        effect.run_id == XComModel.run_id,
        effect.task_id == XComModel.task_id,
        effect.map_index == XComModel.map_index,
        effect.key == EFFECT,
    )
    own = and_(XComModel.task_id == key.task_id, XComModel.map_index == key.map_index)
    return or_(XComModel.key.in_((COUNTS, BLOCKED)), and_(XComModel.key == RESULT, or_(own, tells_of_effect)))


def _decoded(value: Any) -> object:
    """Return a stored value; it is JSON, of which nothing but plain objects is made."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
