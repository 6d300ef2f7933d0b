"""Connectors, connections and connection tables: the references between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context


def check_connectors(context: Context) -> None:
    """Check that what connectors, connections and connection tables refer to exists."""
    configuration = context.configuration
    for connector in configuration.connectors.values():
        subject = f"Connector {connector.identifier}"
        context.find(connector.location, subject, "Agent", connector.agent, configuration.agents)
    for connection in configuration.connections.values():
        subject = f"Connection {connection.identifier}"
        context.find(
            connection.location, subject, "Connector", connection.connector, configuration.connectors
        )
    for table in configuration.connection_tables:
        subject = f"ConnectionTable {table.identifier}"
        context.find(table.location, subject, "Connection", table.connection, configuration.connections)
