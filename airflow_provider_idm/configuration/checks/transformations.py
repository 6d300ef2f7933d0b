"""Transformations of connections: what each type needs, and the table that each names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.names import table_name
from airflow_provider_idm.configuration.transformations import ATTRIBUTES, parse_transformation

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context
    from airflow_provider_idm.configuration.model import Connection, Transformation


def check_transformations(context: Context) -> None:
    """Check the transformations of all connections."""
    for connection in context.configuration.connections.values():
        for transformation in connection.transformations:
            _check(context, connection, transformation)


def _check(context: Context, connection: Connection, transformation: Transformation) -> None:
    location = transformation.location
    broken = context.broken.get((location, ""), frozenset())
    subject = f"Transformation of Connection {connection.identifier}"
    name = connection.identifier
    table = table_name(transformation.table)
    if "Table" not in broken and table != name and not table.startswith(f"{name}_"):
        message = (
            f'{subject}: Table="{transformation.table}": expected a table of this connection: '
            f"{name}_<dataset>, or {name} where it exports a single table (upper and lower case matter)"
        )
        context.problems.error(location, message)
    if "Type" in broken:
        return
    used = ATTRIBUTES[transformation.type]
    known = frozenset().union(*ATTRIBUTES.values())
    for attribute in transformation.attributes:
        if attribute in known - used:
            others = " or ".join(kind for kind, names in ATTRIBUTES.items() if attribute in names)
            context.problems.warning(
                location,
                f"{subject}: {attribute} is ignored, for Type {transformation.type} does not use it ({others} does)",
            )
    if broken & used:
        return
    try:
        parse_transformation(transformation)
    except ValueError as error:
        context.problems.error(location, f"{subject}: {error}")
