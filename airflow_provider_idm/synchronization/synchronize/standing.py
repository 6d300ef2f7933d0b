"""Where a connector stands in the repository before a batch."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.state import BatchRecord, ConnectorState, read_batches, read_state
from airflow_provider_idm.synchronization.synchronize.difference import StoredCounts


@dataclass(frozen=True, slots=True)
class Standing:
    """The connector's state, how much is stored, and the batches that are done, by id."""

    state: ConnectorState
    counts: StoredCounts
    records: dict[str, BatchRecord]


def read_standing(repository: Repository, catalogue: Catalogue) -> Standing:
    """Read where a registered connector stands."""
    types, associations = repository.tables.entity_types, repository.tables.entity_associations
    own = catalogue.connector
    with repository.reading() as connection:
        resources = connection.execute(
            select(types.c.Id, types.c.Resources).where(types.c.Connector_Id == own)
        )
        links = connection.execute(
            select(associations.c.Id, associations.c.Links).where(associations.c.Connector_Id == own)
        )
        return Standing(
            read_state(connection, repository.tables, own),
            StoredCounts({r.Id: r.Resources for r in resources}, {r.Id: r.Links for r in links}),
            read_batches(connection, repository.tables, own),
        )


def count_resources(repository: Repository, catalogue: Catalogue, standing: Standing) -> int:
    """Return how many resources of a connector are stored.

    Before the first batch the counters know nothing, and what somebody else may have put there is counted.
    """
    if standing.state.last_batch:
        return sum(standing.counts.resources.values())
    resources, types = repository.tables.resources, repository.tables.entity_types
    own = select(types.c.Id).where(types.c.Connector_Id == catalogue.connector)
    with repository.reading() as connection:
        return (
            connection.scalar(select(func.count()).select_from(resources).where(resources.c.Type.in_(own)))
            or 0
        )
