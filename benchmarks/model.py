"""Which entry and group is where, in which snapshot: all of it a function of seed, field and row number."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 100_000
SLOTS = 5
"""Memberships of an entry."""
ORPHANS = 0.001
"""Share of memberships whose member does not exist."""

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Model:
    """What both snapshots hold.

    :param entries: entries of the first snapshot, at least 500.
    :param change_rate: share of the rows that differ in the second snapshot: a third of it each is new,
        changed and gone.
    """

    entries: int
    seed: int = 1
    change_rate: float = 0.01

    @property
    def groups(self) -> int:
        return self.entries // 50

    def draw(self, field: str, rows: Rows) -> npt.NDArray[np.uint64]:
        """Return 64 random bits for each row (splitmix64's finalizer over seed, field and row)."""
        salt = zlib.crc32(f"{self.seed}/{field}".encode())
        x = rows.astype(np.uint64) + np.uint64(salt << 31)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 0x9E3779B97F4A7C15)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        return x ^ (x >> np.uint64(32))

    def share(self, field: str, rows: Rows, part: float) -> Mask:
        """Return which rows belong to a random ``part`` (0 to 1) of all."""
        return (self.draw(field, rows) >> np.uint64(11)).astype(np.float64) < part * 2**53

    def pick(self, field: str, rows: Rows, count: int) -> Rows:
        """Return a number below ``count`` for each row."""
        return (self.draw(field, rows) % np.uint64(count)).astype(np.int64)

    def is_new(self, rows: Rows) -> Mask:
        return rows >= self.entries

    def is_gone(self, rows: Rows) -> Mask:
        return self.share("gone", rows, self.change_rate / 3) & ~self.is_new(rows)

    def is_changed(self, rows: Rows) -> Mask:
        changed = self.share("changed", rows, self.change_rate / 3)
        return changed & ~self.is_gone(rows) & ~self.is_new(rows)

    def live(self, snapshot: int) -> Iterator[Rows]:
        """Yield the entries of a snapshot (1 or 2) in file order, in chunks."""
        top = self.entries + (round(self.entries * self.change_rate / 3) if snapshot == 2 else 0)
        for start in range(0, top, CHUNK):
            rows = np.arange(start, min(start + CHUNK, top), dtype=np.int64)
            yield rows[~self.is_gone(rows)] if snapshot == 2 else rows

    def version(self, rows: Rows, snapshot: int) -> Rows:
        """Return 1 for entries that the snapshot shows changed, else 0."""
        return self.is_changed(rows).astype(np.int64) * (snapshot - 1)

    def unit(self, rows: Rows, snapshot: int) -> Rows:
        """Return each entry's organizational unit; one changed entry in twenty moves to the next."""
        moved = self.version(rows, snapshot) * self.share("moved", rows, 0.05)
        return (self.pick("unit", rows, 40) + moved) % 41

    def group_changed(self, rows: Rows) -> Mask:
        return self.share("groupchanged", rows, self.change_rate)

    def memberships(self, rows: Rows, snapshot: int) -> tuple[Rows, Mask, Mask]:
        """Return for slots: the group, whether it is another one in snapshot 2, whether it is an orphan.

        Each of an entry's slots has a fifth of the groups to itself, so that no pair comes up twice.
        """
        span = self.groups // SLOTS
        slot = rows % SLOTS
        uniform = self.draw("group", rows).astype(np.float64) / 2.0**64
        group = np.minimum((uniform**2 * span).astype(np.int64), span - 1)
        moved = self.share("regrouped", rows, self.change_rate / 3) & ~self.is_new(rows // SLOTS)
        if snapshot == 2:
            group = (group + moved) % span
        return group + slot * span, moved & (span > 1), self.share("orphan", rows, ORPHANS)


def slots(rows: Rows) -> Rows:
    """Return the numbers of the entries' membership slots."""
    return (rows[:, np.newaxis] * SLOTS + np.arange(SLOTS)).ravel()
