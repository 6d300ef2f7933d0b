"""Writes DAGs down as a person would: in one Python file, and as YAML for dag-factory.

What is written comes from DAGs that are there already, so that all contenders make the same ones: what a task is given
is what differs from its operator's defaults.

    python -m benchmarks.parse_contenders CONFIGURATION FOLDER FILES

writes FOLDER/written.py, and FOLDER/yaml with as many files.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import DAG, BaseOperator

_OF_TASKS = ("task_display_name", "doc_md", "trigger_rule", "queue", "max_active_tis_per_dag", "retries")
_OF_DAGS = ("dag_display_name", "schedule", "catchup", "max_active_runs", "doc_md")
_BASE = inspect.signature(BaseOperator.__init__).parameters


def structure(dags: Iterable[DAG]) -> dict[str, Any]:
    """Return what must be equal: by DAG, its schedule and its tasks with operator, group, rule and edges.

    Tasks are called by their labels: dag-factory cannot do without the group in the ids of a group's tasks.
    """
    return {
        dag.dag_id: {
            "name": dag.dag_display_name,
            "schedule": str(dag.schedule),
            "tasks": {
                task.label: [
                    type(task).__name__,
                    str(task.task_display_name),
                    str(getattr(task.trigger_rule, "value", task.trigger_rule)),
                    task.task_group.group_id if task.task_group else None,
                    sorted(before.label for before in task.upstream_list),
                ]
                for task in dag.tasks
            },
        }
        for dag in sorted(dags, key=lambda d: d.dag_id)
    }


# --------------------------------------------------------------------------------------------- what there is to write


@cache
def _parameters(operator: type[BaseOperator]) -> Mapping[str, Any]:
    """Return the parameters of an operator that can be read back from its attributes, with their defaults."""
    found: dict[str, Any] = {}
    for level in reversed(operator.__mro__):
        if level is not BaseOperator and issubclass(level, BaseOperator) and "__init__" in vars(level):
            parameters = inspect.signature(vars(level)["__init__"]).parameters.values()
            found |= {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    found |= {name: _BASE[name].default for name in _OF_TASKS}
    return {name: default for name, default in found.items() if name not in {"task_id", "dag"}}


def _given(task: BaseOperator) -> dict[str, Any]:
    given = {}
    for name, default in _parameters(type(task)).items():
        value = getattr(task, name, default)
        value = getattr(value, "value", value) if name == "trigger_rule" else value
        if value != default and not (name == "task_display_name" and value == task.task_id):
            given[name] = value
    return given


def _of_dag(dag: DAG) -> dict[str, Any]:
    given = {name: getattr(dag, name) for name in _OF_DAGS}
    given["tags"] = sorted(dag.tags)
    if dag.default_args:
        given["default_args"] = dict(dag.default_args)
    if kinds := getattr(dag, "allowed_run_types", None):
        given["allowed_run_types"] = [kind.value for kind in kinds]
    return given


def _by_group(dag: DAG) -> Iterator[tuple[Any, list[BaseOperator]]]:
    """Return the tasks by group, none first, each after those that it waits for."""
    order = list(dag.topological_sort())
    groups: dict[str | None, tuple[Any, list[BaseOperator]]] = {None: (None, [])}
    for task in order:
        group = task.task_group if task.task_group and task.task_group.group_id else None
        groups.setdefault(group and group.group_id, (group, []))[1].append(task)
    yield from groups.values()


def _of_group(group: Any) -> dict[str, Any]:
    given = {"group_display_name": group.group_display_name, "tooltip": group.tooltip}
    return {name: value for name, value in given.items() if value}


# ------------------------------------------------------------------------------------------------------------ Python


def python_file(dags: Iterable[DAG], configuration: str) -> str:
    """Return one Python file that makes the DAGs.

    :param configuration: the folder of the XML configuration, which becomes a constant.
    """
    dags = list(dags)
    classes = sorted({(c.__module__, c.__name__) for c in (type(task) for dag in dags for task in dag.tasks)})
    lines = [
        "from datetime import UTC, datetime",
        "",
        "from airflow.sdk import DAG, TaskGroup",
        "",
        *(f"from {module} import {name}" for module, name in classes),
        "",
        f"CONFIGURATION = {configuration!r}",
        "START = datetime(2000, 1, 1, tzinfo=UTC)",
    ]
    for dag in dags:
        lines += ["", *_python_dag(dag, configuration)]
    return "\n".join([*lines, ""])


def _name(identifier: str) -> str:
    return re.sub(r"\W", "_", identifier).lower()


def _call(what: str, given: Mapping[str, str], indent: str) -> list[str]:
    return [
        f"{indent}{what}(",
        *(f"{indent}    {name}={value}," for name, value in given.items()),
        f"{indent})",
    ]


def _python_dag(dag: DAG, configuration: str) -> list[str]:
    given = {"dag_id": repr(dag.dag_id), "start_date": "START"}
    lines = _call("with DAG", given | {name: repr(value) for name, value in _of_dag(dag).items()}, "")
    lines[-1] += f" as {_name(dag.dag_id)}:"
    edges: list[str] = []
    for group, tasks in _by_group(dag):
        indent = "    "
        if group is not None:
            values = {name: repr(value) for name, value in _of_group(group).items()}
            values = {"group_id": repr(group.group_id)} | values | {"prefix_group_id": "False"}
            lines += _call("with TaskGroup", values, indent)
            lines[-1] += ":"
            indent += "    "
        for task in tasks:
            given = {
                name: "CONFIGURATION" if value == configuration else repr(value)
                for name, value in _given(task).items()
            }
            name = _name(task.task_id)
            lines += _call(f"{name} = {type(task).__name__}", {"task_id": repr(task.task_id)} | given, indent)
            if task.upstream_task_ids:
                edges.append(f"    [{', '.join(map(_name, sorted(task.upstream_task_ids)))}] >> {name}")
    return lines + edges


# -------------------------------------------------------------------------------------------------------------- YAML


def yaml_files(folder: Path, dags: Iterable[DAG], files: int) -> None:
    """Write files for dag-factory, each with some of the DAGs."""
    everything = [{"dag_id": dag.dag_id, **_yaml_dag(dag)} for dag in dags]
    folder.mkdir(parents=True)
    for number in range(files):
        chosen = everything[number::files]
        text = yaml.safe_dump(
            {"default": {"start_date": "2000-01-01"}}
            | {dag["dag_id"]: {k: v for k, v in dag.items() if k != "dag_id"} for dag in chosen},
            allow_unicode=True,
            sort_keys=False,
        )
        (folder / f"dags{number:02}.yaml").write_text(text, encoding="utf-8")


def _yaml_dag(dag: DAG) -> dict[str, Any]:
    given = {name: value for name, value in _of_dag(dag).items() if value is not None}
    groups: dict[str, Any] = {}
    tasks: dict[str, Any] = {}
    ids = {task.task_id: _yaml_id(task) for task in dag.tasks}
    for group, members in _by_group(dag):
        if group is not None:
            groups[group.group_id] = _of_group(group)
        for task in members:
            kind = type(task)
            entry = {"operator": f"{kind.__module__}.{kind.__qualname__}"}
            entry |= {name: _yaml_value(value, ids) for name, value in _given(task).items()}
            if group is not None:
                entry["task_group_name"] = group.group_id
            if task.upstream_task_ids:
                entry["dependencies"] = sorted(task.upstream_task_ids)
            tasks[task.task_id] = entry
    return given | ({"task_groups": groups} if groups else {}) | {"tasks": tasks}


def _yaml_id(task: BaseOperator) -> str:
    group = task.task_group.group_id if task.task_group else None
    return f"{group}.{task.task_id}" if group else task.task_id


def _yaml_value(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"(?<=task_ids=')[^']*", lambda match: ids[match[0]], value)
    return value


def main(configuration: str, folder: str, files: str) -> None:
    from airflow_provider_idm import generate_dags  # noqa: PLC0415 - structure() alone is asked of the others, too

    dags = generate_dags(configuration, globals={}).values()
    (Path(folder) / "written.py").write_text(python_file(dags, configuration), encoding="utf-8")
    yaml_files(Path(folder) / "yaml", dags, int(files))


if __name__ == "__main__":
    main(*sys.argv[1:])
