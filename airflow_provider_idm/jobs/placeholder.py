"""The DAG of a job that cannot run: there, visible, and saying why.

Airflow loses all DAGs of a file when one of them is broken. So a broken job keeps its DAG id, has no schedule, and its
one task fails with the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from airflow_provider_idm.hooks.airflow_exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

TAG = "idm-config-error"
_HEADING = "This job cannot run, because its configuration is wrong or needs what this version does not do:"


class ConfigurationErrorOperator(BaseOperator):
    """Fail with what is wrong in the configuration.

    :param reasons: each as ``file:line: message``.
    """

    def __init__(self, *, reasons: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reasons = list(reasons)

    def execute(self, context: Context) -> None:  # noqa: ARG002
        """Fail.

        :raises AirflowFailException: always.
        """
        raise AirflowFailException("\n".join([_HEADING, *self.reasons]))


def placeholder_dag(dag_id: str, reasons: Sequence[str], display_name: str | None = None) -> DAG:
    """Return the DAG that stands for a job which cannot run.

    :param reasons: each as ``file:line: message``.
    """
    lines = "\n".join(f"    {line}" for reason in reasons for line in reason.splitlines())
    dag = DAG(
        dag_id=dag_id,
        dag_display_name=display_name or dag_id,
        schedule=None,
        catchup=False,
        tags=["idm", TAG],
        doc_md=f"{_HEADING}\n\n{lines}\n",
    )
    ConfigurationErrorOperator(task_id="configuration_error", reasons=reasons, retries=0, dag=dag)
    return dag
