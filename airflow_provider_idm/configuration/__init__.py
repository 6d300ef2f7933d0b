"""From a folder of XML files to a checked, immutable model.

``read_configuration(folder)`` reads and checks; ``connector_mappings(configuration, identifier)`` resolves what one
connector's synchronization needs. Imports neither Airflow nor any database or data-frame library.
"""

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.configuration.model import Configuration
from airflow_provider_idm.configuration.read import check_configuration, read_configuration
from airflow_provider_idm.configuration.resolve import connector_mappings

__all__ = [
    "Configuration",
    "ConnectorMappings",
    "SourceType",
    "SynchronizationMode",
    "check_configuration",
    "connector_mappings",
    "read_configuration",
]
