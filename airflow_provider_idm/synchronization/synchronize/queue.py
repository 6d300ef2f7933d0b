"""The queue of a connector's batches: which to process, in which order, and which may be applied at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.errors import (
    BatchCancelledError,
    BatchRejectedError,
    ChainError,
    ConnectorBlockedError,
    SynchronizeError,
)
from airflow_provider_idm.repository.state import (
    CANCELLED,
    NEEDS_COMPLETE,
    REJECTED,
    BatchRecord,
    ConnectorState,
)
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
    *,
    fingerprint: str,
    stored: int,
    own: Manifest | None,
) -> list[Step]:
    """Choose the batches to process, in order.

    An undated Complete or Initial makes the undated batches before it superfluous; dated ones are history and are
    applied in order. A batch that can never be applied any more (other mappings, an earlier date than what was
    applied, a broken chain, an Initial onto resources) does not hold up a Complete behind it, which then cancels it.
    Nor does one that awaits a decision hold up a Complete or Initial behind it, dated or not, which takes its place.

    :param manifests: the published batches in queue order; those that the repository is done with may be left out.
    :param records: the batches that the repository is done with.
    :param stored: how many resources of the connector are stored.
    :param own: the last batch to process; None for all pending ones.
    """
    pending = [m for m in manifests if m.batch not in records and (own is None or m.order <= own.order)]
    whole = [(n, m) for n, m in enumerate(pending) if m.mode is not SynchronizationMode.INCREMENTAL]
    last_whole = max((n for n, _ in whole), default=-1)
    last_undated = max((n for n, m in whole if not m.dated), default=-1)
    last_complete = max((n for n, m in whole if m.mode is SynchronizationMode.COMPLETE), default=-1)
    steps: list[Step] = []
    dropped: list[Manifest] = []
    before = _Before(state.last_batch, state.last_effective_date, holds=stored > 0)
    for number, manifest in enumerate(pending):
        superfluous = number < last_undated and not manifest.dated
        hopeless = number < last_complete and not before.takes(manifest, fingerprint)
        replaced = number < last_whole and manifest.batch == state.blocked_batch
        if superfluous or hopeless or replaced:
            dropped.append(manifest)
            continue
        # Whoever makes them superfluous cancels them: no list of changes does.
        cancels = () if manifest.mode is SynchronizationMode.INCREMENTAL else tuple(dropped)
        steps.append(Step(manifest, cancels))
        dropped = dropped if manifest.mode is SynchronizationMode.INCREMENTAL else []
        before = before.followed_by(manifest)
    return steps


@dataclass(frozen=True, slots=True)
class _Before:
    """What a batch finds when those before it have been applied."""

    batch: str | None
    date: datetime | None
    holds: bool

    def takes(self, manifest: Manifest, fingerprint: str) -> bool:
        """Whether a batch could be applied."""
        if manifest.fingerprint != fingerprint or (self.date and manifest.effective_date < self.date):
            return False
        if manifest.mode is SynchronizationMode.INITIAL:
            return not self.holds
        return manifest.mode is SynchronizationMode.COMPLETE or (
            manifest.based_on is not None and manifest.based_on == self.batch
        )

    def followed_by(self, manifest: Manifest) -> _Before:
        """Return what the next batch finds."""
        return _Before(manifest.batch, max(filter(None, (self.date, manifest.effective_date))), holds=True)


def check_type(own: Manifest | None, wanted: SourceType | None) -> None:
    """Check that a task's batch was prepared with the task's own Type.

    :raises SynchronizeError: if it was prepared with another one.
    """
    if own is not None and wanted is not None and wanted is not own.type:
        raise SynchronizeError(
            f"batch {own.batch} of {own.connector} was prepared with Type {own.type.value}, this synchronization has "
            f"Type {wanted.value}: give both tasks the same Type"
        )


def check_not_finished(record: BatchRecord, connector: str) -> None:
    """Refuse a batch that the repository is done with, other than by applying it.

    :raises BatchCancelledError: if a later Complete replaced it.
    :raises BatchRejectedError: if it was rejected.
    """
    if record.state == CANCELLED:
        raise BatchCancelledError(
            f"batch {record.batch} of {connector} was replaced by batch {record.replaced_by} before it was processed; "
            "there is nothing left to do",
            batch=record.batch,
            replaced_by=record.replaced_by,
        )
    if record.state == REJECTED:
        at = record.decided_at or record.finished_at
        raise BatchRejectedError(
            f"batch {record.batch} of {connector} was rejected by {record.decided_by or 'somebody'} at "
            f"{at:%Y-%m-%d %H:%M:%S} UTC, nothing of it was applied: correct the source if it was "
            "wrong, then prepare and synchronize in mode Complete",
            batch=record.batch,
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
    :raises ConnectorBlockedError: if it holds changes, and those of another batch await a decision.
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
    if manifest.mode is SynchronizationMode.INCREMENTAL and state.blocked_batch not in {None, manifest.batch}:
        raise ConnectorBlockedError(
            f"{name} holds changes, but batch {state.blocked_batch} awaits a decision and is not before it in the "
            f"exchange: resume or reject that one, or run a Complete of {manifest.connector}",
            connector=manifest.connector,
            batch=state.blocked_batch,
        )
    if manifest.mode is SynchronizationMode.INCREMENTAL and state.readiness == NEEDS_COMPLETE:
        rejected = state.message or f"batch {state.batch} was rejected"
        raise ChainError(
            f"{name} holds changes, but {rejected}: changes before these are missing. Run a Complete of "
            f"{manifest.connector} first"
        )
    if manifest.mode is SynchronizationMode.INCREMENTAL and state.fingerprint not in {
        None,
        manifest.fingerprint,
    }:
        raise ChainError(
            f"{name} holds changes, but the repository was last synchronized with other mappings: run a Complete of "
            f"{manifest.connector} first"
        )
    broken = manifest.based_on is None or manifest.based_on != state.last_batch
    if manifest.mode is SynchronizationMode.INCREMENTAL and broken:
        raise ChainError(
            f"{name} leads on from batch {manifest.based_on or 'none'}, but the last batch applied to the repository is "
            f"{state.last_batch or 'none'}: changes between them are missing. Run a Complete of {manifest.connector}"
        )
