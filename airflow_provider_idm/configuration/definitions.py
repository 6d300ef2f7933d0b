"""The elements and attributes that a configuration may hold, as tables.

Everything that is read is listed here: what an element is called, which attributes it has, of which kind each is, which
are required, what the default is, and which children it may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_idm.configuration.attributes import (
    Attribute,
    boolean,
    connection_identifier,
    enumeration,
    enumeration_of,
    file_identifier,
    integer,
    number,
    property_identifier,
    property_reference,
    reference,
    text,
)
from airflow_provider_idm.configuration.columns import LAST_NAVIGATION
from airflow_provider_idm.configuration.cron import crontab
from airflow_provider_idm.configuration.formats import parse_format
from airflow_provider_idm.configuration.model import Deactivation, JobUse, PropertyType


def _no_child(_: str) -> Element | None:
    return None


@dataclass(frozen=True, slots=True)
class Element:
    """What one element may hold.

    :param open: attributes that are not listed are kept as written, without a warning.
    :param display_names: has ``DisplayName_L1`` to ``DisplayName_L16``.
    :param child: what a child of a name may hold, or None if such a child is not known.
    :param keep_xml: the element is kept as text, too.
    """

    name: str
    attributes: Mapping[str, Attribute]
    child: Callable[[str], Element | None] = _no_child
    open: bool = False
    display_names: bool = True
    keep_xml: bool = False


def _table(*attributes: Attribute) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


def _elements(*elements: Element) -> dict[str, Element]:
    return {element.name: element for element in elements}


def _flag(name: str) -> Attribute:
    return Attribute(name, boolean, default=False)


def _required(name: str) -> Attribute:
    return Attribute(name, reference, required=True)


def _thresholds(
    maximum: tuple[str, ...], percentage: tuple[str, ...], changes: tuple[str, ...]
) -> list[Attribute]:
    limits = [Attribute(f"{prefix}{change}Lines", integer(0)) for prefix in maximum for change in changes]
    return limits + [
        Attribute(f"{prefix}{change}Lines", number(0)) for prefix in percentage for change in changes
    ]


MAXIMUM: Final = "Maximum"
PERCENTAGE: Final = "MaxPercentage"
LINK_MAXIMUM: Final = "MaximumLink"
LINK_PERCENTAGES: Final = ("MaxLinkPercentage", "MaxPercentageLink")
RESOURCE_CHANGES: Final = ("Inserted", "Updated", "Deleted")
LINK_CHANGES: Final = ("Inserted", "Deleted")
_RESOURCE_THRESHOLDS = _thresholds((MAXIMUM,), (PERCENTAGE,), RESOURCE_CHANGES)
_LINK_THRESHOLDS = _thresholds((LINK_MAXIMUM,), LINK_PERCENTAGES, LINK_CHANGES)

_IDENTIFIER = Attribute("Identifier", reference, required=True)
_FILE_IDENTIFIER = Attribute("Identifier", file_identifier, required=True)
_DISPLAY_NAME = Attribute("DisplayName_L1", text, required=True)
_CONNECTION_TABLE = Attribute("ConnectionTable", file_identifier, required=True)
_JOB_USE = enumeration_of(
    {
        "Used": JobUse.USED,
        "NotUsed": JobUse.NOT_USED,
        "OnlySynchronization": JobUse.ONLY_SYNCHRONIZATION,
        "OnlyProvisioning": JobUse.ONLY_PROVISIONING,
    }
)
_PROPERTY_TYPES: dict[str, PropertyType] = {
    "String": PropertyType.STRING,
    "Bytes": PropertyType.BYTES,
    "Int32": PropertyType.INT32,
    "Int64": PropertyType.INT64,
    "DateTime": PropertyType.DATE_TIME,
    "Bool": PropertyType.BOOL,
    "Guid": PropertyType.GUID,
    "Double": PropertyType.DOUBLE,
    "Binary": PropertyType.BINARY,
    "Byte": PropertyType.BYTE,
    "Int16": PropertyType.INT16,
    "Option": PropertyType.INT64,
    "ForeignKey": PropertyType.FOREIGN_KEY,
}
_PROPERTY_TYPE_NUMBERS = dict(enumerate(_PROPERTY_TYPES))
_TRANSFORMATION_TYPES = {name: name for name in ("ConcatColumns", "TransformDate", "WhereValue")}
_OPERATORS = ("Equals", "NotEquals", "Contains", "NotContains", "StartsWith", "EndsWith", "Regex")

TRANSFORMATION = Element(
    "Transformation",
    _table(
        Attribute("Type", enumeration(_TRANSFORMATION_TYPES), required=True),
        Attribute("Table", reference, required=True),
        *(
            Attribute(name, text)
            for name in ("Column", "InputColumn", "ConcatSeparator", "DatePattern", "WhereValue")
        ),
        *(Attribute(f"InputColumn{n}", text) for n in range(2, 6)),
        *(_flag(name) for name in ("RemoveEmpty", "RemoveDuplicates", "SortValues")),
        Attribute("AddedDays", number()),
        Attribute("MinYear", integer(1, 9999)),
        Attribute("MaxYear", integer(1, 9999)),
        Attribute("WhereOperator", enumeration({name: name for name in _OPERATORS})),
    ),
    display_names=False,
)

ENTITY_ELEMENTS: Final = _elements(
    Element("Agent", _table(_IDENTIFIER, Attribute("URI", text))),
    Element(
        "Connector",
        _table(
            _FILE_IDENTIFIER,
            Attribute("Agent", reference),
            _flag("IsDeactivated"),
            Attribute("CompleteJob", _JOB_USE, default=JobUse.USED),
            Attribute("IncrementalJob", _JOB_USE, default=JobUse.USED),
            *_RESOURCE_THRESHOLDS,
            *_LINK_THRESHOLDS,
        ),
    ),
    Element(
        "Connection",
        _table(
            Attribute("Identifier", connection_identifier, required=True),
            _required("Connector"),
            _required("Package"),
            Attribute(
                "DeactivationExportFulfill",
                enumeration_of(
                    {
                        "None": Deactivation.NONE,
                        "Export": Deactivation.EXPORT,
                        "Fulfill": Deactivation.FULFILL,
                    }
                ),
                default=Deactivation.NONE,
            ),
        ),
        _elements(TRANSFORMATION).get,
    ),
    Element(
        "ConnectionTable",
        _table(_IDENTIFIER, Attribute("Connection", reference)),
        _elements(Element("Column", _table(Attribute("Identifier", text)), open=True)).get,
        open=True,
    ),
    Element(
        "EntityTypeMapping",
        _table(
            _FILE_IDENTIFIER,
            _required("Connector"),
            _CONNECTION_TABLE,
            Attribute("C0", text),
            *_RESOURCE_THRESHOLDS,
        ),
        _elements(
            Element(
                "Property",
                _table(
                    _IDENTIFIER,
                    Attribute("ConnectionColumn", text),
                    Attribute("Format", lambda value: parse_format(value) if value else None),
                    _flag("IsPrimaryKey"),
                    _flag("IsUniqueKey"),
                ),
                display_names=False,
            )
        ).get,
        display_names=False,
    ),
    Element(
        "EntityAssociationMapping",
        _table(
            _FILE_IDENTIFIER,
            _required("Connector"),
            _CONNECTION_TABLE,
            Attribute("Column1", text, required=True),
            Attribute("Column2", text, required=True),
            Attribute("EntityPropertyMapping1", property_reference, required=True),
            Attribute("EntityPropertyMapping2", property_reference, required=True),
            Attribute("C0", text),
            *_thresholds((MAXIMUM,), (PERCENTAGE,), LINK_CHANGES),
            *_LINK_THRESHOLDS,
        ),
        display_names=False,
    ),
    Element(
        "EntityType",
        _table(_FILE_IDENTIFIER, Attribute("TableName", text), Attribute("LicenseTag", text)),
        _elements(
            Element(
                "Property",
                _table(
                    Attribute("Identifier", property_identifier, required=True),
                    Attribute(
                        "Type",
                        enumeration(_PROPERTY_TYPES, _PROPERTY_TYPE_NUMBERS),
                        default=PropertyType.STRING,
                    ),
                    Attribute("TargetColumnIndex", integer(-1, LAST_NAVIGATION), default=-1),
                    _flag("IsKey"),
                    *(
                        Attribute(name, text)
                        for name in (
                            "Language",
                            "NeutralProperty",
                            "HistoryPrecision",
                            "GroupByProperty",
                            "FlexibleComparisonExpression",
                        )
                    ),
                ),
            )
        ).get,
    ),
    Element(
        "EntityAssociation",
        _table(
            _FILE_IDENTIFIER,
            Attribute("Property1", property_reference, required=True),
            Attribute("Property2", property_reference, required=True),
            _flag("IsProperty1Collection"),
            _flag("IsProperty2Collection"),
        ),
    ),
)
"""The elements that say what is synchronized: connectors and metadata."""

_SOURCE_TYPE = enumeration({name: name for name in ("None", "ActiveDirectory", "Changes")})
_MODE = enumeration({name: name for name in ("Initial", "Complete", "Incremental")})
_LEVEL = Attribute("Level", integer(-1), default=-1)
_TASK_ATTRIBUTES = (
    Attribute("Identifier", reference),
    _LEVEL,
    _flag("ContinueOnError"),
    Attribute("Agent", reference),
    Attribute("OpenIdClient", text),
    Attribute("Connector", reference),
)
DEPENDENCY: Final = "TaskDependsOnTask"
_DEPENDENCIES = _elements(
    Element(
        "TaskDependsOnTask", _table(Attribute("ParentTask", reference, required=True)), display_names=False
    )
)


def _task(name: str, *attributes: Attribute, is_open: bool = False) -> Element:
    return Element(
        name, _table(*_TASK_ATTRIBUTES, *attributes), _DEPENDENCIES.get, open=is_open, keep_xml=True
    )


KNOWN_TASKS: Final = _elements(
    _task("ExportTask", _required("Connection"), _flag("IgnoreCookieFile"), _flag("InitMode")),
    _task(
        "PrepareSynchronizationTask",
        _required("Connector"),
        Attribute("SynchronizationMode", _MODE),
        Attribute("Type", _SOURCE_TYPE),
        *(Attribute(name, text) for name in ("ColumnName", "WorkingDirectory", "SourcesDirectory")),
    ),
    _task(
        "SynchronizeTask",
        _required("Connector"),
        _DISPLAY_NAME,
        *(_flag(name) for name in ("DoNotDeleteChanges", "ForceSynchronization", "Orphans")),
        Attribute("Type", _SOURCE_TYPE),
    ),
    _task("SetRecentlyModifiedFlagTask"),
    _task("CreateDatabaseViewsTask"),
    _task("DeployConfigurationTask"),
    _task("InvokeSqlCommandTask", is_open=True),
)
"""The tasks whose attributes we know; every other element that ends in ``Task`` is a task with attributes of its own."""

_LOG_LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
_CRON = (
    Attribute("CronTabExpression", crontab),
    Attribute("CronTimeZone", enumeration({"UTC": False, "ServerTime": True}), default=False),
)

STEP: Final = Element("Step", _table(_IDENTIFIER, _LEVEL))


def _argument(name: str, *attributes: Attribute) -> Element:
    return Element(name, _table(*attributes), display_names=False)


_OCCURRENCES = ("Occurence", "CopyOccurence", "ChildOccurence", "ParentOccurence")
_ARGUMENTS = _elements(
    _argument("CronTabExpression", Attribute("CronTab", crontab, required=True), _CRON[1]),
    _argument("OpenIdIdentifier", _IDENTIFIER),
    _argument("NoSynchronization"),
    _argument("NoProvisioning"),
    _argument("NoConnectorSynchronization", _required("ConnectorIdentifier")),
    _argument("NotUsed", _required("ConnectorIdentifier")),
    _argument(
        "AddTask",
        _required("Task"),
        Attribute("TaskToCompareWith", reference),
        _flag("Before"),
        _flag("After"),
        *(Attribute(name, integer(0)) for name in _OCCURRENCES[:2]),
    ),
    _argument(
        "LinkDependTask",
        _required("Task"),
        _required("DependOn"),
        *(Attribute(name, integer(0)) for name in _OCCURRENCES[2:]),
    ),
    _argument("DoNotCreateJob"),
)


def _scaffolding(name: str, scope: str) -> Element:
    return Element(
        name, _table(_required(scope), Attribute("JobIdentifier", reference)), _ARGUMENTS.get, keep_xml=True
    )


SCAFFOLDINGS: Final = _elements(
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
    return Element(name, optional | _table(_IDENTIFIER), open=task.open)


def job_child_definition(name: str) -> Element | None:
    """Return what a child of a ``Job`` may hold, or None if we do not know it."""
    return STEP if name == STEP.name else override_definition(name) or task_definition(name)


JOB: Final = Element(
    "Job",
    _table(
        _IDENTIFIER,
        _DISPLAY_NAME,
        Attribute("Agent", reference),
        *_CRON,
        *(
            _flag(name)
            for name in ("IsIncremental", "IsInitializationJob", "IsConnectorJob", "UserStartDenied")
        ),
        Attribute(
            "LogLevel", enumeration({name: level for level, name in enumerate(_LOG_LEVELS)}), default=6
        ),
    ),
    job_child_definition,
    keep_xml=True,
)


def root_definition(name: str) -> Element | None:
    """Return what a child of the root element may hold, or None if we do not know it."""
    known = ENTITY_ELEMENTS.get(name) or SCAFFOLDINGS.get(name)
    return known or (JOB if name == JOB.name else task_definition(name))
