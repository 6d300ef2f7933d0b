"""The queue of a connector's batches: which to process, in which order, and which may be applied at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.errors import BatchCancelledError, ChainError, SynchronizeError
from airflow_provider_idm.repository.state import APPLIED, CANCELLED, BatchRecord, ConnectorState
from airflow_provider_idm.synchronization.exchange.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Step:
    """One batch to process, and the batches that applying it cancels."""

    manifest: Manifest
    cancels: tuple[Manifest, ...] = ()


def plan_queue(
    manifests: Sequence[Manifest],
    records: Mapping[str, BatchRecord],
    state: ConnectorState,
    fingerprint: str,
    own: Manifest | None,
) -> list[Step]:
    """Choose the batches to process, in order.

    An undated Complete or Initial makes the undated batches before it superfluous; dated ones are history and are
    applied in order, unless they cannot be any more (an older date than the last applied one, other mappings).

    :param manifests: the published batches in queue order.
    :param records: the batches that the repository is done with.
    :param own: the last batch to process; None for all pending ones.
    """
    pending = [m for m in manifests if m.batch not in records and (own is None or m.order <= own.order)]
    whole = [
        n for n, m in enumerate(pending) if not m.dated and m.mode is not SynchronizationMode.INCREMENTAL
    ]
    if not whole:
        return [Step(m) for m in pending]

    def stays(manifest: Manifest) -> bool:
        backwards = (
            state.last_effective_date is not None and manifest.effective_date < state.last_effective_date
        )
        return manifest.dated and not backwards and manifest.fingerprint == fingerprint

    before, last, after = pending[: whole[-1]], pending[whole[-1]], pending[whole[-1] + 1 :]
    return [
        *(Step(m) for m in before if stays(m)),
        Step(last, tuple(m for m in before if not stays(m))),
        *(Step(m) for m in after),
    ]


def check_not_finished(record: BatchRecord, connector: str) -> None:
    """Refuse a batch that the repository is done with, other than by applying it.

    :raises BatchCancelledError: if a later Complete replaced it.
    :raises SynchronizeError: if it was rejected.
    """
    if record.state == CANCELLED:
        raise BatchCancelledError(
            f"batch {record.batch} of {connector} was replaced by batch {record.replaced_by} before it was processed; "
            "there is nothing left to do",
            batch=record.batch,
            replaced_by=record.replaced_by,
        )
    if record.state != APPLIED:
        raise SynchronizeError(
            f"batch {record.batch} of {connector} was {record.state} at {record.finished_at:%Y-%m-%d %H:%M:%S} UTC: "
            "prepare and synchronize again, in mode Complete"
        )


def check_applicable(
    manifest: Manifest,
    state: ConnectorState,
    mappings: ConnectorMappings,
    stored: int,
    *,
    allow_backwards: bool,
) -> None:
    """Check that a batch may be applied onto the repository as it stands.

    :param stored: how many resources of the connector the repository holds.
    :raises SynchronizeError: if it may not; the message says what to do instead.
    """
    name = f"batch {manifest.batch} of {manifest.connector}"
    if manifest.fingerprint != mappings.fingerprint:
        raise SynchronizeError(
            f"{name} was prepared with other mappings than those it would be applied with: prepare the connector again "
            "with this configuration, in mode Complete"
        )
    last = state.last_effective_date
    if last is not None and manifest.effective_date < last and not allow_backwards:
        raise SynchronizeError(
            f"{name} is dated {manifest.effective_date:%Y-%m-%d %H:%M:%S} UTC, before the last applied batch "
            f"{state.last_batch} of {last:%Y-%m-%d %H:%M:%S} UTC: history is not rewritten backwards. Apply batches in "
            "the order of their dates, or give allow_backwards (--allow-backwards) to apply it all the same"
        )
    if manifest.mode is SynchronizationMode.INITIAL and stored:
        raise SynchronizeError(
            f"{name} is an Initial, but the repository holds {stored:,} resources of {manifest.connector} already: "
            "use mode Complete"
        )
    broken = manifest.based_on is None or manifest.based_on != state.last_batch
    if manifest.mode is SynchronizationMode.INCREMENTAL and broken:
        raise ChainError(
            f"{name} leads on from batch {manifest.based_on or 'none'}, but the last batch applied to the repository is "
            f"{state.last_batch or 'none'}: changes between them are missing. Run a Complete of {manifest.connector}"
        )
