"""A small Human Resources connector and short ways to write its batches by hand."""

from __future__ import annotations

from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import HR

PERSON = ["PersonId", "Login", "LastName"]
ORGANIZATION = ["Code", "Label"]
PAIR = ["key1", "key2"]
OWNED = ["command", "key1", "key2", "owner"]


def full(
    persons: str = "",
    organizations: str = "",
    members: str = "",
    parents: str = "",
    managers: str = "",
) -> dict[str, CleanFile]:
    """Write the clean files of a Complete or Initial batch; one row per word, its values divided by ``/``."""
    return {
        "Person": _file(PERSON, persons),
        "Organization": _file(ORGANIZATION, organizations),
        "Person_Organization": _file(PAIR, members),
        "Organization_Parent": _file(PAIR, parents),
        "Organization_Manager": _file(PAIR, managers),
    }


def delta(
    persons: str = "",
    organizations: str = "",
    members: str = "",
    parents: str = "",
    managers: str = "",
    *,
    owned: bool = False,
) -> dict[str, CleanFile]:
    """Write the clean files of an Incremental batch: the command comes first; ``owned`` as under Type Changes."""
    pair = OWNED if owned else ["command", *PAIR]
    return {
        "Person": _file(["command", *PERSON], persons),
        "Organization": _file(["command", *ORGANIZATION], organizations),
        "Person_Organization": _file(pair, members),
        "Organization_Parent": _file(pair, parents),
        "Organization_Manager": _file(pair, managers),
    }


def _file(columns: list[str], rows: str) -> CleanFile:
    return CleanFile(columns, [row.split("/") for row in rows.split()])


FIRST = full(
    persons="1/ada/Lovelace 2/alan/Turing 3/grace/Hopper 4/edsger/Dijkstra",
    organizations="A/Research B/Sales C/Support",
    members="1/A 2/A 3/B 4/D",
    parents="B/A C/A",
    managers="A/ada B/nobody",
)
SECOND = delta(
    persons="update/1/ada/King delete/2// insert/5/tony/Hoare update/9/x/Nobody",
    organizations="insert/D/Design delete/C/",
    members="delete/2/A insert/5/D delete/3/B insert/3/A",
    parents="insert/D/A delete/C/A",
    managers="delete/A/ada insert/A/tony",
)
THIRD = delta(
    persons="insert/2/alan/Turing update/5/nobody/Hoare",
    members="insert/2/B",
    organizations="update/A/Headquarters",
)


def model_of(*batches: dict[str, CleanFile]) -> Model:
    """Apply batches to the model: the first one whole, the others Incremental."""
    model = Model(HR)
    for n, files in enumerate(batches):
        model.apply("Incremental" if n else "Complete", files)
    return model
