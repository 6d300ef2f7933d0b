"""What a person should know of a batch beside its counts; a plan tells the same as the synchronization would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_idm.repository.catalogue import Catalogue
from airflow_provider_idm.synchronization.synchronize.queue import Step
from airflow_provider_idm.synchronization.synchronize.result import ExceededThreshold


def about_unmapped(catalogue: Catalogue, lost_links: Mapping[int, int]) -> list[str]:
    """Name what is stored of the connector and has no mapping any more, and how much goes of it all the same.

    :param lost_links: how many links go with their resources, by the association's number.
    """
    names = [*catalogue.unmapped_entity_types, *(a.identifier for a in catalogue.others)]
    lost = [(a.identifier, number) for a in catalogue.others if (number := lost_links.get(a.id, 0))]
    return [
        *(f"{name} has no mapping any more: what is stored of it stays as it is" for name in names),
        *(
            f"{name} loses {number:,} of its links all the same: a resource at their end goes"
            for name, number in lost
        ),
    ]


def about_given_up(step: Step, blocked: str | None) -> list[str]:
    """Name dated batches that a batch cancels: they are gone from history.

    :param blocked: the batch that awaits a decision, if there is one.
    """
    return [
        f"batch {m.batch} of {m.effective_date:%Y-%m-%d %H:%M:%S} UTC "
        f"{'awaited a decision' if m.batch == blocked else 'could not be applied any more'} and is cancelled"
        for m in step.cancels
        if m.dated
    ]


def about_consent(who: str, exceeded: Iterable[ExceededThreshold]) -> list[str]:
    """Tell which thresholds were exceeded and who answered for it."""
    return [f"{who}: {threshold.as_text()}" for threshold in exceeded]
