"""Which thresholds a difference exceeds: pure arithmetic on counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from airflow_provider_idm.synchronization.synchronize.result import ExceededThreshold

_CHANGES: Final = ("inserted", "updated", "deleted")
_LINK: Final = "Link"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Changes of one scope, and how much of it was stored before them."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    stored: int = 0

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.stored + other.stored,
        )

    def following(self, earlier: Numbers) -> Numbers:
        """Add earlier changes to what changes now; a batch that, say, deletes nothing does not answer for deletions."""
        return Numbers(
            self.inserted and self.inserted + earlier.inserted,
            self.updated and self.updated + earlier.updated,
            self.deleted and self.deleted + earlier.deleted,
            self.stored,
        )


@dataclass(frozen=True, slots=True)
class ConnectorNumbers:
    """What a batch would change of a connector.

    :param entity_types: by identifier; ``associations`` likewise.
    :param unmapped_resources: what is stored of entity types that have no mapping any more.
    :param unmapped_links: likewise of associations; links that go with their resources count as deleted.
    """

    entity_types: Mapping[str, Numbers]
    associations: Mapping[str, Numbers]
    unmapped_resources: Numbers = Numbers()
    unmapped_links: Numbers = Numbers()

    @property
    def resources(self) -> Numbers:
        """All resources of the connector."""
        return sum(self.entity_types.values(), self.unmapped_resources)

    @property
    def links(self) -> Numbers:
        """All links of the connector."""
        return sum(self.associations.values(), self.unmapped_links)


def exceeded_thresholds(
    mappings: ConnectorMappings,
    numbers: ConnectorNumbers,
    *,
    rolling: RollingWindow | None = None,
    applied: Iterable[Mapping[str, Any]] = (),
) -> tuple[ExceededThreshold, ...]:
    """Return every threshold that is exceeded, from the narrowest scope to the widest.

    :param rolling: limits over the last days, if there are any.
    :param applied: what was applied within these days, each as ``SynchronizeResult.as_dict()``.
    """
    found: list[ExceededThreshold] = []
    for entity_type in mappings.entity_types:
        scope = f"EntityTypeMapping {entity_type.identifier}"
        found += _check(scope, entity_type.thresholds, numbers.entity_types[entity_type.identifier])
    for association in mappings.associations:
        scope = f"EntityAssociationMapping {association.identifier}"
        found += _check(scope, association.thresholds, numbers.associations[association.identifier])
    connector = mappings.connector
    scope = f"Connector {connector.identifier}"
    found += _check(scope, connector.resource_thresholds, numbers.resources)
    found += _check(scope, connector.link_thresholds, numbers.links, _LINK)
    if rolling is not None:
        resources, links = Numbers(), Numbers()
        for result in applied:
            resources += _applied(result["entity_types"])
            links += _applied(result["associations"])
        scope = f"{scope}, last {rolling.days:g} days"
        found += _check(scope, rolling.resource_thresholds, numbers.resources.following(resources))
        found += _check(scope, rolling.link_thresholds, numbers.links.following(links), _LINK)
    return tuple(found)


def _applied(counts: Mapping[str, Mapping[str, int]]) -> Numbers:
    """Add up what a batch changed; it does not count as stored."""
    one = (Numbers(c["inserted"], c.get("updated", 0), c["deleted"]) for c in counts.values())
    return sum(one, Numbers())


def _check(scope: str, limits: Thresholds, numbers: Numbers, kind: str = "") -> Iterator[ExceededThreshold]:
    """Compare the numbers of a scope with its limits.

    :param kind: ``Link`` in the attributes' names where the scope has limits of resources too.
    """
    for change in _CHANGES:
        count: int = getattr(numbers, change)
        maximum: int = getattr(limits, f"maximum_{change}_lines")
        if maximum and count > maximum:
            name = f"Maximum{kind}{change.capitalize()}Lines"
            yield ExceededThreshold(scope, name, maximum, count, numbers.stored)
        percentage: float = getattr(limits, f"max_percentage_{change}_lines")
        # As decimal numbers: 0.1 % of 1,000 is 1, not a little more.
        if percentage and 100 * count > Decimal(str(percentage)) * numbers.stored:
            name = f"Max{kind}Percentage{change.capitalize()}Lines"
            actual = 100 * count / numbers.stored if numbers.stored else None
            yield ExceededThreshold(scope, name, percentage, actual, numbers.stored)
