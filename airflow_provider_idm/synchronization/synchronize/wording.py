"""Numbers as people read them: percentages that never claim none or all wrongly."""

from __future__ import annotations


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
