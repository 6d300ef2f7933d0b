"""Does one job and says how long the call alone took, after all imports: what ``benchmarks.run`` starts, each time anew.

    python -m benchmarks.child JSON         prints {"seconds": …, "counts": {…}, "imported": …}

A contender is a module with ``ready(job)``, which returns the call to be timed. The call returns what it counted, by
entity type and association, or what counts it, which is not timed. ``imported`` says how many modules it loaded all
the same.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

from benchmarks.job import OURS, Job


def main(text: str) -> None:
    job = Job.from_json(text)
    name = "benchmarks.ours" if job.contender == OURS else f"benchmarks.baselines.{job.contender}"
    call = importlib.import_module(name).ready(job)
    before = set(sys.modules)
    begin = time.perf_counter()
    counts = call()
    seconds = time.perf_counter() - begin
    imported = len(sys.modules.keys() - before)
    counts = counts() if callable(counts) else counts
    print(json.dumps({"seconds": seconds, "counts": counts, "imported": imported}))


if __name__ == "__main__":
    main(sys.argv[1])
