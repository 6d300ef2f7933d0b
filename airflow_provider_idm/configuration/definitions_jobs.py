"""The elements and attributes that a configuration may hold, as tables: jobs, tasks and scaffoldings."""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.configuration.attributes import (
    Attribute,
    enumeration,
    integer,
    reference,
    text,
)
from airflow_provider_idm.configuration.cron import crontab
from airflow_provider_idm.configuration.element import IDENTIFIER, Element, elements, flag, required, table

_DISPLAY_NAME = Attribute("DisplayName_L1", text, required=True)
_SOURCE_TYPE = enumeration({name: name for name in ("None", "ActiveDirectory", "Changes")})
_MODE = enumeration({name: name for name in ("Initial", "Complete", "Incremental")})
_LEVEL = Attribute("Level", integer(-1), default=-1)
_TASK_ATTRIBUTES = (
    Attribute("Identifier", reference),
    _LEVEL,
    flag("ContinueOnError"),
    Attribute("Agent", reference),
    Attribute("OpenIdClient", text),
    Attribute("Connector", reference),
)
DEPENDENCY: Final = "TaskDependsOnTask"
INVOKE_SQL_COMMAND: Final = "InvokeSqlCommandTask"
PREPARE: Final = "PrepareSynchronizationTask"
MODE: Final = "SynchronizationMode"
SQL_SOURCES: Final = ("SQLCommand", "SQLInputFile")
"""The attributes of which an ``InvokeSqlCommandTask`` has exactly one."""
_DEPENDENCIES = elements(
    Element(
        "TaskDependsOnTask", table(Attribute("ParentTask", reference, required=True)), display_names=False
    )
)


def _task(name: str, *attributes: Attribute, is_open: bool = False) -> Element:
    return Element(
        name, table(*_TASK_ATTRIBUTES, *attributes), _DEPENDENCIES.get, open=is_open, keep_xml=True
    )


KNOWN_TASKS: Final = elements(
    _task("ExportTask", required("Connection"), flag("IgnoreCookieFile"), flag("InitMode")),
    _task(
        PREPARE,
        required("Connector"),
        Attribute(MODE, _MODE),
        Attribute("Type", _SOURCE_TYPE),
        *(Attribute(name, text) for name in ("ColumnName", "WorkingDirectory", "SourcesDirectory")),
    ),
    _task(
        "SynchronizeTask",
        required("Connector"),
        _DISPLAY_NAME,
        *(flag(name) for name in ("DoNotDeleteChanges", "ForceSynchronization", "Orphans")),
        Attribute("Type", _SOURCE_TYPE),
    ),
    _task("SetRecentlyModifiedFlagTask"),
    _task("CreateDatabaseViewsTask"),
    _task("DeployConfigurationTask"),
    _task(
        INVOKE_SQL_COMMAND,
        *(Attribute(name, text) for name in SQL_SOURCES),
        *(Attribute(name, text) for name in ("DatabaseIdentifier", "OutputPath", "Encoding")),
        *(Attribute(name, text) for name in ("IsolationLevel", "Provider", "ProviderAssemblyQualifiedName")),
        flag("IsNotAQuery"),
        Attribute("Timeout", integer(0)),
    ),
)
"""The tasks whose attributes we know; every other element that ends in ``Task`` is a task with attributes of its own."""

LOG_LEVELS: Final = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
_CRON = (
    Attribute("CronTabExpression", crontab),
    Attribute("CronTimeZone", enumeration({"UTC": False, "ServerTime": True}), default=False),
)

STEP: Final = Element("Step", table(IDENTIFIER, _LEVEL), _DEPENDENCIES.get)


def _argument(name: str, *attributes: Attribute) -> Element:
    return Element(name, table(*attributes), display_names=False)


_OCCURRENCES = ("Occurence", "CopyOccurence", "ChildOccurence", "ParentOccurence")
_ARGUMENTS = elements(
    _argument("CronTabExpression", Attribute("CronTab", crontab, required=True), _CRON[1]),
    _argument("OpenIdIdentifier", IDENTIFIER),
    _argument("NoSynchronization"),
    _argument("NoProvisioning"),
    _argument("NoConnectorSynchronization", required("ConnectorIdentifier")),
    _argument("NotUsed", required("ConnectorIdentifier")),
    _argument(
        "AddTask",
        required("Task"),
        Attribute("TaskToCompareWith", reference),
        flag("Before"),
        flag("After"),
        *(Attribute(name, integer(0)) for name in _OCCURRENCES[:2]),
    ),
    _argument(
        "LinkDependTask",
        required("Task"),
        required("DependOn"),
        *(Attribute(name, integer(0)) for name in _OCCURRENCES[2:]),
    ),
    _argument("DoNotCreateJob"),
)


def _scaffolding(name: str, scope: str) -> Element:
    return Element(
        name, table(required(scope), Attribute("JobIdentifier", reference)), _ARGUMENTS.get, keep_xml=True
    )


SCAFFOLDINGS: Final = elements(
    _scaffolding("CreateConnectorSynchroComplete", "Connector"),
    _scaffolding("CreateConnectorSynchroIncremental", "Connector"),
    _scaffolding("CreateAgentSynchroComplete", "Agent"),
    _scaffolding("CreateAgentSynchroIncremental", "Agent"),
    _scaffolding("CreateInitializationJob", "Agent"),
)
"""Elements that stand for whole jobs."""

_OVERRIDE_ENDING = "TaskOverride"


def task_definition(name: str) -> Element | None:
    """Return what a task element may hold, or None if an element of that name is no task."""
    if not name.endswith("Task") or name == DEPENDENCY:
        return None
    return KNOWN_TASKS.get(name) or _task(name, is_open=True)


def override_definition(name: str) -> Element | None:
    """Return what a ``XxxTaskOverride`` may hold: its task's attributes, none required but the identifier."""
    task = task_definition(name.removesuffix("Override")) if name.endswith(_OVERRIDE_ENDING) else None
    if task is None:
        return None
    optional = {a.name: Attribute(a.name, a.kind) for a in task.attributes.values()}
    return Element(name, optional | table(IDENTIFIER), _DEPENDENCIES.get, open=task.open)


def job_child_definition(name: str) -> Element | None:
    """Return what a child of a ``Job`` may hold, or None if we do not know it."""
    return STEP if name == STEP.name else override_definition(name) or task_definition(name)


JOB: Final = Element(
    "Job",
    table(
        IDENTIFIER,
        _DISPLAY_NAME,
        Attribute("Agent", reference),
        *_CRON,
        *(
            flag(name)
            for name in ("IsIncremental", "IsInitializationJob", "IsConnectorJob", "UserStartDenied")
        ),
        Attribute("LogLevel", enumeration({name: level for level, name in enumerate(LOG_LEVELS)}), default=6),
    ),
    job_child_definition,
    keep_xml=True,
)
