"""The elements and attributes that a configuration may hold, as tables: connectors, mappings and metadata.

Everything that is read is listed here and in ``definitions_jobs.py``: what an element is called, which attributes it
has, of which kind each is, which are required, what the default is, and which children it may have.
"""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.configuration.attributes import (
    Attribute,
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
from airflow_provider_idm.configuration.definitions_jobs import JOB, SCAFFOLDINGS, task_definition
from airflow_provider_idm.configuration.element import IDENTIFIER, Element, elements, flag, required, table
from airflow_provider_idm.configuration.enums import Deactivation, JobUse, PropertyType
from airflow_provider_idm.configuration.formats import parse_format
from airflow_provider_idm.configuration.transformations import INPUT_COLUMNS, OPERATORS, TYPES


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

_FILE_IDENTIFIER = Attribute("Identifier", file_identifier, required=True)
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

TRANSFORMATION = Element(
    "Transformation",
    table(
        Attribute("Type", enumeration({name: name for name in TYPES}), required=True),
        Attribute("Table", reference, required=True),
        *(
            Attribute(name, text)
            for name in ("Column", *INPUT_COLUMNS, "ConcatSeparator", "DatePattern", "WhereValue")
        ),
        *(flag(name) for name in ("RemoveEmpty", "RemoveDuplicates", "SortValues")),
        Attribute("AddedDays", number()),
        Attribute("MinYear", integer(1, 9999)),
        Attribute("MaxYear", integer(1, 9999)),
        Attribute("WhereOperator", enumeration({name: name for name in OPERATORS})),
    ),
    display_names=False,
)

ENTITY_ELEMENTS: Final = elements(
    Element("Agent", table(IDENTIFIER, Attribute("URI", text))),
    Element(
        "Connector",
        table(
            _FILE_IDENTIFIER,
            Attribute("Agent", reference),
            flag("IsDeactivated"),
            Attribute("CompleteJob", _JOB_USE, default=JobUse.USED),
            Attribute("IncrementalJob", _JOB_USE, default=JobUse.USED),
            *_RESOURCE_THRESHOLDS,
            *_LINK_THRESHOLDS,
        ),
    ),
    Element(
        "Connection",
        table(
            Attribute("Identifier", connection_identifier, required=True),
            required("Connector"),
            required("Package"),
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
        elements(TRANSFORMATION).get,
    ),
    Element(
        "ConnectionTable",
        table(IDENTIFIER, Attribute("Connection", reference)),
        elements(Element("Column", table(Attribute("Identifier", text)), open=True)).get,
        open=True,
    ),
    Element(
        "EntityTypeMapping",
        table(
            _FILE_IDENTIFIER,
            required("Connector"),
            _CONNECTION_TABLE,
            Attribute("C0", text),
            *_RESOURCE_THRESHOLDS,
        ),
        elements(
            Element(
                "Property",
                table(
                    IDENTIFIER,
                    Attribute("ConnectionColumn", text),
                    Attribute("Format", lambda value: parse_format(value) if value else None),
                    flag("IsPrimaryKey"),
                    flag("IsUniqueKey"),
                ),
                display_names=False,
            )
        ).get,
        display_names=False,
    ),
    Element(
        "EntityAssociationMapping",
        table(
            _FILE_IDENTIFIER,
            required("Connector"),
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
        table(_FILE_IDENTIFIER, Attribute("TableName", text), Attribute("LicenseTag", text)),
        elements(
            Element(
                "Property",
                table(
                    Attribute("Identifier", property_identifier, required=True),
                    Attribute(
                        "Type",
                        enumeration(_PROPERTY_TYPES, _PROPERTY_TYPE_NUMBERS),
                        default=PropertyType.STRING,
                    ),
                    Attribute("TargetColumnIndex", integer(-1, LAST_NAVIGATION), default=-1),
                    flag("IsKey"),
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
        table(
            _FILE_IDENTIFIER,
            Attribute("Property1", property_reference, required=True),
            Attribute("Property2", property_reference, required=True),
            flag("IsProperty1Collection"),
            flag("IsProperty2Collection"),
        ),
    ),
)
"""The elements that say what is synchronized: connectors and metadata."""


def root_definition(name: str) -> Element | None:
    """Return what a child of the root element may hold, or None if we do not know it."""
    known = ENTITY_ELEMENTS.get(name) or SCAFFOLDINGS.get(name)
    return known or (JOB if name == JOB.name else task_definition(name))
