"""What a synchronization would do, as Markdown: for the question in Airflow and for the comment of a pull request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_idm.synchronization.synchronize.markdown_sample import sample
from airflow_provider_idm.synchronization.synchronize.markdown_text import (
    code,
    more,
    prose,
    shorten,
    table,
    visible,
)
from airflow_provider_idm.synchronization.synchronize.result import (
    BLOCKED,
    COMPLETED,
    NOTHING,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.review import Review
from airflow_provider_idm.synchronization.synchronize.wording import with_percentage

LIMIT: Final = 60_000
"""Characters of a text; GitHub renders at most 65,536."""
LEAST: Final = 4_000
"""Characters that a text may need at least."""

_SHOWN_BATCHES, _SHOWN_WARNINGS, _CHANGE_SET = 10, 20, 12
_HEADINGS: Final = {
    BLOCKED: "Synchronization of {}: blocked by a threshold",
    COMPLETED: "Synchronization of {}",
    NOTHING: "Synchronization of {}: nothing to do",
}


def as_markdown(
    result: SynchronizeResult,
    review: Review | None,
    *,
    show_values: bool = False,
    heading: str | None = None,
    limit: int = LIMIT,
) -> str:
    """Return what a person needs to decide: exceeded thresholds, counts, and a sample of the changes.

    Text from data is never more than text: it makes no markup, no HTML, no link, and mentions nobody.

    :param result: the counts.
    :param review: the changes; None if they were not compared just now.
    :param show_values: show old and new values, which may be personal; otherwise keys and names of properties only.
    :param heading: the heading's text instead of one that tells the state.
    :param limit: characters that the text has at most; samples give way first, then warnings, then rows of tables.
    :raises ValueError: if ``limit`` is less than ``LEAST``.
    """
    if limit < LEAST:
        raise ValueError(f"limit {limit}: expected at least {LEAST} characters")
    text = _Text(result, review, show_values=show_values, heading=heading, limit=limit)
    rooms = list(_rooms(result, review))
    first = bisect_left(rooms, True, key=lambda room: len(text.render(room)) <= limit)
    fitting = (text.render(room) for room in rooms[first:])
    return next(rendered for rendered in fitting if len(rendered) <= limit)


def subject(result: SynchronizeResult) -> str:
    """Return one line of plain text: what is blocked by which threshold, or how much changes."""
    name = shorten(visible(result.connector))
    if result.thresholds:
        first, more = result.thresholds[0], len(result.thresholds) - 1
        others = f" (and {more:,} more threshold{'' if more == 1 else 's'})" if more else ""
        told = shorten(visible(first.as_text()), 200)
        return f"{name} is blocked: {told}{others}"
    if result.state == NOTHING:
        return f"{name}: no batch is pending"
    resources, links = result.entity_types.values(), result.associations.values()
    state = "blocked" if result.state == BLOCKED else result.state
    return (
        f"{name} ({state}): {sum(c.inserted for c in resources):,} resources inserted, "
        f"{sum(c.updated for c in resources):,} updated, {sum(c.deleted for c in resources):,} deleted; "
        f"{sum(c.inserted for c in links):,} links inserted, {sum(c.deleted for c in links):,} deleted"
    )


@dataclass(frozen=True, slots=True)
class _Room:
    """How much is shown.

    :param samples: changes of each kind; 0: only how many there are; None: not even that.
    :param warnings: how many of them.
    :param rows: of each table.
    """

    samples: int | None
    warnings: int
    rows: int


def _rooms(result: SynchronizeResult, review: Review | None) -> Iterable[_Room]:
    """Yield ever smaller rooms, the last of which fits any limit that is allowed."""
    batches = min(len(result.batches), _SHOWN_BATCHES)
    rows = max(batches, len(result.thresholds), len(result.entity_types), len(result.associations))
    most = max((len(group.shown) for group in review.groups), default=0) if review else 0
    for samples in range(most, -1, -1):
        yield _Room(samples, _SHOWN_WARNINGS, rows)
    for warnings in (_SHOWN_WARNINGS, 3):
        yield _Room(None, warnings, rows)
    while rows:
        yield _Room(None, 0, rows)
        rows = rows * 4 // 5
    yield _Room(None, 0, 0)


class _Text:
    """One call of ``as_markdown``."""

    def __init__(
        self,
        result: SynchronizeResult,
        review: Review | None,
        *,
        show_values: bool,
        heading: str | None,
        limit: int,
    ) -> None:
        self._result = result
        self._review = review
        self._groups = review.groups if review else ()
        self._show_values = show_values
        self._heading = heading
        self._limit = limit

    def render(self, room: _Room) -> str:
        lines = [
            *self._about(),
            *self._batches(room),
            *self._thresholds(room),
            *self._counts(room),
            *sample(self._groups, room.samples, show_values=self._show_values, limit=self._limit),
            *self._warnings(room),
        ]
        return "\n".join(lines).rstrip("\n") + "\n"

    # ------------------------------------------------------------------------------------------- what it is

    def _about(self) -> list[str]:
        result, review = self._result, self._review
        connector = code(result.connector)
        heading = prose(self._heading, 200) if self._heading else _HEADINGS[result.state].format(connector)
        told = [f"Connector {connector}"]
        batch = (
            review.batch
            if review
            else result.blocked_by or (result.batches[-1].id if result.batches else None)
        )
        if batch is not None:
            mode = review.mode if review else next((b.mode for b in result.batches if b.id == batch), "")
            dated = f"effective {review.effective_date:%Y-%m-%d %H:%M:%S} UTC" if review else ""
            details = ", ".join(part for part in (prose(mode, 40), dated) if part)
            told.append(f"batch {code(batch)}" + (f" ({details})" if details else ""))
        if review:
            told.append(f"change set {code(review.change_set[:_CHANGE_SET])}")
        return [f"### {heading}", "", f"{', '.join(told)}.", ""]

    def _batches(self, room: _Room) -> list[str]:
        batches = self._result.batches
        if len(batches) < 2:
            return []
        shown = min(len(batches), _SHOWN_BATCHES, room.rows)
        rows = [(code(b.id), prose(b.mode, 40), prose(b.state, 40)) for b in batches[len(batches) - shown :]]
        earlier = more(len(batches) - len(rows), "earlier batch", "earlier batches")
        return [*table(("batch", "mode", "state"), rows), *earlier]

    # -------------------------------------------------------------------------------------- always there

    def _thresholds(self, room: _Room) -> list[str]:
        found = self._result.thresholds
        if not found:
            return []
        rows = (
            (code(t.scope), code(t.name), t.limit_text, t.actual_text, f"{t.stored:,}")
            for t in found[: room.rows]
        )
        return [
            "**Thresholds exceeded**",
            "",
            *table(("scope", "threshold", "limit", "actual", "stored"), rows, numbers=3),
            *more(len(found) - room.rows, "threshold", "thresholds"),
        ]

    def _counts(self, room: _Room) -> list[str]:
        result = self._result
        lines: list[str] = []
        if self._is_of_several:
            sampled = "; the changes shown are those of the last one" if self._groups else ""
            lines += [f"The counts are of all these batches together{sampled}.", ""]
        elif result.before is not None:
            lines += [
                "The counts and changes are those of the blocked batch alone, not of those before it.",
                "",
            ]
        entity_types = {
            name: (
                {"inserted": c.inserted, "updated": c.updated, "deleted": c.deleted},
                {"unchanged": c.unchanged, "anomalies": c.anomalies},
                c.updated + c.deleted + c.unchanged,
            )
            for name, c in result.entity_types.items()
        }
        associations = {
            name: (
                {"inserted": c.inserted, "deleted": c.deleted},
                {"unchanged": c.unchanged, "orphans": c.orphans, "conflicts": c.conflicts},
                c.deleted + c.unchanged,
            )
            for name, c in result.associations.items()
        }
        return [
            *lines,
            *self._count_table(room, "entity type", "entity types", entity_types),
            *self._count_table(room, "association", "associations", associations),
        ]

    def _count_table(self, room: _Room, one: str, many: str, counts: Mapping[str, _Counts]) -> list[str]:
        if not counts:
            return []
        # What changes is shown first where not all of it can be.
        names = (
            sorted(counts, key=lambda name: not any(counts[name][0].values()))
            if room.rows < len(counts)
            else counts
        )
        changed, others, _ = next(iter(counts.values()))
        stored_column = () if self._is_of_several else ("stored",)
        columns = (one, *changed, *others, *stored_column)
        rows = []
        for name in list(names)[: room.rows]:
            changes, rest, stored = counts[name]
            of = 0 if self._is_of_several else stored
            told = [with_percentage(number, of) for number in changes.values()]
            told += [f"{number:,}" for number in rest.values()]
            rows.append((code(name), *told, *(f"{stored:,}" for _ in stored_column)))
        return [*table(columns, rows, numbers=len(columns) - 1), *more(len(counts) - room.rows, one, many)]

    @property
    def _is_of_several(self) -> bool:
        batches = [b for b in self._result.batches if b.state != "cancelled"]
        return len(batches) > 1 and self._result.before is None

    # -------------------------------------------------------------------------------------------- warnings

    def _warnings(self, room: _Room) -> list[str]:
        found = self._result.warnings
        if not found:
            return []
        lines = [f"- {prose(text)}" for text in found[: room.warnings]]
        return [
            "**Warnings**",
            "",
            *lines,
            *([""] if lines else []),
            *more(len(found) - len(lines), "warning", "warnings"),
        ]


_Counts = tuple[Mapping[str, int], Mapping[str, int], int]
"""What changes, what else is counted, and how much is stored."""
