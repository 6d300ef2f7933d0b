"""The batch that a prepare is to publish: its date, what it leads on from, and whether it is there already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.synchronization.exchange import Manifest, folder_name, new_batch_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_idm.synchronization.exchange import Batches, BatchFile
    from airflow_provider_idm.synchronization.prepare.previous import Previous
    from airflow_provider_idm.synchronization.prepare.request import PrepareRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """How a prepare's batch stands to those published before.

    :param newest: the connector's newest batch, or None.
    :param equals: if the date lies before the newest batch: those of that date, one of which the batch must equal.
    :param previous: what full extracts are compared with; None where nothing is compared.
    """

    effective_date: datetime
    newest: Manifest | None
    equals: tuple[Manifest, ...]
    previous: Previous | None

    @property
    def is_backwards(self) -> bool:
        """Whether the date lies before the newest batch."""
        return self.newest is not None and self.effective_date < self.newest.effective_date


def published_before(request: PrepareRequest, batches: Batches) -> Manifest | None:
    """Return the batch that the asking task instance has published already, or None.

    One that was rejected is not returned: whoever runs the task again then has corrected the source, and means that.
    """
    own = batches.by_origin(request.origin, plan_only=request.plan_only)
    wanted = (request.mode, request.type, request.mappings.fingerprint)
    if own is None or (own.mode, own.type, own.fingerprint) != wanted:
        return None
    note = batches.note(own.batch)
    return own if note is None or note.state != "rejected" else None


def plan_batch(request: PrepareRequest, batches: Batches, previous: Previous | None, now: datetime) -> Plan:
    """Decide a batch's date and what it is based on.

    :param batches: those of the connector.
    :raises PrepareError: if the batch could not be published, or a Complete must come first.
    """
    given = request.effective_date
    date = now if given is None else given.replace(tzinfo=given.tzinfo or UTC).astimezone(UTC)
    newest = batches.newest()
    if newest is not None and date < newest.effective_date:
        same = (date, True, request.mode, request.type) if given is not None else None
        of_date = batches.of_date(date)
        equals = tuple(m for m in of_date if (m.effective_date, m.dated, m.mode, m.type) == same)
        if not equals:
            raise _backwards(request, date, newest)
        return Plan(date, newest, equals, None)
    if request.is_incremental:
        _check_chain(request, newest, previous)
    compared = request.is_incremental and request.type is SourceType.NONE
    return Plan(date, newest, (), previous if compared else None)


def equal_batch(request: PrepareRequest, plan: Plan, files: Sequence[BatchFile]) -> Manifest:
    """Return the batch of the same date that holds the same.

    :raises PrepareError: if there is none: the date lies before the newest batch.
    """
    compared = request.is_incremental and request.type is SourceType.NONE
    wanted = {f.target: f.sorted_sha256 if compared else f.sha256 for f in files}
    for manifest in plan.equals:
        if {f.target: f.sorted_sha256 if compared else f.sha256 for f in manifest.files} == wanted:
            return manifest
    raise _backwards(request, plan.effective_date, plan.newest or plan.equals[-1])


def make_manifest(request: PrepareRequest, plan: Plan, files: Sequence[BatchFile]) -> Manifest:
    """Return the manifest of a new batch.

    :raises PrepareError: if its id would not come after that of the newest batch, being of the same date.
    """
    batch = new_batch_id()
    if plan.newest is not None and (plan.effective_date, batch) <= plan.newest.order:
        raise PrepareError(
            f"batch {plan.newest.batch} of connector {request.connector} was made by a machine whose clock is ahead "
            "of this one; set the clocks"
        )
    return Manifest(
        batch=batch,
        connector=request.connector,
        mode=request.mode,
        type=request.type,
        created_at=datetime.now(UTC),
        effective_date=plan.effective_date,
        dated=request.effective_date is not None,
        origin=request.origin,
        based_on=plan.newest.batch if request.is_incremental and plan.newest else None,
        fingerprint=request.mappings.fingerprint,
        files=tuple(files),
        plan_only=request.plan_only,
    )


def _check_chain(request: PrepareRequest, newest: Manifest | None, previous: Previous | None) -> None:
    what = None
    if newest is None:
        what = "has no batch in the exchange that an Incremental could lead on from"
    elif newest.fingerprint != request.mappings.fingerprint:
        what = f"was last prepared with other mappings (batch {newest.batch})"
    elif request.type is not SourceType.NONE:
        return
    elif previous is None:
        what = "has no previous extract on this machine to compare with"
    elif previous.fingerprint != request.mappings.fingerprint:
        what = "has a previous extract that was prepared with other mappings"
    elif previous.batch != newest.batch:
        what = (
            f"has a previous extract on this machine that belongs to batch {previous.batch}, but batch "
            f"{newest.batch} was published since"
        )
    if what:
        raise PrepareError(f"connector {request.connector} {what}; run a Complete first")


def _backwards(request: PrepareRequest, date: datetime, newest: Manifest) -> PrepareError:
    way_out = (
        ". If the date of that batch was a mistake and it was not applied, remove its folder "
        f"{folder_name(request.connector)}/{newest.batch} from the exchange"
    )
    return PrepareError(
        f"connector {request.connector}: this prepare is dated {date.isoformat()}, before the newest batch "
        f"{newest.batch} of {newest.effective_date.isoformat()}, and is not what was prepared for its date; "
        f"batches are made in the order of their dates. Nothing was published{way_out if newest.dated else ''}"
    )
