"""A connection's transformations, from their attributes as written to what each does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.attributes import boolean
from airflow_provider_idm.configuration.date_pattern import DatePattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_idm.configuration.model import Transformation

TYPES: Final = ("ConcatColumns", "TransformDate", "WhereValue")
OPERATORS: Final = ("Equals", "NotEquals", "Contains", "NotContains", "StartsWith", "EndsWith", "Regex")
INPUT_COLUMNS: Final = ("InputColumn", *(f"InputColumn{n}" for n in range(2, 6)))
ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "ConcatColumns": frozenset(
        {"Column", *INPUT_COLUMNS, "ConcatSeparator", "RemoveEmpty", "RemoveDuplicates", "SortValues"}
    ),
    "TransformDate": frozenset({"Column", "InputColumn", "AddedDays", "MinYear", "MaxYear", "DatePattern"}),
    "WhereValue": frozenset({"Column", "WhereOperator", "WhereValue"}),
}
"""The attributes that each type uses, besides ``Type`` and ``Table``."""
_MOST_DAYS: Final = 3_652_059
"""Days of the years 1 to 9999."""


@dataclass(frozen=True, slots=True)
class ConcatColumns:
    """Join the values of some columns, in their order, into one that is there already or is added at the end."""

    column: str
    inputs: tuple[str, ...]
    separator: str
    remove_empty: bool
    remove_duplicates: bool
    sort_values: bool


@dataclass(frozen=True, slots=True)
class TransformDate:
    """Move the dates of a column by some days, unless they lie outside of some years; both bounds may be None."""

    column: str
    input: str
    added_days: float
    min_year: int | None
    max_year: int | None
    pattern: DatePattern | None


@dataclass(frozen=True, slots=True)
class WhereValue:
    """Keep the rows whose value in a column compares so; ``expression`` is for the operator Regex alone."""

    column: str
    operator: str
    value: str
    expression: re.Pattern[str] | None = None


Step = ConcatColumns | TransformDate | WhereValue


def parse_transformation(transformation: Transformation) -> Step:
    """Return what a transformation does.

    The kinds of its attributes were checked when it was read; this checks what depends on its type.

    :raises ValueError: if an attribute is missing or wrong.
    """
    written = transformation.attributes
    missing = [name for name in _required(transformation.type) if not written.get(name)]
    if missing:
        raise ValueError(f"Type {transformation.type} needs the attribute {' and '.join(missing)}")
    if transformation.type == "ConcatColumns":
        return _concat(written)
    return _date(written) if transformation.type == "TransformDate" else _where(written)


def _required(kind: str) -> tuple[str, ...]:
    return ("Column", "InputColumn") if kind == "ConcatColumns" else ("Column",)


def _concat(written: Mapping[str, str]) -> ConcatColumns:
    return ConcatColumns(
        column=written["Column"],
        inputs=tuple(written[name] for name in INPUT_COLUMNS if written.get(name)),
        separator=written.get("ConcatSeparator", ""),
        remove_empty=_flag(written, "RemoveEmpty"),
        remove_duplicates=_flag(written, "RemoveDuplicates"),
        sort_values=_flag(written, "SortValues"),
    )


def _date(written: Mapping[str, str]) -> TransformDate:
    first, last = (int(written[name]) if written.get(name) else None for name in ("MinYear", "MaxYear"))
    if first is not None and last is not None and first > last:
        raise ValueError(f"MinYear {first} is after MaxYear {last}: no date would be transformed")
    pattern = written.get("DatePattern")
    try:
        compiled = DatePattern.compile(pattern) if pattern else None
    except ValueError as error:
        raise ValueError(f'DatePattern="{pattern}": {error}') from None
    days = float(written.get("AddedDays") or 0)
    if abs(days) > _MOST_DAYS:
        raise ValueError(f'AddedDays="{written["AddedDays"]}": expected at most {_MOST_DAYS} days')
    return TransformDate(
        written["Column"], written.get("InputColumn") or written["Column"], days, first, last, compiled
    )


def _where(written: Mapping[str, str]) -> WhereValue:
    operator = _operator(written.get("WhereOperator", ""))
    value = written.get("WhereValue", "")
    if not value and operator not in {"Equals", "NotEquals"}:
        raise ValueError(f"WhereOperator {operator} needs the attribute WhereValue")
    if operator != "Regex":
        return WhereValue(written["Column"], operator, value)
    try:
        return WhereValue(written["Column"], operator, value, re.compile(value))
    except re.error as error:
        raise ValueError(f'WhereValue="{value}": expected a regular expression: {error}') from None


def _operator(text: str) -> str:
    """Return the operator by its name in any case or its number; the first one if there is none."""
    wanted = text.strip().casefold() or "0"
    names = {name.casefold(): name for name in OPERATORS}
    return names.get(wanted) or OPERATORS[int(wanted)]


def _flag(written: Mapping[str, str], name: str) -> bool:
    return name in written and boolean(written[name])
