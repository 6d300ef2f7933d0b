"""Booleans, integers, single bits, floating-point numbers."""

from __future__ import annotations

from typing import Final

RANGES: Final = {
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "Int64": (-(2**63), 2**63 - 1),
}


def boolean(x: str) -> str:
    """Read true, yes, 1 → ``1``; false, no, 0 → ``0``; in any case."""
    return (
        f"CASE WHEN lower({x}) IN ('true', 'yes', '1') THEN '1' "
        f"WHEN lower({x}) IN ('false', 'no', '0') THEN '0' END"
    )


def integer(x: str, name: str) -> str:
    """Decimal digits with an optional sign, within the range of a type (``Byte``, ``Int16``, ``Int32``, ``Int64``)."""
    low, high = RANGES[name]
    number = f"TRY_CAST({x} AS HUGEINT)"
    return (
        f"CASE WHEN regexp_full_match({x}, '[+-]?[0-9]+') "
        f"AND {number} BETWEEN {low}::HUGEINT AND {high}::HUGEINT THEN {number}::VARCHAR END"
    )


def bit(x: str, n: int) -> str:
    """``1`` or ``0`` for bit n (0 is the lowest) of a canonical integer; negative numbers in two's complement."""
    return f"((TRY_CAST({x} AS BIGINT) >> {min(n, 63)}) & 1)::VARCHAR"


def double(x: str) -> str:
    """Write the shortest decimal that reads back as the same number; a whole number has no fraction, zero no sign."""
    number = f"TRY_CAST({x} AS DOUBLE)"
    return (
        rf"CASE WHEN regexp_full_match({x}, '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?') "
        f"AND isfinite({number}) THEN CASE WHEN {number} = 0 THEN '0' "
        rf"ELSE regexp_replace({number}::VARCHAR, '\.0$', '') END END"
    )
