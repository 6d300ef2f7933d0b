"""The task of an element that nothing runs: it is there, succeeds, and says that it does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_idm.operators.base import IdmOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

MARK = "(placeholder)"


class PlaceholderTaskOperator(IdmOperator):
    """Do nothing, and say so: no operator is registered for the task's element.

    :param element: name of the XML element, e.g. ``ComputeRoleModelTask``.
    """

    step = "placeholder"
    ui_color: ClassVar[str] = "#eeeeee"  # type: ignore[misc]  # the base class has it as an instance's

    def __init__(self, *, element: str, task_display_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(task_display_name=f"{task_display_name or kwargs['task_id']} {MARK}", **kwargs)
        self.element = element
        self.doc_md = (
            f"**Placeholder.** Nothing runs here: no operator is registered for `{element}`. Register one with "
            f'`generate_dags(…, task_operators={{"{element}": factory}})`, or refuse such jobs with `strict=True`.'
        )

    def perform(self, context: Context) -> None:  # noqa: ARG002
        """Log that nothing was done."""
        self.log.warning(
            "This task is a placeholder: no operator is registered for %s, so nothing was done. Register one with "
            "generate_dags(…, task_operators=…).",
            self.element,
        )
