"""Does one job and says how long the call alone took, after all imports: what ``benchmarks.run`` starts, each time anew.

    python -m benchmarks.child JSON         prints {"seconds": …, "counts": {…}, "imported": …, "begin": …, "end": …}

A contender is a module with ``ready(job)``, which returns the call to be timed. The call returns what it counted, by
entity type and association, or what counts it, which is not timed. ``imported`` says how many modules it loaded all
the same; ``begin`` and ``end`` are of a clock that all processes share.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from benchmarks.job import OURS, Job


def main(text: str) -> None:
    job = Job.from_json(text)
    name = "benchmarks.ours" if job.contender == OURS else f"benchmarks.baselines.{job.contender}"
    call = importlib.import_module(name).ready(job)
    before = set(sys.modules)
    wait_for(job.start)
    begin = time.monotonic()
    counts = call()
    end = time.monotonic()
    if job.start:
        Path(f"{job.start}.done").touch()
    told = {"seconds": end - begin, "begin": begin, "end": end, "imported": len(sys.modules.keys() - before)}
    print(json.dumps(told | {"counts": counts() if callable(counts) else counts}))


def wait_for(start: str) -> None:
    """Say that everything is ready, and wait until a file is there."""
    if start:
        Path(f"{start}.ready").touch()
        while not Path(start).exists():
            time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1])
