"""Scaffoldings: elements that stand for whole jobs, and the jobs that they stand for.

``kinds.py`` says what each of the five is, ``included.py`` which connectors and connections its job works on,
``packages.py`` what the package of a connection says about it, ``tasks.py`` makes the tasks by level, ``labels.py``
their display names, ``arguments.py`` adds and links tasks, ``occurrences.py`` finds those that it names, and
``expand.py`` puts the jobs into a configuration. ``unread.py`` knows the jobs of files that cannot be read.
"""

from airflow_provider_idm.configuration.scaffolding.expand import expand
from airflow_provider_idm.configuration.scaffolding.kinds import scaffolding_job_identifier
from airflow_provider_idm.configuration.scaffolding.unread import unread_job_identifiers

__all__ = ["expand", "scaffolding_job_identifier", "unread_job_identifiers"]
