"""Full extracts compared: what changed between the sorted file of the last prepare and the new one.

Both files are sorted by key and written alike, and most of their rows are the same. So they are merged: what is the same
is compared as bytes, and only where the files differ are records taken apart. That takes little memory, whatever the
size of the files, and a fraction of the time of a join.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.synchronization.prepare.targets import Target

_BLOCK: Final = 1 << 22
"""Bytes read at a time."""
_SHORTEST_RUN: Final = 1 << 10
_LONGEST_RUN: Final = 1 << 20
"""Bytes compared at once: few after a difference, more and more while there is none."""
_NEAR: Final = 16
"""Bytes before a difference from which on it is not looked for more closely."""


class _Records:
    """The records of a clean file.

    :param text: what has been read and not been passed yet, from ``at`` on.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ended = False
        self.text = b""
        self.at = 0

    def fill(self) -> bool:
        """Make sure that there is something at ``at``; False at the end of the file."""
        return self.at < len(self.text) or self.read_on()

    def read_on(self) -> bool:
        """Read the next block; False if there is none."""
        if not self._ended:
            block = self._file.read(_BLOCK)
            self._ended = not block
            self.text = self.text[self.at :] + block
            self.at = 0
        return not self._ended

    def record(self) -> bytes:
        """Return the record that begins at ``at``, without its line feed."""
        end = self.text.find(b"\n", self.at)
        while end < 0 or self.text.count(b'"', self.at, end) % 2:
            if end < 0:
                length = len(self.text) - self.at
                if not self.read_on():
                    return self.text[self.at :]
                end = self.text.find(b"\n", self.at + length)
            else:
                end = self.text.find(b"\n", end + 1)
        return self.text[self.at : end]

    def whole(self, size: int) -> int:
        """Return how many of the next so many bytes are whole records."""
        end = self.text.rfind(b"\n", self.at, self.at + size)
        while end >= 0 and self.text.count(b'"', self.at, end) % 2:
            end = self.text.rfind(b"\n", self.at, end)
        return end + 1 - self.at if end >= 0 else 0


def write_delta(target: Target, former: Path, current: Path, path: Path) -> dict[str, int]:
    """Write ``<name>.sorted.delta``: inserts and updates whole, deletes with their key alone.

    :return: the rows per command.
    """
    keys = [place for place, column in enumerate(target.columns) if column.is_key]
    counts: Counter[str] = Counter()
    with former.open("rb") as old_file, current.open("rb") as new_file, path.open("wb") as out:
        old_file.readline()
        out.write(b"command," + new_file.readline())
        old, new = _Records(old_file), _Records(new_file)
        while _find_difference(old, new):
            counts[_step(old, new, keys, out)] += 1
        while old.fill():
            counts[_delete(old, keys, out)] += 1
        while new.fill():
            counts[_insert(new, out)] += 1
    return {command: counts[command] for command in sorted(counts) if command and counts[command]}


def _find_difference(old: _Records, new: _Records) -> bool:
    """Pass the records that are the same; False at the end of a file."""
    while old.fill() and new.fill():
        size = min(len(old.text) - old.at, len(new.text) - new.at)
        equal = _equal_bytes(old, new, size)
        passed = old.whole(equal)
        old.at += passed
        new.at += passed
        if equal < size:
            return True
        if not passed and not (old.read_on() | new.read_on()):
            return True  # the last record of a file begins like one of the other
    return False


def _equal_bytes(old: _Records, new: _Records, size: int) -> int:
    """Return how many of the next so many bytes are equal; up to ``_NEAR`` more of them may be."""
    equal, run = 0, _SHORTEST_RUN
    while equal < size:
        step = min(run, size - equal)
        if not _are_equal(old, new, equal, step):
            break
        equal += step
        run = min(2 * run, _LONGEST_RUN)
    else:
        return size
    while step > _NEAR:
        half = step // 2
        if _are_equal(old, new, equal, half):
            equal += half
            step -= half
        else:
            step = half
    return equal


def _are_equal(old: _Records, new: _Records, start: int, size: int) -> bool:
    before, after = old.at + start, new.at + start
    return old.text[before : before + size] == new.text[after : after + size]


def _step(old: _Records, new: _Records, keys: list[int], out: BinaryIO) -> str:
    """Write what became of the next record; return the command, empty if it stayed the same."""
    old_record, new_record = old.record(), new.record()
    before, after = _fields(old_record), _fields(new_record)
    old_key, new_key = [before[k] for k in keys], [after[k] for k in keys]
    if old_key < new_key:
        return _delete(old, keys, out)
    if new_key < old_key:
        return _insert(new, out)
    if before != after:
        out.write(b"update," + new_record + b"\n")
    old.at += len(old_record) + 1
    new.at += len(new_record) + 1
    return "update" if before != after else ""


def _insert(new: _Records, out: BinaryIO) -> str:
    record = new.record()
    out.write(b"insert," + record + b"\n")
    new.at += len(record) + 1
    return "insert"


def _delete(old: _Records, keys: list[int], out: BinaryIO) -> str:
    record = old.record()
    fields = _fields(record)
    written = [_quoted(value) if place in keys else b"" for place, value in enumerate(fields)]
    out.write(b"delete," + b",".join(written) + b"\n")
    old.at += len(record) + 1
    return "delete"


def _fields(record: bytes) -> list[bytes]:
    """Return the values of a record."""
    if b'"' not in record:
        return record.split(b",")
    fields: list[bytes] = []
    at = 0
    while True:
        if record.startswith(b'"', at):
            end = record.index(b'"', at + 1)
            while record.startswith(b'""', end):
                end = record.index(b'"', end + 2)
            fields.append(record[at + 1 : end].replace(b'""', b'"'))
            at = end + 1
        else:
            end = record.find(b",", at)
            end = len(record) if end < 0 else end
            fields.append(record[at:end])
            at = end
        if at >= len(record):
            return fields
        at += 1


def _quoted(value: bytes) -> bytes:
    if any(c in value for c in (b",", b'"', b"\n", b"\r")):
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value
