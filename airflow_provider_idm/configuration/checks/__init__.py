"""What must hold between the elements of a configuration, beyond what each attribute's kind says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.checks.associations import (
    check_association_mappings,
    check_associations,
)
from airflow_provider_idm.configuration.checks.connectors import check_connectors
from airflow_provider_idm.configuration.checks.jobs import check_jobs
from airflow_provider_idm.configuration.checks.mappings import check_entity_type_mappings
from airflow_provider_idm.configuration.checks.metadata import check_entity_types
from airflow_provider_idm.configuration.checks.transformations import check_transformations

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.checks.context import Context


def check(context: Context) -> None:
    """Check everything; what is wrong is added to the context's problems."""
    check_connectors(context)
    check_transformations(context)
    check_entity_types(context)
    check_associations(context)
    check_entity_type_mappings(context)
    check_association_mappings(context)
    check_jobs(context)
