"""The params of a generated DAG: what whoever triggers a run may ask of it, in a form or over the API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

from airflow_provider_idm.operators.run_options import AS_CONFIGURED, FOLDER_PATTERN, NAMES

if TYPE_CHECKING:
    from airflow.sdk import DAG

_PLACE: Final = "generate_dags(params=…)"
_SOURCES: Final = "Source files"
"""A section of the form that has to be opened; what is in none is seen at once."""


def _switch(title: str, description: str, **schema: Any) -> Param:
    return Param(False, description, type="boolean", title=title, **schema)


_PARAMS: Final[Mapping[str, Param]] = {
    "dry_run": _switch(
        "Dry run",
        "Change nothing: only say what would change, in the log and the report of the synchronize tasks. Source files "
        "are exported and read as usual.",
    ),
    "force_synchronization": _switch(
        "Ignore the thresholds",
        "Apply the changes however many they are, without asking anybody. Off: as the job says.",
    ),
    "allow_backwards": _switch(
        "Allow an earlier date",
        "Apply changes that are dated before the last ones applied. Off: that is refused. Files that are older than "
        "what was prepared last are refused in any case.",
    ),
    "orphans": _switch(
        "Save orphans",
        "Save the rows of associations that match no resource, as CSV files in the work folder. Off: as the job says.",
    ),
    "do_not_delete_changes": _switch(
        "Keep the change rows",
        "Keep a record of every change in the repository, from which resources are marked as recently modified. Off: as "
        "the job says.",
    ),
    "sources_directory": Param(
        None,
        "Read the source files from this folder instead, and export nothing: an absolute path on the machine that runs "
        "the prepare tasks. {{ ds }} in it becomes the run's date as 2026-11-23, {{ ds_nodash }} as 20261123, "
        "{{ ts_nodash }} as 20261123T000000. Empty: as the job says.",
        type=["null", "string"],
        pattern=FOLDER_PATTERN,
        title="Folder of the source files",
        section=_SOURCES,
    ),
    "source_date": Param(
        None,
        "The day that the source files are of: from then on the history has what they say. Where the folder has a date, "
        "the one of this day is read. Empty: now, or where the folder has a date, the day of the run.",
        type=["null", "string"],
        format="date",
        title="Date of the source files",
        section=_SOURCES,
    ),
    "ignore_cookie_file": _switch(
        "Export everything",
        "Export everything, even where a connection could tell what changed since the last time. A job that reads lists "
        "of changes refuses that: trigger one in mode Complete. Off: as the job says.",
        section=_SOURCES,
    ),
    "on_invalid_value": Param(
        AS_CONFIGURED,
        "What to do with a value that does not fit its property, such as a text where a date is expected. Keys must fit "
        "in any case.",
        type="string",
        enum=[AS_CONFIGURED, "fail", "null"],
        values_display={
            AS_CONFIGURED: "As the job says",
            "fail": "Fail, and list all such values",
            "null": "Leave such values empty, and go on",
        },
        title="Values that do not fit",
        section=_SOURCES,
    ),
}


@dataclass(frozen=True)
class RunParams:
    """Which params all generated DAGs have.

    :param wanted: True for all, False for none, or their names; not checked yet.
    """

    wanted: object = True

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the params there are; wrong ones are left out."""
        return frozenset(name for name in self._wanted if isinstance(name, str) and name in _PARAMS)

    def problems(self, default_args: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the params, for every job.

        :param default_args: of every DAG; its ``params`` become params of the DAGs too.
        """
        known = ", ".join(NAMES)
        if not isinstance(self.wanted, bool | Collection) or isinstance(self.wanted, str | bytes | Mapping):
            return [f"{_PLACE} cannot be {self.wanted!r}; expected True, False, or some of {known}"]
        wrong = [name for name in self._wanted if name not in self.names]
        clashing = [name for name in default_args.get("params") or () if name in self.names]
        return [
            *(f"{_PLACE}: there is no param {name!r}; known are {known}" for name in wrong),
            *(
                f"generate_dags(default_args=…): generated DAGs have a param {name!r} already; rename this one, or "
                "leave theirs out of params"
                for name in clashing
            ),
        ]

    def add_to(self, dag: DAG) -> None:
        """Give a DAG its params, once it has all its tasks: each task would get copies of its own otherwise.

        The params are the DAG's own: Airflow keeps the values of a run in them. That the defaults are valid is not
        checked anew for each DAG, which would cost more than making its tasks.
        """
        dag.params.update({name: copy(param) for name, param in _PARAMS.items() if name in self.names})

    @property
    def _wanted(self) -> Iterable[object]:
        if isinstance(self.wanted, bool):
            return NAMES if self.wanted else ()
        return self.wanted if isinstance(self.wanted, Collection) else ()
