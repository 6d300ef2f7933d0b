"""Makes a directory's CSV source files, twice, with the XML configuration that maps them.

For N entries there are N/50 groups and five memberships an entry. The same arguments give the same
bytes, and the second snapshot is the first one with a share of its rows added, changed and removed. The
data has what real extracts have: accents, quotes, separators and line breaks in values, keys seen twice,
empty keys, members that do not exist, people whose distinguished name changed, a few groups that hold
most members.

    python -m benchmarks.generate DATA --entries 100000

writes DATA/conf/AD.xml, DATA/s1/*.csv, DATA/s2/*.csv and DATA/truth.json: what synchronizing them must count.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.model import CHUNK, SLOTS, Model, Rows, slots

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = Path(__file__).parent / "conf"
SUFFIX = "DC=example,DC=org"
ODD = 0.005
"""Share of descriptions with quotes, separators or line breaks."""
RARE = 0.001
"""Share of rows that come twice, and of rows without a key."""

GIVEN = (
    "Anna", "Björn", "Chloé", "Dmitri", "Eirik", "François", "Gül", "Hélène", "Iñaki", "Jürgen",
    "Katarzyna", "Łukasz", "Mária", "Nuño", "Ólafur", "Paweł", "Renée", "Søren", "Tòmas", "Zoë", "李",
    "Ольга",
)  # fmt: skip
FAMILY = (
    "Abbott", "Álvarez", "Brûlé", "Černý", "D'Angelo", "Eßer", "Fjørtoft", "Gößmann", "Håkansson",
    "Ibáñez", "Kovács", "Lefèvre", "Müller", "Nowak", "O'Neill", "Pérez", "Quiñones", "Römer", "Świątek",
    "Tanaka", "王", "Иванова",
)  # fmt: skip
DEPARTMENT = (
    "Finance", "Forschung; Entwicklung", "Human Resources", "IT", "Legal, Risk", "Opérations", "Sales",
)  # fmt: skip
TITLE = (
    "Analyst", "Architect", "Assistant", "Buyer", "Clerk", "Director", "Engineer", "Manager",
    "Technicien·ne",
)  # fmt: skip
ODDITY = (
    'says "hello"', "one; two, three", "first\nsecond line", 'a "quoted; and\r\nbroken" value',
    "tab\there",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ columns


def words(choices: tuple[str, ...], numbers: Rows) -> pa.Array:
    return pa.array(choices, pa.string()).take(pa.array(numbers))


def digits(numbers: Rows, width: int = 1) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def guids(model: Model, field: str, rows: Rows) -> pa.Array:
    raw = np.stack([model.draw(f"{field}1", rows), model.draw(f"{field}2", rows)], axis=1).tobytes().hex()
    flat = pa.array([raw[i : i + 32] for i in range(0, len(raw), 32)], pa.string())
    cuts = [pc.utf8_slice_codeunits(flat, a, b) for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))]
    return pc.binary_join_element_wise(*cuts, "-")


def names(model: Model, rows: Rows, snapshot: int) -> pa.Array:
    """Return the entries' distinguished names."""
    given, family = (
        words(GIVEN, model.pick("given", rows, len(GIVEN))),
        words(FAMILY, model.pick("family", rows, len(FAMILY))),
    )
    unit = digits(model.unit(rows, snapshot), 2)
    return joined("CN=", given, " ", family, " ", digits(rows, 8), ",OU=Unit", unit, ",OU=Users," + SUFFIX)


def group_names(rows: Rows) -> pa.Array:
    return joined("CN=GG_Role_", digits(rows, 6), ",OU=Groups," + SUFFIX)


def users(model: Model, rows: Rows, snapshot: int) -> pa.Table:
    given, family = model.pick("given", rows, len(GIVEN)), model.pick("family", rows, len(FAMILY))
    version, number = model.version(rows, snapshot), digits(rows, 8)
    plain = joined("Account of ", words(FAMILY, family), ", ", words(GIVEN, given))
    oddity = words(ODDITY, model.pick("oddity", rows, len(ODDITY)))
    month, day = digits(model.pick("month", rows, 12) + 1, 2), digits(model.pick("day", rows, 28) + 1, 2)
    hour = digits(model.pick("hour", rows, 12) + 12 * version, 2)
    phone = joined("+49 30 ", digits(model.pick("phone", rows, 10_000_000), 7))
    no_phone = model.share("no phone", rows, 0.2)
    return pa.table({
        "objectGUID": guids(model, "user", rows),
        "dn": names(model, rows, snapshot),
        "sAMAccountName": joined("u", number),
        "userPrincipalName": joined("u", number, "@example.org"),
        "givenName": words(GIVEN, given),
        "sn": words(FAMILY, family),
        "displayName": joined(words(FAMILY, family), ", ", words(GIVEN, given)),
        "mail": joined("user.", number, "@mail.example.org"),
        "department": words(DEPARTMENT, model.pick("department", rows, len(DEPARTMENT))),
        "title": words(TITLE, (model.pick("title", rows, len(TITLE)) + version) % len(TITLE)),
        "telephoneNumber": pc.if_else(pa.array(no_phone), pa.scalar(None, pa.string()), phone),
        "description": pc.if_else(pa.array(model.share("odd", rows, ODD)), oddity, plain),
        "employeeNumber": digits(1000 + rows),
        "whenChanged": joined("2025", month, day, hour, "0000Z"),
        "enabled": pc.if_else(pa.array(model.share("disabled", rows, 0.05)), "false", "true"),
    })  # fmt: skip


def groups(model: Model, rows: Rows, snapshot: int) -> pa.Table:
    changed = model.group_changed(rows) & (snapshot == 2)
    return pa.table({
        "objectGUID": guids(model, "group", rows),
        "dn": group_names(rows),
        "name": joined("GG_Role_", digits(rows, 6)),
        "description": joined("Rôle ", digits(rows), pc.if_else(pa.array(changed), " (revised)", "")),
    })  # fmt: skip


def members(model: Model, rows: Rows, snapshot: int) -> pa.Table:
    numbers = slots(rows)
    group, _, orphan = model.memberships(numbers, snapshot)
    member = names(model, rows, snapshot).take(pa.array(np.repeat(np.arange(len(rows)), SLOTS)))
    ghost = joined("CN=Ghost ", digits(numbers), ",OU=Users," + SUFFIX)
    return pa.table({"group": group_names(group), "member": pc.if_else(pa.array(orphan), ghost, member)})


def untidy(model: Model, table: pa.Table, field: str, rows: Rows, key: str) -> tuple[pa.Table, int, int]:
    """Append rows that came before, and rows without ``key``; return their numbers too."""
    again = table.filter(pa.array(model.share(f"{field}again", rows, RARE)))
    nameless = table.filter(pa.array(model.share(f"{field}nokey", rows, RARE)))
    nameless = nameless.set_column(
        nameless.column_names.index(key), key, pa.nulls(len(nameless), pa.string())
    )
    return pa.concat_tables([table, again, nameless]), len(again), len(nameless)


# -------------------------------------------------------------------------------------------------- files


def write(tables: Iterator[pa.Table], path: Path) -> None:
    """Write a CSV source file: semicolons, quotes only where needed."""
    first = next(tables)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first.combine_chunks().to_batches()
        for table in tables:
            yield from table.combine_chunks().to_batches()

    reader = pa.RecordBatchReader.from_batches(first.schema, batches())
    target = str(path).replace("'", "''")
    with duckdb.connect(config={"threads": 1, "memory_limit": "500MB"}) as connection:
        connection.register("rows", reader)
        connection.execute(f"COPY rows TO '{target}' (FORMAT csv, HEADER, DELIMITER ';')")


def write_snapshot(model: Model, snapshot: int, folder: Path) -> dict[str, dict[str, int]]:
    """Write one snapshot's three source files and return what each holds."""
    folder.mkdir(parents=True, exist_ok=True)
    count: dict[str, Counter[str]] = {"User": Counter(), "Group": Counter(), "GroupMembers": Counter()}

    def tidy_and_not(target: str, table: pa.Table, rows: Rows, key: str) -> pa.Table:
        everything, again, nameless = untidy(model, table, target, rows, key)
        count[target].update(rows=len(table), duplicates=again, nullpk=nameless)
        return everything

    def user_tables() -> Iterator[pa.Table]:
        for rows in model.live(snapshot):
            yield tidy_and_not("User", users(model, rows, snapshot), rows, "objectGUID")

    def group_tables() -> Iterator[pa.Table]:
        rows = np.arange(model.groups, dtype=np.int64)
        yield tidy_and_not("Group", groups(model, rows, snapshot), rows, "objectGUID")

    def member_tables() -> Iterator[pa.Table]:
        for rows in model.live(snapshot):
            yield tidy_and_not("GroupMembers", members(model, rows, snapshot), slots(rows), "member")

    write(user_tables(), folder / "AD_users.csv")
    write(group_tables(), folder / "AD_groups.csv")
    write(member_tables(), folder / "AD_members.csv")
    return {target: dict(numbers) for target, numbers in count.items()}


def changes(model: Model) -> dict[str, dict[str, int]]:
    """Count what a synchronization of the second snapshot onto the first must change."""
    count: dict[str, Counter[str]] = {"User": Counter(), "Group": Counter(), "GroupMembers": Counter()}
    for start in range(0, model.entries, CHUNK):
        rows = np.arange(start, min(start + CHUNK, model.entries), dtype=np.int64)
        gone, numbers = model.is_gone(rows), slots(rows)
        _, moved, orphan = model.memberships(numbers, 2)
        left = np.repeat(gone, SLOTS)
        count["User"].update(deleted=int(gone.sum()), updated=int(model.is_changed(rows).sum()))
        count["GroupMembers"].update(
            deleted=int(((left | moved) & ~orphan).sum()), inserted=int((moved & ~left & ~orphan).sum())
        )
    for rows in model.live(2):
        new = rows[model.is_new(rows)]
        count["User"].update(inserted=len(new))
        count["GroupMembers"].update(inserted=int((~model.memberships(slots(new), 2)[2]).sum()))
    count["Group"].update(
        inserted=0, deleted=0, updated=int(model.group_changed(np.arange(model.groups)).sum())
    )
    return {target: dict(numbers) for target, numbers in count.items()}


def generate(folder: Path, model: Model) -> dict[str, object]:
    """Write the configuration, both snapshots and ``truth.json`` into a folder; return the truth."""
    shutil.copytree(CONFIGURATION, folder / "conf", dirs_exist_ok=True)
    truth: dict[str, object] = {
        "entries": model.entries,
        "seed": model.seed,
        "change_rate": model.change_rate,
        "s1": write_snapshot(model, 1, folder / "s1"),
        "s2": write_snapshot(model, 2, folder / "s2"),
        "orphans": sum(int(model.memberships(slots(rows), 1)[2].sum()) for rows in model.live(1)),
        "changes": changes(model),
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return truth


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description="Make benchmark data.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--change-rate", type=float, default=0.01)
    given = parser.parse_args(arguments)
    if given.entries < 500:
        parser.error("--entries must be at least 500")
    if not 0 < given.change_rate < 1:
        parser.error("--change-rate must lie between 0 and 1")
    generate(given.folder, Model(given.entries, given.seed, given.change_rate))


if __name__ == "__main__":
    main()
