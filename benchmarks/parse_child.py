"""Loads one DAG file as Airflow does and prints what that took: what ``benchmarks.parse`` runs, each time anew.

python -P parse_child.py FILE                   prints elapsed and CPU seconds, after ``import airflow.sdk``
python -P parse_child.py FILE --structure       prints the structure of the DAGs instead
"""

from __future__ import annotations

import json
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import airflow.sdk

begin = time.perf_counter(), time.process_time()
loader = SourceFileLoader("measured_dags", sys.argv[1])
spec = spec_from_loader(loader.name, loader)
if spec is None:
    raise SystemExit(f"{sys.argv[1]} cannot be loaded")
module = module_from_spec(spec)
sys.modules[loader.name] = module
loader.exec_module(module)
took = time.perf_counter() - begin[0], time.process_time() - begin[1]

if "--structure" in sys.argv:
    from benchmarks.parse_contenders import structure

    dags = [value for value in vars(module).values() if isinstance(value, airflow.sdk.DAG)]
    print(json.dumps(structure(dags)))
else:
    print(json.dumps(took))
