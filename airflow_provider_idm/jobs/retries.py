"""How often the tasks of a generated DAG are tried again, if neither its author nor Airflow's configuration says.

It concerns what may pass by itself: at an error that the same input would meet again, an operator fails for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import BaseOperator

try:  # since Airflow 3.2
    from airflow.sdk.configuration import conf
except ImportError:
    from airflow.configuration import conf

RETRIES: Final = 3
DELAY: Final = timedelta(minutes=1)
LONGEST_DELAY: Final = timedelta(minutes=10)
_TWICE: Final = type(BaseOperator.retry_exponential_backoff)(2)
"""Each pause twice as long as the one before: a factor, or, in Airflow 3.1, only that it is so."""


def retry_arguments(default_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operator is given about retries.

    :param default_args: of the DAG; what they say of retries stays as it is.
    """
    if "retries" in default_args or conf.getint("core", "default_task_retries", fallback=0):
        return {}
    ours = {
        "retries": RETRIES,
        "retry_delay": DELAY,
        "retry_exponential_backoff": _TWICE,
        "max_retry_delay": LONGEST_DELAY,
    }
    return {name: value for name, value in ours.items() if name not in default_args}
