"""What the pages show, read from XComs: anything may stand there, so that whatever does not fit counts as not told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

Numbers = Mapping[str, int]

PREPARED: Final = ("rows", "inserts", "updates", "deletes", "merges", "duplicates", "nullpk", "invalid")
RESOURCES: Final = ("inserted", "updated", "deleted", "unchanged", "anomalies")
LINKS: Final = ("inserted", "deleted", "unchanged", "orphans", "conflicts")
_LISTS: Final = ("batches", "thresholds", "warnings")


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers by name.

    :param columns: of the numbers.
    :param rows: the numbers in the order of the columns, by name.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, value: object, columns: tuple[str, ...]) -> Self:
        """Read ``{name: {column: number}}``."""
        return cls(
            columns,
            {
                name: tuple(_number(numbers.get(column)) for column in columns)
                for name, numbers in _entries(value)
            },
        )

    @property
    def total(self) -> tuple[int, ...] | None:
        """The sums; None of less than two rows."""
        return tuple(map(sum, zip(*self.rows.values(), strict=True))) if len(self.rows) > 1 else None

    def without(self, *columns: str) -> Table:
        """Return the table without the columns that hold nothing but zeros, as far as they are named."""
        kept = [
            i
            for i, column in enumerate(self.columns)
            if column not in columns or any(row[i] for row in self.rows.values())
        ]
        return Table(
            tuple(self.columns[i] for i in kept),
            {name: tuple(row[i] for i in kept) for name, row in self.rows.items()},
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its prepare told of it; texts are empty where it did not.

    :param files: rows by entity type or association.
    :param reused: it had been published before.
    """

    id: str
    connector: str
    mode: str
    type: str
    effective_date: str
    created_at: str
    based_on: str
    plan_only: bool
    reused: bool
    files: Table

    @classmethod
    def read(cls, value: object) -> Self | None:
        """Read the XCom ``counts`` of a prepare."""
        data = _mapping(value)
        if not _text(data.get("batch")) or not isinstance(data.get("files"), Mapping):
            return None
        return cls(
            id=_text(data.get("batch")),
            connector=_text(data.get("connector")),
            mode=_text(data.get("mode")),
            type=_text(data.get("type")),
            effective_date=_moment(data.get("effective_date")),
            created_at=_moment(data.get("created_at")),
            based_on=_text(data.get("based_on")),
            plan_only=data.get("plan_only") is True,
            reused=data.get("reused") is True,
            files=Table.read(data["files"], PREPARED).without("inserts", "updates", "deletes", "merges"),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch."""

    id: str
    mode: str
    state: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold that is exceeded, its numbers as text."""

    scope: str
    name: str
    limit: str
    actual: str
    stored: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a synchronization did, or would do.

    :param omitted: how many entries of the lists the task did not tell, by ``batches``, ``thresholds``, ``warnings``.
    :param before: what it did before the batch that blocks.
    """

    connector: str
    state: str
    batches: tuple[Outcome, ...]
    entity_types: Table
    associations: Table
    thresholds: tuple[Threshold, ...]
    warnings: tuple[str, ...]
    omitted: Mapping[str, int]
    already_applied: bool
    change_set: str
    before: tuple[Table, Table] | None

    @classmethod
    def read(cls, value: object) -> Self | None:
        """Read what a synchronize returned, or what blocks it."""
        data = _mapping(value)
        if not _text(data.get("state")) or not isinstance(data.get("entity_types"), Mapping):
            return None
        return cls(
            connector=_text(data.get("connector")),
            state=_text(data.get("state")),
            batches=tuple(
                Outcome(_text(batch.get("id")), _text(batch.get("mode")), _text(batch.get("state")))
                for batch in _mappings(data.get("batches"))
            ),
            **_tables(data),
            thresholds=tuple(_threshold(threshold) for threshold in _mappings(data.get("thresholds"))),
            warnings=tuple(_text(warning) for warning in _list(data.get("warnings"))),
            omitted={name: _number(data.get(f"{name}_omitted")) for name in _LISTS},
            already_applied=data.get("already_applied") is True,
            change_set=_text(data.get("change_set")),
            before=tuple(_tables(before).values()) if (before := _mapping(data.get("before"))) else None,  # type: ignore[arg-type]  # two of them
        )

    @property
    def is_plan(self) -> bool:
        """Whether nothing was to be changed: else no task returns what is pending or blocked."""
        return any(batch.state == "pending" for batch in self.batches)

    def tells_of(self, batch: str) -> bool:
        """Tell whether a batch is among those that were processed."""
        return any(outcome.id == batch for outcome in self.batches)


def _tables(data: Mapping[str, object]) -> dict[str, Table]:
    return {
        "entity_types": Table.read(data.get("entity_types"), RESOURCES),
        "associations": Table.read(data.get("associations"), LINKS),
    }


def _threshold(data: Mapping[str, object]) -> Threshold:
    name = _text(data.get("name"))
    unit = " %" if "Percentage" in name else ""
    limit, actual = data.get("limit"), data.get("actual")
    return Threshold(
        scope=_text(data.get("scope")),
        name=name,
        limit=f"{_decimal(limit)}{unit}",
        actual="any change" if actual is None else f"{_decimal(actual, above=limit)}{unit}",
        stored=_decimal(data.get("stored")),
    )


# ---------------------------------------------------------------------------------------------------- single values


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in _list(value) if isinstance(item, Mapping))


def _entries(value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, item in _mapping(value).items():
        if isinstance(item, Mapping):
            yield str(name), item


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, Mapping | list) else str(value)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _decimal(value: object, above: object = None) -> str:
    """Return a number with two digits at most, or as many as tell it from what it is above."""
    if not isinstance(value, int | float):
        return _text(value)
    rounded = round(value, 2)
    exact = isinstance(above, int | float) and rounded <= above
    return f"{value if exact else rounded:,.10g}"


def _moment(value: object) -> str:
    """Return an ISO moment as people read it, in UTC; any other text as it is."""
    text = _text(value)
    try:
        moment = datetime.fromisoformat(text)
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment.tzinfo else text
    except (ValueError, OverflowError):
        return text
