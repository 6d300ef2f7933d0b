"""The typed, immutable model of an XML configuration.

``Configuration`` is what was read: every element as it stands in the files, with its place in them.
``ConnectorMappings`` is what one connector's synchronization needs of it, resolved: entity types with the columns
their properties are stored in, associations with the keys that resolve them. Prepare and synchronize only ever see
the second.

Nothing here reads files or checks rules; ``read.py`` does the one and ``checks.py`` the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol


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


class Severity(Enum):
    """Whether a problem stops the configuration from being used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the configuration; ``str()`` gives ``file:line: message``."""

    location: Location
    message: str
    severity: Severity = field(default=Severity.ERROR, compare=False)

    def __str__(self) -> str:
        prefix = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.location}: {prefix}{self.message}"


# --------------------------------------------------------------------------------------------------- enumerations


class PropertyType(IntEnum):
    """``Type`` of an entity property."""

    STRING = 0
    BYTES = 1
    INT32 = 2
    INT64 = 3
    DATE_TIME = 4
    BOOL = 5
    GUID = 6
    DOUBLE = 7
    BINARY = 8
    BYTE = 9
    INT16 = 10
    FOREIGN_KEY = 12


class JobUse(IntEnum):
    """``CompleteJob``/``IncrementalJob`` of a connector: what generated jobs do with it."""

    USED = 0
    NOT_USED = 1
    ONLY_SYNCHRONIZATION = 2
    ONLY_PROVISIONING = 3


class Deactivation(IntEnum):
    """``DeactivationExportFulfill`` of a connection."""

    NONE = 0
    EXPORT = 1
    FULFILL = 2


class SynchronizationMode(IntEnum):
    """``SynchronizationMode`` of a prepare."""

    INITIAL = 0
    COMPLETE = 1
    INCREMENTAL = 2


class SourceType(Enum):
    """``Type`` of a prepare and a synchronize: what the source files hold."""

    NONE = "None"
    ACTIVE_DIRECTORY = "ActiveDirectory"
    CHANGES = "Changes"


class FormatName(Enum):
    """``Format`` of a mapped property: how the source wrote a value."""

    CONCAT = "Concat"
    MULTIVALUED_TEXT = "MultivaluedText"
    RDN = "RDN"
    SID = "SID"
    BOOL = "Bool"
    BYTE = "Byte"
    INT16 = "Int16"
    INT32 = "Int32"
    INT64 = "Int64"
    BIT = "Bit"
    DOUBLE = "Double"
    DATE_TIME = "DateTime"
    DATE = "Date"
    DATE_1601 = "1601Date"
    GUID = "Guid"
    BYTES = "Bytes"
    BINARY = "Binary"


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
    the element as text.
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

    def get(self, name: str) -> str | None:
        """Return an attribute without space around it, the name in any case; None if it is absent or empty."""
        wanted = name.casefold()
        for key, value in self.attributes.items():
            if key.casefold() == wanted:
                return value.strip() or None
        return None

    def get_bool(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean attribute (``true/false/1/0`` in any case; checked when the configuration was read)."""
        value = self.get(name)
        return default if value is None else value.casefold() in {"true", "1"}


@dataclass(frozen=True, slots=True)
class Step:
    """``Step`` of a job: a task defined elsewhere."""

    identifier: str
    location: Location
    level: int


@dataclass(frozen=True, slots=True)
class TaskOverride:
    """``XxxTaskOverride`` of a job: task ``identifier`` of element ``element`` with other attributes."""

    element: str
    identifier: str
    location: Location
    attributes: Mapping[str, str]


JobChild = TaskElement | Step | TaskOverride


@dataclass(frozen=True, slots=True)
class Job:
    """``Job``: becomes one DAG."""

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


@dataclass(frozen=True, slots=True)
class Scaffolding:
    """A scaffolding element (``CreateConnectorSynchroComplete`` …), kept as written with its argument children.

    ``arguments`` holds (element name, attributes as written) in file order.
    """

    element: str
    location: Location
    attributes: Mapping[str, str]
    arguments: tuple[tuple[str, Mapping[str, str]], ...]
    xml: str = ""


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
    tasks: Mapping[str, TaskElement]
    """Tasks outside any job: definitions that a ``Step`` may run."""
    scaffoldings: tuple[Scaffolding, ...]
    problems: tuple[Problem, ...]
    """Warnings, and errors too where the reader was asked not to raise."""

    def find_task(self, identifier: str) -> TaskElement | None:
        """Return the task that a ``Step`` or override names: one outside any job, else one written out in a job."""
        if identifier in self.tasks:
            return self.tasks[identifier]
        wanted = identifier.casefold()
        inside = (
            child for job in self.jobs.values() for child in job.children if isinstance(child, TaskElement)
        )
        return next((task for task in inside if task.identifier.casefold() == wanted), None)


# ----------------------------------------------------------------------------------- what a synchronization needs


@dataclass(frozen=True, slots=True)
class MappedProperty:
    """One mapped property of an entity type, resolved.

    :param identifier: the property, as the entity type writes it; the column name in all clean files.
    :param type: its type, which decides the canonical form.
    :param format: how the source writes it, or None for the type's obvious notations.
    :param connection_column: the source column; None for a ``Bit`` format, which is read off another property.
    :param column: where ``UR_Resources`` keeps it (``C0`` … ``C3V``); None for a Binary kept in ``UR_ResourceFiles``.
    :param max_length: characters the narrowest place it is stored in holds; None for a file.
    :param is_primary_key: whether it is the primary key.
    :param unique_key: 0, 1 or 2 for a unique key (column ``U0`` …), in mapping order, else None.
    """

    identifier: str
    type: PropertyType
    format: Format | None
    connection_column: str | None
    column: str | None
    max_length: int | None
    is_primary_key: bool
    unique_key: int | None


@dataclass(frozen=True, slots=True)
class MappedEntityType:
    """One entity type of a connector: which source file fills it and what its properties are.

    :param table: the source file's name without ``.csv``.
    :param properties: mapped properties in mapping order (those that are never read are left out).
    """

    identifier: str
    location: Location
    table: str
    properties: tuple[MappedProperty, ...]
    thresholds: Thresholds

    @property
    def primary_key(self) -> MappedProperty:
        """The primary key."""
        return next(p for p in self.properties if p.is_primary_key)

    def find_property(self, identifier: str) -> MappedProperty:
        """Return a mapped property, its identifier in any case."""
        wanted = identifier.casefold()
        return next(p for p in self.properties if p.identifier.casefold() == wanted)


@dataclass(frozen=True, slots=True)
class KeyReference:
    """One side of a mapped association: the key property by which its rows name a resource."""

    entity_type: str
    key: MappedProperty

    @property
    def column(self) -> str:
        """The key column of ``UR_Resources``: ``PrimaryKey``, ``U0``, ``U1`` or ``U2``."""
        return "PrimaryKey" if self.key.is_primary_key else f"U{self.key.unique_key}"


@dataclass(frozen=True, slots=True)
class MappedAssociation:
    """One association of a connector, resolved.

    :param table: the source file's name without ``.csv``; ``column1``/``column2`` are its columns.
    :param key1: what column 1 refers to; ``key2`` likewise.
    :param navigation1: ``I40`` … if side 1 keeps the other side's id in its own row, else None; ``navigation2``
        likewise. With neither, links are rows of ``UR_ResourceLinks``.
    :param mono1: a resource of side 1 has at most one link; ``mono2`` likewise for side 2.
    :param owner: 1 or 2 if the association reads the table of that side's entity type by that entity's own key column
        (each entity's row brings its link), else None.
    """

    identifier: str
    location: Location
    table: str
    column1: str
    column2: str
    key1: KeyReference
    key2: KeyReference
    navigation1: str | None
    navigation2: str | None
    mono1: bool
    mono2: bool
    owner: int | None
    thresholds: Thresholds

    @property
    def has_link_table(self) -> bool:
        """Whether its links are rows of ``UR_ResourceLinks``."""
        return self.navigation1 is None and self.navigation2 is None


@dataclass(frozen=True, slots=True)
class ConnectorMappings:
    """All that prepare and synchronize need to know of one connector.

    :param metadata: every entity type and association that the mappings name, with all properties, for the ``UM_``
        tables.
    :param fingerprint: SHA-256 (hex) of all that decides what clean files hold and how they are stored; display names
        and thresholds do not count.
    """

    connector: Connector
    entity_types: tuple[MappedEntityType, ...]
    associations: tuple[MappedAssociation, ...]
    metadata: tuple[EntityType, ...]
    association_metadata: tuple[EntityAssociation, ...]
    fingerprint: str

    def entity_type(self, identifier: str) -> MappedEntityType:
        """Return a mapped entity type, its identifier in any case."""
        wanted = identifier.casefold()
        return next(e for e in self.entity_types if e.identifier.casefold() == wanted)

    def association(self, identifier: str) -> MappedAssociation:
        """Return a mapped association, its identifier in any case."""
        wanted = identifier.casefold()
        return next(a for a in self.associations if a.identifier.casefold() == wanted)
