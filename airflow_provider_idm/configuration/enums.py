"""The enumerations of the configuration, with their numbers where the XML may give those."""

from __future__ import annotations

from enum import Enum, IntEnum


class Severity(Enum):
    """Whether a problem stops the configuration from being used."""

    ERROR = "error"
    WARNING = "warning"


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
