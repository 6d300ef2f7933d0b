"""From jobs to DAGs.

``steps.py`` resolves steps and overrides, ``order.py`` says which edges make the order and the failures of a job,
``plan.py`` what the job runs: all without Airflow. ``tasks.py`` makes operators of task elements, ``registered.py``
takes those that an author registered, ``graph.py`` puts them into task groups and ties them, ``params.py`` has what a
run may be asked, ``dag.py`` makes the DAG of a job and ``placeholder.py`` that of one that cannot run;
``generate.py`` does so for a whole configuration, with what its author decides in ``settings.py`` and ``safeguards.py``.
"""
