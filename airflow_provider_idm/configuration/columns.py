"""The column layout of ``UR_Resources``: ``TargetColumnIndex`` to column name and back.

A property with index n is stored in column ``C`` + b(n) for 0 ≤ n ≤ 127 and in ``I`` + b(n) for 128 ≤ n ≤ 152, b being
base 32 with the digits 0-9A-V: 0 → ``C0``, 31 → ``CV``, 32 → ``C10``, 127 → ``C3V``, 128 → ``I40``, 152 → ``I4O``.
"""

from __future__ import annotations

from typing import Final

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
LAST_LONG: Final = 3
LAST_SCALAR: Final = 127
FIRST_NAVIGATION: Final = 128
LAST_NAVIGATION: Final = 152
LONG_LENGTH: Final = 4000
"""Characters that ``C0`` to ``C3`` hold."""
SCALAR_LENGTH: Final = 442
"""Characters that every other scalar column, and every key, holds."""
MAX_UNIQUE_KEYS: Final = 3


def base32(number: int) -> str:
    """Write a non-negative number in base 32 with the digits 0-9A-V."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    digits = DIGITS[number % 32]
    while number := number // 32:
        digits = DIGITS[number % 32] + digits
    return digits


def column_name(index: int) -> str:
    """Return the column of ``UR_Resources`` for a ``TargetColumnIndex`` from 0 to 152."""
    if not 0 <= index <= LAST_NAVIGATION:
        raise ValueError(f"TargetColumnIndex {index} has no column: 0 to {LAST_NAVIGATION} have one")
    return ("C" if index <= LAST_SCALAR else "I") + base32(index)


def column_length(index: int) -> int:
    """Return how many characters the scalar column of a ``TargetColumnIndex`` from 0 to 127 holds."""
    return LONG_LENGTH if index <= LAST_LONG else SCALAR_LENGTH


SCALAR_COLUMNS: Final = tuple(column_name(n) for n in range(LAST_SCALAR + 1))
NAVIGATION_COLUMNS: Final = tuple(column_name(n) for n in range(FIRST_NAVIGATION, LAST_NAVIGATION + 1))
UNIQUE_KEY_COLUMNS: Final = tuple(f"U{n}" for n in range(MAX_UNIQUE_KEYS))
