"""SetRecentlyModifiedFlagTask: ``Dirty`` on every resource that applied change rows name."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, true, union, update

from airflow_provider_idm.repository.schema import Tables

APPLIED_STATES = ("completed", "warning")
"""States of a task instance whose changes are in the repository."""


def set_recently_modified_flag(connection: Connection, tables: Tables) -> int:
    """Set the flag and clear exactly the change rows it was set from, inside the caller's transaction.

    Rows of synchronizations that still run, are blocked or only planned are neither read nor cleared. A resource is
    dirty too when one of its links or files changed; a deleted one no longer exists to be marked.

    :return: how many resources were marked.
    """
    change_tables = (tables.resource_changes, tables.resource_link_changes, tables.resource_file_changes)
    instances = tables.task_instances
    # Chosen once: rows committed by another synchronization meanwhile stay for the next time.
    applied = [
        row.Id
        for row in connection.execute(
            select(instances.c.Id)
            .where(instances.c.State.in_(APPLIED_STATES))
            .where(
                instances.c.Id.in_(
                    union(*(select(t.c.TaskInstance_Id) for t in change_tables)).scalar_subquery()
                )
            )
        )
    ]
    if not applied:
        return 0
    links = tables.resource_link_changes
    named = union(
        *(
            select(column).where(column.table.c.TaskInstance_Id.in_(applied), column.is_not(None))
            for column in (
                tables.resource_changes.c.Resource_Id,
                links.c.R1_Id,
                links.c.R2_Id,
                tables.resource_file_changes.c.Resource_Id,
            )
        )
    ).subquery()
    resources = tables.resources
    marked = resources.c.Id.in_(select(named.c[0]))
    count = connection.scalar(select(func.count()).select_from(resources).where(marked)) or 0
    connection.execute(update(resources).where(marked).values(Dirty=true()))
    for table in change_tables:
        connection.execute(delete(table).where(table.c.TaskInstance_Id.in_(applied)))
    return int(count)
