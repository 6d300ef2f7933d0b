"""Numbers as people read them: limits, what exceeds them, percentages that never claim none or all wrongly."""

from __future__ import annotations

from airflow_provider_idm.synchronization.synchronize.result import ExceededThreshold


def limit_text(threshold: ExceededThreshold) -> str:
    """Return a threshold's limit with its unit."""
    return _number(threshold.limit, threshold)


def actual_text(threshold: ExceededThreshold) -> str:
    """Return the actual value; a percentage to two digits, or to as many as tell it from the limit."""
    actual = threshold.actual
    if actual is None:
        return "any change"
    if not threshold.is_percentage:
        return _number(actual, threshold)
    rounded = round(actual, 2)
    return _number(rounded if rounded > threshold.limit else actual, threshold)


def with_percentage(number: int, stored: int) -> str:
    """Return a number of changes and its percentage of what is stored; never rounded to none or all of it."""
    if not number or not stored:
        return f"{number:,}"
    percentage = 100 * number / stored
    if percentage < 0.1:
        return f"{number:,} (< 0.1 %)"
    rounded = round(percentage, 1)
    if rounded == 100 and number != stored:
        rounded = 99.9 if number < stored else 100.1
    return f"{number:,} ({rounded:,.10g} %)"


def _number(value: float, threshold: ExceededThreshold) -> str:
    return f"{value:,.10g} %" if threshold.is_percentage else f"{value:,.10g}"
