"""Where a connector stands in the repository before a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from airflow_provider_idm.repository import Repository
from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.repository.state import (
    BatchRecord,
    ConnectorState,
    read_batch_ids,
    read_batches,
    read_state,
)
from airflow_provider_idm.synchronization.synchronize.difference import StoredCounts


class Records(Mapping[str, BatchRecord]):
    """The batches that the repository is done with, by id; of the thousands that there may be only ids are read.

    The record of one is read when it is asked for.
    """

    def __init__(self, repository: Repository, connector: int, ids: frozenset[str]) -> None:
        self._repository = repository
        self._connector = connector
        self._ids = ids

    def __getitem__(self, batch: str) -> BatchRecord:
        """Return a batch's record."""
        if batch not in self._ids:
            raise KeyError(batch)
        with self._repository.reading() as connection:
            return read_batches(connection, self._repository.tables, self._connector, batch)[batch]

    def __contains__(self, batch: object) -> bool:
        """Whether the repository is done with a batch."""
        return batch in self._ids

    def __iter__(self) -> Iterator[str]:
        """Go through the ids."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Count them."""
        return len(self._ids)

    def since(self, moment: datetime) -> list[BatchRecord]:
        """Return what was finished after a moment (UTC), the earliest first."""
        with self._repository.reading() as connection:
            found = read_batches(connection, self._repository.tables, self._connector, since=moment)
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """The connector's state, how much is stored, and the batches that are done, by id."""

    state: ConnectorState
    counts: StoredCounts
    records: Records


def read_standing(repository: Repository, catalogue: Catalogue) -> Standing:
    """Read where a registered connector stands."""
    types, associations = repository.tables.entity_types, repository.tables.entity_associations
    own = catalogue.connector
    with repository.snapshot() as connection:
        resources = connection.execute(
            select(types.c.Id, types.c.Resources).where(types.c.Connector_Id == own)
        )
        links = connection.execute(
            select(associations.c.Id, associations.c.Links).where(associations.c.Connector_Id == own)
        )
        return Standing(
            read_state(connection, repository.tables, own),
            StoredCounts({r.Id: r.Resources for r in resources}, {r.Id: r.Links for r in links}),
            Records(repository, own, read_batch_ids(connection, repository.tables, own)),
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
