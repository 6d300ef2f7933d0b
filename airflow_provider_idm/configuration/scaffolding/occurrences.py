"""The tasks that an argument of a scaffolding names, and which of them it means.

A task is named by its identifier; within its job also without the job's identifier in front of it, by the element
(``SynchronizeTask`` or ``Synchronize``), or by how its identifier ends (``HR_Complete_HR-Persons``). The occurrences
of a name are counted from 1 in the job's order; 0, which is no choice, means the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.model import TaskElement
from airflow_provider_idm.configuration.names import suggestion

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import JobChild


class ArgumentError(Exception):
    """An argument asks for what is not there; the text says what."""


def named(children: Sequence[JobChild], job: str, name: str) -> list[int]:
    """Return the numbers of those that a name means, in order; none if there is none."""
    wanted = name.casefold()
    identifiers = [child.identifier.casefold() for child in children]
    whole = {wanted, f"{job.casefold()}_{wanted}"}
    found = [number for number, identifier in enumerate(identifiers) if identifier in whole]
    if not found:
        elements = {wanted, f"{wanted}task"}
        found = [
            number
            for number, child in enumerate(children)
            if isinstance(child, TaskElement) and child.element.casefold() in elements
        ]
    if not found:
        ending = f"_{wanted}"
        found = [number for number, identifier in enumerate(identifiers) if identifier.endswith(ending)]
    return found


def occurrence(children: Sequence[JobChild], job: str, name: str, wanted: int, attribute: str) -> int:
    """Return the number of the one that a name and an occurrence mean.

    :param attribute: what gives the occurrence, for the message.
    :raises ArgumentError: if there is none.
    """
    found = named(children, job, name)
    if not found:
        elements = (child.element for child in children if isinstance(child, TaskElement))
        hint = suggestion(name, [*(child.identifier for child in children), *elements])
        raise ArgumentError(f"the job {job} has no task {name}{hint}")
    check_occurrence(name, len(found), wanted, attribute)
    return found[max(wanted, 1) - 1]


def check_occurrence(name: str, count: int, wanted: int, attribute: str) -> None:
    """Check that an occurrence is one of those that there are.

    :raises ArgumentError: if it is not.
    """
    if wanted > count:
        times = "only once" if count == 1 else f"only {count} times"
        raise ArgumentError(f'{attribute}="{wanted}": the job has the task {name} {times}')
