"""Looking for what became of one batch, every minute while a task waits, is not to read what became of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_idm.synchronization.synchronize import read_decision
from tests.safeguards.blocks import within

if TYPE_CHECKING:
    from tests.safeguards.conftest import MakeFilled


def test_what_became_of_other_batches_is_not_read(make_filled: MakeFilled) -> None:
    harness = make_filled()
    others = {row["Id"] for row in harness.table("UJ_Batches")}
    batch = harness.publish(within(), "Complete")
    harness.synchronize(batch=batch)
    with harness.connect() as connection:
        connection.exec_driver_sql(
            f"""UPDATE "UJ_Batches" SET "Result" = 'no JSON' WHERE "Id" <> '{batch}'"""
        )
        connection.commit()

    record = read_decision(harness.repository, "HR", batch)

    assert record is not None
    assert (record.batch, record.state) == (batch, "applied")
    assert record.result is not None
    assert record.result["entity_types"]["Person"]["deleted"] == 3
    assert read_decision(harness.repository, "HR", "0" * 36) is None
    assert len(others) == 1
    # Nor is it where it does not matter.
    assert harness.synchronize(batch=batch).already_applied
