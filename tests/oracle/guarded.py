"""Runs batches that may wait for one another, exceed thresholds, be decided about and superseded; plans each before.

The model follows: it says which batch is applied, which blocks and why. What a plan tells must be what is then applied
or kept for review, row for row.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_provider_idm.configuration import SourceType
from airflow_provider_idm.synchronization.synchronize import read_decision
from tests.oracle.changes import differences, kept_changes, planned_changes, without_nulls
from tests.oracle.harness import expected_snapshot
from tests.oracle.model import CleanFile, cleanse, difference, fold_changes
from tests.oracle.runner import Runner, compare_counts
from tests.oracle.sequences import Step, raw_changes, steps
from tests.oracle.shapes import CONNECTOR, CONNECTOR_THRESHOLDS, Limits, Shape
from tests.oracle.thresholds import Exceeded, exceeded, told

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult
    from tests.oracle.changes import Change
    from tests.oracle.harness import Harness
    from tests.oracle.model import Model, Outcome

Files = dict[str, CleanFile]
DECISIONS = ("resume", "resume", "reject", "force", "leave")


@dataclass(frozen=True)
class Turn:
    """One batch of a scenario.

    :param waits: whether it stays pending until the next one is processed.
    :param decision: what is done if something blocks.
    :param named: whether the synchronization is told its batch, instead of processing all that is pending.
    """

    step: Step
    waits: bool
    decision: str
    named: bool


@dataclass(frozen=True)
class Scenario:
    """Batches, and the thresholds of the connector."""

    thresholds: tuple[tuple[str, str, str], ...]
    turns: tuple[Turn, ...]

    @property
    def limits(self) -> Limits:
        """The thresholds, as a shape takes them."""
        written = {CONNECTOR: dict.fromkeys(CONNECTOR_THRESHOLDS, "0")}
        for scope, name, text in self.thresholds:
            written.setdefault(scope, {})[name] = text
        return written


def scenarios(shape: Shape, *, limited: bool) -> st.SearchStrategy[Scenario]:
    """Draw a scenario; ``limited`` ones have thresholds."""
    turn = st.tuples(st.booleans(), st.sampled_from(DECISIONS), st.booleans())
    return st.builds(
        _scenario,
        steps(shape),
        st.lists(turn, min_size=6, max_size=6),
        st.lists(_threshold(shape), min_size=1, max_size=4) if limited else st.just([]),
    )


def _scenario(drawn: list[Step], turns: list[tuple[bool, str, bool]], limits: list[Any]) -> Scenario:
    return Scenario(tuple(limits), tuple(Turn(s, *turn) for s, turn in zip(drawn, turns, strict=False)))


def _threshold(shape: Shape) -> st.SearchStrategy[tuple[str, str, str]]:
    of_types = [n for n in CONNECTOR_THRESHOLDS if "Link" not in n]
    of_links = [n for n in of_types if "Updated" not in n]
    names = [(CONNECTOR, n) for n in CONNECTOR_THRESHOLDS]
    names += [(t.identifier, n) for t in shape.types for n in of_types]
    names += [(a.identifier, n) for a in shape.associations for n in of_links]
    limit = st.sampled_from(["1", "2", "3", "20", "33.3", "50", "100"])
    return st.builds(
        lambda name, text: (*name, text.partition(".")[0] if "Maximum" in name[1] else text),
        st.sampled_from(names),
        limit,
    )


@dataclass(frozen=True)
class Pending:
    """A batch that was published."""

    batch: str
    mode: str
    source_type: str
    files: Files


@dataclass(frozen=True)
class Foreseen:
    """What the model says of one batch: what it would do, and which thresholds that exceeds."""

    pending: Pending
    outcome: Outcome
    after: Model
    thresholds: list[Exceeded]


class GuardedRunner(Runner):
    """One connector whose every synchronization is planned first.

    :param plans: how often; the same must come of each.
    """

    def __init__(self, harness: Harness, *, prepared: bool, plans: int = 2) -> None:
        super().__init__(harness, prepared=prepared)
        self.plans = plans
        self.pending: list[Pending] = []
        self.blocked: str | None = None
        self.ready = True
        self.hashes_seen: list[str] = []
        self.keys_seen: set[str] = set()

    # ------------------------------------------------------------------------------------------------- turns

    def play(self, scenario: Scenario) -> None:
        """Play a whole scenario, then check that a Complete of what is stored changes nothing."""
        for number, turn in enumerate(scenario.turns):
            self.publish(turn.step)
            if not (turn.waits and self._may_wait()) or number == len(scenario.turns) - 1:
                self.process(turn)
        self.compare(None)
        again = self.harness.publish(self.model.to_files(), "Complete")
        result = self.harness.synchronize(batch=again)
        assert result.state == "completed"
        assert not any(c.inserted or c.updated or c.deleted for c in result.entity_types.values())
        assert not any(c.inserted or c.deleted for c in result.associations.values())

    def _may_wait(self) -> bool:
        """Say whether another batch can be made before the pending ones are processed."""
        return not self.prepared or self.harness.channel.state().state == "ready"

    def publish(self, step: Step) -> None:
        """Make a batch; one that cannot be an Incremental becomes a Complete."""
        kind = step.kind
        if not self.ready or (kind == "None" and self.former is None):
            kind = "Complete"
        if kind in {"Changes", "ActiveDirectory"}:
            faithful = step.raw is None
            changes = self.world.changes(step.edits, kind) if faithful else raw_changes(step, self.shape)
            self.former = None
            self._add("Incremental", kind, fold_changes(self.shape, changes, kind), changes)
            return
        for edit in step.edits:
            self.world.edit(edit)
        cleansed = cleanse(self.shape, self.world.tables)
        files = {target: c.file for target, c in cleansed.items()}
        if kind == "None" and self.former is not None:
            self._add("Incremental", "None", difference(self.shape, self.former, files), None)
        else:
            self._add(kind, "None", files, None)
        self.former = files

    def _add(self, mode: str, kind: str, files: Files, changes: Any) -> None:
        if self.prepared:
            batch = self._prepare(mode, kind, files, changes, None)
        else:
            batch = self.harness.publish(files, mode, kind)
        self.pending.append(Pending(batch, mode, kind, files))
        self.ready = self.ready or mode != "Incremental"

    # ----------------------------------------------------------------------------------------------- process

    def process(self, turn: Turn) -> None:
        """Plan and synchronize what is pending until nothing is, or something stays blocked."""
        while self.pending:
            foreseen = list(self._foresee())
            own = self.pending[-1]
            options = {"batch": own.batch if turn.named else None, "type": SourceType(own.source_type)}
            planned, changes = self._plan(foreseen, options)
            result = self.harness.synchronize(do_not_delete_changes=True, **options)
            self._compare_result(planned, result, foreseen)
            self._compare_rows(changes, foreseen)
            self._compare_contents(changes, foreseen)
            applied = [f for f in foreseen if not f.thresholds]
            for f in applied:
                self.model, self.ready = f.after, True
                # What one batch deletes and a later one brings again has another id than before.
                stored = self.model.resources
                self.known_ids = {k: i for k, i in self.known_ids.items() if k[1] in stored[k[0]]}
            self.compare(None)
            if not foreseen[-1].thresholds:
                self.pending, self.blocked = [], None
                self.harness.repository.set_recently_modified_flag()
                return
            self._decide(foreseen[-1], turn, changes)
            if not self.ready:
                return

    def _foresee(self) -> Iterator[Foreseen]:
        """Say what the model makes of the pending batches, up to the first that blocks."""
        whole = [n for n, p in enumerate(self.pending) if p.mode != "Incremental"]
        model = self.model
        for pending in self.pending[whole[-1] if whole else 0 :]:
            model = copy.deepcopy(model)
            outcome = model.apply(pending.mode, pending.files)
            thresholds = [] if pending.mode == "Initial" else exceeded(self.harness.shape, outcome)
            yield Foreseen(pending, outcome, model, thresholds)
            if thresholds:
                return

    def _plan(
        self, foreseen: list[Foreseen], options: dict[str, Any]
    ) -> tuple[SynchronizeResult, dict[str, list[Change]]]:
        before = self.harness.dump()
        hashes = []
        for _ in range(self.plans):
            with self.harness.plan(**options) as plan:
                frame, result = plan.to_frame(), plan.result
                assert plan.review is not None
                hashes.append(plan.review.change_set)
        assert self.harness.dump() == before, "a plan wrote something"
        assert len(set(hashes)) == 1
        self.hashes_seen.append(hashes[0])
        self.keys_seen |= set(frame["key1"])
        batches = [f.pending.batch for f in foreseen]
        assert set(frame["batch"]) <= set(batches)
        return result, {batch: planned_changes(frame, batch) for batch in batches}

    def _compare_result(
        self, planned: SynchronizeResult, result: SynchronizeResult, foreseen: list[Foreseen]
    ) -> None:
        last = foreseen[-1]
        blocks = bool(last.thresholds)
        for found in (planned, result):
            assert found.state == ("blocked" if blocks else "completed")
            assert told(found.thresholds) == told(last.thresholds)
            assert found.blocked_by == (last.pending.batch if blocks else None)
        assert planned.entity_types == result.entity_types
        assert planned.associations == result.associations
        processed = [(f.pending.batch, "blocked" if f.thresholds else "applied") for f in foreseen]
        assert [(b.id, b.state) for b in result.batches if b.state != "cancelled"] == processed
        assert [(b.id, b.state) for b in planned.batches if b.state != "cancelled"] == [
            (batch, "pending" if state == "applied" else state) for batch, state in processed
        ]
        if len(foreseen) == 1:
            compare_counts(result, last.outcome, last.pending.mode)
        if blocks:
            assert result.review is not None
            assert result.review.change_set == self.hashes_seen[-1]

    def _compare_rows(self, changes: dict[str, list[Change]], foreseen: list[Foreseen]) -> None:
        """Compare what was planned with the change rows kept, batch by batch."""
        instances = sorted(self.harness.table("UJ_TaskInstances"), key=lambda t: int(t["Id"]))
        tasks = {t["Batch_Id"]: t["Id"] for t in instances}
        for f in foreseen:
            assert kept_changes(self.harness, tasks[f.pending.batch]) == changes[f.pending.batch]
        assert len(kept_changes(self.harness)) == sum(len(rows) for rows in changes.values())

    def _compare_contents(self, changes: dict[str, list[Change]], foreseen: list[Foreseen]) -> None:
        """Compare what was planned with how the model's contents differ, which share no code with the product."""
        before = expected_snapshot(self.model)
        for f in foreseen:
            after = expected_snapshot(f.after)
            assert without_nulls(changes[f.pending.batch]) == differences(before, after)
            before = after

    # ------------------------------------------------------------------------------------------------ decide

    def _decide(self, blocked: Foreseen, turn: Turn, changes: dict[str, list[Change]]) -> None:
        batch, harness = blocked.pending.batch, self.harness
        at = next(n for n, p in enumerate(self.pending) if p.batch == batch)
        former = self.blocked
        if former is not None and former != batch:
            decision = read_decision(harness.repository, self.shape.connector, former)
            assert decision is not None
            assert (decision.state, decision.replaced_by) == ("cancelled", batch)
        self.blocked = batch
        harness.repository.set_recently_modified_flag()
        assert kept_changes(harness) == changes[batch], "the flag read or cleared what is blocked"
        if turn.decision == "leave":
            self.pending, self.ready = self.pending[at:], False
            return
        if turn.decision == "reject":
            assert harness.reject(batch=batch).state == "rejected"
            assert kept_changes(harness) == []
            self.pending, self.ready, self.blocked = self.pending[at + 1 :], False, None
            self.compare(None)
            return
        if turn.decision == "force":
            result = harness.synchronize(batch=batch, force=True, do_not_delete_changes=True)
        else:
            result = harness.resume(batch=batch)
        assert result.state == "completed"
        assert asdict(result.entity_types[self.shape.types[0].identifier]) == asdict(
            blocked.outcome.entity_types[self.shape.types[0].identifier]
        )
        assert kept_changes(harness) == changes[batch]
        self.model = blocked.after
        self.compare(None)
        harness.repository.set_recently_modified_flag()
        self.pending, self.ready, self.blocked = self.pending[at + 1 :], True, None
