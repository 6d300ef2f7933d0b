"""The tasks of a job in its DAG: operators, edges, and a task group for each connector."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup

from airflow_provider_idm.configuration.names import dag_id
from airflow_provider_idm.jobs.plan import SYNCHRONIZE, works_on_repository
from airflow_provider_idm.jobs.retries import retry_arguments

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator

    from airflow_provider_idm.configuration.model import Configuration, Connector, Job, TaskElement
    from airflow_provider_idm.jobs.plan import JobPlan, PlannedTask
    from airflow_provider_idm.jobs.settings import DagSettings
    from airflow_provider_idm.operators.condition import Condition

ENDED: Final = "__ended"
ALL_SUCCEEDED: Final = "all_succeeded"
_LOG_LEVELS: Final = ("DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", None)
_MAX_LENGTH: Final = 200  # of the ids of groups, as Airflow has it; those of tasks may be longer
_ONE_AT_A_TIME: Final = "max_active_tis_per_dag"
_ENDED_DOC: Final = (
    "Succeeds when `{}` has ended, even if it failed (`ContinueOnError`), and lets others go on."
)
_GUARD_DOC: Final = (
    "Does nothing, but fails the run if a task before it failed: the others that come after it go on."
)


class Graph:
    """Puts the tasks of one job into its DAG."""

    def __init__(self, dag: DAG, configuration: Configuration, job: Job, settings: DagSettings) -> None:
        self._dag = dag
        self._configuration = configuration
        self._job = job
        self._settings = settings
        self._groups: dict[str, TaskGroup] = {}
        self._operators: dict[str, BaseOperator] = {}
        self._taken: set[str] = set()
        self._common = {
            "configuration": str(settings.folder),
            "log_level": _LOG_LEVELS[job.log_level],
            **retry_arguments(settings.default_args),
        }

    def add(self, plan: JobPlan) -> None:
        """Add all tasks with their edges.

        :raises JobError: if a task cannot become an operator.
        """
        self._taken = {task.task_id.casefold() for task in plan.tasks}
        self._group(plan)
        ended: dict[str, BaseOperator] = {}
        for planned in plan.tasks:
            with self._group_of(planned.connector):
                operator = self._operators[planned.task_id] = self._make(planned)
                if planned.task_id in plan.ended:
                    ended[planned.task_id] = self._end_of(operator)
            if planned.condition is not None and not operator.doc_md:
                operator.doc_md = _told(planned.condition)
            before = [self._operators[name] for name in planned.upstream]
            before += [ended[name] for name in planned.after_end]
            if before:
                operator.set_upstream(before)
        if plan.guarded:
            self._guard([self._operators[name] for name in plan.guarded])

    def _make(self, planned: PlannedTask) -> BaseOperator:
        common: dict[str, Any] = self._common | self._place(planned.task)
        if planned.task.element != SYNCHRONIZE and _ONE_AT_A_TIME not in self._settings.default_args:
            common[_ONE_AT_A_TIME] = 1  # a synchronize may wait long for a person, and must hold up nobody
        return self._settings.tasks.make(planned, self._dag, **common)

    def _place(self, task: TaskElement) -> dict[str, str]:
        """Return where a task runs, and with which connection.

        The agent is its own, or that of its job if the task is not one for the server; the connection is the agent's
        only if the task does not need the repository.
        """
        settings, for_server = self._settings, works_on_repository(task)
        named = task.agent or (None if for_server else self._job.agent)
        known = self._configuration.agents.get(named) if named else None
        agent = known.identifier if known else named
        place = {
            "idm_conn_id": settings.idm_conn_id if for_server else settings.conn_id(agent),
            "queue": settings.queue(agent),
            "executor": settings.executor(agent),
        }
        return {name: value for name, value in place.items() if value is not None}

    def _end_of(self, operator: BaseOperator) -> BaseOperator:
        end = EmptyOperator(
            dag=self._dag,
            task_id=self._free(operator.task_id, ENDED),
            task_display_name=f"{operator.task_display_name}: ended",
            trigger_rule="all_done",
            doc_md=_ENDED_DOC.format(operator.task_id),
        )
        end.set_upstream(operator)
        return end

    def _guard(self, operators: list[BaseOperator]) -> None:
        EmptyOperator(
            dag=self._dag,
            task_id=self._free(ALL_SUCCEEDED),
            task_display_name="All succeeded",
            trigger_rule="none_failed",
            doc_md=_GUARD_DOC,
        ).set_upstream(operators)

    def _group(self, plan: JobPlan) -> None:
        """Make a task group for each connector, if there are several: one alone would only hide the job."""
        names = {task.connector.casefold(): task.connector for task in plan.tasks if task.connector}
        if len(names) < 2:
            return
        for key, name in names.items():
            connector = self._configuration.connectors.get(name)
            written = connector.identifier if connector else name
            self._groups[key] = TaskGroup(
                self._free(dag_id(written).replace(".", "_")),  # no dots in the ids of groups
                dag=self._dag,
                prefix_group_id=False,
                group_display_name=_display_name(connector, written),
                tooltip=f"Connector {written}",
            )

    def _group_of(self, connector: str | None) -> AbstractContextManager[object]:
        return self._groups.get((connector or "").casefold(), nullcontext())

    def _free(self, name: str, ending: str = "") -> str:
        """Return an id that nothing else has: the name with its ending, numbered if need be, cut if it is long."""
        endings = chain((ending,), (f"{ending}_{number}" for number in count(2)))
        candidates = (name[: _MAX_LENGTH - len(last)] + last for last in endings)
        free = next(candidate for candidate in candidates if candidate.casefold() not in self._taken)
        self._taken.add(free.casefold())
        return free


def _display_name(connector: Connector | None, identifier: str) -> str:
    names = connector.display_names if connector else {}
    return next((names[language] for language in sorted(names)), identifier)


def _told(condition: Condition) -> str:
    """Say in a task's documentation what decides whether it runs: the graph does not show it."""
    lines = []
    if condition.parents:
        parents = ", ".join(f"`{name}`" for name in condition.parents)
        rule = "whatever became of the others" if condition.any_effect else "and none failed or was stopped"
        lines.append(
            f"Runs if at least one of {parents} had an effect, {rule}. Otherwise it is skipped; its log says why."
        )
    if condition.watched:
        watched = ", ".join(f"`{task.task_id}`" for task in condition.watched)
        lines.append(
            f"Waits for {watched} too, but not where another connector's decision holds that up, and not if only "
            "another connector's failure stopped it."
        )
    return "\n\n".join(lines)
