"""Cleansing, comparing and folding in plain Python: lists, dictionaries, one row after the other."""

from __future__ import annotations

Row = list[str]
"""Canonical values of a row; empty = null."""


def csv_bytes(header: list[str], rows: list[Row]) -> bytes:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"' if set(value) & set(',"\n\r') else value

    return "".join(",".join(map(quoted, row)) + "\n" for row in [header, *rows]).encode()


def cleanse(rows: list[Row], keys: list[int]) -> tuple[list[Row], list[int], list[int]]:
    """Return the clean rows, and the numbers of the rows without a key and of duplicates."""
    kept: dict[tuple[str, ...], Row] = {}
    nullpk, duplicates = [], []
    for number, row in enumerate(rows):
        key = tuple(row[i] for i in keys)
        if not all(key):
            nullpk.append(number)
        elif key in kept:
            duplicates.append(number)
        else:
            kept[key] = row
    return [kept[k] for k in sorted(kept)], nullpk, duplicates


def delta(former: list[Row], current: list[Row], keys: list[int]) -> list[Row]:
    old = {tuple(r[i] for i in keys): r for r in former}
    new = {tuple(r[i] for i in keys): r for r in current}
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            lines.append(["insert", *new[key]])
        elif key not in new:
            lines.append(["delete", *(v if i in keys else "" for i, v in enumerate(old[key]))])
        elif old[key] != new[key]:
            lines.append(["update", *new[key]])
    return lines


def fold_entity(changes: list[tuple[str, Row]], key: int) -> list[Row]:
    """Apply the table of pairs of commands, two at a time."""
    folded: dict[str, tuple[str, Row]] = {}
    for command, row in changes:
        if not row[key]:
            continue
        if row[key] not in folded:
            folded[row[key]] = (command, row)
            continue
        former, values = folded[row[key]]
        overlaid = [new or old for old, new in zip(values, row, strict=True)]
        folded[row[key]] = {
            ("delete", "insert"): ("update", row),
            ("delete", "update"): ("update", row),
            ("delete", "merge"): ("update", row),
            ("insert", "insert"): ("insert", row),
            ("insert", "update"): ("insert", row),
            ("insert", "merge"): ("insert", overlaid),
            ("update", "insert"): ("update", row),
            ("update", "update"): ("update", row),
            ("update", "merge"): ("update", overlaid),
            ("merge", "insert"): ("insert", row),
            ("merge", "update"): ("insert", row),
            ("merge", "merge"): ("merge", overlaid),
        }.get((former, command), ("delete", row))
    return [
        [command, *(v if command != "delete" or i == key else "" for i, v in enumerate(row))]
        for command, row in (folded[k] for k in sorted(folded))
    ]


def fold_pairs(changes: list[tuple[str, Row]]) -> list[Row]:
    pairs = {
        tuple(row): "delete" if command == "delete" else "insert" for command, row in changes if all(row)
    }
    return [[pairs[p], *p] for p in sorted(pairs)]


def fold_owned(changes: list[tuple[str, str, str, str]]) -> list[Row]:
    """Fold rows (command, owner, own key, other key) by going through the states of each entity.

    A state is what is known of the entity: its key ("" unknown), whether that is all there is to know of it (a whole
    row or a delete came by), and the last command about its link.
    """
    own: dict[str, str] = {}
    whole: dict[str, bool] = {}
    link: dict[str, tuple[str, str]] = {}
    seen: dict[str, str] = {}
    removed: dict[str, str] = {}
    for command, owner, key, other in changes:
        if not owner:
            continue
        seen[owner] = key or seen.get(owner, "")
        if command == "delete":
            removed[owner] = seen[owner]
            own[owner], whole[owner], link[owner] = "", True, ("delete", "")
        elif command == "merge":
            own[owner] = key or own.get(owner, "")
            if other:
                link[owner] = ("merge", other)
        else:
            own[owner], whole[owner], link[owner] = key, True, (command, other)
    rows = []
    for owner in sorted(link):
        command, other = link[owner]
        if command == "delete":
            rows.append(["delete", removed[owner], "", owner])
        elif not own[owner] and whole.get(owner):
            rows.append(["delete", "", "", owner])
        else:
            rows.append([command, own[owner], other, owner])
    return rows
