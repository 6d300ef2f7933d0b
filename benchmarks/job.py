"""One timed call: who does which step, with which files and which database."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

CONNECTOR = "AD"
OURS = "ours"

PREPARE = "prepare"
PREPARE_INCREMENTAL = "prepare-incremental"
INITIAL = "initial"
NO_CHANGES = "nochange"
PLAN = "plan"
RAW = "raw"
COMPLETE = "complete"
INCREMENTAL = "incremental"

STEPS = {
    PREPARE: "prepare, Complete",
    PREPARE_INCREMENTAL: "prepare, Incremental",
    INITIAL: "Initial",
    NO_CHANGES: "Complete, no changes",
    PLAN: "plan of the Complete, 1 % changes",
    COMPLETE: "Complete, 1 % changes",
    RAW: "from raw CSV, Complete, 1 % changes",
    INCREMENTAL: "Incremental, 1 % changes",
}
"""What can be measured, in words."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process of its own is to do; all paths are absolute.

    :param step: one of ``STEPS``, or what only ``ours`` knows.
    :param database: URL of a PostgreSQL database, or of an SQLite file (``sqlite:///…``).
    :param raw: the folder of the source files; ``clean``: of the clean ones (of the delta, for an Incremental).
    :param former: the folder of the clean files that the sources are compared with.
    :param output: where clean files, or reports, go.
    :param batch: which batch is synchronized or planned.
    :param start: a file whose coming is waited for before the call; empty to begin at once.
    """

    contender: str
    step: str
    database: str = ""
    raw: str = ""
    clean: str = ""
    former: str = ""
    output: str = ""
    configuration: str = ""
    exchange: str = ""
    work: str = ""
    batch: str = ""
    mode: str = ""
    connector: str = CONNECTOR
    start: str = ""
    memory_limit: str = "1GB"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        return cls(**json.loads(text))
