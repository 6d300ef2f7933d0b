"""The typed, immutable model of an XML configuration.

``Configuration`` is what was read: every element as it stands in the files, with its place in them. What one connector's
synchronization needs of it is in ``mappings.py``. Nothing here reads files or checks rules: ``read.py`` does the one,
``checks/`` the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_idm.configuration.enums import Deactivation, FormatName, JobUse, PropertyType, Severity
from airflow_provider_idm.configuration.names import Identifiers, identified


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in the configuration: file (relative to the configuration folder) and line, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Placed(Protocol):
    """An element of the model."""

    @property
    def identifier(self) -> str:
        """Its identifier."""

    @property
    def location(self) -> Location:
        """Where it stands."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the configuration; ``str()`` gives ``file:line: message``."""

    location: Location
    message: str
    severity: Severity = field(default=Severity.ERROR, compare=False)

    def __str__(self) -> str:
        prefix = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.location}: {prefix}{self.message}"


@dataclass(frozen=True, slots=True)
class Format:
    """A parsed ``Format``: its name and what stands behind the colon.

    ``Concat:<sep>`` has ``separator``; ``Bit:<property>:<n>`` has ``bit_property`` and ``bit`` (0 is the lowest).
    """

    name: FormatName
    separator: str | None = None
    bit_property: str | None = None
    bit: int | None = None


# ------------------------------------------------------------------------------------------------------- elements

DisplayNames = Mapping[int, str]
"""Display names by language number, 1 to 16."""


@dataclass(frozen=True, slots=True)
class Agent:
    """``Agent``: the place that can reach managed systems."""

    identifier: str
    location: Location
    display_names: DisplayNames
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of one scope; lines are absolute numbers, percentages are of what is stored; 0 switches a limit off."""

    maximum_inserted_lines: int = 0
    maximum_updated_lines: int = 0
    maximum_deleted_lines: int = 0
    max_percentage_inserted_lines: float = 0
    max_percentage_updated_lines: float = 0
    max_percentage_deleted_lines: float = 0


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """Limits of a connector over the last days, counted from what was applied without anybody's consent.

    The XML has no attribute for it: it comes from the Airflow connection or from ``generate_dags``.

    :param days: length of the window, which ends now.
    """

    days: float
    resource_thresholds: Thresholds
    link_thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Connector:
    """``Connector``: one managed system."""

    identifier: str
    location: Location
    display_names: DisplayNames
    agent: str | None
    is_deactivated: bool
    complete_job: JobUse
    incremental_job: JobUse
    resource_thresholds: Thresholds
    link_thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Transformation:
    """``Transformation`` of a connection: kept as written, applied in file order between export and prepare."""

    location: Location
    type: str
    table: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connection:
    """``Connection``: how a connector's data is reached."""

    identifier: str
    location: Location
    display_names: DisplayNames
    connector: str
    package: str
    deactivation: Deactivation
    transformations: tuple[Transformation, ...]


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """``ConnectionTable``: a schema hint, used to give better error messages."""

    identifier: str
    location: Location
    connection: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PropertyMapping:
    """``Property`` of an ``EntityTypeMapping``."""

    identifier: str
    location: Location
    connection_column: str | None
    format: Format | None
    is_primary_key: bool
    is_unique_key: bool


@dataclass(frozen=True, slots=True)
class EntityTypeMapping:
    """``EntityTypeMapping``: which file and columns fill which entity type."""

    identifier: str
    location: Location
    connector: str
    connection_table: str
    properties: tuple[PropertyMapping, ...]
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class PropertyReference:
    """``EntityType:Property``, as associations and their mappings write it."""

    entity_type: str
    property: str

    def __str__(self) -> str:
        return f"{self.entity_type}:{self.property}"


@dataclass(frozen=True, slots=True)
class EntityAssociationMapping:
    """``EntityAssociationMapping``: the two columns whose rows are an association's links."""

    identifier: str
    location: Location
    connector: str
    connection_table: str
    column1: str
    column2: str
    entity_property_mapping1: PropertyReference
    entity_property_mapping2: PropertyReference
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class EntityProperty:
    """``Property`` of an ``EntityType``."""

    identifier: str
    location: Location
    display_names: DisplayNames
    type: PropertyType
    target_column_index: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class EntityType:
    """``EntityType``: what kind of resource."""

    identifier: str
    location: Location
    display_names: DisplayNames
    table_name: str | None
    properties: tuple[EntityProperty, ...]


@dataclass(frozen=True, slots=True)
class EntityAssociation:
    """``EntityAssociation``: which property of one entity type holds resources of another, in both directions."""

    identifier: str
    location: Location
    display_names: DisplayNames
    property1: PropertyReference
    property2: PropertyReference
    is_property1_collection: bool
    is_property2_collection: bool


@dataclass(frozen=True, slots=True)
class TaskElement:
    """A ``…Task`` element, with its attributes as written (names as in the XML).

    ``element`` is the element's name, ``depends_on`` the ``ParentTask`` of its ``TaskDependsOnTask`` children, ``xml``
    the element as it stands in the file: empty for one that a scaffolding made (``writing.py`` writes any).
    """

    element: str
    identifier: str
    location: Location
    display_names: DisplayNames
    level: int
    agent: str | None
    continue_on_error: bool
    attributes: Mapping[str, str]
    depends_on: tuple[str, ...] = ()
    xml: str = ""
    _values: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_values", {k.casefold(): v for k, v in self.attributes.items()})

    def get(self, name: str) -> str | None:
        """Return an attribute without space around it, the name in any case; None if it is absent or empty."""
        return self._values.get(name.casefold(), "").strip() or None

    def get_bool(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean attribute (``true/false/1/0`` in any case; checked when the configuration was read)."""
        value = self.get(name)
        return default if value is None else value.casefold() in {"true", "1"}


@dataclass(frozen=True, slots=True)
class Step:
    """``Step`` of a job: a task defined elsewhere.

    ``depends_on`` comes on top of what the task depends on wherever it runs.
    """

    identifier: str
    location: Location
    level: int
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskOverride:
    """``XxxTaskOverride`` of a job: task ``identifier`` of element ``element`` with other attributes.

    ``depends_on`` comes on top of what the task depends on wherever it runs.
    """

    element: str
    identifier: str
    location: Location
    attributes: Mapping[str, str]
    depends_on: tuple[str, ...] = ()


JobChild = TaskElement | Step | TaskOverride


@dataclass(frozen=True, slots=True)
class Job:
    """``Job``: becomes one DAG.

    ``scaffolding`` is the element that it was made from, None if it is written out; then ``location`` and those of its
    tasks are the scaffolding's, and ``xml`` is empty (``writing.py`` writes any).
    """

    identifier: str
    location: Location
    display_names: DisplayNames
    agent: str | None
    cron: str | None
    server_time: bool
    is_incremental: bool
    is_initialization_job: bool
    is_connector_job: bool
    log_level: int
    user_start_denied: bool
    children: tuple[JobChild, ...]
    xml: str = ""
    scaffolding: str | None = None


@dataclass(frozen=True, slots=True)
class ScaffoldingArgument:
    """A child of a scaffolding: ``attributes`` as written, ``values`` by name for all that the element may have."""

    element: str
    location: Location
    attributes: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scaffolding:
    """A scaffolding element (``CreateConnectorSynchroComplete`` …), as written with its arguments in file order.

    The job that it stands for is among the configuration's, see ``scaffolding/``.
    """

    element: str
    location: Location
    display_names: DisplayNames
    attributes: Mapping[str, str]
    arguments: tuple[ScaffoldingArgument, ...]
    xml: str = ""

    def get(self, name: str) -> str | None:
        """Return an attribute without space around it; None if it is absent or empty."""
        return self.attributes.get(name, "").strip() or None

    def has(self, argument: str) -> bool:
        """Return whether it has an argument of that element name."""
        return any(given.element == argument for given in self.arguments)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration.

    The mappings hold identifiers as written and find them in any case. References between elements (``connector``,
    ``agent`` …) stand as written too: look them up in these mappings.
    """

    folder: str
    agents: Mapping[str, Agent]
    connectors: Mapping[str, Connector]
    connections: Mapping[str, Connection]
    connection_tables: tuple[ConnectionTable, ...]
    entity_types: Mapping[str, EntityType]
    entity_associations: Mapping[str, EntityAssociation]
    entity_type_mappings: Mapping[str, EntityTypeMapping]
    entity_association_mappings: Mapping[str, EntityAssociationMapping]
    jobs: Mapping[str, Job]
    """Jobs that are written out, then those of scaffoldings."""
    tasks: Mapping[str, TaskElement]
    """Tasks outside any job, definitions that a ``Step`` may run; then those of scaffoldings with ``DoNotCreateJob``."""
    scaffoldings: tuple[Scaffolding, ...]
    problems: tuple[Problem, ...]
    """Warnings, and errors too where the reader was asked not to raise."""
    _tasks_in_jobs: Identifiers[TaskElement] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        children = (child for job in self.jobs.values() for child in job.children)
        tasks = identified(child for child in children if isinstance(child, TaskElement))
        object.__setattr__(self, "_tasks_in_jobs", tasks)

    def find_task(self, identifier: str) -> TaskElement | None:
        """Return the task that a ``Step`` or override names: one outside any job, else one written out in a job."""
        return self.tasks.get(identifier) or self._tasks_in_jobs.get(identifier)
