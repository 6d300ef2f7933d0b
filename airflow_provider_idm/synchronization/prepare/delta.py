"""Full extracts compared: what changed between the sorted file of the last prepare and the new one.

Both files are sorted by key and written alike, and most of their rows are the same. So they are merged: runs of equal
records are passed over whole, and only where they differ are records taken apart. That takes little memory, whatever
the size of the files, and is several times as quick as a join.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.synchronization.prepare.targets import Target

_BLOCK: Final = 1 << 20
"""Bytes read at a time."""
_LONGEST_RUN: Final = 4096
_SHORTEST_RUN: Final = 32
"""Records compared at once: few after a difference, more and more while there is none."""


class _Records:
    """The records of a clean file, a block at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.block: list[bytes] = []
        self.at = 0

    def fill(self) -> bool:
        """Make sure that there is a record at ``at``; False at the end of the file."""
        if self.at < len(self.block):
            return True
        text = self._file.read(_BLOCK) + self._file.readline()
        while text.count(b'"') % 2:
            text += self._file.readline()
        self.block = text.removesuffix(b"\n").split(b"\n") if text else []
        if b'"' in text:
            self.block = _join_quoted(self.block)
        self.at = 0
        return bool(self.block)


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
        while old.fill() and new.fill():
            _pass_equal(old, new)
            if old.at < len(old.block) and new.at < len(new.block):
                counts[_step(old, new, keys, out)] += 1
        while old.fill():
            counts[_delete(old, keys, out)] += 1
        while new.fill():
            counts[_insert(new, out)] += 1
    return {command: counts[command] for command in sorted(counts) if command and counts[command]}


def _pass_equal(old: _Records, new: _Records) -> None:
    """Go on to the next difference, or to the end of a block."""
    run = _SHORTEST_RUN
    while True:
        before = old.block[old.at : old.at + run]
        after = new.block[new.at : new.at + run]
        size = min(len(before), len(after))
        if not size:
            return
        if before[:size] != after[:size]:
            equal = next(n for n in range(size) if before[n] != after[n])
            old.at += equal
            new.at += equal
            return
        old.at += size
        new.at += size
        run = min(2 * run, _LONGEST_RUN)


def _step(old: _Records, new: _Records, keys: list[int], out: BinaryIO) -> str:
    """Write what became of the next record; return the command, empty if only its quoting differs."""
    before, after = _fields(old.block[old.at]), _fields(new.block[new.at])
    old_key, new_key = [before[k] for k in keys], [after[k] for k in keys]
    if old_key < new_key:
        return _delete(old, keys, out)
    if new_key < old_key:
        return _insert(new, out)
    if before != after:
        out.write(b"update," + new.block[new.at] + b"\n")
    old.at += 1
    new.at += 1
    return "update" if before != after else ""


def _insert(new: _Records, out: BinaryIO) -> str:
    out.write(b"insert," + new.block[new.at] + b"\n")
    new.at += 1
    return "insert"


def _delete(old: _Records, keys: list[int], out: BinaryIO) -> str:
    fields = _fields(old.block[old.at])
    written = [_quoted(value) if place in keys else b"" for place, value in enumerate(fields)]
    out.write(b"delete," + b",".join(written) + b"\n")
    old.at += 1
    return "delete"


def _join_quoted(lines: list[bytes]) -> list[bytes]:
    """Put records together that were cut at a line break inside quotes."""
    records: list[bytes] = []
    parts: list[bytes] = []
    for line in lines:
        odd = line.count(b'"') % 2
        if not parts and not odd:
            records.append(line)
            continue
        parts.append(line)
        if odd and len(parts) > 1:
            records.append(b"\n".join(parts))
            parts = []
    return records


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
