"""From Job elements to DAGs.

``plan.py`` says what a job runs and in which order, without Airflow; ``dag.py`` makes the DAG of it; ``placeholder.py``
the DAG of a job that cannot run; ``generate.py`` does so for a whole configuration.
"""
