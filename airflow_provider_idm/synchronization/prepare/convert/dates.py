"""Dates and times: to ``yyyyMMddHHmmss`` in UTC."""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.synchronization.prepare.convert.let import let

_TIME: Final = r"([01]\d|2[0-3])"
_SIXTY: Final = r"([0-5]\d)"
_FRACTION: Final = r"(?:[.,]\d+)?"
_ZONE: Final = r"([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?"
_EXTENDED: Final = rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ]{_TIME}:{_SIXTY}(?::{_SIXTY}{_FRACTION})? ?{_ZONE})?"
_COMPACT: Final = rf"(\d{{4}})(\d\d)(\d\d)(?:T?{_TIME}(?:{_SIXTY}{_SIXTY}?)?{_FRACTION}{_ZONE})?"
_MIDNIGHT: Final = r"(?:[Tt ]00:00(?::00(?:[.,]0+)?)?)?"
_DATE: Final = rf"(\d{{4}})(?:-(\d\d)-(\d\d){_MIDNIGHT}|/(\d\d)/(\d\d){_MIDNIGHT}|(\d\d)(\d\d)(?:000000)?)"
_PARTS: Final = ("y", "mo", "d", "h", "mi", "s", "z")
_COMMON: Final = {
    "%Y%m%d%H%M%S.0Z": 17,
    "%Y%m%d%H%M%SZ": 15,
    "%Y-%m-%dT%H:%M:%SZ": 20,
    "%Y-%m-%d %H:%M:%S": 19,
    "%Y-%m-%dT%H:%M:%S": 19,
    "%Y-%m-%d": 10,
    "%Y%m%d": 8,
}
"""How moments in UTC are written most, and how long that is."""
_EPOCH_1601: Final = 11_644_473_600_000_000
"""Microseconds from 1601 to 1970."""


def date_time(x: str) -> str:
    """ISO 8601, ``yyyy-MM-dd HH:mm:ss``, generalized time, a date alone (midnight); without a zone UTC."""
    return (
        f"CASE {_common(x)}"
        f"WHEN regexp_full_match({x}, '{_EXTENDED}') THEN {_moment(x, _EXTENDED)} "
        f"WHEN regexp_full_match({x}, '{_COMPACT}') THEN {_moment(x, _COMPACT)} END"
    )


def date(x: str) -> str:
    """``yyyy-MM-dd``, ``yyyy/MM/dd`` or ``yyyyMMdd``, alone or at midnight."""
    day = rf"regexp_replace({x}, '^{_DATE}$', '\1-\2\4\6-\3\5\7')"
    return (
        f"CASE WHEN regexp_full_match({x}, '{_DATE}') THEN {_canonical(f'TRY_CAST({day} AS TIMESTAMP)')} END"
    )


def date_1601(x: str) -> str:
    """Count 100-ns ticks since 1601 (UTC); 0 and the greatest 64-bit number mean never, which is no value."""
    ticks = f"TRY_CAST({x} AS BIGINT)"
    moment = f"make_timestamp({ticks} // 10 - {_EPOCH_1601})"
    return (
        rf"CASE WHEN regexp_full_match({x}, '\d+') AND {ticks} IS NOT NULL THEN "
        f"CASE WHEN {ticks} IN (0, 9223372036854775807) THEN '' ELSE {_canonical(moment)} END END"
    )


def _common(x: str) -> str:
    """Return the branches for the common ways of writing, which take a hundredth of the time of the others.

    What is read is written again, and must be the same: reading alone is lenient.
    """
    branches = ""
    for format_, length in _COMMON.items():
        moment = f"try_strptime({x}, '{format_}')"
        branches += (
            f"WHEN strlen({x}) = {length} AND {x} >= '0001' AND strftime({moment}, '{format_}') = {x} "
            f"THEN strftime({moment}, '%Y%m%d%H%M%S') "
        )
    return branches


def _moment(x: str, pattern: str) -> str:
    names = ", ".join(f"'{n}'" for n in _PARTS)
    return let(f"regexp_extract({x}, '^{pattern}$', [{names}])", "parts", _moment_of)


def _moment_of(parts: str) -> str:
    def part(name: str) -> str:
        return f"coalesce(nullif({parts}.{name}, ''), '00')"

    day = f"{parts}.y || '-' || {parts}.mo || '-' || {parts}.d"
    time = f"{part('h')} || ':' || {part('mi')} || ':' || {part('s')}"
    zone = f"{parts}.z"
    hours = f"TRY_CAST(substr({zone}, 2, 2) AS INTEGER)"
    minutes = f"coalesce(TRY_CAST(substr(replace({zone}, ':', ''), 4, 2) AS INTEGER), 0)"
    offset = f"CASE {zone}[1] WHEN '+' THEN 1 WHEN '-' THEN -1 END * ({hours} * 60 + {minutes})"
    return _canonical(f"TRY_CAST({day} || ' ' || {time} AS TIMESTAMP) - to_minutes(coalesce({offset}, 0))")


def _canonical(moment: str) -> str:
    return let(
        moment,
        "moment",
        lambda m: (
            f"CASE WHEN {m} >= TIMESTAMP '0001-01-01' AND {m} < TIMESTAMP '10000-01-01' "
            f"THEN lpad(year({m})::VARCHAR, 4, '0') || strftime({m}, '%m%d%H%M%S') END"
        ),
    )
