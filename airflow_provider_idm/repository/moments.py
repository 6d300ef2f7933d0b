"""Dates as of which the repository is read: a day is its first moment, and without a zone it is UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime


def as_moment(given: date | datetime | str) -> datetime:
    """Return a moment in UTC.

    :param given: a day, a moment, or either as ISO 8601 text (``2026-03-01``, ``2026-03-01T06:00+02:00``).
    :raises ValueError: if the text is neither, or the moment lies outside the years 1 to 9999 once it is in UTC.
    """
    moment = datetime.fromisoformat(given.strip()) if isinstance(given, str) else given
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{given!r} lies outside the years 1 to 9999 in UTC") from None
