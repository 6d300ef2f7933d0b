"""What others did to the repository or to a batch, and what a batch says of what it does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from airflow_provider_idm.configuration import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ChainError, PrepareError
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from tests.oracle.harness import expected_snapshot
from tests.oracle.model import CleanFile, Model
from tests.oracle.shapes import DIRECTORY, HR
from tests.synchronize.scenario import FIRST, delta, full, model_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.synchronize.conftest import MakeHarness


# ------------------------------------------------------------------------------------------------- dangling links


def test_a_complete_with_change_rows_mends_what_somebody_deleted(make_harness: MakeHarness) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(FIRST, "Complete"))
    with harness.connect() as connection:
        connection.execute(sa.text("""DELETE FROM "UR_Resources" WHERE "PrimaryKey" IN ('A', '3')"""))
        connection.commit()

    harness.synchronize(batch=harness.publish(FIRST, "Complete"), do_not_delete_changes=True)

    assert harness.snapshot() == expected_snapshot(model_of(FIRST))
    assert harness.repository.set_recently_modified_flag() > 0
    assert not harness.synchronize(batch=harness.publish(FIRST, "Complete")).has_effect


def test_a_dangling_row_of_the_link_table_is_mended(make_harness: MakeHarness) -> None:
    harness = make_harness(DIRECTORY)
    harness.synchronize(batch=harness.publish(ENTRIES, "Complete"))
    with harness.connect() as connection:
        connection.execute(sa.text("""DELETE FROM "UR_Resources" WHERE "PrimaryKey" = 'g2'"""))
        connection.commit()

    harness.synchronize(batch=harness.publish(ENTRIES, "Complete"), do_not_delete_changes=True)

    assert harness.snapshot() == expected_snapshot(directory_of(ENTRIES))
    changes = {
        (r["ChangeOperation"], r["R1_PK"], r["R2_PK"]) for r in harness.table("UR_ResourceLinkChanges")
    }
    assert {("delete", "g1", None), ("insert", "g1", "g2")} <= changes


# -------------------------------------------------------------------------------------------------- other mappings

OTHER_KEY = replace(
    HR,
    types=(
        replace(
            HR.types[0],
            properties=(*HR.types[0].properties[:2], replace(HR.types[0].properties[2], unique=True)),
        ),
        HR.types[1],
    ),
    associations=(*HR.associations[:2], replace(HR.associations[2], key2="LastName")),
)
"""The manager of an organization is named by last name instead of login."""


def write_sources(folder: Path, persons: str, organizations: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "HR_Person.csv").write_text(persons)
    (folder / "HR_Organization.csv").write_text(organizations)
    return folder


def test_changes_prepared_with_other_mappings_are_refused(make_harness: MakeHarness, tmp_path: Path) -> None:
    harness = make_harness(HR)
    sources = write_sources(
        tmp_path / "ExportOutput",
        "command,id,login,name,org\ninsert,1,ada,Lovelace,A\n",
        "command,code,label,parent,manager\ninsert,A,Research,,ada\n",
    )
    whole = PrepareRequest(
        mappings=harness.mappings,
        mode=SynchronizationMode.COMPLETE,
        type=SourceType.CHANGES,
        sources=sources,
        exchange=harness.exchange,
        work=harness.work,
    )
    harness.last = prepare(whole).manifest.batch
    harness.synchronize(batch=harness.last)
    changed = make_harness(OTHER_KEY)
    before = changed.dump()

    with pytest.raises(PrepareError, match=r"last prepared with other mappings.*run a Complete first"):
        prepare(replace(whole, mappings=changed.mappings, mode=SynchronizationMode.INCREMENTAL))

    assert [m.batch for m in changed.channel.manifests()] == [harness.last]
    assert changed.dump() == before


def test_forged_changes_of_other_mappings_are_refused(make_harness: MakeHarness) -> None:
    harness = make_harness(HR)
    harness.synchronize(batch=harness.publish(full("1/ada/L", "A/R"), "Complete"))
    changed = make_harness(OTHER_KEY)
    changed.last = harness.last
    files = delta(managers="insert/A/L/A", owned=True)
    with pytest.raises(ChainError, match=r"last synchronized with other mappings.*run a Complete"):
        changed.synchronize(batch=changed.publish(files, "Incremental", "Changes"))

    assert harness.snapshot() == expected_snapshot(model_of(full("1/ada/L", "A/R")))
    changed.synchronize(batch=changed.publish(full("1/ada/L", "A/R", managers="A/L"), "Complete"))
    links = changed.repository.query_association(changed.mappings, "Organization_Manager").to_pylist()
    assert links == [{"key1": "A", "key2": "1"}]


# ------------------------------------------------------------------------------------------------------ anomalies

ENTRIES = {
    "Entry": CleanFile(["Guid", "Dn", "Cn"], [["g1", "p1", "a"], ["g2", "p2", "b"], ["g3", "b", "c"]]),
    "Entry_Parent": CleanFile(["key1", "key2"], [["b", "p1"]]),
    "Group_Members": CleanFile(["key1", "key2"], [["p1", "p2"]]),
}


def directory_of(files: dict[str, CleanFile]) -> Model:
    model = Model(DIRECTORY)
    model.apply("Complete", files)
    return model


@pytest.mark.parametrize("parent", ["p2", ""])
def test_an_update_of_an_unknown_entity_leaves_the_links_of_its_namesake_alone(
    make_harness: MakeHarness, parent: str
) -> None:
    """Its row has the key by which links name another entity."""
    harness = make_harness(DIRECTORY)
    harness.synchronize(batch=harness.publish(ENTRIES, "Complete"))
    changes = {
        "Entry": CleanFile(["command", "Guid", "Dn", "Cn"], [["update", "unknown", "b", "x"]]),
        "Entry_Parent": CleanFile(["command", "key1", "key2", "owner"], [["update", "b", parent, "unknown"]]),
        "Group_Members": CleanFile(["command", "key1", "key2"], []),
    }

    result = harness.synchronize(batch=harness.publish(changes, "Incremental", "Changes"))

    assert result.entity_types["Entry"].anomalies == 1
    assert not result.has_effect
    assert harness.snapshot() == expected_snapshot(directory_of(ENTRIES))
    assert [w for w in result.warnings if "Entry.anomalies.csv" in w]
