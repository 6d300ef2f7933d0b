"""What a synchronization did, or would do: the same counts everywhere (log, XCom, command line, repository)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from airflow_provider_idm.repository.state import APPLIED
from airflow_provider_idm.synchronization.synchronize.review import Review

COMPLETED: Final = "completed"
BLOCKED: Final = "blocked"
NOTHING: Final = "nothing"
"""States of a synchronization: all processed; a threshold is exceeded, nothing of that batch applied; no batch."""
PENDING: Final = "pending"
"""State of a batch in a plan: it would be applied."""
WARNING: Final = "warning"
"""State of a task instance that applied its batch, with warnings."""


@dataclass(frozen=True, slots=True)
class EntityTypeCounts:
    """Resources of one entity type; ``unchanged`` were stored before and stay as they are.

    :param anomalies: updates of a primary key that is not stored: reported, not applied.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    anomalies: int = 0

    def followed_by(self, later: EntityTypeCounts) -> EntityTypeCounts:
        """Add what a later batch did; ``unchanged`` is as the later one left it."""
        return EntityTypeCounts(
            self.inserted + later.inserted,
            self.updated + later.updated,
            self.deleted + later.deleted,
            later.unchanged,
            self.anomalies + later.anomalies,
        )


@dataclass(frozen=True, slots=True)
class AssociationCounts:
    """Links of one association; one without a mapping is told of where it loses links with their resources.

    :param orphans: of the rows looked at, those of which a side matches no resource, or more than one.
    :param conflicts: of the rows looked at, those that lost a side that holds one link at most to another row.
    """

    inserted: int = 0
    deleted: int = 0
    unchanged: int = 0
    orphans: int = 0
    conflicts: int = 0

    def followed_by(self, later: AssociationCounts) -> AssociationCounts:
        """Add what a later batch did; ``unchanged`` is as the later one left it."""
        return AssociationCounts(
            self.inserted + later.inserted,
            self.deleted + later.deleted,
            later.unchanged,
            self.orphans + later.orphans,
            self.conflicts + later.conflicts,
        )


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of one batch: ``applied``, ``cancelled``, ``blocked`` or (in a plan) ``pending``."""

    id: str
    mode: str
    state: str


@dataclass(frozen=True, slots=True)
class ExceededThreshold:
    """A threshold that was exceeded.

    :param scope: where it stands: ``Connector HR``, ``EntityTypeMapping Person``, ``EntityAssociationMapping
        Person_Organization``, or ``Connector HR, last 7 days``.
    :param name: the XML attribute, ``MaximumDeletedLines``, ``MaxLinkPercentageDeletedLines`` ….
    :param limit: the number, or the percentage.
    :param actual: the number of changes, or their percentage of what is stored; None for a percentage of nothing.
    :param stored: resources or links of the scope before the change.
    """

    scope: str
    name: str
    limit: float
    actual: float | None
    stored: int

    @property
    def is_percentage(self) -> bool:
        """Whether limit and actual value are percentages."""
        return "Percentage" in self.name

    @property
    def limit_text(self) -> str:
        """The limit with its unit."""
        return self._with_unit(self.limit)

    @property
    def actual_text(self) -> str:
        """The actual value with its unit; a percentage to two digits, or to as many as tell it from the limit."""
        if self.actual is None:
            return "any change"
        if not self.is_percentage:
            return self._with_unit(self.actual)
        rounded = round(self.actual, 2)
        return self._with_unit(rounded if rounded > self.limit else self.actual)

    def as_text(self) -> str:
        """Return it as half a sentence: ``Connector HR: MaximumDeletedLines 100 exceeded: 500 of 10,000 stored``."""
        stored = f"{self.stored:,}" if self.stored else "nothing"
        return f"{self.scope}: {self.name} {self.limit_text} exceeded: {self.actual_text} of {stored} stored"

    def _with_unit(self, value: float) -> str:
        return f"{value:,.10g}{' %' if self.is_percentage else ''}"


@dataclass(frozen=True, slots=True)
class SynchronizeResult:
    """The counts of one synchronization.

    :param state: ``completed``, ``blocked`` or ``nothing`` (there was no batch to process).
    :param already_applied: its batch had been applied before; the counts are what that did.
    :param by_this_task: it was this very task that applied it, in an earlier try.
    :param blocked_by: the batch whose changes exceed the thresholds, its own or an earlier one; only if blocked.
    :param review: what to decide about, if that batch was compared just now; None if it awaits a decision since before.
    :param before: if blocked, what the batches before that one did; the counts are then of the blocked batch alone.
    """

    connector: str
    state: str
    batches: tuple[BatchOutcome, ...] = ()
    entity_types: Mapping[str, EntityTypeCounts] = field(default_factory=dict)
    associations: Mapping[str, AssociationCounts] = field(default_factory=dict)
    thresholds: tuple[ExceededThreshold, ...] = ()
    warnings: tuple[str, ...] = ()
    already_applied: bool = False
    by_this_task: bool = False
    blocked_by: str | None = None
    review: Review | None = None
    before: SynchronizeResult | None = None

    @property
    def has_effect(self) -> bool:
        """Whether this task, in this try or an earlier one, inserted, updated or deleted anything."""
        if self.state == BLOCKED:
            return self.before is not None and self.before.has_effect
        return (not self.already_applied or self.by_this_task) and (
            any(c.inserted or c.updated or c.deleted for c in self.entity_types.values())
            or any(c.inserted or c.deleted for c in self.associations.values())
        )

    @property
    def applied(self) -> tuple[str, ...]:
        """Ids of the batches that were applied, in order: of those that were cancelled nothing was."""
        return tuple(batch.id for batch in self.batches if batch.state == APPLIED)

    def followed_by(self, later: SynchronizeResult) -> SynchronizeResult:
        """Put together what two batches did, one after the other.

        What a blocked batch would do is not mixed with what was done before it: somebody decides by these counts.
        """
        if later.state == BLOCKED:
            return replace(
                later,
                batches=self.batches + later.batches,
                warnings=self.warnings + later.warnings,
                before=self.followed_by(later.before) if later.before else self,
            )
        return SynchronizeResult(
            connector=self.connector,
            state=later.state,
            batches=self.batches + later.batches,
            entity_types={
                name: self.entity_types.get(name, EntityTypeCounts()).followed_by(counts)
                for name, counts in later.entity_types.items()
            },
            associations={
                **self.associations,  # one without a mapping is named by the batch alone that costs it links
                **{
                    name: self.associations.get(name, AssociationCounts()).followed_by(counts)
                    for name, counts in later.associations.items()
                },
            },
            thresholds=later.thresholds,
            warnings=self.warnings + later.warnings,
            blocked_by=later.blocked_by,
            review=later.review,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "connector": self.connector,
            "state": self.state,
            "batches": [asdict(b) for b in self.batches],
            **self.counts(),
            "thresholds": [asdict(t) for t in self.thresholds],
            "warnings": list(self.warnings),
            "already_applied": self.already_applied,
            "blocked_by": self.blocked_by,
            "before": self.before.counts() if self.before else None,
            "change_set": self.review.change_set if self.review else None,
        }

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts alone, by ``entity_types`` and ``associations``."""
        return {
            "entity_types": {name: asdict(counts) for name, counts in self.entity_types.items()},
            "associations": {name: asdict(counts) for name, counts in self.associations.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, already_applied: bool) -> Self:
        """Read what ``as_dict`` returned."""
        return cls(
            connector=data["connector"],
            state=data["state"],
            batches=tuple(BatchOutcome(**b) for b in data["batches"]),
            entity_types={name: EntityTypeCounts(**counts) for name, counts in data["entity_types"].items()},
            associations={name: AssociationCounts(**counts) for name, counts in data["associations"].items()},
            thresholds=tuple(ExceededThreshold(**t) for t in data["thresholds"]),
            warnings=tuple(data["warnings"]),
            already_applied=already_applied,
            blocked_by=data.get("blocked_by"),
        )

    def as_text(self) -> str:
        """Return it as lines for a log."""
        lines = [f"{self.connector}: {'applied before' if self.already_applied else self.state}"]
        lines += [f"  batch {b.id} ({b.mode}): {b.state}" for b in self.batches]
        lines += _counts_as_text(self, "  ")
        if self.before is not None:
            lines += ["  before that batch:", *_counts_as_text(self.before, "    ")]
        lines += [f"  threshold of {t.as_text()}" for t in self.thresholds]
        lines += [f"  warning: {w}" for w in self.warnings]
        return "\n".join(lines)


def _counts_as_text(result: SynchronizeResult, indent: str) -> list[str]:
    return [
        f"{indent}{name}: " + ", ".join(f"{number:,} {what}" for what, number in counts.items())
        for part in result.counts().values()
        for name, counts in part.items()
    ]
